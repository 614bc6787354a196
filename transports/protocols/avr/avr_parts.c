/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/avr/avr_parts.h"

#include <string.h>

#include "base/util.h"

#define KIB 1024u

static const struct avr_part parts[] = {
	{"ATmega8", {0x1e, 0x93, 0x07}, 8 * KIB, 64},
	{"ATmega88", {0x1e, 0x93, 0x0a}, 8 * KIB, 64},
	{"ATmega88P", {0x1e, 0x93, 0x0f}, 8 * KIB, 64},
	{"ATmega16", {0x1e, 0x94, 0x03}, 16 * KIB, 128},
	{"ATmega168", {0x1e, 0x94, 0x06}, 16 * KIB, 128},
	{"ATmega168P", {0x1e, 0x94, 0x0b}, 16 * KIB, 128},
	{"ATmega32", {0x1e, 0x95, 0x02}, 32 * KIB, 128},
	{"ATmega328P", {0x1e, 0x95, 0x0f}, 32 * KIB, 128},
	{"ATmega328", {0x1e, 0x95, 0x14}, 32 * KIB, 128},
	{"ATmega328PB", {0x1e, 0x95, 0x16}, 32 * KIB, 128},
	{"ATmega324P", {0x1e, 0x95, 0x08}, 32 * KIB, 128},
	{"ATmega644", {0x1e, 0x96, 0x09}, 64 * KIB, 256},
	{"ATmega644P", {0x1e, 0x96, 0x0a}, 64 * KIB, 256},
	{"ATmega640", {0x1e, 0x96, 0x08}, 64 * KIB, 256},
	{"ATmega1280", {0x1e, 0x97, 0x03}, 128 * KIB, 256},
	{"ATmega1281", {0x1e, 0x97, 0x04}, 128 * KIB, 256},
	{"ATmega1284P", {0x1e, 0x97, 0x05}, 128 * KIB, 256},
	{"ATmega1284", {0x1e, 0x97, 0x06}, 128 * KIB, 256},
	{"ATmega2560", {0x1e, 0x98, 0x01}, 256 * KIB, 256},
	{"ATmega2561", {0x1e, 0x98, 0x02}, 256 * KIB, 256},
};

const struct avr_part *avr_part_of_signature(const uint8_t signature[3])
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!memcmp(parts[i].signature, signature, 3))
			return &parts[i];
	return NULL;
}
