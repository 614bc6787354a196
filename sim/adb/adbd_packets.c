/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake and the streams of a virtual adbd.
 */
#include "sim/adb/adbd.h"

#include <stdarg.h>

#include "base/secret.h"

#define CMD(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define CNXN CMD('C', 'N', 'X', 'N')
#define AUTH CMD('A', 'U', 'T', 'H')
#define OPEN CMD('O', 'P', 'E', 'N')
#define OKAY CMD('O', 'K', 'A', 'Y')
#define WRTE CMD('W', 'R', 'T', 'E')
#define CLSE CMD('C', 'L', 'S', 'E')
#define STLS CMD('S', 'T', 'L', 'S')

enum { TOKEN = 1, SIGNATURE = 2, PUBLIC_KEY = 3 };

#define NO_SUMS_VERSION 0x01000001u
#define KEY_BYTES	524u
#define KEY_BASE64	700u

void adbd_logf(struct adbd *d, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	sb_addf(&d->log, "01-01 00:00:00.000  1000  1000 I adbd: %s\n", text);
}

/* --- streams --- */

static void stream_free(struct adbd_stream *s)
{
	struct adbd_stream **at = &s->d->streams;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	if (s->service->done)
		s->service->done(s);
	adbd_queue_done(&s->out);
	free(s);
}

void adbd_streams_drop(struct adbd *d)
{
	while (d->streams)
		stream_free(d->streams);
}

void adbd_connection_lost(struct adbd *d)
{
	adbd_streams_drop(d);
	d->online = d->no_sums = d->token_given = false;
}

static struct adbd_stream *stream_find(struct adbd *d, uint32_t local)
{
	struct adbd_stream *s = d->streams;

	while (s && s->local != local)
		s = s->next;
	return s;
}

static void flush_stream(struct adbd_stream *s)
{
	size_t n = MIN(adbd_queued(&s->out), (size_t)s->d->max_payload);

	if (!s->may_send || n == 0)
		return;
	adbd_send(s->d, WRTE, adbd_hit(s->d, AF_ZERO_ID) ? 0 : s->local, s->remote,
		s->out.p + s->out.at, n);
	adbd_take(&s->out, n);
	s->may_send = false;
}

static void run_stream(struct adbd_stream *s, uint64_t now_us)
{
	struct adbd *d = s->d;

	if (s->may_send && !adbd_queued(&s->out) && !s->ended && s->service->more &&
		now_us >= s->due_us) {
		s->due_us = NEVER;
		s->service->more(s, now_us);
	}
	while (s->may_send && adbd_queued(&s->out))
		flush_stream(s);
	if (s->ended && s->may_send && !adbd_queued(&s->out)) {
		adbd_send(d, CLSE, adbd_hit(d, AF_CLSE0) ? 0 : s->local, s->remote, NULL, 0);
		stream_free(s);
	}
}

void adbd_streams_run(struct adbd *d, uint64_t now_us)
{
	for (struct adbd_stream *s = d->streams; s;) {
		struct adbd_stream *next = s->next;

		run_stream(s, now_us);
		s = next;
	}
}

uint64_t adbd_streams_due(const struct adbd *d)
{
	uint64_t due = NEVER;

	for (const struct adbd_stream *s = d->streams; s; s = s->next)
		if (s->may_send)
			due = MIN(due, s->due_us);
	return due;
}

void adbd_stream_say(struct adbd_stream *s, const char *text)
{
	adbd_put(&s->out, text, strlen(text));
}

static void stream_open(
	struct adbd *d, uint32_t remote, const uint8_t *p, size_t n, uint64_t now_us)
{
	_cleanup_(freep) char *name = strndup((const char *)p, n);
	const struct adbd_service *service = name ? adbd_service_find(d, name) : NULL;
	struct adbd_stream *s;

