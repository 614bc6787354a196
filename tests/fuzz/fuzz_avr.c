/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers of an AVR's bootloader: the input is the device's byte stream. Each write of the host is answered by the bytes up to
 * the next FE; the first byte chooses the protocol and how it is read. A page can only be taken as verified when its bytes were
 * among the answers.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/avr/avr_boot_impl.h"

#define END	    0xfe
#define IMAGE_BYTES 20

static const uint8_t content[IMAGE_BYTES + 1] = "firmware of 20 bytes";

struct device {
	const uint8_t *bytes;
	size_t n, at;
	const struct avr_boot *boot;
	bool frames; /* v2: each answer becomes a frame here, with the number of its request */
};

static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;
	size_t from = d->at;
	uint8_t head[] = {0x1b, d->boot ? d->boot->number : 0, 0, 0, 0x0e};
	uint8_t x = 0;
	size_t len;

	while (d->at < d->n && d->bytes[d->at] != END)
		d->at++;
	len = d->at - from;
	if (d->frames && len) {
		head[2] = (uint8_t)(len >> 8);
		head[3] = (uint8_t)len;
		for (size_t i = 0; i < sizeof head; i++)
			x ^= head[i];
		for (size_t i = 0; i < len; i++)
			x ^= d->bytes[from + i];
		fake_say(f, head, sizeof head);
	}
	fake_say(f, d->bytes + from, len);
	if (d->frames && len)
		fake_say(f, &x, 1);
	if (d->at < d->n)
		d->at++;
}

static bool said(const struct device *d)
{
	return memmem(d->bytes, d->n, content, IMAGE_BYTES) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct avr_opts o = AVR_OPTS_DEFAULT;
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0, 0, NULL, n && bytes[0] & 16};
	const struct image_segment g = {0, IMAGE_BYTES, content, 0};
	struct image image = {.refs = 1,
		.placed = true,
		.bytes = IMAGE_BYTES,
		.segments = (struct image_segment *)(uintptr_t)&g,
		.count = 1,
		.path = (char *)(uintptr_t) "fuzz"};
	struct avr_result res = {0};
	struct fake_link f;
	struct err e = {0};
	struct avr_boot *s;
	int r;

	o.protocol = n && bytes[0] & 8 ? AVR_STK500_V2 : AVR_STK500_V1;
	o.flash_bytes = 32768;
	o.page_bytes = 64;
	fake_init(&f, say_next, &d);
	f.read_max = n ? bytes[0] & 7 : 0;
	s = avr_boot_new(&f.link, &o, NULL);
	s->number = 0;
	d.boot = s;
	r = avr_boot_connect(s, &it, &e);
	if (r < 0 && !e.msg[0])
		abort();
	if (r == 0) {
		r = avr_boot_flash(s, &image, &it, &res, &e);
		if (r == 0 && (strcmp(res.sha256_read, res.sha256_written) != 0 ||
				      (f.read_max == 0 && !said(&d))))
			abort();
		if (r < 0 && !e.msg[0])
			abort();
		avr_boot_leave(s, &it, &e);
	}
	avr_boot_free(s);
	fake_done(&f);
	return 0;
}
