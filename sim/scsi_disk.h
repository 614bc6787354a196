/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk as USB mass storage shows it: SCSI commands (SBC-3, SPC-4) by the bulk-only transport (USB Mass Storage Class,
 * Bulk-Only Transport 1.0): a command of 31 bytes, data, a status of 13. What several kinds of devices have. No I/O but its file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/util.h"

#define SCSI_BLOCK 512u

struct scsi_disk;

struct scsi_disk_ops {
	/* Before bytes are written at offset: it may change them. false: they are lost, and acknowledged. NULL: as they are. */
	bool (*writes)(void *data, uint64_t offset, uint8_t *bytes, size_t n);
	/* After bytes were read at offset: it may change them. false: the cells cannot be read. NULL: as they are. */
	bool (*reads)(void *data, uint64_t offset, uint8_t *bytes, size_t n);
};

/* path: the file that is the content, made as long as the disk; NULL: memory. bytes 0: a drive without a medium. */
int scsi_disk_new(const char *path, uint64_t bytes, const char *model,
	const struct scsi_disk_ops *ops, void *data, struct scsi_disk **ret, struct err *e);
struct scsi_disk *scsi_disk_free(struct scsi_disk *d);
DEFINE_CLEANUP(struct scsi_disk, scsi_disk_free)

/* The interface and its endpoints, of 9 + 7 + 7 bytes. */
void scsi_disk_describe(
	struct wbytes *w, uint8_t interface, uint8_t ep_in, uint8_t ep_out, uint16_t packet);
/* As struct gadget_ops. */
int scsi_disk_control(struct scsi_disk *d, const uint8_t setup[8], uint8_t *data, size_t size);
int scsi_disk_out(struct scsi_disk *d, const uint8_t *p, size_t n);
ssize_t scsi_disk_in(struct scsi_disk *d, uint8_t *buf, size_t size);
/* The host configured the device. */
void scsi_disk_reset(struct scsi_disk *d);

uint64_t scsi_disk_bytes(const struct scsi_disk *d);
/* Another capacity from now on, as of a card that was exchanged: the file keeps what it has. */
void scsi_disk_resize(struct scsi_disk *d, uint64_t bytes);
int scsi_disk_read(struct scsi_disk *d, uint64_t offset, void *buf, size_t n);
/* Content that it comes with. */
void scsi_disk_put(struct scsi_disk *d, uint64_t offset, const void *bytes, size_t n);
uint64_t scsi_disk_writes(const struct scsi_disk *d); /* commands */
uint64_t scsi_disk_syncs(const struct scsi_disk *d);
