/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers of a boot ROM of the ESP32 family: the input is the device's byte stream. Each write of the host is answered by
 * the bytes up to the next FE; the first byte chooses how it is read. Random bytes can only be taken for a flash that was
 * proved when the MD5 of the image is among them. The rest of the input is an image of the family as well.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/images/esp_image.h"
#include "transports/protocols/esp/esp_chips.h"
#include "transports/protocols/esp/esp_rom.h"

#define IMAGE_BYTES 20
#define END	    0xfe

static const uint8_t content[IMAGE_BYTES + 1] = "firmware of 20 bytes";

struct device {
	const uint8_t *bytes;
	size_t n, at;
};

static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct device *d = f->data;
	size_t from = d->at;

	while (d->at < d->n && d->bytes[d->at] != END)
		d->at++;
	fake_say(f, d->bytes + from, d->at - from);
	if (d->at < d->n)
		d->at++;
}

/* Whether the device said so, however it was cut into answers, in letters of either case. */
static bool said(const struct device *d, const char *what)
{
	char *all = malloc(d->n + 1);
	size_t k = 0;
	bool found;

	if (!all)
		abort();
	for (size_t i = 0; i < d->n; i++)
		if (d->bytes[i] != END && d->bytes[i] != 0)
			all[k++] = (char)d->bytes[i];
	all[k] = 0;
	found = strcasestr(all, what) != NULL;
	free(all);
	return found;
}

static void flash(struct esp_rom *s, const struct device *d, const struct iotime *it)
{
	const struct esp_region g = {"fuzz", 0x1000, IMAGE_BYTES, content};
	const struct esp_flash_opts o = {.skip_equal = d->n & 1,
		.compress = d->n & 2,
		.unproved = esp_rom_info(s)->secure_download};
	struct esp_region_result res = {0};
	char want[MD5_HEX];
	struct err e = {0};
	int r = esp_rom_flash(s, &g, 1, &o, it, &res, &e);

	md5_hex_of(content, IMAGE_BYTES, want);
	if (r == 0 && !o.unproved && (strcmp(res.md5, want) != 0 || !said(d, want)))
		abort();
	if (r < 0 && !e.msg[0])
		abort();
}

static void look_at_image(const uint8_t *bytes, size_t n)
{
	struct esp_image i;
	struct err e = {0};
	int r = esp_image_check("fuzz", bytes, n, &i, &e);

	if (r < 0 && !e.msg[0])
		abort();
	if (r == 0 && i.bytes > n)
		abort();
	if (r == 0)
		esp_image_fits("fuzz", &i, esp_chip_of_name("ESP32"), 0, 1 << 20, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct esp_opts o = ESP_OPTS_DEFAULT;
	struct device d = {n ? bytes + 1 : bytes, n ? n - 1 : 0, 0};
	uint32_t word[ESP_FUSE_WORDS_MAX];
	uint8_t got[100];
	struct fake_link f;
	struct err e = {0};
	struct esp_rom *s;
	int r;

	look_at_image(bytes, n);
	o.flash_bytes = 1 << 20;
	fake_init(&f, say_next, &d);
	f.read_max = n ? bytes[0] & 7 : 0;
	s = esp_rom_new(&f.link, &o, NULL);
	r = esp_rom_connect(s, &it, &e);
	if (r < 0 && !e.msg[0])
		abort();
	if (r == 0) {
		flash(s, &d, &it);
		esp_rom_read(s, 0, got, sizeof got, &it, &e);
		esp_rom_fuses(s, word, &it, &e);
		esp_rom_erase(s, 0, 0x1000, &it, &e);
		esp_rom_reboot(s, &it, &e);
	}
	esp_rom_free(s);
	fake_done(&f);
	return 0;
}
