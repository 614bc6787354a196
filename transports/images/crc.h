/* SPDX-License-Identifier: Apache-2.0
 *
 * Cyclic redundancy checks by the parameters of the catalogue of parametrised CRC algorithms (Greg Cook, "Catalogue of
 * parametrised CRC algorithms": width, poly, init, refin, refout, xorout, check). No state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crc_kind {
	const char *name; /* "crc-32/iso-hdlc", as recipes write it */
	unsigned width;	  /* bits: 8, 16 or 32 */
	uint32_t poly, init;
	bool reflected; /* refin and refout: of all kinds here they are the same */
	uint32_t xorout;
	uint32_t check; /* of the nine bytes "123456789" */
};

/* All names, NULL-terminated; for choices. */
extern const char *const crc_names[];
/* NULL where there is none of that name. */
const struct crc_kind *crc_kind_of(const char *name);

/* A running sum: begin, add, end. */
uint32_t crc_begin(const struct crc_kind *k);
uint32_t crc_add(const struct crc_kind *k, uint32_t sum, const uint8_t *p, size_t n);
uint32_t crc_end(const struct crc_kind *k, uint32_t sum);
