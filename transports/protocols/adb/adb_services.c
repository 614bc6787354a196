/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/adb/adb_services.h"

#include <ctype.h>

#include "base/digest.h"
#include "base/secret.h"

#define GONE_US	      (30 * US_PER_S)
#define PUSHED_MODE   0644u
#define END_MARK_SIZE 1024u

/* What is left of a reply for people: no line ends at its end, escaped. */
static void tidy(const char *said, size_t n, char reply[ADB_REPLY_MAX])
{
	_cleanup_(freep) char *text = NULL;

	while (n && isspace((unsigned char)said[n - 1]))
		n--;
	text = adb_text(said ? said : "", n, ADB_REPLY_MAX / 2);
	snprintf(reply, ADB_REPLY_MAX, "%s", text);
}

/* --- packages --- */

/* The first line that begins with the word; NULL without one. */
static const char *line_of(const struct strbuf *said, const char *word, size_t *ret_n)
{
	size_t n = strlen(word);
	const char *at = said->s;
	const char *end = said->s ? said->s + said->len : NULL;

	while (at && at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));

		if ((size_t)(end - at) >= n && !memcmp(at, word, n)) {
			*ret_n = (size_t)((nl ? nl : end) - at);
			return at;
		}
		at = nl ? nl + 1 : NULL;
	}
	return NULL;
}

/* Finds a line that consists of exactly these words. "Success: not quite" does not match "Success".
 */
static const char *whole_line(const struct strbuf *said, const char *words, size_t *ret_n)
{
	const char *end = said->s ? said->s + said->len : NULL;

	for (const char *at = said->s; at && at < end;) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((nl ? nl : end) - at);

		while (n > 0 && strchr(" \t\r", at[n - 1]) && at[n - 1])
			n--;
		if (n == strlen(words) && !memcmp(at, words, n)) {
			*ret_n = n;
			return at;
		}
		at = nl ? nl + 1 : NULL;
	}
	return NULL;
}

/* Newer devices put warnings before the word: the reply is the line that decides. */
static int judge_pm(
	const struct strbuf *said, const char *what, char reply[ADB_REPLY_MAX], struct err *e)
{
	size_t n = 0;
	const char *failure = line_of(said, "Failure", &n);
	const char *line = failure ? failure : whole_line(said, "Success", &n);

	if (line)
		tidy(line, n, reply);
	else
		tidy(said->s, said->len, reply);
	if (line && !failure)
		return 0;
	return err_set(e, ERR_DEVICE_REFUSED, "%s: the unit says '%.200s'", what,
		reply[0] ? reply : "nothing");
}

static void add_words(struct strbuf *b, const char *const *words)
{
	for (; *words; words++) {
		sb_add(b, " ");
		adb_quote(b, *words);
	}
}

static int stream_apk(struct adb_stream *s, const struct adb_source *apk, const struct teller *tell,
	const struct iotime *it, struct err *e)
{
	size_t piece = adb_stream_piece(s);
	bool said = false;
	int r = 0;

	for (uint64_t done = 0; r == 0 && !said && done < apk->size;) {
		size_t n = (size_t)MIN(apk->size - done, (uint64_t)piece);
		struct iotime idle = adb_conn_idle(adb_stream_conn(s), it);

		r = adb_stream_write(s, apk->bytes + done, n, &said, &idle, e);
		done += n;
		teller_progress(tell, "transfer", done, apk->size);
	}
	return r;
}

static int read_rest(
	struct adb_stream *s, struct strbuf *said, const struct iotime *it, struct err *e)
{
	const uint8_t *p;
	size_t n = 1;
	int r = 0;

	while (r == 0 && n > 0) {
		r = adb_stream_read(s, &p, &n, it, e);
		if (r == 0)
			sb_add_n(said, p, MIN(n, 65536 - MIN(said->len, (size_t)65536)));
	}
	return r;
}

