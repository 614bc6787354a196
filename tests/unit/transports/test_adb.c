/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against the virtual phone: what a user would notice, and what each fault becomes.
 */
#include <sys/stat.h>

#include "tests/unit/transports/adb_phone.h"
#include "tests/unit/transports/adb_vectors.h"

static struct sim_link phone;
static struct adb_conn *conn;
static struct err e;

static void up(const char *const *settings)
{
	phone_init(&phone, settings);
	conn = NULL;
	e = (struct err){0};
}

static void connected(const char *const *settings)
{
	up(settings);
	ck_assert_msg(phone_connect(&phone, NULL, 0, &conn, &e) == 0, "%s", e.msg);
}

static void down(void)
{
	conn = adb_conn_free(conn);
	sim_link_done(&phone);
}

static struct adb_key *vector_key(void)
{
	char path[] = "/tmp/provd-adb-key-XXXXXX";
	int fd = mkstemp(path);
	struct adb_key *k = NULL;

	ck_assert_int_eq(write(fd, vector_pem, strlen(vector_pem)), (ssize_t)strlen(vector_pem));
	close(fd);
	ck_assert_int_eq(adb_key_read(path, &k, &e), 0);
	unlink(path);
	return k;
}

/* --- the handshake --- */

START_TEST(a_phone_says_what_it_is)
{
	static const char *const settings[] = {"model", "T200", NULL};

	connected(settings);
	ck_assert_str_eq(adb_conn_peer(conn)->state, "device");
	ck_assert_str_eq(adb_conn_peer(conn)->model, "T200");
	ck_assert_uint_eq(adb_conn_peer(conn)->version, 0x01000001);
	ck_assert(adb_conn_has(conn, ADB_SHELL_V2));
	ck_assert(!adb_conn_has(conn, ADB_ABB_EXEC));
	down();
}
END_TEST

START_TEST(a_key_that_the_phone_knows_is_accepted_and_another_is_offered_once)
{
	static const char *const any[] = {"adb-auth", "any", NULL};
	struct adb_key *k = vector_key();
	const struct adb_key *keys[] = {k};

	up(any);
	/* Not known: offered, a person taps Allow, known from then on. */
	ck_assert_msg(phone_connect(&phone, keys, 1, &conn, &e) == 0, "%s", e.msg);
	conn = adb_conn_free(conn);
	phone.device->ops->opened(phone.device, phone.now);
	ck_assert_msg(phone_connect(&phone, keys, 1, &conn, &e) == 0, "%s", e.msg);
	json_t *o = json_object();
	phone.device->ops->json(phone.device, true, o);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "authorised")), 2);
	json_decref(o);
	adb_key_free(k);
	down();
}
END_TEST

START_TEST(a_phone_that_accepts_no_key_ends_as_unauthorized)
{
	static const char *const refuse[] = {"adb-auth", "refuse", NULL};
	struct adb_key *k = vector_key();
	const struct adb_key *keys[] = {k, k};

	up(refuse);
	ck_assert_int_eq(phone_connect(&phone, keys, 2, &conn, &e), -ERR_UNAUTHORIZED);
	ck_assert_ptr_nonnull(strstr(e.msg, adb_key_print(k)));
	down();
	up(refuse);
	ck_assert_int_eq(phone_connect(&phone, NULL, 0, &conn, &e), -ERR_UNAUTHORIZED);
	down();
	up(NULL);
	sim_link_fault(&phone, "endless-token,count=0");
	ck_assert_int_eq(phone_connect(&phone, keys, 2, &conn, &e), -ERR_UNAUTHORIZED);
	adb_key_free(k);
	down();
}
END_TEST

static const struct {
	const char *fault;
	enum err_code code;
	const char *says;
} handshake_faults[] = {
	{"bad-magic", ERR_PROTOCOL, "magic"},
	{"bad-sum", ERR_PROTOCOL, "wrong sum"},
	{"huge-length", ERR_PROTOCOL, "payload of 2147483647 bytes"},
	{"garbage", ERR_PROTOCOL, "magic"},
	{"stls", ERR_UNSUPPORTED, "TLS"},
	{"stall-reply=0", ERR_TIMEOUT, "no answer to CNXN"},
	{"stall-reply=10", ERR_TIMEOUT, "10 of 24 bytes"},
	{"stall-reply=30", ERR_TIMEOUT, "payload of CNXN"},
	{"hangup-reply=30", ERR_DEVICE_GONE, "gone"},
	{"hangup=3", ERR_DEVICE_GONE, "gone"},
};

