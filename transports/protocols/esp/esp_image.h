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
#include "transports/protocols/esp/esp_chips.h"

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
/* Whether that chip can start it. revision: major * 100 + minor, or -1: not known; flash_bytes 0: not known.
 * -ERR_WRONG_DEVICE where it is for another chip or revision, -ERR_IMAGE_RANGE where it wants more flash than there is. */
int esp_image_fits(const char *name, const struct esp_image *i, const struct esp_chip *chip,
	int revision, uint32_t flash_bytes, struct err *e);
