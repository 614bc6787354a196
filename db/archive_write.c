/* SPDX-License-Identifier: Apache-2.0 */
#include "db/archive_write.h"

#include <time.h>

#include "base/gzip.h"
#include "base/jcs.h"
#include "base/manifest.h"
#include "base/outfile.h"
#include "base/tree.h"
#include "db/attachments.h"
#include "db/checkpoints.h"
#include "db/record_tree.h"
#include "db/run_record.h"
#include "db/plant.h"
#include "db/spool.h"
#include "db/stmt.h"
#include "db/webhooks.h"

/* --- which --- */

/* The beginning of the month of a time, and of the one so many after it; UTC. */
static int64_t month_start(int64_t ms, int64_t add)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	tm = (struct tm){.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + (int)add, .tm_mday = 1};
	return (int64_t)timegm(&tm) * 1000;
}

static bool is_due(const struct archive_policy *p, int64_t end_ms)
{
	const bool closed = end_ms <= month_start(p->now_ms, 0);
	const bool old = end_ms <= month_start(p->now_ms, -p->keep_months);

	return closed && (old || (p->keep_bytes > 0 && p->used_bytes > p->keep_bytes));
}

/* The first record that stays. */
static int first_to_stay(struct db *d, int64_t from, int64_t end_ms, int64_t *ret, struct err *e)
{
	static const char sql[] =
		"SELECT chain FROM runs r WHERE chain >= ?1 AND (ended_at >= ?2 OR EXISTS (SELECT 1"
		" FROM outbox o WHERE o.run_id = r.id AND o.state IN ('held', 'waiting', 'refused'))"
		" OR EXISTS (SELECT 1 FROM events v WHERE v.run_id = r.id AND v.seq >= ?3))"
		" ORDER BY chain LIMIT 1";
	int64_t records, missing, found = 0, report = INT64_MAX, file = INT64_MAX,
				  plant = INT64_MAX;
	int r = run_records_count(d, &records, &missing, e);

	if (r == 0)
		r = webhooks_need_runs(d, &report, e);
	if (r == 0)
		r = spool_need(d, &file, e);
	if (r == 0)
		r = plant_need(d, &plant, e);
	if (r == 0)
		r = db_int(d, e, &found, sql, from, end_ms, MIN(MIN(report, file), plant));
	if (r >= 0)
		*ret = r > 0 ? MIN(found, records + 1) : records + 1;
	return MIN(r, 0);
}

int archive_due(struct db *d, const struct archive_policy *p, struct archive *ret, struct err *e)
{
	static const char first[] = "SELECT ended_at FROM runs WHERE chain = ?";
	char when[RFC3339_SIZE];
	int64_t ended_ms = 0, stays = 0;
	struct archive newest;
	int r = archives_newest(d, &newest, e);

	*ret = (struct archive){.from = newest.to + 1};
	if (r == 0)
		r = db_int(d, e, &ended_ms, first, ret->from);
	if (r <= 0 || !is_due(p, month_start(ended_ms, 1)))
		return MIN(r, 0);
	r = first_to_stay(d, ret->from, month_start(ended_ms, 1), &stays, e);
	if (r < 0 || stays <= ret->from)
		return r;
	ret->to = stays - 1;
	snprintf(ret->month, sizeof ret->month, "%s", rfc3339(ended_ms, when));
	return 0;
}

/* --- the lines --- */

static int read_log(struct db *d, int64_t n, json_t **ret, struct err *e)
{
	struct line {
		int64_t k, at;
		const char *dir, *text;
	} l;
	static const struct column columns[] = {COL(struct line, k), COL(struct line, at),
		COL(struct line, dir), COL(struct line, text), {0}};
	SELECT(all,
		"SELECT l.k AS k, l.at AS at, l.dir AS dir, l.text AS text FROM run_log l"
		" JOIN runs r ON r.id = l.run_id WHERE r.chain = ? ORDER BY l.k",
		columns);
	_cleanup_(query_done) struct query q = {0};
	json_t *list = json_array();
	int r = select_begin(&q, d, e, &all, n);

	while (r >= 0 && (r = select_next(&q, &l, e)) > 0)
		json_array_append_new(
			list, json_pack("[I, I, s, s]", (json_int_t)l.k, (json_int_t)l.at,
				      l.dir ? l.dir : "", l.text ? l.text : ""));
	if (r < 0)
		json_decref(list);
	else
		*ret = list;
	return r;
}

