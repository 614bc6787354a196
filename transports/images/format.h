/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats of firmware files, and their names.
 */
#pragma once

#include <stdbool.h>

enum image_format {
	IMAGE_BIN,
	IMAGE_ELF,
	IMAGE_IHEX,
	IMAGE_SREC,
	IMAGE_UF2,
	IMAGE_TITXT, /* Texas Instruments' text of MSP430 tools */
	IMAGE_DFU,   /* any payload with a DFU suffix, and DfuSe containers */
	IMAGE_SPARSE,
	IMAGE_BOOTIMG,
	IMAGE_ZIP,
	IMAGE_ANY /* of options alone: as the content says */
};

/* "an ELF file": for sentences. */
const char *image_format_name(enum image_format f);
/* "bin", "elf", "ihex", "srec", "uf2", "ti-txt", "dfu", "sparse", "bootimg", "zip", "any": as
 * recipes write it; -1 if there is none of that name. */
const char *image_format_str(enum image_format f);
int image_format_from_str(const char *s);
/* Whether files of that format are firmware of addresses, or blobs (blob.h). */
bool image_format_is_firmware(enum image_format f);
