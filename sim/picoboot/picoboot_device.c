/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual RP2040 or RP2350 in BOOTSEL mode, as its boot ROM answers (RP2040 datasheet, 2.8; RP2350 datasheet, 5.6). A gadget
 * only. After a reboot it is its application, which speaks nothing and has the settings' USB ids.
 *
 *	command OUT -> data OUT or IN -> an empty packet the other way
 *	refused: both endpoints stall until they are cleared
 *
 * As the ROM of the RP2040 does it, a refused erase is acknowledged there. The flash wraps at its size.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/strbuf.h"
#include "sim/device_rows.h"
#include "sim/flash.h"
#include "sim/scsi_disk.h"

#define FLASH_BASE  0x10000000u
#define FLASH_LIMIT 0x20000000u /* what the ROM takes for an address of flash */
#define ROM_BYTES   8192u
#define RAM_BASE    0x20000000u
#define RAM_END	    0x20042000u
#define SECTOR	    4096u
#define PAGE	    256u
#define PACKET	    64
/* Of a partition: sectors 0 to 0x1fff, with all permissions. */
#define ALL_SECTORS  0xffffe000u
#define NO_PARTITION 0xffu
#define EP_OUT	     3
#define EP_IN	     4
#define DRIVE_OUT    2
#define DRIVE_IN     1

enum {
	EXCLUSIVE = 1,
	REBOOT,
	ERASE,
	READ,
	WRITE,
	EXIT_XIP,
	ENTER_XIP,
	EXEC,
	VECTORIZE,
	REBOOT2,
	GET_INFO
};
/* Status: boot/picoboot.h of the pico-sdk. */
enum {
	OK,
	UNKNOWN_CMD,
	BAD_CMD_LENGTH,
	BAD_TRANSFER_LENGTH,
	BAD_ADDRESS,
	BAD_ALIGNMENT,
	REBOOTING = 7,
	NOT_PERMITTED = 10,
	BAD_ARGUMENT = 11
};

enum fault_row {
	STATUS,
	DISAPPEAR,
	SWAP,
	NO_RETURN,
	STAYS,
	WEAK_CELL,
	LOST_WRITE,
	NO_ERASE,
	SHORT_READ,
	LONG_ACK,
	LATE,
	OLD_TOKEN,
	SHORT_STATUS,
	FLIP_READ,
	IN_PROGRESS
};

static const struct own_fault fault_rows[] = {
	{"status", "the next command is refused with this status", 10},
	{"disappear", "unplugged at command K", 0},
	{"swap", "another unit comes back from the next reboot", 0},
	{"no-return", "it does not come back from the next reboot", 0},
	{"stays", "it acknowledges a reboot, and stays", 0},
	{"weak-cell", "the cell at OFFSET does not take what is written", 0},
	{"lost-write", "a write is acknowledged and not done", 0},
	{"no-erase", "an erase is acknowledged and not done", 0},
	{"short-read", "a read ends in the middle of a packet", 0},
	{"long-ack", "an acknowledge has a byte", 0},
	{"late", "a command is answered never", 0},
	{"old-token", "the status is that of the command before", 0},
	{"short-status", "the status has 8 bytes", 0},
	{"flip-read", "a read has one bit wrong", 0},
	{"in-progress", "the status says that it is in progress", 0},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"pico-chip", "rp2040", "rp2040 or rp2350"},
	{"pico-flash", "2M", "bytes of the flash chip; addresses above wrap"},
	{"pico-drive", "0", "1: the interface of the drive is there as well, without a medium"},
	{"pico-partitions", "0", "of a RP2350: entries of the partition table; 0: it has none"},
	{"pico-ids", "", "its USB ids in BOOTSEL mode; of a RP2350 they may be any"},
	{0},
};

