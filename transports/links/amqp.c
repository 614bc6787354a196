/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol is qpid-proton's, which knows no socket here (pn_connection_driver): bytes go in and out of it, and
 * what they mean comes as events.
 */
#include "transports/links/amqp.h"

#include <errno.h>
#include <poll.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/connection_driver.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>
#include <proton/message.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/ssl.h>
#include <proton/terminus.h>
#include <proton/transport.h>
#include <string.h>
#include <sys/socket.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "transports/links/link_impl.h"

/* A message whose end is not known, or that has one and was not asked for. */
struct flight {
	struct amqp_link *link;
	pn_delivery_t *delivery; /* NULL: it has an end */
	struct amqp_sent sent;
	struct flight *next;
};

struct amqp_link {
	struct amqp *amqp;
	char *address;
	pn_session_t *session;
	pn_link_t *link;
	uint64_t tag;
	bool detached;
	struct err why; /* of detached */
	struct amqp_link *next;
};

/* A message that came. */
struct arrival {
	struct amqp_received message;
	struct arrival *next;
};

struct amqp {
	char *name; /* amqp://HOST:PORT, for messages */
	int fd;
	bool tls;
	pn_connection_driver_t driver;
	bool opened, lost;
	bool news;	/* something is to be looked at */
	struct err why; /* of lost */
	struct amqp_link *link;
	struct flight *flight, **last;
	struct arrival *arrival, **newest;
	size_t arrivals;
};

bool amqp_built(void)
{
	return true;
}

/* --- ends --- */

/* What the peer says, in one line. */
static void describe(pn_condition_t *c, char ret[ERR_TEXT_BYTES])
{
	const char *text = pn_condition_get_description(c);
	_cleanup_(freep) char *line = NULL;
	struct strbuf b = {0};

	*ret = 0;
	if (!pn_condition_is_set(c))
		return;
	sb_addf(&b, ": ");
	sb_add_escaped(&b, pn_condition_get_name(c), strlen(pn_condition_get_name(c)));
	if (text && *text) {
		sb_add(&b, ": ");
		sb_add_escaped(&b, text, MIN(strlen(text), (size_t)ERR_TEXT_BYTES));
	}
	line = sb_take(&b);
	snprintf(ret, ERR_TEXT_BYTES, "%s", line);
}

static void end_flight(struct flight *f, enum amqp_end end, const struct err *why)
{
	f->link->amqp->news = true;
	pn_delivery_set_context(f->delivery, NULL);
	f->delivery = NULL;
	f->sent.end = end;
	if (why)
		f->sent.err = *why;
}

static void end_all(
	struct amqp *a, const struct amqp_link *l, enum amqp_end end, const struct err *why)
{
	for (struct flight *f = a->flight; f; f = f->next)
		if (f->delivery && (!l || f->link == l))
			end_flight(f, end, why);
}

/* The first reason stays. */
static void lose(struct amqp *a, enum err_code code, const char *what, pn_condition_t *c)
{
	char said[ERR_TEXT_BYTES] = "";

	if (a->lost)
		return;
	if (c)
		describe(c, said);
	err_set(&a->why, code, "%s %s%s", a->name, what, said);
	a->lost = a->news = true;
	end_all(a, NULL, AMQP_LOST, &a->why);
}

static void lose_link(struct amqp_link *l, pn_condition_t *c)
{
	char said[ERR_TEXT_BYTES];

	if (l->detached)
		return;
	describe(c, said);
	err_set(&l->why, ERR_SERVICE_REFUSED,
		"%s detaches the link to the address '%s' (is there such a queue or exchange, and may provd write to it?)%s",
		l->amqp->name, l->address, said);
	l->detached = l->amqp->news = true;
	end_all(l->amqp, l, AMQP_DETACHED, &l->why);
}

static enum amqp_end end_of(uint64_t state)
{
	return state == PN_ACCEPTED   ? AMQP_ACCEPTED
	       : state == PN_REJECTED ? AMQP_REJECTED
	       : state == PN_MODIFIED ? AMQP_MODIFIED
				      : AMQP_RELEASED;
}

/* --- what comes --- */

void amqp_received_done(struct amqp_received *m)
{
	free(m->correlation_id);
	free(m->body);
	*m = (struct amqp_received){0};
}

static char *text_of(pn_bytes_t b)
{
	char *s = xcalloc(1, b.size + 1);

	if (b.size)
		memcpy(s, b.start, b.size);
	return s;
}

