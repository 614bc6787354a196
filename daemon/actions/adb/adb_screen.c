/* SPDX-License-Identifier: Apache-2.0
 *
 * adb.screencap, adb.screenrecord: pictures and films that are whole.
 */
#include "base/bytes.h"
#include "base/secret.h"
#include "daemon/actions/adb/adb_session.h"
#include "transports/images/foreign.h"

#define PICTURE_MAX (64u << 20)
#define RECORD_MAX  (180 * US_PER_S) /* screenrecord takes no more */

/* Whole seconds, rounded up. */
static unsigned seconds_of(uint64_t us)
{
	return (unsigned)((us + US_PER_S - 1) / US_PER_S);
}

static int save(struct step *s, const char *name, const struct strbuf *bytes,
	char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	int r = step_file(s, name, &f, e);

	if (r == 0)
		r = outfile_add(&f, bytes->s, bytes->len, e);
	if (r == 0)
		r = outfile_end(&f, sha256, e);
	return r < 0 ? r : step_file_commit(s, &f, e);
}

/* A unit without the program says so where the picture would be. */
static int check_picture(const struct strbuf *png, uint32_t *width, uint32_t *height, struct err *e)
{
	int r = adb_png_check((const uint8_t *)png->s, png->len, width, height, e);

	if (r < 0 && png->len == 0)
		return err_set(e, ERR_DEVICE_REFUSED,
			"screencap on the unit gave nothing (has it a screen?)");
	if (r < 0 && foreign_is_text((const uint8_t *)png->s, png->len)) {
		_cleanup_(freep) char *said = adb_text(png->s, png->len, 160);

		return err_set(e, ERR_DEVICE_REFUSED,
			"screencap on the unit gave no picture, it says: %s", said);
	}
	return r;
}

static int screencap_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	_cleanup_(sb_done) struct strbuf png = {0};
	char sha256[SHA256_HEX];
	uint32_t width = 0;
	uint32_t height = 0;
	int r = adb_session_open(&x, e);

	if (r == 0)
		r = adb_service_text(x.conn, "exec:screencap -p", PICTURE_MAX, &png, &s->it, e);
	if (r == 0)
		r = check_picture(&png, &width, &height, e);
	if (r == 0)
		r = save(s, args_str(a, "file"), &png, sha256, e);
	if (r < 0)
		return r;
	result_evidence(out, "bytes", json_integer((json_int_t)png.len));
	result_evidence(out, "sha256", json_string(sha256));
	result_evidence(out, "width", json_integer(width));
	result_evidence(out, "height", json_integer(height));
	result_evidence(out, "proven_by", json_string("every chunk's CRC and the end of the PNG"));
	result_output(out, "sha256", json_string(sha256));
	result_output(out, "width", json_integer(width));
	result_output(out, "height", json_integer(height));
	return 0;
}

static const struct action_arg screencap_args[] = {
	ARG_ROWS_ADB,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the PNG goes"},
	{0},
};

static const struct action_output screencap_outputs[] = {
	{"sha256", "of the file"}, {"width", "pixels"}, {"height", "pixels"}, {0}};

const struct action action_adb_screencap = {
	.name = "adb.screencap",
	.doc = "Takes a picture of the unit's screen.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = screencap_args,
	.outputs = screencap_outputs,
	.default_timeout_us = 60 * US_PER_S,
	.run = screencap_run,
};

/* --- screenrecord --- */

/* ISO/IEC 14496-12, 4.2: boxes of u32 size and a type, one after the other to the end of the file;
 * a recording that was not ended has no moov, and no player shows it. */
static int mp4_check(const uint8_t *p, uint64_t n, struct err *e)
{
	struct rbytes b = rbytes_of(p, n);
	bool index = false;

	for (uint64_t at = 0; at < n;) {
		uint64_t size = rb_be32(&b);
		const uint8_t *type = rb_take(&b, 4);

		if (size == 1)
			size = (uint64_t)rb_be32(&b) << 32 | rb_be32(&b);
		if (size == 0)
			size = n - at;
		if (!type || b.bad || size < b.pos - at || size > n - at)
			return err_set(e, ERR_PROTOCOL, "the film ends in its middle, at byte %llu",
				(unsigned long long)at);
		if (at == 0 && memcmp(type, "ftyp", 4) != 0)
			return err_set(e, ERR_PROTOCOL,
				"what screenrecord wrote is not an MP4 file: see the log of the unit");
		index |= !memcmp(type, "moov", 4);
		at += size;
		b.pos = at;
	}
	if (!index)
		return err_set(e, ERR_PROTOCOL, "the film has no index (moov): it was cut short");
	return 0;
}