struct pico {
	struct device device;
	const struct board_settings *set;
	struct own_faults *faults;
	struct flash *flash;
	struct scsi_disk *drive;
	uint32_t flash_size;
	uint64_t chip_id;
	bool rp2350, app, leaving;
	uint64_t leaves_us;
	char serial[17];
	uint8_t descriptor[18], config[64];
	size_t config_len;
	/* The machine: */
	bool halted_in, halted_out, exclusive, xip_off;
	uint32_t token, old_token, status;
	uint8_t id, in_progress;
	uint32_t address, left, at; /* of the data phase: what is to come */
	bool wants_out, gives_in, owes_in_ack, owes_out_ack;
	uint8_t args[16];
	uint64_t commands, erases, writes, reads;
	uint8_t page[PAGE];
};

static struct pico *pico_of(struct device *d)
{
	return container_of(d, struct pico, device);
}

static const struct pico *of_const(const struct device *d)
{
	return (const struct pico *)((const char *)d - offsetof(struct pico, device));
}

/* -- descriptors -- */

static void put_endpoint(struct wbytes *w, uint8_t address)
{
	wb_put(w, (const uint8_t[]){7, 5, address, 2, PACKET, 0, 0}, 7);
}

static void put_picoboot(struct wbytes *w, uint8_t interface)
{
	wb_put(w, (const uint8_t[]){9, 4, interface, 0, 2, 0xff, 0, 0, 0}, 9);
	put_endpoint(w, EP_OUT);
	put_endpoint(w, 0x80 | EP_IN);
}

/* The application of the pico-sdk has its reset interface, without endpoints. */
static void put_application(struct wbytes *w)
{
	wb_put(w, (const uint8_t[]){9, 4, 0, 0, 0, 0xff, 0, 1, 0}, 9);
}

static const char *ids_of(const struct pico *s)
{
	const char *own = settings_own(s->set, "pico-ids");

	if (s->app)
		return s->set->usb_id;
	if (*own)
		return own;
	return s->rp2350 ? "2e8a:000f" : "2e8a:0003";
}

static void describe(struct pico *s)
{
	const char *ids = ids_of(s);
	bool drive = !s->app && settings_own_number(s->set, "pico-drive");
	struct wbytes d = wbytes_of(s->descriptor, sizeof s->descriptor);
	uint8_t body[64];
	struct wbytes b = wbytes_of(body, sizeof body);
	struct wbytes c = wbytes_of(s->config, sizeof s->config);

	wb_put(&d, (const uint8_t[]){18, 1, 0x10, 1, 0, 0, 0, 64}, 8);
	wb_le16(&d, (uint16_t)strtoul(ids, NULL, 16));
	wb_le16(&d, (uint16_t)strtoul(ids + 5, NULL, 16));
	wb_le16(&d, 0x0100);
	wb_put(&d, (const uint8_t[]){1, 2, 3, 1}, 4);
	if (drive)
		scsi_disk_describe(&b, 0, 0x80 | DRIVE_IN, DRIVE_OUT, PACKET);
	if (s->app)
		put_application(&b);
	else
		put_picoboot(&b, drive);
	wb_put(&c, (const uint8_t[]){9, 2}, 2);
	wb_le16(&c, (uint16_t)(9 + b.len));
	wb_put(&c, (const uint8_t[]){drive ? 2 : 1, 1, 0, 0x80, 0xfa}, 5);
	wb_put(&c, body, b.len);
	s->config_len = c.len;
}

static void pico_identity(const struct device *d, struct gadget_identity *ret)
{
	const struct pico *s = of_const(d);

	ret->device = s->descriptor;
	ret->config = s->config;
	ret->config_len = s->config_len;
	ret->string[1] = "Raspberry Pi";
	ret->string[2] = s->app ? s->set->model : s->rp2350 ? "RP2350 Boot" : "RP2 Boot";
	ret->string[3] = s->serial;
}

