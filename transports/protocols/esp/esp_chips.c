/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/esp/esp_chips.h"

#include <string.h>

#include "base/util.h"

/* The controller of the flash: the ESP32's, and that of all later chips. */
#define SPI_OF_ESP32(base) \
	.spi = (base), .usr = 0x1c, .usr1 = 0x20, .usr2 = 0x24, .miso_dlen = 0x2c, .w0 = 0x80
#define SPI_OF_LATER(base) \
	.spi = (base), .usr = 0x18, .usr1 = 0x1c, .usr2 = 0x20, .miso_dlen = 0x28, .w0 = 0x58

#define LATER .begin_has_fifth = true, .has_security_info = true, .tells_chip_id = true

const char *const esp_chip_names[] = {
	"ESP32", "ESP32-S2", "ESP32-S3", "ESP32-C2", "ESP32-C3", "ESP32-C6", "ESP32-H2", NULL};

static const struct esp_chip chips[] = {
	/* Its major revision is in three places: esp_rom_commands.c. */
	{.name = "ESP32",
		.image_id = 0,
		.magic = {0x00f01d83},
		.bootloader = 0x1000,
		SPI_OF_ESP32(0x3ff42000),
		.mac = 0x3ff5a004,
		.minor = {{0x3ff5a014, 24, 2}},
		.fuses = 0x3ff5a000,
		.fuse_words = 7},
	{.name = "ESP32-S2",
		.image_id = 2,
		.magic = {0x000007c6},
		.bootloader = 0x1000,
		SPI_OF_LATER(0x3f402000),
		.mac = 0x3f41a044,
		.minor = {{0x3f41a054, 4, 3}, {0x3f41a050, 20, 1}},
		.major = {0x3f41a050, 18, 2},
		.fuses = 0x3f41a02c,
		.fuse_words = 12,
		.begin_has_fifth = true,
		.has_security_info = true},
	{.name = "ESP32-C3",
		.image_id = 5,
		.magic = {0x6921506f, 0x1b31506f, 0x4881606f, 0x4361606f},
		SPI_OF_LATER(0x60002000),
		.mac = 0x60008844,
		.minor = {{0x60008850, 18, 3}, {0x60008858, 23, 1}},
		.major = {0x60008858, 24, 2},
		.fuses = 0x6000882c,
		.fuse_words = 12,
		LATER},
	{.name = "ESP32-S3",
		.image_id = 9,
		.magic = {0x00000009},
		SPI_OF_LATER(0x60002000),
		.mac = 0x60007044,
		.minor = {{0x60007050, 18, 3}, {0x60007058, 23, 1}},
		.major = {0x60007058, 24, 2},
		.fuses = 0x6000702c,
		.fuse_words = 12,
		LATER},
	{.name = "ESP32-C2",
		.image_id = 12,
		.magic = {0x0c21e06f, 0x6f51306f, 0x7c41a06f},
		SPI_OF_LATER(0x60002000),
		.mac = 0x60008840,
		.minor = {{0x60008844, 16, 4}},
		.major = {0x60008844, 20, 2},
		.fuses = 0x6000882c,
		.fuse_words = 13,
		LATER},
	{.name = "ESP32-C6",
		.image_id = 13,
		.magic = {0x2ce0806f},
		SPI_OF_LATER(0x60003000),
		.mac = 0x600b0844,
		.minor = {{0x600b0850, 18, 4}},
		.major = {0x600b0850, 22, 2},
		.fuses = 0x600b082c,
		.fuse_words = 12,
		LATER},
	{.name = "ESP32-H2",
		.image_id = 16,
		.magic = {0xd7b73e80, 0x97e30068},
		SPI_OF_LATER(0x60003000),
		.mac = 0x600b0844,
		.minor = {{0x600b0850, 18, 3}},
		.major = {0x600b0850, 21, 2},
		.fuses = 0x600b082c,
		.fuse_words = 12,
		LATER},
};

const struct esp_chip *esp_chip_of_id(uint32_t id)
{
	for (size_t i = 0; i < ARRAY_LEN(chips); i++)
		if (chips[i].image_id == id)
			return &chips[i];
	return NULL;
}

const struct esp_chip *esp_chip_of_magic(uint32_t magic)
{
	for (size_t i = 0; magic && i < ARRAY_LEN(chips); i++)
		for (size_t k = 0; k < ESP_MAGICS_MAX; k++)
			if (chips[i].magic[k] == magic)
				return &chips[i];
	return NULL;
}

const struct esp_chip *esp_chip_of_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(chips); i++)
		if (!strcmp(chips[i].name, name))
			return &chips[i];
	return NULL;
}

const struct esp_chip *esp_chip_without_id(void)
{
	return esp_chip_of_name("ESP32-S2");
}

int esp_image_fits(const char *name, const struct esp_image *i, const struct esp_chip *chip,
	int revision, uint32_t flash_bytes, struct err *e)
{
	const struct esp_chip *its = esp_chip_of_id(i->chip_id);

	if (i->chip_id != chip->image_id)
		return err_set(e, ERR_WRONG_DEVICE,
			"%s is for chip id %u (%s), and this is an %s, whose id is %u: plug the right unit or name the right image",
			name, i->chip_id, its ? its->name : "not known", chip->name,
			chip->image_id);
	if (revision >= 0 &&
		(revision < i->min_revision || (i->max_revision && revision > i->max_revision)))
		return err_set(e, ERR_WRONG_DEVICE,
			"%s is for revisions from v%u.%u to v%u.%u of the %s (0.0: no limit), and this one is v%d.%d",
			name, i->min_revision / 100, i->min_revision % 100, i->max_revision / 100,
			i->max_revision % 100, chip->name, revision / 100, revision % 100);
	if (flash_bytes && i->flash_bytes > flash_bytes)
		return err_set(e, ERR_IMAGE_RANGE,
			"%s: its header says %u KiB of flash, and the unit has %u KiB: build it for this flash",
			name, i->flash_bytes / 1024, flash_bytes / 1024);
	return 0;
}
