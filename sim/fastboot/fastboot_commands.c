/* SPDX-License-Identifier: Apache-2.0
 *
 * What each command does. Refusals are worded as fastbootd and U-Boot word theirs.
 */
#include "sim/fastboot/fastboot.h"

#include <string.h>

#define FETCH_STEP 65536u

typedef void command_fn(struct fb *f, const char *arg);

static void leave(struct fb *f, enum fb_mode mode)
{
	f->next_mode = mode;
	f->reboots++;
	fb_disk_versions(f);
	fb_okay(f, "%s", "");
	if (own_fault_hit(f->faults, FB_LOST, NULL))
		f->wish_at_end = WISH_UNPLUG;
	else if (own_fault_hit(f->faults, FB_SWAP, NULL))
		f->wish_at_end = WISH_SWAP;
	else
		f->wish_at_end = WISH_REENUMERATE;
}

static void do_reboot(struct fb *f, const char *arg)
{
	leave(f, FB_SYSTEM);
}

static void do_reboot_bootloader(struct fb *f, const char *arg)
{
	leave(f, FB_BOOTLOADER);
}

static void do_reboot_recovery(struct fb *f, const char *arg)
{
	leave(f, FB_RECOVERY);
}

static void do_reboot_fastboot(struct fb *f, const char *arg)
{
	if (f->uboot || f->custom)
		fb_fail(f, "Unknown command");
	else if (own_fault_set(f->faults, FB_LIE_USERSPACE, NULL) ||
		 own_fault_hit(f->faults, FB_NO_USERSPACE, NULL))
		leave(f, FB_BOOTLOADER);
	else
		leave(f, FB_FASTBOOTD);
}

static void do_shutdown(struct fb *f, const char *arg)
{
	fb_okay(f, "%s", "");
	f->wish_at_end = WISH_UNPLUG;
}

static void do_download(struct fb *f, const char *arg)
{
	static const char hex[] = "0123456789abcdefABCDEF";
	char text[16];
	double more = 0;
	uint64_t n = strlen(arg) == 8 && strspn(arg, hex) == 8 ? strtoull(arg, NULL, 16) : 0;

	if (n == 0) {
		fb_fail(f, "Invalid size");
		return;
	}
	if (f->locked) {
		fb_fail(f, "Download is not allowed on locked devices");
		return;
	}
	if (n > settings_own_number(f->set, "buffer")) {
		fb_fail(f, "data too large");
		return;
	}
	if (own_fault_hit(f->faults, FB_DATA_GARBAGE, NULL)) {
		fb_push(f, false, "DATA12x", 7);
		return;
	}
	own_fault_hit(f->faults, FB_DATA_SIZE, &more);
	if (n > f->buffer_cap) {
		free(f->buffer);
		f->buffer = malloc(n);
		f->buffer_cap = f->buffer ? n : 0;
	}
	if (!f->buffer) {
		fb_fail(f, "out of memory");
		return;
	}
	f->buffer_n = 0;
	f->data_seen = 0;
	f->data_left = n + (size_t)more;
	snprintf(text, sizeof text, "DATA%08zx", f->data_left);
	f->data_left = n;
	fb_push(f, false, text, 12);
}

/* Faults at a byte of the data: how many of n bytes come before it. */
static size_t until(struct fb *f, enum fb_fault row, size_t n)
{
	double at = 0;

	if (!own_fault_set(f->faults, row, &at) || (uint64_t)at >= f->data_seen + n)
		return n;
	own_fault_hit(f->faults, row, NULL);
	if (row == FB_STALL)
		f->stalled = true;
	else
		f->device.wish = WISH_UNPLUG;
	return (uint64_t)at > f->data_seen ? (size_t)((uint64_t)at - f->data_seen) : 0;
}

