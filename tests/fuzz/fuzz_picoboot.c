/* SPDX-License-Identifier: Apache-2.0
 *
 * What a PICOBOOT device says: a session takes the lengths and bytes of its answers from the input, and stalls at the end. A
 * device of random bytes is only taken as verified where it gave the image's bytes. The first byte chooses the chip and what is
 * asked; where bit 2 is set, the status is as it is to be, so that what comes after it is reached.
 */
#include "tests/fuzz/fuzz.h"

#include "base/bytes.h"
#include "transports/protocols/picoboot/picoboot_flash.h"

struct device {
	const uint8_t *bytes;
	size_t n, at;
	bool honest;
	uint8_t last[PICOBOOT_COMMAND_BYTES];
};

static int out(void *data, const void *buf, size_t n, const struct iotime *it, struct err *e)
{
	struct device *d = data;

	if (n == sizeof d->last)
		memcpy(d->last, buf, n);
	return d->at < d->n ? 0 : err_set(e, ERR_DEVICE_REFUSED, "stall");
}

static int in(
	void *data, void *buf, size_t size, size_t *ret_n, const struct iotime *it, struct err *e)
{
	struct device *d = data;
	size_t k;

	if (d->at >= d->n)
		return err_set(e, ERR_DEVICE_REFUSED, "stall");
	if (size == 64 && d->honest) {
		*ret_n = 0;
		return 0;
	}
	/* 0: as much as was asked for, of what is left, and then FF. */
	k = d->bytes[d->at++];
	*ret_n = MIN(k ? k : size, size);
	memset(buf, 0xff, size);
	memcpy(buf, d->bytes + d->at, MIN(*ret_n, d->n - d->at));
	d->at += MIN(*ret_n, d->n - d->at);
	return 0;
}

static int status(void *data, uint8_t buf[PICOBOOT_STATUS_BYTES], uint16_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct device *d = data;
	size_t k = MIN((size_t)PICOBOOT_STATUS_BYTES, d->n - d->at);

	if (d->honest) {
		memset(buf, 0, PICOBOOT_STATUS_BYTES);
		memcpy(buf, d->last + 4, 4);
		buf[8] = d->last[8];
		*ret_n = PICOBOOT_STATUS_BYTES;
		return 0;
	}
	if (!k)
		return err_set(e, ERR_DEVICE_REFUSED, "stall");
	memcpy(buf, d->bytes + d->at, k);
	d->at += k;
	*ret_n = (uint16_t)k;
	return 0;
}

static int reset(void *data, const struct iotime *it, struct err *e)
{
	return 0;
}

static int write_it(
	struct picoboot *p, const struct device *d, const struct iotime *it, struct err *e)
{
	static const uint8_t content[40] = "firmware of forty bytes, not one more";
	struct image_segment s = {PICOBOOT_FLASH_BASE + 0x30000, sizeof content, content, 0};
	struct image image = {.refs = 1, .bytes = sizeof content, .segments = &s, .count = 1};
	struct picoboot_flash_result res;
	int r = picoboot_flash(p, &image, &res, it, e);

	if (r == 0 && (strcmp(res.sha256_read, res.sha256_written) != 0 ||
			      !memmem(d->bytes, d->n, content, sizeof content)))
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct iotime it = {NO_DEADLINE, NULL};
	struct device d = {bytes, n, 1, n && bytes[0] & 4, {0}};
	const struct picoboot_port port = {&d, out, in, status, reset};
	struct picoboot_info info;
	struct picoboot p;
	struct err e = {0};
	int r;

	if (n == 0)
		return 0;
	picoboot_init(&p, &port, bytes[0] & 1 ? PICOBOOT_RP2350 : PICOBOOT_RP2040, 0, NULL);
	if (bytes[0] & 2) {
		r = picoboot_info(&p, &info, &it, &e);
		if (r == 0 && !info.cpu)
			abort();
	} else {
		r = write_it(&p, &d, &it, &e);
	}
	if (r < 0 && !e.msg[0])
		abort();
	return 0;
}
