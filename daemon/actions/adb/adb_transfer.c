/* SPDX-License-Identifier: Apache-2.0
 *
 * adb.push, adb.pull. A push has passed when the unit's file was read back: by the unit's own
 * sha256sum, or by pulling it.
 */
#include <sys/stat.h>

#include "daemon/actions/adb/adb_session.h"

#define MODE_DEFAULT "0644"

DEFINE_CLEANUP(struct sha256, sha256_free)

struct pushing {
	struct adb_session x;
	struct adb_sync *sync;
	struct adb_infile in;
	const char *path;
	bool has_mode; /* the recipe says which; else what the unit makes of 0644 is right */
	unsigned mode;
	unsigned mode_read;
	const char *mode_by;
	char read[SHA256_HEX];
	const char *read_by;
};

static void pushing_done(struct pushing *p)
{
	adb_sync_free(p->sync);
	adb_session_done(&p->x);
	adb_infile_done(&p->in);
}

static int mode_of(const struct args *a, unsigned *ret, struct err *e)
{
	const char *text = args_has(a, "mode") ? args_str(a, "mode") : MODE_DEFAULT;
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!*text || *end || mode > 07777)
		return err_set(e, ERR_INVALID, "'mode' is octal, as 0644: not '%.20s'", text);
	*ret = (unsigned)mode;
	return 0;
}

static int add_digest(void *digest, const void *p, size_t n, struct err *e)
{
	sha256_add(digest, p, n);
	return 0;
}

static int digest_by_pull(struct pushing *p, struct err *e)
{
	_cleanup_(sha256_freep) struct sha256 *d = sha256_new();
	uint8_t raw[SHA256_BYTES];
	uint64_t n = 0;
	int r = adb_sync_recv(p->sync, p->path, add_digest, d, &n, &p->x.s->it, e);

	if (r < 0)
		return r;
	sha256_end(d, raw);
	hex_of(raw, sizeof raw, p->read);
	p->read_by = "pulled back";
	return 0;
}

/* What the unit's file holds, by the strongest way that was asked for. */
static int read_digest(struct pushing *p, struct err *e)
{
	const char *how = args_str(p->x.a, "verify");
	int r;

	if (!strcmp(how, "pull"))
		return digest_by_pull(p, e);
	r = adb_remote_sha256(&p->x, p->path, p->read, &p->read_by, e);
	if (r == -ERR_UNSUPPORTED && !strcmp(how, "auto"))
		r = digest_by_pull(p, e);
	return r;
}

/* Whether the unit's file is the one already. */
static int is_equal(struct pushing *p, bool *ret, struct err *e)
{
	struct adb_stat st = {0};
	int r = adb_sync_stat(p->sync, p->path, &p->x.s->it, &st, e);

	*ret = false;
	if (r < 0)
		return r;
	p->mode_read = st.mode & 07777;
	if (S_ISDIR(st.mode))
		return err_set(e, ERR_INVALID,
			"%.200s is a directory on the unit: give the file's whole path", p->path);
	if (!args_bool(p->x.a, "skip_equal") || !S_ISREG(st.mode) || st.size != p->in.src.size)
		return 0;
	r = read_digest(p, e);
	*ret = r == 0 && !strcmp(p->read, p->in.sha256);
	/* What cannot be read now can be once it is written. */
	return r == -ERR_UNSUPPORTED || r == -ERR_DEVICE_REFUSED ? 0 : r;
}

static int check_pushed(struct pushing *p, struct err *e)
{
	struct adb_stat st = {0};
	int r = adb_sync_stat(p->sync, p->path, &p->x.s->it, &st, e);

	if (r < 0)
		return r;
	p->mode_read = st.mode & 07777;
	if (!S_ISREG(st.mode))
		return err_set(e, ERR_VERIFY_MISMATCH,
			"%.200s: acknowledged, and not there as a file", p->path);
	if (st.size != (st.size_is_whole ? p->in.src.size : (uint32_t)p->in.src.size))
		return err_set(e, ERR_VERIFY_MISMATCH,
			"%.200s: %llu bytes were written, the unit has %llu", p->path,
			(unsigned long long)p->in.src.size, (unsigned long long)st.size);
	r = read_digest(p, e);
	if (r == 0 && strcmp(p->read, p->in.sha256) != 0)
		r = err_set(e, ERR_VERIFY_MISMATCH,
			"%.160s: sha256 %.16s... was written, %.16s... read back", p->path,
			p->in.sha256, p->read);
	return r;
}

/* A killed sync stream after a refused skip leaves nothing to send on. */
static int reopen_sync(struct pushing *p, struct err *e)
{
	int r = adb_sync_quit(p->sync, &p->x.s->it, e);

	p->sync = adb_sync_free(p->sync);
	return r < 0 ? r : adb_sync_open(p->x.conn, &p->x.s->it, &p->sync, e);
}