/* In BOOTSEL mode all RP2040 of one mask have the same serial number; a RP2350 has its chip id. */
static void name_it(struct pico *s)
{
	if (s->rp2350 || s->app)
		snprintf(s->serial, sizeof s->serial, "%016llX", (unsigned long long)s->chip_id);
	else
		snprintf(s->serial, sizeof s->serial, "E0C9125B0D9B");
	describe(s);
}

/* -- the flash -- */

static uint32_t cell_of(const struct pico *s, uint32_t address)
{
	return FLASH_BASE + (address - FLASH_BASE) % s->flash_size;
}

static bool is_flash(uint32_t address)
{
	return address >= FLASH_BASE && address <= FLASH_LIMIT;
}

static uint32_t do_erase(struct pico *s, uint32_t address, uint32_t n)
{
	if (address % SECTOR || n % SECTOR)
		return BAD_ALIGNMENT;
	if (!is_flash(address) || !is_flash(address + n))
		return BAD_ADDRESS;
	s->erases++;
	for (uint32_t at = 0; at < n; at += SECTOR)
		if (!own_fault_hit(s->faults, NO_ERASE, NULL))
			flash_erase_page(s->flash, cell_of(s, address + at));
	return OK;
}

static uint32_t do_write(struct pico *s, uint32_t address, const uint8_t *page)
{
	double arg;
	uint32_t cell = cell_of(s, address);
	uint8_t copy[PAGE];

	if (address % PAGE)
		return BAD_ALIGNMENT;
	if (!is_flash(address))
		return BAD_ADDRESS;
	s->writes++;
	if (own_fault_hit(s->faults, LOST_WRITE, NULL))
		return OK;
	memcpy(copy, page, PAGE);
	if (own_fault_set(s->faults, WEAK_CELL, &arg) && (uint32_t)arg >= cell - FLASH_BASE &&
		(uint32_t)arg < cell - FLASH_BASE + PAGE) {
		own_fault_hit(s->faults, WEAK_CELL, NULL);
		copy[(uint32_t)arg - (cell - FLASH_BASE)] ^= 1;
	}
	/* NOR: what was not erased is ANDed. */
	flash_write(s->flash, cell, copy, PAGE, false);
	return OK;
}

/* By these four bytes clients tell the chips and their ROMs (RP2040 datasheet, 2.8.3). */
static void read_rom(const struct pico *s, uint32_t address, uint8_t *to, uint32_t n)
{
	const uint8_t magic[4] = {'M', 'u', s->rp2350 ? 2 : 1, 3};

	for (uint32_t i = 0; i < sizeof magic; i++)
		if (16 + i >= address && 16 + i - address < n)
			to[16 + i - address] = magic[i];
}

static uint32_t do_read(struct pico *s, uint32_t address, uint8_t *to, uint32_t n)
{
	bool direct = (address >= RAM_BASE && address < RAM_END) || address < ROM_BYTES;

	memset(to, 0, n);
	if (address < ROM_BYTES)
		read_rom(s, address, to, n);
	if (direct)
		return OK;
	if (!is_flash(address))
		return BAD_ADDRESS;
	if (address % PAGE)
		return BAD_ALIGNMENT;
	s->reads++;
	flash_read(s->flash, cell_of(s, address), to, n);
	if (own_fault_hit(s->faults, FLIP_READ, NULL))
		to[n / 2] ^= 0x10;
	return OK;
}

/* -- commands -- */

static void halt(struct pico *s, uint32_t status)
{
	s->status = status;
	s->in_progress = 0;
	s->halted_in = s->halted_out = true;
	s->wants_out = s->gives_in = s->owes_in_ack = s->owes_out_ack = false;
}

static void acknowledge(struct pico *s)
{
	s->in_progress = 0;
	s->owes_out_ack = s->id & 0x80;
	s->owes_in_ack = !s->owes_out_ack;
}

