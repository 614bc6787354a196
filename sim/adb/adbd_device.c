/* SPDX-License-Identifier: Apache-2.0
 *
 * A virtual phone as a device of the row: power, links, the modes that it boots into.
 *
 *	power on -> device <-> recovery <-> sideload, bootloader   (by reboot:)
 *
 * While it boots it hears nothing, and what was sent meanwhile waits; a bootloader hears no ADB.
 */
#include "sim/adb/adbd.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "sim/device_rows.h"

const struct own_fault adbd_faults[AF_COUNT + 1] = {
	[AF_BAD_MAGIC] = {"bad-magic", "the next packet has a wrong magic", 0},
	[AF_BAD_SUM] = {"bad-sum", "the next payload has a wrong sum", 0},
	[AF_HUGE_LENGTH] = {"huge-length", "the next header claims 2 GiB", 0},
	[AF_ZERO_ID] = {"zero-id", "the next WRTE comes from stream 0", 0},
	[AF_CLSE0] = {"clse0", "the next CLSE comes from stream 0, an old bug", 0},
	[AF_REFUSE_OPEN] = {"refuse-open", "the next OPEN is refused", 0},
	[AF_NO_EXIT] = {"no-exit", "the next command ends without its exit status", 0},
	[AF_EXIT] = {"exit", "the next command ends with status ARG", 1},
	[AF_SYNC_FAIL] = {"sync-fail", "FAIL at byte ARG of the next file pushed", 0},
	[AF_SHORT_PULL] = {"short-pull", "the next file pulled ends at byte ARG", 0},
	[AF_CORRUPT_PUSH] = {"corrupt-push", "byte ARG of the next file pushed is stored wrong", 0},
	[AF_CORRUPT_PULL] = {"corrupt-pull", "the next file pulled has a wrong byte", 0},
	[AF_LOSE_PUSH] = {"lose-push", "the next file pushed is acknowledged and not kept", 0},
	[AF_STALL_REPLY] = {"stall-reply", "falls silent at byte ARG of what it says", 0},
	[AF_HANGUP] = {"hangup", "closes the connection at byte ARG of what it hears", 0},
	[AF_HANGUP_REPLY] = {"hangup-reply", "closes it at byte ARG of what it says", 0},
	[AF_ENDLESS_TOKEN] = {"endless-token", "answers everything with another token", 0},
	[AF_STLS] = {"stls", "wants TLS", 0},
	[AF_GARBAGE] = {"garbage", "ARG bytes of rubbish before the next packet", 100},
	[AF_STRAY] = {"stray", "a packet of a former session before CNXN", 0},
	[AF_SPLIT] = {"split", "bytes come one by one", 0},
	[AF_SIDELOAD_FAIL] = {"sideload-fail", "the next sideload ends with FAILFAIL", 0},
	[AF_SIDELOAD_DIE] = {"sideload-die", "the next sideload is closed at 100 %", 0},
	[AF_SIDELOAD_PAST] = {"sideload-past", "the next block asked for is after the end", 0},
	[AF_INSTALL_FAIL] = {"install-fail", "the next install ends with Failure", 0},
	[AF_INSTALL_LIE] = {"install-lie", "Success, and nothing was done", 0},
	[AF_DISK_FULL] = {"disk-full", "no room from byte ARG on", 0},
	[AF_LYING_SHA] = {"lying-sha", "the next sha256sum is wrong", 0},
	[AF_BROKEN_PNG] = {"broken-png", "the next screencap is cut short", 0},
	[AF_BROKEN_MP4] = {"broken-mp4", "the next screenrecord has no index", 0},
	[AF_SHORT_BACKUP] = {"short-backup", "the next backup is cut short", 0},
	[AF_DENY] = {"deny", "the next backup or restore is not confirmed", 0},
	[AF_SWAP_REBOOT] = {"swap-reboot", "another unit comes back from the next restart", 0},
	[AF_NO_RETURN] = {"no-return", "nothing comes back from the next restart", 0},
	[AF_REBOOT_IGNORED] = {"reboot-ignored", "the next restart does not take place", 0},
	[AF_REBOOT_SILENT] = {"reboot-silent", "the next restart is not answered", 0},
	[AF_REBOOT_LIE] = {"reboot-lie", "the next restart is of adbd alone", 0},
	[AF_WRONG_MODE] = {"wrong-mode", "the next restart ends in recovery", 0},
	[AF_RUBBISH_TEXT] = {"rubbish-text", "control bytes and markup in the next message", 0},
};

