/* SPDX-License-Identifier: Apache-2.0
 *
 * What a text names: a unit by its serial number, chip id, address or id, a run or an order by its id, an
 * order by its number or by what it is called elsewhere (external_ref). Each is an exact look-up in an index, so that it costs the same however many there are.
 */
#pragma once

#include "db/db.h"

#define SEARCH_MAX 128 /* bytes of a text that is looked up */

/* An array of {kind, id, name, state, station, at}: kind is unit, run or job, name a serial number or the number of
 * an order, each null where there is none. Units first, then orders, then runs without a unit. A text is
 * looked up as it is, in capitals and in small letters, and an address (base/eui.h) in all of its forms. Any thread. */
int search_text(struct db *d, const char *text, json_t **ret, struct err *e);

/* For the test that reads their plans; NULL-terminated. */
struct select;
extern const struct select *const search_selects[];