/* A command without data: of a RP2040 only the form is judged before the acknowledge. */
static void finish(struct pico *s, uint32_t status)
{
	if (status != OK && s->rp2350)
		halt(s, status);
	else
		acknowledge(s);
}

static uint32_t arg_at(const struct pico *s, size_t i)
{
	struct rbytes b = rbytes_of(s->args + 4 * i, 4);

	return rb_le32(&b);
}

static void reboot(struct pico *s, uint32_t delay_ms, uint64_t now_us)
{
	if (!own_fault_hit(s->faults, STAYS, NULL)) {
		s->leaving = true;
		s->leaves_us = now_us + delay_ms * US_PER_MS;
	}
	acknowledge(s);
}

/* As get_sys_info and get_partition_table_info of the ROM fill the buffer. */
static bool fill_info(struct pico *s, uint8_t buf[PAGE])
{
	uint32_t type = arg_at(s, 0) & 0xff, flags = arg_at(s, 1);
	uint32_t entries = (uint32_t)settings_own_number(s->set, "pico-partitions");
	struct wbytes w = wbytes_of(buf, PAGE);

	memset(buf, 0, PAGE);
	wb_le32(&w, 0);
	wb_le32(&w, flags & (type == 1 ? 0x7f : 0x80f1));
	if (type == 1) {
		if (flags & 1) {
			wb_le32(&w, 1);
			wb_le64(&w, s->chip_id);
		}
		if (flags & 2)
			wb_le32(&w, 0);
		if (flags & 4)
			wb_le32(&w, 0);
		if (flags & 8)
			wb_le32(&w, 0x0c00);
		if (flags & 0x10)
			wb_put(&w, (const uint8_t[16]){0}, 16);
		if (flags & 0x40)
			wb_put(&w, (const uint8_t[16]){0}, 16);
	} else if (type == 2) {
		if (flags & 1) {
			wb_le32(&w, entries | (entries ? 0x100 : 0));
			wb_le32(&w, ALL_SECTORS);
			wb_le32(&w, 0xffffffff);
		}
	} else if (type == 3) {
		/* Where a UF2 file of a family goes: without a table anywhere. */
		w.len = 4;
		wb_le32(&w, entries ? 0 : NO_PARTITION);
		wb_le32(&w, ALL_SECTORS);
		wb_le32(&w, 0);
	} else {
		return false;
	}

	struct wbytes count = wbytes_of(buf, 4);

	wb_le32(&count, (uint32_t)(w.len / 4 - 1));
	return true;
}

struct form {
	uint8_t args;
	bool data;
	bool rp2040, rp2350;
};

static const struct form forms[] = {
	[EXCLUSIVE] = {1, false, true, true},
	[REBOOT] = {12, false, true, false},
	[ERASE] = {8, false, true, true},
	[READ] = {8, true, true, true},
	[WRITE] = {8, true, true, true},
	[EXIT_XIP] = {0, false, true, true},
	[ENTER_XIP] = {0, false, true, true},
	[EXEC] = {4, false, false, false},
	[VECTORIZE] = {4, false, false, false},
	[REBOOT2] = {16, false, false, true},
	[GET_INFO] = {16, true, false, true},
};

static void carry_out(struct pico *s, uint8_t id, uint32_t transfer, uint64_t now_us)
{
	switch (id) {
	case EXCLUSIVE:
		s->exclusive = s->args[0] != 0;
		finish(s, OK);
		break;
	case REBOOT:
		reboot(s, arg_at(s, 2), now_us);
		break;
	case REBOOT2:
		reboot(s, arg_at(s, 1), now_us);
		break;
	case ERASE:
		finish(s, do_erase(s, arg_at(s, 0), arg_at(s, 1)));
		break;
	case READ:
	case GET_INFO:
		s->address = id == READ ? arg_at(s, 0) : 0;
		s->left = transfer;
		s->at = 0;
		s->gives_in = true;
		break;
	case WRITE:
		s->address = arg_at(s, 0);
		s->left = transfer;
		s->at = 0;
		s->wants_out = true;
		break;
	default: /* EXIT_XIP, ENTER_XIP */
		s->xip_off = id == EXIT_XIP;
		finish(s, OK);
		break;
	}
}

