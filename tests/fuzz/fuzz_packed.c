/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed files: what comes out is within the limit, and none comes out of what was refused.
 */
#include <stdlib.h>

#include "base/iotime.h"
#include "tests/fuzz/fuzz.h"
#include "transports/images/packed.h"

#define MOST (256u * 1024)

static void try(const uint8_t *bytes, size_t n, const char *member)
{
	const struct packed_opts o = {
		.name = "f.xz", .member = member, .max = MOST, .it = {NO_DEADLINE, NULL}};
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	struct err e = {0};
	int r = packed_open(bytes, n, &o, &b, &e);

	if ((r < 0) != (e.code != ERR_NONE) || (r < 0 && b) ||
		(b && (b->size == 0 || b->size > MOST || !b->packed.how[0])))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	try(bytes, n, NULL);
	try(bytes, n, "fw");
	return 0;
}
