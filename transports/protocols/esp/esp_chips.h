/* SPDX-License-Identifier: Apache-2.0
 *
 * What the chips of the ESP32 family differ in, as far as their serial boot ROM matters. Facts of esptool 5.1
 * (esptool/targets) and of the technical reference manuals, chapter "eFuse Controller". Constant, for any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "transports/images/esp_image.h"

#define ESP_MAGIC_REGISTER 0x40001000u /* its value differs between the older chips */
#define ESP_MAGICS_MAX	   4

/* Bits of a fuse register. */
struct esp_field {
	uint32_t address; /* 0: none */
	uint8_t shift, bits;
};

struct esp_chip {
	const char *name;		/* "ESP32-C3" */
	uint16_t image_id;		/* in image headers, and of GET_SECURITY_INFO */
	uint32_t magic[ESP_MAGICS_MAX]; /* 0: none */
	uint32_t bootloader;		/* where the ROM looks for the first image */
	uint32_t spi;			/* registers of the flash's controller */
	uint8_t usr, usr1, usr2, miso_dlen, w0;
	uint32_t mac; /* the register with the low four bytes; the next one has two more */
	struct esp_field minor[2], major; /* minor: low bits, then one more of weight 8 */
	uint32_t fuses, fuse_words;	  /* all registers that show fuses which are no keys */
	bool begin_has_fifth;		  /* FLASH_BEGIN has a word more: encrypted */
	bool has_security_info;
	bool tells_chip_id; /* in it */
};

/* NULL: no such chip. */
const struct esp_chip *esp_chip_of_id(uint32_t id);
const struct esp_chip *esp_chip_of_magic(uint32_t magic);
const struct esp_chip *esp_chip_of_name(const char *name);
/* The one whose GET_SECURITY_INFO does not say which chip it is. */
const struct esp_chip *esp_chip_without_id(void);
/* All of them: "ESP32", ..., NULL-terminated. */
extern const char *const esp_chip_names[];

/* Whether that chip can start the image. revision: major * 100 + minor, or -1: not known; flash_bytes 0: not known.
 * -ERR_WRONG_DEVICE where it is for another chip or revision, -ERR_IMAGE_RANGE where it wants more flash than there is. */
int esp_image_fits(const char *name, const struct esp_image *i, const struct esp_chip *chip,
	int revision, uint32_t flash_bytes, struct err *e);
