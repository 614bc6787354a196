/* SPDX-License-Identifier: Apache-2.0
 *
 * ValidateUnitsRequest and ValidateUnitsResponse of IPC-CFX (CFX.InformationSystem.UnitValidation): whether a unit may be made here.
 * Pure. Facts: the classes and AmqpRequestProcessor of the CFX SDK (IPC-2591); an endpoint answers with the RequestID of the
 * question, and with NotSupportedResponse to what it does not know. The results of each unit are named ValidationResults from 1.1
 * on and Results before, which both mean the same here.
 */
#pragma once

#include <jansson.h>

#include "daemon/line/route_answer.h"

#define CFX_VALIDATE_REQUEST  "CFX.InformationSystem.UnitValidation.ValidateUnitsRequest"
#define CFX_VALIDATE_RESPONSE "CFX.InformationSystem.UnitValidation.ValidateUnitsResponse"

/* The envelope of the question; target: the handle of who answers. A new reference. */
json_t *cfx_validate_request(
	const char *request_id, const char *source, const char *target, const char *serial);

enum cfx_validated {
	CFX_ANSWER, /* *ret is it */
	CFX_OTHERS, /* it is an answer to another question (late, or somebody else's): there may come another one */
	CFX_MALFORMED, /* ret->reason says why */
};
/* What came, with n bytes. correlation_id: of the message, "" none. allow: the request is a success, and the unit and all of it that
 * is listed has passed; reject: one of them did not. What says neither, or is of another unit, is no answer. */
enum cfx_validated cfx_validate_read(const char *text, size_t n, const char *correlation_id,
	const char *request_id, const char *serial, struct route_answer *ret);
