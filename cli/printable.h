/* SPDX-License-Identifier: Apache-2.0
 *
 * Other people's text, made harmless: station titles, what a unit says on its console, messages of
 * the API. A control character would act on the reader's terminal (ECMA-48), one that is
 * invisible or turns the direction of writing would show another text than there is (Unicode TR 36,
 * UAX 9). Each becomes its escape, which can be seen: \x1b, \u202e; a byte that is not UTF-8 is
 * \xff. All else, in any script, stays as it is. Any thread.
 */
#pragma once

#include <stdio.h>

#include "base/strbuf.h"

/* Adds s. Characters of `keep` (of ASCII, "" for none) stay: the line breaks of our own output.
 * Returns how many bytes were read: fewer than n only where s ends within a character and `more` is
 * true; the caller gives them again, with what follows. */
size_t printable_add(struct strbuf *b, const char *s, size_t n, const char *keep, bool more);
/* s as one line; owned by the caller. */
char *printable(const char *s);
/* Text of JSON, in which the same characters become \uXXXX: it means what it meant. */
char *printable_json(const char *json);
/* The beginning of s that takes at most `columns` characters, made printable; owned by the
 * caller. */
char *printable_cut(const char *s, size_t columns);

/* From now on everything that is written to stdout and stderr goes through printable_add(), which
 * keeps line breaks and tabs. Call first in main(). */
void printable_guard(void);
/* Writes one of our own control sequences to `out` (stdout or stderr), as it is. */
void printable_sequence(FILE *out, const char *sequence);