static int install_streamed(struct adb_conn *c, const struct adb_source *apk,
	const char *const *words, const struct teller *tell, const struct iotime *it,
	char reply[ADB_REPLY_MAX], struct err *e)
{
	_cleanup_(adb_stream_freep) struct adb_stream *s = NULL;
	_cleanup_(sb_done) struct strbuf name = {0};
	_cleanup_(sb_done) struct strbuf said = {0};
	int r;

	sb_add(&name, "exec:cmd package install");
	add_words(&name, words);
	sb_addf(&name, " -S %llu", (unsigned long long)apk->size);
	r = adb_stream_open(c, name.s, it, &s, e);
	if (r == 0)
		r = stream_apk(s, apk, tell, it, e);
	if (r == 0)
		r = read_rest(s, &said, it, e);
	return r < 0 ? r : judge_pm(&said, "install", reply, e);
}

static int push_apk(struct adb_conn *c, const char *path, const struct adb_source *apk,
	const struct teller *tell, const struct iotime *it, struct err *e)
{
	_cleanup_(adb_sync_freep) struct adb_sync *y = NULL;
	int r = adb_sync_open(c, it, &y, e);

	if (r == 0)
		r = adb_sync_send(y, path, PUSHED_MODE, 0, apk, tell, it, e);
	return r < 0 ? r : adb_sync_quit(y, it, e);
}

static int install_pushed(struct adb_conn *c, const struct adb_source *apk,
	const char *const *words, const struct teller *tell, const struct iotime *it,
	char reply[ADB_REPLY_MAX], struct err *e)
{
	uint8_t word[8];
	char hex[2 * sizeof word + 1];
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *delete = NULL;
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r;

	random_bytes(word, sizeof word);
	path = xasprintf("/data/local/tmp/provd-%s.apk", hex_of(word, sizeof word, hex));
	delete = xasprintf("rm -f %s", path);
	sb_add(&command, "pm install");
	add_words(&command, words);
	sb_addf(&command, " %s", path);
	r = push_apk(c, path, apk, tell, it, e);
	if (r == 0)
		r = adb_shell(c, command.s, ADB_REPLY_MAX, NULL, NULL, it, &res, e);
	if (r == 0)
		r = judge_pm(&res.out, "install", reply, e);
	adb_shell_result_done(&res);

	/* Left there it would fill the unit. What failed is in e already. */
	struct adb_shell_result gone = {0};
	struct err ignored;

	if (adb_shell(c, delete, 0, NULL, NULL, it, &gone, r < 0 ? &ignored : e) < 0 && r == 0)
		r = -(int)e->code;
	adb_shell_result_done(&gone);
	return r;
}

int adb_install(struct adb_conn *c, const struct adb_source *apk, const char *const *words,
	const struct teller *tell, const struct iotime *it, char reply[ADB_REPLY_MAX],
	struct err *e)
{
	return (adb_conn_has(c, ADB_CMD) ? install_streamed : install_pushed)(
		c, apk, words, tell, it, reply, e);
}

static const char *manager(const struct adb_conn *c)
{
	return adb_conn_has(c, ADB_CMD) ? "cmd package" : "pm";
}

int adb_uninstall(struct adb_conn *c, const char *package, bool keep_data, const struct iotime *it,
	char reply[ADB_REPLY_MAX], struct err *e)
{
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r;

	sb_addf(&command, "%s uninstall%s ", manager(c), keep_data ? " -k" : "");
	adb_quote(&command, package);
	r = adb_shell(c, command.s, ADB_REPLY_MAX, NULL, NULL, it, &res, e);
	if (r < 0)
		return r;
	r = judge_pm(res.out.len ? &res.out : &res.err, "uninstall", reply, e);
	adb_shell_result_done(&res);
	return r;
}

int adb_package_path(struct adb_conn *c, const char *package, const struct iotime *it, char *ret,
	size_t size, struct err *e)
{
	static const char prefix[] = "package:";
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r;

	sb_addf(&command, "%s path ", manager(c));
	adb_quote(&command, package);
	r = adb_shell(c, command.s, 4096, NULL, NULL, it, &res, e);
	if (r < 0)
		return r;
	ret[0] = 0;
	sb_add(&res.out, "");
	if (res.status == 0 && !strncmp(res.out.s, prefix, strlen(prefix)))
		snprintf(ret, size, "%.*s", (int)strcspn(res.out.s + strlen(prefix), "\r\n"),
			res.out.s + strlen(prefix));
	adb_shell_result_done(&res);
	return 0;
}

/* --- adbd's user, remount, reboot --- */

static bool says(const struct strbuf *b, const char *text)
{
	return b->len && memmem(b->s, b->len, text, strlen(text)) != NULL;
}

