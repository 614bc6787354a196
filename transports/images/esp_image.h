/* SPDX-License-Identifier: Apache-2.0
 *
 * The image that the boot ROM of an ESP32 and its second-stage bootloader start, looked at before a unit is touched: header,
 * segments, checksum, digest (esptool, "Firmware Image Format"). No state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ESP_IMAGE_MAGIC 0xe9

struct esp_image {
	uint16_t chip_id;
	uint8_t segments;
	uint8_t mode, frequency;	     /* of the flash, as the header codes them */
	uint32_t flash_bytes;		     /* that it says the flash has */
	uint16_t min_revision, max_revision; /* major * 100 + minor; 0: no limit */
	bool has_digest;
	uint32_t bytes; /* of the image: what follows (a signature, padding) is not looked at */
};

/* Whether the bytes begin like one. */
bool esp_image_is(const uint8_t *p, size_t n);
/* Reads and checks it: -ERR_IMAGE_INVALID with what is wrong and where. name is for the sentence. */
int esp_image_check(
	const char *name, const uint8_t *p, size_t n, struct esp_image *ret, struct err *e);
/* Writes the checksum, and the SHA-256 where the header says that there is one, of what the segments hold now. Everything
 * else has to be as esp_image_check() wants it: -ERR_IMAGE_INVALID. */
int esp_image_seal(const char *name, uint8_t *p, size_t n, struct err *e);