/* One data section, or a value that is binary or a text (AMQP 1.0, 3.2.6 and 3.2.8). */
static bool read_body(pn_data_t *d, struct amqp_received *ret)
{
	pn_bytes_t b;

	pn_data_rewind(d);
	if (!pn_data_next(d))
		return false;
	if (pn_data_type(d) == PN_BINARY)
		b = pn_data_get_binary(d);
	else if (pn_data_type(d) == PN_STRING)
		b = pn_data_get_string(d);
	else
		return false;
	ret->body = text_of(b);
	ret->body_bytes = b.size;
	return true;
}

static void read_message(const char *bytes, size_t n, struct amqp_received *ret)
{
	pn_message_t *m = pn_message();
	pn_data_t *id;

	if (!m)
		abort();
	ret->unreadable =
		pn_message_decode(m, bytes, n) != 0 || !read_body(pn_message_body(m), ret);
	id = pn_message_correlation_id(m);
	pn_data_rewind(id);
	ret->correlation_id =
		text_of(!ret->unreadable && pn_data_next(id) && pn_data_type(id) == PN_STRING
				? pn_data_get_string(id)
				: pn_bytes(0, NULL));
	pn_message_free(m);
}

static void keep_arrival(struct amqp *a, const struct amqp_received *m)
{
	struct arrival *one = xcalloc(1, sizeof *one);

	one->message = *m;
	*a->newest = one;
	a->newest = &one->next;
	a->arrivals++;
	a->news = true;
}

/* A peer that sends more than it has credit for is cut by the library. */
static void on_arrival(struct amqp *a, pn_delivery_t *d)
{
	pn_link_t *link = pn_delivery_link(d);
	const size_t n = pn_delivery_pending(d);
	struct amqp_received m = {0};
	char *bytes;

	if (n > AMQP_RECEIVED_MAX) {
		m.too_large = true;
		m.correlation_id = xstrdup("");
		keep_arrival(a, &m);
		pn_delivery_update(d, PN_REJECTED);
		pn_delivery_settle(d);
		return;
	}
	if (pn_delivery_partial(d))
		return;
	bytes = xcalloc(1, n + 1);
	if (pn_link_recv(link, bytes, n) != (ssize_t)n)
		m.unreadable = true;
	if (m.unreadable)
		m.correlation_id = xstrdup("");
	else
		read_message(bytes, n, &m);
	free(bytes);
	keep_arrival(a, &m);
	pn_delivery_update(d, PN_ACCEPTED);
	pn_delivery_settle(d);
}

bool amqp_take(struct amqp *a, struct amqp_received *ret)
{
	struct arrival *one = a->arrival;

	if (!one)
		return false;
	*ret = one->message;
	a->arrival = one->next;
	a->arrivals--;
	if (!a->arrival)
		a->newest = &a->arrival;
	free(one);
	/* The peer may send one more only after one was taken, so that answers to others do not fill our memory. */
	for (struct amqp_link *l = a->link; l; l = l->next)
		if (!l->detached && pn_link_is_receiver(l->link) &&
			pn_link_state(l->link) & PN_LOCAL_ACTIVE &&
			pn_link_credit(l->link) + (int)a->arrivals < AMQP_RECEIVED_QUEUE)
			pn_link_flow(l->link, 1);
	return true;
}

static void on_delivery(struct amqp *a, pn_delivery_t *d)
{
	struct flight *f = pn_delivery_get_context(d);
	const uint64_t state = pn_delivery_remote_state(d);
	char said[ERR_TEXT_BYTES];
	enum amqp_end end;
	struct err why;

	if (pn_link_is_receiver(pn_delivery_link(d))) {
		if (pn_link_get_context(pn_delivery_link(d)) && pn_delivery_readable(d))
			on_arrival(a, d);
		return;
	}
	/* Received is no end (AMQP 1.0, 3.4.1). */
	if (!f || !pn_delivery_updated(d) || (!pn_delivery_settled(d) && state <= PN_RECEIVED))
		return;
	end = end_of(state);
	describe(pn_disposition_condition(pn_delivery_remote(d)), said);
	err_set(&why, end == AMQP_REJECTED ? ERR_SERVICE_REFUSED : ERR_SERVICE_BUSY,
		"%s: the message to '%s' was %s%s", a->name, f->link->address, amqp_ends[end],
		said);
	end_flight(f, end, end == AMQP_ACCEPTED ? NULL : &why);
	pn_delivery_settle(d);
}

/* --- events --- */

