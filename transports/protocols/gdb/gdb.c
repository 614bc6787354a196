/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/gdb/gdb.h"

#include <ctype.h>

#include "transports/protocols/gdb/gdb_impl.h"

#define PACKET_DEFAULT 400 /* where the server does not say */
#define MAP_MAX_BYTES  (256u * 1024)

/* Features that we use: none has to be offered by the host. */
static const char supported[] = "qSupported:xmlRegisters=i386,arm";

/* "name=value", "name+", "name-" or "name?" (E.9, "qSupported"): no other reply looks so. */
static bool is_feature(const char *f)
{
	size_t n = strlen(f);

	return strchr(f, '=') || (n > 1 && strchr("+-?", f[n - 1]));
}

static void take_feature(struct gdb *g, const char *f, bool *no_ack)
{
	if (!strncmp(f, "PacketSize=", 11)) {
		unsigned long long v = strtoull(f + 11, NULL, 16);

		g->packet = (size_t)MIN(MAX(v, (unsigned long long)GDB_PACKET_LEAST),
			(unsigned long long)GDB_PACKET_MAX);
	}
	g->maps |= !strcmp(f, "qXfer:memory-map:read+");
	*no_ack |= !strcmp(f, "QStartNoAckMode+");
}

static int negotiate(struct gdb *g, const struct iotime *it, struct err *e)
{
	struct strbuf s = {0};
	bool no_ack = false;
	int r = gdb_ask(g, supported, GDB_REPLY_US, &s, it, e);

	if (r < 0)
		return err_prefix(e, "GDB server: it does not answer");
	for (char *save, *f = s.s ? strtok_r(s.s, ";", &save) : NULL; f && r == 0;
		f = strtok_r(NULL, ";", &save)) {
		if (is_feature(f))
			take_feature(g, f, &no_ack);
		else
			r = err_set(e, ERR_OUT_OF_STEP,
				"GDB server: '%.40s' came for what it supports: that answers an older packet (connect again)",
				f);
	}
	sb_done(&s);
	if (r < 0 || !no_ack)
		return r;
	r = gdb_command(g, "QStartNoAckMode", NULL, 0, GDB_REPLY_US, "start without acks", it, e);
	if (r == 0)
		g->no_ack = true;
	return r;
}

/* E.10, "?": T or S is a halted target, W or X one that has ended. */
static int check_halted(struct gdb *g, const struct iotime *it, struct err *e)
{
	struct strbuf s = {0};
	int r = gdb_ask(g, "?", GDB_REPLY_US, &s, it, e);

	if (r < 0)
		return r;
	if (!s.len || (s.s[0] != 'T' && s.s[0] != 'S'))
		r = s.len && (s.s[0] == 'W' || s.s[0] == 'X')
			    ? err_set(e, ERR_DEVICE_REFUSED, "the target has ended")
			    : gdb_refused(&s, "state of the target", e);
	sb_done(&s);
	return r;
}

/* qXfer (E.9): 'm' and data, more follows; 'l' and data, the end. Some servers say 'l' though the
 * document goes on: its parser sees that it does not close. */
static int read_map(struct gdb *g, const struct iotime *it, struct err *e)
{
	struct strbuf xml = {0};
	bool more = true;
	int r = 0;

	while (r == 0 && more) {
		struct strbuf s = {0};
		char ask[80];

		snprintf(
			ask, sizeof ask, "qXfer:memory-map:read::%zx,%zx", xml.len, g->packet - 16);
		r = gdb_ask(g, ask, GDB_REPLY_US, &s, it, e);
		if (r == 0 && (!s.len || (s.s[0] != 'm' && s.s[0] != 'l')))
			r = gdb_refused(&s, "memory map", e);
		if (r == 0) {
			sb_add_n(&xml, s.s + 1, s.len - 1);
			more = s.s[0] == 'm' && s.len > 1;
		}
		if (r == 0 && xml.len > MAP_MAX_BYTES)
			r = err_set(e, ERR_PROTOCOL, "memory map of the GDB server: too long");
		sb_done(&s);
	}
	if (r == 0)
		r = gdb_map_parse(xml.s ? xml.s : "", xml.len, &g->map, e);
	sb_done(&xml);
	return r;
}

