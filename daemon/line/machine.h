/* SPDX-License-Identifier: Apache-2.0
 *
 * Which machine this is, so that a copy of the state directory that works on a second one is
 * recognised (db/lineage.h).
 */
#pragma once

#include "db/marks.h"

/* The first half of a salted SHA-256 of what `path` says (machine-id(5)), never that itself: it
 * must not leave the machine. "" where there is none, with why in `e`. */
int machine_name(const char *path, char ret[MARKS_MACHINE_SIZE], struct err *e);