size_t fb_data(struct fb *f, const uint8_t *p, size_t n, uint64_t now_us)
{
	size_t take = MIN(n, f->data_left);

	f->now_us = now_us;
	/* What comes after it is swallowed: the host waits for an answer that never comes. */
	if (f->stalled)
		return n;
	take = until(f, FB_STALL, take);
	take = until(f, FB_HANGUP, take);
	memcpy(f->buffer + f->buffer_n, p, take);
	f->buffer_n += take;
	f->data_seen += take;
	f->data_left -= take;
	if (f->data_left == 0) {
		f->downloads++;
		fb_okay(f, "%s", "");
	}
	return take;
}

/* A partition that may be written, or NULL with the refusal said. */
static struct fb_partition *writable(struct fb *f, const char *name, const char *what)
{
	struct fb_partition *p = fb_find(f, name);

	if (f->locked)
		fb_fail(f, "%s is not allowed on locked devices", what);
	else if (!p)
		fb_fail(f, "No such file or directory: partition '%.40s'", name);
	return f->locked ? NULL : p;
}

static void result(struct fb *f, const char *why)
{
	f->busy_until_us = f->now_us + settings_own_number(f->set, "flash-ms") * 1000;
	if (why)
		fb_fail(f, "%s", why);
	else
		fb_okay(f, "%s", "");
}

static void do_flash(struct fb *f, const char *arg)
{
	struct fb_partition *p = writable(f, arg, "Flash");

	if (!p)
		return;
	if (f->buffer_n == 0) {
		fb_fail(f, "Nothing was downloaded");
		return;
	}
	fb_say(f, "writing '%s'...", arg);

	const char *why = fb_flash(f, p, f->buffer, f->buffer_n);

	f->flashes += !why;
	result(f, why);
}

static void do_erase(struct fb *f, const char *arg)
{
	struct fb_partition *p = writable(f, arg, "Erase");

	if (p) {
		f->erases++;
		result(f, fb_erase(f, p));
	}
}

static void do_set_active(struct fb *f, const char *arg)
{
	char slot = arg[0] == '_' ? arg[1] : arg[0];

	if (f->locked)
		fb_fail(f, "set_active command is not allowed on locked devices");
	else if (f->slots == 0 || strlen(arg) != (arg[0] == '_' ? 2u : 1u) || slot < 'a' ||
		 slot >= (char)('a' + (int)f->slots))
		fb_fail(f, "Bad slot suffix");
	else {
		f->slot = slot;
		fb_keep(f);
		fb_okay(f, "%s", "");
	}
}

static void do_boot(struct fb *f, const char *arg)
{
	if (f->mode == FB_FASTBOOTD)
		fb_fail(f, "Command not supported in default implementation");
	else if (f->buffer_n < 8 || memcmp(f->buffer, "ANDROID!", 8) != 0)
		fb_fail(f, "invalid boot image header");
	else {
		f->boots++;
		leave(f, FB_SYSTEM);
	}
}

static void do_continue(struct fb *f, const char *arg)
{
	leave(f, FB_SYSTEM);
}

/* What an oem command staged, or what was downloaded. */
static void do_upload(struct fb *f, const char *arg)
{
	char text[16];

	if (f->buffer_n == 0) {
		fb_fail(f, "No data staged by the last command");
		return;
	}
	snprintf(text, sizeof text, "DATA%08zx", f->buffer_n);
	fb_push(f, false, text, 12);
	for (size_t at = 0; at < f->buffer_n; at += FETCH_STEP)
		fb_push(f, true, f->buffer + at, MIN(f->buffer_n - at, FETCH_STEP));
	fb_okay(f, "%s", "");
}

static bool fetch_range(const char *arg, uint64_t size, uint64_t *offset, uint64_t *n)
{
	const char *colon = strchr(arg, ':');
	unsigned long long v;

	*offset = 0;
	*n = size;
	if (!colon)
		return true;
	*offset = strtoull(colon + 1, NULL, 16);
	if (*offset > size)
		return false;
	*n = size - *offset;
	colon = strchr(colon + 1, ':');
	if (!colon)
		return true;
	v = strtoull(colon + 1, NULL, 16);
	if (v > *n)
		return false;
	*n = v;
	return true;
}

