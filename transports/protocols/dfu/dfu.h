/* SPDX-License-Identifier: Apache-2.0
 *
 * USB Device Firmware Upgrade 1.1 (USB-IF, "DFU 1.1"), and what ST's DfuSe shares with it: the
 * states, the status, blocks. All state is in the session: two stations share nothing.
 *
 *   appIDLE --DETACH--> appDETACH --(reset)--> dfuIDLE
 *   dfuIDLE --DNLOAD--> DNLOAD-SYNC <--> DNBUSY, DNLOAD-IDLE --DNLOAD--> ...
 *   DNLOAD-IDLE --DNLOAD of nothing--> MANIFEST-SYNC <--> MANIFEST --> dfuIDLE or WAIT-RESET
 *   dfuIDLE --UPLOAD--> UPLOAD-IDLE --short--> dfuIDLE
 *   any --error--> dfuERROR --CLRSTATUS--> dfuIDLE
 *
 * GETSTATUS drives the machine: an operation begins with the GETSTATUS after its DNLOAD, and the
 * host waits bwPollTimeout before the next (DFU 1.1, 6.1.2).
 *
 * On the worker's thread. Errors: -ERR_DEVICE_REFUSED with the device's status in words,
 * -ERR_PROTOCOL for what no state allows, -ERR_DEVICE_GONE, -ERR_TIMEOUT.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"

#define DFU_VERSION_DFUSE 0x011a

/* DFU 1.1, table 4.2. */
struct dfu_functional {
	bool can_download, can_upload, tolerant, will_detach;
	uint16_t detach_ms;
	uint16_t transfer_bytes; /* wTransferSize */
	uint16_t version;	 /* bcdDFUVersion; 0x0100 where the descriptor is that of DFU 1.0 */
};

/* Finds a functional descriptor (type 0x21, 7 or 9 bytes) among class descriptors. */
bool dfu_functional_parse(const uint8_t *extra, size_t n, struct dfu_functional *ret);

enum dfu_state {
	DFU_APP_IDLE,
	DFU_APP_DETACH,
	DFU_IDLE,
	DFU_DNLOAD_SYNC,
	DFU_DNBUSY,
	DFU_DNLOAD_IDLE,
	DFU_MANIFEST_SYNC,
	DFU_MANIFEST,
	DFU_MANIFEST_WAIT_RESET,
	DFU_UPLOAD_IDLE,
	DFU_ERROR,
	DFU_STATE_COUNT
};

struct dfu_status {
	uint8_t status; /* DFU 1.1, 6.1.2: 0 is OK */
	uint32_t poll_ms;
	enum dfu_state state;
};

/* What is off the specification, by vendor, product and release. */
enum dfu_quirk {
	DFU_QUIRK_POLL_5MS = 1 << 0,	  /* bwPollTimeout is nonsense: 5 ms */
	DFU_QUIRK_VERSION_110 = 1 << 1,	  /* says another bcdDFUVersion than 1.1 */
	DFU_QUIRK_LONG_ERASE = 1 << 2,	  /* announces 100 ms for a mass erase of up to 35 s */
	DFU_QUIRK_STALLS_BUSY = 1 << 3,	  /* stalls GETSTATUS while it erases */
	DFU_QUIRK_SILENT_LEAVE = 1 << 4,  /* leaves without an answer */
	DFU_QUIRK_DFU_PROTOCOL1 = 1 << 5, /* bInterfaceProtocol 1 in DFU mode */
	DFU_QUIRK_DFU_PROTOCOL0 = 1 << 6, /* bInterfaceProtocol 0 in DFU mode */
};
unsigned dfu_quirks(uint16_t vid, uint16_t pid, uint16_t release);

/* What a session needs of its surroundings. wIndex and the interface are the port's business. */
struct dfu_port {
	void *data;
	int (*in)(void *data, uint8_t request, uint16_t value, void *buf, uint16_t n,
		uint16_t *ret_n, const struct iotime *it, struct err *e);
	int (*out)(void *data, uint8_t request, uint16_t value, const void *buf, uint16_t n,
		const struct iotime *it, struct err *e);
	int (*reset)(void *data, struct err *e); /* -ERR_DEVICE_GONE: it is another now */
	int (*sleep)(void *data, uint64_t us, const struct iotime *it, struct err *e);
};

struct dfu {
	struct dfu_port port;
	struct teller tell;
	struct dfu_functional f;
	unsigned quirks;
	uint16_t chunk; /* bytes of one block: what the device wants, 4096 at most */
	uint16_t block; /* number of the next block of a download; wraps to 0 after 65535 */
};

/* tell may be NULL. The session has no resources of its own. */
void dfu_init(struct dfu *d, const struct dfu_port *port, const struct dfu_functional *f,
	unsigned quirks, const struct teller *tell);

const char *dfu_state_str(enum dfu_state s);
const char *dfu_status_str(uint8_t status);

int dfu_get_status(struct dfu *d, struct dfu_status *ret, const struct iotime *it, struct err *e);
/* GETSTATUS and the wait that it asks for. */
int dfu_poll(struct dfu *d, struct dfu_status *ret, const struct iotime *it, struct err *e);
/* -ERR_DEVICE_REFUSED with the device's words where the status is not OK; clears the error. */
int dfu_check(struct dfu *d, const struct dfu_status *s, const char *what, const struct iotime *it,
	struct err *e);
/* Why a request failed with r: where it was refused, what the device says of it. */
int dfu_explain(struct dfu *d, int r, const char *what, const struct iotime *it, struct err *e);
int dfu_abort(struct dfu *d, const struct iotime *it, struct err *e);
/* Out of whatever state an earlier session left it in: to dfuIDLE. -ERR_DEVICE_REFUSED if it is in
 * run-time mode. */
int dfu_make_idle(struct dfu *d, const struct iotime *it, struct err *e);
/* In run-time mode: DETACH, and a bus reset where the device does not do it itself. Afterwards the
 * device leaves: close it and wait for it. */
int dfu_detach(struct dfu *d, const struct iotime *it, struct err *e);

/* One block down, and polls until the device is done with it. */
int dfu_send_block(struct dfu *d, uint16_t number, const void *bytes, uint16_t n, const char *what,
	const struct iotime *it, struct err *e);

/* DFU 1.1: n bytes from block 0 on. The device is in DNLOAD-IDLE afterwards. */
int dfu_download(
	struct dfu *d, const uint8_t *bytes, size_t n, const struct iotime *it, struct err *e);
/* The end of a download. *ret_back: the device is in dfuIDLE again and can be read; else it waits
 * for a reset or has left already. */
int dfu_manifest(struct dfu *d, bool *ret_back, const struct iotime *it, struct err *e);
/* DFU 1.1: reads from block 0 on until the device ends it, at most max bytes (-ERR_TOO_LARGE
 * beyond, unless enough is set: then it stops there). *ret is owned by the caller. */
int dfu_upload(struct dfu *d, size_t max, bool enough, uint8_t **ret, size_t *ret_n,
	const struct iotime *it, struct err *e);
