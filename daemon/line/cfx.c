/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/cfx.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/digest.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/cfx_messages.h"
#include "daemon/line/config.h"
#include "daemon/line/feed.h"
#include "daemon/line/holds.h"
#include "daemon/line/meters.h"
#include "daemon/line/retries.h"
#include "daemon/line/services.h"
#include "daemon/line/webhook_rules.h"
#include "db/events.h"
#include "db/told.h"
#include "db/webhooks.h"
#include "db/writer.h"
#include "transports/links/amqp.h"

#define LOOK_EVERY_US US_PER_S
#define IDLE_US	      (60 * US_PER_S)
#define GOODBYE_US    (200 * US_PER_MS)
#define WINDOW	      8 /* rows of one address at a time */
/* Twice of a broker's silence end the connection; it is asked for a sign of life in time. */
#define SILENCE_US (30 * US_PER_S)
#define ENDS	   64 /* rows that are recorded in one transaction */

/* A row under way: its messages go out one after another. */
struct told {
	struct target *target;
	struct delivery row;
	json_t *event, *messages; /* of cfx_messages() */
	size_t next;		  /* message */
	bool flying;		  /* that one is unsettled */
	uint64_t begun_us, sent_us;
	struct told *next_told;
};

/* What is known of one address besides its row. */
struct target {
	struct webhook row;
	char *address;
	bool there; /* it is enabled */
	bool more;  /* there are events that it was not asked about */
	struct retries retries;
	struct amqp_link *link; /* NULL: none */
	uint64_t linked_us;	/* when it was asked for, or last had credit */
	bool greeted;
	uint64_t beat_us; /* when the next heartbeat is due */
	struct told *told;
	size_t tolds;
	char trouble[ERR_TEXT_BYTES]; /* that was logged last */
};

/* What came of a row, until it is recorded. */
struct ended {
	struct delivery_end end;
	char webhook[DB_ID_SIZE];
	char *message;
};

struct cfx {
	const struct line_services *line;
	char *db_path;
	struct db *db; /* to read; NULL: not open */
	pthread_t thread;
	struct cancel stop;
	int wake_fd;
	struct feed_sub *feed;
	bool poked;	       /* atomic */
	bool idle;	       /* atomic: there is no address */
	int64_t heard;	       /* atomic: the newest event that woke the thread */
	struct config *config; /* that the addresses are of; NULL: not looked at */
	struct amqp *amqp;     /* NULL: not connected */
	int64_t failures;      /* of connections, in a row */
	uint64_t connect_us;   /* not before */
	struct target *target[WEBHOOKS_OWN_MAX];
	size_t targets;
	struct ended ended[ENDS];
	size_t ends;
	char trouble[ERR_TEXT_BYTES]; /* of its own, that was logged last */
};

/* A message that no row has: it is not sent again. */
static char greeting;

/* The same sentence again and again says nothing. */
static void log_once(char trouble[ERR_TEXT_BYTES], const char *text)
{
	if (strcmp(trouble, text) != 0)
		log_warning("cfx: %s", text);
	snprintf(trouble, ERR_TEXT_BYTES, "%s", text);
}

/* --- rows under way --- */

static void free_told(struct told *t)
{
	struct told **p = &t->target->told;

	while (*p != t)
		p = &(*p)->next_told;
	*p = t->next_told;
	t->target->tolds--;
	json_decref(t->event);
	json_decref(t->messages);
	free(t->row.body);
	free(t);
}

/* What was unsettled has no end any more: the rows are sent again. */
static void unlink_target(struct cfx *c, struct target *t)
{
	if (t->link)
		amqp_unlink(c->amqp, t->link);
	t->link = NULL;
	t->greeted = false;
	while (t->told)
		free_told(t->told);
}

static void disconnect(struct cfx *c)
{
	for (size_t i = 0; i < c->targets; i++)
		unlink_target(c, c->target[i]);
	c->amqp = amqp_free(c->amqp);
}

/* --- which addresses there are --- */

