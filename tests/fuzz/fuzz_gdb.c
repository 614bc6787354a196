/* SPDX-License-Identifier: Apache-2.0
 *
 * A debug server of random bytes: the memory map (first byte even), or a session. 00 ends what it
 * says to one frame. It can only be taken as verified where it gave the image's bytes.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/transports/fake_link.h"
#include "transports/protocols/gdb/gdb.h"

struct server {
	const uint8_t *bytes;
	size_t n, at;
};

static void say_next(struct fake_link *f, const uint8_t *bytes, size_t n)
{
	struct server *s = f->data;
	size_t from = s->at;

	while (s->at < s->n && s->bytes[s->at] != 0)
		s->at++;
	fake_say(f, s->bytes + from, s->at - from);
	if (s->at < s->n)
		s->at++;
}

static void fuzz_map(const uint8_t *bytes, size_t n)
{
	struct gdb_map m;
	struct err e = {0};

	if (gdb_map_parse((const char *)bytes, n, &m, &e) < 0 && !e.msg[0])
		abort();
}

static void fuzz_session(const uint8_t *bytes, size_t n)
{
	static const uint8_t content[] = {0xde, 0xad, 0xbe, 0xef, 0x12, 0x34};
	struct image_segment seg = {0x1000, sizeof content, content, 0};
	struct image image = {.refs = 1, .bytes = sizeof content, .segments = &seg, .count = 1};
	struct iotime it = {now_us() + 10 * US_PER_S, NULL};
	struct server s = {bytes, n, 0};
	struct gdb_load_result res;
	struct gdb *g = NULL;
	struct fake_link f;
	struct err e = {0};
	char *text = NULL;

	fake_init(&f, say_next, &s);
	if (gdb_open(&f.link, NULL, &it, &g, &e) == 0) {
		/* Equal bytes are in what it said in hex digits, whole or packed by runs. */
		if (gdb_load(g, &image, GDB_VERIFY_READ, &res, &it, &e) == 0 &&
			strcmp(res.sha256_read, res.sha256_written) != 0)
			abort();
		gdb_monitor(g, "reset", &text, &it, &e);
		free(text);
	} else if (!e.msg[0]) {
		abort();
	}
	gdb_free(g);
	fake_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	if (n == 0)
		return 0;
	if (bytes[0] & 1)
		fuzz_session(bytes + 1, n - 1);
	else
		fuzz_map(bytes + 1, n - 1);
	return 0;
}
