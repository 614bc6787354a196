/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual DFU device: DfuSe as ST's boot ROM and USB device class do it, or plain DFU 1.1 as
 * U-Boot does, with or without a run-time mode before it. A gadget only.
 *
 *	run-time --DETACH--> (leaves the bus) --> DFU mode --leave or manifest--> run-time
 *
 * An operation begins at the GETSTATUS behind its DNLOAD: a host that does not ask writes nothing.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/strbuf.h"
#include "sim/device_rows.h"
#include "sim/dfu_memory.h"

enum { DETACH, DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };
enum state {
	APP_IDLE,
	APP_DETACH,
	IDLE,
	SYNC,
	BUSY,
	DNLOAD_IDLE,
	MANIFEST_SYNC,
	MANIFEST,
	WAIT_RESET,
	UPLOAD_IDLE,
	ERROR
};
/* bStatus. */
enum { OK = 0, ERR_OF_ADDRESS = 8, ERR_OF_VENDOR = 11, ERR_OF_STALL = 15 };

#define MEMORIES_MAX	8
#define BLOCK_MAX	4096
#define CONFIG_MAX	160
#define DESC_FUNCTIONAL 0x21

enum fault_row {
	STATUS,
	STALL,
	WEAK_CELL,
	LOST_WRITE,
	NO_ERASE,
	BUSY_FOREVER,
	SHORT_UPLOAD,
	BAD_STATE,
	SHORT_STATUS,
	DISAPPEAR,
	SWAP,
	NO_RETURN,
	OTHER_SERIAL,
	MANIFEST_ERROR,
	STALL_BUSY
};

static const struct own_fault fault_rows[] = {
	{"status", "the next operation ends in dfuERROR with this bStatus", 3},
	{"stall", "DNLOAD K is stalled", 0},
	{"weak-cell", "the cell at OFFSET does not take what is written", 0},
	{"lost-write", "data block K is acknowledged and not written", 0},
	{"no-erase", "an erase is acknowledged and not done", 0},
	{"busy-forever", "an operation stays busy and asks for 0 ms", 0},
	{"short-upload", "an upload ends early", 0},
	{"bad-state", "GETSTATUS tells of state 77", 0},
	{"short-status", "GETSTATUS has 3 bytes", 0},
	{"disappear", "unplugged at DNLOAD K", 0},
	{"swap", "another unit comes back from the next leaving of the bus", 0},
	{"no-return", "it does not come back from the next leaving of the bus", 0},
	{"other-serial", "it comes back under another serial number", 0},
	{"manifest-error", "the manifestation ends in dfuERROR", 0},
	{"stall-busy", "GETSTATUS is stalled while it erases", 0},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"dfu-memory", "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
		"memories, separated by ';': DfuSe maps, or names of plain partitions"},
	{"dfu-size", "1M", "bytes of each plain partition"},
	{"dfu-transfer", "2048", "wTransferSize"},
	{"dfu-attributes", "0x0b", "bmAttributes: 1 download, 2 upload, 4 tolerant, 8 will detach"},
	{"dfu-runtime", "0", "1: it starts in run-time mode, and goes back there"},
	{"dfu-ids", "0483:df11", "its USB ids in DFU mode; usb-id is that of run-time mode"},
	{"dfu-protected", "0", "1: reads and erases are refused until read unprotect"},
	{"dfu-write-ms", "1", "that a block takes"},
	{"dfu-erase-ms", "5", "that a page takes"},
	{"dfu-mass-ms", "20", "that a mass erase takes"},
	{"dfu-mass-says-ms", "0", "what it announces for it; 0: the truth"},
	{0},
};

struct dfu_sim {
	struct device device;
	const struct board_settings *set;
	struct own_faults *faults;
	struct dfu_memory *memory[MEMORIES_MAX];
	unsigned memories;
	bool dfuse, runtime_mode, protected_;
	uint8_t attributes;
	uint16_t transfer;
	char serial[32];
	uint8_t descriptor[18], config[CONFIG_MAX];
	size_t config_len;
	/* The machine: */
	unsigned alt;
	enum state state;
	uint8_t status;
	uint64_t busy_until_us;
	uint32_t pointer; /* DfuSe: the address; plain: how far a transfer is */
	uint16_t block;	  /* of the DNLOAD that waits for its GETSTATUS */
	uint8_t buf[BLOCK_MAX];
	size_t len;
	bool pending, forever;
	uint64_t downloads, data_blocks, erases;
	/* It leaves once this GETSTATUS, or the bus reset, is through. */
	bool leave;
};

