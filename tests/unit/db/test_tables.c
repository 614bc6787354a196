/* SPDX-License-Identifier: Apache-2.0
 *
 * The table families that are mostly storage: what a user of each would miss if it were wrong.
 */
#include "base/digest.h"
#include "db/artifacts.h"
#include "db/audit.h"
#include "db/events.h"
#include "db/idempotency.h"
#include "db/jobs.h"
#include "db/prompts.h"
#include "db/recipes.h"
#include "db/runs.h"
#include "db/stations.h"
#include "db/sessions.h"
#include "db/stmt.h"
#include "db/told.h"
#include "db/tokens.h"
#include "db/traces.h"
#include "tests/unit/db/fixture.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

START_TEST(a_revoked_token_is_known_as_revoked)
{
	struct token t = {.id = "t1", .name = "press 4", .role = "operator"};
	struct token got;
	json_t *all = NULL;

	memcpy(t.secret_sha256, SHA_A, sizeof t.secret_sha256);
	TX(tokens_create(fx.db, &t, &fx.e));
	OK(tokens_find(fx.db, "t1", &got, &fx.e));
	ck_assert_str_eq(got.role, "operator");
	ck_assert_str_eq(got.secret_sha256, SHA_A);
	ck_assert(!got.revoked);
	TX(tokens_revoke(fx.db, "t1", &fx.e));
	OK(tokens_find(fx.db, "t1", &got, &fx.e));
	ck_assert(got.revoked);
	TX_FAILS(ERR_NOT_FOUND, tokens_revoke(fx.db, "t1", &fx.e));
	FAILS(ERR_NOT_FOUND, tokens_find(fx.db, "t2", &got, &fx.e));
	OK(tokens_list(fx.db, &all, &fx.e));
	ck_assert_ptr_null(at(all, "0.secret_sha256"));
	json_decref(all);
}
END_TEST

START_TEST(the_same_artifact_twice_is_one)
{
	struct artifact a = {.sha256 = SHA_A,
		.name = "app.hex",
		.size_bytes = 77,
		.format = "ihex",
		.created_by = "x"};
	json_t *image = json_pack("{s:i}", "segment_count", 2);
	json_t *got = NULL;
	bool created = false;
	char sha[65];
	int64_t total = 0;
	char name[64];

	a.image = image;
	TX(artifacts_add(fx.db, &a, &created, &fx.e));
	ck_assert(created);
	OK(artifacts_get(fx.db, SHA_A, &got, &fx.e));
	ck_assert(json_equal(json_object_get(got, "image"), image));
	json_decref(got);
	json_decref(image);
	a.image = NULL;
	TX(artifacts_add(fx.db, &a, &created, &fx.e));
	ck_assert(!created);
	OK(artifacts_by_name(fx.db, "app.hex", sha, &fx.e));
	OK(artifacts_name(fx.db, sha, name, sizeof name, &fx.e));
	ck_assert_str_eq(name, "app.hex");
	ck_assert_int_eq(artifacts_name(fx.db, "none", name, sizeof name, &fx.e), -ERR_NOT_FOUND);
	ck_assert_str_eq(sha, SHA_A);
	OK(artifacts_total(fx.db, &total, &fx.e));
	ck_assert_int_eq(total, 77);
}
END_TEST

static void put_artifact(const char *sha256, const char *name)
{
	const struct artifact a = {.sha256 = sha256,
		.name = name,
		.size_bytes = 1,
		.format = "bin",
		.created_by = "x"};
	bool created;

	TX(artifacts_add(fx.db, &a, &created, &fx.e));
}

static void assert_leads_to(const char *name, const char *sha256)
{
	char got[SHA256_HEX];

	OK(artifacts_by_name(fx.db, name, got, &fx.e));
	ck_assert_str_eq(got, sha256);
}