static int write_line(
	struct db *d, int64_t n, const char *record, struct gzip_writer *w, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	json_t *log = NULL;
	json_t *o;
	int r = read_log(d, n, &log, e);

	if (r < 0)
		return r;
	o = json_pack("{s:I, s:s, s:o}", "n", (json_int_t)n, "record", record, "log", log);
	r = o ? jcs(o, &text, e)
	      : err_set(e, ERR_RECORDS_DAMAGED,
			"record %lld or a line of its log is not text: verify the records",
			(long long)n);
	json_decref(o);
	if (r == 0)
		r = gzip_add(w, text, strlen(text), e);
	return r < 0 ? r : gzip_add(w, "\n", 1, e);
}

static int write_lines(struct db *d, struct gzip_writer *w, const struct cancel *stop,
	struct archive *a, struct err *e)
{
	const struct iotime it = {NO_DEADLINE, stop};
	int r = 0;

	for (int64_t n = a->from; r == 0 && n <= a->to; n++) {
		_cleanup_(freep) char *record = NULL;

		r = iotime_check(&it, e);
		if (r == 0)
			r = run_records_text(d, n, &record, e);
		if (r == 0)
			r = write_line(d, n, record, w, e);
		if (r == 0)
			sha256_hex_of(record, strlen(record), a->last);
	}
	return r < 0 ? r : gzip_end(w, e);
}

static int write_records(
	struct db *d, const char *path, const struct cancel *stop, struct archive *a, struct err *e)
{
	_cleanup_(gzip_writer_freep) struct gzip_writer *w = NULL;
	struct outfile f = {.fd = -1};
	int r = outfile_open(&f, path, e);

	if (r == 0)
		r = gzip_writer_new(outfile_add, &f, &w, e);
	if (r == 0)
		r = write_lines(d, w, stop, a, e);
	if (r == 0)
		r = outfile_end(&f, a->sha256, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	a->bytes = (int64_t)f.bytes;
	outfile_done(&f);
	return r;
}

/* --- the manifest --- */

static json_t *hashes_json(const struct merkle_proof *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->n; i++) {
		_cleanup_(freep) char *text = base64_of(p->h[i].b, sizeof p->h[i].b);

		json_array_append_new(list, json_string(text));
	}
	return list;
}

/* Where the records are in the tree, and under which checkpoint: of one commit. */
static int about_in(struct db *d, const struct archive *a, json_t **ret, struct err *e)
{
	const struct merkle_nodes tree = record_tree(d);
	_cleanup_(freep) char *note = NULL;
	struct record_place here;
	struct merkle_proof outside;
	int64_t size = 0;
	int r = record_here(d, &here, e);

	if (r == 0)
		r = checkpoints_over(d, a->to, &note, &size, e);
	if (r == 0)
		r = merkle_range(
			&tree, (uint64_t)a->from - 1, (uint64_t)a->to, (uint64_t)size, &outside, e);
	if (r == 0)
		*ret = json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:o}", "host", here.host, "month",
			a->month, "from", (json_int_t)a->from, "to", (json_int_t)a->to, "last",
			a->last, "checkpoint", note, "outside", hashes_json(&outside));
	return r;
}

/* --- attached files --- */