	if (!service || adbd_hit(d, AF_REFUSE_OPEN)) {
		adbd_send(d, CLSE, 0, remote, NULL, 0);
		return;
	}
	s = xcalloc(1, sizeof *s);
	*s = (struct adbd_stream){.d = d,
		.next = d->streams,
		.service = service,
		.local = ++d->last_id,
		.remote = remote,
		.due_us = NEVER};
	d->streams = s;
	d->counters[2]++;
	if (!service->open(s, name + strlen(service->prefix), now_us)) {
		adbd_send(d, CLSE, 0, remote, NULL, 0);
		stream_free(s);
		return;
	}
	adbd_send(d, OKAY, s->local, s->remote, NULL, 0);
	s->may_send = true;
}

/* --- the handshake --- */

static void say_cnxn(struct adbd *d)
{
	static const char *const states[] = {[ADBD_OFF] = "offline",
		[ADBD_DEVICE] = "device",
		[ADBD_RECOVERY] = "recovery",
		[ADBD_SIDELOAD] = "sideload",
		[ADBD_BOOTLOADER] = "bootloader"};
	const char *version = adbd_setting(d, "adb-version");
	_cleanup_(freep) char *text = NULL;

	if (adbd_hit(d, AF_STRAY))
		adbd_send(d, WRTE, 77, 99, "stale", 5);
	text = xasprintf(
		"%s::ro.product.name=provsim;ro.product.model=%s;ro.product.device=sim;features=%s",
		states[d->mode], d->set->model, adbd_setting(d, "adb-features"));
	adbd_send(d, CNXN, (uint32_t)strtoul(version, NULL, 0),
		(uint32_t)settings_own_number(d->set, "adb-payload"), text, strlen(text));
	d->online = true;
}

static void say_token(struct adbd *d)
{
	random_bytes(d->token, sizeof d->token);
	d->token_given = true;
	adbd_send(d, AUTH, TOKEN, 0, d->token, sizeof d->token);
}

static bool feature_of_both(const struct adbd *d, const char *host, size_t n, const char *name)
{
	const char *own = adbd_setting(d, "adb-features");
	size_t len = strlen(name);
	const char *at = memmem(host, n, name, len);
	const char *mine = strstr(own, name);

	/* No name of a feature is part of another one's. */
	return at && mine;
}

static void take_cnxn(
	struct adbd *d, uint32_t version, uint32_t max_payload, const uint8_t *p, size_t n)
{
	uint32_t own = (uint32_t)strtoul(adbd_setting(d, "adb-version"), NULL, 0);
	uint32_t own_max = (uint32_t)settings_own_number(d->set, "adb-payload");

	/* A new session: what an old one left is gone. */
	adbd_connection_lost(d);
	d->no_sums = MIN(own, version) >= NO_SUMS_VERSION;
	d->max_payload = MIN(own_max, max_payload);
	d->shell_v2 = feature_of_both(d, (const char *)p, n, "shell_v2");
	d->stat_v2 = feature_of_both(d, (const char *)p, n, "stat_v2");
	d->ls_v2 = feature_of_both(d, (const char *)p, n, "ls_v2");
	if (adbd_hit(d, AF_STLS))
		adbd_send(d, STLS, 0x01000000, 0, NULL, 0);
	else if (!strcmp(adbd_setting(d, "adb-auth"), "off") &&
		 !adbd_armed(d, AF_ENDLESS_TOKEN, NULL))
		say_cnxn(d);
	else
		say_token(d);
}

/* One file of keys, a line each. */
static bool known_in(const struct adbd *d, const char *path, const uint8_t signature[256])
{
	_cleanup_(fclosep) FILE *f = path[0] ? fopen(path, "re") : NULL;
	char line[2048];
	uint8_t key[KEY_BYTES];

	while (f && fgets(line, sizeof line, f))
		if (strlen(line) >= KEY_BASE64 && adbd_base64(line, KEY_BASE64, key, sizeof key) &&
			adbd_rsa_verify(key, d->token, signature))
			return true;
	return false;
}