static uint32_t judge(const struct pico *s, uint8_t id, uint8_t args, uint32_t transfer)
{
	const struct form *f = id < ARRAY_LEN(forms) ? &forms[id] : NULL;

	if (!f || !id || !(s->rp2350 ? f->rp2350 : f->rp2040))
		return UNKNOWN_CMD;
	if (args != f->args)
		return BAD_CMD_LENGTH;
	if (id == GET_INFO ? transfer > PAGE : transfer != (f->data ? arg_at(s, 1) : 0))
		return BAD_TRANSFER_LENGTH;
	return OK;
}

static int command(struct pico *s, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct rbytes b = rbytes_of(p, n);
	uint32_t magic = rb_le32(&b), token = rb_le32(&b);
	uint8_t id = rb_u8(&b), args = rb_u8(&b);
	uint32_t transfer = (rb_le16(&b), rb_le32(&b));
	const uint8_t *from = rb_take(&b, 16);
	double arg;

	if (n != 32 || magic != 0x431fd10b || !from) {
		s->halted_in = s->halted_out = true;
		return 0;
	}
	s->commands++;
	s->old_token = s->token;
	s->token = token;
	s->id = id;
	memcpy(s->args, from, 16);
	if (own_fault_set(s->faults, DISAPPEAR, &arg) && s->commands > (uint64_t)arg) {
		own_fault_hit(s->faults, DISAPPEAR, NULL);
		s->device.wish = WISH_UNPLUG;
		return GADGET_NAK;
	}
	s->in_progress = 1;
	if (own_fault_hit(s->faults, LATE, NULL))
		return 0;
	s->status = judge(s, id & 0x7f, args, transfer);
	if (own_fault_hit(s->faults, STATUS, &arg))
		s->status = (uint32_t)arg;
	if (s->status != OK) {
		halt(s, s->status);
		return 0;
	}
	carry_out(s, id & 0x7f, transfer, now_us);
	return 0;
}

/* -- transfers -- */

static int take_pages(struct pico *s, const uint8_t *p, size_t n)
{
	while (n) {
		size_t k = MIN(n, (size_t)(PAGE - s->at));

		memcpy(s->page + s->at, p, k);
		p += k;
		n -= k;
		s->at += (uint32_t)k;
		s->left -= (uint32_t)MIN((uint64_t)s->left, (uint64_t)k);
		if (s->at == PAGE || !s->left) {
			uint32_t status = do_write(s, s->address, s->page);

			if (status != OK) {
				halt(s, status);
				return 0;
			}
			s->address += PAGE;
			s->at = 0;
		}
	}
	if (!s->left) {
		s->wants_out = false;
		acknowledge(s);
	}
	return 0;
}

static int pico_out(struct device *d, uint8_t ep, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct pico *s = pico_of(d);

	if (!s->app && ep == DRIVE_OUT)
		return scsi_disk_out(s->drive, p, n);
	if (s->app || ep != EP_OUT || s->halted_out)
		return GADGET_STALL;
	if (s->owes_out_ack) {
		s->owes_out_ack = false;
		return 0; /* picotool sends a byte here, and the ROM does not look at it */
	}
	if (s->wants_out)
		return n > s->left ? (halt(s, BAD_TRANSFER_LENGTH), 0) : take_pages(s, p, n);
	/* An answer that was not fetched: the ROM takes no command before. */
	if (s->owes_in_ack || s->gives_in)
		return GADGET_NAK;
	return command(s, p, n, now_us);
}

