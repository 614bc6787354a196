/* SPDX-License-Identifier: Apache-2.0 */
#include "db/run_record.h"

#include <math.h>

#include "base/jcs.h"
#include "db/archives.h"
#include "db/db_impl.h"
#include "db/record_tree.h"
#include "db/reports.h"
#include "db/stmt.h"

/* --- the parts of a record --- */

#define ROW_OF(fixture)                                                                            \
	"SELECT seq, chain, kind, exposed, exposed_step, outcome, deferred, duration_ms, " fixture \
	" FROM runs WHERE id = ?"

static int read_row(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"seq", AS_INT}, {"chain", AS_INT},
		{"kind", AS_TEXT}, {"exposed", AS_INT}, {"exposed_step", AS_INT},
		{"outcome", AS_TEXT}, {"deferred", AS_INT}, {"duration_ms", AS_INT},
		{"fixture", AS_TEXT}, {0}};
	/* The second is of a database that an older provd made, which is read as it is. */
	SELECT(find, ROW_OF("fixture"), columns);
	SELECT(find_older, ROW_OF("NULL AS fixture"), columns);
	int r = db_one_json(d, e, "run", d->before_fixtures ? &find_older : &find, ret, run);

	/* The records of before had no such member: they stay as they are. */
	if (r == 0 && json_is_null(json_object_get(*ret, "fixture")))
		json_object_del(*ret, "fixture");
	return r;
}

static int read_steps(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"n", AS_INT}, {"state", AS_TEXT},
		{"outcome", AS_TEXT}, {"deferred", AS_INT}, {"ended_at", AS_TIME},
		{"duration_us", AS_INT}, {0}};
	SELECT(all,
		"SELECT n, state, outcome, deferred, ended_at, duration_us FROM steps"
		" WHERE run_id = ? ORDER BY n",
		columns);

	return db_all_json(d, e, &all, ret, run);
}

static int read_measurements(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"n", AS_INT}, {"k", AS_INT}, {0}};
	SELECT(all, "SELECT step_n AS n, k FROM measurements WHERE run_id = ? ORDER BY step_n, k",
		columns);

	return db_all_json(d, e, &all, ret, run);
}

static int read_values(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"kind", AS_TEXT}, {"slot", AS_TEXT},
		{"value", AS_TEXT}, {"pool", AS_TEXT}, {"lease", AS_TEXT}, {"unit", AS_TEXT}, {0}};
	SELECT(all,
		"SELECT kind, slot, value, pool_id AS pool, lease, unit_id AS unit FROM serials"
		" WHERE run_id = ? AND state = 'committed' ORDER BY seq",
		columns);

	return db_all_json(d, e, &all, ret, run);
}

/* Those that were signed: an order that is open ends as void, and was never given out. */
static int read_certificates(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"n", AS_INT}, {"issuer", AS_TEXT},
		{"serial", AS_TEXT}, {"subject", AS_TEXT}, {"profile", AS_TEXT},
		{"profile_digest", AS_TEXT}, {"key", AS_TEXT}, {"asked", AS_TEXT},
		{"sha256", AS_TEXT}, {"not_before", AS_TIME}, {"not_after", AS_TIME},
		{"state", AS_TEXT}, {"pem", AS_TEXT}, {"chain", AS_TEXT}, {0}};
	SELECT(all,
		"SELECT id, step_n AS n, issuer, serial, subject, profile, profile_digest, key,"
		" asked, sha256, not_before, not_after, state, pem, chain FROM certificates"
		" WHERE run_id = ? AND state IN ('issued', 'delivered') ORDER BY seq",
		columns);

	return db_all_json(d, e, &all, ret, run);
}

#define ANSWERS_WITH(picture)                                                                  \
	"SELECT id, kind, text, choices, pattern, state, answer, answered_by AS by, approval," \
	" created_at AS asked_at, settled_at, " picture                                        \
	" AS picture FROM prompts WHERE run_id = ? ORDER BY created_at, id"