static void push_partition(struct fb *f, const struct fb_partition *p, uint64_t at, uint64_t n)
{
	uint8_t buf[FETCH_STEP];

	for (uint64_t done = 0; done < n;) {
		ssize_t k = pread(p->fd, buf, (size_t)MIN(n - done, (uint64_t)sizeof buf),
			(off_t)(at + done));

		if (k <= 0)
			return;
		fb_push(f, true, buf, (size_t)k);
		done += (uint64_t)k;
	}
}

static void do_fetch(struct fb *f, const char *arg)
{
	uint64_t level = settings_own_number(f->set, "fetch");
	_cleanup_(freep) char *name = strndup(arg, strcspn(arg, ":"));
	struct fb_partition *p = fb_find(f, name);
	uint64_t at, n;
	char text[16];

	if (level == 0 || (level == 1 && f->mode != FB_FASTBOOTD)) {
		fb_fail(f, "Unrecognized command fetch");
	} else if (f->locked) {
		fb_fail(f, "Fetching is not allowed on locked devices");
	} else if (!p) {
		fb_fail(f, "Unable to open %s", name);
	} else if (!fetch_range(arg, p->size, &at, &n) || n == 0 || n > UINT32_MAX) {
		fb_fail(f, "Invalid range");
	} else {
		f->fetches++;
		snprintf(text, sizeof text, "DATA%08x", (uint32_t)n);
		fb_push(f, false, text, 12);
		push_partition(f, p, at, n);
		fb_okay(f, "%s", "");
	}
}

static void do_oem(struct fb *f, const char *arg)
{
	if (!strncmp(arg, "echo ", 5)) {
		fb_say(f, "%s", arg + 5);
		fb_okay(f, "%s", "");
	} else if (!strcmp(arg, "device-info")) {
		fb_say(f, "Device unlocked: %s", f->locked ? "false" : "true");
		fb_say(f, "Serial: %s", f->serial);
		fb_okay(f, "%s", "");
	} else {
		fb_fail(f, "oem command '%.40s' is unknown", arg);
	}
}

static void do_flashing(struct fb *f, const char *arg)
{
	bool lock = !strcmp(arg, "lock");

	if (!strcmp(arg, "get_unlock_ability")) {
		fb_say(f, "get_unlock_ability: 1");
		fb_okay(f, "%s", "");
	} else if (!strcmp(arg, "lock_critical") || !strcmp(arg, "unlock_critical")) {
		fb_okay(f, "%s", "");
	} else if (!lock && strcmp(arg, "unlock")) {
		fb_fail(f, "Unknown flashing command");
	} else if (f->locked == lock) {
		fb_fail(f, "Already %sed", arg);
	} else {
		struct fb_partition *data = fb_find_any(f, "userdata");

		f->locked = lock;
		if (data)
			fb_erase(f, data);
		fb_keep(f);
		fb_okay(f, "%s", "");
	}
}

/* Whether logical partitions can be worked on; says why not. */
static bool logical_ready(struct fb *f)
{
	if (f->locked)
		fb_fail(f, "Command not available on locked devices");
	else if (f->mode != FB_FASTBOOTD)
		fb_fail(f, "unknown command");
	return !f->locked && f->mode == FB_FASTBOOTD;
}

static void sized(struct fb *f, const char *arg, bool create)
{
	const char *colon = strchr(arg, ':');
	_cleanup_(freep) char *name = strndup(arg, strcspn(arg, ":"));
	struct fb_partition *p = fb_find(f, name);
	char *end = NULL;
	uint64_t size = colon ? strtoull(colon + 1, &end, 10) : 0;

	if (!logical_ready(f))
		return;
	if (!colon || end == colon + 1 || *end)
		fb_fail(f, "Invalid size");
	else if (create)
		result(f, p ? "Partition already exists" : fb_create(f, name, size));
	else if (!p || !p->logical)
		fb_fail(f, "Partition does not exist");
	else
		result(f, fb_resize(f, p, size));
}

static void do_create(struct fb *f, const char *arg)
{
	sized(f, arg, true);
}

static void do_resize(struct fb *f, const char *arg)
{
	sized(f, arg, false);
}