static ssize_t give_data(struct pico *s, uint8_t *buf, size_t size)
{
	size_t n = 0;
	bool cut = own_fault_hit(s->faults, SHORT_READ, NULL);

	while (s->left && n + MIN(s->left, PAGE) <= size) {
		uint32_t k = MIN(s->left, PAGE);
		uint32_t status = OK;

		if ((s->id & 0x7f) == GET_INFO)
			status = fill_info(s, s->page) ? OK : BAD_ARGUMENT;
		else
			status = do_read(s, s->address, s->page, k);
		if (status != OK) {
			halt(s, status);
			return GADGET_STALL;
		}
		memcpy(buf + n, s->page, k);
		n += k;
		s->address += k;
		s->left -= k;
	}
	if (!s->left || cut) {
		s->gives_in = false;
		acknowledge(s);
	}
	return (ssize_t)(cut ? n / 2 + 3 : n);
}

static ssize_t pico_in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	struct pico *s = pico_of(d);

	if (!s->app && ep == DRIVE_IN)
		return scsi_disk_in(s->drive, buf, size);
	if (s->app || ep != EP_IN || s->halted_in)
		return GADGET_STALL;
	if (s->gives_in)
		return give_data(s, buf, size);
	if (!s->owes_in_ack)
		return GADGET_NAK;
	s->owes_in_ack = false;
	if (own_fault_hit(s->faults, LONG_ACK, NULL)) {
		buf[0] = 0;
		return 1;
	}
	return 0;
}

/* -- control requests -- */

static int tell_status(struct pico *s, uint8_t *data, size_t size)
{
	uint8_t answer[16] = {0};
	struct wbytes w = wbytes_of(answer, sizeof answer);
	size_t n = own_fault_hit(s->faults, SHORT_STATUS, NULL) ? 8 : 16;

	wb_le32(&w, own_fault_hit(s->faults, OLD_TOKEN, NULL) ? s->old_token : s->token);
	wb_le32(&w, s->status);
	wb_u8(&w, s->id);
	wb_u8(&w, own_fault_hit(s->faults, IN_PROGRESS, NULL) ? 1 : s->in_progress);
	n = MIN(n, size);
	memcpy(data, answer, n);
	return (int)n;
}

static void reset_interface(struct pico *s)
{
	s->wants_out = s->gives_in = s->owes_in_ack = s->owes_out_ack = false;
	s->halted_in = s->halted_out = s->exclusive = false;
	s->token = s->old_token = s->status = 0;
	s->id = s->in_progress = 0;
}

static int pico_control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n,
	size_t size, uint64_t now_us)
{
	struct pico *s = pico_of(d);
	struct rbytes b = rbytes_of(setup, 8);
	uint8_t type = rb_u8(&b), request = rb_u8(&b);
	uint16_t interface = (rb_le16(&b), rb_le16(&b));

	if (!s->app && (type & 0x60) == 0x20)
		return scsi_disk_control(s->drive, setup, data, size);
	if (s->app || interface != (settings_own_number(s->set, "pico-drive") ? 1 : 0))
		return GADGET_STALL;
	if (type == 0xc1 && request == 0x42 && size == 16)
		return tell_status(s, data, size);
	if (type == 0x41 && request == 0x41) {
		reset_interface(s);
		return 0;
	}
	return GADGET_STALL;
}

/* CLEAR_FEATURE, of either endpoint: the host clears both. */
static void pico_reset(struct device *d, uint64_t now_us)
{
	struct pico *s = pico_of(d);

	s->halted_in = s->halted_out = false;
}

static const struct gadget_ops pico_gadget = {
	pico_identity, pico_control, pico_out, pico_in, pico_reset};

/* -- the device -- */

static void pico_free(struct device *d)
{
	struct pico *s = pico_of(d);

	flash_free(s->flash);
	scsi_disk_free(s->drive);
	free(s);
}