static struct dfu_sim *of(struct device *d)
{
	return container_of(d, struct dfu_sim, device);
}

static const struct dfu_sim *of_const(const struct device *d)
{
	return (const struct dfu_sim *)((const char *)d - offsetof(struct dfu_sim, device));
}

/* -- descriptors -- */

static void put_functional(const struct dfu_sim *s, struct wbytes *w)
{
	wb_u8(w, 9);
	wb_u8(w, DESC_FUNCTIONAL);
	wb_u8(w, s->attributes);
	wb_le16(w, 255);
	wb_le16(w, s->transfer);
	wb_le16(w, s->dfuse && !s->runtime_mode ? 0x011a : 0x0110);
}

/* Interface descriptors of all settings, and the functional descriptor behind the last. */
static void describe(struct dfu_sim *s)
{
	const char *ids = s->runtime_mode ? s->set->usb_id : settings_own(s->set, "dfu-ids");
	unsigned vid = (unsigned)strtoul(ids, NULL, 16);
	unsigned pid = (unsigned)strtoul(ids + 5, NULL, 16);
	struct wbytes d = wbytes_of(s->descriptor, sizeof s->descriptor);
	struct wbytes c = wbytes_of(s->config, sizeof s->config);
	unsigned settings = s->runtime_mode ? 1 : s->memories;

	wb_put(&d, (const uint8_t[]){18, 1, 0, 2, 0, 0, 0, 64}, 8);
	wb_le16(&d, (uint16_t)vid);
	wb_le16(&d, (uint16_t)pid);
	wb_le16(&d, 0x2200);
	wb_put(&d, (const uint8_t[]){1, 2, 3, 1}, 4);

	s->config_len = 9 + 9 * settings + 9;
	wb_put(&c, (const uint8_t[]){9, 2}, 2);
	wb_le16(&c, (uint16_t)s->config_len);
	wb_put(&c, (const uint8_t[]){1, 1, 0, 0xc0, 50}, 5);
	for (unsigned i = 0; i < settings; i++) {
		const uint8_t itf[] = {
			9, 4, 0, (uint8_t)i, 0, 0xfe, 1, s->runtime_mode ? 1 : 2, (uint8_t)(4 + i)};

		wb_put(&c, itf, sizeof itf);
	}
	put_functional(s, &c);
}

static void dfu_identity(const struct device *d, struct gadget_identity *ret)
{
	const struct dfu_sim *s = of_const(d);

	ret->device = s->descriptor;
	ret->config = s->config;
	ret->config_len = s->config_len;
	ret->string[1] = "provsim";
	ret->string[2] = s->set->model;
	ret->string[3] = s->serial;
	for (unsigned i = 0; i < s->memories && !s->runtime_mode; i++)
		ret->string[4 + i] = s->memory[i]->name;
	if (s->runtime_mode)
		ret->string[4] = "run-time";
}

/* -- leaving and coming back -- */

/* Off the bus, and back in the other mode. */
static void go(struct dfu_sim *s, bool to_runtime)
{
	s->runtime_mode = to_runtime;
	s->state = to_runtime ? APP_IDLE : IDLE;
	s->status = OK;
	s->pending = s->forever = s->leave = false;
	s->pointer = s->memory[0]->base;
	s->alt = 0;
	s->device.wish = WISH_REENUMERATE;
	if (own_fault_hit(s->faults, SWAP, NULL))
		s->device.wish = WISH_SWAP;
	if (own_fault_hit(s->faults, NO_RETURN, NULL))
		s->device.wish = WISH_UNPLUG;
	if (own_fault_hit(s->faults, OTHER_SERIAL, NULL))
		s->serial[0] = s->serial[0] == 'X' ? 'Y' : 'X';
	describe(s);
}

