/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by fastboot.c (commands and replies), fastboot_vars.c (getvar) and fastboot_flash.c, and
 * by no one else.
 */
#pragma once

#include "transports/protocols/fastboot.h"

struct fastboot {
	struct fastboot_pipe *pipe;
	struct fastboot_config c;
	struct fastboot_hooks hooks;
	uint64_t sent_before, send_total; /* of several data phases that are one progress; 0 */
	bool broken;			  /* out of step */
	bool versioned;			  /* `version` holds what the device answered */
	char version[FASTBOOT_REPLY_MAX + 1];
};

void fastboot_log(struct fastboot *f, char dir, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void fastboot_progress(struct fastboot *f, const char *phase, uint64_t done, uint64_t total);
