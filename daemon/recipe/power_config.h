/* SPDX-License-Identifier: Apache-2.0
 *
 * How the power of a unit is switched, as people write it: `power` of a station, and PROVD_POWER of a bench.
 */
#pragma once

#include "base/form.h"

struct power_way;

/* How the power of a station's unit is switched; a key that its kind has not is NULL or 0. */
struct power_config {
	bool has;
	int kind;     /* enum power_kind */
	char **roles; /* NULL-terminated; NULL: by default */
	char *role, *hub;
	unsigned port, channel, line;
	bool active_low;
	char *serial, *chip, *address, *on, *off, *query, *answers_on, *answers_off, *instrument;
	uint64_t answer_us;
	char **run_on, **run_off, **run_status; /* NULL-terminated */
};

/* Its rows (base/form.h): the manual and the schema are made of them. */
extern const struct form_row power_rows[];

/* v into a zeroed p; every mistake goes to m, also of keys that its kind has not. */
void power_config_read(
	struct power_config *p, const json_t *v, const char *pointer, struct mistakes *m);
/* The same of a text in YAML. -ERR_INVALID with the first mistake. */
int power_config_parse(const char *text, struct power_config *ret, struct err *e);
void power_config_done(struct power_config *p);
bool power_config_equal(const struct power_config *a, const struct power_config *b);
/* What it says of itself; of kind hub with 'hub' and 'port' alone. Borrows from p. */
int power_config_way(const struct power_config *p, struct power_way *ret, struct err *e);