static int read_answers(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"kind", AS_TEXT},
		{"text", AS_TEXT}, {"choices", AS_JSON}, {"pattern", AS_TEXT}, {"state", AS_TEXT},
		{"answer", AS_TEXT}, {"by", AS_TEXT}, {"approval", AS_INT}, {"asked_at", AS_TIME},
		{"settled_at", AS_TIME}, {"picture", AS_TEXT}, {0}};
	SELECT(all, ANSWERS_WITH("picture"), columns);
	SELECT(all_older, ANSWERS_WITH("NULL"), columns);
	int r = db_all_json(d, e, d->before_attachments ? &all_older : &all, ret, run);
	json_t *v;
	size_t i;

	/* As with the fixture: the records of before had no such member. */
	if (r == 0)
		json_array_foreach(*ret, i, v)
			if (json_is_null(json_object_get(v, "picture")))
				json_object_del(v, "picture");
	return r;
}

/* One that is open is settled later, by another run or a person: nothing is said of its end. */
static int read_acts(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"n", AS_INT}, {"action", AS_TEXT},
		{"unit", AS_TEXT}, {"what", AS_TEXT}, {"digest", AS_TEXT}, {"who", AS_TEXT},
		{"intended_at", AS_TIME}, {"state", AS_TEXT}, {"observed", AS_TEXT}, {0}};
	SELECT(all,
		"SELECT step_n AS n, action, unit, what, digest, who, intended_at,"
		" CASE WHEN state IN ('committed', 'void') THEN state END AS state,"
		" CASE WHEN state IN ('committed', 'void') THEN observed END AS observed"
		" FROM intents WHERE run_id = ? ORDER BY step_n",
		columns);

	return db_all_json(d, e, &all, ret, run);
}

void run_record_log_line(
	struct sha256 *digest, int64_t k, int64_t at, const char *dir, const char *text)
{
	const size_t size = strlen(text);
	char head[80];
	int len = snprintf(
		head, sizeof head, "%lld %lld %.8s %zu:", (long long)k, (long long)at, dir, size);

	sha256_add(digest, head, (size_t)len);
	sha256_add(digest, text, size);
	sha256_add(digest, "\n", 1);
}

static int read_log(struct db *d, const char *run, json_t **ret, struct err *e)
{
	struct line {
		int64_t k, at;
		const char *dir, *text;
	} line;
	static const struct column columns[] = {COL(struct line, k), COL(struct line, at),
		COL(struct line, dir), COL(struct line, text), {0}};
	SELECT(all, "SELECT k, at, dir, text FROM run_log WHERE run_id = ? ORDER BY k", columns);
	_cleanup_(query_done) struct query q = {0};
	struct sha256 *digest = sha256_new();
	uint8_t raw[SHA256_BYTES];
	char hex[SHA256_HEX];
	int64_t n = 0;
	int r = select_begin(&q, d, e, &all, run);

	while (r >= 0 && (r = select_next(&q, &line, e)) > 0) {
		run_record_log_line(digest, line.k, line.at, line.dir ? line.dir : "",
			line.text ? line.text : "");
		n++;
	}
	sha256_end(digest, raw);
	sha256_free(digest);
	if (r == 0)
		*ret = json_pack("{s:I, s:s}", "lines", (json_int_t)n, "sha256",
			hex_of(raw, sizeof raw, hex));
	return r;
}

static int read_job(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {
		{"id", AS_TEXT}, {"ordered_by", AS_TEXT}, {"reference", AS_TEXT}, {0}};
	SELECT(all,
		"SELECT j.id AS id, j.created_by AS ordered_by, j.external_ref AS reference"
		" FROM runs r JOIN jobs j ON j.id = r.job_id WHERE r.id = ?",
		columns);

	return db_all_json(d, e, &all, ret, run);
}

/* The record of the same unit before this one, so that one of them cannot be left out. */
static int read_before(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"n", AS_INT}, {0}};
	SELECT(find,
		"SELECT max(b.chain) AS n FROM runs r JOIN runs b ON b.unit_id = r.unit_id"
		" WHERE r.id = ? AND b.chain < r.chain",
		columns);

	return db_one_json(d, e, "run", &find, ret, run);
}

