/* SPDX-License-Identifier: Apache-2.0
 *
 * What opens a key: a PIN of a token or a passphrase of a file, in the first line of a file or of a
 * credential of provd-keyd.service.
 */
#pragma once

#include "base/err.h"
#include "daemon/keyd/keyd_config.h"

/* The file of it, owned by the caller; NULL where the place has none. */
char *pin_path(const struct key_place *place);
/* Owned by the caller, who ends it with pin_free(). *ret is NULL where the place has none. */
int pin_read(const struct key_place *place, char **ret, struct err *e);
void pin_free(char *pin); /* wipes; takes NULL */
