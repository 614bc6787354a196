/* SPDX-License-Identifier: Apache-2.0
 *
 * A file with the configuration of an FPGA or CPLD: which format it is, by its content, whether it is whole, and which
 * part it is for.
 *
 *	Xilinx .bit   fields a (design) b (part) c (date) d (time) e (length), then packets (UG470, chapter 5)
 *	Lattice .bit  texts ("Part: LFE5U-25F-6CABGA381"), then commands (FPGA-TN-02039, appendix A)
 *	.bin          the packets or commands alone
 *	.mcs          the same as Intel HEX
 *	.svf          statements (Serial Vector Format, revision E)
 *	.jed          fields, fuses and sums (JESD3-C)
 *	.rbf          Altera's raw binary
 *
 * What a format has for it is checked: lengths, sums over the packets and frames, the command that ends a
 * configuration, the semicolon that ends a statement. The name has to agree with the content (images/gate.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "transports/images/fpga_part.h"

enum fpga_format {
	FPGA_XILINX_BIT,
	FPGA_LATTICE_BIT,
	FPGA_BIN,
	FPGA_MCS,
	FPGA_SVF,
	FPGA_JED,
	FPGA_RBF,
	FPGA_NO_FORMAT
};

#define FPGA_CHECKS_MAX 16

/* A comparison of an SVF file with 32 bits of data: which instruction was in the register. */
struct fpga_svf_check {
	uint64_t ir;
	unsigned ir_bits;
	uint32_t value, mask;
};

struct fpga_file {
	enum fpga_format format;
	char part[64]; /* as the file names it, "" where it does not */
	char date[40];
	char design[96];
	bool has_idcode; /* the device compares it with its own */
	uint32_t idcode;
	/* What the device or its flash gets: of .bit without the header, of .mcs decoded. Lives as long as the bytes that were
	 * read, or owned. */
	const uint8_t *data;
	size_t len;
	uint8_t *owned;
	bool summed;	   /* its own sums were there, and were right */
	bool encrypted;	   /* so that nothing of it can be checked */
	uint64_t commands; /* .svf: as OpenOCD counts them */
	uint64_t compares; /* .svf: with a mask that is not all 0 */
	struct fpga_svf_check check[FPGA_CHECKS_MAX];
	size_t checks;
	uint64_t fuses; /* .jed */
};

/* -ERR_IMAGE_INVALID for what is none of these, is not whole, or is not what its name says: the sentence names the file,
 * the place, what was expected and what came. ret is to be ended in any case. */
int fpga_file_read(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e);
void fpga_file_done(struct fpga_file *f);
/* Whether it is for that part, by its IDCODE, its name for the part, or the comparison of an IDCODE in an SVF file.
 * -ERR_IMAGE_PART; also where it says nothing of a part, unless that is `declared` to be known. */
int fpga_file_check(const char *name, const struct fpga_file *f, const struct fpga_part *p,
	bool declared, struct err *e);

enum fpga_format fpga_file_detect(const uint8_t *bytes, size_t n);
/* "xilinx-bit", "lattice-bit", "bin", "mcs", "svf", "jed", "rbf": as records have it. */
const char *fpga_format_str(enum fpga_format f);
/* "a bitstream of Xilinx (.bit)": for sentences. */
const char *fpga_format_name(enum fpga_format f);
