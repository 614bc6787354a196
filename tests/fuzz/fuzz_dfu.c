/* SPDX-License-Identifier: Apache-2.0
 *
 * What a DFU device says: descriptors, the memory map, and the answers of a session. The first byte
 * chooses the reader; a session takes its answers from the rest, and stalls at the end. A device of
 * random bytes is only taken as verified where it gave the image's bytes.
 */
#include "tests/fuzz/fuzz.h"

#include "transports/protocols/dfu/dfuse.h"

struct device {
	const uint8_t *bytes;
	size_t n, at;
	uint64_t slept_us;
};

static int in(void *data, uint8_t request, uint16_t value, void *buf, uint16_t n, uint16_t *ret_n,
	const struct iotime *it, struct err *e)
{
	struct device *d = data;
	size_t k = MIN((size_t)n, d->n - d->at);

	if (k == 0)
		return err_set(e, ERR_DEVICE_REFUSED, "stall");
	memcpy(buf, d->bytes + d->at, k);
	d->at += k;
	*ret_n = (uint16_t)k;
	return 0;
}

static int out(void *data, uint8_t request, uint16_t value, const void *buf, uint16_t n,
	const struct iotime *it, struct err *e)
{
	const struct device *d = data;

	return d->at < d->n ? 0 : err_set(e, ERR_DEVICE_REFUSED, "stall");
}

static int reset(void *data, struct err *e)
{
	return 0;
}

static int nap(void *data, uint64_t us, const struct iotime *it, struct err *e)
{
	struct device *d = data;

	d->slept_us += us;
	return d->slept_us > 1000 * US_PER_S ? err_set(e, ERR_TIMEOUT, "deadline passed") : 0;
}

static void fuzz_map(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *text = strndup((const char *)bytes, n);
	struct dfuse_map m;
	struct err e = {0};

	if (dfuse_map_parse(text, &m, &e) < 0) {
		if (!e.msg[0])
			abort();
		return;
	}
	for (size_t i = 0; i < m.runs; i++)
		if (!m.run[i].pages || !m.run[i].page_bytes ||
			dfuse_run_end(&m.run[i]) > 1ull << 32 ||
			(i && dfuse_run_end(&m.run[i - 1]) > m.run[i].address))
			abort();
}

static void fuzz_session(const uint8_t *bytes, size_t n, bool plain)
{
	static const uint8_t content[40] = "firmware of forty bytes, not one more";
	struct image_segment s = {0x08000000, sizeof content, content, 0};
	struct image image = {.refs = 1, .bytes = sizeof content, .segments = &s, .count = 1};
	const struct dfuse_options o = {.erase = DFUSE_ERASE_PAGES, .verify = true};
	const struct dfu_functional f = {true, true, true, true, 0, 16, 0x011a};
	struct iotime it = {NO_DEADLINE, NULL};
	struct device d = {bytes, n, 0, 0};
	const struct dfu_port port = {&d, in, out, reset, nap};
	struct dfuse_result res;
	struct dfuse_map m;
	struct dfu dfu;
	struct err e = {0};
	uint8_t *back = NULL;
	size_t back_n;
	bool idle;
	int r;

	dfu_init(&dfu, &port, &f, plain ? DFU_QUIRK_STALLS_BUSY : 0, NULL);
	if (plain) {
		r = dfu_download(&dfu, content, sizeof content, &it, &e);
		if (r == 0)
			r = dfu_manifest(&dfu, &idle, &it, &e);
		if (r == 0)
			r = dfu_upload(&dfu, 100, false, &back, &back_n, &it, &e);
		free(back);
	} else {
		if (dfuse_map_parse("@F /0x08000000/2*1Kg", &m, &e) < 0)
			abort();
		r = dfuse_write(&dfu, &m, &image, 0, &o, &res, &it, &e);
		if (r == 0 && (strcmp(res.sha256_read, res.sha256_written) != 0 ||
				      !memmem(bytes, n, content, 16)))
			abort();
	}
	if (r < 0 && !e.msg[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct dfu_functional f;

	if (n == 0)
		return 0;
	switch (bytes[0] & 3) {
	case 0:
		dfu_functional_parse(bytes + 1, n - 1, &f);
		break;
	case 1:
		fuzz_map(bytes + 1, n - 1);
		break;
	case 2:
		fuzz_session(bytes + 1, n - 1, true);
		break;
	default:
		fuzz_session(bytes + 1, n - 1, false);
		break;
	}
	return 0;
}
