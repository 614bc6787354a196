/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/probe/f103.h"

#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"

/* Flash controller, PM0075 3. */
#define FLASH_KEYR  0x40022004u
#define FLASH_SR    0x4002200cu
#define FLASH_CR    0x40022010u
#define FLASH_AR    0x40022014u
#define FLASH_OBR   0x4002201cu
#define FLASH_WRPR  0x40022020u
#define KEY1	    0x45670123u
#define KEY2	    0xcdef89abu
#define SR_PGERR    (1u << 2)
#define SR_WRPRTERR (1u << 4)
#define SR_EOP	    (1u << 5)
#define CR_PG	    (1u << 0)
#define CR_PER	    (1u << 1)
#define CR_MER	    (1u << 2)
#define CR_STRT	    (1u << 6)
#define CR_LOCK	    (1u << 7)
/* RM0008 30.6, 31. */
#define DBGMCU_IDCODE	 0xe0042000u
#define MEDIUM_DENSITY_Y 0x20036410u
#define F407_Z		 0x10076413u
#define FLASH_SIZE_REG	 0x1ffff7e0u
#define UID_REG		 0x1ffff7e8u
#define OPTION_BYTES	 0x1ffff800u
#define OBR_RDPRT	 (1u << 1)
/* Under read protection these are write-protected as well (PM0075 2.4.1). */
#define LOCKED_BYTES 4096u
/* ARMv7-M: B3.2, C1.6 to C1.11. */
#define CPUID	       0xe000ed00u
#define CORTEX_M3_R1P1 0x411fc231u
#define CORTEX_M4_R0P1 0x410fc241u
#define AIRCR	       0xe000ed0cu
#define DFSR	       0xe000ed30u
#define DHCSR	       0xe000edf0u
#define DCRSR	       0xe000edf4u
#define DCRDR	       0xe000edf8u
#define DEMCR	       0xe000edfcu
#define DWT_CTRL       0xe0001000u
#define FP_CTRL	       0xe0002000u
#define C_DEBUGEN      (1u << 0)
#define C_HALT	       (1u << 1)
#define C_STEP	       (1u << 2)
#define S_REGRDY       (1u << 16)
#define S_HALT	       (1u << 17)
#define S_RETIRE_ST    (1u << 24)
#define S_RESET_ST     (1u << 25)
#define DFSR_HALTED    (1u << 0)
#define DFSR_VCATCH    (1u << 3)
#define VC_CORERESET   (1u << 0)
#define REG_SP	       13
#define REG_PC	       15
#define REG_XPSR       16
#define XPSR_THUMB     (1u << 24)

const struct own_fault f103_faults[] = {
	[F103_FAULT_ERASE] = {"erase", "an erase is refused: the page is write-protected", 0},
	[F103_FAULT_PROG] = {"prog", "from OFFSET on a write is refused", 0x200},
	[F103_FAULT_NO_WRITE] = {"no-write", "a write is acknowledged and not done", 0},
	[F103_FAULT_VERIFY] = {"verify", "the cell at OFFSET reads back wrong", 0x100},
	[F103_FAULT_LOCKED] = {"locked", "read protection: no debugger reads or erases the flash",
		0},
	[F103_FAULT_CHIP] = {"chip", "it is an STM32F407", 0},
	[F103_FAULT_IDCODE] = {"idcode", "its debug port has another id", 0},
	[F103_FAULT_NO_TARGET] = {"no-target",
		"nothing is on the probe: TDO and SWDIO stay high, no ACK", 0},
	[F103_FAULT_WAIT] = {"wait", "every access behind the debug port is answered by WAIT", 0},
	[F103_FAULT_BUS] = {"bus", "every access to memory fails, the next is answered by FAULT",
		0},
	[F103_FAULT_VANISH] = {"vanish",
		"the probe is pulled out at that access of a session to memory", 500},
	{0},
};

static bool fault_set(const struct f103 *c, enum f103_fault f)
{
	return own_fault_set(c->faults, f, NULL);
}