/* By the address alone: a broker that moves is the same receiver. */
static void id_of(const char *address, char ret[DB_ID_SIZE])
{
	char hex[SHA256_HEX];

	sha256_hex_of(address, strlen(address), hex);
	snprintf(ret, DB_ID_SIZE, "cfx-%.16s", hex);
}

static struct target *find_target(struct cfx *c, const char *id)
{
	for (size_t i = 0; i < c->targets; i++)
		if (!strcmp(c->target[i]->row.id, id))
			return c->target[i];
	return NULL;
}

static const char *address_of(const struct config *config, const char *id)
{
	const json_t *v;
	char own[DB_ID_SIZE];
	size_t i;

	json_array_foreach(config->cfx.addresses, i, v) {
		id_of(json_string_value(v), own);
		if (!strcmp(own, id))
			return json_string_value(v);
	}
	return NULL;
}

struct owns {
	struct webhook_own own[WEBHOOKS_OWN_MAX];
	char *url[WEBHOOKS_OWN_MAX];
	size_t n;
};

static int apply_own(struct db *tx, void *data, struct err *e)
{
	const struct owns *o = data;

	return webhooks_own(tx, o->own, o->n, e);
}

/* The records know the addresses of this configuration. */
static int put_addresses(struct cfx *c, const struct config *config, struct err *e)
{
	const struct cfx_config *f = &config->cfx;
	json_t *events;
	struct owns o = {0};
	const json_t *v;
	size_t i;
	int r = f->url ? 1 : webhooks_has_own(c->db, e);

	if (r <= 0)
		return r;
	events = cfx_events(f->types);

	json_array_foreach(f->url ? f->addresses : NULL, i, v) {
		const char *address = json_string_value(v);

		o.url[o.n] = xasprintf("%s%s%s", f->url, *address == '/' ? "" : "/", address);
		id_of(address, o.own[o.n].id);
		o.own[o.n].url = o.url[o.n];
		o.own[o.n].types = events;
		o.own[o.n].stations = json_array_size(f->stations) ? f->stations : NULL;
		o.n++;
	}
	r = writer_do(c->line->writer, apply_own, &o, e);
	for (size_t k = 0; k < o.n; k++)
		free(o.url[k]);
	json_decref(events);
	return r;
}

static void drop_targets(struct cfx *c)
{
	for (size_t i = c->targets; i-- > 0;) {
		struct target *t = c->target[i];

		if (t->there)
			continue;
		unlink_target(c, t);
		retries_done(&t->retries);
		free(t->address);
		free(t);
		c->target[i] = c->target[--c->targets];
	}
}

static void keep_target(struct cfx *c, const struct webhook *row, int64_t newest)
{
	const char *address = address_of(c->config, row->id);
	struct target *t = find_target(c, row->id);

	if (!address || (!t && c->targets == WEBHOOKS_OWN_MAX))
		return;
	if (!t) {
		t = c->target[c->targets++] = xcalloc(1, sizeof *t);
		t->address = xstrdup(address);
		t->retries.failures = row->failures;
	}
	t->row = *row;
	t->there = true;
	t->more |= row->seen < newest;
}

static int open_records(struct cfx *c, struct err *e)
{
	return c->db ? 0 : db_open_reader(c->db_path, &c->db, e);
}

/* Another configuration is another connection. */
static int look_at_config(struct cfx *c, struct err *e)
{
	struct config *now = c->line->config(c->line->line);
	int r;

	if (now == c->config) {
		config_unref(now);
		return 0;
	}
	r = open_records(c, e);
	if (r == 0)
		r = put_addresses(c, now, e);
	if (r < 0) {
		config_unref(now);
		return r;
	}
	disconnect(c);
	config_unref(c->config);
	c->config = now;
	c->failures = 0;
	c->connect_us = 0;
	return 0;
}

