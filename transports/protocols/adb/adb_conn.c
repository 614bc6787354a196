/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake and the packets. Runs on the worker that owns the link.
 */
#include "transports/protocols/adb/adb_impl.h"

#include "base/secret.h"
#include "base/strbuf.h"

#define REPLY_US (10 * US_PER_S)
#define IDLE_US	 (60 * US_PER_S)
/* No device says so much of itself. */
#define BANNER_FIELDS_MAX 64
/* Less would hold no sync header. */
#define PAYLOAD_MIN 64u
/* Packets that belong to no stream, in a row, before the device is called mad. */
#define STRAY_MAX 1000

/* What is not offered is not used: ls_v2, sendrecv_v2 (the plain forms do), delayed_ack (a window
 * instead of one WRTE; offered and not done, no stream would open). */
static const char banner[] = "host::features=shell_v2,cmd,stat_v2,fixed_push_mkdir,remount_shell";

static const struct {
	const char *name;
	enum adb_feature bit;
} features[] = {
	{"shell_v2", ADB_SHELL_V2},
	{"cmd", ADB_CMD},
	{"stat_v2", ADB_STAT_V2},
	{"fixed_push_mkdir", ADB_FIXED_PUSH_MKDIR},
	{"remount_shell", ADB_REMOUNT_SHELL},
};

static int broken(const struct adb_conn *c, struct err *e)
{
	return err_set(e, c->broken.code, "%s", c->broken.msg);
}

static int mark_broken(struct adb_conn *c, const struct err *why)
{
	c->broken = *why;
	if (why->code == ERR_NONE)
		c->broken.code = ERR_INTERNAL;
	return -(int)c->broken.code;
}

int adb_conn_send(struct adb_conn *c, uint32_t command, uint32_t arg0, uint32_t arg1, const void *p,
	size_t n, const struct iotime *it, struct err *e)
{
	bool sum = !c->connected || c->check_sums;
	const struct adb_packet packet = {
		command, arg0, arg1, (uint32_t)n, sum && n ? adb_sum(p, n) : 0};
	uint8_t header[ADB_HEADER_BYTES];
	struct err why = {0};

	if (c->broken.code != ERR_NONE)
		return broken(c, e);
	adb_packet_encode(&packet, header);
	if (c->pipe->ops->send(c->pipe, header, p, n, it, &why) < 0) {
		char name[12];

		err_prefix(&why, "send %s", adb_command_name(command, name));
		mark_broken(c, &why);
		return broken(c, e);
	}
	return 0;
}

/* A sum of 0 comes from devices that know already that we do not look at it. */
static int check_sum(
	const struct adb_conn *c, const struct adb_packet *p, const void *payload, struct err *e)
{
	uint32_t sum;
	char name[12];

	if (c->connected && !c->check_sums)
		return 0;
	sum = adb_sum(payload, p->length);
	if (p->check == sum)
		return 0;
	if (!c->connected && p->check == 0 && (p->command != ADB_CNXN || p->arg0 >= ADB_VERSION))
		return 0;
	return err_set(e, ERR_PROTOCOL, "the unit sent %s with a wrong sum: 0x%x, 0x%x expected",
		adb_command_name(p->command, name), p->check, sum);
}

static int check_length(const struct adb_conn *c, const struct adb_packet *p, struct err *e)
{
	uint32_t max = c->connected ? c->max_payload : ADB_HANDSHAKE_MAX;
	char name[12];

	if (p->length <= max)
		return 0;
	return err_set(e, ERR_PROTOCOL,
		"the unit sent %s with a payload of %u bytes, at most %u were agreed",
		adb_command_name(p->command, name), p->length, max);
}

/* A header that is one. Only a timeout before its first byte leaves the connection whole. */
static int recv_header(
	struct adb_conn *c, struct adb_packet *ret, const struct iotime *it, struct err *e)
{
	uint8_t header[ADB_HEADER_BYTES];
	struct err why = {0};
	bool begun = true;
	int r;

	if (c->broken.code != ERR_NONE)
		return broken(c, e);
	if (!c->connected && c->pipe->ops->find_header) {
		begun = false;
		r = c->pipe->ops->find_header(c->pipe, header, it, &why);
	} else {
		r = c->pipe->ops->recv_header(c->pipe, header, &begun, it, &why);
	}
	if (r == -ERR_TIMEOUT && !begun)
		return err_set(e, ERR_TIMEOUT, "%s", why.msg);
	if (r == 0)
		r = adb_packet_decode(header, ret, &why);
	if (r == 0)
		r = check_length(c, ret, &why);
	if (r < 0) {
		mark_broken(c, &why);
		return broken(c, e);
	}
	return 0;
}

