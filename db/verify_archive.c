/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive against its manifest, its records against each other, and all of them against the root that a
 * checkpoint signs. The file is read once, line by line.
 */
#include "base/gzip.h"
#include "base/jcs.h"
#include "base/manifest.h"
#include "base/util.h"
#include "db/archive_write.h"
#include "db/attachments.h"
#include "db/run_record.h"
#include "db/verify_impl.h"

struct check {
	struct verify v;
	struct manifest m;
	struct checkpoint c;
	struct merkle_proof outside;
	int64_t from, to;
	int64_t next; /* the record whose line comes */
	struct gzip_reader *lines;
	char *attachments;	   /* the folder of attached files */
	char previous[SHA256_HEX]; /* of the text of the record before; "" of the first */
	char who[160];
};

/* --- the manifest --- */

static int read_about(struct check *c, struct err *e)
{
	const json_t *o = c->m.about;

	c->from = c->next = verify_number(o, "from");
	c->to = verify_number(o, "to");
	if (c->from < 1 || c->to < c->from || c->m.files != 1 ||
		!verify_proof(json_object_get(o, "outside"), &c->outside))
		return err_set(e, ERR_INVALID,
			"the manifest does not say which records the archive has: 'from', 'to', 'outside' and one file expected");
	snprintf(c->v.res->host, sizeof c->v.res->host, "%s", verify_text(o, "host"));
	return 0;
}

static void check_signature(struct check *c)
{
	struct err e = {0};

	if (c->v.o->keys == 0)
		return;
	c->v.res->enveloped = manifest_verify(&c->m, c->v.o->key, c->v.o->keys, &e) == 0;
	/* Who has the key of the checkpoints alone relies on these. */
	if (!c->v.res->enveloped && c->v.res->covered == 0)
		verify_found(&c->v, "%s", e.msg);
}

static void check_note(struct check *c, const char *note)
{
	struct err e = {0};

	if (strcmp(c->c.host, c->v.res->host) != 0)
		verify_found(&c->v,
			"the archive is of the host '%.40s', and its checkpoint of '%s'",
			c->v.res->host, c->c.host);
	if (c->v.o->host && strcmp(c->v.o->host, c->c.host) != 0)
		verify_found(&c->v, "these records are of the host '%s', and '%s' was expected",
			c->c.host, c->v.o->host);
	if (c->v.o->keys > 0 && verify_note(&c->v, note, NULL, &e) == 0) {
		c->v.res->covered = c->c.size;
		c->v.res->trusted = true;
	}
}

static int check_manifest(struct check *c, struct err *e)
{
	const char *note = verify_text(c->m.about, "checkpoint");
	bool is_signed;
	size_t n;
	int r = read_about(c, e);

	if (r == 0)
		r = checkpoint_note_read(note, &c->c, &n, &is_signed, e);
	if (r == 0 && c->c.size < c->to)
		r = err_set(e, ERR_INVALID,
			"the checkpoint of the archive is of %lld records, and its last record is %lld",
			(long long)c->c.size, (long long)c->to);
	if (r < 0)
		return r;
	c->v.res->checkpoints = 1;
	check_note(c, note);
	check_signature(c);
	return 0;
}

/* --- a line --- */

static bool add_log_line(struct sha256 *digest, const json_t *l)
{
	const char *dir = json_string_value(json_array_get(l, 2));
	const char *text = json_string_value(json_array_get(l, 3));

	if (!json_is_integer(json_array_get(l, 0)) || !json_is_integer(json_array_get(l, 1)) ||
		!dir || !text || json_array_size(l) != 4)
		return false;
	run_record_log_line(digest, json_integer_value(json_array_get(l, 0)),
		json_integer_value(json_array_get(l, 1)), dir, text);
	return true;
}

/* The record has the digest of the log. */
static void check_log(struct check *c, const json_t *log, const json_t *record)
{
	const json_t *said = json_object_get(record, "log");
	struct sha256 *digest = sha256_new();
	uint8_t raw[SHA256_BYTES];
	char hex[SHA256_HEX];
	bool good = json_is_array(log);
	json_t *l;
	size_t i;

	json_array_foreach((json_t *)log, i, l)
		good &= add_log_line(digest, l);
	sha256_end(digest, raw);
	sha256_free(digest);
	if (!good ||
		(json_int_t)json_array_size(log) !=
			json_integer_value(json_object_get(said, "lines")) ||
		strcmp(hex_of(raw, sizeof raw, hex), verify_text(said, "sha256")) != 0)
		verify_found(&c->v, "%s: its log is not the one that was recorded", c->who);
}

static void check_place(struct check *c, const json_t *record)
{
	if (json_integer_value(json_object_get(record, "n")) != c->next)
		verify_found(&c->v, "%s: the record says that it is number %lld", c->who,
			(long long)json_integer_value(json_object_get(record, "n")));
	if (strcmp(verify_text(record, "_type"), RECORD_TYPE) != 0)
		verify_found(&c->v, "%s: it is of the type '%.60s', and '%s' is known here", c->who,
			verify_text(record, "_type"), RECORD_TYPE);
	if (strcmp(verify_text(record, "host"), c->c.host) != 0)
		verify_found(&c->v, "%s: it is of the host '%.40s', and the checkpoint is of '%s'",
			c->who, verify_text(record, "host"), c->c.host);
	if (c->previous[0] && strcmp(verify_text(record, "previous"), c->previous) != 0)
		verify_found(&c->v,
			"%s: it does not follow the record before it: one of them was changed",
			c->who);
}

