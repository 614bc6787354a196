/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices that are off the specification, as their users have found out.
 */
#include "transports/protocols/dfu/dfu.h"

static const struct {
	uint16_t vid, pid_low, pid_high, release_low, release_high;
	unsigned quirks;
	const char *what;
} rows[] = {
	{0x1d50, 0x5117, 0x5126, 0, 0xffff, DFU_QUIRK_POLL_5MS, "Openmoko phones and debug boards"},
	{0x1457, 0x5117, 0x5126, 0, 0xffff, DFU_QUIRK_POLL_5MS, "FIC, the same with another id"},
	{0x16c0, 0x076b, 0x076c, 0, 0xffff, DFU_QUIRK_POLL_5MS, "OpenPCD, OpenPICC"},
	{0x16c0, 0x0762, 0x0762, 0, 0xffff, DFU_QUIRK_POLL_5MS, "SIMtrace"},
	{0x0763, 0x2806, 0x2806, 0, 0xffff, DFU_QUIRK_POLL_5MS, "M-Audio Transit"},
	{0x0908, 0x02c4, 0x02c5, 0, 0, DFU_QUIRK_POLL_5MS, "Siemens PXM 40 and 50"},
	{0x1eaf, 0x0003, 0x0003, 0x0200, 0x0200, DFU_QUIRK_VERSION_110, "Leaf Maple bootloader"},
	{0x28e9, 0x0189, 0x0189, 0, 0xffff, DFU_QUIRK_SILENT_LEAVE, "GigaDevice GD32VF103"},
	{0x0483, 0xdf11, 0xdf11, 0, 0xffff, DFU_QUIRK_LONG_ERASE | DFU_QUIRK_STALLS_BUSY,
		"ST's boot ROM: the F405 lies about a mass erase, some L4 stall while busy"},
	{0x1fc9, 0x000c, 0x000c, 0, 0xffff, DFU_QUIRK_DFU_PROTOCOL1, "NXP LPC boot ROM"},
	{0x0b0e, 0x0000, 0xffff, 0, 0xffff, DFU_QUIRK_DFU_PROTOCOL0, "Jabra headsets"},
};

unsigned dfu_quirks(uint16_t vid, uint16_t pid, uint16_t release)
{
	unsigned quirks = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].vid == vid && pid >= rows[i].pid_low && pid <= rows[i].pid_high &&
			release >= rows[i].release_low && release <= rows[i].release_high)
			quirks |= rows[i].quirks;
	return quirks;
}
