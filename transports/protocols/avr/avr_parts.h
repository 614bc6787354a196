/* SPDX-License-Identifier: Apache-2.0
 *
 * AVR microcontrollers by their signature: name, flash, page. From the data sheets, chapter "Memory Programming". Constant,
 * for any thread.
 */
#pragma once

#include <stdint.h>

struct avr_part {
	const char *name;
	uint8_t signature[3];
	uint32_t flash_bytes, page_bytes;
};

/* NULL: it is in no table. */
const struct avr_part *avr_part_of_signature(const uint8_t signature[3]);
