/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may come in, before anything of a request is read but its header. It knows the tokens that are valid by their
 * digests, as the database had them when it was last looked at, and slows down who guesses (api/guard.h). What it lets
 * in is looked up in the database all the same: a token that was revoked a moment ago is known here for a while. Any
 * thread.
 */
#pragma once

#include "plant/pool.h"

struct door;

struct door *door_new(void);
struct door *door_free(struct door *d);

/* Reads the tokens of the database. Where that fails, what was known stays. It waits. */
int door_look(struct door *d, struct pool *p, const struct iotime *it, struct err *e);
/* Whether somebody came since the last look with a token that is not known here, or is valid no more. */
bool door_wants_look(struct door *d);

enum door_answer {
	DOOR_OPEN,    /* a known token */
	DOOR_UNKNOWN, /* one to be looked up: another program on this database may have made it */
	DOOR_WAIT     /* too many wrong ones: *ret_wait_s */
};
/* text: of the form of a token, or NULL. Never waits. */
enum door_answer door_ask(
	struct door *d, const char *network, const char *text, unsigned *ret_wait_s);
/* It was none. True: a line in the log is due, of *ret_failures from there within a minute. */
bool door_failed(struct door *d, const char *network, const char *text, unsigned *ret_failures);