static uint32_t word_of(const uint8_t *p)
{
	struct rbytes b = rbytes_of(p, 4);

	return rb_le32(&b);
}

/* --- the unit --- */

static int preload(struct f103 *c, const struct device_config *config, struct err *e)
{
	_cleanup_(fclosep) FILE *in =
		config->preload && config->fresh ? fopen(config->preload, "re") : NULL;
	uint8_t buf[1024];
	uint32_t at = 0;
	size_t n;

	if (!config->preload || !config->fresh)
		return 0;
	if (!in)
		return err_set(e, ERR_IO, "cannot read %s", config->preload);
	while ((n = fread(buf, 1, sizeof buf, in)) > 0) {
		if (n > F103_FLASH_BYTES - at)
			return err_set(
				e, ERR_IMAGE_RANGE, "%s does not fit the flash", config->preload);
		stm32_memory_write(c->flash, F103_FLASH_BASE + at, buf, n, -1);
		at += (uint32_t)n;
	}
	return ferror(in) ? err_set(e, ERR_IO, "cannot read %s", config->preload) : 0;
}

int f103_init(struct f103 *c, const struct device_config *config, struct err *e)
{
	const char *uid = config->uid ? config->uid : "";
	int r;

	*c = (struct f103){.faults = config->faults};
	for (size_t i = 0; i < ARRAY_LEN(c->uid); i++) {
		char word[9] = "";

		if (strlen(uid) >= 8 * (i + 1))
			memcpy(word, uid + 8 * i, 8);
		c->uid[i] = (uint32_t)strtoul(word, NULL, 16);
	}
	r = stm32_memory_new(
		F103_FLASH_BASE, F103_FLASH_BYTES, 0xff, "1K", config->dir, &c->flash, e);
	if (r == 0)
		r = stm32_otp_new(config->dir, &c->otp, e);
	return r == 0 ? preload(c, config, e) : r;
}

void f103_done(struct f103 *c)
{
	c->flash = stm32_memory_free(c->flash);
	c->otp = stm32_otp_free(c->otp);
}

void f103_power_on(struct f103 *c)
{
	c->dhcsr = c->demcr = c->dfsr = 0;
	f103_reset(c);
}

void f103_json(const struct f103 *c, bool whole, json_t *o)
{
	uint32_t used = stm32_memory_used(c->flash);
	char hex[SHA256_HEX], otp[2 * STM32_OTP_BYTES + 1];

	json_object_set_new(o, "flash_used", json_integer(used));
	json_object_set_new(o, "erases", json_integer((json_int_t)c->erases));
	json_object_set_new(o, "writes", json_integer((json_int_t)c->writes));
	json_object_set_new(o, "refused", json_integer((json_int_t)c->refused));
	json_object_set_new(o, "otp_writes", json_integer(c->otp->writes));
	if (!whole)
		return;
	json_object_set_new(o, "otp", json_string(hex_of(c->otp->cell, sizeof c->otp->cell, otp)));
	sha256_hex_of(c->flash->cell, used, hex);
	json_object_set_new(o, "flash_sha256", json_string(hex));
}

void f103_reset(struct f103 *c)
{
	memset(c->reg, 0, sizeof c->reg);
	c->reg[REG_SP] = word_of(c->flash->cell);
	c->reg[REG_PC] = word_of(c->flash->cell + 4) & ~1u;
	c->reg[REG_XPSR] = XPSR_THUMB;
	c->was_reset = true;
	c->cr = CR_LOCK;
	c->sr = 0;
	c->first_key = false;
	c->halted = (c->demcr & VC_CORERESET) && (c->dhcsr & C_DEBUGEN);
	if (c->halted)
		c->dfsr |= DFSR_VCATCH;
}

/* --- memory --- */

static bool read_flash(struct f103 *c, uint32_t offset, uint32_t *ret)
{
	double bad;

	if (fault_set(c, F103_FAULT_LOCKED))
		return false;
	*ret = word_of(c->flash->cell + offset);
	if (own_fault_set(c->faults, F103_FAULT_VERIFY, &bad) && offset == ((uint32_t)bad & ~3u))
		*ret ^= 1;
	return true;
}

