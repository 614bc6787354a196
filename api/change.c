/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes, once each: the Idempotency-Key, the writer's transaction, the audit trail.
 */
#include "api/call.h"
#include "base/log.h"
#include "base/util.h"
#include "db/idempotency.h"

/* The Idempotency-Key of a request and what it means. */
struct request_key {
	struct idempotent id;
	char body_hash[SHA256_HEX];
	char method_path[1024]; /* with the query: it says what is meant as the path does */
	size_t used;
	bool too_long;
};

/* What the body means: a client may send its order again with other spaces, or its members in
 * another order. A text that is not JSON (a recipe in YAML) is its bytes. */
static const char *hash_body(const struct call *c, char ret[SHA256_HEX])
{
	_cleanup_(freep) char *text =
		c->body ? json_dumps(c->body, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY)
			: NULL;

	return text ? sha256_hex_of(text, strlen(text), ret)
		    : sha256_hex_of(c->rq->body, c->rq->body_len, ret);
}

static bool add_query(void *data, const char *name, const char *value)
{
	struct request_key *k = data;
	size_t room = sizeof k->method_path - k->used;
	int n = snprintf(k->method_path + k->used, room, "%c%s%s%s",
		strchr(k->method_path, '?') ? '&' : '?', name, value ? "=" : "",
		value ? value : "");

	k->too_long = (size_t)n >= room;
	k->used += k->too_long ? 0 : (size_t)n;
	return !k->too_long;
}

/* Once for a request: its body may be megabytes. */
static int read_key(struct call *c, struct err *e)
{
	const char *key = request_header(c->rq, "Idempotency-Key");
	struct request_key *k;

	if (!key || !c->who || c->key)
		return 0;
	if (strlen(key) > 200 || !*key)
		return err_set(e, ERR_INVALID, "Idempotency-Key: 1 to 200 characters");
	k = c->key = xcalloc(1, sizeof *k);
	k->used = (size_t)snprintf(k->method_path, sizeof k->method_path, "%s %s",
		http_method_str(c->rq->method), c->rq->path);
	request_each_query(c->rq, add_query, k);
	if (k->too_long)
		return err_set(e, ERR_INVALID,
			"Idempotency-Key: the query is longer than a key is kept for");
	k->id = (struct idempotent){.key = key,
		.principal = c->who->id,
		.method_path = k->method_path,
		.body_sha256 = hash_body(c, k->body_hash),
		.body = c->rq->body,
		.body_len = c->rq->body_len};
	return 0;
}

static int find_answer(
	struct db *d, const struct request_key *k, struct idempotent_answer *ret, struct err *e)
{
	int r = idempotency_find(d, &k->id, ret, e);

	if (r == -ERR_INVALID && e)
		r = -(int)(e->code = ERR_UNPROCESSABLE);
	return r;
}

static void answer_again(struct call *c, struct idempotent_answer *stored)
{
	const char *where = json_string_value(json_object_get(stored->headers, "Location"));

	response_text(c->rs, stored->status, "application/json", stored->response,
		strlen(stored->response));
	stored->response = NULL;
	response_header(c->rs, "Idempotent-Replayed", "true");
	if (where)
		response_header(c->rs, "Location", "%s", where);
	idempotent_answer_done(stored);
}

int api_repeat(struct call *c, struct err *e)
{
	struct idempotent_answer stored = {0};
	struct db *d;
	int r = c->rq->method == HTTP_GET ? 0 : read_key(c, e);

	if (r < 0 || !c->key)
		return r;
	d = readers_take(c->api->readers, e);
	r = d ? find_answer(d, c->key, &stored, e) : -(int)e->code;
	readers_give(c->api->readers, d);
	if (r == 1)
		answer_again(c, &stored);
	return r;
}

struct change_run {
	const struct change *ch;
	struct call *c;
	struct idempotent_answer stored;
	bool repeated;
	json_t *answer;
	char location[200];
};

static void set_location(struct change_run *x)
{
	const char *key = x->ch->location_key ? x->ch->location_key : "id";
	const char *id = json_string_value(json_object_get(x->answer, key));

	if (x->ch->location && id)
		snprintf(x->location, sizeof x->location, x->ch->location, id);
}

static int apply_change(struct db *tx, void *data, struct err *e)
{
	struct change_run *x = data;
	const struct change *ch = x->ch;
	const struct audit_who who = api_who(x->c);
	int r = 0;

	if (x->c->key) {
		/* In the writer's transaction no other request with this key is under way. */
		r = find_answer(tx, x->c->key, &x->stored, e);
		if (r == 1) {
			x->repeated = true;
			return 0;
		}
		if (r < 0)
			return r;
	}
	r = ch->apply(tx, ch->data, &x->answer, e);
	if (r == 0 && ch->audit)
		r = audit_add(tx, &who, ch->audit, ch->target ? ch->target : "", NULL, e);
	if (r == 0 && x->c->key && !x->answer && ch->read)
		r = ch->read(tx, ch->data, &x->answer, e);
	if (r == 0 && x->c->key) {
		char *text = json_dumps(x->answer, JSON_COMPACT | JSON_ENCODE_ANY);
		json_t *headers = json_object();

		set_location(x);
		if (x->location[0])
			json_object_set_new(headers, "Location", json_string(x->location));
		r = idempotency_store(
			tx, &x->c->key->id, ch->status, headers, text ? text : "null", e);
		json_decref(headers);
		free(text);
	}
	return r;
}