static int look(struct cfx *c, struct err *e)
{
	struct webhook row[WEBHOOKS_MAX];
	int64_t newest = 0;
	size_t n = 0;
	int r = look_at_config(c, e);

	if (r == 0 && c->config->cfx.url)
		r = open_records(c, e);
	if (r == 0 && c->config->cfx.url)
		r = webhooks_newest(c->db, &newest, e);
	if (r == 0 && c->config->cfx.url)
		r = webhooks_enabled(c->db, true, row, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->targets; i++)
		c->target[i]->there = false;
	for (size_t i = 0; i < n; i++)
		keep_target(c, &row[i], newest);
	drop_targets(c);
	return 0;
}

static int apply_take(struct db *tx, void *data, struct err *e)
{
	struct cfx *c = data;
	int r = 0;

	for (size_t i = 0; i < c->targets && r == 0; i++)
		if (c->target[i]->more)
			r = webhooks_take(tx, c->target[i]->row.id, &c->target[i]->more, e);
	return r;
}

static int take(struct cfx *c, struct err *e)
{
	bool wants = false;

	for (size_t i = 0; i < c->targets; i++)
		wants |= c->target[i]->more;
	return wants ? writer_do(c->line->writer, apply_take, c, e) : 0;
}

/* --- what came of a row --- */

static int apply_ends(struct db *tx, void *data, struct err *e)
{
	const struct cfx *c = data;
	int r = 0;

	for (size_t i = 0; i < c->ends && r == 0; i++)
		r = webhooks_end(tx, &c->ended[i].end, e);
	return r;
}

static void forget_ends(struct cfx *c)
{
	while (c->ends > 0)
		free(c->ended[--c->ends].message);
}

/* Before rows are asked for again. */
static int record(struct cfx *c, struct err *e)
{
	int r = c->ends ? writer_do(c->line->writer, apply_ends, c, e) : 0;

	forget_ends(c);
	return r;
}

static struct delivery_end end_of(const struct cfx *c, int64_t n)
{
	return (struct delivery_end){.n = n,
		.key = "cfx",
		.give_up_ms = (int64_t)(c->config->cfx.give_up_us / US_PER_MS)};
}

static int note_end(struct cfx *c, const struct target *t, const struct delivery_end *end,
	const struct err *why, struct err *e)
{
	struct ended *to = &c->ended[c->ends++];

	*to = (struct ended){.end = *end, .message = why ? xstrdup(why->msg) : NULL};
	snprintf(to->webhook, sizeof to->webhook, "%s", t->row.id);
	to->end.webhook = to->webhook;
	to->end.message = to->message;
	return c->ends == ENDS ? record(c, e) : 0;
}

/* Nobody is there to take the row: the address is tried later, and the row stays where it is. */
static int not_there(
	struct cfx *c, struct target *t, const char *code, const struct err *why, struct err *e)
{
	json_t *none = json_array();
	struct delivery row = {0};
	struct delivery_end end;
	size_t n = 0;
	int r = webhooks_due(c->db, t->row.id, none, 1, &row, &n, e);

	json_decref(none);
	free(row.body);
	log_once(t->trouble, why->msg);
	end = end_of(c, row.n);
	end.code = code;
	retries_not_there(&t->retries, &end, now_us());
	return r < 0 || n == 0 ? r : note_end(c, t, &end, why, e);
}

static int not_taken(
	struct cfx *c, struct told *t, const char *code, const struct err *why, struct err *e)
{
	struct target *target = t->target;
	struct delivery_end end = end_of(c, t->row.n);

	log_once(target->trouble, why->msg);
	end.code = code;
	retries_not_taken(&target->retries, &end, t->row.attempts, t->begun_us, 0);
	free_told(t);
	return note_end(c, target, &end, why, e);
}

static int taken(struct cfx *c, struct told *t, struct err *e)
{
	struct target *target = t->target;
	struct delivery_end end = end_of(c, t->row.n);

	end.done = true;
	retries_taken(&target->retries, t->row.n);
	target->trouble[0] = 0;
	free_told(t);
	return note_end(c, target, &end, NULL, e);
}

/* --- a message --- */

