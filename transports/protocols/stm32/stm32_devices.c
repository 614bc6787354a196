/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/stm32/stm32_devices.h"

#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"

#define K 1024u
#define M (1024u * 1024u)

#define FLASH 0x08000000u
#define PAGES(n)               \
	{                      \
		{              \
			(n), 0 \
		}              \
	}
/* Sectors of the F2 and F4, and of the F7. */
#define SECTORS_16K                       \
	{                                 \
		{16 * K, 4}, {64 * K, 1}, \
		{                         \
			128 * K, 0        \
		}                         \
	}
#define SECTORS_32K                        \
	{                                  \
		{32 * K, 4}, {128 * K, 1}, \
		{                          \
			256 * K, 0         \
		}                          \
	}
#define SECTORS_16K_TWICE                                                         \
	{                                                                         \
		{16 * K, 4}, {64 * K, 1}, {128 * K, 7}, {16 * K, 4}, {64 * K, 1}, \
		{                                                                 \
			128 * K, 0                                                \
		}                                                                 \
	}

#define TWO   STM32_TWO_BANKS
#define EMPTY STM32_EMPTY_CHECK
#define NAMED STM32_NO_MASS_ERASE
#define OPT   STM32_PAGES_BY_OPTION

/* Sorted by id. Columns: pid, name, base, max, size register, unique id, unit, erased, RAM, quirks,
 * pages. */