START_TEST(a_fault_of_the_handshake_has_its_code)
{
	up(NULL);
	sim_link_fault(&phone, handshake_faults[_i].fault);
	ck_assert_int_eq(
		phone_connect(&phone, NULL, 0, &conn, &e), -(int)handshake_faults[_i].code);
	ck_assert_msg(strstr(e.msg, handshake_faults[_i].says), "%s: %s",
		handshake_faults[_i].fault, e.msg);
	down();
}
END_TEST

START_TEST(a_packet_of_a_former_session_is_dropped)
{
	up(NULL);
	sim_link_fault(&phone, "stray");
	ck_assert_msg(phone_connect(&phone, NULL, 0, &conn, &e) == 0, "%s", e.msg);
	down();
}
END_TEST

/* --- commands --- */

static int shell(const char *command, struct adb_shell_result *res)
{
	struct iotime it = soon();

	*res = (struct adb_shell_result){0};
	return adb_shell(conn, command, 4096, NULL, NULL, &it, res, &e);
}

static const char *const *const shells[] = {
	(const char *const[]){NULL},
	(const char *const[]){"adb-features", "cmd", NULL},
	(const char *const[]){"adb-features", "cmd", "adb-version", "0x01000000", NULL},
	(const char *const[]){"adb-payload", "4096", "adb-version", "0x01000000", NULL},
};

START_TEST(a_command_gives_its_output_and_its_status)
{
	struct adb_shell_result res;

	connected(shells[_i]);
	ck_assert_msg(shell("echo hi there; exit 7", &res) == 0, "%s", e.msg);
	ck_assert_int_eq(res.status, 7);
	ck_assert_int_eq(strncmp(res.out.s, "hi there", 8), 0);
	adb_shell_result_done(&res);
	ck_assert_msg(shell("true # a comment", &res) == 0, "%s", e.msg);
	ck_assert_int_eq(res.status, 0);
	adb_shell_result_done(&res);
	ck_assert_msg(shell("nonsense", &res) == 0, "%s", e.msg);
	ck_assert_int_eq(res.status, 127);
	adb_shell_result_done(&res);
	ck_assert_msg(shell("sleep 2 && echo woke", &res) == 0, "%s", e.msg);
	ck_assert_int_eq(res.status, 0);
	ck_assert_ptr_nonnull(strstr(res.out.s, "woke"));
	adb_shell_result_done(&res);
	down();
}
END_TEST

START_TEST(much_output_is_kept_to_its_cap_and_said_to_be_cut)
{
	struct adb_shell_result res;

	connected(shells[_i]);
	ck_assert_msg(shell("yes 300000", &res) == 0, "%s", e.msg);
	ck_assert_int_eq(res.status, 0);
	ck_assert_uint_eq(res.out.len, 4096);
	ck_assert(res.cut);
	adb_shell_result_done(&res);
	down();
}
END_TEST

START_TEST(a_command_without_a_status_is_an_error)
{
	struct adb_shell_result res;

	connected(shells[_i]);
	sim_link_fault(&phone, "no-exit");
	ck_assert_int_eq(shell("echo hi", &res), -ERR_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(e.msg, "outcome is not known"));
	/* The connection is whole: the next one works. */
	ck_assert_msg(shell("echo hi", &res) == 0, "%s", e.msg);
	adb_shell_result_done(&res);
	down();
}
END_TEST

START_TEST(a_word_is_a_word_whatever_it_holds)
{
	static const char *const words[] = {
		"", "a b", "it's", "$(reboot)", "`x`; exit 9 #", "\"$1\"", "\\", "a\nb", "*", "-n"};

	connected(NULL);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct strbuf b = {0};
		struct adb_shell_result res;
		char *expected = xasprintf("<%s>\n", words[i]);

		char *word = xasprintf("<%s>", words[i]);

		sb_add(&b, "echo ");
		adb_quote(&b, word);
		ck_assert_msg(shell(b.s, &res) == 0, "%s", e.msg);
		ck_assert_int_eq(res.status, 0);
		ck_assert_str_eq(res.out.s, expected);
		adb_shell_result_done(&res);
		sb_done(&b);
		free(word);
		free(expected);
	}
	down();
}
END_TEST

