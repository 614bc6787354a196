/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fastboot/fastboot.h"

#include <string.h>

typedef bool var_fn(struct fb *f, const char *arg, char *ret, size_t size);

static const char *own(const struct fb *f, const char *name)
{
	return settings_own(f->set, name);
}

static bool say(char *ret, size_t size, const char *value)
{
	snprintf(ret, size, "%s", value);
	return true;
}

static bool yes(char *ret, size_t size, bool v)
{
	return say(ret, size, v ? "yes" : "no");
}

static bool v_version(struct fb *f, const char *arg, char *ret, size_t size)
{
	return say(ret, size, "0.4");
}

static bool v_version_bootloader(struct fb *f, const char *arg, char *ret, size_t size)
{
	return say(ret, size, f->bootloader);
}

static bool v_version_baseband(struct fb *f, const char *arg, char *ret, size_t size)
{
	return say(ret, size, f->radio);
}

static bool v_product(struct fb *f, const char *arg, char *ret, size_t size)
{
	return say(ret, size, own(f, "product"));
}

static bool v_serialno(struct fb *f, const char *arg, char *ret, size_t size)
{
	return say(ret, size, f->serial);
}

static bool v_secure(struct fb *f, const char *arg, char *ret, size_t size)
{
	return yes(ret, size, f->locked);
}

static bool v_unlocked(struct fb *f, const char *arg, char *ret, size_t size)
{
	return yes(ret, size, !f->locked);
}

static bool v_max_download(struct fb *f, const char *arg, char *ret, size_t size)
{
	const char *text =
		own(f, f->mode == FB_FASTBOOTD ? "max-download-userspace" : "max-download");

	return strcmp(text, "none") != 0 && say(ret, size, text);
}

static bool v_max_fetch(struct fb *f, const char *arg, char *ret, size_t size)
{
	uint64_t level = settings_own_number(f->set, "fetch");

	return level && (level > 1 || f->mode == FB_FASTBOOTD) && say(ret, size, "0x100000");
}

static bool v_is_userspace(struct fb *f, const char *arg, char *ret, size_t size)
{
	if (f->uboot)
		return false;
	return yes(ret, size,
		f->mode == FB_FASTBOOTD || own_fault_set(f->faults, FB_LIE_USERSPACE, NULL));
}

static bool v_current_slot(struct fb *f, const char *arg, char *ret, size_t size)
{
	char letter[2] = {f->slot, 0};

	return f->slots && say(ret, size, letter);
}

static bool v_slot_count(struct fb *f, const char *arg, char *ret, size_t size)
{
	snprintf(ret, size, "%u", f->slots);
	return true;
}

static bool v_super(struct fb *f, const char *arg, char *ret, size_t size)
{
	return fb_find_any(f, "super") && say(ret, size, "super");
}

static bool v_snapshot(struct fb *f, const char *arg, char *ret, size_t size)
{
	return f->mode == FB_FASTBOOTD && say(ret, size, "none");
}

static bool v_block(struct fb *f, const char *arg, char *ret, size_t size)
{
	return say(ret, size, "1000");
}

static bool v_battery(struct fb *f, const char *arg, char *ret, size_t size)
{
	return say(ret, size, "3850");
}

static bool v_has_slot(struct fb *f, const char *arg, char *ret, size_t size)
{
	bool there = fb_has_slot(f, arg) || fb_find_any(f, arg);

	return there && yes(ret, size, fb_has_slot(f, arg));
}

/* In hexadecimal without 0x, as many bootloaders say it; fastbootd with it. */
static bool v_partition_size(struct fb *f, const char *arg, char *ret, size_t size)
{
	const struct fb_partition *p = fb_find(f, arg);

	if (p)
		snprintf(ret, size, f->mode == FB_FASTBOOTD ? "0x%llx" : "%llX",
			(unsigned long long)p->size);
	return p != NULL;
}

static bool v_partition_type(struct fb *f, const char *arg, char *ret, size_t size)
{
	bool data = !strcmp(arg, "userdata") || !strcmp(arg, "cache") || !strcmp(arg, "metadata");

	return fb_find(f, arg) && say(ret, size, data ? "ext4" : "raw");
}

