/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/tools/probe_serial.h"

#include "base/util.h"
#include "transports/links/usb.h"

int probe_serial_check(const struct device_facts *f, const char *program, struct err *e)
{
	struct usb_facts unused;
	struct err why = {0};

	if (!f->serial[0] || !f->vid[0])
		return 0;

	_cleanup_(freep) char *address = xasprintf("usb:%s:%s/%s", f->vid, f->pid, f->serial);

	if (usb_look(address, &unused, &why) != -ERR_CONFLICT)
		return 0;
	return err_set(e, ERR_WRONG_DEVICE,
		"two probes have serial number %s, and %s cannot distinguish them (%s)", f->serial,
		program, why.msg);
}
