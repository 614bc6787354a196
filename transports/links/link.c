/* SPDX-License-Identifier: Apache-2.0
 *
 * What all links share: the address, the trace, the counters, reading a known number of bytes and
 * draining. Runs on the worker that owns the link.
 */
#include "transports/links/link.h"

#include <string.h>

#include "base/secret.h"
#include "base/util.h"
#include "transports/links/link_impl.h"

#define ACKNOWLEDGED_EVERY_US (5 * US_PER_MS)

static const struct {
	const char *scheme;
	int (*open)(const char *rest, const struct link_config *cfg, const struct iotime *it,
		struct link **ret, struct err *e);
} kinds[] = {
	{"tty:", tty_link_open},
	{"tcp:", tcp_link_open},
	{"udp:", udp_link_open},
	{"vxi11:", vxi11_link_open},
	{"hislip:", hislip_link_open},
	{"usbtmc:", usbtmc_link_open},
};

int link_open(const char *address, const struct link_config *cfg, const struct iotime *it,
	struct link **ret, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i].scheme);

		if (strncmp(address, kinds[i].scheme, n))
			continue;

		struct link *l = NULL;
		int r = kinds[i].open(address + n, cfg, it, &l, e);

		if (r < 0) {
			err_prefix(e, "%s", address);
			return r;
		}
		l->address = xstrdup(address);
		*ret = l;
		return 0;
	}
	return err_set(e, ERR_INVALID,
		"'%s' is not a link address: expected tty:PATH[@BAUD], tcp:HOST:PORT or udp:HOST:PORT",
		address);
}

static void wipe(char **s)
{
	if (*s)
		secret_wipe(*s, strlen(*s));
	free(*s);
}

void link_turn_clear(struct link_turn *t)
{
	wipe(&t->asker);
	wipe(&t->sent);
	wipe(&t->shown);
	wipe(&t->expect);
	wipe(&t->error);
	*t = (struct link_turn){0};
}

void link_turn_lost(struct link_turn *t)
{
	link_turn_clear(t);
	t->owed = 1;
	t->asker = xstrdup("");
	t->sent = xstrdup("");
	t->shown = xstrdup("");
	t->first_us = t->last_us = now_us();
}

void link_turn_move(struct link_turn *from, struct link_turn *to)
{
	link_turn_clear(to);
	*to = *from;
	*from = (struct link_turn){0};
}

void link_rest_drop(struct link *l)
{
	secret_wipe(l->rest.bytes, l->rest.len);
	free(l->rest.bytes);
	l->rest = (struct link_rest){0};
}

struct link *link_close(struct link *l)
{
	if (l) {
		link_turn_clear(&l->turn);
		link_rest_drop(l);
		free(l->address);
		l->ops->close(l);
	}
	return NULL;
}

void link_set_trace(struct link *l, link_trace_fn *fn, void *data)
{
	l->trace = fn;
	l->trace_data = data;
}

static int read_some(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e)
{
	size_t n = 0;
	int r = l->ops->read(l, buf, size, &n, it, e);

	if (r < 0) {
		l->dead |= r == -ERR_DEVICE_GONE;
		err_prefix(e, "%s", l->address);
		return r;
	}
	l->rx_bytes += n;
	if (l->trace)
		l->trace(l->trace_data, '<', buf, n);
	*ret_n = n;
	return 0;
}

int link_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e)
{
	/* A device that never stops sending may not carry its reader past the deadline. */
	int r = iotime_check(it, e);

	if (r < 0) {
		err_prefix(e, "%s", l->address);
		return r;
	}
	return read_some(l, buf, size, ret_n, it, e);
}

int link_read_exact(struct link *l, void *buf, size_t n, size_t *ret_got, const struct iotime *it,
	struct err *e)
{
	size_t got = 0;
	int r = 0;

	while (r == 0 && got < n) {
		size_t k = 0;

		r = link_read(l, (char *)buf + got, n - got, &k, it, e);
		got += k;
	}
	if (ret_got)
		*ret_got = got;
	if (r == -ERR_TIMEOUT)
		return err_set(
			e, ERR_TIMEOUT, "%s: %zu of %zu bytes came in time", l->address, got, n);
	return r;
}

