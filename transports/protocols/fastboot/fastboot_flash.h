/* SPDX-License-Identifier: Apache-2.0
 *
 * One image into one partition (AOSP fastboot.cpp: do_for_partitions, flash_buf):
 *
 *	has-slot, current-slot -> the partition's whole name
 *	max-download-size -> whole, or sparse pieces
 *	is-logical -> resize-logical-partition (fastbootd)
 *	partition-size -> does it fit?
 *	download, flash; for each piece the same partition
 *	fetch -> compare, where the device gives partitions back
 *
 * A device keeps one download and overwrites it with the next; a flash that failed leaves a
 * partition that is neither the old nor the new one: the error says so, and there is no going on
 * from the middle.
 */
#pragma once

#include "transports/images/blob.h"
#include "transports/protocols/fastboot/fastboot.h"

enum fastboot_verify {
	FASTBOOT_VERIFY_AUTO,  /* by fetch where the device has it */
	FASTBOOT_VERIFY_FETCH, /* by fetch, or it is an error */
	FASTBOOT_VERIFY_NONE
};

struct fastboot_flash_opts {
	const char *partition;
	const char *slot; /* as fastboot_target() */
	uint64_t limit;	  /* bytes of one download; 0: what the device says */
	bool erase;	  /* first: where the file skips blocks, the rest is then empty */
	bool unlisted;	  /* the target may be a name of the bootloader's own: it knows no such
			     partition, and takes it all the same */
	bool sparse;	  /* also what one download takes goes as a sparse image */
	bool no_sparse;	  /* the device knows no sparse images */
	bool keep_footer; /* an AVB footer stays where the file has it */
	bool skip_equal;  /* fetch first: what is there already is not written */
	bool disable_verity, disable_verification; /* of a vbmeta image */
	enum fastboot_verify verify;
};

struct fastboot_flashed {
	char target[FASTBOOT_NAME_MAX];
	uint64_t bytes; /* that were downloaded */
	unsigned pieces;
	char sha256[SHA256_HEX];		/* of the bytes that were downloaded, in order */
	uint64_t image_bytes;			/* that the partition holds of it */
	uint64_t partition_bytes, max_download; /* as the device said; 0: it did not */
	bool logical, resized;
	bool skipped; /* it was there already */
	bool fetched; /* read back and equal, in fetched_bytes */
	uint64_t fetched_bytes;
	char sha256_read[SHA256_HEX]; /* of those */
	char note[200];		      /* odd, but done; "" */
	char not_fetched[200];	      /* why it was not read back; "" */
};

/* What can be seen of the file alone: the structure and sums of a sparse image, the header of a
 * boot image. *ret: the bytes that the partition will hold. */
int fastboot_image_check(const struct blob *image, uint64_t *ret, struct err *e);
/* The bytes that the partition has, 0 where the device does not say; the target as
 * fastboot_target() made it. -ERR_NOT_FOUND where the device says that it knows no such partition:
 * nothing was sent then. */
int fastboot_partition_size(struct fastboot *f, const char *target, bool unlisted, uint64_t *ret,
	const struct iotime *it, struct err *e);
/* -ERR_NOT_FOUND as above; -ERR_IMAGE_RANGE where it does not fit the partition, before anything is
 * written; -ERR_VERIFY_MISMATCH names the first byte that reads back otherwise. */
int fastboot_flash(struct fastboot *f, const struct blob *image,
	const struct fastboot_flash_opts *o, const struct iotime *it, struct fastboot_flashed *ret,
	struct err *e);
/* The partition's name as flash() would make it, erased. */
int fastboot_erase(struct fastboot *f, const char *partition, const char *slot,
	const struct iotime *it, char ret_target[FASTBOOT_NAME_MAX], struct err *e);
/* [offset, offset + n) of a partition in order, in steps that the device allows. */
int fastboot_fetch(struct fastboot *f, const char *target, uint64_t offset, uint64_t n,
	fastboot_sink_fn *sink, void *sink_data, const struct iotime *it, struct err *e);
