/* SPDX-License-Identifier: Apache-2.0
 *
 * A board that shows its eMMC or card as a USB disk, as U-Boot's `ums` and rpiboot do. A gadget only.
 */
#include <string.h>

#include "base/bytes.h"
#include "sim/device_rows.h"
#include "sim/scsi_disk.h"

#define PACKET 512
#define EP_IN  1
#define EP_OUT 2

enum fault_row {
	WEAK_CELL,
	LOST_WRITE,
	READ_ERROR,
	FLIP_READ,
	DISAPPEAR,
	SHRINK,
	SWAP,
	NOT_STARTED
};

static const struct own_fault fault_rows[] = {
	{"weak-cell", "the byte at OFFSET does not take what is written", 0},
	{"lost-write", "a write is acknowledged and not done", 0},
	{"read-error", "the block of OFFSET cannot be read", 0},
	{"flip-read", "the byte at OFFSET is read with one bit wrong", 0},
	{"disappear", "unplugged at write K", 0},
	{"shrink", "leaves at write K, and comes back with half of its bytes", 0},
	{"swap", "another unit comes in its place at write K", 0},
	{"not-started", "after a whole UF2 file it comes back as its bootloader", 0},
	{0},
};

static const struct own_setting setting_rows[] = {
	{"disk-size", "16M", "bytes; 0: no medium"},
	{"disk-uf2", "",
		"Board-ID of a UF2 bootloader whose drive it is: a file for it restarts it as its application"},
	{"disk-ids", "239a:0015",
		"its USB ids as such a bootloader; usb-id is that of the application"},
	{"disk-family", "0xada52840", "the UF2 family that it takes"},
	{0},
};

struct disk_sim {
	struct device device;
	const struct board_settings *set;
	struct own_faults *faults;
	struct scsi_disk *disk;
	char serial[32];
	bool uf2, app;	/* it has a UF2 bootloader; its application runs */
	uint32_t taken; /* blocks of UF2 that it programmed */
	uint8_t descriptor[18], config[32];
	size_t config_len;
};

static struct disk_sim *disk_of(struct device *d)
{
	return container_of(d, struct disk_sim, device);
}

static bool holds(double arg, uint64_t offset, size_t n)
{
	return arg >= (double)offset && arg < (double)(offset + n);
}

static bool fault_at_write(struct disk_sim *s, unsigned row)
{
	double arg;

	if (!own_fault_set(s->faults, row, &arg) || scsi_disk_writes(s->disk) <= (uint64_t)arg)
		return false;
	own_fault_hit(s->faults, row, NULL);
	return true;
}

static void describe(struct disk_sim *s)
{
	const char *ids = s->uf2 && !s->app ? settings_own(s->set, "disk-ids") : s->set->usb_id;
	struct wbytes d = wbytes_of(s->descriptor, sizeof s->descriptor);
	struct wbytes c = wbytes_of(s->config, sizeof s->config);

	wb_put(&d, (const uint8_t[]){18, 1, 0, 2, 0, 0, 0, 64}, 8);
	wb_le16(&d, (uint16_t)strtoul(ids, NULL, 16));
	wb_le16(&d, (uint16_t)strtoul(ids + 5, NULL, 16));
	wb_le16(&d, 0x0100);
	wb_put(&d, (const uint8_t[]){1, 2, 3, 1}, 4);
	wb_put(&c, (const uint8_t[]){9, 2, s->app ? 18 : 32, 0, 1, 1, 0, 0xc0, 50}, 9);
	if (s->app)
		wb_put(&c, (const uint8_t[]){9, 4, 0, 0, 0, 0xff, 0, 0, 0}, 9);
	else
		scsi_disk_describe(&c, 0, 0x80 | EP_IN, EP_OUT, PACKET);
	s->config_len = c.len;
}