static void on_link(struct amqp *a, pn_link_t *link, pn_event_type_t type)
{
	struct amqp_link *l = pn_link_get_context(link);

	if (!l)
		return;
	a->news = true;
	if (type == PN_LINK_REMOTE_CLOSE || type == PN_LINK_REMOTE_DETACH)
		lose_link(l, pn_link_remote_condition(link));
}

static void on_session_closed(pn_session_t *session)
{
	struct amqp_link *l = pn_session_get_context(session);

	if (l)
		lose_link(l, pn_session_remote_condition(session));
}

static bool contains(pn_condition_t *c, const char *word)
{
	const char *text = pn_condition_get_description(c);

	return text && strstr(text, word);
}

/* proton has one name for all that is wrong below AMQP. */
static enum err_code transport_code(pn_condition_t *c)
{
	const char *name = pn_condition_is_set(c) ? pn_condition_get_name(c) : "";

	if (!strcmp(name, "amqp:unauthorized-access"))
		return ERR_SERVICE_REFUSED;
	if (contains(c, "SSL"))
		return ERR_SERVICE_UNTRUSTED;
	/* A connection that breaks off in the middle is a framing error of it as well. */
	return !strcmp(name, "amqp:connection:framing-error") && !contains(c, "aborted")
		       ? ERR_SERVICE_ANSWER
		       : ERR_SERVICE_DOWN;
}

static void on_transport(struct amqp *a)
{
	pn_condition_t *c = pn_transport_condition(a->driver.transport);
	const enum err_code code = transport_code(c);

	lose(a, code,
		code == ERR_SERVICE_REFUSED ? "does not let provd in (see 'user' and 'password')"
		: code == ERR_SERVICE_UNTRUSTED ? "is not trusted (see 'ca')"
		: code == ERR_SERVICE_ANSWER	? "does not speak AMQP 1.0"
						: "is gone",
		c);
}

static void on_event(struct amqp *a, pn_event_t *ev)
{
	const pn_event_type_t type = pn_event_type(ev);

	/* Of the many events of the library. */
	if (type == PN_CONNECTION_REMOTE_OPEN)
		a->opened = a->news = true;
	else if (type == PN_CONNECTION_REMOTE_CLOSE)
		lose(a, ERR_SERVICE_DOWN, "closes the connection",
			pn_connection_remote_condition(a->driver.connection));
	else if (type == PN_SESSION_REMOTE_CLOSE)
		on_session_closed(pn_event_session(ev));
	else if (type == PN_LINK_REMOTE_OPEN || type == PN_LINK_REMOTE_CLOSE ||
		 type == PN_LINK_REMOTE_DETACH || type == PN_LINK_FLOW)
		on_link(a, pn_event_link(ev), type);
	else if (type == PN_DELIVERY)
		on_delivery(a, pn_event_delivery(ev));
	else if (type == PN_TRANSPORT_ERROR || type == PN_TRANSPORT_CLOSED)
		on_transport(a);
}

static void take_events(struct amqp *a)
{
	pn_event_t *ev;

	while ((ev = pn_connection_driver_next_event(&a->driver)))
		on_event(a, ev);
}

/* --- bytes --- */

static void read_some(struct amqp *a)
{
	pn_rwbytes_t b = pn_connection_driver_read_buffer(&a->driver);
	ssize_t n = b.size ? recv(a->fd, b.start, b.size, MSG_DONTWAIT) : -1;

	if (n > 0) {
		pn_connection_driver_read_done(&a->driver, (size_t)n);
	} else if (n == 0) {
		pn_connection_driver_read_close(&a->driver);
	} else if (b.size && errno != EAGAIN && errno != EINTR) {
		pn_connection_driver_errorf(
			&a->driver, "provd:io", "read: %s", strerrordesc_np(errno));
		pn_connection_driver_close(&a->driver);
	}
}

static void write_some(struct amqp *a)
{
	pn_bytes_t b;

	while ((b = pn_connection_driver_write_buffer(&a->driver)).size) {
		ssize_t n = send(a->fd, b.start, b.size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			pn_connection_driver_errorf(
				&a->driver, "provd:io", "write: %s", strerrordesc_np(errno));
			pn_connection_driver_close(&a->driver);
			return;
		}
		pn_connection_driver_write_done(&a->driver, (size_t)n);
	}
}

/* Until when the library wants to be asked again: it has the timers of idle peers (AMQP 1.0, 2.4.5). */
static uint64_t tick(struct amqp *a)
{
	const int64_t next_ms =
		pn_transport_tick(a->driver.transport, (int64_t)(now_us() / US_PER_MS));

	return next_ms > 0 ? (uint64_t)next_ms * US_PER_MS : NO_DEADLINE;
}

