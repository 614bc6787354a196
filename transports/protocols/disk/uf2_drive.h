/* SPDX-License-Identifier: Apache-2.0
 *
 * The drive of a UF2 bootloader (github.com/microsoft/uf2, README.md): a FAT file system that is made up, with INFO_UF2.TXT, which says the
 * board. Whatever sector a block of UF2 is written to, the bootloader knows it by its magic, and programs it. So blocks go to the data
 * area one after the other, as a copied file's do; nothing of the file system is changed. The last block restarts the board.
 *
 * What was written cannot be read back. On the worker's thread, errors of the port besides those named.
 */
#pragma once

#include "transports/protocols/disk/disk_image.h"

#define UF2_INFO_BYTES 64

struct uf2_drive {
	char board_id[UF2_INFO_BYTES],
		model[UF2_INFO_BYTES]; /* of INFO_UF2.TXT; "" where it does not say */
	uint64_t data_at, data_bytes;  /* the data area */
};

/* -ERR_UNSUPPORTED: it is no such drive. */
int uf2_drive_look(const struct disk_port *p, struct uf2_drive *ret, struct err *e);
/* The blocks of a UF2 file. Returns 0 when all were taken; *ret_left: the board left with the last of them. -ERR_DEVICE_GONE where it left
 * before, -ERR_IMAGE_RANGE for a file that the data area does not hold. */
int uf2_drive_write(const struct disk_port *p, const struct uf2_drive *d, const uint8_t *bytes,
	uint64_t n, bool *ret_left, const struct teller *tell, const struct iotime *it,
	struct err *e);
