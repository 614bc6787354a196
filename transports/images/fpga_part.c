/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/fpga_part.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/strbuf.h"
#include "base/util.h"

#define ANY_VERSION 0x0fffffffu
#define IR_BITS_MAX 32

static const struct {
	const char *name;
	unsigned ir_bits;
	uint32_t ir_idcode, idcode_mask;
} families[] = {
	/* The version of the die changes, and says nothing of the part. */
	[FPGA_XC7] = {"the 7 series of Xilinx", 6, 0x09, ANY_VERSION},
	/* There the version tells an LFE5U from an LFE5UM. */
	[FPGA_ECP5] = {"ECP5", 8, 0xe0, UINT32_MAX},
	[FPGA_MACHXO2] = {"MachXO2", 8, 0xe0, UINT32_MAX},
	[FPGA_CYCLONE] = {"Cyclone or MAX 10", 10, 0x006, ANY_VERSION},
	[FPGA_OTHER] = {"another device", 0, 0, UINT32_MAX},
};

/* A longer name before one that it begins with. */
static const struct {
	const char *name;
	enum fpga_family family;
	uint32_t idcode;
} parts[] = {
	{"xc7a100t", FPGA_XC7, 0x03631093},
	{"xc7a12t", FPGA_XC7, 0x037c3093},
	{"xc7a15t", FPGA_XC7, 0x0362e093},
	{"xc7a200t", FPGA_XC7, 0x03636093},
	{"xc7a25t", FPGA_XC7, 0x037c2093},
	{"xc7a35t", FPGA_XC7, 0x0362d093},
	{"xc7a50t", FPGA_XC7, 0x0362c093},
	{"xc7a75t", FPGA_XC7, 0x03632093},
	{"xc7k160t", FPGA_XC7, 0x0364c093},
	{"xc7k325t", FPGA_XC7, 0x03651093},
	{"xc7k410t", FPGA_XC7, 0x03656093},
	{"xc7k70t", FPGA_XC7, 0x03647093},
	{"xc7s100", FPGA_XC7, 0x037c7093},
	{"xc7s15", FPGA_XC7, 0x03620093},
	{"xc7s25", FPGA_XC7, 0x037c4093},
	{"xc7s50", FPGA_XC7, 0x0362f093},
	{"xc7s6", FPGA_XC7, 0x03622093},
	{"xc7s75", FPGA_XC7, 0x037c8093},
	{"lfe5um5g-25", FPGA_ECP5, 0x81111043},
	{"lfe5um5g-45", FPGA_ECP5, 0x81112043},
	{"lfe5um5g-85", FPGA_ECP5, 0x81113043},
	{"lfe5um-25", FPGA_ECP5, 0x01111043},
	{"lfe5um-45", FPGA_ECP5, 0x01112043},
	{"lfe5um-85", FPGA_ECP5, 0x01113043},
	{"lfe5u-12", FPGA_ECP5, 0x21111043},
	{"lfe5u-25", FPGA_ECP5, 0x41111043},
	{"lfe5u-45", FPGA_ECP5, 0x41112043},
	{"lfe5u-85", FPGA_ECP5, 0x41113043},
	{"lcmxo2-640hc", FPGA_MACHXO2, 0x012b9043},
	{"lcmxo2-1200hc", FPGA_MACHXO2, 0x012ba043},
	{"lcmxo2-7000hc", FPGA_MACHXO2, 0x012bd043},
	{"lcmxo2-7000he", FPGA_MACHXO2, 0x012b5043},
	{"10cl025", FPGA_CYCLONE, 0x020f30dd},
	{"10m08", FPGA_CYCLONE, 0x031820dd},
	{"ep4ce115", FPGA_CYCLONE, 0x020f70dd},
	{"ep4ce22", FPGA_CYCLONE, 0x020f30dd},
};

static struct fpga_part part_of(const char *name, enum fpga_family f, uint32_t idcode)
{
	struct fpga_part p = {.family = f,
		.idcode = idcode,
		.idcode_mask = families[f].idcode_mask,
		.ir_bits = families[f].ir_bits,
		.ir_idcode = families[f].ir_idcode};

	snprintf(p.name, sizeof p.name, "%s", name);
	return p;
}

/* "0x4ba00477/4" */
static bool by_number(const char *name, struct fpga_part *ret)
{
	char id[16];
	const char *slash = strchr(name, '/');
	unsigned long long idcode, bits;

	if (!slash || (size_t)(slash - name) >= sizeof id)
		return false;
	snprintf(id, sizeof id, "%.*s", (int)(slash - name), name);
	if (strncmp(id, "0x", 2) != 0 || !parse_size(id, &idcode) || idcode > UINT32_MAX ||
		!parse_size(slash + 1, &bits) || bits < 2 || bits > IR_BITS_MAX)
		return false;
	*ret = part_of(name, FPGA_OTHER, (uint32_t)idcode);
	ret->ir_bits = (unsigned)bits;
	return true;
}

int fpga_part_find(const char *name, struct fpga_part *ret, struct err *e)
{
	const char *names[ARRAY_LEN(parts) + 1] = {NULL};
	const char *near;

	if (by_number(name, ret))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t skip =
			strncasecmp(name, "xc", 2) != 0 && parts[i].family == FPGA_XC7 ? 2 : 0;

		names[i] = parts[i].name;
		if (strncasecmp(name, parts[i].name + skip, strlen(parts[i].name + skip)) != 0)
			continue;
		*ret = part_of(parts[i].name, parts[i].family, parts[i].idcode);
		return 0;
	}
	near = nearest_name(name, names);
	return err_set(e, ERR_RECIPE_INVALID,
		"part '%.40s' is not known%s%s: a name such as xc7a35t or lfe5u-25 expected, or for another device of the chain IDCODE/LENGTH as in 0x4ba00477/4",
		name, near ? "; near to it is " : "", near ? near : "");
}

bool fpga_part_has(const struct fpga_part *p, uint32_t idcode)
{
	return ((p->idcode ^ idcode) & p->idcode_mask) == 0;
}

const char *fpga_part_name(uint32_t idcode)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (((parts[i].idcode ^ idcode) & families[parts[i].family].idcode_mask) == 0)
			return parts[i].name;
	return NULL;
}

const char *fpga_family_name(enum fpga_family f)
{
	return families[f].name;
}
