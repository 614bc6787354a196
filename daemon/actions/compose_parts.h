/* SPDX-License-Identifier: Apache-2.0
 *
 * The arguments of image.compose as parts of an image: patches, fields of a CSV layout, values of an NVS partition, sums.
 * On the worker's thread.
 *
 * A layout is CSV with the columns name, offset, type, value and, where they are needed, width, order, scale, pad: a packed
 * struct. A list of NVS values is CSV as ESP-IDF's NVS partition generator takes it: key, type, encoding, value. In both a
 * value is itself, or {NAME}: a member of the argument `values`. A text with {NAME} in it is refused.
 */
#pragma once

#include "daemon/recipe/action.h"
#include "transports/images/compose.h"

/* What is made, and what was counted on the way. */
struct compose_job {
	struct compose *c;
	struct step *s;
	const struct args *a;
	json_t *taken;		   /* the names of `values` that something used */
	uint8_t *scratch;	   /* FIELD_MAX_BYTES, wiped by compose_job_done() */
	size_t nvs_used, nvs_most; /* entries; 0: there is no NVS partition */
};

extern const struct action_arg compose_patch_fields[], compose_nvs_fields[], compose_crc_fields[];

void compose_job_done(struct compose_job *j);
/* Each puts what its arguments say; nothing where they are absent. Errors as field_bytes(), nvs_put(), compose_put() and
 * compose_crc(); -ERR_INVALID for a CSV without a column that it needs. */
int compose_take_patches(struct compose_job *j, struct err *e);
int compose_take_layout(struct compose_job *j, struct err *e);
int compose_take_nvs(struct compose_job *j, struct err *e);
int compose_take_sums(struct compose_job *j, struct err *e);
/* After the others: a value that nothing used is a mistake. */
int compose_check_values(struct compose_job *j, struct err *e);
/* Before the first step: the CSV files are there, can be read, and each row has what it needs. j: s and a alone. */
int compose_look_tables(struct compose_job *j, struct err *e);
/* The bytes of the layout, by its rows: the image has that many where nothing else says how many. */
int compose_layout_bytes(struct compose_job *j, uint64_t *ret, struct err *e);
