/* SPDX-License-Identifier: Apache-2.0
 *
 * Programmable devices that are known: their IDCODE, and what of JTAG their family has. Facts: the vendors' BSDL files
 * (IDCODE_REGISTER, INSTRUCTION_LENGTH, INSTRUCTION_OPCODE).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum fpga_family {
	FPGA_XC7,     /* Artix-7, Kintex-7, Spartan-7 */
	FPGA_ECP5,    /* Lattice */
	FPGA_MACHXO2, /* Lattice, with flash of its own */
	FPGA_CYCLONE, /* Altera: Cyclone IV and 10 LP, MAX 10 */
	FPGA_OTHER /* of the chain alone: "0x4ba00477/4", IDCODE and length of the instruction register */
};

struct fpga_part {
	char name[32];
	enum fpga_family family;
	uint32_t idcode, idcode_mask; /* bits of the version that may be any are 0 in the mask */
	unsigned ir_bits;
	uint32_t ir_idcode;
};

/* By the beginning of a name in any case ("XC7A35T-1CPG236C" is an xc7a35t, so is the "7a35tcpg236" of a .bit), or as
 * IDCODE/LENGTH. -ERR_RECIPE_INVALID, with the nearest name. */
int fpga_part_find(const char *name, struct fpga_part *ret, struct err *e);
bool fpga_part_has(const struct fpga_part *p, uint32_t idcode);
/* The name of the part with that IDCODE; NULL: none is known. */
const char *fpga_part_name(uint32_t idcode);
/* "Artix-7, Kintex-7 or Spartan-7": for sentences. */
const char *fpga_family_name(enum fpga_family f);
