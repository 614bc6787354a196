/* SPDX-License-Identifier: Apache-2.0
 *
 * What a whole file looks like that goes to a partition: Android boot images (AOSP
 * system/tools/mkbootimg, bootimg.h), vendor boot images, vbmeta and AVB footers (AOSP
 * external/avb, libavb), file systems, partition tables, compressed and archived things. For
 * warnings: only a boot image that contradicts itself is an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum content {
	CONTENT_UNKNOWN,
	CONTENT_SPARSE,
	CONTENT_BOOT,
	CONTENT_VENDOR_BOOT,
	CONTENT_VBMETA,
	CONTENT_DTBO,
	CONTENT_DTB,
	CONTENT_GZIP,
	CONTENT_LZ4,
	CONTENT_XZ,
	CONTENT_EXT4,
	CONTENT_F2FS,
	CONTENT_EROFS,
	CONTENT_SQUASHFS,
	CONTENT_DISK, /* a whole disk: a GPT */
	CONTENT_ZIP,
	CONTENT_ELF
};

enum content content_detect(const uint8_t *bytes, uint64_t n);
const char *content_name(enum content c);

struct bootimg {
	unsigned version; /* of the header, 0 to 4 */
	uint32_t page_bytes;
	uint32_t kernel_bytes, ramdisk_bytes;
	uint64_t need_bytes; /* up to the end of the last part that the header names */
};
/* -ERR_IMAGE_INVALID where the header's parts run past the file. Only of CONTENT_BOOT. */
int bootimg_check(
	const char *name, const uint8_t *bytes, uint64_t n, struct bootimg *ret, struct err *e);

/* The last 64 bytes: where the vbmeta of this partition lies. The bootloader looks for it at the
 * end of the partition, not of the file. */
#define AVB_FOOTER_BYTES 64
bool avb_footer_present(const uint8_t *bytes, uint64_t n);

/* Flags of a vbmeta image (u32, big-endian, at 120; libavb avb_vbmeta_image.h). */
#define AVB_FLAGS_OFFSET	 120
#define AVB_FLAG_NO_VERITY	 1u
#define AVB_FLAG_NO_VERIFICATION 2u

/* A sentence where such a file on that partition is likely a mistake; else "". partition may have a
 * slot after its name. */
void content_warning(const char *partition, enum content c, char *ret, size_t size);