static void move(struct amqp *a)
{
	take_events(a);
	write_some(a);
	read_some(a);
	take_events(a);
	write_some(a);
	take_events(a);
}

/* 1: something is to be read or written, or the library's time is over; 0: wake_fd. */
static int sleep_until(struct amqp *a, int wake_fd, const struct iotime *it)
{
	const uint64_t until = MIN(tick(a), it->deadline_us);
	const uint64_t now = now_us();
	const bool writes = pn_connection_driver_write_buffer(&a->driver).size > 0;
	struct pollfd fds[] = {{.fd = a->fd, .events = (short)(POLLIN | (writes ? POLLOUT : 0))},
		{.fd = wake_fd, .events = POLLIN},
		{.fd = it->cancel ? it->cancel->fd : -1, .events = POLLIN}};
	const uint64_t ms = until > now ? (until - now) / US_PER_MS + 1 : 0;

	poll(fds, ARRAY_LEN(fds), (int)MIN(ms, (uint64_t)60000));
	return !(fds[1].revents & POLLIN);
}

int amqp_wait(struct amqp *a, int wake_fd, const struct iotime *it, struct err *e)
{
	int more = 1;

	while (more && !a->news && !a->lost && iotime_left_us(it) > 0) {
		move(a);
		if (a->news || a->lost)
			break;
		if (it->cancel && cancel_reason(it->cancel) != ERR_NONE)
			return iotime_check(it, e);
		more = sleep_until(a, wake_fd, it);
	}
	move(a);
	a->news = false;
	if (!a->lost)
		return 0;
	if (e)
		*e = a->why;
	return -(int)a->why.code;
}

/* --- a connection --- */

static int use_tls(struct amqp *a, const struct amqp_peer *p, struct err *e)
{
	pn_ssl_domain_t *domain = pn_ssl_domain(PN_SSL_MODE_CLIENT);
	pn_ssl_t *ssl = pn_ssl(a->driver.transport);
	int r = 0;

	if (!domain || !ssl)
		r = err_set(e, ERR_NO_MEMORY, "TLS of %s", a->name);
	if (r == 0 && p->ca && pn_ssl_domain_set_trusted_ca_db(domain, p->ca) != 0)
		r = err_set(e, ERR_SERVICE_UNTRUSTED,
			"%s: the certificates in %s cannot be read (PEM expected)", a->name, p->ca);
	/* By the name, of a chain that is trusted: nothing less is taken. */
	if (r == 0 && (pn_ssl_domain_set_peer_authentication(
			       domain, PN_SSL_VERIFY_PEER_NAME, NULL) != 0 ||
			      pn_ssl_init(ssl, domain, NULL) != 0 ||
			      pn_ssl_set_peer_hostname(ssl, p->at.host) != 0))
		r = err_set(e, ERR_SERVICE_UNTRUSTED, "%s: TLS cannot be set up", a->name);
	pn_ssl_domain_free(domain);
	return r;
}

/* In the clear a password goes to this machine alone, which the configuration looks at. */
static void use_sasl(struct amqp *a, const struct amqp_peer *p)
{
	pn_sasl_t *sasl = pn_sasl(a->driver.transport);

	pn_sasl_allowed_mechs(sasl, p->user ? "PLAIN" : "ANONYMOUS");
	pn_sasl_set_allow_insecure_mechs(sasl, true);
	if (p->user) {
		pn_connection_set_user(a->driver.connection, p->user);
		pn_connection_set_password(a->driver.connection, p->password);
	}
}

static int begin(struct amqp *a, const struct amqp_peer *p, struct err *e)
{
	int r = 0;

	if (pn_connection_driver_init(&a->driver, NULL, NULL) != 0)
		return err_set(e, ERR_NO_MEMORY, "a connection to %s", a->name);
	/* PN_TRACE_FRM of the environment would have the password in the log. */
	pn_transport_trace(a->driver.transport, PN_TRACE_OFF);
	pn_connection_set_container(a->driver.connection, p->container);
	pn_connection_set_hostname(a->driver.connection, p->at.host);
	pn_transport_set_idle_timeout(a->driver.transport, (pn_millis_t)(p->idle_us / US_PER_MS));
	if (p->at.tls)
		r = use_tls(a, p, e);
	use_sasl(a, p);
	pn_connection_open(a->driver.connection);
	return r;
}

