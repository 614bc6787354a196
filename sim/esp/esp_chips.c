/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/esp/esp_chips.h"

#include <string.h>

#include "base/util.h"

static const struct esp_part parts[] = {
	{"esp32", 0, 0x00f01d83, 0, 0x3ff5a000, 28, 0x3ff5a004, 0x3ff42000, 0x24, 0x80},
	{"esp32s2", 2, 0x000007c6, 12, 0x3f41a02c, 20, 0x3f41a044, 0x3f402000, 0x20, 0x58},
	{"esp32c3", 5, 0x1b31506f, 20, 0x6000882c, 20, 0x60008844, 0x60002000, 0x20, 0x58},
	{"esp32s3", 9, 0x00000009, 20, 0x6000702c, 20, 0x60007044, 0x60002000, 0x20, 0x58},
	{"esp32c2", 12, 0x7c41a06f, 20, 0x6000882c, 20, 0x60008840, 0x60002000, 0x20, 0x58},
	{"esp32c6", 13, 0x2ce0806f, 20, 0x600b082c, 20, 0x600b0844, 0x60003000, 0x20, 0x58},
	{"esp32h2", 16, 0xd7b73e80, 20, 0x600b082c, 20, 0x600b0844, 0x60003000, 0x20, 0x58},
};

const struct esp_part *esp_part_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!strcmp(parts[i].name, name))
			return &parts[i];
	return NULL;
}
