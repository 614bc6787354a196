/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as lines of an event stream, into the binding of a line with one station: it never
 * tells a device absent that it did not tell present.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/line/binding.h"

struct told {
	struct binding *binding;
	bool present;
};

static void present(
	void *data, const struct config_port *port, const struct device_facts *f, bool wrong)
{
	((struct told *)data)->present = true;
	if (memchr(f->node, 0, sizeof f->node) == NULL || port->port != 0)
		abort();
}

static void absent(void *data, const struct config_port *port)
{
	struct told *t = data;

	if (!t->present)
		abort();
	t->present = false;
}

static void event(void *data, const struct hotplug *source, const struct hotplug_event *ev)
{
	binding_event(((struct told *)data)->binding, source, ev);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static char where[] = "platform-provsim-usb-0:1.1";
	static char role[] = "console";
	static char kind[] = "tty";
	static char vid[] = "1209";
	static char pid[] = "0001";
	static char id[] = "A1";
	char *path = where;
	struct port_config port = {.role = role,
		.kind = kind,
		.path = &path,
		.paths = 1,
		.interface = -1,
		.vid = vid,
		.pid = pid};
	struct station_config station = {.id = id, .title = id, .port = &port, .ports = 1};
	/* Two references: the binding's own never is the last. */
	struct config config = {.refs = 2, .station = &station, .stations = 1};
	struct told told = {0};
	const struct binding_sink sink = {&told, present, absent};
	struct hotplug source = {.sink = {event, &told}};
	struct uevent_text text = {.ev.interface = -1};
	_cleanup_(freep) char *copy = strndup((const char *)bytes, n);
	char *rest = copy;
	char *line;

	told.binding = binding_new(&sink);
	binding_set_config(told.binding, &config);
	while ((line = strsep(&rest, "\n")))
		uevent_text_line(&text, &source, line);
	json_decref(binding_ports(told.binding));
	binding_free(told.binding);
	return 0;
}