static int send_envelope(
	struct cfx *c, struct target *t, const json_t *envelope, void *data, struct err *e)
{
	const char *name = json_string_value(json_object_get(envelope, "MessageName"));
	const char *source = json_string_value(json_object_get(envelope, "Source"));
	_cleanup_(freep) char *subject = xasprintf("%s.%s", source, name);
	_cleanup_(freep) char *topic = strndup(name, (size_t)(strrchr(name, '.') - name));
	const char *properties[] = {"cfx-topic", topic, "cfx-message", name, "cfx-handle", source,
		"cfx-target", "", NULL};
	char *body = json_dumps(envelope, JSON_COMPACT);
	struct amqp_message m = {
		.id = json_string_value(json_object_get(envelope, "UniqueID")),
		.subject = subject,
		.reply_to = source,
		.content_type = "application/json; charset=\"utf-8\"",
		.properties = properties,
		.body = body,
	};
	int r = body ? 0 : err_set(e, ERR_NO_MEMORY, "message %s", name);

	rfc3339_parse(json_string_value(json_object_get(envelope, "TimeStamp")), &m.created_ms);
	if (r == 0) {
		m.body_bytes = strlen(body);
		r = amqp_send(t->link, &m, data, e);
	}
	free(body);
	return r;
}

/* One that is true now. takes body. */
static void say(struct cfx *c, struct target *t, const char *name, const char *handle, json_t *body)
{
	char at[RFC3339_SIZE], id[UUID_SIZE];
	json_t *envelope = cfx_envelope(name, rfc3339_now(at), uuid7(id), handle, body);
	struct err e;

	if (cfx_wanted(c->config->cfx.types, name) && amqp_room(t->link) > 0 &&
		send_envelope(c, t, envelope, &greeting, &e) < 0)
		log_once(t->trouble, e.msg);
	json_decref(envelope);
}

/* For each endpoint: a station that is told of, or all of them where the handle has no place for its id. */
static void say_for_each(struct cfx *c, struct target *t, const char *name,
	json_t *(*body)(const struct cfx *c, const char *handle))
{
	const struct cfx_config *f = &c->config->cfx;
	const bool each = strstr(f->handle, "{station}");

	for (size_t i = 0; i < (each ? c->config->stations : 1); i++) {
		const char *station = each ? c->config->station[i].id : "";
		_cleanup_(freep) char *handle = cfx_handle(f->handle, station);

		if (!each || cfx_wanted(f->stations, station))
			say(c, t, name, handle, body(c, handle));
	}
}

static json_t *body_connected(const struct cfx *c, const char *handle)
{
	return cfx_endpoint_connected(handle);
}

static json_t *body_heartbeat(const struct cfx *c, const char *handle)
{
	return cfx_heartbeat(handle, c->config->cfx.heartbeat_us);
}

static json_t *body_shutting_down(const struct cfx *c, const char *handle)
{
	return cfx_endpoint_shutting_down(handle);
}

static void greet(struct cfx *c, struct target *t)
{
	const uint64_t now = now_us();

	if (!t->link || amqp_room(t->link) == 0)
		return;
	if (!t->greeted)
		say_for_each(c, t, "CFX.EndpointConnected", body_connected);
	if (!t->greeted || now >= t->beat_us) {
		say_for_each(c, t, "CFX.Heartbeat", body_heartbeat);
		t->beat_us = now + c->config->cfx.heartbeat_us;
	}
	t->greeted = true;
}

static json_t *next_envelope(const struct cfx *c, const struct told *t)
{
	const json_t *m = json_array_get(t->messages, t->next);
	const char *station = json_string_value(json_object_get(t->event, "station"));
	_cleanup_(freep) char *handle = cfx_handle(c->config->cfx.handle, station ? station : "");
	char id[UUID_SIZE];

	cfx_unique_id(t->row.id, json_integer_value(json_object_get(m, "k")), id);
	return cfx_envelope(json_string_value(json_object_get(m, "name")),
		json_string_value(json_object_get(t->event, "timestamp")), id, handle,
		json_incref(json_object_get(m, "body")));
}