static int read_report(struct db *d, const char *run, json_t **ret, struct err *e)
{
	return reports_run(d, run, ret, e);
}

/* NULL where nothing is attached: the records of before had no such member. */
static int read_attachments(struct db *d, const char *run, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"n", AS_INT}, {"name", AS_TEXT},
		{"sha256", AS_TEXT}, {"bytes", AS_INT}, {"media", AS_TEXT}, {0}};
	SELECT(all,
		"SELECT step_n AS n, name, sha256, bytes, media FROM attachments WHERE run_id = ?"
		" ORDER BY step_n, name",
		columns);
	int r = d->before_attachments ? 0 : db_all_json(d, e, &all, ret, run);

	if (r == 0 && json_array_size(*ret) == 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}

static const struct {
	const char *name;
	int (*read)(struct db *d, const char *run, json_t **ret, struct err *e);
} parts[] = {
	{"report", read_report},
	{"row", read_row},
	{"steps", read_steps},
	{"measurements", read_measurements},
	{"values", read_values},
	{"certificates", read_certificates},
	{"answers", read_answers},
	{"acts", read_acts},
	{"log", read_log},
	{"job", read_job},
	{"unit_before", read_before},
	{"attachments", read_attachments},
};

/* From here on a real number is written with an exponent, below it as digits alone (ECMA-262, 6.1.6.1.20). */
#define REAL_WITH_EXPONENT 1e21

/* A number that others would read as another one is a text: digits alone are an integer to them. */
static json_t *plain(json_t *v)
{
	const char *name;
	json_t *m;
	void *next;
	size_t i;

	if (json_is_integer(v) && (json_integer_value(v) > JCS_INTEGER_MAX ||
					  json_integer_value(v) < -JCS_INTEGER_MAX)) {
		char text[24];

		snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
		return json_string(text);
	}
	if (json_is_real(v) && fabs(json_real_value(v)) > (double)JCS_INTEGER_MAX &&
		fabs(json_real_value(v)) < REAL_WITH_EXPONENT) {
		char text[JCS_NUMBER_SIZE];

		return json_string(jcs_number(json_real_value(v), text));
	}
	json_object_foreach_safe(v, next, name, m) json_object_set_new_nocheck(v, name, plain(m));
	json_array_foreach(v, i, m)
		json_array_set_new(v, i, plain(m));
	return json_incref(v);
}

int run_record_build(struct db *d, const char *run, const struct record_place *p, json_t *report,
	json_t **ret, struct err *e)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:s}", "_type", RECORD_TYPE, "host", p->host,
		"epoch", p->epoch, "n", (json_int_t)p->n, "previous", p->previous);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
		json_t *part = i == 0 && report ? json_incref(report) : NULL;

		r = part ? 0 : parts[i].read(d, run, &part, e);
		if (r == 0 && part)
			json_object_set_new(o, parts[i].name, part);
	}
	if (r == 0)
		*ret = plain(o);
	json_decref(o);
	return r;
}

/* --- where a record is --- */

int record_here(struct db *d, struct record_place *ret, struct err *e)
{
	static const char first[] = "SELECT epoch FROM epochs ORDER BY generation LIMIT 1";
	static const char present[] = "SELECT epoch FROM epochs ORDER BY generation DESC LIMIT 1";
	int r;

	ret->host[0] = ret->epoch[0] = 0;
	r = db_text(d, e, ret->host, sizeof ret->host, first);
	if (r > 0)
		r = db_text(d, e, ret->epoch, sizeof ret->epoch, present);
	return MIN(r, 0);
}

