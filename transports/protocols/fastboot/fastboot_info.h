/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of a factory package: what a device has to be (android-info.txt), and what is done to it in which order
 * (fastboot-info.txt; flash-all.sh of the image around it). AOSP fastboot.cpp: check_requirement,
 * ParseFastbootInfo; task.cpp.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

/*	require NAME=V1|V2*	NAME=V		reject NAME=V
 *	require-for-product:P NAME=V		require partition-exists=P
 * "V*" matches what begins with V; board is another name of product. */
struct fastboot_rule {
	char *product; /* it is for this one alone; NULL: for all */
	bool reject;
	char *name;
	char *values; /* as written, V1|V2 */
};
struct fastboot_rules {
	struct fastboot_rule *list;
	size_t count;
	char note[160]; /* of the first line that is not a rule; it is passed over, as AOSP does */
};

/* -ERR_IMAGE_INVALID for what is not a text (NULs, far too long). */
int fastboot_rules_parse(const char *text, size_t n, struct fastboot_rules *ret, struct err *e);
void fastboot_rules_done(struct fastboot_rules *r);
/* Whether the value is one of the rule's. */
bool fastboot_rule_matches(const struct fastboot_rule *r, const char *value);

enum fastboot_task_kind {
	FASTBOOT_TASK_FLASH,
	FASTBOOT_TASK_ERASE,
	FASTBOOT_TASK_REBOOT,
	FASTBOOT_TASK_UPDATE_SUPER
};

struct fastboot_task {
	enum fastboot_task_kind kind;
	bool if_wipe;	   /* only where data is wiped */
	char *partition;   /* of flash and erase */
	char *file;	   /* of flash */
	bool slot_other;   /* into the slot that is not active */
	bool apply_vbmeta; /* flags that were asked for go into it */
	char *target;	   /* of reboot: "fastboot", "bootloader", "recovery", "" */
	/* Of the file, once it was checked: what the partition will hold, and its digest. */
	uint64_t image_bytes;
	char sha256[SHA256_HEX];
};
struct fastboot_tasks {
	struct fastboot_task *list;
	size_t count;
};

/* flash-all.sh of a factory image, which holds the package as a zip of its own: what is flashed before it, and the package.
 *
 *	fastboot flash PARTITION FILE	fastboot reboot-bootloader	fastboot [-w] update FILE
 *
 * Lines that change no device (if, echo, sleep, exit in an if) are passed over: provd waits for the device itself. Any other
 * line is refused, as is a command within an if: provd does not know which way the shell would go. */
struct fastboot_factory {
	struct fastboot_tasks before;
	char *package; /* the zip that `update` names */
	bool wipe;     /* -w */
};
/* What is not one of these, or a command after the update, ends it: -ERR_IMAGE_INVALID with its line. */
int fastboot_factory_parse(const char *text, size_t n, struct fastboot_factory *ret, struct err *e);
void fastboot_factory_done(struct fastboot_factory *f);

/* A line that is not understood ends it: -ERR_IMAGE_INVALID with its number. */
int fastboot_tasks_parse(const char *text, size_t n, struct fastboot_tasks *ret, struct err *e);
/* partition and file are copied. */
struct fastboot_task *fastboot_tasks_add(struct fastboot_tasks *t, enum fastboot_task_kind kind,
	const char *partition, const char *file);
void fastboot_tasks_done(struct fastboot_tasks *t);