int link_write(struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	int r = iotime_check(it, e);

	if (r == 0) {
		if (l->trace)
			l->trace(l->trace_data, '>', buf, n);
		r = l->ops->write(l, buf, n, it, e);
	}
	if (r < 0) {
		l->dead |= r == -ERR_DEVICE_GONE;
		err_prefix(e, "%s", l->address);
		return r;
	}
	l->tx_bytes += n;
	return 0;
}

int link_acknowledged(struct link *l, const struct iotime *it, struct err *e)
{
	size_t left = 0;
	int r = 0;

	while (r == 0 && l->ops->unacknowledged) {
		r = l->ops->unacknowledged(l, &left, e);
		if (r == 0 && left == 0)
			break;
		if (r == 0)
			r = iotime_sleep(ACKNOWLEDGED_EVERY_US, it, e);
	}
	return r < 0 ? err_prefix(e, "%s", l->address) : 0;
}

int link_clear(struct link *l, const struct iotime *it, struct err *e)
{
	int r = l->ops->clear ? l->ops->clear(l, it, e)
			      : err_set(e, ERR_UNSUPPORTED, "a %s link has no device clear",
					l->ops->name);

	l->dead |= r == -ERR_DEVICE_GONE;
	if (r < 0)
		err_prefix(e, "%s", l->address);
	return r;
}

int link_control(struct link *l, enum link_control c, uint32_t arg, struct err *e)
{
	int r = l->ops->control(l, c, arg, e);

	if (r < 0)
		err_prefix(e, "%s", l->address);
	else if (c == LINK_CONTROL_BAUD && l->baud)
		l->baud = arg;
	else if (c == LINK_CONTROL_PARITY)
		l->parity = (enum link_parity)arg;
	return r;
}

static int set_line(struct link *l, const struct link_settings *s, struct err *e)
{
	int r = 0;

	if (s->parity != l->parity)
		r = link_control(l, LINK_CONTROL_PARITY, s->parity, e);
	if (r == 0 && s->baud && s->baud != l->baud)
		r = link_control(l, LINK_CONTROL_BAUD, (uint32_t)s->baud, e);
	return r;
}

int link_settings_push(struct link *l, const struct link_settings *s, struct err *e)
{
	if (!l->pushed)
		l->before = (struct link_settings){l->baud, l->parity};
	l->pushed = true;
	return set_line(l, s, e);
}

void link_settings_pop(struct link *l)
{
	if (l->pushed && !l->dead)
		set_line(l, &l->before, NULL);
	l->pushed = false;
}

void link_get_stats(struct link *l, struct link_stats *ret)
{
	*ret = (struct link_stats){.rx_bytes = l->rx_bytes, .tx_bytes = l->tx_bytes};
	if (l->ops->stats)
		l->ops->stats(l, ret);
}

/* What a drain without any waiting takes at most. */
#define PENDING_MAX_BYTES 65536

int link_drain(struct link *l, uint64_t quiet_us, uint64_t max_us, bool *ret_quiet,
	const struct iotime *it, struct err *e)
{
	struct iotime whole = iotime_within(it, max_us);
	bool quiet = false;
	size_t dropped = 0;
	char buf[512];

	link_rest_drop(l);

	for (;;) {
		uint64_t left = iotime_left_us(&whole);
		struct iotime nap = iotime_within(it, MIN(quiet_us, left));
		size_t n;
		int r = read_some(l, buf, sizeof buf, &n, &nap, e);

		if (r == -ERR_TIMEOUT) {
			quiet = left >= quiet_us;
			break;
		}
		if (r < 0)
			return r;
		dropped += n;
		if (max_us ? iotime_left_us(&whole) == 0 : dropped >= PENDING_MAX_BYTES)
			break;
	}
	if (!quiet) {
		int r = iotime_check(it, e);

		if (r < 0)
			return r;
	}
	if (ret_quiet)
		*ret_quiet = quiet;
	return 0;
}