/* The row's next message, where the link takes one; the row is done after its last. */
static int send_next(struct cfx *c, struct told *t, struct err *e)
{
	json_t *envelope;
	struct err why;
	int r;

	if (t->next == json_array_size(t->messages))
		return taken(c, t, e);
	if (amqp_room(t->target->link) == 0)
		return 0;
	envelope = next_envelope(c, t);
	r = send_envelope(c, t->target, envelope, t, &why);
	json_decref(envelope);
	if (r < 0) {
		meters_cfx(c->line->meters, amqp_ends[AMQP_TOO_LARGE]);
		return not_taken(c, t, amqp_ends[AMQP_TOO_LARGE], &why, e);
	}
	t->flying = true;
	t->sent_us = now_us();
	return 0;
}

/* --- rows that begin --- */

static int read_messages(struct cfx *c, struct told *t, struct err *e)
{
	const char *run;
	json_t *told = NULL;
	int r = 0;

	t->event = json_loads(t->row.body, 0, NULL);
	run = json_string_value(json_object_get(t->event, "run"));
	if (run && cfx_needs_run(json_string_value(json_object_get(t->event, "type"))))
		r = told_run(c->db, run, &told, e);
	/* Moved to an archive meanwhile: there is nothing to say of it any more. */
	if (r == -ERR_NOT_FOUND) {
		log_warning(
			"cfx: run %s is not in the records any more, and its message is left out",
			run);
		t->messages = json_array();
		return 0;
	}
	if (r == 0)
		t->messages = cfx_messages(t->event, told, c->config->cfx.types);
	json_decref(told);
	return r;
}

static int begin(struct cfx *c, struct target *target, struct delivery *row, struct err *e)
{
	struct told *t;
	int r;

	if (!row->body)
		return 0; /* retention takes its row */
	t = xcalloc(1, sizeof *t);
	t->target = target;
	t->row = *row;
	row->body = NULL;
	t->begun_us = now_us();
	t->next_told = target->told;
	target->told = t;
	target->tolds++;
	r = read_messages(c, t, e);
	if (r < 0) {
		free_told(t);
		return r;
	}
	return send_next(c, t, e);
}

static json_t *not_now(const struct target *t)
{
	json_t *list = json_array();

	retries_not_now(&t->retries, list);
	for (const struct told *one = t->told; one; one = one->next_told)
		json_array_append_new(list, json_integer(one->row.n));
	return list;
}

static size_t room(const struct target *t)
{
	const size_t most = t->retries.failures ? 1 : WINDOW;

	if (!t->link || amqp_room(t->link) == 0 || retries_rest(&t->retries))
		return 0;
	return most - MIN(t->tolds, most);
}

static int fill(struct cfx *c, struct target *t, struct err *e)
{
	struct delivery row[WINDOW];
	const size_t max = room(t);
	json_t *not_these;
	size_t n = 0;
	int r;

	if (max == 0)
		return 0;
	not_these = not_now(t);
	r = webhooks_due(c->db, t->row.id, not_these, max, row, &n, e);
	json_decref(not_these);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = begin(c, t, &row[i], e);
		free(row[i].body);
	}
	return r;
}

/* Those that waited for credit between two messages. */
static int go_on(struct cfx *c, struct target *t, struct err *e)
{
	int r = 0;

	for (struct told *one = t->told, *next; one && r == 0 && t->link; one = next) {
		next = one->next_told;
		if (!one->flying)
			r = send_next(c, one, e);
	}
	return r;
}

/* --- what the broker says --- */

static int end_message(struct cfx *c, const struct amqp_sent *sent, struct err *e)
{
	struct told *t = sent->data;

	if (sent->data == &greeting) {
		if (sent->end != AMQP_ACCEPTED && sent->end != AMQP_LOST)
			log_info("cfx: %s", sent->err.msg);
		return 0;
	}
	meters_cfx(c->line->meters, amqp_ends[sent->end]);
	t->flying = false;
	if (sent->end == AMQP_ACCEPTED) {
		t->next++;
		return send_next(c, t, e);
	}
	/* The link or the connection is gone for all of its rows: see look_at_link(), lose(). */
	if (sent->end == AMQP_DETACHED || sent->end == AMQP_LOST)
		return 0;
	return not_taken(c, t, amqp_ends[sent->end], &sent->err, e);
}