static bool may_be_runtime(const struct dfu_sim *s)
{
	return settings_own_number(s->set, "dfu-runtime") != 0;
}

/* -- the machine -- */

static int fail(struct dfu_sim *s, uint8_t status)
{
	s->state = ERROR;
	s->status = status;
	return GADGET_STALL;
}

static int download(struct dfu_sim *s, uint16_t block, const uint8_t *p, size_t n, uint64_t now_us)
{
	double arg;

	s->downloads++;
	if (own_fault_set(s->faults, DISAPPEAR, &arg) && s->downloads > (uint64_t)arg) {
		own_fault_hit(s->faults, DISAPPEAR, NULL);
		s->device.wish = WISH_UNPLUG;
		return GADGET_STALL;
	}
	if (own_fault_set(s->faults, STALL, &arg) && s->downloads > (uint64_t)arg) {
		own_fault_hit(s->faults, STALL, NULL);
		return fail(s, ERR_OF_STALL);
	}
	if ((s->state != IDLE && s->state != DNLOAD_IDLE) || n > s->transfer ||
		(s->dfuse && block == 1))
		return fail(s, ERR_OF_STALL);
	if (n == 0) {
		s->state = MANIFEST_SYNC;
		s->pending = true;
		return 0;
	}
	if (s->state == IDLE && !s->dfuse)
		s->pointer = 0;
	s->block = block;
	s->len = n;
	memcpy(s->buf, p, n);
	s->pending = true;
	s->state = SYNC;
	return 0;
}

static uint32_t le32_at(const uint8_t *p)
{
	struct rbytes b = rbytes_of(p, 4);

	return rb_le32(&b);
}

static bool do_erase(struct dfu_sim *s, uint64_t *ms)
{
	struct dfu_memory *m = s->memory[s->alt];
	bool mass = s->len == 1;
	bool skip = own_fault_hit(s->faults, NO_ERASE, NULL);

	s->erases++;
	*ms = settings_own_number(s->set, mass ? "dfu-mass-ms" : "dfu-erase-ms");
	if (s->protected_)
		return false;
	if (mass) {
		if (!skip)
			dfu_memory_erase_all(m);
		return true;
	}
	return skip || dfu_memory_erase_page(m, le32_at(s->buf + 1));
}

/* A command of DfuSe; false: refused. */
static bool do_command(struct dfu_sim *s, uint64_t *ms)
{
	switch (s->buf[0]) {
	case 0x21:
		if (s->len != 5)
			return false;
		s->pointer = le32_at(s->buf + 1);
		return true;
	case 0x41:
		return (s->len == 1 || s->len == 5) && do_erase(s, ms);
	case 0x92:
		for (unsigned i = 0; i < s->memories; i++)
			dfu_memory_erase_all(s->memory[i]);
		s->protected_ = false;
		s->leave = true;
		return s->len == 1;
	default:
		return false;
	}
}

static bool do_data(struct dfu_sim *s, uint64_t *ms)
{
	uint32_t at = s->pointer;
	double arg = -1;
	int64_t weak = own_fault_set(s->faults, WEAK_CELL, &arg) ? (int64_t)arg : -1;

	*ms = settings_own_number(s->set, "dfu-write-ms");
	if (s->protected_)
		return false;
	/* The address counts in the device's own transfer size, whatever the host sends. */
	if (s->dfuse)
		at += (uint32_t)(s->block - 2) * s->transfer;
	else
		s->pointer += (uint32_t)s->len;
	s->data_blocks++;
	if (own_fault_set(s->faults, LOST_WRITE, &arg) && s->data_blocks > (uint64_t)arg) {
		own_fault_hit(s->faults, LOST_WRITE, NULL);
		return true;
	}
	if (weak >= 0 && weak - (int64_t)(at - s->memory[s->alt]->base) >= 0 &&
		weak - (int64_t)(at - s->memory[s->alt]->base) < (int64_t)s->len)
		own_fault_hit(s->faults, WEAK_CELL, NULL);
	return dfu_memory_write(s->memory[s->alt], at, s->buf, s->len, weak);
}

