/* SPDX-License-Identifier: Apache-2.0
 *
 * Directories with all that is in them. Links are removed, never followed; other file systems are
 * not entered.
 */
#pragma once

#include "base/err.h"

/* The directory and everything below it, as far as it goes. */
void tree_remove(const char *path);
/* Everything below it. */
void tree_clear(const char *path);
/* Makes the directory with its parents, each 0700; one that exists stays as it is. */
int tree_make(const char *path, struct err *e);