static int read_in_writer(struct db *tx, void *data, struct err *e)
{
	struct change_run *x = data;

	return x->ch->read(tx, x->ch->data, &x->answer, e);
}

/* It is done: that must not be answered as a failure because no reader is to be had. */
static int read_answer(struct change_run *x, struct err *e)
{
	struct db *d = readers_take(x->c->api->readers, e);
	int r = d ? x->ch->read(d, x->ch->data, &x->answer, e) : -(int)e->code;

	readers_give(x->c->api->readers, d);
	return r < 0 ? writer_do(fleet_writer(x->c->api->fleet), read_in_writer, x, e) : 0;
}

int api_change(struct call *c, const struct change *ch, struct err *e)
{
	struct change_run x = {.ch = ch, .c = c};
	int r = read_key(c, e);

	if (r == 0)
		r = writer_do(fleet_writer(c->api->fleet), apply_change, &x, e);
	if (r == 0 && !x.repeated && !x.answer && ch->read)
		r = read_answer(&x, e);
	if (r < 0) {
		json_decref(x.answer);
		idempotent_answer_done(&x.stored);
		return r;
	}
	if (x.repeated) {
		answer_again(c, &x.stored);
		return 0;
	}
	if (ch->committed)
		ch->committed(ch->data);
	set_location(&x);
	if (x.location[0])
		response_header(c->rs, "Location", "%s", x.location);
	response_json(c->rs, ch->status, x.answer);
	return 0;
}

/* --- the audit trail --- */

struct audit_who api_who(const struct call *c)
{
	return (struct audit_who){.principal = c->who ? c->who->name : "provd",
		.token = c->who ? c->who->id : NULL,
		.address = c->rq->peer};
}

struct audit_entry {
	struct audit_who who;
	const char *action, *target;
};

static int apply_audit(struct db *tx, void *data, struct err *e)
{
	const struct audit_entry *a = data;

	return audit_add(tx, &a->who, a->action, a->target, NULL, e);
}

int api_audit(struct call *c, const char *action, const char *target, struct err *e)
{
	struct audit_entry entry = {api_who(c), action, target};

	return writer_do(fleet_writer(c->api->fleet), apply_audit, &entry, e);
}

struct failure_note {
	struct auth_refusal why;
	char address[64];
	/* Of a certificate: */
	char reason[ERR_TEXT_BYTES];
	char subject[TLS_SUBJECT_BYTES];
	char sha256[SHA256_HEX];
};

static int apply_failure(struct db *tx, void *data, struct err *e)
{
	const struct failure_note *n = data;
	/* Without a name: the token that was tried proves nothing. */
	const struct audit_who who = {
		.principal = "nobody", .token = n->why.token, .address = n->address};
	json_t *detail = json_pack("{s:i, s:i}", "failures", (int)n->why.guard.failures,
		"not_noted_before", (int)n->why.guard.suppressed);
	int r;

	if (n->why.cause != AUTH_UNKNOWN)
		json_object_set_new(detail, "cause",
			json_string(n->why.cause == AUTH_RAN_OUT ? "ended" : "replaced"));
	if (n->reason[0])
		json_object_update_new(detail, json_pack("{s:s, s:s, s:s}", "reason", n->reason,
						       "subject", n->subject, "sha256", n->sha256));
	r = audit_add(
		tx, &who, n->reason[0] ? "auth.certificate" : "auth.failed", n->address, detail, e);

	json_decref(detail);
	return r;
}

static void failure_noted(void *data, int result, const struct err *e)
{
	if (result < 0)
		log_error("a wrong token or certificate could not be noted: %s", e->msg);
	free(data);
}

void api_note_failure(struct api *a, const struct request *rq, const struct auth_refusal *why)
{
	struct failure_note *n = xcalloc(1, sizeof *n);
	struct err e;

	n->why = *why;
	snprintf(n->address, sizeof n->address, "%s", rq->peer);
	if (why->cause == AUTH_UNKNOWN)
		log_warning("a wrong token came from %s (%u in the last minute)", n->address,
			why->guard.failures);
	else
		log_warning("the token %s came from %s, and its time or that of its secret is over",
			why->token, n->address);
	if (writer_submit(fleet_writer(a->fleet), apply_failure, n, failure_noted, &e) < 0)
		failure_noted(n, -(int)e.code, &e);
}

void api_note_certificate(
	struct api *a, const struct request *rq, const char *reason, const struct auth_refusal *why)
{
	struct failure_note *n = xcalloc(1, sizeof *n);
	struct err e;

	n->why = *why;
	snprintf(n->address, sizeof n->address, "%s", rq->peer);
	snprintf(n->reason, sizeof n->reason, "%s", reason);
	if (rq->client) {
		snprintf(n->subject, sizeof n->subject, "%s", rq->client->subject);
		snprintf(n->sha256, sizeof n->sha256, "%s", rq->client->sha256);
	}
	log_warning("from %s: %s", n->address, n->reason);
	if (writer_submit(fleet_writer(a->fleet), apply_failure, n, failure_noted, &e) < 0)
		failure_noted(n, -(int)e.code, &e);
}
