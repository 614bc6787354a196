/* SPDX-License-Identifier: Apache-2.0
 *
 * The init packet of a DFU package for Nordic's secure bootloader (nRF5 SDK, dfu-cc.proto): what the package is for, and the
 * hash of its image. Protocol Buffers, read by hand; what is not known is passed over. The signature is the bootloader's to
 * judge. No state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

#define NORDIC_SD_MAX 8

struct nordic_init {
	bool is_signed;
	bool has_version;
	uint32_t version, hardware;
	const char *
		type; /* "application", "softdevice", "bootloader", "softdevice and bootloader", "external application"; "" */
	uint32_t sd_req[NORDIC_SD_MAX]; /* SoftDevices that it goes with */
	size_t sd_reqs;
	uint32_t sd_bytes, bl_bytes, app_bytes;
	bool has_sha256;
	uint8_t sha256
		[SHA256_BYTES]; /* of the image, first byte first: the packet has it backwards */
	bool is_debug;		/* version and SoftDevice are not compared by the bootloader */
};

/* -ERR_IMAGE_INVALID for what is no such packet (packages of SDK 11 and before have another), or is cut off. */
int nordic_init_read(
	const char *name, const uint8_t *bytes, size_t n, struct nordic_init *ret, struct err *e);
