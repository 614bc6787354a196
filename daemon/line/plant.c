/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/plant.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#include "base/iotime.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/config.h"
#include "daemon/line/holds.h"
#include "daemon/line/job_order.h"
#include "daemon/line/machine.h"
#include "daemon/line/orders.h"
#include "daemon/line/plant_batch.h"
#include "daemon/line/records.h"
#include "daemon/line/services.h"
#include "daemon/line/wall.h"
#include "db/events.h"
#include "db/plant_claims.h"
#include "db/told.h"
#include "db/writer.h"
#include "transports/links/http.h"

#define PROTOCOL       1
#define LOOK_EVERY_US  US_PER_S
#define PATTERN_BYTES  160 /* of a pool's */
#define DELAY_MS       1000
#define DELAY_MAX_MS   30000
#define POOL_AGAIN_US  (30 * US_PER_S)
#define CLAIM_AGAIN_US (2 * US_PER_S)
#define ANSWER_WAIT_US (60 * US_PER_S)

struct plant {
	const struct line_services *line;
	char *db_path;
	struct db *db; /* to read; NULL: not open */
	pthread_t thread;
	struct cancel stop;
	char home[SHA256_HEX], place[PLANT_PLACE_SIZE];
	bool greeted;		      /* the plant said since this start that the session is ours */
	int named;		      /* on record: 0, 1, -1 not known */
	unsigned failures;	      /* in a row */
	json_t *empty;		      /* names of pools that the plant has no numbers of */
	uint64_t empty_until_us;      /* then they are asked again */
	uint64_t claim_at_us;	      /* nothing to be made is asked for before */
	char trouble[ERR_TEXT_BYTES]; /* that was logged last */
};

/* --- where this database lies --- */

