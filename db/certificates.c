/* SPDX-License-Identifier: Apache-2.0 */
#include "db/certificates.h"

#include "base/timefmt.h"
#include "db/run_facts.h"
#include "db/stmt.h"

int certificates_order(struct db *tx, const struct certificate_order_row *o, struct err *e)
{
	static const char sql[] =
		"INSERT INTO certificates (id, serial, run_id, step_n, station, issuer, profile,"
		" profile_digest, key, asked, state, ordered_at)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'ordered', ?)";
	struct run_facts f;
	int r = run_facts(tx, o->run, &f, e);

	if (r == 0)
		r = db_do(tx, e, sql, o->id, or_null(o->serial), o->run, o->step_n, f.station,
			o->issuer, o->profile, o->profile_digest, o->key, o->asked, wall_ms());
	if (r < 0)
		return r;
	return run_event(tx, "certificate-ordered", &f, or_null(f.unit_serial),
		json_pack("{s:s, s:s, s:s, s:s}", "certificate", o->id, "issuer", o->issuer,
			"profile", o->profile, "key", o->key),
		e);
}

int certificates_key_free(struct db *d, const char *run, const char *key, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(u.serial, u.id) FROM certificates c JOIN runs r ON r.id = c.run_id"
		" JOIN units u ON u.id = r.unit_id JOIN runs now ON now.id = ?"
		" WHERE c.key = ? AND c.state IN ('issued', 'delivered')"
		" AND u.state <> 'scrapped' AND (r.unit_id <> now.unit_id"
		" OR now.unit_id IS NULL AND u.state IN ('passed', 'provisioned')) LIMIT 1";
	char other[LEDGER_VALUE_SIZE];
	int r = db_text(d, e, other, sizeof other, sql, run, key);

	return r <= 0 ? r
		      : err_set(e, ERR_CSR_MISMATCH,
				"the key %.16s has a certificate of unit '%.64s': two units may not have one key (set this one aside, and see how keys are made; if it is that unit, the recipe has to identify it before its key, or scrap the other record)",
				key, other);
}

/* An event of the run that ordered it, which may be over. */
static int event(struct db *tx, const char *type, const char *id, json_t *data, struct err *e)
{
	struct owner {
		char run[DB_ID_SIZE], station[DB_ID_SIZE], job[DB_ID_SIZE];
	} of = {0};
	static const struct column columns[] = {COL_AS(struct owner, run, "run_id"),
		COL(struct owner, station), COL_AS(struct owner, job, "job_id"), {0}};
	SELECT(find,
		"SELECT c.run_id, c.station, r.job_id FROM certificates c"
		" JOIN runs r ON r.id = c.run_id WHERE c.id = ?",
		columns);
	int r = select_one(tx, e, &find, &of, id);

	if (r < 0) {
		json_decref(data);
		return r;
	}
	json_object_set_new(data, "certificate", json_string(id));
	return db_event(tx, type, of.station, or_null(of.job), of.run, NULL, data, e);
}

int certificates_issue(struct db *tx, const struct certificate_row *c, struct err *e)
{
	static const char sql[] =
		"UPDATE certificates SET state = 'issued', serial = ?, subject = ?, sha256 = ?, pem = ?, chain = ?,"
		" not_before = ?, not_after = ?, issued_at = ? WHERE id = ? AND state = 'ordered'";
	int r = db_run_one(tx, e, "that order of a certificate", sql, c->serial, c->subject,
		c->sha256, c->pem, c->chain, c->not_before_ms, c->not_after_ms, wall_ms(), c->id);

	return r < 0 ? r
		     : event(tx, "certificate-issued", c->id,
			       json_pack("{s:s, s:s, s:s}", "serial_number", c->serial, "subject",
				       c->subject, "sha256", c->sha256),
			       e);
}

int certificates_void(struct db *tx, const char *id, const char *reason, struct err *e)
{
	static const char sql[] = "UPDATE certificates SET state = 'void', reason = ?,"
				  " settled_at = ? WHERE id = ? AND state = 'ordered'";
	int r = db_run_one(tx, e, "that order of a certificate", sql, reason, wall_ms(), id);

	return r < 0 ? r
		     : event(tx, "certificate-void", id, json_pack("{s:s}", "reason", reason), e);
}

static int of_this_unit(struct db *d, const char *run, const char *id, struct err *e)
{
	static const char sql[] =
		"SELECT coalesce(u.serial, u.id) FROM certificates c JOIN runs r ON r.id = c.run_id"
		" JOIN units u ON u.id = r.unit_id JOIN runs now ON now.id = ?"
		" WHERE c.id = ? AND (r.unit_id <> now.unit_id"
		" OR now.unit_id IS NULL AND u.state IN ('passed', 'provisioned'))";
	char other[LEDGER_VALUE_SIZE];
	int r = db_text(d, e, other, sizeof other, sql, run, id);

	return r <= 0 ? r
		      : err_set(e, ERR_CSR_MISMATCH,
				"the certificate that was written is of unit '%.64s', not of the unit of this run: give key.deliver the certificate of this run",
				other);
}