/* Who takes a change back uploads the old file again, and means that one. */
START_TEST(a_name_leads_to_what_was_uploaded_last)
{
	const struct db_page page = {.limit = 10};
	struct db_list found = {0};
	json_t *got = NULL;
	int64_t events = 0;

	put_artifact(SHA_A, "app.bin");
	put_artifact(SHA_B, "app.bin");
	assert_leads_to("app.bin", SHA_B);
	put_artifact(SHA_A, "app.bin");
	assert_leads_to("app.bin", SHA_A);
	put_artifact(SHA_A, "app.bin");
	put_artifact(SHA_A, "boot.bin");
	assert_leads_to("boot.bin", SHA_A);
	assert_leads_to("app.bin", SHA_A);
	OK(artifacts_get(fx.db, SHA_A, &got, &fx.e));
	ck_assert_str_eq(str_at(got, "name"), "app.bin");
	ck_assert_uint_eq(json_array_size(at(got, "names")), 2);
	json_decref(got);
	OK(artifacts_list(fx.db, "app.bin", &page, &found, &fx.e));
	ck_assert_uint_eq(json_array_size(found.items), 2);
	json_decref(found.items);
	ck_assert_int_ge(db_int(fx.db, &fx.e, &events,
				 "SELECT count(*) FROM events WHERE type = 'artifact-named'"),
		0);
	ck_assert_int_eq(events, 3);
	ck_assert_int_eq(artifacts_give_name(fx.db, "none", "app.bin", &fx.e), -ERR_NOT_FOUND);
	OK(artifacts_get(fx.db, SHA_B, &got, &fx.e));
	ck_assert_uint_eq(json_array_size(at(got, "names")), 0);
	json_decref(got);
	TX(artifacts_delete(fx.db, SHA_A, "x", &fx.e));
	assert_leads_to("app.bin", SHA_B);
	ck_assert_int_eq(
		artifacts_by_name(fx.db, "boot.bin", (char[SHA256_HEX]){0}, &fx.e), -ERR_NOT_FOUND);
}
END_TEST

START_TEST(an_approved_recipe_never_changes)
{
	struct recipe_text t = {.name = "thermo",
		.version = 1,
		.sha256 = "d1",
		.json = "{\"a\":1}",
		.source = "a: 1"};
	struct recipe_text final = t;
	struct recipe_row row = {0};
	char hex[SHA256_HEX];
	bool created;

	TX(recipes_put_draft(fx.db, &t, "anna", &created, &fx.e));
	ck_assert(created);
	FAILS(ERR_NOT_FOUND, recipes_find(fx.db, "thermo", 0, &row, &fx.e));
	t.sha256 = "d2";
	TX(recipes_put_draft(fx.db, &t, "anna", &created, &fx.e));
	ck_assert(!created);
	final.sha256 = sha256_hex_of(final.json, strlen(final.json), hex);
	TX_FAILS(ERR_PRECONDITION, recipes_approve(fx.db, &final, "d1", "bert", &fx.e));
	TX(recipes_approve(fx.db, &final, "d2", "bert", &fx.e));
	OK(recipes_find(fx.db, "thermo", 0, &row, &fx.e));
	ck_assert_str_eq(row.sha256, hex);
	ck_assert_str_eq(row.state, "approved");
	recipe_row_done(&row);
	TX_FAILS(ERR_CONFLICT, recipes_put_draft(fx.db, &t, "anna", &created, &fx.e));
	TX_FAILS(ERR_CONFLICT, recipes_delete_draft(fx.db, "thermo", 1, &fx.e));
	TX_FAILS(ERR_CONFLICT, recipes_approve(fx.db, &final, hex, "bert", &fx.e));
	TX(recipes_retire(fx.db, "thermo", 1, "bert", &fx.e));
	TX_FAILS(ERR_CONFLICT, recipes_retire(fx.db, "thermo", 1, "bert", &fx.e));
	FAILS(ERR_NOT_FOUND, recipes_find(fx.db, "thermo", 0, &row, &fx.e));
	OK(recipes_find(fx.db, "thermo", 1, &row, &fx.e)); /* still there for its runs */
	ck_assert_str_eq(row.state, "retired");
	recipe_row_done(&row);
}
END_TEST

static int answer(const char *prompt, const char *text, const char *by, bool supervises)
{
	const struct prompt_answer a = {prompt, text, by, supervises};

	return prompts_answer(fx.db, &a, &fx.e);
}

START_TEST(a_prompt_is_answered_once)
{
	struct prompt_new p = {
		.id = "p1", .run = "r1", .station = "A1", .kind = "confirm", .text = "Lid closed?"};
	json_t *j = NULL;

	open_run("r1", "A1", NULL);
	TX(prompts_ask(fx.db, &p, &fx.e));
	TX(answer("p1", "yes", "anna", false));
	TX_FAILS(ERR_CONFLICT, answer("p1", "no", "bert", true));
	TX_FAILS(ERR_NOT_FOUND, answer("p2", "no", "bert", true));
	OK(prompts_get(fx.db, "p1", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "answer"), "yes");
	ck_assert_str_eq(str_at(j, "answered_by"), "anna");
	json_decref(j);
}
END_TEST

static void ask_for_approval(const char *id, const char *run)
{
	const struct prompt_new p = {.id = id,
		.run = run,
		.station = "A1",
		.kind = "confirm",
		.text = "For ever?",
		.approval = true};

	TX(prompts_ask(fx.db, &p, &fx.e));
}

