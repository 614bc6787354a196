/* SPDX-License-Identifier: Apache-2.0
 *
 * What the records say of a unit that passed, as one statement that others can verify: an in-toto
 * Statement (in-toto attestation framework, v1) about its run.
 */
#pragma once

#include "db/db.h"

#define BIRTH_PREDICATE "urn:provd:birth:1"

/* {_type, subject: [{name, digest: {sha256: hash of the run}}], predicateType, predicate: {unit,
 * values, certificates, run, recipe, firmware}}: a new reference. The run is the newest that passed.
 * -ERR_NOT_FOUND without such a unit, -ERR_CONFLICT for one that has not passed. */
int birth_statement(struct db *d, const char *serial_or_id, json_t **ret, struct err *e);