static void check_record(struct check *c, const json_t *line, const char *text)
{
	json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *run = verify_text(json_object_get(record, "report"), "id");

	snprintf(c->who, sizeof c->who, "run %.64s (record %lld)", *run ? run : "not known",
		(long long)c->next);
	if (record) {
		check_place(c, record);
		check_log(c, json_object_get(line, "log"), record);
		verify_attachments(&c->v, c->who, record, c->attachments);
	} else {
		verify_found(&c->v, "%s: its text is not JSON", c->who);
	}
	json_decref(record);
}

static int check_line(struct check *c, const char *text, struct merkle_hash *ret, struct err *e)
{
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	const char *record = json_string_value(json_object_get(o, "record"));
	int r = 0;

	if (!record || json_object_size(o) != 3 || !verify_canonical(o, text)) {
		r = err_set(e, ERR_INVALID,
			"line %lld: it is not as provd writes it: {log, n, record} expected",
			(long long)(c->next - c->from) + 1);
	} else {
		if (json_integer_value(json_object_get(o, "n")) != c->next)
			verify_found(&c->v,
				"line %lld: it is record %lld, and record %lld was expected: one is missing, was added or has another place",
				(long long)(c->next - c->from) + 1,
				(long long)json_integer_value(json_object_get(o, "n")),
				(long long)c->next);
		check_record(c, o, record);
		*ret = merkle_leaf(record, strlen(record));
		sha256_hex_of(record, strlen(record), c->previous);
	}
	json_decref(o);
	return r;
}

static int next_leaf(void *data, struct merkle_hash *ret, struct err *e)
{
	struct check *c = data;
	const char *text = NULL;
	const struct iotime it = {NO_DEADLINE, c->v.o->stop};
	size_t n;
	int r = iotime_check(&it, e);

	if (r == 0)
		r = gzip_line(c->lines, &text, &n, e);
	if (r == 0)
		r = err_set(e, ERR_INVALID,
			"the archive ends before record %lld, and record %lld is its last",
			(long long)c->next, (long long)c->to);
	if (r > 0)
		r = check_line(c, text, ret, e);
	if (r < 0)
		return r;
	c->next++;
	c->v.res->records++;
	return 0;
}

/* --- all --- */

static int check_end(struct check *c, const struct merkle_hash *root, struct err *e)
{
	const char *text;
	size_t n;
	int r = gzip_line(c->lines, &text, &n, e);

	if (r > 0)
		verify_found(&c->v, "line %lld: it is after the last record, %lld: it was added",
			(long long)(c->next - c->from) + 1, (long long)c->to);
	if (strcmp(verify_text(c->m.about, "last"), c->previous) != 0)
		verify_found(&c->v,
			"record %lld: its SHA-256 is not the one of the manifest, 'last': one of them was changed",
			(long long)c->to);
	if (!merkle_equal(root, &c->c.root))
		verify_found(&c->v,
			"the records %lld to %lld are not those under the checkpoint of %lld records: one of them was changed",
			(long long)c->from, (long long)c->to, (long long)c->c.size);
	return MIN(r, 0);
}

static int check_records(struct check *c, const char *dir, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, c->m.file[0].name);
	struct merkle_hash root;
	int r = gzip_open(path, &c->lines, e);

	if (r == 0)
		r = merkle_range_root((uint64_t)c->from - 1, (uint64_t)c->to, (uint64_t)c->c.size,
			&c->outside, next_leaf, c, &root, e);
	if (r == 0)
		r = check_end(c, &root, e);
	if (r != -ERR_INVALID)
		return r;
	verify_found(&c->v, "%s: %s", c->m.file[0].name, e->msg);
	return 0;
}

static int check_all(struct check *c, const char *dir, struct err *e)
{
	struct err damage = {0};
	int r = check_manifest(c, e);

	if (r < 0)
		return r;
	r = manifest_check_file(dir, &c->m.file[0], &damage);
	if (r == -ERR_RECORDS_DAMAGED) {
		verify_found(&c->v, "%s", damage.msg);
	} else if (r < 0) {
		*e = damage;
		return r;
	}
	/* Without its file there is nothing to look at. */
	return strstr(damage.msg, "is missing") ? 0 : check_records(c, dir, e);
}

bool verify_is_archive(const char *path)
{
	const size_t n = strlen(path), suffix = strlen(ARCHIVE_SUFFIX);
	struct manifest m;
	bool yes;

	if (n > suffix && !strcmp(path + n - suffix, ARCHIVE_SUFFIX))
		return true;
	yes = manifest_load(path, ARCHIVE_TYPE, &m, NULL) == 0;
	manifest_done(&m);
	return yes;
}

/* Of either of its two files. */
static char *manifest_path(const char *path)
{
	const size_t n = strlen(path), suffix = strlen(ARCHIVE_SUFFIX);

	return n > suffix && !strcmp(path + n - suffix, ARCHIVE_SUFFIX)
		       ? xasprintf("%.*s" ARCHIVE_MANIFEST, (int)(n - suffix), path)
		       : xstrdup(path);
}

int verify_archive(
	const char *path, const struct verify_opts *o, struct verify_result *ret, struct err *e)
{
	struct check c = {.v = {o, ret}};
	_cleanup_(freep) char *manifest = manifest_path(path);
	const char *slash = strrchr(manifest, '/');
	_cleanup_(freep) char *dir =
		slash ? xasprintf("%.*s", (int)(slash - manifest), manifest) : xstrdup(".");
	int r;

	*ret = (struct verify_result){0};
	c.attachments = o->attachments ? xstrdup(o->attachments)
				       : xasprintf("%s/" ATTACHMENTS_DIR, *dir ? dir : "/");
	r = manifest_load(manifest, ARCHIVE_TYPE, &c.m, e);
	if (r == 0)
		r = check_all(&c, *dir ? dir : "/", e);
	gzip_close(c.lines);
	free(c.attachments);
	manifest_done(&c.m);
	return r < 0 ? err_prefix(e, "archive %s", path) : 0;
}