static int gather(struct cfx *c, struct err *e)
{
	struct amqp_sent sent;
	int r = 0;

	while (r == 0 && c->amqp && amqp_next(c->amqp, &sent))
		r = end_message(c, &sent, e);
	return r < 0 ? r : record(c, e);
}

static bool has_rows(struct cfx *c, struct target *t)
{
	json_t *none = json_array();
	struct delivery row = {0};
	struct err e;
	size_t n = 0;

	webhooks_due(c->db, t->row.id, none, 1, &row, &n, &e);
	json_decref(none);
	free(row.body);
	return n > 0;
}

static int break_link(
	struct cfx *c, struct target *t, const char *code, const struct err *why, struct err *e)
{
	unlink_target(c, t);
	meters_cfx(c->line->meters, code);
	return not_there(c, t, code, why, e);
}

static bool is_over(const struct cfx *c, uint64_t since_us)
{
	return now_us() - since_us > c->config->cfx.timeout_us;
}

/* A message whose end the broker does not say. */
static bool has_no_answer(const struct cfx *c, const struct target *t)
{
	for (const struct told *one = t->told; one; one = one->next_told)
		if (one->flying && is_over(c, one->sent_us))
			return true;
	return false;
}

static bool has_no_credit(struct cfx *c, struct target *t)
{
	if (amqp_room(t->link) > 0) {
		t->linked_us = now_us();
		return false;
	}
	return is_over(c, t->linked_us) && (t->told || has_rows(c, t));
}

static int break_silent(struct cfx *c, struct target *t, struct err *e)
{
	struct err why;

	err_set(&why, ERR_SERVICE_DOWN,
		"%s did not say in %llu ms ('timeout' of 'cfx') what became of a message to '%s': it is sent again under its UniqueID",
		c->config->cfx.url, (unsigned long long)(c->config->cfx.timeout_us / US_PER_MS),
		t->address);
	return break_link(c, t, "no-answer", &why, e);
}

static int break_without_credit(struct cfx *c, struct target *t, struct err *e)
{
	struct err why;

	err_set(&why, ERR_SERVICE_BUSY,
		"%s gives no credit for '%s' in %llu ms ('timeout' of 'cfx'), so that nothing can be sent: see its alarms (memory, disk) and its consumers",
		c->config->cfx.url, t->address,
		(unsigned long long)(c->config->cfx.timeout_us / US_PER_MS));
	return break_link(c, t, "no-credit", &why, e);
}

static int look_at_link(struct cfx *c, struct target *t, struct err *e)
{
	struct err why;

	if (t->link && amqp_detached(t->link, &why))
		return break_link(c, t, amqp_ends[AMQP_DETACHED], &why, e);
	if (t->link && has_no_answer(c, t))
		return break_silent(c, t, e);
	if (t->link && has_no_credit(c, t))
		return break_without_credit(c, t, e);
	if (!t->link && !retries_rest(&t->retries)) {
		t->link = amqp_link(c->amqp, t->address);
		t->linked_us = now_us();
	}
	return 0;
}

/* --- the connection --- */

/* Each address has its failure on record; the connection has its own time. */
static int lose(struct cfx *c, const char *code, const struct err *why, struct err *e)
{
	uint16_t part;
	int r = 0;

	random_bytes(&part, sizeof part);
	disconnect(c);
	c->failures++;
	c->connect_us = now_us() + (uint64_t)webhook_probe_ms(c->failures, 0, part) * US_PER_MS;
	log_once(c->trouble, why->msg);
	meters_cfx(c->line->meters, code);
	for (size_t i = 0; i < c->targets && r == 0; i++) {
		snprintf(c->target[i]->trouble, ERR_TEXT_BYTES, "%s", why->msg);
		r = not_there(c, c->target[i], code, why, e);
	}
	return r < 0 ? r : record(c, e);
}

