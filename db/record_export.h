/* SPDX-License-Identifier: Apache-2.0
 *
 * Records as they leave the host, each with the proof that it is among those of a checkpoint:
 *
 *	an entry   {n, record, proof}: the text of the record (db/run_record.h) as a string, so that its bytes
 *	           are there; the hashes of RFC 6962, 2.1.1 in base64
 *	of a run   {_type: RECORD_PROOF_TYPE, checkpoint, ...entry}
 *	of a range {_type: RECORD_RANGE_TYPE, checkpoint, from, to, records: [entry]}
 *	of a unit  an in-toto Statement (v1): {_type, subject: [{name, digest: {sha256}}], predicateType:
 *	           UNIT_RECORD_TYPE, predicate: {checkpoint, host, records: [entry], unit: {id, serial}}};
 *	           the subject is the unit with the SHA-256 of its newest record
 *
 * checkpoint is a note (base/checkpoint.h), not signed where the host signs none or the newest record is
 * younger than the newest checkpoint.
 */
#pragma once

#include "db/db.h"

#define RECORD_PROOF_TYPE "urn:provd:record-proof:1"
#define RECORD_RANGE_TYPE "urn:provd:records:1"
#define RECORD_RANGE_MAX  1000
#define UNIT_RECORD_TYPE  "urn:provd:unit-record:1"

/* New references, each out of one transaction of d. -ERR_NOT_FOUND, -ERR_CONFLICT where no record is
 * written yet. */
int record_of_run(struct db *d, const char *run, json_t **ret, struct err *e);
/* from to to, at most RECORD_RANGE_MAX; to 0: as many as there are. -ERR_INVALID. */
int record_range(struct db *d, int64_t from, int64_t to, json_t **ret, struct err *e);
/* What a page about a unit that passed says: {unit, record: the newest one that passed, parsed, n, sha256: of
 * its text, checkpoint: a note}. -ERR_CONFLICT for a unit that has not passed. */
int record_conformance(struct db *d, const char *serial_or_id, json_t **ret, struct err *e);
/* By serial number or id: all of its runs that have ended. */
int record_of_unit(struct db *d, const char *serial_or_id, json_t **ret, struct err *e);
