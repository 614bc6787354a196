/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers of MCUmgr on a console: each write of the host is answered by the bytes up to the next FE; the first byte chooses how
 * it is read. In a second way the bytes between them are packets, which get their number, their length, their checksum and their
 * lines here, so that what is in them is reached. The input is an image for MCUboot as well.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/images/mcuboot.h"
#include "transports/protocols/mcumgr/smp_impl.h"

#define END 0xfe

struct device {
	const uint8_t *bytes;
	size_t n, at;
	const struct smp *smp;
	bool packets;
};

static uint16_t crc_of(const uint8_t *p, size_t n)
{
	uint16_t crc = 0;

	for (size_t i = 0; i < n; i++)
		for (int bit = 7; bit >= 0; bit--) {
			bool top = crc >> 15;

			crc = (uint16_t)(crc << 1);
			if (top != (p[i] >> bit & 1))
				crc ^= 0x1021;
		}
	return crc;
}

/* op, group, command, then the body. */
static void say_packet(struct fake_link *f, const struct device *d, const uint8_t *p, size_t n)
{
	uint8_t raw[2048];
	struct wbytes w = wbytes_of(raw, sizeof raw);

	if (n < 3 || n > 1500)
		return;
	wb_be16(&w, (uint16_t)(8 + n - 3 + 2));
	wb_u8(&w, p[0]);
	wb_u8(&w, 0);
	wb_be16(&w, (uint16_t)(n - 3));
	wb_be16(&w, p[1]);
	wb_u8(&w, d->smp->seq);
	wb_u8(&w, p[2]);
	wb_put(&w, p + 3, n - 3);
	wb_be16(&w, crc_of(raw + 2, w.len - 2));
	for (size_t at = 0; at < w.len; at += 93) {
		_cleanup_(freep) char *text = base64_of(raw + at, MIN(w.len - at, (size_t)93));

		fake_says(f, at ? "\x04\x14" : "\x06\x09");
		fake_says(f, text);
		fake_says(f, "\n");
	}
}

static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;
	size_t from = d->at;

	while (d->at < d->n && d->bytes[d->at] != END)
		d->at++;
	if (d->packets)
		say_packet(f, d, d->bytes + from, d->at - from);
	else
		fake_say(f, d->bytes + from, d->at - from);
	if (d->at < d->n)
		d->at++;
}

static void ended(int r, const struct err *e)
{
	if (r < 0 && !e->msg[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const uint8_t content[700] = "an image";
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct smp_opts o = SMP_OPTS_DEFAULT;
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0, 0, NULL, n && bytes[0] & 8};
	const struct smp_upload u = {.name = "fuzz", .data = content, .bytes = sizeof content};
	struct smp_uploaded done;
	struct smp_images l;
	struct fake_link f;
	struct mcuboot m;
	struct err e = {0};
	struct smp *s;

	ended(mcuboot_check("fuzz", bytes, n, &m, &e), &e);
	o.attempts = 1;
	fake_init(&f, say_next, &d);
	f.read_max = n ? bytes[0] & 7 : 0;
	s = smp_new(&f.link, &o, NULL);
	s->seq = 0;
	d.smp = s;
	ended(smp_list(s, &l, &it, &e), &e);
	ended(smp_echo(s, "fuzz", &it, &e), &e);
	ended(smp_upload(s, &u, &done, &it, &e), &e);
	ended(smp_select(s, content, 32, true, &l, &it, &e), &e);
	ended(smp_reset(s, &it, &e), &e);
	smp_free(s);
	fake_done(&f);
	return 0;
}
