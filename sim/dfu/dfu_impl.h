/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a virtual DFU device: dfu_device.c (what it is on the bus, its settings and state)
 * and dfu_machine.c (what it does with requests).
 */
#pragma once

#include "base/bytes.h"
#include "base/strbuf.h"
#include "sim/device_rows.h"
#include "sim/dfu/dfu_memory.h"

enum { DETACH, DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };
enum state {
	APP_IDLE,
	APP_DETACH,
	IDLE,
	SYNC,
	BUSY,
	DNLOAD_IDLE,
	MANIFEST_SYNC,
	MANIFEST,
	WAIT_RESET,
	UPLOAD_IDLE,
	ERROR
};
/* bStatus. */
enum { OK = 0, ERR_OF_ADDRESS = 8, ERR_OF_VENDOR = 11, ERR_OF_STALL = 15 };

#define MEMORIES_MAX	8
#define BLOCK_MAX	4096
#define CONFIG_MAX	160
#define DESC_FUNCTIONAL 0x21

enum fault_row {
	STATUS,
	STALL,
	WEAK_CELL,
	LOST_WRITE,
	NO_ERASE,
	BUSY_FOREVER,
	SHORT_UPLOAD,
	BAD_STATE,
	SHORT_STATUS,
	DISAPPEAR,
	SWAP,
	NO_RETURN,
	OTHER_SERIAL,
	MANIFEST_ERROR,
	STALL_BUSY,
	STAYS
};

struct dfu_sim {
	struct device device;
	const struct board_settings *set;
	struct own_faults *faults;
	struct dfu_memory *memory[MEMORIES_MAX];
	unsigned memories;
	bool dfuse, runtime_mode, protected_;
	uint8_t attributes;
	uint16_t transfer;
	char serial[32];
	uint8_t descriptor[18], config[CONFIG_MAX];
	size_t config_len;
	/* The machine: */
	unsigned alt;
	enum state state;
	uint8_t status;
	uint64_t busy_until_us;
	uint32_t pointer; /* DfuSe: the address; plain: how far a transfer is */
	uint16_t block;	  /* of the DNLOAD that waits for its GETSTATUS */
	uint8_t buf[BLOCK_MAX];
	size_t len;
	bool pending, forever;
	uint64_t downloads, data_blocks, erases;
	/* It leaves once this GETSTATUS, or the bus reset, is through. */
	bool leave;
};

static inline struct dfu_sim *dfu_sim_of(struct device *d)
{
	return container_of(d, struct dfu_sim, device);
}

/* What it is in the mode that it is in. */
void dfu_describe(struct dfu_sim *s);
void dfu_put_functional(const struct dfu_sim *s, struct wbytes *w);

/* Off the bus, and back in the other mode. */
void dfu_go(struct dfu_sim *s, bool to_runtime);
bool dfu_may_be_runtime(const struct dfu_sim *s);
/* As struct gadget_ops and struct device_ops. */
int dfu_control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n, size_t size,
	uint64_t now_us);
void dfu_opened(struct device *d, uint64_t now_us);