static uint32_t read_dhcsr(struct f103 *c)
{
	uint32_t v = (c->dhcsr & 0xf) | S_REGRDY | (c->halted ? S_HALT : S_RETIRE_ST) |
		     (c->was_reset ? S_RESET_ST : 0);

	c->was_reset = false;
	return v;
}

static uint32_t read_register(struct f103 *c, uint32_t a)
{
	switch (a) {
	case CPUID:
		return fault_set(c, F103_FAULT_CHIP) ? CORTEX_M4_R0P1 : CORTEX_M3_R1P1;
	case DBGMCU_IDCODE:
		return fault_set(c, F103_FAULT_CHIP) ? F407_Z : MEDIUM_DENSITY_Y;
	case FLASH_SIZE_REG:
		return 0xffff0000u | F103_FLASH_BYTES >> 10;
	case UID_REG:
	case UID_REG + 4:
	case UID_REG + 8:
		return c->uid[(a - UID_REG) / 4];
	case OPTION_BYTES:
		return fault_set(c, F103_FAULT_LOCKED) ? 0x00ffff00u : 0x00ff5aa5u;
	case DHCSR:
		return read_dhcsr(c);
	case DCRDR:
		return c->dcrdr;
	case DEMCR:
		return c->demcr;
	case DFSR:
		return c->dfsr;
	case FP_CTRL:
		return 0x260u | c->fpb; /* six code and two literal comparators */
	case DWT_CTRL:
		return 0x40000000u; /* four comparators */
	case FLASH_SR:
		return c->sr;
	case FLASH_CR:
		return c->cr;
	case FLASH_AR:
		return c->ar;
	case FLASH_OBR:
		return 0x03fffffcu | (fault_set(c, F103_FAULT_LOCKED) ? OBR_RDPRT : 0);
	case FLASH_WRPR:
		return 0xffffffffu;
	}
	return 0;
}

bool f103_read(struct f103 *c, uint32_t address, uint32_t *ret)
{
	uint32_t a = address & ~3u;

	if (fault_set(c, F103_FAULT_BUS))
		return false;
	if (a - F103_FLASH_BASE < F103_FLASH_BYTES)
		return read_flash(c, a - F103_FLASH_BASE, ret);
	if (a < F103_FLASH_BYTES) /* BOOT0 is low: flash lies at 0 as well */
		return read_flash(c, a, ret);
	if (a - F103_RAM_BASE < F103_RAM_BYTES)
		*ret = word_of(c->ram + (a - F103_RAM_BASE));
	else if (stm32_otp_holds(a, 4))
		*ret = word_of(c->otp->cell + (a - STM32_OTP_BASE));
	else
		*ret = read_register(c, a);
	return true;
}

/* --- the flash controller --- */

/* Whether read protection keeps that page from being changed. */
static bool is_locked(const struct f103 *c, uint32_t address)
{
	return fault_set(c, F103_FAULT_LOCKED) && address - F103_FLASH_BASE < LOCKED_BYTES;
}

/* Half-words, unlocked, with PG, into erased cells (PM0075 2.3.3). */
static void program(struct f103 *c, uint32_t address, uint32_t v, unsigned bytes)
{
	uint8_t half[2];
	struct wbytes w = wbytes_of(half, sizeof half);
	double from;
	bool bad = (c->cr & CR_LOCK) || !(c->cr & CR_PG) || bytes != 2 || address % 2;

	wb_le16(&w, (uint16_t)v);
	if (is_locked(c, address)) {
		c->sr |= SR_WRPRTERR;
		c->refused++;
		return;
	}
	if (own_fault_set(c->faults, F103_FAULT_PROG, &from) &&
		address - F103_FLASH_BASE >= (uint32_t)from)
		bad = true;
	if (!bad && !own_fault_set(c->faults, F103_FAULT_NO_WRITE, NULL))
		bad = !stm32_memory_write(c->flash, address, half, sizeof half, -1);
	c->sr |= bad ? SR_PGERR : SR_EOP;
	if (bad)
		c->refused++;
	else
		c->writes++;
}

