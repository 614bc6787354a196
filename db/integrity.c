/* SPDX-License-Identifier: Apache-2.0 */
#include "db/integrity.h"

#include "base/digest.h"
#include "base/timefmt.h"
#include "db/archives.h"
#include "db/db_impl.h"
#include "db/reports.h"
#include "db/rollup_steps.h"
#include "db/rollups.h"
#include "db/stmt.h"

/* Runs of one look: no read transaction stays open for long, so that the log can be cut back. */
#define CHAIN_PAGE 200

static bool asked(const struct integrity_stop *stop)
{
	return stop && stop->asked(stop->data);
}

static int progress(void *data)
{
	return asked(data);
}

static int stopped(struct err *e)
{
	return err_set(e, ERR_ABORTED, "the check of the records was stopped");
}

static void watch(struct db *d, const struct integrity_stop *stop)
{
	if (d->engine->ops->watch)
		d->engine->ops->watch(d->engine, stop ? progress : NULL, (void *)stop);
}

/* --- the file --- */

int integrity_structure(
	struct db *d, const struct integrity_stop *stop, char ret[ERR_TEXT_BYTES], struct err *e)
{
	struct err inner = {0};
	int r;

	ret[0] = 0;
	watch(d, stop);
	r = d->engine->ops->check ? d->engine->ops->check(d->engine, ret, 320, &inner) : 0;
	watch(d, NULL);
	if (asked(stop)) {
		/* What a read that was stopped looks like to sqlite is no damage. */
		ret[0] = 0;
		return stopped(e);
	}
	if (r == -ERR_RECORDS_DAMAGED) {
		snprintf(ret, 320, "the file of the database is damaged: %.200s", inner.msg);
		return 0;
	}
	if (r < 0 && e)
		*e = inner;
	return r;
}

/* --- the chain --- */

/* One more than a hash has: a text that goes on after it is not that hash. */
#define HASH_TEXT_SIZE (SHA256_HEX + 1)

struct link {
	char id[DB_ID_SIZE];
	int64_t chain;
	int64_t ended_ms;
	char prev[HASH_TEXT_SIZE], hash[HASH_TEXT_SIZE];
};

static void chain_broken(const struct link *at, const struct link *good, char ret[ERR_TEXT_BYTES])
{
	char when[RFC3339_SIZE];

	if (good->chain)
		snprintf(ret, 320,
			"run %s does not say what was recorded; the %lld runs before it are whole, the last of them ended %s",
			at->id, (long long)good->chain, rfc3339(good->ended_ms, when));
	else
		snprintf(ret, 320, "run %s, the first one, does not say what was recorded", at->id);
}

/* One link after `good`: true if it is whole. */
static int check_link(struct db *d, const struct link *at, const struct link *good, bool *ret_whole,
	struct err *e)
{
	char hash[SHA256_HEX];
	int r = reports_hash(d, at->id, good->hash, hash, e);

	if (r < 0)
		return r;
	*ret_whole = at->chain == good->chain + 1 && !strcmp(at->prev, good->hash) &&
		     !strcmp(at->hash, hash);
	return 0;
}

/* The next links after `from`; how many, or an error. */
static int read_links(struct db *d, int64_t from, struct link ret[CHAIN_PAGE], struct err *e)
{
	static const struct column columns[] = {COL(struct link, id), COL(struct link, chain),
		COL_AS(struct link, prev, "prev_hash"), COL(struct link, hash),
		COL_AS(struct link, ended_ms, "ended_at"), {0}};
	SELECT(find,
		"SELECT id, chain, prev_hash, hash, ended_at FROM runs"
		" WHERE chain > ? ORDER BY chain LIMIT ?",
		columns);
	_cleanup_(query_done) struct query q = {0};
	int n = 0;
	int r = select_begin(&q, d, e, &find, from, (int64_t)CHAIN_PAGE);

	while (r >= 0 && n < CHAIN_PAGE && (r = select_next(&q, &ret[n], e)) > 0)
		n++;
	return r < 0 ? r : n;
}

/* Finished runs that no link of the chain leads to. */
static int check_unchained(struct db *d, char ret[ERR_TEXT_BYTES], struct err *e)
{
	static const char sql[] =
		"SELECT id FROM runs WHERE state = 'finished' AND chain IS NULL LIMIT 1";
	char id[DB_ID_SIZE];
	int r = db_text(d, e, id, sizeof id, sql);

	if (r > 0)
		snprintf(ret, 320, "run %s is finished, but it is not in the chain of the records",
			id);
	return MIN(r, 0);
}

/* Of what is archived the last link is believed: its runs are compared in their archive. */
static int begin_chain(struct db *d, struct link *ret, struct err *e)
{
	static const char sql[] = "SELECT hash FROM runs WHERE chain = ?";
	struct archive newest;
	int r = archives_newest(d, &newest, e);

	*ret = (struct link){.chain = newest.to, .hash = REPORT_FIRST_HASH};
	if (r == 0 && newest.to > 0)
		r = db_text(d, e, ret->hash, sizeof ret->hash, sql, newest.to);
	return MIN(r, 0);
}

