/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/route_cfx.h"

#include "base/log.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/cfx_messages.h"
#include "daemon/line/cfx_validate.h"
#include "daemon/line/config.h"
#include "transports/links/amqp.h"

#define CLOSE_US (500 * US_PER_MS) /* for a peer to answer the end of a link */

struct question {
	const struct cfx_config *cfx;
	const struct route_ask *ask;
	const char *id;
	char *handle;	   /* of the station */
	const char *reply; /* where answers go */
	struct amqp *amqp;
	struct amqp_link *from, *to;
	unsigned others; /* answers to other questions */
};

static void no_answer(struct route_answer *ret, enum route_code code, const char *text)
{
	*ret = (struct route_answer){.code = code};
	snprintf(ret->reason, sizeof ret->reason, "%s", text);
}

static const char *url_of(const struct question *q)
{
	return q->cfx->validate_url ? q->cfx->validate_url : q->cfx->url;
}

static int connect_peer(
	const struct config *c, struct question *q, const struct iotime *it, struct err *e)
{
	const struct cfx_config *f = q->cfx;
	struct amqp_peer p = {.ca = f->ca,
		.user = f->user,
		.container = q->handle,
		.idle_us = ROUTE_TIMEOUT_MAX_US};
	char *password = NULL;
	int r = amqp_url_parse(url_of(q), &p.at, e);

	if (r == 0 && f->password)
		r = config_secret(c, f->password, &password, e);
	p.password = password;
	if (r == 0)
		r = amqp_open(&p, it, &q->amqp, e);
	secret_free(password);
	return r;
}

static bool is_detached(const struct question *q, struct err *e)
{
	return amqp_detached(q->from, e) || (q->to && amqp_detached(q->to, e));
}

/* Both are there: who answers at once has where to. */
static int link_peer(struct question *q, const struct iotime *it, struct err *e)
{
	const char *const address = q->cfx->validate_address;
	int r = 0;

	q->from = amqp_receiver(q->amqp, q->cfx->validate_reply ? q->reply : address, q->reply);
	q->to = amqp_link(q->amqp, address);
	while (r == 0 && (!amqp_attached(q->from) || amqp_room(q->to) == 0)) {
		if (is_detached(q, e))
			return -(int)e->code;
		if (iotime_left_us(it) == 0)
			return err_set(e, ERR_SERVICE_BUSY,
				"%s gives no credit for '%s' in time, so that nothing can be asked",
				url_of(q), address);
		r = amqp_wait(q->amqp, -1, it, e);
	}
	return r;
}

static int send_question(struct question *q, struct err *e)
{
	const char *target =
		q->cfx->validate_target ? q->cfx->validate_target : q->cfx->validate_address;
	json_t *envelope = cfx_validate_request(q->id, q->handle, target, q->ask->serial);
	const char *properties[] = {"cfx-topic", "CFX.InformationSystem.UnitValidation",
		"cfx-message", CFX_VALIDATE_REQUEST, "cfx-handle", q->handle, "cfx-target", target,
		NULL};
	_cleanup_(freep) char *subject = xasprintf("%s.%s", q->handle, CFX_VALIDATE_REQUEST);
	char *body = json_dumps(envelope, JSON_COMPACT);
	const struct amqp_message m = {.id = q->id,
		.correlation_id = q->id,
		.subject = subject,
		.reply_to = q->reply,
		.content_type = "application/json; charset=\"utf-8\"",
		.created_ms = wall_ms(),
		.properties = properties,
		.body = body,
		.body_bytes = body ? strlen(body) : 0};
	int r = body ? amqp_send(q->to, &m, NULL, e)
		     : err_set(e, ERR_INVALID, "the unit's serial number is no UTF-8");

	json_decref(envelope);
	free(body);
	return r;
}