START_TEST(bytes_one_by_one_are_the_same_bytes)
{
	struct adb_shell_result res;

	connected(NULL);
	sim_link_fault(&phone, "split,count=0");
	ck_assert_msg(shell("echo slow; exit 3", &res) == 0, "%s", e.msg);
	ck_assert_int_eq(res.status, 3);
	ck_assert_str_eq(res.out.s, "slow\n");
	adb_shell_result_done(&res);
	down();
}
END_TEST

static const struct {
	const char *fault;
	enum err_code code;
} stream_faults[] = {
	{"bad-magic", ERR_PROTOCOL},
	{"huge-length", ERR_PROTOCOL},
	{"zero-id", ERR_TIMEOUT}, /* data of no stream: dropped, and nothing else comes */
	{"refuse-open", ERR_DEVICE_REFUSED},
	{"stall-reply=0", ERR_TIMEOUT},
	{"hangup-reply=0", ERR_DEVICE_GONE},
	{"stall=0,phase=console", ERR_TIMEOUT},
	{"disappear=0,phase=console", ERR_DEVICE_GONE},
};

START_TEST(a_fault_of_a_stream_has_its_code)
{
	struct adb_shell_result res = {0};

	connected(NULL);
	sim_link_fault(&phone, stream_faults[_i].fault);

	int r = shell("yes 3000000", &res);

	ck_assert_msg(
		r == -(int)stream_faults[_i].code, "%s: %d %s", stream_faults[_i].fault, r, e.msg);
	down();
}
END_TEST

START_TEST(a_broken_connection_says_so_to_every_call)
{
	struct adb_shell_result res = {0};
	char first[320];

	connected(NULL);
	sim_link_fault(&phone, "bad-magic");
	ck_assert_int_eq(shell("true", &res), -ERR_PROTOCOL);
	strcpy(first, e.msg);
	ck_assert_int_eq(shell("true", &res), -ERR_PROTOCOL);
	ck_assert_str_eq(e.msg, first);
	down();
}
END_TEST

START_TEST(a_close_from_stream_0_is_a_close)
{
	static const char *const old[] = {"adb-features", "cmd", NULL};
	struct adb_shell_result res;

	connected(old);
	sim_link_fault(&phone, "clse0");
	ck_assert_msg(shell("exit 4", &res) == 0, "%s", e.msg);
	ck_assert_int_eq(res.status, 4);
	adb_shell_result_done(&res);
	down();
}
END_TEST

/* --- files --- */

static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 3000001};

static int keep(void *data, const void *p, size_t n, struct err *err)
{
	sb_add_n(data, p, n);
	return 0;
}