static int check_film(const char *path, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *film = NULL;
	int r = blob_open(path, BLOB_COPIED, &film, e);

	return r < 0 ? r : mp4_check(film->data, film->size, e);
}

static int record(struct adb_session *x, const char *path, struct err *e)
{
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r;

	sb_addf(&command, "screenrecord --time-limit %u",
		seconds_of(args_duration_us(x->a, "duration")));
	if (args_has(x->a, "size")) {
		sb_add(&command, " --size ");
		adb_quote(&command, args_str(x->a, "size"));
	}
	if (args_has(x->a, "bit_rate"))
		sb_addf(&command, " --bit-rate %llu",
			(unsigned long long)args_size(x->a, "bit_rate"));
	sb_addf(&command, " %s", path);
	r = adb_shell_ok(x->conn, command.s, &x->s->it, &res, e);
	adb_shell_result_done(&res);
	return r;
}

static int fetch(struct adb_session *x, const char *path, struct outfile *to,
	char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_(adb_sync_freep) struct adb_sync *y = NULL;
	struct adb_stat st = {0};
	uint64_t n = 0;
	int r = adb_sync_open(x->conn, &x->s->it, &y, e);

	if (r == 0)
		r = adb_sync_stat(y, path, &x->s->it, &st, e);
	if (r == 0)
		r = step_file(x->s, args_str(x->a, "file"), to, e);
	if (r == 0)
		r = adb_sync_recv(y, path, outfile_add, to, &n, &x->s->it, e);
	if (r == 0 && n != st.size)
		r = err_set(e, ERR_READ_BACK_MISMATCH, "the film has %llu bytes, %llu came",
			(unsigned long long)st.size, (unsigned long long)n);
	if (r == 0)
		r = adb_sync_quit(y, &x->s->it, e);
	return r < 0 ? r : outfile_end(to, sha256, e);
}

static int screenrecord_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	_cleanup_(outfile_done) struct outfile to = {.fd = -1};
	uint64_t duration = args_duration_us(a, "duration");
	uint8_t word[8];
	char hex[2 * sizeof word + 1];
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *delete = NULL;
	struct adb_shell_result gone = {0};
	char sha256[SHA256_HEX];
	int r;

	if (duration < US_PER_S || duration > RECORD_MAX)
		return err_set(e, ERR_INVALID, "'duration' has to be from 1s to 180s");
	random_bytes(word, sizeof word);
	path = xasprintf("/data/local/tmp/provd-%s.mp4", hex_of(word, sizeof word, hex));
	delete = xasprintf("rm -f %s", path);
	r = adb_session_open(&x, e);
	if (r == 0)
		r = record(&x, path, e);
	if (r == 0)
		r = fetch(&x, path, &to, sha256, e);
	if (r == 0)
		r = check_film(to.part, e);
	if (r == 0)
		r = adb_shell_ok(x.conn, delete, &s->it, &gone, e);
	adb_shell_result_done(&gone);
	if (r == 0)
		r = step_file_commit(s, &to, e);
	if (r < 0)
		return r;
	result_evidence(out, "bytes", json_integer((json_int_t)to.bytes));
	result_evidence(out, "sha256", json_string(sha256));
	result_evidence(out, "proven_by", json_string("the boxes of the MP4 and its index"));
	result_output(out, "sha256", json_string(sha256));
	return 0;
}

static const struct action_arg screenrecord_args[] = {
	ARG_ROWS_ADB,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the MP4 goes"},
	{.name = "duration",
		.type = ARG_DURATION,
		.def = "10s",
		.doc = "from 1s to 180s, in whole seconds"},
	{.name = "size", .type = ARG_STRING, .doc = "1280x720"},
	{.name = "bit_rate", .type = ARG_SIZE, .unit = "bits per second", .doc = "of the film"},
	{0},
};

static const struct action_output screenrecord_outputs[] = {{"sha256", "of the file"}, {0}};

const struct action action_adb_screenrecord = {
	.name = "adb.screenrecord",
	.doc = "Films the unit's screen for some time.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = screenrecord_args,
	.outputs = screenrecord_outputs,
	.default_timeout_us = 300 * US_PER_S,
	.run = screenrecord_run,
};