static const char *code_of(int r)
{
	return r == -ERR_SERVICE_UNTRUSTED ? "untrusted"
	       : r == -ERR_SERVICE_REFUSED ? "refused"
	       : r == -ERR_SERVICE_ANSWER  ? "no-amqp"
					   : "unreachable";
}

static int open_connection(struct cfx *c, struct err *e)
{
	const struct cfx_config *f = &c->config->cfx;
	const struct iotime forever = {NO_DEADLINE, &c->stop};
	const struct iotime it = iotime_within(&forever, f->timeout_us);
	_cleanup_(freep) char *container = cfx_handle(f->handle, "provd");
	struct amqp_peer p = {
		.ca = f->ca, .user = f->user, .container = container, .idle_us = SILENCE_US};
	char *password = NULL;
	int r = amqp_url_parse(f->url, &p.at, e);

	if (r == 0 && f->password)
		r = config_secret(c->config, f->password, &password, e);
	p.password = password;
	if (r == 0)
		r = amqp_open(&p, &it, &c->amqp, e);
	secret_free(password);
	return r;
}

static int connect_broker(struct cfx *c, struct err *e)
{
	struct err why = {0};
	int r;

	if (c->amqp || c->targets == 0 || c->connect_us > now_us())
		return 0;
	r = open_connection(c, &why);
	if (cancel_reason(&c->stop) != ERR_NONE)
		return 0;
	if (r < 0)
		return lose(c, code_of(r), &why, e);
	if (c->failures)
		log_notice("cfx: %s takes messages again", c->config->cfx.url);
	c->failures = 0;
	c->trouble[0] = 0;
	/* What was not there is: its time is now. */
	for (size_t i = 0; i < c->targets; i++)
		c->target[i]->retries.due_us = 0;
	return 0;
}

/* --- one round --- */

static void forget_times(struct cfx *c)
{
	c->connect_us = 0;
	for (size_t i = 0; i < c->targets; i++)
		retries_now(&c->target[i]->retries);
}

static int serve(struct cfx *c, struct target *t, struct err *e)
{
	int r = look_at_link(c, t, e);

	if (r == 0)
		greet(c, t);
	if (r == 0)
		r = go_on(c, t, e);
	if (r == 0)
		r = record(c, e);
	if (r == 0)
		r = fill(c, t, e);
	return r < 0 ? r : record(c, e);
}

static int round_of(struct cfx *c, struct err *e)
{
	int r;

	if (__atomic_exchange_n(&c->poked, false, __ATOMIC_ACQ_REL))
		forget_times(c);
	r = look(c, e);
	if (r == 0)
		r = gather(c, e);
	if (r == 0)
		r = take(c, e);
	if (r == 0)
		r = connect_broker(c, e);
	for (size_t i = 0; i < c->targets && r == 0 && c->amqp; i++)
		r = serve(c, c->target[i], e);
	return r;
}

/* What it said before it went is heard. */
static int lost(struct cfx *c, const struct err *why, struct err *e)
{
	const bool broken = why->code == ERR_SERVICE_ANSWER;
	int r = gather(c, e);

	return r < 0 ? r
		     : lose(c, broken ? code_of(-ERR_SERVICE_ANSWER) : amqp_ends[AMQP_LOST], why,
			       e);
}

static void drain(struct cfx *c)
{
	eventfd_t v;

	eventfd_read(c->wake_fd, &v);
}

/* Until something happened, or is due. */
static void wait_for(struct cfx *c, uint64_t us)
{
	const struct iotime forever = {NO_DEADLINE, &c->stop};
	const struct iotime it = iotime_within(&forever, us);
	struct err e, why;
	int r;

	if (!c->amqp) {
		iotime_wait(c->wake_fd, POLLIN, &it, NULL);
	} else {
		r = amqp_wait(c->amqp, c->wake_fd, &it, &why);
		if (r < 0 && cancel_reason(&c->stop) == ERR_NONE)
			r = lost(c, &why, &e);
		if (r < 0 && cancel_reason(&c->stop) == ERR_NONE)
			log_once(c->trouble, e.msg);
	}
	drain(c);
}

