/* SPDX-License-Identifier: Apache-2.0
 *
 * The two programs, for fpga.c alone.
 */
#pragma once

#include "transports/tools/fpga.h"

#define FPGA_ALL_ONES 0xffffffffu

struct fpga_run {
	const struct fpga_probe *probe;
	const struct fpga_job *job;
	const struct tool_dir *dir;
	struct fpga_result *result;
	const struct iotime *it;
	/* While lines come. */
	bool after;  /* the configuration is over: what comes counts */
	bool zeroes; /* TDO is stuck */
	bool ones;
	char refused[24]; /* "CRC ERR": why the device did not take it */
};

int fpga_openocd_look(struct fpga_run *x, struct err *e);
int fpga_openocd_work(struct fpga_run *x, struct err *e);
int fpga_loader_look(struct fpga_run *x, struct err *e);
int fpga_loader_work(struct fpga_run *x, struct err *e);
/* What the SPI flash holds, n bytes into ret. */
int fpga_loader_read(struct fpga_run *x, uint8_t *ret, size_t n, struct err *e);

/* An IDCODE of a look, which sees the one nearest to TDO first. */
void fpga_saw(struct fpga_run *x, uint32_t idcode);
/* The 32 bits after the last "0x" of a line, or its last word; false: there are none. */
bool fpga_number_in(const char *line, uint32_t *ret);