START_TEST(what_is_for_ever_is_approved_by_a_second_person)
{
	struct recipe_text t = {.name = "thermo", .version = 1, .json = "{}", .source = "a: 1"};
	const struct job_new job = {.id = "j1",
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0000",
		.quantity = 1,
		.created_by = "orders"};
	char hex[SHA256_HEX];
	bool created;
	json_t *j = NULL;

	t.sha256 = sha256_hex_of(t.json, strlen(t.json), hex);
	TX(recipes_put_draft(fx.db, &t, "author", &created, &fx.e));
	TX(recipes_approve(fx.db, &t, hex, "approver", &fx.e));
	TX(jobs_create(fx.db, &job, NULL, &fx.e));
	open_run("r1", "A1", "j1");
	ask_for_approval("p1", "r1");
	TX_FAILS(ERR_FORBIDDEN, answer("p1", "yes", "orders", true));
	TX_FAILS(ERR_FORBIDDEN, answer("p1", "yes", "author", true));
	TX_FAILS(ERR_FORBIDDEN, answer("p1", "yes", "approver", true));
	TX_FAILS(ERR_FORBIDDEN, answer("p1", "yes", "anna", false));
	OK(prompts_get(fx.db, "p1", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), "open");
	json_decref(j);
	TX(answer("p1", "yes", "anna", true));
	OK(prompts_get(fx.db, "p1", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "answered_by"), "anna");
	json_decref(j);
	TX_FAILS(ERR_CONFLICT, db_run(fx.db, &fx.e, "UPDATE prompts SET answered_by = 'bert'"));
	ask_for_approval("p2", "r1");
	TX(answer("p2", "no", "orders", false)); /* anybody stops it */
	TX_FAILS(ERR_CONFLICT,
		db_run(fx.db, &fx.e, "UPDATE prompts SET answer = 'yes' WHERE id = 'p2'"));
}
END_TEST

START_TEST(the_same_request_gets_the_same_answer_and_another_is_refused)
{
	char older[SHA256_HEX];
	struct idempotent k = {"mes", "key-1", "POST /api/v1/jobs", sha256_hex_of("{}", 2, older)};
	struct idempotent other = k;
	struct idempotent_answer a = {0};

	ck_assert_int_eq(idempotency_find(fx.db, &k, &a, &fx.e), 0);
	TX(idempotency_store(fx.db, &k, 201, NULL, "{\"id\":1}", &fx.e));
	ck_assert_int_eq(idempotency_find(fx.db, &k, &a, &fx.e), 1);
	ck_assert_int_eq(a.status, 201);
	ck_assert_str_eq(a.response, "{\"id\":1}");
	idempotent_answer_done(&a);
	other.body_sha256 = "b2";
	FAILS(ERR_INVALID, idempotency_find(fx.db, &other, &a, &fx.e));
	other = k;
	/* A key of before is found by the bytes of its body. */
	other.body_sha256 = "of what it means";
	other.body = "{}";
	other.body_len = 2;
	ck_assert_int_eq(idempotency_find(fx.db, &other, &a, &fx.e), 1);
	idempotent_answer_done(&a);
	other = k;
	other.principal = "someone else";
	ck_assert_int_eq(idempotency_find(fx.db, &other, &a, &fx.e), 0);
	TX(idempotency_prune(fx.db, INT64_MAX, &fx.e));
	ck_assert_int_eq(idempotency_find(fx.db, &k, &a, &fx.e), 0);
}
END_TEST

static const struct audit_who anna = {"anna", "t1", "10.0.0.1"}, bert = {"bert", "t2", NULL};