/* --- the thread --- */

/* Without an address nothing is open, and no event wakes the thread. */
static bool rest(struct cfx *c)
{
	const bool idle = c->targets == 0;

	__atomic_store_n(&c->idle, idle, __ATOMIC_RELEASE);
	if (idle) {
		disconnect(c);
		c->db = db_free(c->db);
	}
	return idle;
}

/* What can be said at once. */
static void say_goodbye(struct cfx *c)
{
	const struct iotime it = {now_us() + GOODBYE_US, NULL};
	struct amqp_sent sent;
	struct err e;

	for (size_t i = 0; i < c->targets && c->amqp; i++)
		if (c->target[i]->link && c->target[i]->greeted)
			say_for_each(
				c, c->target[i], "CFX.EndpointShuttingDown", body_shutting_down);
	if (c->amqp && amqp_wait(c->amqp, -1, &it, &e) == 0)
		while (amqp_next(c->amqp, &sent))
			;
}

static void *cfx_main(void *arg)
{
	struct cfx *c = arg;
	const struct iotime it = {NO_DEADLINE, &c->stop};

	while (cancel_reason(&c->stop) == ERR_NONE) {
		struct err e = {0};

		if (holds_check(c->line->holds, HOLD_STOPS_SENDING, NULL) < 0) {
			iotime_sleep(LOOK_EVERY_US, &it, NULL);
			continue;
		}
		/* What could not be recorded is sent again, under its id. */
		if (round_of(c, &e) < 0) {
			log_once(c->trouble, e.msg);
			disconnect(c);
			iotime_sleep(LOOK_EVERY_US, &it, NULL);
		}
		wait_for(c, rest(c) ? IDLE_US : LOOK_EVERY_US);
	}
	say_goodbye(c);
	return NULL;
}

static void wake(struct cfx *c)
{
	eventfd_write(c->wake_fd, 1);
}

static void on_published(void *data)
{
	struct cfx *c = data;
	const int64_t newest = feed_last_seq(c->line->feed);

	if (__atomic_load_n(&c->idle, __ATOMIC_ACQUIRE))
		return;
	if (__atomic_exchange_n(&c->heard, newest, __ATOMIC_ACQ_REL) != newest)
		wake(c);
}

static int start_thread(struct cfx *c, struct err *e)
{
	int r = cancel_init(&c->stop, e);

	if (r < 0)
		return r;
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake_fd < 0)
		r = err_errno(e, ERR_IO, errno, "eventfd");
	if (r == 0)
		r = thread_start(&c->thread, "cfx", cfx_main, c, e);
	if (r < 0) {
		cancel_done(&c->stop);
		closep(&c->wake_fd);
	}
	return r;
}

int cfx_start(
	const struct line_services *line, const char *db_path, struct cfx **ret, struct err *e)
{
	struct cfx *c = xcalloc(1, sizeof *c);
	int r;

	c->line = line;
	c->db_path = xstrdup(db_path);
	r = start_thread(c, e);
	if (r < 0) {
		free(c->db_path);
		free(c);
		return r;
	}
	c->feed =
		feed_subscribe(line->feed, &(struct feed_opts){.notify = on_published, .data = c});
	*ret = c;
	return 0;
}

struct cfx *cfx_free(struct cfx *c)
{
	if (!c)
		return NULL;
	feed_unsubscribe(c->feed);
	cancel_fire(&c->stop, ERR_SHUTDOWN);
	pthread_join(c->thread, NULL);
	cancel_done(&c->stop);
	disconnect(c);
	forget_ends(c);
	for (size_t i = 0; i < c->targets; i++)
		c->target[i]->there = false;
	drop_targets(c);
	close(c->wake_fd);
	config_unref(c->config);
	db_free(c->db);
	free(c->db_path);
	free(c);
	return NULL;
}

void cfx_poke(struct cfx *c)
{
	if (!c)
		return;
	__atomic_store_n(&c->poked, true, __ATOMIC_RELEASE);
	wake(c);
}
