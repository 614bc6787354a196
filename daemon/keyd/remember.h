/* SPDX-License-Identifier: Apache-2.0
 *
 * What provd-keyd has to know of its tokens after it was started again: which PINs they refused, so
 * that none is tried twice (tokens lock themselves after a few tries), and whose module ended the
 * process, so that one that always does cannot keep the other keys from being used.
 *
 *	DIR/refused-pins    TOKEN STAMP r|l    a line for each; written again as a whole, and synced
 *	DIR/failed-tokens   MS KEY             a line for each time, appended by a process that ends
 *
 * No PIN is in it, nor what one could be found by. Without a folder it is known until the process
 * ends. Any thread.
 */
#pragma once

#include "base/err.h"
#include "daemon/keyd/keyd_config.h"

#define TOKEN_ID_BYTES	33 /* hex digits and their end: of what a token says of itself */
#define PIN_STAMP_BYTES 65 /* the same, of a PIN's place and age */

/* How long a token whose module ended the process is left alone. */
#define FAILED_TOKEN_S 60

/* dir: made where it is not there (0700); NULL: none. Once, before any thread. */
int remember_open(const char *dir, struct err *e);

enum pin_past { PIN_UNTRIED, PIN_WAS_REFUSED, PIN_WAS_LOCKED };

/* What changes with the PIN's file: its path, inode, size and time of change. A credential is written
 * again at each start of the service, so that its name and content count, by PBKDF2. pin NULL: none. */
void pin_stamp(const struct key_place *place, const char *token, const char *pin,
	char ret[PIN_STAMP_BYTES]);
enum pin_past remember_pin(const char *token, const char *stamp);
void remember_refused_pin(const char *token, const char *stamp, bool locked);
/* The token took its PIN: all that it refused before is forgotten. */
void remember_good_pin(const char *token);

/* The module of that key ends this process. For a signal handler too. */
void remember_failed_token(const char *key);
/* How many seconds that key is left alone for; 0: it may be used. */
unsigned failed_token_wait_s(const char *key);
