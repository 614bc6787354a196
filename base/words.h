/* SPDX-License-Identifier: Apache-2.0
 *
 * Words by which a line takes back what a pattern found in a part of it: "OK" does not agree in
 * "NOT OK", nor "BOOTING" in "BOOTING FAILED". A pattern that matches the whole line has the last
 * word itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct words;

struct words *words_new(void);
struct words *words_free(struct words *w); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct words, words_free)

/* Whether line[0..start) or line[end..n) says NOT, ERROR, FAILED, ABORTED, REFUSED, TIMEOUT, NG and
 * the like, NO or N directly before the match (NOK), or directly after it that it is false, 0
 * ("=0") or none of some ("0/5"); "0 passed", "3/5 passed" and "40 % passed" are not all. "OK?" and
 * "OK to erase? [y/N]" ask. That there were no errors ("0 errors", "errors: 0") is good news. */
bool words_against(const struct words *w, const char *line, size_t n, size_t start, size_t end);

/* Whether what was found is letters within a word: the OK of "BROKEN". */
bool words_is_part(const char *line, size_t n, size_t start, size_t end);

/* Neither of the two: what was found in that part of the line is what it seems to be. */
bool words_agree(const struct words *w, const char *line, size_t n, size_t start, size_t end);

/* Whether a line of its own says that something failed: FAILED, ERROR, NAK, ABORTED, REFUSED,
 * TIMEOUT and the like anywhere in it, or NOT, UNKNOWN, CANNOT at its beginning. Good news is not a
 * failure. */
bool words_fail(const struct words *w, const char *line, size_t n);
/* The same of its beginning alone. */
bool words_fail_first(const struct words *w, const char *line, size_t n);
