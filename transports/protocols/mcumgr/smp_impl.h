/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by smp.c (lines, packets, turns), smp_cbor.c (what is in a packet) and smp_commands.c (one command each), and by no
 * one else.
 */
#pragma once

#include <cbor.h>

#include "base/bytes.h"
#include "transports/protocols/mcumgr/smp.h"

enum { SMP_READ = 0, SMP_WRITE = 2 };
enum { SMP_GROUP_OS = 0, SMP_GROUP_IMAGE = 1 };
enum { SMP_OS_ECHO = 0, SMP_OS_RESET = 5, SMP_OS_PARAMS = 6 };
enum { SMP_IMAGE_STATE = 0, SMP_IMAGE_UPLOAD = 1 };

#define SMP_HEAD_BYTES 8

struct smp {
	struct link *link;
	struct smp_opts o;
	struct teller tell;
	uint8_t seq;
	bool suspect; /* an answer is missing and may still come */
	uint32_t mtu; /* 0: not asked yet */
	uint8_t in[512];
	size_t at, len;
	/* The packet that comes, of the lines so far: its length(2) first. */
	uint8_t packet[SMP_PACKET_MAX + 4];
	size_t packet_len;
	char line[2 * SMP_LINE_BYTES];
	size_t line_len;
	uint8_t mark[2]; /* the last two bytes outside of a line */
	bool in_line;
};

/* --- CBOR (smp_cbor.c); writers append to w --- */
void smp_put_map(struct wbytes *w, size_t members);
void smp_put_text(struct wbytes *w, const char *text);
void smp_put_uint(struct wbytes *w, uint64_t v);
void smp_put_bool(struct wbytes *w, bool v);
void smp_put_bytes(struct wbytes *w, const uint8_t *p, size_t n);
/* How many bytes a byte string of n has in front of it. */
size_t smp_bytes_head(size_t n);

static inline void smp_item_freep(cbor_item_t **i)
{
	if (*i)
		cbor_decref(i);
}
/* A map; NULL where the bytes are not one. */
cbor_item_t *smp_parse(const uint8_t *p, size_t n);
/* A member of a map, borrowed; NULL where there is none. */
const cbor_item_t *smp_get(const cbor_item_t *map, const char *name);
/* false where it is not there, or something else; ret stays then. */
bool smp_get_uint(const cbor_item_t *map, const char *name, uint64_t *ret);
bool smp_get_int(const cbor_item_t *map, const char *name, int64_t *ret);
bool smp_get_bool(const cbor_item_t *map, const char *name, bool *ret);
bool smp_get_text(const cbor_item_t *map, const char *name, char *ret, size_t size);
bool smp_get_bytes(
	const cbor_item_t *map, const char *name, uint8_t *ret, size_t size, size_t *ret_n);

/* --- one request (smp.c) --- */
struct smp_ask {
	unsigned op, group, id;
	const uint8_t *body; /* CBOR; NULL: an empty map */
	size_t n;
	uint64_t budget_us; /* 0: opts.answer_us */
	bool once;	    /* it is never sent again */
	const char *what;
};
/* The map of the answer, owned by the caller, once it says that it went well. */
int smp_request(struct smp *s, const struct smp_ask *a, cbor_item_t **ret, const struct iotime *it,
	struct err *e);
