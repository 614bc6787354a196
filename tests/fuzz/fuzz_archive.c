/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a compressed file: lines, or a refusal with a sentence. Any bytes as the lines of one: they come back
 * as they were. And as the lines of an archive of two records: never taken for the whole one, since no
 * digest fits.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/gzip.h"
#include "base/tree.h"
#include "base/util.h"
#include "db/verify.h"

static char dir[] = "/tmp/fuzz_archive_XXXXXX";

static int put(void *data, const void *p, size_t n, struct err *e)
{
	if (write(*(int *)data, p, n) != (ssize_t)n)
		abort();
	return 0;
}

static void compress(int fd, const uint8_t *bytes, size_t n)
{
	_cleanup_(gzip_writer_freep) struct gzip_writer *w = NULL;
	struct err e;

	if (gzip_writer_new(put, &fd, &w, &e) < 0 || gzip_add(w, bytes, n, &e) < 0 ||
		gzip_end(w, &e) < 0)
		abort();
}

/* How many bytes the lines have, with their ends; same: what they are compared with, NULL: nothing. */
static size_t read_lines(int fd, const uint8_t *same)
{
	_cleanup_(freep) char *path = xasprintf("/proc/self/fd/%d", fd);
	_cleanup_(gzip_closep) struct gzip_reader *g = NULL;
	struct err e = {0};
	const char *line;
	size_t n, at = 0;
	int r;

	if (gzip_open(path, &g, &e) < 0)
		abort();
	while ((r = gzip_line(g, &line, &n, &e)) > 0) {
		if (strlen(line) != n || (same && memcmp(same + at, line, n) != 0))
			abort();
		at += n + 1;
	}
	if (r < 0 && !e.msg[0])
		abort();
	return at;
}

static void any_file(const uint8_t *bytes, size_t n)
{
	_cleanup_(closep) int fd = memfd_create("file", MFD_CLOEXEC);

	put(&fd, bytes, n, NULL);
	read_lines(fd, NULL);
}

static void any_lines(const uint8_t *bytes, size_t n)
{
	_cleanup_(closep) int fd = memfd_create("lines", MFD_CLOEXEC);
	size_t got;

	compress(fd, bytes, n);
	got = read_lines(fd, bytes);
	if (got > n || (n > 0 && bytes[n - 1] == '\n' && !memchr(bytes, 0, n) && got != n))
		abort();
}

/* --- an archive --- */

static const char statement[] =
	"{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"checkpoint\":\"provd.records/00112233445566ff\\n2\\n"
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\\nepoch 00112233445566ff 1\\ntime 2026-11-30T08:00:00.000Z\\n\\n\","
	"\"from\":1,\"host\":\"00112233445566ff\",\"last\":\"\",\"month\":\"2026-01\",\"outside\":[],\"to\":2},"
	"\"predicateType\":\"urn:provd:archive:1\",\"subject\":[{\"annotations\":{\"bytes\":1},\"digest\":{\"sha256\":"
	"\"0000000000000000000000000000000000000000000000000000000000000000\"},\"name\":\"a.ndjson.gz\"}]}";

static void write_manifest(void)
{
	_cleanup_(freep) char *base64 = base64_of(statement, strlen(statement));
	_cleanup_(freep) char *path = xasprintf("%s/a.json", dir);
	_cleanup_(fclosep) FILE *f = fopen(path, "we");

	if (!f ||
		fprintf(f,
			"{\"payload\":\"%s\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[]}\n",
			base64) < 0)
		abort();
}

static void remove_dir(void)
{
	tree_remove(dir);
}

static void found(void *data, const char *sentence)
{
	if (!*sentence)
		abort();
	++*(int64_t *)data;
}

static void any_archive(const uint8_t *bytes, size_t n)
{
	_cleanup_(freep) char *path = xasprintf("%s/a.ndjson.gz", dir);
	int64_t seen = 0;
	const struct verify_opts o = {.found = found, .data = &seen};
	struct verify_result result;
	struct err e = {0};
	FILE *f = fopen(path, "we");

	if (!f)
		abort();
	compress(fileno(f), bytes, n);
	fclose(f);
	if (verify_archive(path, &o, &result, &e) < 0 || seen == 0 || result.findings != seen)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static bool begun;

	if (!begun) {
		if (!mkdtemp(dir))
			abort();
		atexit(remove_dir);
		write_manifest();
		begun = true;
	}
	any_file(bytes, n);
	any_lines(bytes, n);
	any_archive(bytes, n);
	return 0;
}
