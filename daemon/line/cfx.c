/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/cfx_impl.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/util.h"
#include "daemon/line/cfx_messages.h"
#include "daemon/line/config.h"
#include "daemon/line/feed.h"
#include "daemon/line/holds.h"
#include "daemon/line/meters.h"
#include "daemon/line/services.h"
#include "daemon/line/webhook_rules.h"

#define LOOK_EVERY_US US_PER_S
#define IDLE_US	      (60 * US_PER_S)
#define GOODBYE_US    (200 * US_PER_MS)
/* A broker that says nothing for so long is gone; it is asked for a sign of life in half of that. */
#define SILENCE_US (30 * US_PER_S)

/* --- what the broker says --- */

static int end_message(struct cfx *c, const struct amqp_sent *sent, struct err *e)
{
	struct told *t = sent->data;

	if (!t) {
		if (sent->end != AMQP_ACCEPTED && sent->end != AMQP_LOST)
			log_info("cfx: %s", sent->err.msg);
		return 0;
	}
	meters_cfx(c->line->meters, amqp_ends[sent->end]);
	t->flying = false;
	if (sent->end == AMQP_ACCEPTED) {
		t->next++;
		return cfx_send_next(c, t, e);
	}
	/* The link or the connection is gone for all of its rows: see look_at_link(), lose(). */
	if (sent->end == AMQP_DETACHED || sent->end == AMQP_LOST)
		return 0;
	return cfx_not_taken(c, t, amqp_ends[sent->end], &sent->err, e);
}

static int gather(struct cfx *c, struct err *e)
{
	struct amqp_sent sent;
	int r = 0;

	while (r == 0 && c->amqp && amqp_next(c->amqp, &sent))
		r = end_message(c, &sent, e);
	return r < 0 ? r : cfx_record(c, e);
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
	cfx_unlink(c, t);
	meters_cfx(c->line->meters, code);
	return cfx_not_there(c, t, code, why, e);
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
	cfx_disconnect(c);
	c->failures++;
	c->connect_us = now_us() + (uint64_t)webhook_probe_ms(c->failures, 0, part) * US_PER_MS;
	cfx_log_once(c->trouble, why->msg);
	meters_cfx(c->line->meters, code);
	for (size_t i = 0; i < c->targets && r == 0; i++) {
		snprintf(c->target[i]->trouble, ERR_TEXT_BYTES, "%s", why->msg);
		r = cfx_not_there(c, c->target[i], code, why, e);
	}
	return r < 0 ? r : cfx_record(c, e);
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
		cfx_greet(c, t);
	if (r == 0)
		r = cfx_go_on(c, t, e);
	if (r == 0)
		r = cfx_record(c, e);
	if (r == 0)
		r = cfx_fill(c, t, e);
	return r < 0 ? r : cfx_record(c, e);
}

static int round_of(struct cfx *c, struct err *e)
{
	int r;

	if (__atomic_exchange_n(&c->poked, false, __ATOMIC_ACQ_REL))
		forget_times(c);
	r = cfx_look(c, e);
	if (r == 0)
		r = gather(c, e);
	if (r == 0)
		r = cfx_take(c, e);
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
			cfx_log_once(c->trouble, e.msg);
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
		cfx_disconnect(c);
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
		cfx_say_goodbye(c, c->target[i]);
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
			cfx_log_once(c->trouble, e.msg);
			cfx_disconnect(c);
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
	cfx_disconnect(c);
	cfx_forget_ends(c);
	for (size_t i = 0; i < c->targets; i++)
		c->target[i]->there = false;
	cfx_drop_targets(c);
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