/* The payload of a header that was read; buf takes p->length bytes. */
static int recv_payload(struct adb_conn *c, const struct adb_packet *p, void *buf,
	const struct iotime *it, struct err *e)
{
	struct err why = {0};
	int r = 0;

	if (p->length)
		r = c->pipe->ops->recv_payload(c->pipe, buf, p->length, it, &why);
	if (r == 0)
		r = check_sum(c, p, buf, &why);
	if (r < 0) {
		char name[12];

		err_prefix(&why, "payload of %s", adb_command_name(p->command, name));
		mark_broken(c, &why);
		return broken(c, e);
	}
	return 0;
}

/* --- the handshake --- */

static void copy_text(char *to, size_t size, const char *from, size_t n)
{
	_cleanup_(freep) char *text = adb_text(from, n, size);

	snprintf(to, size, "%s", text);
}

static void take_features(struct adb_peer *peer, const char *list, size_t n)
{
	while (n > 0) {
		const char *comma = memchr(list, ',', n);
		size_t k = comma ? (size_t)(comma - list) : n;

		for (size_t i = 0; i < ARRAY_LEN(features); i++)
			if (strlen(features[i].name) == k && !memcmp(list, features[i].name, k))
				peer->features |= features[i].bit;
		list += MIN(k + 1, n);
		n -= MIN(k + 1, n);
	}
}

static bool key_is(const char *p, size_t n, const char *key)
{
	return n > strlen(key) && !memcmp(p, key, strlen(key));
}

static void take_field(struct adb_peer *peer, const char *p, size_t n)
{
	static const struct {
		const char *key;
		size_t offset;
	} texts[] = {
		{"ro.product.name=", offsetof(struct adb_peer, product)},
		{"ro.product.model=", offsetof(struct adb_peer, model)},
		{"ro.product.device=", offsetof(struct adb_peer, device)},
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t k = strlen(texts[i].key);

		if (key_is(p, n, texts[i].key))
			copy_text(
				(char *)peer + texts[i].offset, sizeof peer->product, p + k, n - k);
	}
	if (key_is(p, n, "features="))
		take_features(peer, p + 9, n - 9);
}

/* "<state>:<serial, empty>:key=value;key=value;features=a,b" */
static void parse_banner(struct adb_peer *peer, const char *p, size_t n)
{
	const char *end = memchr(p, '\0', n);
	const char *colon;
	size_t len = end ? (size_t)(end - p) : n;

	colon = memchr(p, ':', len);
	copy_text(peer->state, sizeof peer->state, p, colon ? (size_t)(colon - p) : len);
	colon = colon ? memchr(colon + 1, ':', len - (size_t)(colon + 1 - p)) : NULL;
	if (!colon)
		return;
	p += len;
	for (int i = 0; i < BANNER_FIELDS_MAX && colon + 1 < p; i++) {
		const char *from = colon + 1;
		const char *semicolon = memchr(from, ';', (size_t)(p - from));

		colon = semicolon ? semicolon : p;
		take_field(peer, from, (size_t)(colon - from));
	}
}

static int take_cnxn(
	struct adb_conn *c, const struct adb_packet *p, const void *payload, struct err *e)
{
	if (p->arg0 < ADB_VERSION_SUMS)
		return err_set(e, ERR_PROTOCOL,
			"the unit speaks ADB version 0x%08x, 0x%08x is the oldest", p->arg0,
			ADB_VERSION_SUMS);
	if (p->arg1 < PAYLOAD_MIN)
		return err_set(
			e, ERR_PROTOCOL, "the unit takes payloads of %u bytes alone", p->arg1);
	c->peer.version = MIN(p->arg0, ADB_VERSION);
	c->peer.max_payload = MIN(p->arg1, ADB_MAX_PAYLOAD);
	c->max_payload = ADB_MAX_PAYLOAD;
	parse_banner(&c->peer, payload, p->length);
	c->check_sums = c->peer.version < ADB_VERSION;
	c->connected = true;
	teller_log(&c->cfg.tell, '<', "CNXN %s, model '%s', version 0x%08x, payload %u",
		c->peer.state, c->peer.model, c->peer.version, c->peer.max_payload);
	return 0;
}

struct handshake {
	size_t next_key;
	bool offered; /* the public key */
};

static int refused(const struct adb_conn *c, struct err *e)
{
	const struct adb_key *own = c->cfg.keys ? c->cfg.key[c->cfg.keys - 1] : NULL;

	return err_set(e, ERR_UNAUTHORIZED,
		"the unit does not accept this key (%s): put its public half into the unit's /data/misc/adb/adb_keys, or tap Allow on its screen",
		own ? adb_key_print(own) : "none");
}