static void do_delete(struct fb *f, const char *arg)
{
	struct fb_partition *p = fb_find(f, arg);

	if (!logical_ready(f))
		return;
	if (!p || !p->logical)
		fb_fail(f, "Partition does not exist");
	else
		result(f, fb_delete(f, p));
}

/* The metadata of super says which logical partitions there are: here they all stay, empty. */
static void do_update_super(struct fb *f, const char *arg)
{
	bool wipe = strstr(arg, ":wipe") != NULL;

	if (!logical_ready(f))
		return;
	if (f->buffer_n < 4096) {
		fb_fail(f, "Unable to parse super metadata");
		return;
	}
	for (size_t i = 0; wipe && i < f->parts; i++)
		if (f->part[i].logical)
			fb_resize(f, &f->part[i], 0);
	fb_okay(f, "%s", "");
}

static void do_snapshot(struct fb *f, const char *arg)
{
	if (strcmp(arg, "cancel") && strcmp(arg, "merge"))
		fb_fail(f, "Invalid arguments");
	else
		fb_okay(f, "%s", "");
}

static const struct {
	const char *name;
	bool prefix;
	bool plain; /* of the guide's device too */
	command_fn *fn;
} commands[] = {
	{"getvar:", true, false, fb_getvar},
	{"download:", true, true, do_download},
	{"flash:", true, true, do_flash},
	{"erase:", true, true, do_erase},
	{"reboot", false, true, do_reboot},
	{"reboot-bootloader", false, false, do_reboot_bootloader},
	{"reboot-recovery", false, false, do_reboot_recovery},
	{"reboot-fastboot", false, false, do_reboot_fastboot},
	{"continue", false, false, do_continue},
	{"shutdown", false, false, do_shutdown},
	{"boot", false, false, do_boot},
	{"upload", false, false, do_upload},
	{"fetch:", true, false, do_fetch},
	{"set_active:", true, false, do_set_active},
	{"oem ", true, false, do_oem},
	{"flashing ", true, false, do_flashing},
	{"create-logical-partition:", true, false, do_create},
	{"resize-logical-partition:", true, false, do_resize},
	{"delete-logical-partition:", true, false, do_delete},
	{"update-super:", true, false, do_update_super},
	{"snapshot-update:", true, false, do_snapshot},
};

/* Control characters, a NUL after it above all: fastbootd refuses them. */
static bool clean(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] == 0x7f)
			return false;
	return true;
}

static void run(struct fb *f, const char *text)
{
	double at = 0;

	if (own_fault_set(f->faults, FB_FAIL, &at) && f->commands == (unsigned)at + 1) {
		own_fault_hit(f->faults, FB_FAIL, NULL);
		fb_fail(f, "as the fault wants it");
		return;
	}
	if (own_fault_set(f->faults, FB_LONG_FAIL, &at) && f->commands == (unsigned)at + 1) {
		char reason[253];

		own_fault_hit(f->faults, FB_LONG_FAIL, NULL);
		memset(reason, 'x', 252);
		reason[252] = 0;
		fb_fail(f, "%s", reason);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		size_t n = strlen(commands[i].name);

		if ((f->custom && !commands[i].plain) ||
			(commands[i].prefix ? strncmp(text, commands[i].name, n) != 0
					    : strcmp(text, commands[i].name) != 0))
			continue;
		commands[i].fn(f, text + n);
		return;
	}
	fb_fail(f, "Unrecognized command %.40s", text);
}

void fb_command(struct fb *f, const uint8_t *p, size_t n, uint64_t now_us)
{
	char text[FB_COMMAND_BYTES + 1];

	f->now_us = now_us;
	f->commands++;
	if (f->custom && n > 0 && p[n - 1] == 0)
		n--;
	if (n == 0 || n > FB_COMMAND_BYTES || (f->uboot && n > 64) || !clean(p, n)) {
		fb_fail(f, "Command contains control characters or is too long");
		return;
	}
	memcpy(text, p, n);
	text[n] = 0;
	sb_add(&f->log, text);
	sb_add(&f->log, "\n");
	run(f, text);
}