/* What came, of this question: 1 it is in *ret; 0 it was of another one. */
static int look_at(struct question *q, const struct amqp_received *m, struct route_answer *ret)
{
	const bool ours = !strcmp(m->correlation_id, q->id);
	enum cfx_validated v;

	if (m->too_large || (m->unreadable && ours)) {
		no_answer(ret, ROUTE_MALFORMED,
			m->too_large ? "its answer has more than 64 KiB"
				     : "its answer has no body of bytes or text");
		return 1;
	}
	v = cfx_validate_read(
		m->body, m->body_bytes, m->correlation_id, q->id, q->ask->serial, ret);
	if (v == CFX_OTHERS) {
		q->others++;
		log_info(
			"cfx: an answer at '%s' is not to the question %s, and is left out: late, or another's",
			q->reply, q->id);
	}
	return v != CFX_OTHERS;
}

/* One that was sent twice says one thing, or nothing is believed. */
static void compare_more(struct question *q, struct route_answer *ret)
{
	struct amqp_received m;

	while (amqp_take(q->amqp, &m)) {
		struct route_answer again = {0};

		if (look_at(q, &m, &again) && ret->answered &&
			(!again.answered || again.verdict != ret->verdict))
			no_answer(ret, ROUTE_DOUBLED,
				"two answers came to one question, and they differ");
		amqp_received_done(&m);
	}
}

/* The link is closed, and what the peer had sent until it heard of that is looked at as well. */
static void look_for_double(struct question *q, const struct iotime *it, struct route_answer *ret)
{
	const struct iotime soon = iotime_within(it, CLOSE_US);
	struct err e;
	int r = 0;

	amqp_stop(q->from);
	compare_more(q, ret);
	while (r == 0 && !amqp_detached(q->from, &e) && iotime_left_us(&soon) > 0) {
		r = amqp_wait(q->amqp, -1, &soon, &e);
		compare_more(q, ret);
	}
}

static bool take_answer(struct question *q, const struct iotime *it, struct route_answer *ret)
{
	struct amqp_received m;
	bool found = false;

	while (!found && amqp_take(q->amqp, &m)) {
		found = look_at(q, &m, ret);
		amqp_received_done(&m);
	}
	if (found)
		look_for_double(q, it, ret);
	return found;
}

static bool is_refused(struct question *q, struct route_answer *ret)
{
	struct amqp_sent sent;

	while (amqp_next(q->amqp, &sent))
		if (sent.end != AMQP_ACCEPTED && sent.end != AMQP_LOST) {
			no_answer(ret, ROUTE_REFUSED, sent.err.msg);
			return true;
		}
	return false;
}

static int wait_answer(
	struct question *q, const struct iotime *it, struct route_answer *ret, struct err *e)
{
	int r = 0;

	for (;;) {
		if (take_answer(q, it, ret) || is_refused(q, ret))
			return 0;
		if (r < 0 || is_detached(q, e))
			return r < 0 ? r : -(int)e->code;
		if (iotime_left_us(it) == 0)
			break;
		/* What came before the connection went is looked at. */
		r = amqp_wait(q->amqp, -1, it, e);
	}
	if (q->others)
		no_answer(ret, ROUTE_FOREIGN,
			"only answers to other questions came in time (late ones, or another endpoint's)");
	else
		no_answer(ret, ROUTE_LATE, "no answer came in time");
	return 0;
}

int route_cfx_ask(const struct config *c, const struct route_ask *ask, const char *id,
	const struct iotime *it, struct route_answer *ret, struct err *e)
{
	struct question q = {.cfx = &c->cfx, .ask = ask, .id = id};
	int r;

	q.handle = cfx_handle(c->cfx.handle, ask->station);
	q.reply = c->cfx.validate_reply ? c->cfx.validate_reply : q.handle;
	r = connect_peer(c, &q, it, e);
	if (r == 0)
		r = link_peer(&q, it, e);
	if (r == 0)
		r = send_question(&q, e);
	if (r == 0)
		r = wait_answer(&q, it, ret, e);
	amqp_free(q.amqp);
	free(q.handle);
	return r;
}
