/* SPDX-License-Identifier: Apache-2.0
 *
 * What an instrument says by VXI-11 (records of RPC, with the number of the call put in, or they would all be dropped) and by
 * HiSLIP: an error with a sentence, or bytes; never more than were asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "tests/fuzz/fuzz.h"
#include "transports/links/hislip.h"
#include "transports/links/link.h"
#include "transports/links/vxi11.h"

struct feed {
	struct link link;
	const uint8_t *p;
	size_t n;
	bool rpc;
	uint8_t head[8]; /* of the next record: what is put in */
	uint8_t xid[4];
};

static struct feed *of(struct link *l)
{
	return container_of(l, struct feed, link);
}

static int feed_read(struct link *l, void *buf, size_t size, size_t *ret_n, const struct iotime *it,
	struct err *e)
{
	struct feed *f = of(l);

	if (f->n == 0)
		return err_set(e, ERR_TIMEOUT, "nothing more");
	*ret_n = MIN(size, f->n);
	memcpy(buf, f->p, *ret_n);
	/* The number of a call is in the first four bytes of a record. */
	if (f->rpc && size > 4 && *ret_n >= 8) {
		memcpy(buf, f->xid, 4);
		memcpy((uint8_t *)buf + 4, "\0\0\0\1", 4);
	}
	f->p += *ret_n;
	f->n -= *ret_n;
	return 0;
}

static int feed_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	if (n >= 8)
		memcpy(of(l)->xid, (const uint8_t *)buf + 4, 4);
	return 0;
}

static void feed_close(struct link *l)
{
}

static const struct link_ops feed_ops = {
	.name = "feed", .read = feed_read, .write = feed_write, .close = feed_close};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void use(struct link *l, const struct iotime *it)
{
	uint8_t buf[64];

	l->address = strdup("fuzz");
	for (int i = 0; i < 8; i++) {
		struct err e = {0};
		size_t n = 0;
		int r = i % 4 == 0   ? link_write(l, "*IDN?\n", 6, it, &e)
			: i % 4 == 3 ? link_clear(l, it, &e)
				     : link_read(l, buf, sizeof buf, &n, it, &e);

		must(n <= sizeof buf && (r == 0 || (e.msg[0] && r == -(int)e.code)));
	}
	link_close(l);
}

static struct feed feed_of(const uint8_t *p, size_t n, bool rpc)
{
	return (struct feed){
		.link = {.ops = &feed_ops, .address = strdup("feed")}, .p = p, .n = n, .rpc = rpc};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	const struct iotime it = {.deadline_us = now_us() + 10 * US_PER_S};
	struct feed core = feed_of(bytes, n, true), sync = feed_of(bytes, n - n / 3, false),
		    async = feed_of(bytes + n - n / 3, n / 3, false), map = feed_of(bytes, n, true);
	struct hislip *h = NULL;
	struct link *l = NULL;
	struct err e = {0};
	uint16_t port;

	must(vxi11_getport(&map.link, &it, &port, &e) <= 0);
	free(map.link.address);
	if (vxi11_link_over(&core.link, "inst0", &it, &l, &e) == 0)
		use(l, &it);
	if (hislip_begin(&sync.link, "hislip0", &it, &h, &e) == 0 &&
		hislip_join(h, &async.link, &it, &l, &e) == 0)
		use(l, &it);
	if (!h)
		free(async.link.address);
	return 0;
}
