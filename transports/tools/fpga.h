/* SPDX-License-Identifier: Apache-2.0
 *
 * FPGAs on a JTAG chain, by two foreign programs under one supervisor and one judge (transports/tools/tool.h):
 *
 *	OpenOCD 0.12          .svf with its comparisons of TDO; `pld` of the 7 series, and its status register
 *	openFPGALoader 0.10   .bit into the SRAM of Lattice, .jed into MachXO2, SPI flash next to a device
 *
 * What each of them prints is in its file. Neither is believed further than its lines go (findings/): openFPGALoader ends
 * with 0 though DONE stays low, and though the flash was protected; OpenOCD ends with 0 where nothing answers. So
 *
 *	look    the IDCODEs of the whole chain, before a byte moves
 *	work    with the same chain expected, and the status of the device afterwards
 *	look    once more: a program says a status also where the probe was lost meanwhile
 *	read    of SPI flash: what it holds, into our hands
 *
 * On the worker's thread; all state is in the objects.
 */
#pragma once

#include "transports/images/fpga_file.h"
#include "transports/tools/openocd.h"
#include "transports/tools/tool.h"

#define FPGA_CHAIN_MAX \
	4 /* openFPGALoader 0.10 looks at five places, and the one after the last has to be empty */

/* From TDI to TDO, as on a schematic. */
struct fpga_chain {
	struct fpga_part part[FPGA_CHAIN_MAX];
	size_t n;
	size_t target; /* which of them is meant */
};

/* Which probe, for either program. */
struct fpga_probe {
	struct openocd_probe openocd;
	const char *program;	 /* openFPGALoader's; NULL: out of PATH */
	const char *cable;	 /* as `openFPGALoader --list-cables` has it */
	const char *ftdi_serial; /* of the probe */
	const char *xvc_host;	 /* IPv4; cable is then "xvc-client" */
	uint16_t xvc_port;
	uint32_t speed_hz; /* 0: as the program chooses */
};

/* How a file gets into a device. */
enum fpga_way {
	FPGA_WAY_PLD,  /* OpenOCD: pld load, 7 series */
	FPGA_WAY_SVF,  /* OpenOCD: svf */
	FPGA_WAY_SRAM, /* openFPGALoader: SRAM of Lattice */
	FPGA_WAY_JED,  /* openFPGALoader: flash of MachXO2 */
	FPGA_WAY_SPI   /* openFPGALoader: SPI flash next to the device */
};
/* -ERR_UNSUPPORTED where there is none, with what to do. */
int fpga_way(const struct fpga_file *f, const struct fpga_part *p, bool flash, enum fpga_way *ret,
	struct err *e);
bool fpga_way_is_openocd(enum fpga_way w);

struct fpga_job {
	enum fpga_way way;
	const struct fpga_chain *chain;
	const struct fpga_file *file;
	const uint8_t *bytes; /* the file as it is */
	size_t n;
	uint32_t offset; /* FPGA_WAY_SPI */
	const char
		*package; /* of the 7 series: which bridge is loaded ("xc7a35tcpg236"); NULL else */
	const struct teller *tell;
};

struct fpga_result {
	struct tool_outcome look, work, read;
	uint32_t idcode[FPGA_CHAIN_MAX + 1]; /* that the look saw, from TDI to TDO */
	size_t idcodes;
	bool has_status;
	uint32_t status;	      /* the register of the device, where it was read as such */
	bool done;		      /* DONE was seen after the work */
	uint64_t compares;	      /* of TDO, all as the file expects */
	char sha256_read[SHA256_HEX]; /* of what the flash holds, "" where it was not read */
};

/* All three. 0 where the device has it. *ret as far as it came, for fpga_result_done().
 *  -ERR_JTAG_STUCK      TDO is always 0, or always 1
 *  -ERR_JTAG_CHAIN      another number of devices
 *  -ERR_WRONG_DEVICE    one of them is another part
 *  -ERR_TDO_MISMATCH    the device answered otherwise than the file expects
 *  -ERR_NOT_CONFIGURED  DONE is low afterwards, or the device says that the configuration was wrong
 *  -ERR_VERIFY_MISMATCH the flash holds something else
 *  -ERR_NO_EVIDENCE, -ERR_TOOL_MISSING, -ERR_TOOL_FAILED and the codes of the rules */
int fpga_run(const struct fpga_probe *p, const struct fpga_job *j, const struct tool_dir *d,
	struct fpga_result *ret, const struct iotime *it, struct err *e);
void fpga_result_done(struct fpga_result *r);

/* Whether what was seen, from TDI to TDO, is the chain. */
int fpga_chain_judge(const struct fpga_chain *c, const uint32_t *idcode, size_t n, struct err *e);
/* Of the status register. */
int fpga_status_judge(const struct fpga_part *p, uint32_t status, struct err *e);

extern const struct tool_rule openfpgaloader_rules[], fpga_openocd_rules[];