const struct stm32_device stm32_devices[] = {
	{0x410, "STM32F10x medium density", FLASH, 128 * K, 0x1ffff7e0, 0x1ffff7e8, 2, 0xff,
		0x20000200, 0, PAGES(1 * K)},
	{0x411, "STM32F2xx", FLASH, 1 * M, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20002000, 0,
		SECTORS_16K},
	{0x412, "STM32F10x low density", FLASH, 32 * K, 0x1ffff7e0, 0x1ffff7e8, 2, 0xff, 0x20000200,
		0, PAGES(1 * K)},
	{0x413, "STM32F405/407/415/417", FLASH, 1 * M, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000,
		0, SECTORS_16K},
	{0x414, "STM32F10x high density", FLASH, 512 * K, 0x1ffff7e0, 0x1ffff7e8, 2, 0xff,
		0x20000200, 0, PAGES(2 * K)},
	{0x415, "STM32L47x/L48x", FLASH, 1 * M, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20003100, TWO,
		PAGES(2 * K)},
	{0x416, "STM32L1 cat. 1", FLASH, 128 * K, 0x1ff8004c, 0, 4, 0x00, 0x20000800, NAMED,
		PAGES(256)},
	{0x417, "STM32L05x/L06x", FLASH, 64 * K, 0x1ff8007c, 0, 4, 0x00, 0x20001000, NAMED,
		PAGES(128)},
	{0x418, "STM32F105/F107", FLASH, 256 * K, 0x1ffff7e0, 0x1ffff7e8, 2, 0xff, 0x20001000, 0,
		PAGES(2 * K)},
	{0x419, "STM32F42x/F43x", FLASH, 2 * M, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000,
		TWO | OPT, SECTORS_16K_TWICE},
	{0x420, "STM32F100 low and medium density", FLASH, 128 * K, 0x1ffff7e0, 0x1ffff7e8, 2, 0xff,
		0x20000200, 0, PAGES(1 * K)},
	{0x421, "STM32F446", FLASH, 512 * K, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000, 0,
		SECTORS_16K},
	{0x422, "STM32F302xB-C/F303xB-C/F358", FLASH, 256 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff,
		0x20001400, 0, PAGES(2 * K)},
	{0x423, "STM32F401xB-C", FLASH, 256 * K, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000, 0,
		SECTORS_16K},
	{0x425, "STM32L031/L041", FLASH, 32 * K, 0x1ff8007c, 0, 4, 0x00, 0x20001000, NAMED,
		PAGES(128)},
	{0x427, "STM32L1 cat. 3", FLASH, 256 * K, 0x1ff800cc, 0, 4, 0x00, 0x20001000, NAMED,
		PAGES(256)},
	{0x428, "STM32F100 high density", FLASH, 512 * K, 0x1ffff7e0, 0x1ffff7e8, 2, 0xff,
		0x20000200, 0, PAGES(2 * K)},
	{0x429, "STM32L1 cat. 2", FLASH, 128 * K, 0x1ff8004c, 0, 4, 0x00, 0x20001000, NAMED,
		PAGES(256)},
	{0x430, "STM32F10x XL density", FLASH, 1 * M, 0x1ffff7e0, 0x1ffff7e8, 2, 0xff, 0x20000800,
		TWO, PAGES(2 * K)},
	{0x431, "STM32F411", FLASH, 512 * K, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000, 0,
		SECTORS_16K},
	{0x432, "STM32F37x", FLASH, 256 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff, 0x20001400, 0,
		PAGES(2 * K)},
	{0x433, "STM32F401xD-E", FLASH, 512 * K, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000, 0,
		SECTORS_16K},
	{0x434, "STM32F469/F479", FLASH, 2 * M, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000,
		TWO | OPT, SECTORS_16K_TWICE},
	{0x435, "STM32L43x/L44x", FLASH, 256 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20003100,
		EMPTY, PAGES(2 * K)},
	{0x436, "STM32L1 cat. 4", FLASH, 384 * K, 0x1ff800cc, 0, 4, 0x00, 0x20001000, NAMED | TWO,
		PAGES(256)},
	{0x437, "STM32L1 cat. 5", FLASH, 512 * K, 0x1ff800cc, 0, 4, 0x00, 0x20001000, NAMED | TWO,
		PAGES(256)},
	{0x438, "STM32F303x4-8/F328/F334", FLASH, 64 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff,
		0x20001800, 0, PAGES(2 * K)},
	{0x439, "STM32F301/F302x4-8/F318", FLASH, 64 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff,
		0x20001800, 0, PAGES(2 * K)},
	{0x440, "STM32F030x8/F05x", FLASH, 64 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff, 0x20000800, 0,
		PAGES(1 * K)},
	{0x441, "STM32F412", FLASH, 1 * M, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000, 0,
		SECTORS_16K},
	{0x442, "STM32F09x/F030xC", FLASH, 256 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff, 0x20001800,
		EMPTY, PAGES(2 * K)},
	{0x444, "STM32F03x", FLASH, 32 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff, 0x20000800, 0,
		PAGES(1 * K)},
	{0x445, "STM32F04x/F070x6", FLASH, 32 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff, 0x20001800,
		EMPTY, PAGES(1 * K)},
	{0x446, "STM32F302xD-E/F303xD-E/F398", FLASH, 512 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff,
		0x20001800, 0, PAGES(2 * K)},
	{0x447, "STM32L07x/L08x", FLASH, 192 * K, 0x1ff8007c, 0, 4, 0x00, 0x20002000, NAMED | TWO,
		PAGES(128)},
	{0x448, "STM32F07x", FLASH, 128 * K, 0x1ffff7cc, 0x1ffff7ac, 2, 0xff, 0x20001800, EMPTY,
		PAGES(2 * K)},
	{0x449, "STM32F74x/F75x", FLASH, 1 * M, 0x1ff0f442, 0x1ff0f420, 4, 0xff, 0x20004000, 0,
		SECTORS_32K},
	{0x450, "STM32H74x/H75x", FLASH, 2 * M, 0x1ff1e880, 0x1ff1e800, 32, 0xff, 0x20004100, TWO,
		PAGES(128 * K)},
	{0x451, "STM32F76x/F77x", FLASH, 2 * M, 0x1ff0f442, 0x1ff0f420, 4, 0xff, 0x20004000,
		TWO | OPT, SECTORS_32K},
	{0x452, "STM32F72x/F73x", FLASH, 512 * K, 0x1ff07a22, 0x1ff07a10, 4, 0xff, 0x20004000, 0,
		SECTORS_16K},
	{0x456, "STM32G05x/G06x", FLASH, 64 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20001000, EMPTY,
		PAGES(2 * K)},
	{0x457, "STM32L01x/L02x", FLASH, 16 * K, 0x1ff8007c, 0, 4, 0x00, 0x20000800, NAMED,
		PAGES(128)},
	{0x458, "STM32F410", FLASH, 128 * K, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000, 0,
		SECTORS_16K},
	{0x460, "STM32G07x/G08x", FLASH, 128 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20002700,
		EMPTY, PAGES(2 * K)},
	{0x461, "STM32L496/L4A6", FLASH, 1 * M, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20003100, TWO,
		PAGES(2 * K)},
	{0x462, "STM32L45x/L46x", FLASH, 512 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20003100,
		EMPTY, PAGES(2 * K)},
	{0x463, "STM32F413/F423", FLASH, 1536 * K, 0x1fff7a22, 0x1fff7a10, 4, 0xff, 0x20003000, 0,
		SECTORS_16K},
	{0x464, "STM32L41x/L42x", FLASH, 128 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20003100,
		EMPTY, PAGES(2 * K)},
	{0x466, "STM32G03x/G04x", FLASH, 64 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20001000, EMPTY,
		PAGES(2 * K)},
	{0x467, "STM32G0Bx/G0Cx", FLASH, 512 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20004000,
		TWO | EMPTY, PAGES(2 * K)},
	{0x468, "STM32G43x/G44x", FLASH, 128 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20004000, 0,
		PAGES(2 * K)},
	{0x469, "STM32G47x/G48x", FLASH, 512 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20004000,
		TWO | OPT, PAGES(2 * K)},
	{0x470, "STM32L4Rx/L4Sx", FLASH, 2 * M, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20003200,
		TWO | OPT, PAGES(4 * K)},
	{0x472, "STM32L5x2", FLASH, 512 * K, 0x0bfa05e0, 0x0bfa0590, 8, 0xff, 0x20004000, TWO | OPT,
		PAGES(2 * K)},
	{0x479, "STM32G49x/G4Ax", FLASH, 512 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20004000, 0,
		PAGES(2 * K)},
	{0x480, "STM32H7Ax/H7Bx", FLASH, 2 * M, 0x08fff80c, 0x08fff800, 16, 0xff, 0x20004100, TWO,
		PAGES(8 * K)},
	{0x482, "STM32U575/U585", FLASH, 2 * M, 0x0bfa07a0, 0x0bfa0700, 16, 0xff, 0x20004000, TWO,
		PAGES(8 * K)},
	{0x483, "STM32H72x/H73x", FLASH, 1 * M, 0x1ff1e880, 0x1ff1e800, 32, 0xff, 0x20004100, 0,
		PAGES(128 * K)},
	{0x484, "STM32H56x/H57x", FLASH, 2 * M, 0x08fff80c, 0x08fff800, 16, 0xff, 0x20004000, TWO,
		PAGES(8 * K)},
	{0x494, "STM32WB1x", FLASH, 320 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20005000, EMPTY,
		PAGES(2 * K)},
	{0x495, "STM32WB5x", FLASH, 1 * M, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20005000, EMPTY,
		PAGES(4 * K)},
	{0x497, "STM32WLE5/WL55", FLASH, 256 * K, 0x1fff75e0, 0x1fff7590, 8, 0xff, 0x20002000,
		EMPTY, PAGES(2 * K)},
};

