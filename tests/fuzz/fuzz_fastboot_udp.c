/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot over UDP with a peer of any datagrams: each is its length (one byte) and its bytes; the
 * empty input is silence.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/fastboot/fastboot.h"

struct peer {
	const uint8_t *bytes;
	size_t n, at;
	unsigned writes;
};

static struct link_ops ops;

static int one_datagram(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct peer *p = container_of(l, struct fake_link, link)->data;
	size_t n = p->at < p->n ? p->bytes[p->at++] : 0;

	n = MIN(n, MIN(p->n - p->at, size));
	if (n == 0)
		return err_set(e, ERR_TIMEOUT, "deadline passed");
	memcpy(buf, p->bytes + p->at, n);
	p->at += n;
	*ret_n = n;
	return 0;
}

/* A packet is sent again and again: the peer is gone at the end of the input. */
static int count_write(
	struct link *l, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct peer *p = container_of(l, struct fake_link, link)->data;

	if (p->at >= p->n && p->writes++ > 4)
		return err_set(e, ERR_DEVICE_GONE, "the device is gone");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	const struct fastboot_config c = {0};
	struct peer peer = {bytes, n, 0, 0};
	struct fastboot_pipe *p = NULL;
	struct fastboot *f = NULL;
	struct spans s = {0};
	struct fake_link wire;
	struct err e = {0};

	fake_init(&wire, NULL, &peer);
	ops = fake_link_ops;
	ops.read = one_datagram;
	ops.write = count_write;
	wire.link.ops = &ops;
	if (fastboot_udp_open(&wire.link, &it, &p, &e) == 0 &&
		fastboot_new(p, &c, NULL, &it, &f, &e) == 0) {
		spans_add(&s, bytes, n, &e);
		fastboot_download(f, &s, &it, &e);
		fastboot_command(f, "flash:x", 1, &it, NULL, &e);
		spans_done(&s);
	}
	if (!f && !e.msg[0])
		abort();
	fastboot_free(f);
	fake_done(&wire);
	return 0;
}