static int answer_token(struct adb_conn *c, struct handshake *h, const struct adb_packet *p,
	const uint8_t *token, const struct iotime *it, struct err *e)
{
	uint8_t signature[ADB_SIGNATURE_SIZE];
	const char *text;
	int r;

	if (p->arg0 != ADB_AUTH_TOKEN || p->length != ADB_TOKEN_BYTES)
		return err_set(e, ERR_PROTOCOL,
			"the unit sent AUTH %u with %u bytes, a token of %u expected", p->arg0,
			p->length, ADB_TOKEN_BYTES);
	if (h->next_key < c->cfg.keys) {
		r = adb_key_sign(c->cfg.key[h->next_key++], token, signature, e);
		return r < 0 ? r
			     : adb_conn_send(c, ADB_AUTH, ADB_AUTH_SIGNATURE, 0, signature,
				       sizeof signature, it, e);
	}
	/* A token in answer to the public key: nobody will accept it. */
	if (h->offered || c->cfg.keys == 0 || c->cfg.authorize_us == 0)
		return refused(c, e);
	h->offered = true;
	text = adb_key_public(c->cfg.key[c->cfg.keys - 1]);
	teller_log(&c->cfg.tell, '#', "waiting for Allow on the unit's screen, key %s",
		adb_key_print(c->cfg.key[c->cfg.keys - 1]));
	return adb_conn_send(c, ADB_AUTH, ADB_AUTH_PUBLIC_KEY, 0, text, strlen(text) + 1, it, e);
}

static int handshake_packet(
	struct adb_conn *c, struct handshake *h, const struct iotime *it, struct err *e)
{
	uint8_t payload[ADB_HANDSHAKE_MAX];
	struct adb_packet p;
	char name[12];
	int r = recv_header(c, &p, it, e);

	if (r == 0)
		r = recv_payload(c, &p, payload, it, e);
	if (r < 0)
		return r;
	switch (p.command) {
	case ADB_CNXN:
		return take_cnxn(c, &p, payload, e);
	case ADB_AUTH:
		return answer_token(c, h, &p, payload, it, e);
	case ADB_STLS:
		return err_set(e, ERR_UNSUPPORTED,
			"the unit wants TLS (wireless debugging with pairing): use USB, or `tcpip` debugging");
	default:
		/* Of a session before this one. */
		teller_log(&c->cfg.tell, '#', "dropped %s before the unit's CNXN",
			adb_command_name(p.command, name));
		return 0;
	}
}

static int shake_hands(struct adb_conn *c, const struct iotime *it, struct err *e)
{
	uint64_t reply_us = c->cfg.reply_us ? c->cfg.reply_us : REPLY_US;
	struct handshake h = {0};
	int r = 0;

	if (c->pipe->ops->drain)
		r = c->pipe->ops->drain(c->pipe, it, e);
	if (r == 0)
		r = adb_conn_send(
			c, ADB_CNXN, ADB_VERSION, ADB_MAX_PAYLOAD, banner, strlen(banner), it, e);
	for (int i = 0; r == 0 && !c->connected; i++) {
		struct iotime within =
			iotime_within(it, h.offered ? c->cfg.authorize_us : reply_us);

		if (i == STRAY_MAX)
			return err_set(e, ERR_PROTOCOL, "the unit sends %d packets and no CNXN",
				STRAY_MAX);
		r = handshake_packet(c, &h, &within, e);
		if (r == -ERR_TIMEOUT && c->broken.code == ERR_NONE && h.offered)
			return refused(c, e);
		if (r == -ERR_TIMEOUT && c->broken.code == ERR_NONE)
			return err_set(e, ERR_TIMEOUT,
				"no answer to CNXN: is this the unit's adbd, and is debugging on?");
	}
	return r;
}

/* No session begins where another did, so that what an older one is still owed names no stream of
 * this one. Never 0, however many follow. */
static uint32_t first_id(void)
{
	uint32_t random;

	random_bytes(&random, sizeof random);
	return 1u + (random >> 1);
}

int adb_connect(struct adb_pipe *pipe, const struct adb_conn_config *cfg, const struct iotime *it,
	struct adb_conn **ret, struct err *e)
{
	_cleanup_(adb_conn_freep) struct adb_conn *c = xcalloc(1, sizeof *c);
	int r;

	c->pipe = pipe;
	c->cfg = *cfg;
	c->next_id = first_id();
	r = shake_hands(c, it, e);
	if (r < 0)
		return r;
	/* The keys may go now. */
	c->cfg.key = NULL;
	c->cfg.keys = 0;
	*ret = steal_ptr(&c);
	return 0;
}

struct adb_conn *adb_conn_free(struct adb_conn *c)
{
	if (c) {
		adb_pipe_free(c->pipe);
		free(c);
	}
	return NULL;
}

const struct adb_peer *adb_conn_peer(const struct adb_conn *c)
{
	return &c->peer;
}

