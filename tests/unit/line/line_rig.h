/* SPDX-License-Identifier: Apache-2.0
 *
 * A line without a fleet, for tests in one process: real records in a folder of the test's, and the
 * services that a station is given. A test waits for a change of a view, never for a time.
 */
#pragma once

#include "daemon/line/services.h"
#include "daemon/line/station.h"

struct line_rig {
	char dir[64];
	struct config *config;
	struct store *store;
	struct line_services services;
};

/* `yaml`: the configuration without state_dir. Any failure fails the test. */
void line_rig_open(struct line_rig *g, const char *yaml);
void line_rig_close(struct line_rig *g);
/* An approved recipe, from YAML. */
void line_rig_recipe(struct line_rig *g, const char *yaml);
/* A pool of serial numbers. */
void line_rig_pool(struct line_rig *g, const char *id, const char *pattern);
/* An order for `quantity` units; its id into ret. */
void line_rig_order(struct line_rig *g, const char *recipe, unsigned quantity, char ret[UUID_SIZE]);
/* The same, of that kind: "golden". */
void line_rig_order_of(struct line_rig *g, const char *kind, const char *recipe, unsigned quantity,
	char ret[UUID_SIZE]);
/* The value of one column of one row, as text; "" for NULL. Owned by the caller. */
char *line_rig_ask(struct line_rig *g, const char *sql);

/* Returns once `is` says true of the station. */
void line_rig_until(struct line_rig *g, struct station *s,
	bool (*is)(json_t *view, const void *data), const void *data);
/* The usual one: its state. */
void line_rig_until_state(struct line_rig *g, struct station *s, enum station_state state);
