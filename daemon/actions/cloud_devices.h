/* SPDX-License-Identifier: Apache-2.0
 *
 * What a cloud's list of devices says of one serial number: pure functions of the JSON.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"

#define CLOUD_ID_BYTES 128

struct cloud_device {
	char id[CLOUD_ID_BYTES]; /* "" the cloud does not know the serial number */
};

/* The id of a device: a text or an integer, of 1 to 127 printable characters that are not '.' or '..'.
 * -ERR_SERVICE_ANSWER. */
int cloud_id(const json_t *device, char ret[CLOUD_ID_BYTES], struct err *e);
/* The answer to GET /devices?serial_number=SERIAL: a list of devices, by itself or as "devices" or
 * "items"; or one device. Every one must have that serial number: a service that passes the query over
 * would prove nothing (-ERR_SERVICE_ANSWER). -ERR_SERVICE_CONFLICT: it is there more than once, or as
 * another type. */
int cloud_find(const json_t *answer, const char *serial, const char *type, struct cloud_device *ret,
	struct err *e);