static int push_bytes(struct pushing *p, struct err *e)
{
	const struct teller tell = step_teller(p->x.s);
	struct adb_shell_result res = {0};
	int r = reopen_sync(p, e);

	if (r == 0)
		r = adb_sync_send(
			p->sync, p->path, p->mode, p->in.mtime, &p->in.src, &tell, &p->x.s->it, e);
	if (r == 0 && args_bool(p->x.a, "sync"))
		r = adb_shell_ok(p->x.conn, "sync", &p->x.s->it, &res, e);
	adb_shell_result_done(&res);
	return r < 0 ? r : check_pushed(p, e);
}

static int chmod_on_unit(struct pushing *p, struct err *e)
{
	_cleanup_(sb_done) struct strbuf command = {0};
	struct adb_shell_result res = {0};
	int r;

	sb_addf(&command, "chmod %04o ", p->mode);
	adb_quote(&command, p->path);
	r = adb_shell_ok(p->x.conn, command.s, &p->x.s->it, &res, e);
	adb_shell_result_done(&res);
	return r;
}

static int read_mode(struct pushing *p, struct err *e)
{
	struct adb_stat st = {0};
	int r = adb_sync_stat(p->sync, p->path, &p->x.s->it, &st, e);

	if (r == 0)
		p->mode_read = st.mode & 07777;
	return r;
}

/* adbd copies the user's bits to group and others, and leaves out what is above them (AOSP,
 * daemon/file_sync_service.cpp, do_send): 0600 becomes 0666. What a recipe asks for is set by the
 * unit's own chmod, and read back. */
static int settle_mode(struct pushing *p, struct err *e)
{
	int r;

	p->mode_by = "adbd";
	if (!p->has_mode || p->mode_read == p->mode)
		return 0;
	p->mode_by = "chmod of the unit";
	r = chmod_on_unit(p, e);
	if (r == 0)
		r = read_mode(p, e);
	if (r < 0)
		return err_prefix(e, "%.160s has mode %04o, %04o was asked for", p->path,
			p->mode_read, p->mode);
	if (p->mode_read != p->mode)
		return err_set(e, ERR_READ_BACK_MISMATCH,
			"%.160s: mode %04o was asked for, and is %04o after chmod too: its file system may know no other",
			p->path, p->mode, p->mode_read);
	return 0;
}

static int push_source(struct pushing *p, struct err *e)
{
	bool file = args_has(p->x.a, "file");

	if (file == args_has(p->x.a, "content"))
		return err_set(e, ERR_RECIPE_INVALID, "adb.push takes 'file' or 'content'");
	if (file)
		return adb_infile_open(&p->in, p->x.s, args_str(p->x.a, "file"), e);
	adb_infile_text(&p->in, args_str(p->x.a, "content"));
	return 0;
}

static int push_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(pushing_done) struct pushing p = {.x = {.s = s, .a = a},
		.path = args_str(a, "path"),
		.has_mode = args_has(a, "mode")};
	bool equal = false;
	int r = mode_of(a, &p.mode, e);

	if (r == 0)
		r = push_source(&p, e);
	if (r == 0)
		r = adb_session_open(&p.x, e);
	if (r == 0)
		r = adb_sync_open(p.x.conn, &s->it, &p.sync, e);
	if (r == 0)
		r = is_equal(&p, &equal, e);
	if (r == 0 && !equal)
		r = push_bytes(&p, e);
	if (r == 0)
		r = settle_mode(&p, e);
	if (r < 0)
		return r;
	result_evidence(out, "path", json_string(p.path));
	result_evidence(out, "bytes", json_integer((json_int_t)p.in.src.size));
	result_evidence(out, "sha256_written", json_string(p.in.sha256));
	result_evidence(out, "sha256_read", json_string(p.read));
	result_evidence(out, "read_by", json_string(p.read_by));
	result_evidence(out, "mode", json_sprintf("%04o", p.mode_read));
	result_evidence(out, "mode_by", json_string(p.mode_by));
	result_evidence(out, "synced", json_boolean(!equal && args_bool(a, "sync")));
	result_evidence(out, "was_there", json_boolean(equal));
	result_output(out, "sha256", json_string(p.read));
	result_output(out, "bytes", json_integer((json_int_t)p.in.src.size));
	return 0;
}

static const char *const verify_choices[] = {"auto", "sha256sum", "pull", NULL};

static const struct action_arg push_args[] = {
	ARG_ROWS_ADB,
	ARG_ROW_IDLE,
	{.name = "file", .type = ARG_IMAGE, .doc = "what is written"},
	{.name = "content", .type = ARG_STRING, .doc = "or this text"},
	{.name = "path", .type = ARG_STRING, .required = true, .doc = "the file on the unit"},
	{.name = "mode",
		.type = ARG_STRING,
		.doc = "permissions, octal, read back; where not given: what the unit makes of 0644"},
	{.name = "verify",
		.type = ARG_CHOICE,
		.def = "auto",
		.choices = verify_choices,
		.doc = "how it is read back: by the unit's sha256sum, or pulled; auto: pulled where the unit has no sha256sum"},
	{.name = "skip_equal",
		.type = ARG_BOOL,
		.def = "true",
		.doc = "write nothing where the unit's file has this size and digest already; its mode is set all the same"},
	{.name = "sync",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "have the unit write its cache to its flash, for a unit that loses power soon"},
	{0},
};