int gdb_open(struct link *l, const struct teller *tell, const struct iotime *it, struct gdb **ret,
	struct err *e)
{
	_cleanup_(gdb_freep) struct gdb *g = xcalloc(1, sizeof *g);
	int r;

	g->link = l;
	g->packet = PACKET_DEFAULT;
	if (tell)
		g->tell = *tell;
	/* A server that waits for the acknowledgement of an older session's packet gets it. */
	r = link_write(l, "+", 1, it, e);
	if (r == 0)
		r = negotiate(g, it, e);
	if (r == 0)
		r = check_halted(g, it, e);
	if (r == 0 && g->maps)
		r = read_map(g, it, e);
	if (r < 0)
		return r;
	*ret = steal_ptr(&g);
	return 0;
}

struct gdb *gdb_free(struct gdb *g)
{
	if (g) {
		sb_done(&g->text);
		sb_done(&g->out);
		free(g);
	}
	return NULL;
}

const struct gdb_map *gdb_memory_map(const struct gdb *g)
{
	return &g->map;
}

static bool unhex(const struct strbuf *s, uint8_t *to, size_t n)
{
	if (s->len != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char pair[3] = {s->s[2 * i], s->s[2 * i + 1], 0};

		if (!isxdigit((uint8_t)pair[0]) || !isxdigit((uint8_t)pair[1]))
			return false;
		to[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return true;
}

static int read_part(struct gdb *g, uint64_t address, uint8_t *buf, size_t n,
	const struct iotime *it, struct err *e)
{
	struct strbuf s = {0};
	char ask[64];

	snprintf(ask, sizeof ask, "m%llx,%zx", (unsigned long long)address, n);

	int r = gdb_ask(g, ask, GDB_REPLY_US, &s, it, e);

	/* E01 is an error, and could be one byte and a half of data: the length decides. */
	if (r == 0 && !unhex(&s, buf, n))
		r = s.len && s.s[0] == 'E' && s.len == 3
			    ? gdb_refused(&s, "read", e)
			    : err_set(e, s.len ? ERR_PROTOCOL : ERR_UNSUPPORTED,
				      "read: %zu bytes came, %zu expected", s.len / 2, n);
	sb_done(&s);
	return r < 0 ? err_prefix(e, "0x%08llx", (unsigned long long)address) : 0;
}

int gdb_read(struct gdb *g, uint64_t address, uint8_t *buf, size_t n, const struct iotime *it,
	struct err *e)
{
	/* Two digits a byte, within the frame that the server says it can build. */
	size_t step = (g->packet - 4) / 2;
	int r = 0;

	step -= step > 8 ? step % 8 : 0;
	for (size_t at = 0; r == 0 && at < n; at += step)
		r = read_part(g, address + at, buf + at, MIN(step, n - at), it, e);
	return r;
}

/* The bytes that fit into a frame after a head of that length, escapes included. */
static size_t fits(const struct gdb *g, size_t head, const uint8_t *bytes, size_t n)
{
	size_t room = g->packet - 4 - head;
	size_t k = 0;

	while (k < n) {
		uint8_t c = bytes[k];
		size_t cost = c == '#' || c == '$' || c == '}' || c == '*' ? 2 : 1;

		if (cost > room)
			break;
		room -= cost;
		k++;
	}
	return k;
}

#define HEAD_MAX 40 /* of "Xffffffffffffffff,ffffffff:" and the like */

static int write_binary(struct gdb *g, uint64_t address, const uint8_t *bytes, size_t n,
	size_t *ret_n, const struct iotime *it, struct err *e)
{
	size_t k = fits(g, HEAD_MAX, bytes, n);
	char head[HEAD_MAX];

	snprintf(head, sizeof head, "X%llx,%zx:", (unsigned long long)address, k);
	*ret_n = k;
	return gdb_command(g, head, bytes, k, GDB_REPLY_US, "write", it, e);
}

static int write_hex(struct gdb *g, uint64_t address, const uint8_t *bytes, size_t n, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	size_t k = MIN(n, (g->packet - 4 - HEAD_MAX) / 2);
	_cleanup_(freep) char *text = malloc(HEAD_MAX + 2 * k + 1);
	int head;

	if (!text)
		return err_set(e, ERR_NO_MEMORY, "%zu bytes to write", k);
	head = snprintf(text, HEAD_MAX, "M%llx,%zx:", (unsigned long long)address, k);
	hex_of(bytes, k, text + head);
	*ret_n = k;
	return gdb_command(g, text, NULL, 0, GDB_REPLY_US, "write", it, e);
}

int gdb_write(struct gdb *g, uint64_t address, const uint8_t *bytes, size_t n,
	const struct iotime *it, struct err *e)
{
	for (size_t at = 0; at < n;) {
		size_t k = 0;
		int r = g->no_x ? -ERR_UNSUPPORTED
				: write_binary(g, address + at, bytes + at, n - at, &k, it, e);

		if (r == -ERR_UNSUPPORTED) {
			g->no_x = true;
			r = write_hex(g, address + at, bytes + at, n - at, &k, it, e);
		}
		if (r < 0)
			return err_prefix(e, "0x%08llx", (unsigned long long)(address + at));
		at += k;
	}
	return 0;
}

/* As the manual's E.4 describes it: the same as the CRC of BZIP2, without the final inversion. */
uint32_t gdb_crc_of(uint32_t crc, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= (uint32_t)bytes[i] << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
	}
	return crc;
}

int gdb_crc(struct gdb *g, uint64_t address, uint64_t n, uint32_t *ret, const struct iotime *it,
	struct err *e)
{
	struct strbuf s = {0};
	char ask[64];
	char *end = NULL;

	snprintf(ask, sizeof ask, "qCRC:%llx,%llx", (unsigned long long)address,
		(unsigned long long)n);

	int r = gdb_ask(g, ask, GDB_SLOW_US, &s, it, e);

	if (r < 0)
		return err_prefix(e, "checksum");
	if (s.len < 2 || s.len > 9 || s.s[0] != 'C')
		r = gdb_refused(&s, "checksum", e);
	else
		*ret = (uint32_t)strtoul(s.s + 1, &end, 16);
	if (r == 0 && *end)
		r = gdb_refused(&s, "checksum", e);
	sb_done(&s);
	return r;
}

int gdb_monitor(
	struct gdb *g, const char *command, char **ret, const struct iotime *it, struct err *e)
{
	size_t n = strlen(command);
	_cleanup_(freep) char *text = xasprintf("qRcmd,%*s", (int)(2 * n), "");
	int r;

	if (2 * n + 16 > g->packet)
		return err_set(e, ERR_INVALID, "the command is longer than the server takes");
	hex_of(command, n, text + 6);
	sb_clear(&g->text);
	g->gather = true;
	r = gdb_command(g, text, NULL, 0, GDB_SLOW_US, command, it, e);
	g->gather = false;
	if (r < 0 && g->text.len) {
		struct strbuf said = {0};

		sb_add_escaped(&said, g->text.s, MIN(g->text.len, (size_t)160));
		err_set(e, e ? e->code : ERR_DEVICE_REFUSED, "%s: %s", command, said.s);
		sb_done(&said);
	}
	if (r == 0 && ret)
		*ret = sb_take(&g->text);
	return r;
}

int gdb_resume(struct gdb *g, bool detach, const struct iotime *it, struct err *e)
{
	/* D resumes and ends the session; c alone is only answered when the target stops. */
	if (detach)
		return gdb_command(g, "D", NULL, 0, GDB_REPLY_US, "detach", it, e);
	return gdb_send(g, "c", NULL, 0, it, e);
}
