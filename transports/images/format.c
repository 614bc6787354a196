/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/format.h"

#include <string.h>

#include "base/util.h"

static const struct {
	const char *str;
	const char *name;
	bool firmware;
} formats[] = {
	[IMAGE_BIN] = {"bin", "a raw binary", true},
	[IMAGE_ELF] = {"elf", "an ELF file", true},
	[IMAGE_IHEX] = {"ihex", "an Intel HEX file", true},
	[IMAGE_SREC] = {"srec", "a Motorola S-record file", true},
	[IMAGE_UF2] = {"uf2", "a UF2 file", true},
	[IMAGE_TITXT] = {"ti-txt", "a TI-TXT file", true},
	[IMAGE_DFU] = {"dfu", "a DFU file", true},
	[IMAGE_SPARSE] = {"sparse", "an Android sparse image", false},
	[IMAGE_BOOTIMG] = {"bootimg", "an Android boot image", false},
	[IMAGE_ZIP] = {"zip", "a zip archive", false},
	[IMAGE_ANY] = {"any", "any file", false},
};

const char *image_format_name(enum image_format f)
{
	return formats[f].name;
}

const char *image_format_str(enum image_format f)
{
	return formats[f].str;
}

bool image_format_is_firmware(enum image_format f)
{
	return formats[f].firmware;
}

int image_format_from_str(const char *s)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (!strcmp(formats[i].str, s))
			return (int)i;
	return -1;
}