static const struct action_output push_outputs[] = {
	{"sha256", "of what was read back"}, {"bytes", "of the file"}, {0}};

const struct action action_adb_push = {
	.name = "adb.push",
	.doc = "Writes a file on the unit and reads it back.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = push_args,
	.outputs = push_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = push_run,
};

/* --- pull --- */

struct pulling {
	struct adb_session x;
	struct adb_sync *sync;
	struct outfile out;
	uint64_t size;
};

static void pulling_done(struct pulling *p)
{
	adb_sync_free(p->sync);
	adb_session_done(&p->x);
	outfile_done(&p->out);
}

static int take(void *data, const void *bytes, size_t n, struct err *e)
{
	struct pulling *p = data;
	int r = outfile_add(&p->out, bytes, n, e);

	step_progress(p->x.s, "transfer", p->out.bytes, MAX(p->size, p->out.bytes));
	return r;
}

/* Files of /proc have size 0. */
static int check_size(const struct pulling *p, const struct adb_stat *st, uint64_t n, struct err *e)
{
	uint64_t got = st->size_is_whole ? n : (uint32_t)n;

	if (st->size == 0 || got == st->size)
		return 0;
	return err_set(e, ERR_READ_BACK_MISMATCH, "%.200s has %llu bytes, %llu came",
		args_str(p->x.a, "path"), (unsigned long long)st->size, (unsigned long long)n);
}

static int check_digest(struct pulling *p, const char *sha256, const char **ret_by, struct err *e)
{
	const char *path = args_str(p->x.a, "path");
	char theirs[SHA256_HEX];
	int r = adb_remote_sha256(&p->x, path, theirs, ret_by, e);

	if (r == -ERR_UNSUPPORTED) {
		*ret_by = "its size alone: the unit has no sha256sum";
		return 0;
	}
	if (r == 0 && strcmp(theirs, sha256) != 0)
		return err_set(e, ERR_READ_BACK_MISMATCH,
			"%.160s: sha256 %.16s... came, the unit says %.16s...", path, sha256,
			theirs);
	return r;
}

static int pull_file(struct pulling *p, char sha256[SHA256_HEX], const char **ret_by, struct err *e)
{
	const char *path = args_str(p->x.a, "path");
	struct adb_stat st = {0};
	uint64_t n = 0;
	int r = adb_sync_stat(p->sync, path, &p->x.s->it, &st, e);

	if (r < 0)
		return r;
	if (!st.mode)
		return err_set(e, ERR_DEVICE_REFUSED, "%.200s: the unit has no such file", path);
	if (!S_ISREG(st.mode))
		return err_set(e, ERR_INVALID, "%.200s is not a file on the unit", path);
	p->size = st.size;
	r = step_file(p->x.s, args_str(p->x.a, "file"), &p->out, e);
	if (r == 0)
		r = adb_sync_recv(p->sync, path, take, p, &n, &p->x.s->it, e);
	if (r == 0)
		r = check_size(p, &st, n, e);
	if (r == 0)
		r = outfile_end(&p->out, sha256, e);
	/* What has no size of its own changes from read to read. */
	*ret_by = "nothing: the file has no size in it";
	if (r == 0 && (st.size > 0 || n == 0))
		r = check_digest(p, sha256, ret_by, e);
	return r < 0 ? r : step_file_commit(p->x.s, &p->out, e);
}

static int pull_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(pulling_done) struct pulling p = {.x = {.s = s, .a = a}, .out = {.fd = -1}};
	char sha256[SHA256_HEX];
	const char *by = NULL;
	int r = adb_session_open(&p.x, e);

	if (r == 0)
		r = adb_sync_open(p.x.conn, &s->it, &p.sync, e);
	if (r == 0)
		r = pull_file(&p, sha256, &by, e);
	if (r < 0)
		return r;
	result_evidence(out, "path", json_string(args_str(a, "path")));
	result_evidence(out, "bytes", json_integer((json_int_t)p.out.bytes));
	result_evidence(out, "sha256", json_string(sha256));
	result_evidence(out, "compared_by", json_string(by));
	result_output(out, "sha256", json_string(sha256));
	result_output(out, "bytes", json_integer((json_int_t)p.out.bytes));
	return 0;
}

static const struct action_arg pull_args[] = {
	ARG_ROWS_ADB,
	ARG_ROW_IDLE,
	{.name = "path", .type = ARG_STRING, .required = true, .doc = "the file on the unit"},
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the bytes go"},
	{0},
};

static const struct action_output pull_outputs[] = {
	{"sha256", "of the bytes"}, {"bytes", "how many"}, {0}};

const struct action action_adb_pull = {
	.name = "adb.pull",
	.doc = "Reads a file of the unit.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY,
	.args = pull_args,
	.outputs = pull_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = pull_run,
};
