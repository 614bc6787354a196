/* SPDX-License-Identifier: Apache-2.0
 *
 * What the end of a file's name says that it is: one table for all callers.
 */
#pragma once

#include <stddef.h>

#include "transports/images/format.h"

struct name_kind {
	const char *suffix;	  /* "hex", in lower case */
	enum image_format format; /* that the name means; IMAGE_ANY: not firmware, see what */
	const char *what;	  /* "a font", NULL where format says it */
	bool for_partition;	  /* a partition may hold it: a logo, a compressed kernel */
};

/* NULL where such names say nothing (".bin", ".img", ".dat", none). In any case of letters. */
const struct name_kind *name_kind_of(const char *name);
/* The rows, for the test that holds their order; `ret` is their number. */
const struct name_kind *name_kinds(size_t *ret);