static const struct own_setting settings[] = {
	{"adb-auth", "off",
		"off, keys (of --adb-keys and adb_keys), any (the first one offered), refuse"},
	{"adb-keys", "", "file of public keys that are known"},
	{"adb-version", "0x01000001", "0x01000000: sums are looked at"},
	{"adb-payload", "0x100000", "largest payload"},
	{"adb-features", "shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir,remount_shell",
		"what it offers"},
	{"adb-build", "userdebug", "user: adbd does not run as root"},
	{"adb-mode", "device", "device, recovery, sideload or bootloader"},
	{"adb-serial", "", "ro.serialno; none: it has none; made of the unit's id by default"},
	{"adb-sha256sum", "1", "0: it has no sha256sum"},
	{"adb-screencap", "1", "0: it has no screencap"},
	{"adb-chmod", "1", "ignored: its file system keeps no modes"},
	{"adb-old-sideload", "0", "1: knows only the sideload from before Android 4.4"},
	{"adb-completed-ms", "100", "from the boot to sys.boot_completed"},
	{0},
};

bool adbd_hit(struct adbd *d, enum adbd_fault f)
{
	return own_fault_hit(d->faults, f, NULL);
}

bool adbd_hit_arg(struct adbd *d, enum adbd_fault f, uint64_t *ret_arg)
{
	double arg;

	if (!own_fault_hit(d->faults, f, &arg))
		return false;
	*ret_arg = (uint64_t)arg;
	return true;
}

bool adbd_armed(const struct adbd *d, enum adbd_fault f, uint64_t *ret_arg)
{
	double arg;

	if (!own_fault_set(d->faults, f, &arg))
		return false;
	if (ret_arg)
		*ret_arg = (uint64_t)arg;
	return true;
}

const char *adbd_setting(const struct adbd *d, const char *name)
{
	return settings_own(d->set, name);
}

static struct adbd *of(struct device *dev)
{
	return container_of(dev, struct adbd, device);
}

static const struct adbd *of_const(const struct device *dev)
{
	return (const struct adbd *)((const char *)dev - offsetof(struct adbd, device));
}

/* --- the unit --- */

static int own_dir(struct adbd *d, const struct device_config *c, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	if (c->dir) {
		d->dir = xstrdup(c->dir);
		return 0;
	}
	d->dir = xasprintf("%s/provsim-adb-XXXXXX", tmp ? tmp : "/tmp");
	d->own_dir = true;
	return mkdtemp(d->dir) ? 0 : err_errno(e, ERR_IO, errno, "%s", d->dir);
}

static enum adbd_mode first_mode(const struct adbd *d)
{
	const char *mode = adbd_setting(d, "adb-mode");

	if (!strcmp(mode, "recovery"))
		return ADBD_RECOVERY;
	if (!strcmp(mode, "sideload"))
		return ADBD_SIDELOAD;
	return !strcmp(mode, "bootloader") ? ADBD_BOOTLOADER : ADBD_DEVICE;
}

static void adb_free(struct device *dev)
{
	struct adbd *d = of(dev);

	adbd_streams_drop(d);
	adbd_usb_done(d);
	adbd_queue_done(&d->rx);
	adbd_queue_done(&d->tx);
	sb_done(&d->log);
	if (d->own_dir)
		adbd_remove_tree(d->dir);
	free(d->dir);
	free(d);
}

static int adb_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct adbd *d = xcalloc(1, sizeof *d);
	const char *serial;
	int r;

	d->set = c->set;
	d->wire_faults = c->wire_faults;
	d->faults = c->faults;
	snprintf(d->uid, sizeof d->uid, "%s", c->uid);
	serial = adbd_setting(d, "adb-serial");
	if (!strcmp(serial, "none"))
		d->serial[0] = 0;
	else if (serial[0])
		snprintf(d->serial, sizeof d->serial, "%s", serial);
	else
		snprintf(d->serial, sizeof d->serial, "SIM%.12s", c->uid);
	r = own_dir(d, c, e);
	if (r < 0) {
		adb_free(&d->device);
		return r;
	}
	if (c->fresh || d->own_dir)
		adbd_fs_fresh(d);
	*ret = &d->device;
	return 0;
}

