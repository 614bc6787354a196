/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a session, shared by the fastboot*.c files of this folder that speak commands, and
 * by no one else.
 */
#pragma once

#include "transports/protocols/fastboot/fastboot.h"

struct fastboot {
	struct fastboot_pipe *pipe;
	struct fastboot_config c;
	struct teller tell;
	uint64_t sent_before, send_total; /* of several data phases that are one progress; 0 */
	unsigned commands;		  /* that went out */
	bool broken;			  /* out of step */
	struct err why;			  /* what broke it */
	bool unproven;			  /* an older session's reply may still come first */
	bool versioned;			  /* `version` holds what the device answered */
	char version[FASTBOOT_REPLY_MAX + 1];
	char refusal[FASTBOOT_REPLY_MAX +
		     1]; /* the device's words, where the last command failed */
};

/* True: the device refused because it has no partition of that name.
 * False: any other reason, for example that it does not know the command. */
bool fastboot_refusal_is_unknown_partition(const char *words, const char *target);

/* As fastboot_command(), with something to do while the device is busy; may be NULL. */
int fastboot_command_meanwhile(struct fastboot *f, const char *command, uint64_t budget_us,
	void (*meanwhile)(void *data), void *data, const struct iotime *it,
	struct fastboot_reply *ret, struct err *e);
