/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the file of high-water marks: a refusal with a sentence, or facts that a file which
 * is written from them says again.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/util.h"
#include "db/marks.h"

static int count_value(void *data, const char *kind, const char *value, struct err *e)
{
	if (!*kind || !*value)
		abort();
	++*(int *)data;
	return 0;
}

static void same(const struct marks *a, const struct marks *b)
{
	struct err e;
	int64_t x;
	int64_t y;
	int n = 0;
	int m = 0;

	for (size_t i = 0; marks_pool(a, i, &x); i++)
		if (!marks_pool(b, i, &y) || x != y)
			abort();
	if (marks_values(a, count_value, &n, &e) < 0 || marks_values(b, count_value, &m, &e) < 0 ||
		n != m)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static char path[64];
	_cleanup_(marks_freep) struct marks *read = NULL;
	_cleanup_(marks_freep) struct marks *again = NULL;
	struct err e = {0};
	bool exists;
	int fd;

	snprintf(path, sizeof path, "/dev/shm/fuzz_marks_%d", (int)getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		abort();
	close(fd);
	if (marks_open(path, &exists, &read, &e) < 0) {
		if (!e.msg[0] || read)
			abort();
	} else {
		const struct marks_head head = *marks_head(read);

		if (marks_begin(read, &head, &e) < 0 || marks_open(path, &exists, &again, &e) < 0)
			abort();
		same(read, again);
	}
	unlink(path);
	return 0;
}
