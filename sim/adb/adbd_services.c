/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stream may be opened for: files of their own for the large services, the small ones here.
 */
#include "sim/adb/adbd.h"

#define LEAVE_US (30 * US_PER_MS)

void adbd_restart(struct adbd *d, enum adbd_mode mode, bool reboots, uint64_t now_us)
{
	if (adbd_hit(d, AF_REBOOT_IGNORED))
		return;
	d->leaving = WISH_REENUMERATE;
	if (adbd_hit(d, AF_SWAP_REBOOT))
		d->leaving = WISH_SWAP;
	if (adbd_hit(d, AF_NO_RETURN))
		d->leaving = WISH_UNPLUG;
	d->next_mode = adbd_hit(d, AF_WRONG_MODE) ? ADBD_RECOVERY : mode;
	d->reboots = reboots && !adbd_hit(d, AF_REBOOT_LIE);
	if (d->reboots)
		d->root = d->remounted = false;
	d->leave_at_us = now_us + LEAVE_US;
	if (adbd_hit(d, AF_REBOOT_SILENT))
		d->stalled = true;
}

static bool text_service(struct adbd_stream *s, const char *text)
{
	adbd_stream_say(s, text);
	s->ended = true;
	return true;
}

static bool reboot_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	static const struct {
		const char *arg;
		enum adbd_mode mode;
	} modes[] = {
		{"recovery", ADBD_RECOVERY},
		{"sideload", ADBD_SIDELOAD},
		{"sideload-auto-reboot", ADBD_SIDELOAD},
		{"bootloader", ADBD_BOOTLOADER},
		{"fastboot", ADBD_BOOTLOADER},
		{"download", ADBD_BOOTLOADER},
	};
	enum adbd_mode mode = ADBD_DEVICE;

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (!strcmp(arg, modes[i].arg))
			mode = modes[i].mode;
	adbd_restart(s->d, mode, true, now_us);
	s->ended = true;
	return true;
}

static bool user_build(const struct adbd *d)
{
	return !strcmp(adbd_setting(d, "adb-build"), "user");
}

static bool root_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	struct adbd *d = s->d;

	if (user_build(d))
		return text_service(s, "adbd cannot run as root in production builds\n");
	if (d->root)
		return text_service(s, "adbd is already running as root\n");
	d->root = true;
	adbd_restart(d, d->mode, false, now_us);
	return text_service(s, "restarting adbd as root\n");
}

static bool unroot_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	struct adbd *d = s->d;

	if (!d->root)
		return text_service(s, "adbd not running as root\n");
	d->root = false;
	adbd_restart(d, d->mode, false, now_us);
	return text_service(s, "restarting adbd as non root\n");
}

static bool remount_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	if (!s->d->root)
		return text_service(s, "Not running as root. Try \"adb root\" first.\n");
	s->d->remounted = true;
	return text_service(s, "remount succeeded\n");
}

static const struct adbd_service service_reboot = {.prefix = "reboot:", .open = reboot_open};
static const struct adbd_service service_root = {.prefix = "root:", .open = root_open};
static const struct adbd_service service_unroot = {.prefix = "unroot:", .open = unroot_open};
static const struct adbd_service service_remount = {.prefix = "remount:", .open = remount_open};

const struct adbd_service *adbd_service_find(const struct adbd *d, const char *name)
{
	static const struct adbd_service *const all[] = {
		&adbd_service_backup,
		&adbd_service_exec,
		&adbd_service_restore,
		&adbd_service_shell,
		&adbd_service_shell_v2,
		&adbd_service_sideload,
		&adbd_service_sideload_old,
		&adbd_service_sync,
		&service_reboot,
		&service_remount,
		&service_root,
		&service_unroot,
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (!strncmp(name, all[i]->prefix, strlen(all[i]->prefix)))
			return all[i];
	return NULL;
}
