/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked before a unit begins, and what comes of it, whoever is asked (route_check.h).
 */
#pragma once

#include <stdbool.h>

#include "daemon/line/orders.h"

struct route_ask {
	const struct job_claim *claim;
	const char *station, *run;
	const char *serial, *chip_id; /* "" not known */
};

/* Why there is no answer. */
enum route_code {
	ROUTE_ANSWERED,
	ROUTE_UNREACHABLE, /* nobody could be asked */
	ROUTE_LATE,	   /* nothing came in time */
	ROUTE_FOREIGN,	   /* only answers to other questions did */
	ROUTE_MALFORMED,   /* an answer to this one that says nothing */
	ROUTE_DOUBLED,	   /* two that differ */
	ROUTE_REFUSED,	   /* the question was not taken */
};
/* Stable: "answered", "unreachable", "late", "foreign", "malformed", "doubled", "refused". */
const char *route_code_str(enum route_code c);

struct route_answer {
	enum route_verdict verdict;
	bool answered; /* false: it is what the order says of silence */
	enum route_code code;
	char reason[ERR_TEXT_BYTES];
};