/* At the first GETSTATUS: what DNLOAD asked for. */
static void begin(struct dfu_sim *s, uint64_t now_us)
{
	uint64_t ms = 0;
	double status;
	bool ok = s->dfuse && s->block == 0 ? do_command(s, &ms) : do_data(s, &ms);

	s->pending = false;
	s->state = BUSY;
	s->busy_until_us = now_us + ms * US_PER_MS;
	s->forever = own_fault_hit(s->faults, BUSY_FOREVER, NULL);
	if (!ok)
		fail(s, s->protected_ ? ERR_OF_VENDOR : ERR_OF_ADDRESS);
	if (own_fault_hit(s->faults, STATUS, &status))
		fail(s, (uint8_t)status);
}

static void manifest(struct dfu_sim *s, uint64_t now_us)
{
	if (own_fault_hit(s->faults, MANIFEST_ERROR, NULL)) {
		fail(s, 10);
		return;
	}
	if (s->state == MANIFEST_SYNC && s->pending) {
		s->pending = false;
		s->state = MANIFEST;
		s->busy_until_us = now_us + 2 * US_PER_MS;
		/* DfuSe: this was "leave"; the device resets behind this answer. */
		s->leave = s->dfuse;
		return;
	}
	if (now_us < s->busy_until_us)
		return;
	s->state = s->attributes & 4 ? IDLE : WAIT_RESET;
}

static uint32_t poll_ms(const struct dfu_sim *s, uint64_t now_us)
{
	uint64_t says = settings_own_number(s->set, "dfu-mass-says-ms");

	if (s->forever)
		return 0;
	if (s->state == BUSY && says && s->len == 1 && s->buf[0] == 0x41)
		return (uint32_t)says;
	if ((s->state == BUSY || s->state == MANIFEST) && s->busy_until_us > now_us)
		return (uint32_t)((s->busy_until_us - now_us + US_PER_MS - 1) / US_PER_MS);
	return 0;
}

static void advance(struct dfu_sim *s, uint64_t now_us)
{
	switch (s->state) {
	case SYNC:
		begin(s, now_us);
		break;
	case BUSY:
		if (!s->forever && now_us >= s->busy_until_us)
			s->state = DNLOAD_IDLE;
		break;
	case MANIFEST_SYNC:
	case MANIFEST:
		manifest(s, now_us);
		break;
	case APP_IDLE:
	case APP_DETACH:
	case IDLE:
	case DNLOAD_IDLE:
	case WAIT_RESET:
	case UPLOAD_IDLE:
	case ERROR:
		break;
	}
}

static int get_status(struct dfu_sim *s, uint8_t *data, size_t size, uint64_t now_us)
{
	uint8_t answer[6];
	struct wbytes w = wbytes_of(answer, sizeof answer);
	bool was_busy = s->state == BUSY;

	if (was_busy && own_fault_hit(s->faults, STALL_BUSY, NULL))
		return GADGET_STALL;
	advance(s, now_us);

	uint32_t ms = poll_ms(s, now_us);

	wb_u8(&w, s->status);
	wb_le16(&w, (uint16_t)ms);
	wb_u8(&w, (uint8_t)(ms >> 16));
	wb_u8(&w, own_fault_hit(s->faults, BAD_STATE, NULL) ? 77 : (uint8_t)s->state);
	wb_u8(&w, 0);

	size_t n = own_fault_hit(s->faults, SHORT_STATUS, NULL) ? 3 : w.len;

	n = MIN(n, size);

	memcpy(data, answer, n);
	if (s->leave && s->state != ERROR)
		go(s, may_be_runtime(s));
	return (int)n;
}