int adb_root(struct adb_conn *c, bool root, const struct iotime *it, enum adb_restarting *ret,
	char reply[ADB_REPLY_MAX], struct err *e)
{
	_cleanup_(sb_done) struct strbuf said = {0};
	int r = adb_service_text(c, root ? "root:" : "unroot:", ADB_REPLY_MAX / 2, &said, it, e);

	tidy(said.s, said.len, reply);
	/* It may restart before all is said. */
	if (r == -ERR_DEVICE_GONE && says(&said, "restarting"))
		r = 0;
	if (r < 0)
		return r;
	if (says(&said, "already running as root") || says(&said, "not running as root")) {
		*ret = ADB_IS_SO_ALREADY;
		return 0;
	}
	*ret = ADB_RESTARTS;
	if (says(&said, "restarting"))
		return 0;
	return err_set(e, ERR_DEVICE_REFUSED, "the unit says '%.200s'", reply);
}

int adb_remount(
	struct adb_conn *c, const struct iotime *it, char reply[ADB_REPLY_MAX], struct err *e)
{
	struct adb_shell_result res = {0};
	_cleanup_(sb_done) struct strbuf said = {0};
	size_t n;
	int r;

	if (adb_conn_has(c, ADB_REMOUNT_SHELL)) {
		r = adb_shell(c, "remount", ADB_REPLY_MAX, NULL, NULL, it, &res, e);
		sb_add_n(&said, res.out.s ? res.out.s : "", res.out.len);
		sb_add_n(&said, res.err.s ? res.err.s : "", res.err.len);
	} else {
		r = adb_service_text(c, "remount:", ADB_REPLY_MAX, &said, it, e);
	}
	adb_shell_result_done(&res);
	if (r < 0)
		return r;
	tidy(said.s, said.len, reply);
	/* "Now reboot your device for settings to take effect" succeeds, and nothing is writable.
	 */
	if (res.status == 0 && whole_line(&said, "remount succeeded", &n) && !says(&said, "eboot"))
		return 0;
	return err_set(e, ERR_DEVICE_REFUSED, "remount: the unit says '%.200s' (status %d)", reply,
		res.status);
}

int adb_reboot(struct adb_conn *c, const char *how, const struct iotime *it, struct err *e)
{
	_cleanup_(adb_stream_freep) struct adb_stream *s = NULL;
	_cleanup_(freep) char *service = xasprintf("reboot:%s", how);
	struct iotime gone = iotime_within(it, GONE_US);
	int r = adb_stream_open(c, service, it, &s, e);

	/* The answer may be the last that does not come. */
	if (r == -ERR_DEVICE_GONE || r == -ERR_IO)
		return 0;
	if (r == 0)
		r = adb_conn_wait_gone(c, &gone, e);
	if (r == -ERR_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "the unit took 'reboot:%s' and did not leave", how);
	return r;
}

/* --- backups --- */

int adb_backup(struct adb_conn *c, const char *const *words, adb_output_fn *output, void *data,
	const struct iotime *it, struct err *e)
{
	_cleanup_(sb_done) struct strbuf service = {0};

	sb_add(&service, "backup:");
	add_words(&service, words);
	return adb_service_read(c, service.s, output, data, it, e);
}

int adb_restore(struct adb_conn *c, const struct adb_source *file, const struct teller *tell,
	const struct iotime *it, struct err *e)
{
	static const uint8_t end_mark[END_MARK_SIZE];
	_cleanup_(adb_stream_freep) struct adb_stream *s = NULL;
	int r = adb_stream_open(c, "restore:", it, &s, e);

	for (uint64_t done = 0; r == 0 && done < file->size;) {
		size_t n = (size_t)MIN(file->size - done, (uint64_t)adb_stream_piece(s));

		r = adb_stream_write(s, file->bytes + done, n, NULL, it, e);
		done += n;
		teller_progress(tell, "transfer", done, file->size);
	}
	if (r == 0) {
		/* Two empty blocks of a tar, for a file without its end; a unit that has seen the
		 * end may have closed. */
		bool closed;

		r = adb_stream_write(s, end_mark, sizeof end_mark, &closed, it, e);
	}
	return r < 0 ? r : adb_stream_wait_close(s, it, e);
}
