/* SPDX-License-Identifier: Apache-2.0
 *
 * What the virtual chips of the ESP32 family differ in. Their numbers are those of Espressif's reference manuals (chapters
 * "eFuse Controller" and "SPI Controller").
 */
#pragma once

#include <stdint.h>

struct esp_part {
	const char *name;
	uint32_t chip_id; /* of GET_SECURITY_INFO and of image headers */
	uint32_t magic;	  /* what 0x40001000 holds */
	/* Bytes that GET_SECURITY_INFO answers: 20, 12 without the chip id (S2), 0: no such command. */
	uint8_t security_bytes;
	uint32_t efuse_from, efuse_words; /* registers that hold the fuses */
	uint32_t mac;			  /* the register with the low four bytes */
	uint32_t spi;			  /* the controller of the flash */
	uint8_t usr2, w0;		  /* its registers, from there */
};

/* NULL: no such part. */
const struct esp_part *esp_part_of(const char *name);