/* The place after the newest record. */
static int next_place(struct db *d, struct record_place *ret, struct err *e)
{
	struct newest {
		int64_t n;
		const char *record;
	} newest;
	static const struct column columns[] = {
		COL(struct newest, n), COL(struct newest, record), {0}};
	SELECT(last, "SELECT n, record FROM run_records ORDER BY n DESC LIMIT 1", columns);
	_cleanup_(query_done) struct query q = {0};
	struct archive gone;
	int r = record_here(d, ret, e);

	if (r == 0)
		r = archives_newest(d, &gone, e);
	if (r == 0)
		r = select_begin(&q, d, e, &last);
	if (r == 0)
		r = select_next(&q, &newest, e);
	if (r < 0)
		return r;
	ret->n = MAX(r > 0 ? newest.n : 0, gone.to) + 1;
	if (gone.to > 0 && ret->n == gone.to + 1)
		memcpy(ret->previous, gone.last, sizeof ret->previous);
	else if (r > 0)
		sha256_hex_of(newest.record, strlen(newest.record), ret->previous);
	else
		memcpy(ret->previous, RECORD_FIRST_HASH, sizeof ret->previous);
	return 0;
}

static int append(
	struct db *tx, const char *run, struct record_place *p, json_t *report, struct err *e)
{
	static const char sql[] = "INSERT INTO run_records (n, record) VALUES (?, ?)";
	_cleanup_(freep) char *text = NULL;
	struct merkle_hash leaf;
	json_t *o = NULL;
	int r = run_record_build(tx, run, p, report, &o, e);

	if (r == 0)
		r = jcs(o, &text, e);
	json_decref(o);
	if (r == 0)
		r = db_do(tx, e, sql, p->n, text);
	if (r < 0)
		return r;
	leaf = merkle_leaf(text, strlen(text));
	r = record_tree_add(tx, p->n - 1, &leaf, e);
	sha256_hex_of(text, strlen(text), p->previous);
	p->n++;
	return r;
}

int run_records_append(struct db *tx, int64_t most, const char *run, json_t *report, struct err *e)
{
	static const char sql[] = "SELECT id FROM runs WHERE chain = ?";
	struct record_place p;
	char id[DB_ID_SIZE];
	int r = next_place(tx, &p, e);

	for (int64_t i = 0; r == 0 && i < most; i++) {
		r = db_text(tx, e, id, sizeof id, sql, p.n);
		if (r <= 0)
			break;
		r = append(tx, id, &p, run && !strcmp(id, run) ? report : NULL, e);
	}
	return MIN(r, 0);
}

int run_records_count(struct db *d, int64_t *ret_records, int64_t *ret_missing, struct err *e)
{
	static const char records[] = "SELECT coalesce(max(n), 0) FROM run_records";
	static const char chain[] = "SELECT coalesce(max(chain), 0) FROM runs";
	struct archive gone;
	int64_t here = 0, runs = 0;
	int r = archives_newest(d, &gone, e);

	if (r == 0)
		r = db_int(d, e, &here, records);
	if (r >= 0)
		r = db_int(d, e, &runs, chain);
	if (r < 0)
		return r;
	*ret_records = MAX(here, gone.to);
	*ret_missing = MAX(runs - *ret_records, 0);
	return 0;
}

int run_records_text(struct db *d, int64_t n, char **ret, struct err *e)
{
	struct row {
		const char *record;
	} row;
	static const struct column columns[] = {COL(struct row, record), {0}};
	SELECT(find, "SELECT record FROM run_records WHERE n = ?", columns);
	_cleanup_(query_done) struct query q = {0};
	int r = archives_check_record(d, n, e);

	if (r == 0)
		r = select_begin(&q, d, e, &find, n);
	if (r == 0)
		r = select_next(&q, &row, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, ERR_NOT_FOUND, "there is no record with the number %lld", (long long)n);
	*ret = xstrdup(row.record ? row.record : "");
	return 0;
}

int run_records_number(struct db *d, const char *run, int64_t *ret, struct err *e)
{
	static const char sql[] = "SELECT chain FROM runs WHERE id = ?";
	static const char has[] = "SELECT 1 FROM run_records WHERE n = ?";
	int64_t n = 0;
	int r = db_int(d, e, &n, sql, run);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no run '%.64s'", run);
	if (r > 0)
		r = n > 0 ? archives_check_record(d, n, e) : 0;
	if (r == 0 && n > 0)
		r = db_has(d, e, has, n);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, ERR_CONFLICT,
			"run %.64s has no record yet: it is written when the run ends", run);
	*ret = n;
	return 0;
}
