/* SPDX-License-Identifier: Apache-2.0
 *
 * MCUmgr's protocol: bytes that another implementation recorded (JPHutchins/smp, tests/binary_regressions), and sessions with
 * provsim's unit, which shares no code with them.
 */
#include "tests/unit/transports/mcuboot_file.h"
#include "tests/unit/transports/sim_link.h"
#include "transports/protocols/mcumgr/smp_impl.h"

static struct sim_link sim;
static struct fake_link fake;
static struct smp *smp;
static struct smp_opts opts;
static struct smp_uploaded done;
static struct err e;
static uint8_t file[40000];
static size_t file_n;
static uint8_t hash[SHA256_BYTES];

static struct iotime soon(void)
{
	return (struct iotime){now_us() + 20 * US_PER_S, NULL};
}

static void set_up(void)
{
	opts = SMP_OPTS_DEFAULT;
	file_n = mcuboot_file(file, sizeof file, 2, 20000, false);
	sha256_of(file, 64 + 20000, hash);
}

static void tear_down(void)
{
	smp = smp_free(smp);
	if (sim.device)
		sim_link_done(&sim);
	if (fake.link.ops)
		fake_done(&fake);
	memset(&sim, 0, sizeof sim);
	memset(&fake, 0, sizeof fake);
}

static void plug(const char *const *settings)
{
	sim_link_init(&sim, "mcumgr", settings);
	smp = smp_new(&sim.link, &opts, NULL);
}

static int upload(void)
{
	const struct smp_upload u = {.name = "fw", .data = file, .bytes = (uint32_t)file_n};
	struct iotime it = soon();

	return smp_upload(smp, &u, &done, &it, &e);
}

static int list(struct smp_images *l)
{
	struct iotime it = soon();

	return smp_list(smp, l, &it, &e);
}

static void says(const char *what)
{
	ck_assert_msg(strstr(e.msg, what), "'%s' does not say '%s'", e.msg, what);
}

/* --- recorded bytes --- */

static const char *answer_hex; /* of the packet, without its line */

/* The packet in a line that is right. */
static void answers(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	uint8_t raw[128];
	struct wbytes w = wbytes_of(raw, sizeof raw);
	uint8_t packet[100];
	size_t len = strlen(answer_hex) / 2;
	uint16_t crc = 0;

	ck_assert(hex_parse(answer_hex, packet, len));
	for (size_t i = 0; i < len; i++)
		for (int bit = 7; bit >= 0; bit--) {
			bool top = crc >> 15;

			crc = (uint16_t)(crc << 1);
			if (top != (packet[i] >> bit & 1))
				crc ^= 0x1021;
		}
	wb_be16(&w, (uint16_t)(len + 2));
	wb_put(&w, packet, len);
	wb_be16(&w, crc);

	_cleanup_(freep) char *text = base64_of(raw, w.len);

	fake_says(f, "uart:~$ \x06\x09");
	fake_says(f, text);
	fake_says(f, "\n");
}

static void fake_unit(uint8_t seq, const char *answer)
{
	answer_hex = answer;
	fake_init(&fake, answers, NULL);
	smp = smp_new(&fake.link, &opts, NULL);
	smp->seq = (uint8_t)(seq - 1);
}

/* The packet that was sent, as hexadecimal digits. */
static void sent(const char *hex)
{
	_cleanup_(freep) uint8_t *raw = NULL;
	char got[400];
	size_t n = 0;

	ck_assert_uint_gt(fake.heard_len, 4);
	ck_assert_mem_eq(fake.heard, "\x06\x09", 2);
	ck_assert_uint_eq(fake.heard[fake.heard_len - 1], '\n');
	fake.heard[fake.heard_len - 1] = 0;
	raw = base64_parse((const char *)fake.heard + 2, &n);
	ck_assert_ptr_nonnull(raw);
	ck_assert_uint_eq((size_t)(raw[0] << 8 | raw[1]), n - 2);
	hex_of(raw + 2, n - 4, got);
	ck_assert_str_eq(got, hex);
}

START_TEST(echo_has_the_recorded_bytes)
{
	struct iotime it = soon();

	fake_unit(139, "0b00001000008b00a161726c48656c6c6f20776f726c6421");
	ck_assert_msg(smp_echo(smp, "Hello world!", &it, &e) == 0, "%s", e.msg);
	sent("0a00001000008b00a161646c48656c6c6f20776f726c6421");
}
END_TEST

