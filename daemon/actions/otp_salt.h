/* SPDX-License-Identifier: Apache-2.0
 *
 * The digest of a secret that the records may hold: with a salt that is made once for an installation
 * and lies where only provd reads, so that nobody finds a short secret out of a copy of the database.
 */
#pragma once

#include "base/digest.h"
#include "daemon/recipe/action.h"

/* Where nothing outlives the run, the salt is this call's own. */
int otp_salted_digest(struct step *s, const void *p, size_t n, char ret[SHA256_HEX], struct err *e);
