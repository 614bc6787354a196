/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of `adb backup`: a head of four lines (ANDROID BACKUP, version, compressed, encryption)
 * and a tar that may be deflated and encrypted.
 *
 * Source: AOSP frameworks/base, com.android.server.backup.fullbackup.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct android_backup {
	unsigned version;
	int compressed;
	char encryption[16]; /* "none", "AES-256" */
	int whole;	     /* its end was seen; not known of an encrypted one */
};

/* -ERR_IMAGE_INVALID for what is not a backup, holds nothing or is cut short. */
int android_backup_check(const uint8_t *p, size_t n, struct android_backup *ret, struct err *e);