static void take_signature(struct adbd *d, const uint8_t *p, size_t n)
{
	_cleanup_(freep) char *own = xasprintf("%s/adb_keys", d->dir);
	bool known = n == 256 && d->token_given && strcmp(adbd_setting(d, "adb-auth"), "refuse") &&
		     (known_in(d, own, p) || known_in(d, adbd_setting(d, "adb-keys"), p));

	d->token_given = false;
	if (known && !adbd_armed(d, AF_ENDLESS_TOKEN, NULL)) {
		d->counters[3]++;
		say_cnxn(d);
	} else {
		say_token(d);
	}
}

static void take_public_key(struct adbd *d, const uint8_t *p, size_t n)
{
	_cleanup_(freep) char *path = xasprintf("%s/adb_keys", d->dir);
	_cleanup_(fclosep) FILE *f = NULL;
	uint8_t key[KEY_BYTES];

	if (adbd_armed(d, AF_ENDLESS_TOKEN, NULL)) {
		say_token(d);
		return;
	}
	/* Nobody taps; the phone says nothing. */
	if (strcmp(adbd_setting(d, "adb-auth"), "any"))
		return;
	if (n < KEY_BASE64 + 1 || p[n - 1] != 0 ||
		!adbd_base64((const char *)p, KEY_BASE64, key, sizeof key)) {
		adbd_logf(d, "a public key that is none");
		return;
	}
	f = fopen(path, "ae");
	if (f)
		fprintf(f, "%s\n", (const char *)p);
	d->counters[3]++;
	say_cnxn(d);
}

static void take_auth(struct adbd *d, uint32_t kind, const uint8_t *p, size_t n)
{
	if (d->online)
		return;
	if (kind == SIGNATURE)
		take_signature(d, p, n);
	else if (kind == PUBLIC_KEY)
		take_public_key(d, p, n);
}

/* --- packets --- */

/* An adb that connects again knows the version already, and sends 0 in its CNXN too. */
static bool sum_is_right(const struct adbd *d, uint32_t command, uint32_t version, uint32_t check,
	const uint8_t *p, size_t n)
{
	uint32_t own = (uint32_t)strtoul(adbd_setting(d, "adb-version"), NULL, 0);
	bool knows = command == CNXN ? MIN(version, own) >= NO_SUMS_VERSION : d->no_sums;
	uint32_t sum = 0;

	if (d->no_sums && command != CNXN && command != AUTH)
		return true;
	for (size_t i = 0; i < n; i++)
		sum += p[i];
	return sum == check || (knows && check == 0);
}

void adbd_packet(struct adbd *d, uint32_t command, uint32_t arg0, uint32_t arg1, uint32_t check,
	const uint8_t *p, size_t n, uint64_t now_us)
{
	struct adbd_stream *s;

	d->counters[0]++;
	/* A strict one: newer adbd do not look at the sum, older ones drop the packet. */
	if (!sum_is_right(d, command, arg0, check, p, n)) {
		adbd_logf(d, "a wrong sum");
		return;
	}
	if (command == CNXN) {
		take_cnxn(d, arg0, arg1, p, n);
		return;
	}
	if (command == AUTH) {
		take_auth(d, arg0, p, n);
		return;
	}
	if (!d->online)
		return;
	s = stream_find(d, arg1);
	if (command == OPEN && arg0 != 0) {
		stream_open(d, arg0, p, n, now_us);
	} else if (command == OKAY && s) {
		s->may_send = true;
	} else if (command == CLSE && s) {
		/* Answered once, as adbd does. */
		adbd_send(d, CLSE, s->local, s->remote, NULL, 0);
		stream_free(s);
	} else if (command == WRTE && s) {
		adbd_send(d, OKAY, s->local, s->remote, NULL, 0);
		if (!s->ended && s->service->input)
			s->service->input(s, p, n, now_us);
	} else if (command == WRTE) {
		adbd_send(d, CLSE, 0, arg0, NULL, 0);
	}
}