int certificates_deliver(struct db *tx, const char *run, const char *sha256, struct err *e)
{
	struct held {
		char id[DB_ID_SIZE], state[16];
	} held;
	static const struct column columns[] = {COL(struct held, id), COL(struct held, state), {0}};
	SELECT(find, "SELECT id, state FROM certificates WHERE sha256 = ?", columns);
	static const char sql[] = "UPDATE certificates SET state = 'delivered', settled_at = ?"
				  " WHERE id = ? AND state = 'issued'";
	int r = select_one(tx, e, &find, &held, sha256);

	if (r == 0)
		return err_set(e, ERR_NOT_FOUND,
			"the records know no issued certificate with SHA-256 %.16s", sha256);
	if (r > 0)
		r = of_this_unit(tx, run, held.id, e);
	if (r < 0 || !strcmp(held.state, "delivered"))
		return r;
	r = db_run_one(tx, e, "that certificate", sql, wall_ms(), held.id);
	return r < 0 ? r
		     : event(tx, "certificate-delivered", held.id, json_pack("{s:s}", "by", run),
			       e);
}

int certificates_settle(struct db *tx, struct err *e)
{
	static const char sql[] = "SELECT id FROM certificates WHERE state = 'ordered' LIMIT 1";
	/* The number of an authority's certificate is not known before its answer. */
	static const char asked[] = "SELECT 1 FROM certificates WHERE id = ? AND serial IS NULL";
	char id[64];
	int n = 0;
	int r;

	while ((r = db_text(tx, e, id, sizeof id, sql)) > 0) {
		int elsewhere = db_has(tx, e, asked, id);

		r = elsewhere < 0
			    ? elsewhere
			    : certificates_void(tx, id,
				      elsewhere
					      ? "provd ended before the answer was on record: it may have been issued, and was never given out"
					      : "provd ended before the certificate was on record: it was never given out",
				      e);
		if (r < 0)
			return r;
		n++;
	}
	return r < 0 ? r : n;
}

int certificates_find(struct db *d, const struct certificate_order_row *o, int64_t now_ms,
	json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"serial", AS_TEXT}, {"pem", AS_TEXT},
		{"chain", AS_TEXT}, {"sha256", AS_TEXT}, {0}};
	SELECT(find,
		"SELECT c.serial, c.pem, c.chain, c.sha256 FROM certificates c"
		" JOIN runs r ON r.id = c.run_id JOIN runs now ON now.id = ?"
		" WHERE c.key = ? AND c.issuer = ? AND c.profile_digest = ? AND c.asked = ?"
		" AND c.state IN ('issued', 'delivered') AND c.not_after > ?"
		" AND coalesce(r.unit_id = now.unit_id, 1) ORDER BY c.seq DESC LIMIT 1",
		columns);
	struct query q = {0};
	int r = select_begin(
		&q, d, e, &find, o->run, o->key, o->issuer, o->profile_digest, o->asked, now_ms);

	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r > 0)
		*ret = row_json(&q);
	query_done(&q);
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "no such certificate was issued for that key");
	return MIN(r, 0);
}

int certificates_held(
	struct db *d, const char *run, const char *issuer, json_t **ret, struct err *e)
{
	static const struct column columns[] = {
		{"serial", AS_TEXT}, {"subject", AS_TEXT}, {"sha256", AS_TEXT}, {0}};
	SELECT(find,
		"SELECT c.serial, c.subject, c.sha256 FROM certificates c"
		" JOIN runs r ON r.id = c.run_id JOIN runs now ON now.id = ?"
		" WHERE r.unit_id = now.unit_id AND c.issuer = ?"
		" AND c.state IN ('issued', 'delivered') ORDER BY c.seq DESC LIMIT 1",
		columns);
	struct query q = {0};
	int r = select_begin(&q, d, e, &find, run, issuer);

	if (r == 0)
		r = select_next(&q, NULL, e);
	if (r > 0)
		*ret = row_json(&q);
	query_done(&q);
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND,
			"the unit has no certificate of issuer '%.64s' that could be renewed: take 'renew' out of the step",
			issuer);
	return MIN(r, 0);
}

int certificates_of_unit(struct db *d, const char *unit_id, json_t **ret, struct err *e)
{
	static const struct column columns[] = {{"id", AS_TEXT}, {"serial", AS_TEXT},
		{"run", AS_TEXT}, {"station", AS_TEXT}, {"issuer", AS_TEXT}, {"profile", AS_TEXT},
		{"profile_digest", AS_TEXT}, {"key", AS_TEXT}, {"state", AS_TEXT},
		{"subject", AS_TEXT}, {"not_before", AS_TIME}, {"not_after", AS_TIME},
		{"sha256", AS_TEXT}, {"pem", AS_TEXT}, {"chain", AS_TEXT}, {"reason", AS_TEXT},
		{"ordered_at", AS_TIME}, {"issued_at", AS_TIME}, {"settled_at", AS_TIME}, {0}};
	SELECT(list,
		"SELECT c.id, c.serial, c.run_id AS run, c.station, c.issuer, c.profile, c.profile_digest,"
		" c.key, c.state, c.subject, c.not_before, c.not_after, c.sha256, c.pem, c.chain,"
		" c.reason, c.ordered_at, c.issued_at, c.settled_at"
		" FROM runs r JOIN certificates c ON c.run_id = r.id WHERE r.unit_id = ?"
		" ORDER BY c.seq DESC",
		columns);

	return db_all_json(d, e, &list, ret, unit_id);
}