/* By its magic, wherever it is written; the last of as many as each says restarts the board. */
static void take_blocks(struct disk_sim *s, const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at + SCSI_BLOCK <= n; at += SCSI_BLOCK) {
		struct rbytes b = rbytes_of(bytes + at, SCSI_BLOCK);
		uint32_t first = rb_le32(&b), second = rb_le32(&b);
		uint32_t blocks = (rb_take(&b, 16), rb_le32(&b)), family = rb_le32(&b);

		if (first != 0x0a324655 || second != 0x9e5d5157 ||
			family != settings_own_number(s->set, "disk-family") || ++s->taken < blocks)
			continue;
		s->taken = 0;
		s->app = !own_fault_hit(s->faults, NOT_STARTED, NULL);
		describe(s);
		s->device.wish = WISH_REENUMERATE;
	}
}

static bool before_write(void *data, uint64_t offset, uint8_t *bytes, size_t n)
{
	struct disk_sim *s = data;
	double arg;

	if (fault_at_write(s, DISAPPEAR))
		s->device.wish = WISH_UNPLUG;
	if (fault_at_write(s, SWAP))
		s->device.wish = WISH_SWAP;
	if (fault_at_write(s, SHRINK)) {
		scsi_disk_resize(s->disk, scsi_disk_bytes(s->disk) / 2);
		s->device.wish = WISH_REENUMERATE;
	}
	if (s->uf2 && s->device.wish == WISH_NONE) {
		take_blocks(s, bytes, n);
		return false; /* nothing of the drive is kept */
	}
	if (s->device.wish != WISH_NONE || own_fault_hit(s->faults, LOST_WRITE, NULL))
		return false;
	if (own_fault_set(s->faults, WEAK_CELL, &arg) && holds(arg, offset, n))
		bytes[(uint64_t)arg - offset] ^= 1;
	return true;
}

static bool after_read(void *data, uint64_t offset, uint8_t *bytes, size_t n)
{
	struct disk_sim *s = data;
	double arg;

	if (own_fault_set(s->faults, FLIP_READ, &arg) && holds(arg, offset, n))
		bytes[(uint64_t)arg - offset] ^= 0x40;
	return !(own_fault_set(s->faults, READ_ERROR, &arg) && holds(arg, offset, n));
}

static const struct scsi_disk_ops disk_ops = {before_write, after_read};

/* -- a gadget -- */

static void disk_identity(const struct device *d, struct gadget_identity *ret)
{
	const struct disk_sim *s =
		(const struct disk_sim *)((const char *)d - offsetof(struct disk_sim, device));

	ret->device = s->descriptor;
	ret->config = s->config;
	ret->config_len = s->config_len;
	ret->string[1] = "provsim";
	ret->string[2] = s->set->model;
	ret->string[3] = s->serial;
}

static int disk_control(struct device *d, const uint8_t setup[8], uint8_t *data, size_t n,
	size_t size, uint64_t now_us)
{
	return scsi_disk_control(disk_of(d)->disk, setup, data, size);
}

static int disk_out(struct device *d, uint8_t ep, const uint8_t *p, size_t n, uint64_t now_us)
{
	int r = ep == EP_OUT ? scsi_disk_out(disk_of(d)->disk, p, n) : GADGET_STALL;

	return d->wish == WISH_NONE ? r : GADGET_NAK;
}

static ssize_t disk_in(struct device *d, uint8_t ep, uint8_t *buf, size_t size, uint64_t now_us)
{
	if (d->wish != WISH_NONE)
		return GADGET_NAK;
	return ep == EP_IN ? scsi_disk_in(disk_of(d)->disk, buf, size) : GADGET_STALL;
}

static const struct gadget_ops disk_gadget = {disk_identity, disk_control, disk_out, disk_in, NULL};

/* -- the device -- */

static void disk_free(struct device *d)
{
	scsi_disk_free(disk_of(d)->disk);
	free(disk_of(d));
}