static int upload(struct dfu_sim *s, uint16_t block, uint8_t *data, size_t size)
{
	struct dfu_memory *m = s->memory[s->alt];
	size_t n = MIN(size, (size_t)s->transfer);

	if (s->state != IDLE && s->state != UPLOAD_IDLE)
		return fail(s, ERR_OF_STALL);
	if (s->dfuse && block == 0) {
		memcpy(data, "\x00\x21\x41\x92", MIN(n, (size_t)4));
		s->state = IDLE;
		return (int)MIN(n, (size_t)4);
	}
	if (s->protected_ || (s->dfuse && block == 1))
		return fail(s, s->protected_ ? ERR_OF_VENDOR : ERR_OF_STALL);
	if (s->state == IDLE && !s->dfuse)
		s->pointer = 0;

	uint32_t at = s->dfuse ? s->pointer + (uint32_t)(block - 2) * s->transfer : s->pointer;

	if (!s->dfuse) {
		n = MIN(n, (size_t)(m->used - MIN(m->used, at)));
		s->pointer += (uint32_t)n;
	}
	if (own_fault_hit(s->faults, SHORT_UPLOAD, NULL))
		n /= 2;
	if (!dfu_memory_read(m, at, data, n))
		return fail(s, ERR_OF_ADDRESS);
	s->state = n < size ? IDLE : UPLOAD_IDLE;
	return (int)n;
}

static int detach(struct dfu_sim *s)
{
	if (!s->runtime_mode)
		return fail(s, ERR_OF_STALL);
	s->state = APP_DETACH;
	if (s->attributes & 8)
		go(s, false);
	return 0;
}

static int in_request(struct dfu_sim *s, uint8_t request, uint16_t value, uint8_t *data,
	size_t size, uint64_t now_us)
{
	switch (request) {
	case UPLOAD:
		return s->runtime_mode || !(s->attributes & 2) ? fail(s, ERR_OF_STALL)
							       : upload(s, value, data, size);
	case GETSTATUS:
		return get_status(s, data, size, now_us);
	case GETSTATE:
		data[0] = (uint8_t)s->state;
		return 1;
	default:
		return GADGET_STALL;
	}
}

static int out_request(struct dfu_sim *s, uint8_t request, uint16_t value, const uint8_t *data,
	size_t n, uint64_t now_us)
{
	switch (request) {
	case DETACH:
		return detach(s);
	case DNLOAD:
		return s->runtime_mode ? GADGET_STALL : download(s, value, data, n, now_us);
	case CLRSTATUS:
		if (s->state != ERROR && !s->status)
			return GADGET_STALL;
		s->state = s->runtime_mode ? APP_IDLE : IDLE;
		s->status = OK;
		return 0;
	case ABORT:
		if (s->state == BUSY || s->state == ERROR || s->runtime_mode)
			return GADGET_STALL;
		s->state = IDLE;
		s->pending = false;
		return 0;
	default:
		return GADGET_STALL;
	}
}

static int dfu_control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n,
	size_t size, uint64_t now_us)
{
	struct dfu_sim *s = of(d);
	struct rbytes b = rbytes_of(setup, 8);
	uint8_t type = rb_u8(&b);
	uint8_t request = rb_u8(&b);
	uint16_t value = rb_le16(&b);
	uint8_t functional[9];
	struct wbytes w = wbytes_of(functional, sizeof functional);

	if (type == 0x81 && request == 6 && value >> 8 == DESC_FUNCTIONAL) {
		put_functional(s, &w);
		memcpy(data, functional, MIN(size, w.len));
		return (int)MIN(size, w.len);
	}
	if (type == 0x01 && request == 0x0b) { /* SET_INTERFACE */
		if (value >= s->memories || s->runtime_mode)
			return GADGET_STALL;
		s->alt = value;
		s->pointer = s->memory[value]->base;
		return 0;
	}
	if (type == 0xa1)
		return in_request(s, request, value, data, size, now_us);
	return type == 0x21 ? out_request(s, request, value, data, n, now_us) : GADGET_STALL;
}

/* A bus reset is seen by the configuration that follows it. */
static void dfu_opened(struct device *d, uint64_t now_us)
{
	struct dfu_sim *s = of(d);

	if (s->state == APP_DETACH)
		go(s, false);
	else if (s->state == WAIT_RESET || (s->state == MANIFEST && !s->dfuse))
		go(s, may_be_runtime(s));
}

static const struct gadget_ops dfu_gadget = {dfu_identity, dfu_control, NULL, NULL, NULL};

/* -- the device -- */

