/* SPDX-License-Identifier: Apache-2.0
 *
 * The serial bootloader's readers: the input is the device's byte stream. 00 ends what it says to
 * one write; the first byte chooses how it is read. A device of random bytes can only be taken as
 * verified when the bytes that it gave for the image are the image.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/guide/serial_boot.h"

#define ADDRESS	    0x08010000
#define IMAGE_BYTES 20

struct device {
	const uint8_t *bytes;
	size_t n, at;
};

static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;
	size_t from = d->at;

	while (d->at < d->n && d->bytes[d->at] != 0)
		d->at++;
	fake_say(f, d->bytes + from, d->at - from);
	if (d->at < d->n)
		d->at++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const uint8_t content[IMAGE_BYTES + 1] = "firmware of 20 bytes";
	struct image_segment s = {ADDRESS, IMAGE_BYTES, content, 0};
	struct image image = {.refs = 1, .bytes = IMAGE_BYTES, .segments = &s, .count = 1};
	struct serial_boot_profile p = serial_boot_guide_v1;
	struct serial_boot_result res = {0};
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0, 0};
	struct serial_boot *b;
	struct fake_link f;
	struct err e = {0};

	fake_init(&f, say_next, &d);
	f.read_max = n ? bytes[0] & 7 : 0;
	p.chunk_bytes = 8;
	p.read_block_bytes = 16;
	if (serial_boot_new(&f.link, &p, NULL, &b, &e) < 0)
		abort();

	int r = serial_boot_flash(b, &image, &it, &res, &e);

	if (r == 0 &&
		(strcmp(res.sha256_read, res.sha256_written) || !memmem(d.bytes, d.n, content, 16)))
		abort();
	if (r < 0 && !e.msg[0])
		abort();
	serial_boot_start(b, NULL, &it, NULL, NULL, &e);
	serial_boot_free(b);
	fake_done(&f);
	return 0;
}