int integrity_chain(struct db *d, const struct integrity_stop *stop, int64_t *ret_runs,
	char ret[ERR_TEXT_BYTES], struct err *e)
{
	struct link good;
	struct link *page = xcalloc(CHAIN_PAGE, sizeof *page);
	bool whole = true;
	int r = begin_chain(d, &good, e);

	ret[0] = 0;
	r = r < 0 ? r : 1;
	while (r > 0 && whole) {
		int n = r = read_links(d, good.chain, page, e);

		for (int i = 0; i < n && r > 0 && whole; i++) {
			int k = asked(stop) ? stopped(e)
					    : check_link(d, &page[i], &good, &whole, e);

			if (k < 0)
				r = k;
			else if (whole)
				good = page[i];
			else
				chain_broken(&page[i], &good, ret);
		}
	}
	free(page);
	*ret_runs = good.chain;
	return r < 0 ? r : ret[0] ? 0 : check_unchained(d, ret, e);
}

static bool same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

int integrity_run(struct db *d, const char *run, struct err *e)
{
	struct stored {
		const char *prev, *hash, *before; /* before: of the link before, NULL none */
		int64_t chain;
	} s;
	static const struct column columns[] = {COL(struct stored, prev), COL(struct stored, hash),
		COL(struct stored, before), COL(struct stored, chain), {0}};
	SELECT(find,
		"SELECT r.prev_hash AS prev, r.hash AS hash, p.hash AS before, r.chain AS chain"
		" FROM runs r LEFT JOIN runs p ON p.chain = r.chain - 1"
		" WHERE r.id = ? AND r.state = 'finished'",
		columns);
	_cleanup_(query_done) struct query q = {0};
	char hash[SHA256_HEX];
	int r = select_begin(&q, d, e, &find, run);

	if (r == 0)
		r = select_next(&q, &s, e);
	if (r <= 0)
		return r;
	r = reports_hash(d, run, s.prev ? s.prev : "", hash, e);
	if (r < 0)
		return r;
	if (same(hash, s.hash) && same(s.chain == 1 ? REPORT_FIRST_HASH : s.before, s.prev))
		return 0;
	return err_set(e, ERR_RECORDS_DAMAGED,
		"run %s does not say what was recorded: its hash does not fit its record", run);
}

/* --- tables next to the chain --- */

static int check_recipes(
	struct db *d, const struct integrity_stop *stop, char ret[ERR_TEXT_BYTES], struct err *e)
{
	struct stored {
		const char *name, *sha256, *json;
		int64_t version;
	} s;
	static const struct column columns[] = {COL(struct stored, name),
		COL(struct stored, version), COL(struct stored, sha256), COL(struct stored, json),
		{0}};
	SELECT(all, "SELECT name, version, sha256, json FROM recipes", columns);
	_cleanup_(query_done) struct query q = {0};
	int r = select_begin(&q, d, e, &all);

	while (r >= 0 && !ret[0] && (r = select_next(&q, &s, e)) > 0) {
		char hex[SHA256_HEX];

		if (asked(stop))
			return stopped(e);
		sha256_hex_of(s.json, strlen(s.json), hex);
		if (strcmp(hex, s.sha256) != 0)
			snprintf(ret, 320,
				"recipe %s@%lld is not what was stored: its SHA-256 does not fit",
				s.name, (long long)s.version);
	}
	return MIN(r, 0);
}

/* Each gives a name where two tables say different things, and no row where they agree. */
static const struct {
	const char *sql, *text;
} rules[] = {
	{"SELECT r.id FROM runs r LEFT JOIN serials s ON s.kind = 'serial' AND s.value = r.serial"
	 " WHERE r.outcome = 'passed' AND r.serial IS NOT NULL"
	 " AND (s.seq IS NULL OR s.state <> 'committed') LIMIT 1",
		"run %s passed with a serial number that the ledger does not know as used"},
	{"SELECT u.id FROM units u LEFT JOIN serials s ON s.kind = 'serial' AND s.value = u.serial"
	 " WHERE u.serial IS NOT NULL AND (s.seq IS NULL OR s.unit_id IS NOT u.id) LIMIT 1",
		"unit %s has a serial number that the ledger does not know as its own"},
	{"SELECT p.id FROM pools p WHERE p.pattern IS NOT NULL AND p.next <="
	 " coalesce((SELECT max(s.ordinal) FROM serials s WHERE s.pool_id = p.id), -1) LIMIT 1",
		"the sequence of pool %s is behind a value that it has given out"},
	{"SELECT i.run_id FROM intents i JOIN steps s ON s.run_id = i.run_id AND s.n = i.step_n"
	 " WHERE s.outcome = 'passed' AND i.state <> 'committed' LIMIT 1",
		"a step of run %s passed whose act the journal does not know as done"},
	{"SELECT u.id FROM outbox o JOIN units u ON u.id = o.order_key"
	 " WHERE o.state IN ('waiting', 'refused') AND u.state = 'passed' LIMIT 1",
		"unit %s has passed, and the outbox has something of it that is not done"},
};

static int check_rule(struct db *d, size_t i, char ret[ERR_TEXT_BYTES], struct err *e)
{
	char name[DB_ID_SIZE];
	int r = db_text(d, e, name, sizeof name, rules[i].sql);

	if (r > 0)
		snprintf(ret, 320, rules[i].text, name);
	return MIN(r, 0);
}

int integrity_tables(
	struct db *d, const struct integrity_stop *stop, char ret[ERR_TEXT_BYTES], struct err *e)
{
	int r;

	ret[0] = 0;
	watch(d, stop);
	r = check_recipes(d, stop, ret, e);
	for (size_t i = 0; i < ARRAY_LEN(rules) && r == 0 && !ret[0]; i++)
		r = check_rule(d, i, ret, e);
	if (r == 0 && !ret[0])
		r = rollups_check(d, ret, e);
	if (r == 0 && !ret[0])
		r = rollup_steps_check(d, ret, e);
	watch(d, NULL);
	return asked(stop) ? stopped(e) : r;
}