struct iotime adb_conn_idle(const struct adb_conn *c, const struct iotime *it)
{
	return iotime_within(it, c->cfg.idle_us ? c->cfg.idle_us : IDLE_US);
}

bool adb_conn_has(const struct adb_conn *c, enum adb_feature f)
{
	return (c->peer.features & f) != 0;
}

/* --- packets of streams --- */

static struct adb_stream *stream_of(struct adb_conn *c, uint32_t local)
{
	for (size_t i = 0; i < ADB_STREAMS_MAX; i++)
		if (local && c->stream[i] && c->stream[i]->local == local)
			return c->stream[i];
	return NULL;
}

/* Where the payload of a packet goes: room for it after what waits already. */
static int make_room(struct adb_stream *s, size_t n, struct err *e)
{
	if (s->in_at < s->in_len || s->unacked)
		return err_set(e, ERR_PROTOCOL,
			"%s: the unit sent data before its last was answered", s->name);
	s->in_at = s->in_len = 0;
	if (n > s->in_cap) {
		uint8_t *in = realloc(s->in, n);

		if (!in)
			return err_set(e, ERR_NO_MEMORY, "%zu bytes of a stream", n);
		s->in = in;
		s->in_cap = n;
	}
	return 0;
}

static int drop_payload(
	struct adb_conn *c, const struct adb_packet *p, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) void *buf = p->length ? malloc(p->length) : NULL;

	if (p->length && !buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes of a packet", p->length);
	return recv_payload(c, p, buf, it, e);
}

static int take_data(struct adb_conn *c, struct adb_stream *s, const struct adb_packet *p,
	const struct iotime *it, struct err *e)
{
	struct err why = {0};
	int r = make_room(s, p->length, &why);

	if (r < 0) {
		mark_broken(c, &why);
		return broken(c, e);
	}
	r = recv_payload(c, p, s->in, it, e);
	if (r < 0)
		return r;
	s->in_len = p->length;
	s->unacked = true;
	return 0;
}

static void take_okay(struct adb_stream *s, const struct adb_packet *p)
{
	if (!s->remote)
		s->remote = p->arg0;
	if (s->remote == p->arg0)
		s->may_send = true;
}

static int take_packet(
	struct adb_conn *c, const struct adb_packet *p, const struct iotime *it, struct err *e)
{
	struct adb_stream *s = stream_of(c, p->arg1);
	char name[12];
	int r;

	if (p->command == ADB_WRTE && s && s->remote && s->remote == p->arg0)
		return take_data(c, s, p, it, e);
	r = drop_payload(c, p, it, e);
	if (r < 0)
		return r;
	switch (p->command) {
	case ADB_OKAY:
		if (p->arg0 == 0)
			break;
		if (s)
			take_okay(s, p);
		else
			r = adb_conn_send(c, ADB_CLSE, p->arg1, p->arg0, NULL, 0, it, e);
		return r;
	case ADB_CLSE:
		/* arg0 may be 0 for an open stream too: an old bug of devices. */
		if (s && (p->arg0 == 0 || !s->remote || s->remote == p->arg0)) {
			s->refused = !s->remote;
			s->closed = true;
		}
		return 0;
	case ADB_OPEN:
		/* The device's own streams (reverse) have nobody here to serve them. */
		return adb_conn_send(c, ADB_CLSE, 0, p->arg0, NULL, 0, it, e);
	case ADB_CNXN:
	case ADB_AUTH:
	case ADB_STLS: {
		const struct err why = {.code = ERR_DEVICE_GONE,
			.msg = "the unit's adbd started again: the unit restarted"};

		mark_broken(c, &why);
		return broken(c, e);
	}
	default:
		break;
	}
	teller_log(&c->cfg.tell, '#', "dropped %s %u %u", adb_command_name(p->command, name),
		p->arg0, p->arg1);
	return 0;
}

int adb_conn_pump(struct adb_conn *c, const struct iotime *it, struct err *e)
{
	struct adb_packet p;
	int r = recv_header(c, &p, it, e);

	return r < 0 ? r : take_packet(c, &p, it, e);
}

int adb_conn_wait_gone(struct adb_conn *c, const struct iotime *it, struct err *e)
{
	int r = 0;

	while (r == 0) {
		for (size_t i = 0; i < ADB_STREAMS_MAX; i++)
			if (c->stream[i])
				c->stream[i]->in_at = c->stream[i]->in_len;
		r = adb_conn_pump(c, it, e);
	}
	/* A USB device on its way out may stall, or fail a transfer, before it is gone. */
	return r == -ERR_DEVICE_GONE || r == -ERR_IO || r == -ERR_DEVICE_REFUSED ? 0 : r;
}