static int add_memory(struct dfu_sim *s, const char *text, const char *dir, struct err *e)
{
	_cleanup_(freep) char *path = dir ? xasprintf("%s/alt%u.bin", dir, s->memories) : NULL;

	if (s->memories == MEMORIES_MAX)
		return err_set(e, ERR_INVALID, "more than %d memories", MEMORIES_MAX);

	int r = dfu_memory_new(text, (uint32_t)settings_own_number(s->set, "dfu-size"), path,
		&s->memory[s->memories], e);

	if (r == 0)
		s->memories++;
	return r;
}

static void dfu_free(struct device *d)
{
	struct dfu_sim *s = of(d);

	for (unsigned i = 0; i < s->memories; i++)
		dfu_memory_free(s->memory[i]);
	free(s);
}

static int dfu_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct dfu_sim *s = xcalloc(1, sizeof *s);
	_cleanup_(freep) char *list = xstrdup(settings_own(c->set, "dfu-memory"));
	int r = 0;

	s->device.ops = &dfu_device;
	s->set = c->set;
	s->faults = c->faults;
	s->attributes = (uint8_t)settings_own_number(c->set, "dfu-attributes");
	s->transfer =
		(uint16_t)MIN(settings_own_number(c->set, "dfu-transfer"), (uint64_t)BLOCK_MAX);
	s->dfuse = *list == '@';
	for (int i = 0; i < 12 && c->uid[i]; i++)
		s->serial[i] = c->uid[i] >= 'a' ? (char)(c->uid[i] - 32) : c->uid[i];
	for (char *save, *t = strtok_r(list, ";", &save); r == 0 && t;
		t = strtok_r(NULL, ";", &save))
		r = add_memory(s, t, c->dir, e);
	if (r == 0 && !s->memories)
		r = err_set(e, ERR_INVALID, "dfu-memory: none");
	if (r < 0) {
		dfu_free(&s->device);
		return r;
	}
	*ret = &s->device;
	return 0;
}

static void dfu_power_on(struct device *d, uint64_t now_us)
{
	struct dfu_sim *s = of(d);

	s->protected_ = settings_own_number(s->set, "dfu-protected") != 0;
	go(s, may_be_runtime(s));
	s->device.wish = WISH_NONE;
}

static void dfu_power_off(struct device *d)
{
}

static uint64_t dfu_due(const struct device *d)
{
	return NEVER;
}

static const char *dfu_state(const struct device *d)
{
	static const char *const names[] = {"appIDLE", "appDETACH", "dfuIDLE", "dfuDNLOAD-SYNC",
		"dfuDNBUSY", "dfuDNLOAD-IDLE", "dfuMANIFEST-SYNC", "dfuMANIFEST",
		"dfuMANIFEST-WAIT-RESET", "dfuUPLOAD-IDLE", "dfuERROR"};

	return names[of_const(d)->state];
}

static void dfu_json(struct device *d, bool whole, json_t *o)
{
	const struct dfu_sim *s = of(d);
	json_t *list = json_array();
	char hex[SHA256_HEX];

	for (unsigned i = 0; whole && i < s->memories; i++) {
		sha256_hex_of(s->memory[i]->cell, s->memory[i]->size, hex);
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:i}", "name", s->memory[i]->name, "sha256",
				      hex, "used", (int)s->memory[i]->used));
	}
	json_object_set_new(o, "serial", json_string(s->serial));
	json_object_set_new(o, "memories", list);
	json_object_set_new(o, "downloads", json_integer((json_int_t)s->downloads));
	json_object_set_new(o, "erases", json_integer((json_int_t)s->erases));
}

static void dfu_clear_faults(struct device *d)
{
	of(d)->forever = false;
}

const struct device_ops dfu_device = {
	.name = "dfu",
	.help = "DFU 1.1 and DfuSe, on vhci alone",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = dfu_new,
	.free = dfu_free,
	.power_on = dfu_power_on,
	.power_off = dfu_power_off,
	.opened = dfu_opened,
	.gadget = &dfu_gadget,
	.due = dfu_due,
	.state = dfu_state,
	.json = dfu_json,
	.clear_faults = dfu_clear_faults,
};
