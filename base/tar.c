/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tar.h"

#include <stdio.h>
#include <string.h>

#define BLOCK	   512
#define SIZE_LIMIT ((size_t)8 << 30) /* eleven octal digits */

/* The fields are octal digits, and fill a block. */
struct head {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
	char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct head) == BLOCK, "a head is a block");

static unsigned sum_of(const struct head *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	for (size_t i = 0; i < sizeof *h; i++)
		sum += p[i];
	return sum;
}

static void fill(struct head *h, const char *name, int64_t time, size_t n)
{
	memset(h, 0, sizeof *h);
	snprintf(h->name, sizeof h->name, "%s", name);
	snprintf(h->mode, sizeof h->mode, "%07o", 0600u);
	snprintf(h->uid, sizeof h->uid, "%07o", 0u);
	snprintf(h->gid, sizeof h->gid, "%07o", 0u);
	snprintf(h->size, sizeof h->size, "%011llo", (unsigned long long)n);
	snprintf(h->mtime, sizeof h->mtime, "%011llo", (unsigned long long)time);
	h->type = '0';
	memcpy(h->magic, "ustar", sizeof h->magic);
	memcpy(h->version, "00", sizeof h->version);
	/* The sum is that of a head whose sum is spaces. */
	memset(h->sum, ' ', sizeof h->sum);
	snprintf(h->sum, sizeof h->sum, "%06o", sum_of(h));
	h->sum[sizeof h->sum - 1] = ' ';
}

int tar_add(const struct tar_sink *to, const char *name, int64_t time, const void *p, size_t n,
	struct err *e)
{
	static const char zeros[BLOCK];
	const size_t over = n % BLOCK;
	struct head h;
	int r;

	if (!*name || strlen(name) > TAR_NAME_MAX || n >= SIZE_LIMIT || time < 0)
		return err_set(e, ERR_INVALID,
			"'%s' cannot be in an archive: a name of 1 to %d characters and less than 8 GiB expected",
			name, TAR_NAME_MAX);
	fill(&h, name, time, n);
	r = to->add(to->data, &h, sizeof h, e);
	if (r == 0 && n > 0)
		r = to->add(to->data, p, n, e);
	if (r == 0 && over > 0)
		r = to->add(to->data, zeros, BLOCK - over, e);
	return r;
}

int tar_end(const struct tar_sink *to, struct err *e)
{
	static const char zeros[2 * BLOCK];

	return to->add(to->data, zeros, sizeof zeros, e);
}