static int pico_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct pico *s = xcalloc(1, sizeof *s);
	_cleanup_(freep) char *path = c->dir ? xasprintf("%s/flash.bin", c->dir) : NULL;
	struct flash_geometry g = {.base = FLASH_BASE, .page = SECTOR, .unit = PAGE};
	int r;

	s->device.ops = &picoboot_device;
	s->set = c->set;
	s->faults = c->faults;
	s->rp2350 = !strcmp(settings_own(c->set, "pico-chip"), "rp2350");
	s->flash_size = (uint32_t)settings_own_number(c->set, "pico-flash");
	s->chip_id = strtoull(c->uid + 8, NULL, 16);
	g.size = s->flash_size;
	r = s->flash_size && s->flash_size % SECTOR == 0
		    ? flash_new(&g, path, &s->flash, e)
		    : err_set(e, ERR_INVALID, "pico-flash: %u bytes are no sectors", s->flash_size);
	if (r == 0)
		r = scsi_disk_new(NULL, 0, "RP2", NULL, NULL, &s->drive, e);
	if (r < 0) {
		pico_free(&s->device);
		return r;
	}
	name_it(s);
	*ret = &s->device;
	return 0;
}

static void pico_power_on(struct device *d, uint64_t now_us)
{
	struct pico *s = pico_of(d);

	/* BOOTSEL is held. */
	s->app = s->leaving = false;
	reset_interface(s);
	name_it(s);
	d->wish = WISH_NONE;
}

static void pico_power_off(struct device *d)
{
}

static void pico_opened(struct device *d, uint64_t now_us)
{
	reset_interface(pico_of(d));
	scsi_disk_reset(pico_of(d)->drive);
}

/* The ROM starts what is there, or stays in BOOTSEL mode. */
static void leave(struct pico *s)
{
	s->leaving = false;
	s->app = !flash_blank(s->flash);
	reset_interface(s);
	name_it(s);
	s->device.wish = WISH_REENUMERATE;
	if (own_fault_hit(s->faults, SWAP, NULL))
		s->device.wish = WISH_SWAP;
	if (own_fault_hit(s->faults, NO_RETURN, NULL))
		s->device.wish = WISH_UNPLUG;
}

static enum device_wish pico_take_wish(struct device *d)
{
	struct pico *s = pico_of(d);

	if (s->leaving && now_us() >= s->leaves_us)
		leave(s);

	enum device_wish w = d->wish;

	d->wish = WISH_NONE;
	return w;
}

static uint64_t pico_due(const struct device *d)
{
	return of_const(d)->leaving ? of_const(d)->leaves_us : NEVER;
}

static const char *pico_state(const struct device *d)
{
	return of_const(d)->app ? "application" : "bootsel";
}

static void pico_json(struct device *d, bool whole, json_t *o)
{
	const struct pico *s = pico_of(d);
	char hex[SHA256_HEX];

	sha256_hex_of(flash_content(s->flash), flash_used(s->flash), hex);
	json_object_set_new(o, "serial", json_string(s->serial));
	json_object_set_new(o, "sha256", json_string(hex));
	json_object_set_new(o, "used", json_integer((json_int_t)flash_used(s->flash)));
	json_object_set_new(o, "commands", json_integer((json_int_t)s->commands));
	json_object_set_new(o, "erases", json_integer((json_int_t)s->erases));
	json_object_set_new(o, "pages_written", json_integer((json_int_t)s->writes));
}

static void pico_clear_faults(struct device *d)
{
	reset_interface(pico_of(d));
}

const struct device_ops picoboot_device = {
	.name = "picoboot",
	.help = "RP2040 or RP2350 in BOOTSEL mode, on vhci alone",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = pico_new,
	.free = pico_free,
	.power_on = pico_power_on,
	.power_off = pico_power_off,
	.opened = pico_opened,
	.gadget = &pico_gadget,
	.due = pico_due,
	.state = pico_state,
	.json = pico_json,
	.clear_faults = pico_clear_faults,
	.take_wish = pico_take_wish,
};