/* A FAT16 that is made up, with the one file that says which board it is. */
static void put_drive(struct disk_sim *s)
{
	static const uint8_t boot[] = {0xeb, 0x3c, 0x90, 'U', 'F', '2', ' ', 'U', 'F', '2', ' ', 0,
		2, 1, 1, 0, 2, 64, 0, 0, 0x40, 0xf8, 64, 0};
	uint8_t sector[SCSI_BLOCK] = {0};
	struct wbytes entry = wbytes_of(sector, 32);
	char info[SCSI_BLOCK] = "";
	int n = snprintf(info, sizeof info, "UF2 Bootloader v1.0\r\nModel: %s\r\nBoard-ID: %s\r\n",
		s->set->model, settings_own(s->set, "disk-uf2"));

	memcpy(sector, boot, sizeof boot);
	sector[510] = 0x55;
	sector[511] = 0xaa;
	scsi_disk_put(s->disk, 0, sector, sizeof sector);
	memset(sector, 0, sizeof sector);
	wb_put(&entry, "INFO_UF2TXT ", 12);
	wb_fill(&entry, 0, 14);
	wb_le16(&entry, 2);
	wb_le32(&entry, (uint32_t)n);
	scsi_disk_put(s->disk, 129 * SCSI_BLOCK, sector, sizeof sector);
	scsi_disk_put(s->disk, 133 * SCSI_BLOCK, info, sizeof info);
}

static int disk_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct disk_sim *s = xcalloc(1, sizeof *s);
	_cleanup_(freep) char *path = c->dir ? xasprintf("%s/disk.bin", c->dir) : NULL;
	int r;

	s->device.ops = &disk_device;
	s->set = c->set;
	s->faults = c->faults;
	for (int i = 0; i < 12 && c->uid[i]; i++)
		s->serial[i] = c->uid[i] >= 'a' ? (char)(c->uid[i] - 32) : c->uid[i];
	r = scsi_disk_new(path, settings_own_number(c->set, "disk-size"), c->set->model, &disk_ops,
		s, &s->disk, e);
	if (r < 0) {
		disk_free(&s->device);
		return r;
	}
	s->uf2 = *settings_own(c->set, "disk-uf2") != '\0';
	if (s->uf2)
		put_drive(s);
	describe(s);
	*ret = &s->device;
	return 0;
}

static void disk_power_on(struct device *d, uint64_t now_us)
{
	struct disk_sim *s = disk_of(d);

	scsi_disk_reset(s->disk);
	s->app = false;
	s->taken = 0;
	describe(s);
	d->wish = WISH_NONE;
}

static void disk_power_off(struct device *d)
{
}

static void disk_opened(struct device *d, uint64_t now_us)
{
	scsi_disk_reset(disk_of(d)->disk);
}

static uint64_t disk_due(const struct device *d)
{
	return NEVER;
}

static const char *disk_state(const struct device *d)
{
	return ((const struct disk_sim *)((const char *)d - offsetof(struct disk_sim, device)))->app
		       ? "application"
		       : "disk";
}

static void disk_json(struct device *d, bool whole, json_t *o)
{
	struct disk_sim *s = disk_of(d);

	json_object_set_new(o, "serial", json_string(s->serial));
	json_object_set_new(o, "bytes", json_integer((json_int_t)scsi_disk_bytes(s->disk)));
	json_object_set_new(o, "writes", json_integer((json_int_t)scsi_disk_writes(s->disk)));
	json_object_set_new(o, "syncs", json_integer((json_int_t)scsi_disk_syncs(s->disk)));
}

static void disk_clear_faults(struct device *d)
{
}

const struct device_ops disk_device = {
	.name = "disk",
	.help = "a board that shows its eMMC as a USB disk, on vhci alone",
	.faults = fault_rows,
	.settings = setting_rows,
	.new = disk_new,
	.free = disk_free,
	.power_on = disk_power_on,
	.power_off = disk_power_off,
	.opened = disk_opened,
	.gadget = &disk_gadget,
	.due = disk_due,
	.state = disk_state,
	.json = disk_json,
	.clear_faults = disk_clear_faults,
};
