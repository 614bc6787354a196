/* SPDX-License-Identifier: Apache-2.0
 *
 * What says what a file is: it reads no byte that is not there, and names what it refuses.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "transports/images/foreign_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* On the heap, so that a byte too many is seen. */
	_cleanup_(freep) uint8_t *copy = malloc(n ? n : 1);
	struct foreign f = {.hint = NULL};
	struct err e;
	int r;

	if (!copy)
		return 0;
	memcpy(copy, data, n);
	foreign_by_structure(copy, n);
	/* libmagic is slow with a sanitizer. */
	if (n % 4)
		return 0;
	r = foreign_look(copy, n, FOREIGN_ADDRESSES, &f, &e);
	if (r < 0 || (r > 0 && (!f.hint || !f.what[0])))
		abort();
	return 0;
}
