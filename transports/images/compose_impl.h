/* SPDX-License-Identifier: Apache-2.0
 *
 * Of compose.c and compose_seal.c alone.
 */
#pragma once

#include "transports/images/compose.h"

/* Bytes that follow each other; sorted by address, apart from each other. */
struct compose_run {
	uint64_t address, bytes;
	uint8_t *data;
};

enum seal_kind { SEAL_ESP, SEAL_ESP_SIGNED, SEAL_MCUBOOT, SEAL_AVB };

/* What vouches for bytes of the base. */
struct compose_seal {
	enum seal_kind kind;
	uint64_t at, bytes; /* all of it, with its sums and its signature */
	uint64_t sums_at;   /* SEAL_ESP: where its sums begin, up to the end */
	bool touched;
};

struct compose_sum {
	struct compose_crc s;
	size_t part; /* its own place */
	bool done;
};

struct compose {
	struct compose_run *run;
	size_t runs;
	struct compose_seal *seal;
	size_t seals;
	struct compose_part *part;
	size_t parts;
	struct compose_sum *sum;
	size_t sums;
	bool has_base, placed, gaps, secret;
	bool has_entry;
	uint64_t entry;
	unsigned esp_seals;
};

/* n bytes at an address in one run; NULL where no run has all of them. */
uint8_t *compose_at(const struct compose *c, uint64_t at, uint64_t n);

/* Looks through the base, which is laid; once, before the first part. */
void compose_find_seals(struct compose *c, const struct image *base);
/* Whether [at, at + n) may be changed: what may be is marked. -ERR_IMAGE_SIGNED. */
int compose_touch(struct compose *c, const char *name, uint64_t at, uint64_t n, struct err *e);
/* Makes the sums of a touched ESP image right. */
int compose_reseal(struct compose *c, struct compose_seal *s, struct err *e);

static inline bool compose_meets(uint64_t a, uint64_t a_n, uint64_t b, uint64_t b_n)
{
	return a < b + b_n && b < a + a_n;
}
