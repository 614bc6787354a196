/* SPDX-License-Identifier: Apache-2.0
 *
 * A number with its unit, read out of what a device says: whole or not at all. Pure, any thread.
 *
 *	[sign] digits [. digits] [exponent] [unit]        "- 5.0 V", "\u22125e-3", ".5", "3310 mV"
 *
 * A blank may follow the sign (balances print it so), and it may be U+2212. Nothing else is a
 * number: no grouping and no decimal comma ("1,234" is 1.234 in one country, 1234 in the next, and
 * a list of two in an instrument), no bound or estimate (">50", "~5"), no hexadecimal, no version,
 * date or time, no second number, none of the words and figures by which instruments say that they
 * have no value: NaN, Inf, OL, 1.#QNAN, and 9.9E37 and above (IEEE 488.2 and SCPI-99, 7.2.1.4 and
 * 7.2.1.5). What is not understood is refused, never guessed.
 *
 * Units: the coherent SI units and what factories use in addition to them (the table in
 * quantity.c), with the prefixes p n u \u00b5 \u03bc m k K M G T where they take one. A unit that
 * is not in the table has to be the one that the recipe names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define QUANTITY_UNIT_MAX 16 /* bytes, the end included */

struct quantity {
	double value;
	char unit[QUANTITY_UNIT_MAX]; /* as it was written; "" where none was */
	bool from_label;	      /* the unit is the label's: "I (mA) = 3.3" */
};

/* The whole text is one quantity, blanks around it apart. -ERR_NOT_A_NUMBER says what is wrong. */
int quantity_parse(const char *text, struct quantity *ret, struct err *e);
/* The same with a label before it: "temp = 21.5 degC", "ADC1: -3 mV". The label begins with a
 * letter, has no second separator, and does not speak of an error or a limit. A unit of two letters
 * or more at its end ("I (mA)", "t_ms") is that of a value that has none. */
int quantity_parse_labelled(const char *text, struct quantity *ret, struct err *e);
/* Text in which [start, end) was picked out by a pattern: a quantity by itself, not a part of one.
 * A letter, digit, sign, point or comma that touches it is refused, and what is set apart and
 * belongs to it all the same: a sign, bound or group of digits before it, a group or an exponent
 * after it. A byte that is not text, escaped after it, may have been a part. A known unit right
 * after it counts, also in brackets or after a separator, and one in the label; a multiple that is
 * not known is refused. */
int quantity_parse_part(
	const char *text, size_t start, size_t end, struct quantity *ret, struct err *e);
/* Text in which [start, end) was picked out as a list: whether its first or last number is a part of one. The known
 * unit that comes right after it goes into ret_unit, or "". */
bool quantity_is_cut(const char *text, size_t start, size_t end, char ret_unit[QUANTITY_UNIT_MAX]);
/* The value in `unit` (NULL or "": the recipe names none). -ERR_NOT_A_NUMBER for another kind of
 * quantity, and for a multiple (mV, kOhm), what may be one (m, K, T) or an unknown unit where none
 * was named: nobody knows what the limits are in. A quantity without a unit is in `unit`; that of a
 * label never changes, and counts where the recipe names one. */
int quantity_in(const struct quantity *q, const char *unit, double *ret, struct err *e);
/* Whether a unit is a decimal multiple of the coherent one of its kind, or unknown: V, mV; not bar, Wh, min, which
 * instruments answer by themselves or in Pa, J, s. */
bool quantity_is_coherent(const char *unit);
/* As quantity_in(), but a quantity without a unit is in the coherent unit of `unit`, V where it is mV: so do
 * instruments answer (SCPI-99, volume 1, 7.2.2). in: the unit that it is in instead; NULL: the coherent
 * one, and -ERR_NOT_A_NUMBER where `unit` is not quantity_is_coherent(). */
int quantity_in_coherent(
	const struct quantity *q, const char *in, const char *unit, double *ret, struct err *e);
/* Whether text says that there is no value: OL, overrange, stale and the like. */
bool quantity_is_none(const char *text, size_t n);
/* Whether a line claims to be a value: it has a digit, or a word for a missing one, and
 * is not a line of a log with its time. A pattern for base/regex.h. */
#define QUANTITY_CLAIM                                                                          \
	"(?i)^(?![\\[(<]|[DEIVW] \\(\\d+\\))(?=.*(?:\\d|\\b(?:nan|[-+]?inf(?:inity)?|ovld?|ol|" \
	"over(?:load|flow|range|[- "                                                            \
	"]range)?|underrange|underflow|ind|qnan|snan)\\b|-{2,}|\\*{2,}))"                       \
	".*$"
