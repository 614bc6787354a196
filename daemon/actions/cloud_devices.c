/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/cloud_devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/actions/http_step.h"

int cloud_id(const json_t *device, char ret[CLOUD_ID_BYTES], struct err *e)
{
	const json_t *v = json_object_get(device, "device_id");
	_cleanup_(freep) char *text =
		json_is_string(v) || json_is_integer(v) ? http_json_text(v) : NULL;
	bool good = text && *text && strlen(text) < CLOUD_ID_BYTES && strcmp(text, ".") != 0 &&
		    strcmp(text, "..") != 0;

	for (const char *p = text; good && *p; p++)
		good = (unsigned char)*p > ' ' && *p != 0x7f;
	if (!good)
		return err_set(e, ERR_SERVICE_ANSWER,
			"the answer has no usable 'device_id': a text of 1 to %d characters or an integer expected",
			CLOUD_ID_BYTES - 1);
	snprintf(ret, CLOUD_ID_BYTES, "%s", text);
	return 0;
}

static const json_t *list_of(const json_t *answer)
{
	const json_t *list = answer;

	if (json_is_object(answer))
		list = json_object_get(answer, "devices");
	if (!list && json_is_object(answer))
		list = json_object_get(answer, "items");
	return json_is_array(list) ? list : NULL;
}

static int take(const json_t *device, const char *serial, const char *type,
	struct cloud_device *ret, struct err *e)
{
	const char *its_serial = json_string_value(json_object_get(device, "serial_number"));
	const char *its_type = json_string_value(json_object_get(device, "device_type"));
	_cleanup_(freep) char *shown_serial = http_shown(its_serial);
	_cleanup_(freep) char *shown_type = http_shown(its_type);
	char id[CLOUD_ID_BYTES];
	int r;

	if (!its_serial || strcmp(its_serial, serial) != 0)
		return err_set(e, ERR_SERVICE_ANSWER,
			"asked for serial number %s, the answer has the device of '%s': does the service know the query 'serial_number'?",
			serial, shown_serial);
	r = cloud_id(device, id, e);
	if (r < 0)
		return r;
	if (!its_type || strcmp(its_type, type) != 0)
		return err_set(e, ERR_SERVICE_CONFLICT,
			"serial number %s is registered as '%s' (device %s), '%s' expected", serial,
			shown_type, id, type);
	if (ret->id[0])
		return err_set(e, ERR_SERVICE_CONFLICT,
			"serial number %s is registered twice, as device %s and as device %s: remove the wrong one there",
			serial, ret->id, id);
	memcpy(ret->id, id, sizeof id);
	return 0;
}

int cloud_find(const json_t *answer, const char *serial, const char *type, struct cloud_device *ret,
	struct err *e)
{
	const json_t *list = list_of(answer);
	struct cloud_device found = {0};
	const json_t *device;
	size_t i;
	int r = 0;

	if (!list && !json_object_get(answer, "device_id"))
		return err_set(e, ERR_SERVICE_ANSWER,
			"the answer is not a list of devices: [...], {\"devices\": [...]} or one device expected");
	if (!list)
		r = take(answer, serial, type, &found, e);
	json_array_foreach((json_t *)(uintptr_t)list, i, device)
		r = r < 0 ? r : take(device, serial, type, &found, e);
	if (r == 0)
		*ret = found;
	return r;
}
