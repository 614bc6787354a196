/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements that others verify: an in-toto Statement (in-toto attestation framework, v1) in an envelope of
 * DSSE 1.0.2.
 */
#pragma once

#define DSSE_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define STATEMENT_TYPE	  "https://in-toto.io/Statement/v1"

/* What a signature is over ("PAE"), owned by the caller. */
char *dsse_pae(const char *payload);