static int handshake(struct amqp *a, const struct iotime *it, struct err *e)
{
	int r = 0;

	while (r == 0 && !a->opened && iotime_left_us(it) > 0)
		r = amqp_wait(a, -1, it, e);
	if (r == 0 && !a->opened)
		r = err_set(e, ERR_SERVICE_DOWN,
			"%s accepts the connection and does not open it in time", a->name);
	return r;
}

int amqp_open(const struct amqp_peer *p, const struct iotime *it, struct amqp **ret, struct err *e)
{
	const bool v6 = strchr(p->at.host, ':');
	_cleanup_(freep) char *where = xasprintf(
		"%s%s%s:%u", v6 ? "[" : "", p->at.host, v6 ? "]" : "", (unsigned)p->at.port);
	struct amqp *a = xcalloc(1, sizeof *a);
	int r;

	a->name = xasprintf("amqp%s://%s", p->at.tls ? "s" : "", where);
	a->last = &a->flight;
	a->newest = &a->arrival;
	a->tls = p->at.tls;
	a->fd = -1;
	r = tcp_connect(where, it, &a->fd, e);
	if (r == -ERR_DEVICE_GONE || r == -ERR_TIMEOUT || r == -ERR_IO) {
		if (e)
			e->code = ERR_SERVICE_DOWN;
		r = -ERR_SERVICE_DOWN;
		err_prefix(e, "%s accepts no connection", a->name);
	}
	if (r == 0)
		r = begin(a, p, e);
	if (r == 0)
		r = handshake(a, it, e);
	if (r < 0) {
		amqp_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct amqp *amqp_free(struct amqp *a)
{
	if (!a)
		return NULL;
	if (a->opened && !a->lost) {
		pn_connection_close(a->driver.connection);
		move(a);
	}
	while (a->link)
		amqp_unlink(a, a->link);
	while (a->flight) {
		struct flight *f = a->flight;

		a->flight = f->next;
		free(f);
	}
	while (a->arrival) {
		struct arrival *one = a->arrival;

		a->arrival = one->next;
		amqp_received_done(&one->message);
		free(one);
	}
	pn_connection_driver_destroy(&a->driver);
	if (a->fd >= 0)
		close(a->fd);
	free(a->name);
	free(a);
	return NULL;
}

/* --- a link --- */

struct amqp_link *amqp_link(struct amqp *a, const char *address)
{
	struct amqp_link *l = xcalloc(1, sizeof *l);

	l->amqp = a;
	l->address = xstrdup(address);
	l->session = pn_session(a->driver.connection);
	l->link = pn_sender(l->session, address);
	if (!l->session || !l->link)
		abort();
	pn_session_set_context(l->session, l);
	pn_link_set_context(l->link, l);
	pn_terminus_set_address(pn_link_target(l->link), address);
	/* RabbitMQ makes a queue by it: one that keeps what it took. */
	pn_terminus_set_durability(pn_link_target(l->link), PN_DELIVERIES);
	pn_terminus_set_address(pn_link_source(l->link), address);
	pn_link_set_snd_settle_mode(l->link, PN_SND_UNSETTLED);
	pn_link_set_rcv_settle_mode(l->link, PN_RCV_FIRST);
	pn_session_open(l->session);
	pn_link_open(l->link);
	l->next = a->link;
	a->link = l;
	return l;
}

struct amqp_link *amqp_receiver(struct amqp *a, const char *source, const char *target)
{
	struct amqp_link *l = xcalloc(1, sizeof *l);

	l->amqp = a;
	l->address = xstrdup(source);
	l->session = pn_session(a->driver.connection);
	l->link = pn_receiver(l->session, target);
	if (!l->session || !l->link)
		abort();
	pn_session_set_context(l->session, l);
	pn_link_set_context(l->link, l);
	pn_terminus_set_address(pn_link_source(l->link), source);
	pn_terminus_set_durability(pn_link_source(l->link), PN_DELIVERIES);
	pn_terminus_set_address(pn_link_target(l->link), target);
	pn_link_set_max_message_size(l->link, AMQP_RECEIVED_MAX);
	pn_session_open(l->session);
	pn_link_open(l->link);
	pn_link_flow(l->link, AMQP_RECEIVED_QUEUE);
	l->next = a->link;
	a->link = l;
	return l;
}

void amqp_stop(struct amqp_link *l)
{
	pn_link_close(l->link);
}

bool amqp_attached(const struct amqp_link *l)
{
	return !l->detached && !l->amqp->lost && pn_link_state(l->link) & PN_REMOTE_ACTIVE;
}

void amqp_unlink(struct amqp *a, struct amqp_link *l)
{
	struct amqp_link **p = &a->link;

	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	for (struct flight **f = &a->flight; *f;) {
		struct flight *one = *f;

		if (one->link != l) {
			f = &one->next;
			continue;
		}
		if (one->delivery)
			pn_delivery_set_context(one->delivery, NULL);
		*f = one->next;
		free(one);
	}
	a->last = &a->flight;
	while (*a->last)
		a->last = &(*a->last)->next;
	pn_link_set_context(l->link, NULL);
	pn_session_set_context(l->session, NULL);
	pn_link_close(l->link);
	pn_session_close(l->session);
	pn_link_free(l->link);
	pn_session_free(l->session);
	free(l->address);
	free(l);
}

bool amqp_detached(const struct amqp_link *l, struct err *e)
{
	if (l->detached)
		*e = l->why;
	return l->detached;
}

size_t amqp_room(const struct amqp_link *l)
{
	/* A peer that refuses attaches without credit before it detaches (AMQP 1.0, 2.6.3). */
	int credit = l->detached || l->amqp->lost ? 0 : pn_link_credit(l->link);

	return credit > 0 ? (size_t)credit : 0;
}

/* --- a message --- */

static pn_bytes_t bytes_of(const char *s)
{
	return pn_bytes(strlen(s), s);
}

static void put_properties(pn_data_t *d, const char *const *properties)
{
	pn_data_put_map(d);
	pn_data_enter(d);
	for (const char *const *p = properties; p && *p; p++)
		pn_data_put_string(d, bytes_of(*p));
	pn_data_exit(d);
}

static ssize_t encode(const struct amqp_message *m, pn_rwbytes_t *ret)
{
	pn_message_t *msg = pn_message();
	ssize_t n;

	pn_message_set_durable(msg, true);
	pn_message_set_inferred(msg, true);
	pn_data_put_string(pn_message_id(msg), bytes_of(m->id));
	pn_message_set_subject(msg, m->subject);
	pn_message_set_reply_to(msg, m->reply_to);
	if (m->correlation_id)
		pn_data_put_string(pn_message_correlation_id(msg), bytes_of(m->correlation_id));
	pn_message_set_content_type(msg, m->content_type);
	pn_message_set_creation_time(msg, m->created_ms);
	put_properties(pn_message_properties(msg), m->properties);
	pn_data_put_binary(pn_message_body(msg), pn_bytes(m->body_bytes, m->body));
	n = pn_message_encode2(msg, ret);
	pn_message_free(msg);
	return n;
}

static void send_bytes(struct amqp_link *l, const pn_rwbytes_t *bytes, void *data)
{
	struct flight *f = xcalloc(1, sizeof *f);

	l->tag++;
	f->link = l;
	f->sent.data = data;
	f->delivery = pn_delivery(l->link, pn_dtag((const char *)&l->tag, sizeof l->tag));
	pn_delivery_set_context(f->delivery, f);
	pn_link_send(l->link, bytes->start, bytes->size);
	pn_link_advance(l->link);
	*l->amqp->last = f;
	l->amqp->last = &f->next;
}

int amqp_send(struct amqp_link *l, const struct amqp_message *m, void *data, struct err *e)
{
	const uint64_t most = pn_link_remote_max_message_size(l->link);
	pn_rwbytes_t bytes = {0};
	ssize_t n = encode(m, &bytes);
	int r = 0;

	if (n < 0)
		r = err_set(e, ERR_NO_MEMORY, "a message to %s", l->amqp->name);
	else if (most > 0 && (uint64_t)n > most)
		r = err_set(e, ERR_TOO_LARGE,
			"%s takes messages of at most %llu bytes at the address '%s', and this one has %zd: raise its limit",
			l->amqp->name, (unsigned long long)most, l->address, n);
	if (r == 0) {
		bytes.size = (size_t)n;
		send_bytes(l, &bytes, data);
	}
	free(bytes.start);
	return r;
}

bool amqp_next(struct amqp *a, struct amqp_sent *ret)
{
	for (struct flight **p = &a->flight; *p; p = &(*p)->next) {
		struct flight *f = *p;

		if (f->delivery)
			continue;
		*ret = f->sent;
		*p = f->next;
		if (!f->next)
			a->last = p;
		free(f);
		return true;
	}
	return false;
}