static void check_file(size_t n)
{
	struct iotime it = soon();
	uint8_t *bytes = malloc(n + 1);
	struct adb_source src = {bytes, n};
	struct strbuf back = {0};
	struct adb_sync *y = NULL;
	struct adb_stat st = {0};
	uint64_t got = 99;

	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 251);
	ck_assert_msg(adb_sync_open(conn, &it, &y, &e) == 0, "%s", e.msg);
	ck_assert_msg(adb_sync_send(y, "/sdcard/a,b c", 0640, 1234567, &src, NULL, &it, &e) == 0,
		"%s", e.msg);
	ck_assert_int_eq(adb_sync_stat(y, "/sdcard/a,b c", &it, &st, &e), 0);
	/* As adbd makes it of 0640: the bits of the user for all. */
	ck_assert_uint_eq(st.mode, S_IFREG | 0666);
	ck_assert_uint_eq(st.size, n);
	ck_assert_int_eq(st.mtime, 1234567);
	ck_assert_msg(
		adb_sync_recv(y, "/sdcard/a,b c", keep, &back, &got, &it, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(got, n);
	ck_assert_uint_eq(back.len, n);
	ck_assert(n == 0 || !memcmp(back.s, bytes, n));
	adb_sync_free(y);
	sb_done(&back);
	free(bytes);
}

START_TEST(a_file_comes_back_as_it_went)
{
	connected(NULL);
	check_file(sizes[_i]);
	down();
}
END_TEST

START_TEST(a_file_comes_back_from_an_old_phone_too)
{
	static const char *const old[] = {
		"adb-payload", "4096", "adb-version", "0x01000000", "adb-features", "", NULL};

	connected(old);
	check_file(sizes[_i]);
	down();
}
END_TEST

static int count(void *data, const struct adb_stat *st, const char *name, struct err *err)
{
	unsigned *n = data;

	*n += !strcmp(name, "local") && S_ISDIR(st->mode);
	*n += 100;
	return 0;
}

START_TEST(a_directory_is_listed_and_what_is_not_there_has_no_mode)
{
	struct iotime it = soon();
	struct adb_sync *y = NULL;
	struct adb_stat st = {.mode = 9};
	struct strbuf back = {0};
	unsigned n = 0;
	uint64_t got;

	connected(NULL);
	ck_assert_int_eq(adb_sync_open(conn, &it, &y, &e), 0);
	ck_assert_int_eq(adb_sync_list(y, "/data", count, &n, &it, &e), 0);
	ck_assert_uint_eq(n, 201);
	ck_assert_int_eq(adb_sync_stat(y, "/sdcard/none", &it, &st, &e), 0);
	ck_assert_uint_eq(st.mode, 0);
	ck_assert_int_eq(
		adb_sync_recv(y, "/sdcard/none", keep, &back, &got, &it, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "/sdcard/none"));
	adb_sync_free(y);
	down();
}
END_TEST

START_TEST(no_path_leaves_the_tree_of_the_virtual_phone)
{
	static const uint8_t content[] = "escaped";
	struct iotime it = soon();
	struct adb_source src = {content, sizeof content};
	struct adb_sync *y = NULL;
	struct adb_stat st = {0};

	connected(NULL);
	ck_assert_int_eq(adb_sync_open(conn, &it, &y, &e), 0);
	ck_assert_msg(adb_sync_send(y, "/sdcard/../sdcard/../../../../sdcard/x", 0644, 0, &src,
			      NULL, &it, &e) == 0,
		"%s", e.msg);
	ck_assert_int_eq(adb_sync_stat(y, "/sdcard/x", &it, &st, &e), 0);
	ck_assert_uint_eq(st.size, sizeof content);
	adb_sync_free(y);
	down();
}
END_TEST

static const struct {
	const char *fault, *path;
	enum err_code code;
	const char *says;
} push_faults[] = {
	{NULL, "/system/bin/x", ERR_DEVICE_REFUSED, "Read-only file system"},
	{NULL, "/data/x", ERR_DEVICE_REFUSED, "Permission denied"},
	{"sync-fail=70000", "/sdcard/x", ERR_DEVICE_REFUSED, "I/O error"},
	{"disk-full=2500000", "/sdcard/x", ERR_DEVICE_REFUSED, "No space left"},
	{"hangup=500000", "/sdcard/x", ERR_DEVICE_GONE, "gone"},
	{"rubbish-text", "/sdcard/x", ERR_DEVICE_REFUSED, "\\x1b[31m"},
};

START_TEST(a_push_that_fails_says_what_the_phone_says)
{
	struct iotime it = soon();
	static uint8_t bytes[3000000];
	struct adb_source src = {bytes, sizeof bytes};
	struct adb_sync *y = NULL;

	connected(NULL);
	if (push_faults[_i].fault)
		sim_link_fault(&phone, push_faults[_i].fault);
	ck_assert_int_eq(adb_sync_open(conn, &it, &y, &e), 0);
	ck_assert_int_eq(adb_sync_send(y, push_faults[_i].path, 0644, 0, &src, NULL, &it, &e),
		-(int)push_faults[_i].code);
	ck_assert_msg(strstr(e.msg, push_faults[_i].says), "%s", e.msg);
	/* Nothing can follow on this stream. */
	struct adb_stat st;
	ck_assert_int_lt(adb_sync_stat(y, "/sdcard", &it, &st, &e), 0);
	adb_sync_free(y);
	down();
}
END_TEST

/* --- services --- */

static const uint8_t apk[] = "PK\3\4PKG:com.example.app and more of it";

START_TEST(a_package_is_installed_found_and_removed)
{
	struct iotime it = soon();
	struct adb_source src = {apk, sizeof apk};
	const char *const none[] = {NULL};
	const char *const replace[] = {"-r", NULL};
	char reply[ADB_REPLY_MAX];
	char path[256];

	connected(shells[_i]);
	ck_assert_msg(adb_install(conn, &src, none, NULL, &it, reply, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(reply, "Success");
	ck_assert_int_eq(adb_install(conn, &src, none, NULL, &it, reply, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "INSTALL_FAILED_ALREADY_EXISTS"));
	ck_assert_int_eq(adb_install(conn, &src, replace, NULL, &it, reply, &e), 0);
	ck_assert_int_eq(adb_package_path(conn, "com.example.app", &it, path, sizeof path, &e), 0);
	ck_assert_str_eq(path, "/data/app/com.example.app/base.apk");
	ck_assert_int_eq(adb_uninstall(conn, "com.example.app", false, &it, reply, &e), 0);
	ck_assert_int_eq(adb_package_path(conn, "com.example.app", &it, path, sizeof path, &e), 0);
	ck_assert_str_eq(path, "");
	ck_assert_int_eq(
		adb_uninstall(conn, "com.example.app", false, &it, reply, &e), -ERR_DEVICE_REFUSED);
	/* What the old way pushed is deleted again. */
	struct adb_shell_result res;
	ck_assert_int_eq(shell("ls /data/local/tmp", &res), 0);
	ck_assert_uint_eq(res.out.len, 0);
	adb_shell_result_done(&res);
	down();
}
END_TEST

START_TEST(root_and_remount_are_what_the_phone_says)
{
	static const char *const user[] = {"adb-build", "user", NULL};
	struct iotime it = soon();
	enum adb_restarting restarting;
	char reply[ADB_REPLY_MAX];

	connected(user);
	ck_assert_int_eq(adb_root(conn, true, &it, &restarting, reply, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "production builds"));
	ck_assert_int_eq(adb_remount(conn, &it, reply, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "Not running as root"));
	ck_assert_int_eq(adb_root(conn, false, &it, &restarting, reply, &e), 0);
	ck_assert_int_eq(restarting, ADB_IS_SO_ALREADY);
	down();
}
END_TEST

START_TEST(a_picture_is_whole_or_refused)
{
	struct iotime it = soon();
	struct strbuf png = {0};
	uint32_t w = 0;
	uint32_t h = 0;

	connected(NULL);
	ck_assert_int_eq(adb_service_text(conn, "exec:screencap -p", 1 << 20, &png, &it, &e), 0);
	ck_assert_msg(adb_png_check((const uint8_t *)png.s, png.len, &w, &h, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(w, 16);
	ck_assert_uint_eq(h, 9);
	for (size_t n = 0; n < png.len; n++)
		ck_assert_int_eq(
			adb_png_check((const uint8_t *)png.s, n, &w, &h, &e), -ERR_PROTOCOL);
	png.s[50] ^= 1;
	ck_assert_int_eq(adb_png_check((const uint8_t *)png.s, png.len, &w, &h, &e), -ERR_PROTOCOL);
	sb_done(&png);
	down();
}
END_TEST

/* --- sideload --- */

static const char *const sideload_phone[] = {"adb-mode", "sideload", NULL};

START_TEST(a_recovery_gets_each_block_in_its_own_order)
{
	struct iotime it = soon();
	static uint8_t bytes[70000];
	struct adb_source src = {bytes, sizeof bytes};
	struct adb_sideload_result res = {0};

	connected(sideload_phone);
	ck_assert_str_eq(adb_conn_peer(conn)->state, "sideload");
	ck_assert_msg(adb_sideload(conn, &src, NULL, &it, &res, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.blocks, 2);
	ck_assert_uint_eq(res.blocks_served, 2);
	ck_assert_uint_eq(res.requests, 6);
	ck_assert(!res.old);
	down();
}
END_TEST

START_TEST(a_recovery_from_before_4_4_gets_all_at_once)
{
	static const char *const old[] = {"adb-mode", "sideload", "adb-old-sideload", "1", NULL};
	struct iotime it = soon();
	static uint8_t bytes[70000];
	struct adb_source src = {bytes, sizeof bytes};
	struct adb_sideload_result res = {0};

	connected(old);
	ck_assert_msg(adb_sideload(conn, &src, NULL, &it, &res, &e) == 0, "%s", e.msg);
	ck_assert(res.old);
	down();
	connected(old);
	sim_link_fault(&phone, "sideload-fail");
	ck_assert_int_eq(adb_sideload(conn, &src, NULL, &it, &res, &e), -ERR_DEVICE_REFUSED);
	down();
}
END_TEST

static const struct {
	const char *fault;
	enum err_code code;
	const char *says;
} sideload_faults[] = {
	{"sideload-fail", ERR_DEVICE_REFUSED, "failed"},
	{"sideload-die", ERR_PROTOCOL, "before it said DONEDONE, with 2 of 2 blocks"},
	{"sideload-past", ERR_PROTOCOL, "asked for block 2, the package has 2"},
	{"hangup-reply=200", ERR_DEVICE_GONE, "before it said DONEDONE"},
};

START_TEST(a_sideload_that_does_not_say_done_has_failed)
{
	struct iotime it = soon();
	static uint8_t bytes[70000];
	struct adb_source src = {bytes, sizeof bytes};
	struct adb_sideload_result res = {0};

	connected(sideload_phone);
	sim_link_fault(&phone, sideload_faults[_i].fault);
	ck_assert_int_eq(
		adb_sideload(conn, &src, NULL, &it, &res, &e), -(int)sideload_faults[_i].code);
	ck_assert_msg(strstr(e.msg, sideload_faults[_i].says), "%s", e.msg);
	down();
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("adb");
	TCase *t = tcase_create("adb");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_phone_says_what_it_is);
	tcase_add_test(t, a_key_that_the_phone_knows_is_accepted_and_another_is_offered_once);
	tcase_add_test(t, a_phone_that_accepts_no_key_ends_as_unauthorized);
	tcase_add_loop_test(
		t, a_fault_of_the_handshake_has_its_code, 0, ARRAY_LEN(handshake_faults));
	tcase_add_test(t, a_packet_of_a_former_session_is_dropped);
	tcase_add_loop_test(t, a_command_gives_its_output_and_its_status, 0, ARRAY_LEN(shells));
	tcase_add_loop_test(
		t, much_output_is_kept_to_its_cap_and_said_to_be_cut, 0, ARRAY_LEN(shells));
	tcase_add_loop_test(t, a_command_without_a_status_is_an_error, 0, ARRAY_LEN(shells));
	tcase_add_test(t, a_word_is_a_word_whatever_it_holds);
	tcase_add_test(t, bytes_one_by_one_are_the_same_bytes);
	tcase_add_loop_test(t, a_fault_of_a_stream_has_its_code, 0, ARRAY_LEN(stream_faults));
	tcase_add_test(t, a_broken_connection_says_so_to_every_call);
	tcase_add_test(t, a_close_from_stream_0_is_a_close);
	tcase_add_loop_test(t, a_file_comes_back_as_it_went, 0, ARRAY_LEN(sizes));
	tcase_add_loop_test(t, a_file_comes_back_from_an_old_phone_too, 0, ARRAY_LEN(sizes));
	tcase_add_test(t, a_directory_is_listed_and_what_is_not_there_has_no_mode);
	tcase_add_test(t, no_path_leaves_the_tree_of_the_virtual_phone);
	tcase_add_loop_test(
		t, a_push_that_fails_says_what_the_phone_says, 0, ARRAY_LEN(push_faults));
	tcase_add_loop_test(t, a_package_is_installed_found_and_removed, 0, ARRAY_LEN(shells));
	tcase_add_test(t, root_and_remount_are_what_the_phone_says);
	tcase_add_test(t, a_picture_is_whole_or_refused);
	tcase_add_test(t, a_recovery_gets_each_block_in_its_own_order);
	tcase_add_test(t, a_recovery_from_before_4_4_gets_all_at_once);
	tcase_add_loop_test(
		t, a_sideload_that_does_not_say_done_has_failed, 0, ARRAY_LEN(sideload_faults));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