START_TEST(a_recorded_answer_is_read)
{
	struct iotime it = soon();

	fake_unit(140, "0b00000700008c00a1617263486921");
	ck_assert_msg(smp_echo(smp, "Hi!", &it, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(smp_echo(smp, "Ho!", &it, &e),
		-ERR_TIMEOUT); /* the number of the question before */
}
END_TEST

START_TEST(the_list_and_reset_have_the_recorded_bytes)
{
	struct smp_images l;
	struct iotime it = soon();

	fake_unit(13, "0900000900010d00a166696d6167657380");
	ck_assert_msg(list(&l) == 0, "%s", e.msg);
	ck_assert_uint_eq(l.n, 0);
	sent("0800000100010d00a0");
	fake_done(&fake);
	smp = smp_free(smp);
	fake_unit(141, "0b00000100008d05a0");
	ck_assert_msg(smp_reset(smp, &it, &e) == 0, "%s", e.msg);
	sent("0a00000100008d05a0");
}
END_TEST

/* As binascii.crc_hqx() of Python makes it. */
START_TEST(the_checksum_is_that_of_another_library)
{
	struct iotime it = soon();
	_cleanup_(freep) uint8_t *raw = NULL;
	size_t n = 0;

	fake_unit(1, "0b00000700008c00a1617263486921");
	opts.attempts = 1;
	smp->o.attempts = 1;
	smp_echo(smp, "", &it, &e);
	fake.heard[fake.heard_len - 1] = 0;
	raw = base64_parse((const char *)fake.heard + 2, &n);
	ck_assert_ptr_nonnull(raw);
	/* 0a 00 0004 0000 01 00 a1 61 64 60 */
	ck_assert_uint_eq(n, 2 + 12 + 2);
	ck_assert_uint_eq(raw[14] << 8 | raw[15], 0x5fdc);
}
END_TEST

static const struct {
	const char *answer;
	int code;
	const char *says;
} refusals[] = {
	{"0900000500010d00a162726303", ERR_DEVICE_REFUSED, "invalid value (rc 3)"},
	{"0900000500010d00a162726308", ERR_UNSUPPORTED, "not supported"},
	{"0900001200010d00a163657272a26567726f7570016272631826", ERR_DEVICE_REFUSED,
		"error 38 of group 1"},
	{"0900000100010d0080", ERR_PROTOCOL, "not a map"},
	{"0900000600010d00a16172626869", ERR_PROTOCOL, "has none"},
	/* A list that says that it has four thousand million members. */
	{"0900000d00010d00a166696d616765739affffffff", ERR_PROTOCOL, "not a map"},
	{"0900000a00010d00a166696d61676573", ERR_TIMEOUT, "no answer"},
};

START_TEST(what_is_no_answer_is_told_as_what_it_is)
{
	struct smp_images l;

	opts.attempts = 1;
	fake_unit(13, refusals[_i].answer);
	ck_assert_msg(list(&l) == -refusals[_i].code, "%d %s", e.code, e.msg);
	says(refusals[_i].says);
}
END_TEST

/* --- a unit --- */

START_TEST(an_image_is_uploaded_chosen_started_and_kept)
{
	struct smp_images l;
	struct iotime it = soon();
	const struct smp_image *i;

	plug(NULL);
	ck_assert_msg(upload() == 0, "%s", e.msg);
	ck_assert_msg(list(&l) == 0, "%s", e.msg);
	i = smp_find(&l, hash, sizeof hash);
	ck_assert_ptr_nonnull(i);
	ck_assert_str_eq(i->version, "2.1.3");
	ck_assert(!i->active && !i->pending);
	ck_assert_msg(smp_select(smp, hash, sizeof hash, false, &l, &it, &e) == 0, "%s", e.msg);
	ck_assert(smp_find(&l, hash, sizeof hash)->pending);
	ck_assert_msg(smp_reset(smp, &it, &e) == 0, "%s", e.msg);
	sim.now += US_PER_S;
	ck_assert_msg(list(&l) == 0, "%s", e.msg);
	ck_assert_mem_eq(smp_active(&l, 0)->hash, hash, sizeof hash);
	ck_assert(!smp_active(&l, 0)->confirmed);
	ck_assert_msg(smp_select(smp, hash, sizeof hash, true, &l, &it, &e) == 0, "%s", e.msg);
	ck_assert(smp_active(&l, 0)->confirmed);
}
END_TEST

/* An upload through packets of every size comes out the same. */
START_TEST(packets_of_any_size_carry_it)
{
	static const unsigned sizes[] = {128, 129, 200, 384, 1000, 2000};
	struct smp_images l;

	opts.mtu = sizes[_i];
	plug(NULL);
	ck_assert_msg(upload() == 0, "%s", e.msg);
	ck_assert_msg(list(&l) == 0 && smp_find(&l, hash, sizeof hash), "%u: %s", sizes[_i], e.msg);
}
END_TEST

START_TEST(a_unit_that_does_not_say_its_size_gets_small_packets)
{
	static const char *const old[] = {"mcumgr-buffer", "0", NULL};
	struct smp_images l;

	opts.version = 1;
	plug(old);
	ck_assert_msg(upload() == 0, "%s", e.msg);
	ck_assert_msg(list(&l) == 0 && smp_find(&l, hash, sizeof hash), "%s", e.msg);
}
END_TEST

static const char *const made_good[] = {"silent=0x101", "silent=0x100", "twice=0x101",
	"twice=0x100", "wrong-seq", "bad-crc", "noise,count=0", "cut", "forget", "drop=700",
	"flip=700", "drop-reply=100", "flip-reply=100"};

START_TEST(what_goes_wrong_once_is_made_good)
{
	struct smp_images l;

	plug(NULL);
	sim_link_fault(&sim, made_good[_i]);
	ck_assert_msg(upload() == 0, "%s: %s", made_good[_i], e.msg);
	ck_assert_msg(
		list(&l) == 0 && smp_find(&l, hash, sizeof hash), "%s: %s", made_good[_i], e.msg);
	ck_assert_uint_gt(sim.faults.fired + sim.wire_faults.fired, 0);
}
END_TEST

static const struct {
	const char *fault;
	int code;
} lasting[] = {
	{"silent=0x101,count=0", ERR_TIMEOUT},
	{"refuse=0x101,count=0", ERR_DEVICE_REFUSED},
	{"wrong-seq,count=0", ERR_TIMEOUT},
	{"bad-crc,count=0", ERR_TIMEOUT},
	{"cut,count=0", ERR_TIMEOUT},
	{"forget,count=0", ERR_DEVICE_REFUSED},
};

START_TEST(what_lasts_never_passes)
{
	plug(NULL);
	sim_link_fault(&sim, lasting[_i].fault);
	ck_assert_msg(upload() == -lasting[_i].code, "%s: %d %s", lasting[_i].fault, e.code, e.msg);
	ck_assert(*e.msg);
}
END_TEST

START_TEST(an_upload_that_broke_off_goes_on_where_it_was)
{
	struct smp_images l;

	plug(NULL);
	sim_link_fault(&sim, "stall=15000");
	ck_assert_int_eq(upload(), -ERR_TIMEOUT);
	sim.faults.n = 0;
	faults_clear(&sim.wire_faults);
	sim.device->ops->clear_faults(sim.device);
	smp = smp_free(smp);
	smp = smp_new(&sim.link, &opts, NULL);
	ck_assert_msg(upload() == 0, "%s", e.msg);
	ck_assert_uint_gt(done.resumed_at, 1000);
	ck_assert_msg(list(&l) == 0 && smp_find(&l, hash, sizeof hash), "%s", e.msg);
}
END_TEST

START_TEST(a_missing_answer_is_owed_to_the_dialogue_that_follows)
{
	plug(NULL);
	sim_link_fault(&sim, "silent=0x101,count=0");
	ck_assert_int_eq(upload(), -ERR_TIMEOUT);
	smp = smp_free(smp);
	ck_assert_uint_gt(sim.link.turn.owed, 0);
}
END_TEST

START_TEST(a_unit_that_goes_is_gone_at_once)
{
	plug(NULL);
	sim_link_fault(&sim, "disappear=2000");
	ck_assert_int_eq(upload(), -ERR_DEVICE_GONE);
}
END_TEST

START_TEST(a_rotten_byte_in_the_slot_is_not_started)
{
	struct smp_images l;
	struct iotime it = soon();

	plug(NULL);
	sim_link_fault(&sim, "bit-rot=9000");
	ck_assert_msg(upload() == 0, "%s", e.msg);
	ck_assert_int_eq(smp_select(smp, hash, sizeof hash, false, &l, &it, &e), 0);
	ck_assert_int_eq(smp_reset(smp, &it, &e), 0);
	sim.now += US_PER_S;
	ck_assert_msg(list(&l) == 0, "%s", e.msg);
	ck_assert_mem_ne(smp_active(&l, 0)->hash, hash, sizeof hash);
}
END_TEST

static Suite *smp_suite(void)
{
	Suite *s = suite_create("smp");
	TCase *t = tcase_create("smp");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, echo_has_the_recorded_bytes);
	tcase_add_test(t, a_recorded_answer_is_read);
	tcase_add_test(t, the_list_and_reset_have_the_recorded_bytes);
	tcase_add_test(t, the_checksum_is_that_of_another_library);
	tcase_add_loop_test(t, what_is_no_answer_is_told_as_what_it_is, 0, ARRAY_LEN(refusals));
	tcase_add_test(t, an_image_is_uploaded_chosen_started_and_kept);
	tcase_add_loop_test(t, packets_of_any_size_carry_it, 0, 6);
	tcase_add_test(t, a_unit_that_does_not_say_its_size_gets_small_packets);
	tcase_add_loop_test(t, what_goes_wrong_once_is_made_good, 0, ARRAY_LEN(made_good));
	tcase_add_loop_test(t, what_lasts_never_passes, 0, ARRAY_LEN(lasting));
	tcase_add_test(t, an_upload_that_broke_off_goes_on_where_it_was);
	tcase_add_test(t, a_missing_answer_is_owed_to_the_dialogue_that_follows);
	tcase_add_test(t, a_unit_that_goes_is_gone_at_once);
	tcase_add_test(t, a_rotten_byte_in_the_slot_is_not_started);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(smp_suite)
