/* SPDX-License-Identifier: Apache-2.0
 *
 * The report of a run in the JSON format of WATS (WSJF, POST /api/Report/WSJF): a tree of steps, each with
 * what was measured. Pure.
 *
 * A step with one number is a numeric limit test (ET_NLT), with several a multiple one (ET_MNLT); of texts, a
 * string value test (ET_SVT, ET_MSVT); without either, a pass/fail test (ET_PFT). A single limit is in lowLimit,
 * that of LE too. Status: P passed, F failed, E error, T terminated, S skipped.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"

struct db;
struct wats_config;

/* told: told_run() of a run that has ended. machine: the name of this machine. A new reference. */
json_t *wats_report(const json_t *told, const struct wats_config *c, const char *machine);

/* The event in *text (events_message()) becomes the report of its run, as text; an event that has no run that ended
 * stays as it is. The text is freed, and the new one is the caller's. */
int wats_report_of(struct db *d, const struct wats_config *c, char **text, struct err *e);