static void boot(struct adbd *d, enum adbd_mode mode, bool whole, uint64_t now_us)
{
	adbd_connection_lost(d);
	adbd_wire_reset(d);
	d->stalled = false;
	d->mode = mode;
	d->leaving = WISH_NONE;
	d->boot_until_us = now_us + d->set->boot_ms * US_PER_MS;
	if (whole)
		adbd_fs_boot(d);
	d->completed_at_us =
		d->boot_until_us + settings_own_number(d->set, "adb-completed-ms") * US_PER_MS;
}

static void adb_power_on(struct device *dev, uint64_t now_us)
{
	struct adbd *d = of(dev);

	d->root = d->remounted = false;
	boot(d, first_mode(d), true, now_us);
}

static void adb_power_off(struct device *dev)
{
	struct adbd *d = of(dev);

	adbd_connection_lost(d);
	adbd_wire_reset(d);
	d->mode = ADBD_OFF;
}

/* Each TCP connection is a session of its own; what a USB host left stays in the pipe. */
static void adb_opened(struct device *dev, uint64_t now_us)
{
	struct adbd *d = of(dev);

	if (!d->usb) {
		adbd_connection_lost(d);
		adbd_wire_reset(d);
	}
	if (d->leaving == WISH_NONE)
		d->stalled = false;
}

static void adb_closed(struct device *dev, uint64_t now_us)
{
	adb_opened(dev, now_us);
}

/* --- bytes --- */

static size_t adb_room(const struct device *dev)
{
	return adbd_queued(&of_const(dev)->rx) < (2u << 20) ? 65536 : 0;
}

static void adb_input(struct device *dev, const void *p, size_t n, uint64_t now_us)
{
	adbd_wire_input(of(dev), p, n, now_us);
}

static size_t adb_output(struct device *dev, void *buf, size_t size, uint64_t now_us)
{
	struct adbd *d = of(dev);

	adbd_wire_run(d, now_us);
	return adbd_wire_output(d, buf, size);
}

static uint64_t adb_due(const struct device *dev)
{
	const struct adbd *d = of_const(dev);
	uint64_t due = adbd_streams_due(d);

	if (d->leaving != WISH_NONE)
		due = MIN(due, d->leave_at_us);
	if (d->stalled)
		return d->leaving != WISH_NONE ? d->leave_at_us : NEVER;
	if (adbd_wire_sending(d))
		return 0;
	if (d->waits)
		due = MIN(due, d->boot_until_us);
	return due;
}

static enum device_wish adb_take_wish(struct device *dev)
{
	struct adbd *d = of(dev);
	enum device_wish w = d->device.wish;

	d->device.wish = WISH_NONE;
	if (w != WISH_NONE || d->leaving == WISH_NONE || now_us() < d->leave_at_us)
		return w;
	w = d->leaving;
	if (w == WISH_REENUMERATE)
		boot(d, d->next_mode, d->reboots, now_us());
	d->leaving = WISH_NONE;
	return w;
}

static const char *adb_state(const struct device *dev)
{
	static const char *const names[] = {[ADBD_OFF] = "off",
		[ADBD_DEVICE] = "device",
		[ADBD_RECOVERY] = "recovery",
		[ADBD_SIDELOAD] = "sideload",
		[ADBD_BOOTLOADER] = "bootloader"};

	return names[of_const(dev)->mode];
}

static void adb_json(struct device *dev, bool whole, json_t *o)
{
	static const char *const counters[] = {
		"packets_in", "packets_out", "streams", "authorised"};
	struct adbd *d = of(dev);

	json_object_set_new(o, "serial", json_string(d->serial));
	if (!whole)
		return;
	json_object_set_new(o, "root", json_boolean(d->root));
	json_object_set_new(o, "dir", json_string(d->dir));
	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		json_object_set_new(o, counters[i], json_integer((json_int_t)d->counters[i]));
}

static void adb_clear_faults(struct device *dev)
{
	of(dev)->stalled = false;
}

const struct device_ops adb_device = {
	.name = "adb",
	.help = "a phone with USB debugging: adbd over TCP or USB",
	.faults = adbd_faults,
	.settings = settings,
	.new = adb_new,
	.free = adb_free,
	.power_on = adb_power_on,
	.power_off = adb_power_off,
	.opened = adb_opened,
	.closed = adb_closed,
	.room = adb_room,
	.input = adb_input,
	.output = adb_output,
	.gadget = &adbd_gadget,
	.due = adb_due,
	.state = adb_state,
	.json = adb_json,
	.take_wish = adb_take_wish,
	.clear_faults = adb_clear_faults,
};
