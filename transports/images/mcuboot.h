/* SPDX-License-Identifier: Apache-2.0
 *
 * The image that MCUboot starts: a header, the code, and a trailer of types and lengths with the hash and the signature
 * (MCUboot, "Design", Image Format). Only what tells whether the file is whole; the signature is the unit's to judge. No
 * state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

#define MCUBOOT_VERSION_BYTES 32

struct mcuboot {
	char version[MCUBOOT_VERSION_BYTES]; /* "1.2.3+4"; of build 0 "1.2.3" */
	uint8_t hash
		[SHA256_BYTES]; /* SHA-256 of header, code and protected trailer: the image's name on the unit */
	bool encrypted; /* the hash is of the plain code, and was not compared */
	bool is_signed;
	uint32_t bytes; /* of header, code and trailer; padding may follow */
};

/* -ERR_IMAGE_INVALID with what is wrong and where; -ERR_UNSUPPORTED where its hash is of another kind than SHA-256. name is for the sentence. */
int mcuboot_check(const char *name, const uint8_t *p, size_t n, struct mcuboot *ret, struct err *e);
