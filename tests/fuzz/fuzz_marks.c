/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of high-water marks. Any bytes as the file: a refusal with a sentence, or facts that a
 * file which is written from them says again. And any changes to a file that was synced: all that
 * it said is read, or it is said to be damaged.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "db/marks.h"

#define MAX_BYTES 8192

static char path[64];

static int count_value(void *data, const char *kind, const char *value, struct err *e)
{
	if (!*kind || !*value)
		abort();
	++*(int *)data;
	return 0;
}

static int values(const struct marks *m)
{
	struct err e;
	int n = 0;

	if (marks_values(m, count_value, &n, &e) < 0)
		abort();
	return n;
}

static void store(const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		abort();
	close(fd);
}

static void same(const struct marks *a, const struct marks *b)
{
	int64_t x;
	int64_t y;

	for (size_t i = 0; marks_pool(a, i, &x); i++)
		if (!marks_pool(b, i, &y) || x != y)
			abort();
	if (values(a) != values(b) || marks_state(b) != MARKS_WHOLE || marks_worn(b))
		abort();
}

static void any_file(const uint8_t *bytes, size_t n)
{
	_cleanup_(marks_freep) struct marks *read = NULL;
	_cleanup_(marks_freep) struct marks *again = NULL;
	struct err e = {0};
	bool exists;

	store(bytes, n);
	if (marks_open(path, &exists, &read, &e) < 0) {
		if (!e.msg[0] || read)
			abort();
		return;
	}
	if ((marks_state(read) != MARKS_WHOLE) != (marks_flaw(read)[0] != 0))
		abort();

	const struct marks_head head = *marks_head(read);

	if (marks_begin(read, &head, &e) < 0 || marks_open(path, &exists, &again, &e) < 0)
		abort();
	if (head.epoch[0])
		same(read, again);
}

/* --- a file that was synced --- */

static uint8_t synced[MAX_BYTES];
static size_t synced_len;

static void note(struct marks *m, int64_t seq, const char *pool, int64_t next, const char *value)
{
	const struct db_mark k[] = {{.pool = (char *)pool, .next = next},
		{.kind = (char *)"mac", .value = (char *)value, .exposed = true}};
	struct err e;

	if (marks_note(m, seq, k, value ? 2 : 1, &e) < 0)
		abort();
}

static void make_synced(void)
{
	const struct marks_head head = {"0123456789abcdef", 1, 1};
	_cleanup_(marks_freep) struct marks *m = NULL;
	struct err e;
	bool exists;

	unlink(path);
	if (marks_open(path, &exists, &m, &e) < 0 || marks_begin(m, &head, &e) < 0)
		abort();
	for (int64_t i = 2; i < 12; i++)
		note(m, i, i % 3 ? "sn" : "other", i, i % 4 ? NULL : i % 8 ? "a" : "b");
	note(m, 12, "sn", 12, "c");

	int fd = open(path, O_RDONLY | O_CLOEXEC);

	synced_len = (size_t)read(fd, synced, sizeof synced);
	close(fd);
}

/* The fuzzer's bytes as changes of the file: what, where, how much. */
static size_t change(uint8_t b[MAX_BYTES], size_t n, const uint8_t c[4])
{
	size_t at = n ? (size_t)(c[1] << 8 | c[2]) % n : 0;
	size_t len = MIN((size_t)c[3] + 1, n - at);

	switch (c[0] % 7) {
	case 0: /* a byte */
		if (n)
			b[at] ^= c[3];
		return n;
	case 1: /* zeros */
		memset(b + at, 0, len);
		return n;
	case 2: /* the end */
		return at;
	case 3: /* a piece is missing */
		memmove(b + at, b + at + len, n - at - len);
		return n - len;
	case 4: /* a piece comes twice */
		if (n + len > MAX_BYTES)
			return n;
		memmove(b + at + len, b + at, n - at);
		return n + len;
	case 5: /* a piece in another place */
		memmove(b + n - at - len, b + at, len);
		return n;
	default: /* bytes are in between */
		if (n == MAX_BYTES)
			return n;
		memmove(b + at + 1, b + at, n - at);
		b[at] = c[3];
		return n + 1;
	}
}

static void nothing_lost(const struct marks *m)
{
	int64_t next;
	int64_t sum = 0;
	const char *id;

	for (size_t i = 0; (id = marks_pool(m, i, &next)); i++) {
		if (strcmp(id, "sn") == 0 ? next < 12 : strcmp(id, "other") == 0 ? next < 9 : false)
			abort();
		sum += next;
	}
	if (sum < 12 + 9 || values(m) < 3 || marks_head(m)->seq < 12)
		abort();
}

static void changed_file(const uint8_t *bytes, size_t n)
{
	static uint8_t b[MAX_BYTES];
	_cleanup_(marks_freep) struct marks *m = NULL;
	size_t len;
	struct err e;
	bool exists;

	if (!synced_len)
		make_synced();
	memcpy(b, synced, synced_len);
	len = synced_len;
	for (size_t i = 0; i + 4 <= n && i < 32; i += 4)
		len = change(b, len, bytes + i);
	store(b, len);
	if (marks_open(path, &exists, &m, &e) < 0)
		abort();
	if (marks_state(m) == MARKS_TORN)
		abort(); /* no power cut was within a sync */
	if (marks_state(m) == MARKS_WHOLE)
		nothing_lost(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	snprintf(path, sizeof path, "/dev/shm/fuzz_marks_%d", (int)getpid());
	any_file(bytes, n);
	changed_file(bytes, n);
	unlink(path);
	return 0;
}