/* One that is there already and right is of an earlier month. */
static int copy_attachment(
	const char *from, const char *to, const char *sha256, int64_t bytes, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", to, sha256);
	_cleanup_(closep) int fd = -1;
	struct outfile f = {.fd = -1};
	char got[SHA256_HEX];
	int r = attachment_check(to, sha256, bytes, NULL, NULL);

	if (r == 0)
		return 0;
	r = attachment_check(from, sha256, bytes, &fd, e);
	if (r < 0)
		return err_prefix(e, "nothing is archived before it is put back from a backup");
	r = outfile_open(&f, path, e);
	if (r == 0)
		r = outfile_add_fd(&f, fd, e);
	if (r == 0)
		r = outfile_end(&f, got, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	outfile_done(&f);
	return r;
}

static int write_attachments(struct db *d, const char *from, const char *dir,
	const struct cancel *stop, const struct archive *a, struct err *e)
{
	static const char size[] = "SELECT bytes FROM attachments WHERE sha256 = ?";
	_cleanup_(freep) char *to = xasprintf("%s/" ATTACHMENTS_DIR, dir);
	const struct iotime it = {NO_DEADLINE, stop};
	char sha256[SHA256_HEX] = "";
	int64_t bytes = 0;
	int r = attachments_next(d, a->from, a->to, sha256, e);

	if (r > 0 && tree_make(to, e) < 0)
		return -(int)e->code;
	while (r > 0) {
		r = iotime_check(&it, e);
		if (r == 0)
			r = MIN(db_int(d, e, &bytes, size, sha256), 0);
		if (r == 0)
			r = copy_attachment(from, to, sha256, bytes, e);
		if (r == 0)
			r = attachments_next(d, a->from, a->to, sha256, e);
	}
	return r;
}

static int write_text(const char *path, const char *text, struct err *e)
{
	struct outfile f = {.fd = -1};
	char sha256[SHA256_HEX];
	int r = outfile_open(&f, path, e);

	if (r == 0)
		r = outfile_add(&f, text, strlen(text), e);
	if (r == 0)
		r = outfile_end(&f, sha256, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	outfile_done(&f);
	return r;
}

static int write_manifest(struct db *d, const char *path, const struct seal *seal,
	const struct archive *a, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	struct manifest m = {0};
	int r = db_snapshot(d, e);

	if (r == 0)
		r = about_in(d, a, &m.about, e);
	db_snapshot_end(d);
	manifest_add(&m, a->file, a->bytes, a->sha256);
	if (r == 0)
		r = manifest_text(&m, seal, ARCHIVE_TYPE, &text, e);
	manifest_done(&m);
	return r < 0 ? r : write_text(path, text, e);
}

/* The digest of the last record is part of the name: it is of all records before it too, so that a restored backup
 * that goes on otherwise writes no file of another history again. */
static int name_file(struct db *d, struct archive *a, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	struct record_place here;
	char hex[SHA256_HEX];
	int r = record_here(d, &here, e);

	if (r == 0)
		r = run_records_text(d, a->to, &text, e);
	if (r == 0)
		snprintf(a->file, sizeof a->file, "%s-%s-%lld-%lld-%.8s" ARCHIVE_SUFFIX,
			here.host[0] ? here.host : "host", a->month, (long long)a->from,
			(long long)a->to, sha256_hex_of(text, strlen(text), hex));
	return r;
}

int archive_write(struct db *d, const char *dir, const struct seal *seal, const struct cancel *stop,
	const char *attachments, struct archive *a, struct err *e)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *manifest = NULL;
	int r = name_file(d, a, e);

	if (r < 0)
		return r;
	path = xasprintf("%s/%s", dir, a->file);
	manifest = xasprintf(
		"%.*s" ARCHIVE_MANIFEST, (int)(strlen(path) - strlen(ARCHIVE_SUFFIX)), path);
	r = write_attachments(d, attachments, dir, stop, a, e);
	if (r == 0)
		r = write_records(d, path, stop, a, e);
	if (r == 0)
		r = write_manifest(d, manifest, seal, a, e);
	return r < 0 ? err_prefix(e, "archive of %s", a->month) : 0;
}
