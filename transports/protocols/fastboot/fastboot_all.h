/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole device out of a factory package (AOSP fastboot.cpp, FlashAllTool; what `fastboot update`
 * and `flashall` do):
 *
 *	package: android-info.txt, fastboot-info.txt or the usual images -> tasks, checked
 *	device: requirements, snapshot cancelled, then task by task
 *	reboot fastboot: closed, waited for, opened again by the caller; the next task goes on there
 *
 * Where it breaks off it says at which task; it begins again from the first.
 */
#pragma once

#include "transports/images/archive.h"
#include "transports/protocols/fastboot/fastboot_flash.h"
#include "transports/protocols/fastboot/fastboot_info.h"

struct fastboot_all_opts {
	const char *slot; /* NULL: the current one */
	bool wipe;	  /* erase userdata, cache and metadata where they are */
	bool partial;	  /* a package without boot.img or system.img is fine */
	bool force;	  /* go on where a requirement is not met, and say so */
	bool disable_verity, disable_verification;
	bool declared; /* members are taken whatever they look like (images/gate.h) */
	enum fastboot_verify verify;
	/* Rules of these names are not looked at: what is flashed before the package changes them. NULL, or NULL-terminated. */
	const char *const *later;
};

struct fastboot_package {
	struct archive *archive; /* borrowed */
	struct fastboot_rules rules;
	struct fastboot_tasks tasks;
	bool from_info; /* the tasks are those of fastboot-info.txt */
};

/* Reads the texts, makes the tasks, and unpacks and checks every file that they name (checksum,
 * gate, structure and sums of its format): nothing is sent yet. */
int fastboot_package_open(struct archive *a, const struct fastboot_all_opts *o,
	const struct iotime *it, struct fastboot_package *ret, struct err *e);
/* The same of what flash-all.sh does before the package: its tasks are taken over, and it has no rules. */
int fastboot_package_before(struct archive *a, struct fastboot_tasks *tasks,
	const struct fastboot_all_opts *o, const struct iotime *it, struct fastboot_package *ret,
	struct err *e);
void fastboot_package_done(struct fastboot_package *p);

struct fastboot_all_hooks {
	void *data;
	/* Sends the command, waits for the device and opens it again; *f is
	 * another session then. */
	int (*restart)(void *data, const char *command, struct fastboot **f,
		const struct iotime *it, struct err *e);
	/* After each task; image and flashed only of a flash. May be NULL. */
	void (*told)(void *data, const struct fastboot_task *t, const char *target,
		const struct blob *image, const struct fastboot_flashed *flashed);
};

/* Rules that the device does not meet: -ERR_PREFLIGHT; partitions that it does not know or that are
 * too small for their image: -ERR_NOT_FOUND, -ERR_IMAGE_RANGE; before anything is changed. Logical
 * partitions, and what is flashed after a restart, are looked at when their turn comes. */
int fastboot_package_check(struct fastboot *f, const struct fastboot_package *p,
	const struct fastboot_all_opts *o, const struct iotime *it, struct err *e);
int fastboot_package_run(struct fastboot *f, const struct fastboot_package *p,
	const struct fastboot_all_opts *o, const struct fastboot_all_hooks *h,
	const struct iotime *it, struct err *e);