/* What stays as it is until the machine, or the file of the database, is another one. */
static int find_home(const char *db_path, char ret[SHA256_HEX], struct err *e)
{
	char machine[MARKS_MACHINE_SIZE], text[256];
	struct statx st;

	if (statx(AT_FDCWD, db_path, 0, STATX_INO | STATX_BTIME, &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", db_path);
	if (machine_name("/etc/machine-id", machine, NULL) < 0)
		machine[0] = 0;
	/* Not every file system knows when a file was made. */
	if (!(st.stx_mask & STATX_BTIME))
		st.stx_btime = (struct statx_timestamp){0};
	snprintf(text, sizeof text, "%s %llx %llx %x", machine, (unsigned long long)st.stx_ino,
		(unsigned long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
	sha256_hex_of(text, strlen(text), ret);
	return 0;
}

static void find_place(const char *home, const char *boot, char ret[PLANT_PLACE_SIZE])
{
	char text[256];

	snprintf(text, sizeof text, "%s %s", home, boot);
	sha256_hex_of(text, strlen(text), ret);
}

static void hold(const struct line_services *line, const struct plant_state *s)
{
	if (!strcmp(s->state, "stopped"))
		holds_set(line->holds, HOLD_PLANT, "%s: %.280s", s->code, s->why);
	else
		holds_lift(line->holds, HOLD_PLANT);
}

static int apply_opened(struct db *tx, void *data, struct err *e)
{
	return plant_opened(tx, e);
}

static int apply_named(struct db *tx, void *data, struct err *e)
{
	return plant_named(tx, *(const bool *)data, e);
}

int plant_prepare(const struct line_services *line, const char *db_path, struct err *e)
{
	struct plant_state s;
	struct db *d = NULL;
	int r = db_open_reader(db_path, &d, e);

	if (r == 0)
		r = plant_state(d, &s, e);
	db_free(d);
	if (r > 0)
		hold(line, &s);
	if (r > 0)
		r = writer_do(line->writer, apply_opened, NULL, e);
	return MIN(r, 0);
}

/* --- what goes on record --- */

struct note {
	int (*apply)(struct db *tx, const struct note *n, struct err *e);
	const char *text; /* place, why, message or name of a pool */
	int64_t number;	  /* fence, seq, or id of a lease */
	enum err_code code;
	const struct plant_lease *lease;
	const json_t *pools;
};

static int apply_note(struct db *tx, void *data, struct err *e)
{
	const struct note *n = data;

	return n->apply(tx, n, e);
}

static int record(struct plant *p, const struct note *n, struct err *e)
{
	return writer_do(p->line->writer, apply_note, (void *)(uintptr_t)n, e);
}

static int note_begin(struct db *tx, const struct note *n, struct err *e)
{
	return plant_begin(tx, e);
}

static int note_ask(struct db *tx, const struct note *n, struct err *e)
{
	return plant_ask(tx, n->text, e);
}

static int note_session(struct db *tx, const struct note *n, struct err *e)
{
	return plant_session(tx, n->number, n->text, e);
}

static int note_proven(struct db *tx, const struct note *n, struct err *e)
{
	return plant_proven(tx, e);
}

static int note_stop(struct db *tx, const struct note *n, struct err *e)
{
	return plant_stop(tx, n->code, n->text, e);
}

static int note_seen(struct db *tx, const struct note *n, struct err *e)
{
	return plant_seen(tx, n->number, n->text, e);
}

static int note_request(struct db *tx, const struct note *n, struct err *e)
{
	return plant_request(tx, n->text, e);
}

static int note_lease(struct db *tx, const struct note *n, struct err *e)
{
	return plant_leased(tx, n->lease, e);
}

static int note_back(struct db *tx, const struct note *n, struct err *e)
{
	return plant_was_back(tx, n->number, e);
}

static const char *text_in(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static int64_t number_in(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static int note_pools(struct db *tx, const struct note *n, struct err *e)
{
	size_t i;
	json_t *o;
	int r = 0;

	json_array_foreach(n->pools, i, o) {
		const struct pool_new p = {.id = text_in(o, "id"),
			.kind = text_in(o, "kind"),
			.pattern = text_in(o, "pattern"),
			.check = text_in(o, "check"),
			.model = text_in(o, "model"),
			.block = text_in(o, "block"),
			.local = json_is_true(json_object_get(o, "local")),
			.span = number_in(o, "span"),
			.first = number_in(o, "first"),
			.last = number_in(o, "last")};

		if (!p.id || strlen(p.id) >= DB_ID_SIZE || !p.kind || !p.pattern ||
			strlen(p.pattern) >= PATTERN_BYTES || !p.check)
			r = err_set(e, ERR_SERVICE_ANSWER,
				"the plant defines a pool without id, kind, pattern or check");
		else
			r = plant_pool(tx, &p, MAX(number_in(o, "lease_values"), 1), e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- one question --- */

static bool refuses_this_host(enum err_code c)
{
	return c == ERR_HOST_COPIED || c == ERR_HOST_OLDER || c == ERR_PLANT_VERSION;
}

/* RFC 9457: its code is one of ours. */
static int problem(struct plant *p, const struct http_answer *a, const json_t *o, struct err *e)
{
	const char *text = text_in(o, "detail");
	const char *name = text_in(o, "code");
	const int code = name ? err_code_from_str(name) : -1;

	if (code > 0 && refuses_this_host((enum err_code)code))
		return err_set(e, (enum err_code)code, "%s", text ? text : name);
	if (code == ERR_PLANT_GAP || code == ERR_POOL_EMPTY)
		return err_set(e, (enum err_code)code, "%s", text ? text : name);
	return err_set(e,
		a->status >= 500 || a->status == 429 ? ERR_SERVICE_BUSY : ERR_SERVICE_REFUSED,
		"the plant answers HTTP %ld: %s", a->status, text ? text : "it does not say why");
}

/* body NULL: GET. Takes the body. ret: an object. */
static int ask(struct plant *p, const char *path, json_t *body, json_t **ret, struct err *e)
{
	const struct iotime it = {now_us() + ANSWER_WAIT_US, &p->stop};
	struct config *c = p->line->config(p->line->line);
	_cleanup_(freep) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct http_request q = {.method = body ? "POST" : "GET", .path = path, .body = text};
	struct http_service service = {0};
	struct http_answer a = {0};
	json_t *o = NULL;
	int r = c->plant ? config_service(c, c->plant, &service, e)
			 : err_set(e, ERR_NOT_FOUND, "provd.yaml names no plant any more");

	if (r == 0)
		r = http_exchange(&service, &q, &it, &a, e);
	if (r == 0) {
		o = a.body.s ? json_loads(a.body.s, 0, NULL) : NULL;
		if (a.status / 100 != 2)
			r = problem(p, &a, o, e);
		else if (!json_is_object(o))
			r = err_set(e, ERR_SERVICE_ANSWER,
				"what answers at %s is no plant: an object of JSON expected",
				service.url);
	}
	json_decref(body);
	http_answer_done(&a);
	http_service_done(&service);
	config_unref(c);
	if (r < 0)
		json_decref(o);
	else
		*ret = o;
	return r;
}

/* --- the session --- */

/* A plant that was restored from a backup would give out the numbers of others again. */
static int check_answer(const struct plant_state *s, const json_t *o, int64_t fence, struct err *e)
{
	if (number_in(o, "protocol") != PROTOCOL)
		return err_set(e, ERR_PLANT_VERSION,
			"the plant speaks protocol %lld and this provd speaks %d: upgrade the older of the two",
			(long long)number_in(o, "protocol"), PROTOCOL);
	if (number_in(o, "fence") < fence || number_in(o, "seen") < s->seen)
		return err_set(e, ERR_PLANT_OLDER,
			"the plant has session %lld and the records up to %lld of this host, and had said session %lld and record %lld: it was restored from an older copy. Restore its newest database",
			(long long)number_in(o, "fence"), (long long)number_in(o, "seen"),
			(long long)fence, (long long)s->seen);
	return 0;
}

static int take_pools(struct plant *p, const json_t *o, struct err *e)
{
	return record(p, &(struct note){note_pools, .pools = json_object_get(o, "pools")}, e);
}

static json_t *session_body(struct plant *p, const struct plant_state *s, struct err *e)
{
	struct marks_head head;

	if (lineage_head(p->db, &head, e) < 0)
		return NULL;
	return json_pack("{s:i, s:s, s:I, s:I, s:s, s:s, s:s, s:I}", "protocol", PROTOCOL, "epoch",
		head.epoch, "generation", (json_int_t)head.generation, "fence",
		(json_int_t)s->fence, "nonce", s->nonce, "home", p->home, "place", p->place, "seq",
		(json_int_t)s->newest);
}

static int begin_session(struct plant *p, struct plant_state *s, struct err *e)
{
	json_t *body, *o = NULL;
	int r = record(p, &(struct note){note_ask, .text = p->place}, e);

	if (r == 0)
		r = plant_state(p->db, s, e);
	if (r < 0)
		return r;
	body = session_body(p, s, e);
	r = body ? ask(p, "/api/v1/host/session", body, &o, e) : -(int)e->code;
	if (r == 0)
		r = check_answer(s, o, s->fence + 1, e);
	if (r == 0)
		r = record(p,
			&(struct note){
				note_session, .number = number_in(o, "fence"), .text = p->place},
			e);
	if (r == 0)
		r = take_pools(p, o, e);
	json_decref(o);
	p->greeted = r == 0;
	return r;
}

static int check_ours(const struct plant_state *s, const json_t *o, struct err *e)
{
	if (number_in(o, "fence") != s->fence)
		return err_set(e, ERR_HOST_COPIED,
			"the plant has begun session %lld of this host, and this one is in session %lld: another copy of it has spoken to the plant. End the copy, then readmit this host",
			(long long)number_in(o, "fence"), (long long)s->fence);
	if (number_in(o, "seen") > s->newest)
		return err_set(e, ERR_HOST_OLDER,
			"the plant has the records up to %lld of this host, which has %lld: its database is an older copy. Restore the newest one",
			(long long)number_in(o, "seen"), (long long)s->newest);
	return 0;
}

static bool is_away(int r)
{
	return r == -ERR_SERVICE_DOWN || r == -ERR_SERVICE_BUSY;
}

/* A session of before goes on: is it still ours? Where nobody answers it is, since the machine and the file are the
 * same. */
static int greet(struct plant *p, const struct plant_state *s, struct err *e)
{
	json_t *o = NULL;
	int r = ask(p, "/api/v1/host", NULL, &o, e);
	struct err why;

	if (r == 0)
		r = check_answer(s, o, s->fence, e);
	if (r == 0)
		r = check_ours(s, o, e);
	if (r == 0)
		r = take_pools(p, o, e);
	if (r == 0)
		r = record(p, &(struct note){note_proven}, e);
	else if (is_away(r) && !strcmp(s->state, "unproven") &&
		 record(p, &(struct note){note_proven}, &why) < 0)
		log_warning("plant: %s", why.msg);
	json_decref(o);
	p->greeted = r == 0;
	return r;
}

/* --- records --- */

/* 1: there is more; 0: the plant has all. */
static int send_batch(struct plant *p, const struct plant_state *s, struct err *e)
{
	int64_t last;
	json_t *items, *o = NULL;
	int r = plant_batch(p->db, s->seen, &plant_batch_limits, &items, &last, e);

	if (r < 0 || last == s->seen) {
		json_decref(items);
		return r;
	}
	r = ask(p, "/api/v1/host/records",
		json_pack("{s:I, s:I, s:o}", "fence", (json_int_t)s->fence, "after",
			(json_int_t)s->seen, "records", items),
		&o, e);
	if (r == 0 && number_in(o, "seen") < last)
		r = err_set(e, ERR_SERVICE_ANSWER,
			"the plant says that it has record %lld and was sent %lld",
			(long long)number_in(o, "seen"), (long long)last);
	json_decref(o);
	if (r == 0)
		r = record(p, &(struct note){note_seen, .number = last}, e);
	return r < 0 ? r : 1;
}

/* --- numbers --- */

static void note_empty(struct plant *p, const char *pool, const struct err *why)
{
	if (json_array_size(p->empty) == 0)
		p->empty_until_us = now_us() + POOL_AGAIN_US;
	json_array_append_new(p->empty, json_string(pool));
	log_warning("the plant leases no numbers of pool %s: %s", pool, why->msg);
}

static int take_lease(
	struct plant *p, const struct plant_state *s, const struct plant_want *w, struct err *e)
{
	const int64_t asked_ms = wall_ms();
	struct plant_lease l;
	json_t *o = NULL;
	int r = ask(p, "/api/v1/host/leases",
		json_pack("{s:I, s:s, s:s}", "fence", (json_int_t)s->fence, "request", w->request,
			"pool", w->pool),
		&o, e);

	if (r < 0)
		return r;
	l = (struct plant_lease){.id = number_in(o, "lease"),
		.pool = w->pool,
		.first = number_in(o, "first"),
		.last = number_in(o, "last"),
		.granted_at = asked_ms,
		.expires_at = asked_ms + number_in(o, "expires_in_s") * 1000};
	if (l.id <= 0 || l.last < l.first || l.expires_at <= asked_ms)
		r = err_set(e, ERR_SERVICE_ANSWER,
			"the plant leases numbers of pool %s that are none", w->pool);
	else
		r = record(p, &(struct note){note_lease, .lease = &l}, e);
	json_decref(o);
	return r;
}

/* 1: one was leased, or asked for; 0: all pools have enough. */
static int fill_pool(struct plant *p, const struct plant_state *s, struct err *e)
{
	struct plant_want w;
	int r;

	if (json_array_size(p->empty) > 0 && now_us() >= p->empty_until_us)
		json_array_clear(p->empty);
	r = plant_wants(p->db, wall_ms(), p->empty, &w, e);
	if (r <= 0)
		return r;
	if (!*w.request) {
		r = record(p, &(struct note){note_request, .text = w.pool}, e);
		return r < 0 ? r : 1;
	}
	r = take_lease(p, s, &w, e);
	if (r == -ERR_POOL_EMPTY || r == -ERR_SERVICE_REFUSED) {
		note_empty(p, w.pool, e);
		return 1;
	}
	return r < 0 ? r : 1;
}

static int give_back(struct plant *p, const struct plant_state *s, struct err *e)
{
	struct plant_back b;
	json_t *o = NULL;
	int r = plant_back(p->db, &b, e);

	if (r <= 0)
		return r;
	r = ask(p, "/api/v1/host/returns",
		json_pack("{s:I, s:I, s:I}", "fence", (json_int_t)s->fence, "lease",
			(json_int_t)b.id, "next", (json_int_t)b.next),
		&o, e);
	json_decref(o);
	if (r == 0)
		r = record(p, &(struct note){note_back, .number = b.id}, e);
	return r < 0 ? r : 1;
}

/* --- parts of orders --- */

static bool clock_is_right(const struct plant *p)
{
	return wall_check(records_wall(p->line->records), NULL) == 0;
}

static int note_told(struct db *tx, const struct note *n, struct err *e)
{
	return plant_claim_told(tx, n->number, e);
}

static int note_claim_request(struct db *tx, const struct note *n, struct err *e)
{
	return plant_claim_request(tx, e);
}

static int note_no_claim(struct db *tx, const struct note *n, struct err *e)
{
	return plant_claim_none(tx, e);
}

/* The plant has all that was recorded before: it counts what passed. */
static int end_claim(
	struct plant *p, const struct plant_state *s, const struct plant_claim *c, struct err *e)
{
	json_t *o = NULL;
	json_t *body =
		json_pack("{s:I, s:I}", "fence", (json_int_t)s->fence, "claim", (json_int_t)c->id);
	int r;

	if (*c->why)
		json_object_set_new(body, "refused", json_string(c->why));
	r = ask(p, "/api/v1/host/claims/end", body, &o, e);
	json_decref(o);
	if (r == 0)
		r = record(p, &(struct note){note_told, .number = c->id}, e);
	return r < 0 ? r : 1;
}

struct taking {
	int64_t claim;
	const char *order, *why;
	struct job_order *job; /* NULL: why */
};

static int apply_taken(struct db *tx, void *data, struct err *e)
{
	const struct taking *t = data;
	json_t *o = NULL, *offending = NULL;
	int r = t->job ? job_order_apply(tx, t->job, &o, &offending, e) : 0;

	json_decref(o);
	json_decref(offending);
	if (r >= 0)
		r = plant_claim_taken(
			tx, t->claim, t->order, t->job ? job_order_id(t->job) : NULL, t->why, e);
	return MIN(r, 0);
}

/* An order of this host: its reference is what the plant counts by, and it ends when the claim does. */
static json_t *order_of(const json_t *o, int64_t asked_ms)
{
	_cleanup_(freep) char *reference =
		xasprintf("plant-claim-%lld", (long long)number_in(o, "claim"));
	_cleanup_(freep) char *number =
		xasprintf("%s/%lld", text_in(o, "order"), (long long)number_in(o, "claim"));
	char until[RFC3339_SIZE];
	json_t *params = json_object_get(o, "params");
	json_t *body = json_pack("{s:s, s:I, s:s, s:s, s:s}", "recipe", text_in(o, "recipe"),
		"quantity", (json_int_t)number_in(o, "quantity"), "external_ref", reference,
		"number", number, "expires",
		rfc3339(asked_ms + number_in(o, "expires_in_s") * 1000, until));

	if (json_object_size(params) > 0)
		json_object_set(body, "params", params);
	return body;
}

static int take_claim(struct plant *p, const json_t *o, int64_t asked_ms, struct err *e)
{
	struct config *c = p->line->config(p->line->line);
	struct taking t = {.claim = number_in(o, "claim"), .order = text_in(o, "order")};
	json_t *body = order_of(o, asked_ms);
	struct mistakes m = {0};
	struct err why = {0};
	int r = job_order_new(p->line->orders, p->db, c, body, "plant", &m, &t.job, &why);

	/* What keeps the order from being made here is for a person; the rest goes away. */
	if (r < 0 && m.count == 0)
		*e = why;
	else
		r = 0;
	if (m.count > 0)
		t.why = m.item[0].text;
	if (r == 0)
		r = writer_do(p->line->writer, apply_taken, &t, e);
	if (r == -ERR_CONFLICT && t.job) {
		t.job = job_order_free(t.job);
		why = *e;
		t.why = why.msg;
		r = writer_do(p->line->writer, apply_taken, &t, e);
	}
	if (r == 0 && t.job) {
		orders_times_changed(p->line->orders);
		p->line->wake(p->line->line);
	}
	job_order_free(t.job);
	mistakes_done(&m);
	json_decref(body);
	config_unref(c);
	return r;
}

static int ask_claim(struct plant *p, const struct plant_state *s, const char *request,
	json_t *recipes, int64_t stations, struct err *e)
{
	const int64_t asked_ms = wall_ms();
	json_t *o = NULL;
	int r = ask(p, "/api/v1/host/claims",
		json_pack("{s:I, s:s, s:I, s:O}", "fence", (json_int_t)s->fence, "request", request,
			"most", (json_int_t)stations * 2, "recipes", recipes),
		&o, e);

	if (r == 0 && number_in(o, "claim") <= 0) {
		p->claim_at_us = now_us() + CLAIM_AGAIN_US;
		r = record(p, &(struct note){note_no_claim}, e);
	} else if (r == 0 && (!text_in(o, "order") || !text_in(o, "recipe") ||
				     number_in(o, "quantity") <= 0)) {
		r = err_set(
			e, ERR_SERVICE_ANSWER, "the plant gives a part of an order that is none");
	} else if (r == 0) {
		r = take_claim(p, o, asked_ms, e);
	}
	json_decref(o);
	return r;
}

/* 1: a part was asked for; 0: not now. */
static int claim(struct plant *p, const struct plant_state *s, struct err *e)
{
	struct config *c = p->line->config(p->line->line);
	const int64_t stations = (int64_t)c->stations;
	char request[PLANT_NONCE_SIZE];
	json_t *recipes = NULL;
	int r;

	config_unref(c);
	if (stations == 0 || now_us() < p->claim_at_us || !clock_is_right(p) ||
		holds_check(p->line->holds, HOLD_STOPS_RUNS | HOLD_STOPS_ORDERS, NULL) < 0)
		return 0;
	r = plant_claim_room(p->db, stations, &recipes, request, e);
	if (r > 0 && json_array_size(recipes) == 0 && !*request)
		r = 0;
	else if (r > 0 && !*request)
		r = record(p, &(struct note){note_claim_request}, e) < 0 ? -(int)e->code : 1;
	else if (r > 0)
		r = ask_claim(p, s, request, recipes, stations, e) < 0 ? -(int)e->code : 1;
	json_decref(recipes);
	return r;
}

/* --- the thread --- */

/* A refusal is over where a new session is let in; that of a plant which is older, where it is the newest again. */
static bool needs_session(const struct plant *p, const struct plant_state *s)
{
	return strcmp(s->place, p->place) != 0 ||
	       (!strcmp(s->state, "stopped") &&
		       strcmp(s->code, err_code_str(ERR_PLANT_OLDER)) != 0);
}

/* 1: there is more to do; 0: not now. */
static int work(struct plant *p, struct err *e)
{
	struct plant_claim over;
	struct plant_state s;
	bool has_over = false;
	int r = p->db ? 0 : db_open_reader(p->db_path, &p->db, e);

	/* Before what is sent is looked at: its records are among that. */
	if (r == 0)
		r = plant_claim_ended(p->db, &over, e);
	if (r >= 0) {
		has_over = r > 0;
		r = plant_state(p->db, &s, e);
	}
	if (r == 0)
		r = record(p, &(struct note){note_begin}, e);
	if (r <= 0)
		return r < 0 ? r : 1;
	if (needs_session(p, &s) || !p->greeted) {
		r = needs_session(p, &s) ? begin_session(p, &s, e) : greet(p, &s, e);
		if (r == 0)
			holds_lift(p->line->holds, HOLD_PLANT);
		return r < 0 ? r : 1;
	}
	/* A lease's end is a time of this clock. */
	r = clock_is_right(p) ? fill_pool(p, &s, e) : 0;
	if (r == 0)
		r = give_back(p, &s, e);
	if (r == 0)
		r = send_batch(p, &s, e);
	if (r != 0)
		return r;
	return has_over ? end_claim(p, &s, &over, e) : claim(p, &s, e);
}

/* Later each time, and never all hosts at the same time: from 75 to 125 % of it. */
static uint64_t delay_us(unsigned failures)
{
	const uint64_t ms = MIN((uint64_t)DELAY_MS << MIN(failures, 10u), DELAY_MAX_MS);
	uint16_t part;

	random_bytes(&part, sizeof part);
	return (ms * 3 / 4 + ms / 2 * part / UINT16_MAX) * US_PER_MS;
}

static void note_failure(struct plant *p, const struct err *why)
{
	const bool refused = refuses_this_host(why->code) || why->code == ERR_PLANT_OLDER;
	struct plant_state s;
	struct err e;

	if (strcmp(p->trouble, why->msg) != 0)
		log_warning("plant: %s", why->msg);
	snprintf(p->trouble, sizeof p->trouble, "%s", why->msg);
	p->greeted = p->greeted && !refused && why->code != ERR_PLANT_GAP;
	if (!p->db || plant_state(p->db, &s, &e) <= 0)
		return;
	if (refused &&
		record(p, &(struct note){note_stop, .code = why->code, .text = why->msg}, &e) ==
			0 &&
		plant_state(p->db, &s, &e) > 0)
		hold(p->line, &s);
	if (!refused && strcmp(s.message, why->msg) != 0)
		record(p, &(struct note){note_seen, .number = s.seen, .text = why->msg}, &e);
}

static void note_success(struct plant *p)
{
	if (*p->trouble)
		log_notice("plant: it takes this host's records again");
	p->trouble[0] = 0;
	p->failures = 0;
}

static bool is_named(struct plant *p)
{
	struct config *c = p->line->config(p->line->line);
	const bool named = c->plant != NULL;

	config_unref(c);
	return named;
}

/* A reload may name another one, or none. */
static int note_named(struct plant *p, bool named, struct err *e)
{
	int r = p->named == (int)named ? 0 : writer_do(p->line->writer, apply_named, &named, e);

	if (r == 0)
		p->named = named;
	return r;
}

static void *plant_main(void *arg)
{
	struct plant *p = arg;
	const struct iotime it = {NO_DEADLINE, &p->stop};

	while (cancel_reason(&p->stop) == ERR_NONE) {
		struct err e = {0};
		const bool named = is_named(p);
		int r = note_named(p, named, &e) < 0 ? -(int)e.code : named;

		while (r > 0 && cancel_reason(&p->stop) == ERR_NONE && is_named(p) &&
			holds_check(p->line->holds, HOLD_STOPS_SENDING, NULL) == 0) {
			r = work(p, &e);
			if (r >= 0)
				note_success(p);
		}
		if (r < 0 && cancel_reason(&p->stop) == ERR_NONE)
			note_failure(p, &e);
		iotime_sleep(r < 0 ? delay_us(p->failures++) : LOOK_EVERY_US, &it, NULL);
	}
	return NULL;
}

int plant_start(
	const struct line_services *line, const char *db_path, struct plant **ret, struct err *e)
{
	struct plant *p = xcalloc(1, sizeof *p);
	int r = cancel_init(&p->stop, e);

	p->line = line;
	p->db_path = xstrdup(db_path);
	p->empty = json_array();
	p->named = -1;
	if (r == 0) {
		r = find_home(db_path, p->home, e);
		find_place(p->home, line->boot, p->place);
		if (r == 0)
			r = thread_start(&p->thread, "plant", plant_main, p, e);
		if (r < 0)
			cancel_done(&p->stop);
	}
	if (r < 0) {
		json_decref(p->empty);
		free(p->db_path);
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct plant *plant_free(struct plant *p)
{
	if (!p)
		return NULL;
	cancel_fire(&p->stop, ERR_SHUTDOWN);
	pthread_join(p->thread, NULL);
	cancel_done(&p->stop);
	db_free(p->db);
	json_decref(p->empty);
	free(p->db_path);
	free(p);
	return NULL;
}
