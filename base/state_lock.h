/* SPDX-License-Identifier: Apache-2.0
 *
 * One program at a time works in a state directory: two would each hand out the other's serials.
 */
#pragma once

#include "base/err.h"

/* Takes DIR/lock for as long as *ret_fd is open. -ERR_BUSY while another has it. */
int state_lock(const char *dir, int *ret_fd, struct err *e);

/* That root does not work in a directory of another user: what sqlite makes next to a database there would be root's, and
 * provd could not write to it. -ERR_ACCESS. */
int state_check_user(const char *dir, struct err *e);
