/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done on a device beyond files and commands: packages, adbd's user, remounting, restarts,
 * backups, the screen.
 *
 * Source: AOSP packages/modules/adb, docs/dev/services.md, client/adb_install.cpp,
 * client/commandline.cpp, daemon/restart_service.cpp.
 */
#pragma once

#include "base/teller.h"
#include "transports/protocols/adb/adb_shell.h"
#include "transports/protocols/adb/adb_sync.h"

#define ADB_REPLY_MAX 512u

/* Installs one APK: streamed to `cmd package install -S` where the device has `cmd`, else pushed
 * below /data/local/tmp, given to `pm install` and deleted. words: options such as "-r", quoted
 * here, NULL-terminated. Success is a line that begins with Success and no Failure; the device's
 * words are in reply, escaped. -ERR_DEVICE_REFUSED with `Failure [...]`. */
int adb_install(struct adb_conn *c, const struct adb_source *apk, const char *const *words,
	const struct teller *tell, const struct iotime *it, char reply[ADB_REPLY_MAX],
	struct err *e);
int adb_uninstall(struct adb_conn *c, const char *package, bool keep_data, const struct iotime *it,
	char reply[ADB_REPLY_MAX], struct err *e);
/* The path of a package's base.apk on the device, "" where it is not installed. */
int adb_package_path(struct adb_conn *c, const char *package, const struct iotime *it, char *ret,
	size_t size, struct err *e);

enum adb_restarting { ADB_IS_SO_ALREADY, ADB_RESTARTS };
/* adbd as root, or as shell again. Where it restarts the connection is about to end: wait for that
 * (adb_conn_wait_gone) and connect again. -ERR_DEVICE_REFUSED on production builds. */
int adb_root(struct adb_conn *c, bool root, const struct iotime *it, enum adb_restarting *ret,
	char reply[ADB_REPLY_MAX], struct err *e);
/* Makes the system partitions writable. -ERR_DEVICE_REFUSED where that did not succeed, or only
 * after a reboot. */
int adb_remount(
	struct adb_conn *c, const struct iotime *it, char reply[ADB_REPLY_MAX], struct err *e);
/* how: "", "bootloader", "recovery", "sideload", "sideload-auto-reboot", "fastboot", "download".
 * Returns once the device has left, or -ERR_TIMEOUT where it stays. */
int adb_reboot(struct adb_conn *c, const char *how, const struct iotime *it, struct err *e);

/* words as they are written after `adb backup`; a person confirms on the device's screen. */
int adb_backup(struct adb_conn *c, const char *const *words, adb_output_fn *output, void *data,
	const struct iotime *it, struct err *e);
/* The bytes, an end mark, and the wait until the device closes the stream. The device gives no
 * result. */
int adb_restore(struct adb_conn *c, const struct adb_source *file, const struct teller *tell,
	const struct iotime *it, struct err *e);

/* Whether the bytes are a whole PNG: its chunks, their sums and its end. -ERR_PROTOCOL says what is
 * wrong. */
int adb_png_check(
	const uint8_t *p, size_t n, uint32_t *ret_width, uint32_t *ret_height, struct err *e);