const size_t stm32_device_count = ARRAY_LEN(stm32_devices);

const struct stm32_device *stm32_device_by_pid(uint16_t pid)
{
	for (size_t i = 0; i < ARRAY_LEN(stm32_devices); i++)
		if (stm32_devices[i].pid == pid)
			return &stm32_devices[i];
	return NULL;
}

static bool parse_run(const char *text, size_t n, struct stm32_run *ret)
{
	_cleanup_(freep) char *s = strndup(text, n);
	char *star = strchr(s, '*');
	unsigned long long count = 1;
	unsigned long long bytes;

	if (star)
		*star = 0;
	if (star && (!parse_size(s, &count) || count == 0 || count > UINT16_MAX))
		return false;
	if (!parse_size(star ? star + 1 : s, &bytes) || bytes == 0 || bytes > 16 * M || bytes % 4)
		return false;
	*ret = (struct stm32_run){(uint32_t)bytes, (uint32_t)count};
	return true;
}

int stm32_runs_parse(const char *text, struct stm32_run run[STM32_RUNS_MAX], struct err *e)
{
	size_t n = 0;

	memset(run, 0, STM32_RUNS_MAX * sizeof *run);
	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ",");

		if (n + 1 == STM32_RUNS_MAX || !parse_run(p, len, &run[n]))
			return err_set(e, ERR_INVALID,
				"'%s' is not a list of pages (as '4*16K,64K,7*128K')", text);
		n++;
		p += len;
		if (!*p)
			return 0;
	}
}

/* Goes through the runs; the last one has no end. */
static struct stm32_page walk(const struct stm32_device *d, uint32_t v, bool by_number)
{
	struct stm32_page p = {0, 0, d->run[0].bytes};

	for (const struct stm32_run *r = d->run;; r++) {
		bool last = r + 1 == d->run + STM32_RUNS_MAX || r[1].bytes == 0;
		uint32_t skip = by_number ? v - p.number : (v - p.offset) / r->bytes;

		p.bytes = r->bytes;
		if (last || skip < r->count) {
			p.number += skip;
			p.offset += skip * r->bytes;
			return p;
		}
		p.number += r->count;
		p.offset += r->count * r->bytes;
	}
}

struct stm32_page stm32_page_at(const struct stm32_device *d, uint32_t offset)
{
	return walk(d, offset, false);
}

struct stm32_page stm32_page_of(const struct stm32_device *d, uint32_t number)
{
	return walk(d, number, true);
}

uint32_t stm32_page_count(const struct stm32_device *d, uint32_t flash_bytes)
{
	return flash_bytes ? stm32_page_at(d, flash_bytes - 1).number + 1 : 0;
}

uint32_t stm32_rdp_word(uint16_t pid)
{
	return pid == 0x413 || pid == 0x419 ? 0x1fffc000 : 0;
}