static void program_otp(struct f103 *c, uint32_t address, const uint8_t *p, unsigned bytes)
{
	bool bad = (c->cr & CR_LOCK) || !(c->cr & CR_PG) || address % bytes;

	if (!bad && !own_fault_set(c->faults, F103_FAULT_NO_WRITE, NULL))
		bad = !stm32_otp_write(c->otp, address, p, bytes);
	c->sr |= bad ? SR_PGERR : SR_EOP;
	if (bad)
		c->refused++;
}

static void erase(struct f103 *c)
{
	uint32_t page = (c->ar - F103_FLASH_BASE) / 1024;

	if (is_locked(c, c->cr & CR_MER ? F103_FLASH_BASE : c->ar) ||
		own_fault_hit(c->faults, F103_FAULT_ERASE, NULL)) {
		c->sr |= SR_WRPRTERR;
		return;
	}
	if (c->cr & CR_MER)
		stm32_memory_erase_all(c->flash);
	else if ((c->cr & CR_PER) && c->ar >= F103_FLASH_BASE)
		stm32_memory_erase(c->flash, page);
	c->erases++;
	c->sr |= SR_EOP;
}

static void write_key(struct f103 *c, uint32_t v)
{
	if (v == KEY2 && c->first_key)
		c->cr &= ~CR_LOCK;
	c->first_key = v == KEY1;
}

static void write_cr(struct f103 *c, uint32_t v)
{
	if (c->cr & CR_LOCK)
		return;
	c->cr = v & ~CR_STRT;
	if (v & CR_STRT)
		erase(c);
}

/* --- the core --- */

static void write_dhcsr(struct f103 *c, uint32_t v)
{
	if (v >> 16 != 0xa05f)
		return;
	c->dhcsr = v & 0xf;
	if ((v & C_HALT) && !c->halted)
		c->dfsr |= DFSR_HALTED;
	c->halted = (v & C_HALT) != 0;
	/* A step ends where it began: nothing is executed. */
	if (v & C_STEP) {
		c->halted = true;
		c->dfsr |= DFSR_HALTED;
	}
}

static void write_register(struct f103 *c, uint32_t a, uint32_t v)
{
	switch (a) {
	case DHCSR:
		write_dhcsr(c, v);
		break;
	case DCRSR:
		if (v & 1u << 16)
			c->reg[v & 0x7f] = c->dcrdr;
		else
			c->dcrdr = c->reg[v & 0x7f];
		break;
	case DCRDR:
		c->dcrdr = v;
		break;
	case DEMCR:
		c->demcr = v;
		break;
	case DFSR:
		c->dfsr &= ~v;
		break;
	case FP_CTRL:
		if (v & 2)
			c->fpb = v & 1;
		break;
	case AIRCR:
		if (v >> 16 == 0x05fa && (v & 5))
			f103_reset(c);
		break;
	case FLASH_KEYR:
		write_key(c, v);
		break;
	case FLASH_SR:
		c->sr &= ~v;
		break;
	case FLASH_CR:
		write_cr(c, v);
		break;
	case FLASH_AR:
		c->ar = v;
		break;
	}
}

bool f103_write(struct f103 *c, uint32_t address, uint32_t value, unsigned bytes)
{
	uint8_t le[4];
	struct wbytes w = wbytes_of(le, sizeof le);

	wb_le32(&w, value);
	if (fault_set(c, F103_FAULT_BUS))
		return false;
	if (address - F103_RAM_BASE < F103_RAM_BYTES &&
		bytes <= F103_RAM_BYTES - (address - F103_RAM_BASE))
		memcpy(c->ram + (address - F103_RAM_BASE), le, bytes);
	else if (address - F103_FLASH_BASE < F103_FLASH_BYTES)
		program(c, address, value, bytes);
	else if (stm32_otp_holds(address, bytes))
		program_otp(c, address, le, bytes);
	else
		write_register(c, address, value);
	return true;
}
