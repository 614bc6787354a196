/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/cfx_impl.h"

#include "base/log.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/cfx_messages.h"
#include "daemon/line/config.h"
#include "daemon/line/meters.h"
#include "daemon/line/services.h"
#include "db/events.h"
#include "db/told.h"

#define WINDOW 8 /* rows of one address at a time */

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
		send_envelope(c, t, envelope, NULL, &e) < 0)
		cfx_log_once(t->trouble, e.msg);
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

/* Where there is room. */
void cfx_say_goodbye(struct cfx *c, struct target *t)
{
	if (t->link && t->greeted)
		say_for_each(c, t, "CFX.EndpointShuttingDown", body_shutting_down);
}

void cfx_greet(struct cfx *c, struct target *t)
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
int cfx_send_next(struct cfx *c, struct told *t, struct err *e)
{
	json_t *envelope;
	struct err why;
	int r;

	if (t->next == json_array_size(t->messages))
		return cfx_taken(c, t, e);
	if (amqp_room(t->target->link) == 0)
		return 0;
	envelope = next_envelope(c, t);
	r = send_envelope(c, t->target, envelope, t, &why);
	json_decref(envelope);
	if (r < 0) {
		meters_cfx(c->line->meters, amqp_ends[AMQP_TOO_LARGE]);
		return cfx_not_taken(c, t, amqp_ends[AMQP_TOO_LARGE], &why, e);
	}
	t->flying = true;
	t->sent_us = t->target->linked_us = now_us();
	return 0;
}

/* --- rows that begin --- */

static int read_station(struct cfx *c, const json_t *event, json_t **ret, struct err *e)
{
	const char *at = json_string_value(json_object_get(event, "timestamp"));
	int64_t at_ms = 0;

	if (at)
		rfc3339_parse(at, &at_ms);
	return told_station(c->db, json_string_value(json_object_get(event, "station")),
		json_integer_value(json_object_get(event, "seq")), at_ms, ret, e);
}

static int read_messages(struct cfx *c, struct told *t, struct err *e)
{
	const char *run;
	const char *type;
	json_t *told = NULL;
	int r = 0;

	t->event = json_loads(t->row.body, 0, NULL);
	run = json_string_value(json_object_get(t->event, "run"));
	type = json_string_value(json_object_get(t->event, "type"));
	if (cfx_needs_station(type))
		r = read_station(c, t->event, &told, e);
	else if (run && cfx_needs_run(type))
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
		cfx_free_told(t);
		return r;
	}
	return cfx_send_next(c, t, e);
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

int cfx_fill(struct cfx *c, struct target *t, struct err *e)
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
int cfx_go_on(struct cfx *c, struct target *t, struct err *e)
{
	int r = 0;

	for (struct told *one = t->told, *next; one && r == 0 && t->link; one = next) {
		next = one->next_told;
		if (!one->flying)
			r = cfx_send_next(c, one, e);
	}
	return r;
}
