/* SPDX-License-Identifier: Apache-2.0
 *
 * The readers of FPGA files, for fpga_file.c alone. Each gets the whole file and fills what its format says.
 */
#pragma once

#include "base/bytes.h"
#include "base/util.h"
#include "transports/images/fpga_file.h"

typedef int fpga_reader_fn(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e);

fpga_reader_fn fpga_read_xilinx_bit, fpga_read_lattice_bit, fpga_read_svf, fpga_read_jed;
/* Packets of the 7 series from the sync word on; what is not of that form (an older family, encrypted) says nothing. */
fpga_reader_fn fpga_read_packets;
/* Commands of Lattice from the preamble on. */
fpga_reader_fn fpga_read_commands;

/* Where the packets or commands begin, SIZE_MAX: there are none in the first bytes. */
size_t fpga_find_sync(const uint8_t *bytes, size_t n);
size_t fpga_find_preamble(const uint8_t *bytes, size_t n);
/* Text of a file into a field: printable, cut, without the blanks around it. */
void fpga_text(char *ret, size_t size, const void *text, size_t n);

/* "configuration file NAME, offset 0x1f: ..." as -ERR_IMAGE_INVALID. */
int fpga_malformed(const char *name, uint64_t offset, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
