/* SPDX-License-Identifier: Apache-2.0
 *
 * The SPI flash next to a device (Winbond W25Q64FV data sheet, 7.2: commands and timing): 8 MiB, 3-byte addresses,
 * pages of 256 bytes that only clear bits, erase of 4 KiB and 64 KiB and of all. Bits come as they are clocked, MSB
 * first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/device.h"

#define SPI_FLASH_BYTES (8u * 1024 * 1024)

struct spi_flash {
	uint8_t *cell;
	struct own_faults *faults;
	bool enabled; /* WEL */
	uint8_t in[264];
	size_t n; /* bytes since select */
	uint8_t shift_in, shift_out;
	unsigned bits;
	uint64_t written, erased;
};

void spi_flash_init(struct spi_flash *f, const struct device_config *c, const char *name);
void spi_flash_done(struct spi_flash *f);
void spi_flash_select(struct spi_flash *f);
/* A clock; MISO as it is after it. */
bool spi_flash_clock(struct spi_flash *f, bool mosi);
/* What is begun takes effect. */
void spi_flash_deselect(struct spi_flash *f);
