/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a database that nobody works with, written again without what is free in it.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"

/* Afterwards free pages are given back while the line runs, also where the file was made by a provd that could not.
 * It needs as much room again as the database has. -ERR_BUSY while a provd works in the state directory. */
int compact_database(const char *state_dir, int64_t *ret_before, int64_t *ret_after, struct err *e);