START_TEST(the_audit_trail_is_newest_first_by_principal)
{
	struct db_list l;

	TX(audit_add(fx.db, &anna, "token.create", "t1", NULL, &fx.e));
	TX(audit_add(fx.db, &bert, "job.abort", "j1", NULL, &fx.e));
	TX(audit_add(fx.db, &anna, "token.revoke", "t1", NULL, &fx.e));
	OK(audit_list(fx.db, "anna", NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 2);
	ck_assert_str_eq(str_at(l.items, "0.action"), "token.revoke");
	ck_assert_str_eq(str_at(l.items, "0.token"), "t1");
	ck_assert_str_eq(str_at(l.items, "0.address"), "10.0.0.1");
	json_decref(l.items);
}
END_TEST

#define SQL_FAILS(text, sql)                                                   \
	do {                                                                   \
		ck_assert_int_lt(db_begin(fx.db, &fx.e), 1);                   \
		ck_assert_int_lt(db_script(fx.db, sql, &fx.e), 0);             \
		ck_assert_msg(strstr(fx.e.msg, text) != NULL, "%s", fx.e.msg); \
		db_rollback(fx.db);                                            \
	} while (0)

START_TEST(no_sql_changes_the_audit_trail)
{
	struct db_list l;

	for (int i = 0; i < 3; i++)
		TX(audit_add(fx.db, &anna, "unit.state", "u1", NULL, &fx.e));
	SQL_FAILS("immutable", "DELETE FROM audit WHERE seq = 2");
	SQL_FAILS("immutable", "DELETE FROM audit");
	SQL_FAILS("immutable", "UPDATE audit SET principal = 'bert' WHERE seq = 2");
	SQL_FAILS("immutable", "REPLACE INTO audit (seq, at, principal, action, target, detail)"
			       " VALUES (2, 0, 'bert', 'a', 't', '{}')");
	SQL_FAILS("immutable",
		"INSERT OR IGNORE INTO audit (seq, at, principal, action, target, detail)"
		" VALUES (3, 0, 'bert', 'a', 't', '{}')");
	OK(audit_list(fx.db, NULL, NULL, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 3);
	json_decref(l.items);
}
END_TEST

START_TEST(the_name_of_a_token_is_never_taken_over)
{
	struct token t = {.id = "t1", .name = "Press 4", .role = "operator"};
	struct token again = {.id = "t2", .name = "press 4", .role = "admin"};

	memcpy(t.secret_sha256, SHA_A, sizeof t.secret_sha256);
	memcpy(again.secret_sha256, SHA_A, sizeof again.secret_sha256);
	TX(tokens_create(fx.db, &t, &fx.e));
	TX_FAILS(ERR_CONFLICT, tokens_create(fx.db, &again, &fx.e));
	TX(tokens_revoke(fx.db, "t1", &fx.e));
	TX_FAILS(ERR_CONFLICT, tokens_create(fx.db, &again, &fx.e));
	SQL_FAILS("revoked, not deleted", "DELETE FROM tokens");
	SQL_FAILS("revoked, once", "UPDATE tokens SET name = 'free' WHERE id = 't1'");
	SQL_FAILS("revoked, once", "UPDATE tokens SET revoked_at = NULL WHERE id = 't1'");
	SQL_FAILS("used once", "INSERT OR REPLACE INTO tokens VALUES"
			       " ('t1', 'other', 'admin', 'x', 0, NULL, NULL, NULL, NULL, NULL,"
			       " NULL, NULL, NULL)");
}
END_TEST

#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

START_TEST(a_token_of_before_the_limits_is_whole_and_does_not_end)
{
	struct token got;

	fixture_before(20);
	OK(db_script(fx.db,
		"INSERT INTO tokens VALUES ('t1', 'mes', 'mes', '" SHA_A "', 1000, NULL)", &fx.e));
	fixture_reopen();
	OK(tokens_find(fx.db, "t1", &got, &fx.e));
	ck_assert(!got.revoked && !got.scopes && !got.expires_ms && !got.used_ms);
	ck_assert_str_eq(got.old_sha256, "");
	TX(tokens_touch(fx.db, "t1", 5, "10.0.0.1", &fx.e));
	TX(tokens_rotate(fx.db, "t1", SHA_B, 0, &fx.e));
	OK(tokens_find(fx.db, "t1", &got, &fx.e));
	ck_assert_str_eq(got.old_sha256, SHA_A);
}
END_TEST

START_TEST(what_a_token_may_do_stays_and_its_secret_changes_by_rotation_alone)
{
	json_t *scopes = json_pack("{s:[s]}", "stations", "A1");
	struct token t = {.id = "t1", .name = "press 4", .role = "operator", .expires_ms = 5000};
	struct token got;
	json_t *all = NULL;

	t.scopes = scopes;
	memcpy(t.secret_sha256, SHA_A, sizeof t.secret_sha256);
	TX(tokens_create(fx.db, &t, &fx.e));
	TX(tokens_rotate(fx.db, "t1", SHA_B, 4000, &fx.e));
	TX(tokens_touch(fx.db, "t1", 300, "10.0.0.7", &fx.e));
	TX(tokens_touch(fx.db, "t1", 200, "10.0.0.8", &fx.e)); /* came late */
	OK(tokens_find(fx.db, "t1", &got, &fx.e));
	ck_assert_str_eq(got.secret_sha256, SHA_B);
	ck_assert_str_eq(got.old_sha256, SHA_A);
	ck_assert_int_eq(got.old_until_ms, 4000);
	ck_assert_int_eq(got.expires_ms, 5000);
	ck_assert_int_eq(got.used_ms, 300);
	ck_assert_str_eq(got.used_from, "10.0.0.7");
	ck_assert(json_equal(got.scopes, scopes));
	token_done(&got);
	OK(tokens_list(fx.db, &all, &fx.e));
	ck_assert_str_eq(str_at(all, "0.last_used_from"), "10.0.0.7");
	ck_assert_str_eq(str_at(all, "0.expires_at"), "1970-01-01T00:00:05.000Z");
	ck_assert_ptr_null(at(all, "0.old_sha256"));
	SQL_FAILS("rotated", "UPDATE tokens SET secret_sha256 = 'x'");
	SQL_FAILS("rotated", "UPDATE tokens SET expires_at = NULL");
	SQL_FAILS("rotated", "UPDATE tokens SET scopes = NULL");
	TX(tokens_revoke(fx.db, "t1", &fx.e));
	TX_FAILS(ERR_NOT_FOUND, tokens_rotate(fx.db, "t1", SHA_A, 0, &fx.e));
	TX(tokens_touch(fx.db, "t1", 900, "10.0.0.9", &fx.e));
	json_decref(all);
	json_decref(scopes);
}
END_TEST

static void count_session(void *data, const struct session_row *s)
{
	(*(int *)data)++;
	ck_assert_str_eq(s->token, "t1");
}

static int sessions_now(void)
{
	int n = 0;

	OK(sessions_each(fx.db, count_session, &n, &fx.e));
	return n;
}

START_TEST(sessions_last_until_they_end_or_their_token_does)
{
	struct token t = {.id = "t1", .name = "wall", .role = "viewer"};
	struct session_row s = {.hash = SHA_A, .token = "t1", .used_ms = 10, .ends_ms = 1000};

	memcpy(t.secret_sha256, SHA_A, sizeof t.secret_sha256);
	TX(tokens_create(fx.db, &t, &fx.e));
	TX(sessions_add(fx.db, &s, &fx.e));
	TX(sessions_prune(fx.db, 999, 10, &fx.e));
	ck_assert_int_eq(sessions_now(), 1);
	TX(sessions_touch(fx.db, SHA_A, 500, &fx.e));
	TX(sessions_touch(fx.db, SHA_A, 400, &fx.e)); /* came late */
	TX(sessions_prune(fx.db, 999, 500, &fx.e));
	ck_assert_int_eq(sessions_now(), 1);
	TX(sessions_prune(fx.db, 999, 501, &fx.e));
	ck_assert_int_eq(sessions_now(), 0);
	TX(sessions_add(fx.db, &s, &fx.e));
	TX(sessions_prune(fx.db, 1000, 0, &fx.e));
	ck_assert_int_eq(sessions_now(), 0);
	TX(sessions_add(fx.db, &s, &fx.e));
	TX(sessions_remove(fx.db, SHA_A, &fx.e));
	ck_assert_int_eq(sessions_now(), 0);
	TX(sessions_add(fx.db, &s, &fx.e));
	TX(tokens_revoke(fx.db, "t1", &fx.e));
	ck_assert_int_eq(sessions_now(), 0);
	TX(sessions_remove_of(fx.db, "t1", &fx.e));
}
END_TEST

START_TEST(a_reader_of_pruned_events_is_told_so)
{
	struct db_page page = {.after = "3"};
	struct db_list l;
	int64_t n;
	int64_t first;
	int64_t last;

	for (int i = 0; i < 10; i++)
		TX(db_event(fx.db, "tick", NULL, NULL, NULL, NULL, NULL, &fx.e));
	OK(events_list(fx.db, NULL, &page, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 7);
	ck_assert_int_eq(int_at(l.items, "0.seq"), 4);
	json_decref(l.items);
	TX(events_prune(fx.db, INT64_MAX, INT64_MAX, 5, &n, &fx.e));
	ck_assert_int_eq(n, 5);
	FAILS(ERR_GONE, events_list(fx.db, NULL, &page, &l, &fx.e));
	page.after = "5";
	OK(events_list(fx.db, NULL, &page, &l, &fx.e));
	ck_assert_uint_eq(json_array_size(l.items), 5);
	json_decref(l.items);
	TX(events_prune(fx.db, INT64_MAX, INT64_MAX, 100, &n, &fx.e));
	OK(events_bounds(fx.db, &first, &last, &fx.e));
	ck_assert_int_eq(first, 11);
	ck_assert_int_eq(last, 10);
	TX(db_event(fx.db, "tick", NULL, NULL, NULL, NULL, NULL, &fx.e));
	OK(events_bounds(fx.db, &first, &last, &fx.e));
	ck_assert_int_eq(last, 11); /* a number is never given out again */
}
END_TEST

static void make_job(const char *id, int64_t quantity, int64_t priority, const char *station)
{
	json_t *affinity = station ? json_pack("[s]", station) : NULL;
	struct job_new j = {
		.id = id,
		.recipe = "thermo",
		.version = 1,
		.recipe_sha256 = "0",
		.quantity = quantity,
		.priority = priority,
		.affinity = affinity,
		.created_by = "mes",
	};

	TX(jobs_create(fx.db, &j, NULL, &fx.e));
	json_decref(affinity);
}

static void assert_claim(const char *station, const char *want)
{
	const struct job_taker taker = {.station = station};
	struct job j = {0};

	if (want) {
		TX(jobs_claim(fx.db, &taker, &j, &fx.e));
		ck_assert_str_eq(j.id, want);
		ck_assert_str_eq(j.state, "running");
	} else {
		TX_FAILS(ERR_NOT_FOUND, jobs_claim(fx.db, &taker, &j, &fx.e));
	}
	job_done(&j);
}

static int act(const char *id, enum job_sign verb, int64_t revision)
{
	return jobs_act(fx.db, id, verb,
		&(struct job_word){.revision = revision, .by = "anna", .reason = "quality"}, &fx.e);
}

static void assert_job(const char *id, const char *state)
{
	json_t *j = NULL;

	OK(jobs_get(fx.db, id, &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), state);
	json_decref(j);
}

START_TEST(a_station_gets_the_most_urgent_job_that_still_needs_units)
{
	make_job("low", 5, 0, NULL);
	make_job("high", 2, 9, NULL);
	make_job("mine", 1, 5, "A1");
	assert_claim("A1", "high");
	open_run("r1", "A1", "high");
	assert_claim("A2", "high");
	open_run("r2", "A2", "high");
	assert_claim("A3", "low"); /* both of high are in hand, mine is not for A3 */
	assert_claim("A1", "mine");
	finish_run("r1", "passed");
	finish_run("r2", "failed");
	assert_claim("A3", "high"); /* one came back bad */
	open_run("r3", "A3", "high");
	finish_run("r3", "passed");
	assert_job("high", "done");
	assert_claim("A3", "low");
}
END_TEST

START_TEST(a_stopped_job_ends_with_its_last_run)
{
	json_t *j = NULL;

	make_job("j", 5, 0, NULL);
	assert_claim("A1", "j");
	open_run("r1", "A1", "j");
	TX(act("j", JOB_STOP, 0));
	assert_claim("A2", NULL);
	assert_job("j", "stopping");
	finish_run("r1", "passed");
	OK(jobs_get(fx.db, "j", &j, &fx.e));
	ck_assert_str_eq(str_at(j, "state"), "done");
	ck_assert_int_eq(int_at(j, "passed"), 1);
	ck_assert(json_is_string(at(j, "finished_at")));
	json_decref(j);
	TX_FAILS(ERR_CONFLICT, act("j", JOB_RESUME, 0));
}
END_TEST

START_TEST(a_change_on_a_stale_view_is_refused)
{
	int64_t priority = 7;
	struct job_change c = {.priority = &priority};
	json_t *j = NULL;

	make_job("j", 5, 0, NULL);
	TX(jobs_change(fx.db, "j", &c, 1, "anna", &fx.e));
	TX_FAILS(ERR_PRECONDITION, jobs_change(fx.db, "j", &c, 1, "bert", &fx.e));
	TX_FAILS(ERR_PRECONDITION, act("j", JOB_PAUSE, 1));
	TX(act("j", JOB_PAUSE, 2));
	assert_claim("A1", NULL);
	OK(jobs_get(fx.db, "j", &j, &fx.e));
	ck_assert_int_eq(int_at(j, "priority"), 7);
	ck_assert_int_eq(int_at(j, "quantity"), 5);
	ck_assert_int_eq(int_at(j, "revision"), 3);
	json_decref(j);
}
END_TEST

START_TEST(lists_by_time_and_id_page_through_equal_times)
{
	struct db_page page = {.limit = 2};
	struct db_list l = {0};
	char after[128] = "";
	char seen[64] = "";

	for (int i = 0; i < 7; i++) {
		char id[4] = {(char)('a' + i), 0};

		make_job(id, 1, 0, NULL);
	}
	do {
		size_t i;
		json_t *row;

		page.after = after;
		OK(jobs_list(fx.db, &(struct job_filter){0}, &page, &l, &fx.e));
		json_array_foreach(l.items, i, row)
			strcat(seen, str_at(row, "id"));
		json_decref(l.items);
		snprintf(after, sizeof after, "%s", l.next);
	} while (after[0]);
	ck_assert_str_eq(seen, "gfedcba");
}
END_TEST

/* One for each change of what holds it, and none where it stays as it is. */
START_TEST(what_holds_a_station_is_an_event)
{
	struct station_row row = {.plugged = "x"};
	json_t *told = NULL;
	int64_t n = 0;

	open_run("r1", "A1", NULL);
	finish_run("r1", "failed");
	TX(stations_put(fx.db, "A1", &row, NULL, NULL, &fx.e));
	snprintf(row.held, sizeof row.held, "quarantined");
	snprintf(row.code, sizeof row.code, "timeout");
	TX(stations_put(fx.db, "A1", &row, NULL, "r1", &fx.e));
	TX(stations_put(fx.db, "A1", &row, NULL, NULL, &fx.e));
	TX(stations_put(fx.db, "A2", &row, NULL, NULL, &fx.e));
	OK(told_station(fx.db, "A1", INT64_MAX, INT64_MAX, &told, &fx.e));
	ck_assert_str_eq(str_at(told, "hold.held"), "quarantined");
	ck_assert_str_eq(str_at(told, "before.id"), "r1");
	json_decref(told);
	station_row_let_go(&row);
	TX(stations_put(fx.db, "A1", &row, "ann", NULL, &fx.e));
	TX(stations_put(fx.db, "A1", &row, "ann", NULL, &fx.e));
	ck_assert_int_ge(
		db_int(fx.db, &fx.e, &n,
			"SELECT count(*) FROM events WHERE station = 'A1' AND type = 'station-held'"
			" AND run_id = 'r1' AND json_extract(data, '$.code') = 'timeout'"),
		0);
	ck_assert_int_eq(n, 1);
	ck_assert_int_ge(
		db_int(fx.db, &fx.e, &n,
			"SELECT count(*) FROM events WHERE station = 'A1' AND type = 'station-freed'"
			" AND json_extract(data, '$.by') = 'ann' AND json_extract(data, '$.was') = 'quarantined'"),
		0);
	ck_assert_int_eq(n, 1);
	OK(told_station(fx.db, "A1", INT64_MAX, INT64_MAX, &told, &fx.e));
	ck_assert_str_eq(str_at(told, "hold.held"), "");
	json_decref(told);
	/* Of a run: what was so when it began. */
	open_run("r2", "A1", NULL);
	finish_run("r2", "passed");
	OK(told_run(fx.db, "r2", &told, &fx.e));
	ck_assert_str_eq(str_at(told, "hold.held"), "");
	ck_assert_str_eq(str_at(told, "before.id"), "r1");
	json_decref(told);
	OK(told_run(fx.db, "r1", &told, &fx.e));
	ck_assert(json_is_null(at(told, "hold")));
	json_decref(told);
}
END_TEST

START_TEST(a_station_knows_again_its_last_run_and_what_holds_it)
{
	struct station_row row = {.plugged = "boot console=7.123",
		.held = "quarantined",
		.code = "timeout",
		.message = "step 'flash' failed",
		.fail_step = "flash",
		.fail_count = 3};
	struct station_row got;
	struct station_last last;

	OK(stations_get(fx.db, "A1", &got, &fx.e));
	ck_assert_str_eq(got.plugged, "");
	ck_assert_str_eq(got.held, "");
	OK(stations_last(fx.db, "A1", &last, &fx.e));
	ck_assert_str_eq(last.run, "");
	open_run("r1", "A1", NULL);
	finish_run("r1", "failed");
	open_run("r2", "A2", NULL);
	finish_run("r2", "passed");
	TX(stations_put(
		fx.db, "A1", &(struct station_row){.plugged = "before"}, NULL, NULL, &fx.e));
	TX(stations_put(fx.db, "A1", &row, NULL, "r1", &fx.e));
	fixture_reopen();
	OK(stations_get(fx.db, "A1", &got, &fx.e));
	ck_assert_str_eq(got.plugged, "boot console=7.123");
	ck_assert_str_eq(got.held, "quarantined");
	ck_assert_str_eq(got.code, "timeout");
	ck_assert_str_eq(got.message, "step 'flash' failed");
	ck_assert_str_eq(got.fail_step, "flash");
	ck_assert_int_eq(got.fail_count, 3);
	OK(stations_last(fx.db, "A1", &last, &fx.e));
	ck_assert_str_eq(last.run, "r1");
	ck_assert_str_eq(last.outcome, "failed");
	ck_assert_str_eq(last.message, "because");
	ck_assert_int_eq(last.ended_ms, 3000);

	struct station_counts n;

	OK(stations_count(fx.db, "A1", 2000, &n, &fx.e));
	ck_assert_uint_eq(n.failed, 1);
	ck_assert_uint_eq(n.passed, 0);
	OK(stations_count(fx.db, "A1", 4000, &n, &fx.e));
	ck_assert_uint_eq(n.failed, 0);
	/* An open run is not the last that ended. */
	open_run("r3", "A1", NULL);
	OK(stations_last(fx.db, "A1", &last, &fx.e));
	ck_assert_str_eq(last.run, "r1");
	snprintf(row.held, sizeof row.held, "asleep");
	TX_FAILS(ERR_CONFLICT, stations_put(fx.db, "A1", &row, NULL, NULL, &fx.e));
}
END_TEST

/* Of a job, and by it of its run and of the events of both. */
START_TEST(the_trace_of_an_order_is_that_of_all_that_is_done_for_it)
{
	struct trace_context t, got;
	const struct job_new traced = {.id = "j1",
		.recipe = "r",
		.version = 1,
		.recipe_sha256 = "d",
		.quantity = 1,
		.created_by = "mes",
		.trace = &t};
	struct job_new plain = traced;
	const struct run_new run = {.id = "01900000-0000-7000-8123-456789abcdef", .station = "A1"};
	const struct run_start start = {.run = run.id, .job = "j1", .recipe = "r", .version = 1};
	json_t *row;

	ck_assert(
		trace_parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1", &t));
	TX(jobs_create(fx.db, &traced, NULL, &fx.e));
	plain.id = "j2";
	plain.trace = NULL;
	TX(jobs_create(fx.db, &plain, NULL, &fx.e));
	TX(runs_open(fx.db, &run, &fx.e));
	TX(runs_start(fx.db, &start, &fx.e));
	ck_assert_int_eq(traces_of_job(fx.db, "j1", &got, &fx.e), 1);
	ck_assert_mem_eq(&got, &t, sizeof t);
	ck_assert_int_eq(traces_of_run(fx.db, run.id, &got, &fx.e), 1);
	ck_assert_str_eq(got.state, "a=1");
	ck_assert_int_eq(traces_of_event(fx.db, 1, &got, &fx.e), 1);
	ck_assert_str_eq(got.id, t.id);
	ck_assert_int_eq(traces_of_job(fx.db, "j2", &got, &fx.e), 0);
	ck_assert_str_eq(got.id, "");
	OK(runs_get(fx.db, run.id, &row, &fx.e));
	ck_assert_str_eq(json_string_value(json_object_get(row, "traceparent")),
		"00-0af7651916cd43dd8448eb211c80319c-8123456789abcdef-01");
	json_decref(row);
	OK(jobs_get(fx.db, "j2", &row, &fx.e));
	ck_assert(json_is_null(json_object_get(row, "traceparent")));
	json_decref(row);
	/* It never changes. */
	ck_assert_int_lt(db_script(fx.db, "UPDATE traces SET flags = 0", &fx.e), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("tables");
	TCase *t = tcase_create("tables");

	tcase_add_checked_fixture(t, fixture_setup, fixture_teardown);
	tcase_add_test(t, a_revoked_token_is_known_as_revoked);
	tcase_add_test(t, the_same_artifact_twice_is_one);
	tcase_add_test(t, the_trace_of_an_order_is_that_of_all_that_is_done_for_it);
	tcase_add_test(t, a_name_leads_to_what_was_uploaded_last);
	tcase_add_test(t, an_approved_recipe_never_changes);
	tcase_add_test(t, a_prompt_is_answered_once);
	tcase_add_test(t, what_is_for_ever_is_approved_by_a_second_person);
	tcase_add_test(t, the_same_request_gets_the_same_answer_and_another_is_refused);
	tcase_add_test(t, the_audit_trail_is_newest_first_by_principal);
	tcase_add_test(t, no_sql_changes_the_audit_trail);
	tcase_add_test(t, the_name_of_a_token_is_never_taken_over);
	tcase_add_test(t, a_token_of_before_the_limits_is_whole_and_does_not_end);
	tcase_add_test(t, what_a_token_may_do_stays_and_its_secret_changes_by_rotation_alone);
	tcase_add_test(t, sessions_last_until_they_end_or_their_token_does);
	tcase_add_test(t, a_reader_of_pruned_events_is_told_so);
	tcase_add_test(t, a_station_gets_the_most_urgent_job_that_still_needs_units);
	tcase_add_test(t, a_stopped_job_ends_with_its_last_run);
	tcase_add_test(t, a_change_on_a_stale_view_is_refused);
	tcase_add_test(t, lists_by_time_and_id_page_through_equal_times);
	tcase_add_test(t, what_holds_a_station_is_an_event);
	tcase_add_test(t, a_station_knows_again_its_last_run_and_what_holds_it);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