static bool v_is_logical(struct fb *f, const char *arg, char *ret, size_t size)
{
	const struct fb_partition *p = fb_find(f, arg);

	return p && f->mode == FB_FASTBOOTD && yes(ret, size, p->logical);
}

static bool v_slot_flag(struct fb *f, const char *arg, char *ret, size_t size)
{
	return f->slots && strlen(arg) == 1 && yes(ret, size, *arg == f->slot);
}

static bool v_slot_retry(struct fb *f, const char *arg, char *ret, size_t size)
{
	return f->slots && strlen(arg) == 1 && say(ret, size, "7");
}

static const struct {
	const char *name;
	enum { PLAIN, PARTITION, BASE, SLOT } takes;
	var_fn *fn;
} vars[] = {
	{"version", PLAIN, v_version},
	{"version-bootloader", PLAIN, v_version_bootloader},
	{"version-baseband", PLAIN, v_version_baseband},
	{"product", PLAIN, v_product},
	{"serialno", PLAIN, v_serialno},
	{"secure", PLAIN, v_secure},
	{"unlocked", PLAIN, v_unlocked},
	{"max-download-size", PLAIN, v_max_download},
	{"max-fetch-size", PLAIN, v_max_fetch},
	{"is-userspace", PLAIN, v_is_userspace},
	{"current-slot", PLAIN, v_current_slot},
	{"slot-count", PLAIN, v_slot_count},
	{"super-partition-name", PLAIN, v_super},
	{"snapshot-update-status", PLAIN, v_snapshot},
	{"erase-block-size", PLAIN, v_block},
	{"logical-block-size", PLAIN, v_block},
	{"battery-voltage", PLAIN, v_battery},
	{"has-slot", BASE, v_has_slot},
	{"partition-size", PARTITION, v_partition_size},
	{"partition-type", PARTITION, v_partition_type},
	{"is-logical", PARTITION, v_is_logical},
	{"slot-successful", SLOT, v_slot_flag},
	{"slot-unbootable", SLOT, v_slot_flag},
	{"slot-retry-count", SLOT, v_slot_retry},
};

bool fb_var(struct fb *f, const char *name, char *ret, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(vars); i++) {
		size_t n = strlen(vars[i].name);
		bool plain = vars[i].takes == PLAIN;

		if (strncmp(name, vars[i].name, n) || name[n] != (plain ? 0 : ':'))
			continue;
		return vars[i].fn(f, plain ? "" : name + n + 1, ret, size);
	}
	return false;
}

static void tell(struct fb *f, const char *name, const char *arg)
{
	char whole[FB_NAME_MAX * 2];
	char value[128];

	snprintf(whole, sizeof whole, "%s%s%s", name, arg ? ":" : "", arg ? arg : "");
	if (fb_var(f, whole, value, sizeof value))
		fb_say(f, f->uboot ? "%s: %s" : "%s:%s", whole, value);
}

static void tell_all(struct fb *f)
{
	static const char *const slots[] = {"a", "b"};

	for (size_t i = 0; i < ARRAY_LEN(vars); i++) {
		if (vars[i].takes == PLAIN)
			tell(f, vars[i].name, NULL);
		for (size_t k = 0; vars[i].takes == SLOT && k < MIN(f->slots, 2u); k++)
			tell(f, vars[i].name, slots[k]);
		for (size_t k = 0; vars[i].takes == PARTITION && k < f->parts; k++)
			tell(f, vars[i].name, f->part[k].name);
		for (size_t k = 0; vars[i].takes == BASE && k < f->parts; k++) {
			char base[FB_NAME_MAX];
			size_t n = strlen(f->part[k].name);

			snprintf(base, sizeof base, "%s", f->part[k].name);
			if (n > 2 && !strcmp(base + n - 2, "_a"))
				base[n - 2] = 0;
			else if (n > 2 && !strcmp(base + n - 2, "_b"))
				continue;
			tell(f, vars[i].name, base);
		}
	}
	fb_okay(f, "%s", "");
}

void fb_getvar(struct fb *f, const char *name)
{
	char value[128];

	if (!strcmp(name, "all"))
		tell_all(f);
	else if (fb_var(f, name, value, sizeof value))
		fb_okay(f, "%s", value);
	else
		fb_fail(f, "Unknown variable");
}
