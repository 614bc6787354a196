/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual DFU device: DfuSe as ST's boot ROM and USB device class do it, or plain DFU 1.1 as
 * U-Boot does, with or without a run-time mode before it. A gadget only.
 *
 *	run-time --DETACH--> (leaves the bus) --> DFU mode --leave or manifest--> run-time
 */
#include <string.h>

#include "base/digest.h"
#include "sim/dfu/dfu_impl.h"

static const struct own_fault fault_rows[] = {
	{"status", "the next operation ends in dfuERROR with this bStatus", 3},
	{"stall", "DNLOAD K is stalled", 0},
	{"weak-cell", "the cell at OFFSET does not take what is written", 0},
	{"lost-write", "data block K is acknowledged and not written", 0},
	{"no-erase", "an erase is acknowledged and not done", 0},
	{"busy-forever", "an operation stays busy and asks for 0 ms", 0},
	{"short-upload", "an upload ends early", 0},
	{"bad-state", "GETSTATUS reports state 77", 0},
	{"short-status", "GETSTATUS has 3 bytes", 0},
	{"disappear", "unplugged at DNLOAD K", 0},
	{"swap", "another unit comes back from the next leaving of the bus", 0},
	{"no-return", "it does not come back from the next leaving of the bus", 0},
	{"other-serial", "it comes back under another serial number", 0},
	{"manifest-error", "the manifestation ends in dfuERROR", 0},
	{"stall-busy", "GETSTATUS is stalled while it erases", 0},
	{"stays", "it says that it leaves for the application, and stays", 0},
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

static const struct dfu_sim *of_const(const struct device *d)
{
	return (const struct dfu_sim *)((const char *)d - offsetof(struct dfu_sim, device));
}

/* -- descriptors -- */

void dfu_put_functional(const struct dfu_sim *s, struct wbytes *w)
{
	wb_u8(w, 9);
	wb_u8(w, DESC_FUNCTIONAL);
	wb_u8(w, s->attributes);
	wb_le16(w, 255);
	wb_le16(w, s->transfer);
	wb_le16(w, s->dfuse && !s->runtime_mode ? 0x011a : 0x0110);
}

/* Interface descriptors of all settings, and the functional descriptor after the last. */
void dfu_describe(struct dfu_sim *s)
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
	dfu_put_functional(s, &c);
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
	struct dfu_sim *s = dfu_sim_of(d);

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
	struct dfu_sim *s = dfu_sim_of(d);

	s->protected_ = settings_own_number(s->set, "dfu-protected") != 0;
	dfu_go(s, dfu_may_be_runtime(s));
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
	const struct dfu_sim *s = dfu_sim_of(d);
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
	json_object_set_new(o, "data_blocks", json_integer((json_int_t)s->data_blocks));
	json_object_set_new(o, "erases", json_integer((json_int_t)s->erases));
}

static void dfu_clear_faults(struct device *d)
{
	dfu_sim_of(d)->forever = false;
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
