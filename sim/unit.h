/* SPDX-License-Identifier: Apache-2.0
 *
 * One unit: what stays with the thing itself when it is pulled out of the socket. With a state
 * directory it lives in <uid>.json and <uid>.flash.bin; <board>.json and <board>.flash.bin are
 * links to the unit that is in the socket (or was, last).
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"
#include "sim/settings.h"

#define UNIT_UID_HEX 25 /* 96 bits and the NUL */

struct unit {
	char uid[UNIT_UID_HEX];
	char *dir;	 /* NULL: not kept */
	char *serial;	 /* NULL: none */
	json_t *serials; /* every SET_SERIAL ever acknowledged, in order */
	json_t *config;
	/* {"mac": {"0": ...}, "license": {"key": ...}, "flags": {NAME: "0"}, "key": {"private": HEX},
	 * "cert": {"der": HEX}, "otp": {NAME: {"value": HEX, "locked": bool, "writes": [HEX]}}} */
	json_t *values;
	json_t *counters; /* boots, erases, writes, bytes_written, bytes_read, naks, commands */
	double temp_offset;
	double adc_gain;
	bool temp_calibrated, adc_calibrated;
	int64_t lying_offset; /* -1, or the cell whose reads do not show what it holds */
	uint8_t lying_value;
	struct flash *flash;
};

/* A new uid. */
void unit_make_uid(char ret[UNIT_UID_HEX]);
/* A new, blank one. */
int unit_new(const struct board_settings *s, const char *dir, struct unit **ret, struct err *e);
/* The one that was last in the socket of that board, or a new one. */
int unit_open(const struct board_settings *s, const char *dir, const char *board, struct unit **ret,
	struct err *e);
struct unit *unit_free(struct unit *u);
DEFINE_CLEANUP(struct unit, unit_free)

/* Writes the state and puts the links of `board` on this unit; nothing without a directory. */
int unit_save(const struct unit *u, struct err *e);
int unit_link(const struct unit *u, const char *board, struct err *e);
void unit_count(struct unit *u, const char *counter, uint64_t n);
/* A number in [-1, 1] that is this unit's own, one for each salt. */
double unit_character(const struct unit *u, const char *salt);
/* "v1.2.3" from a tag PROVSIM-VERSION:1.2.3 in the image, else "v" and 8 digits of its SHA-256. */
char *unit_version(const struct unit *u);
json_t *unit_json(const struct unit *u);
