/* SPDX-License-Identifier: Apache-2.0
 *
 * Which station owns a plugged device: by physical port path, never by a name that enumeration
 * hands out. Keeps the devices that are present, of all sources. Events come on the main thread;
 * the list of ports may be asked for by any.
 */
#pragma once

#include <jansson.h>

#include "daemon/line/config.h"
#include "daemon/line/hotplug.h"
#include "daemon/recipe/env.h"

struct binding_sink {
	void *data;
	/* port is of the snapshot that the device was bound by, also after a reload; it lives as
	 * long as the call. wrong: its USB ids are not the configured. */
	void (*present)(void *data, const struct config_port *port, const struct device_facts *f,
		bool wrong);
	void (*absent)(void *data, const struct config_port *port);
};

struct binding;

struct binding *binding_new(const struct binding_sink *sink);
struct binding *binding_free(struct binding *b);
/* At start and at a reload: devices of roles that changed are reported absent, then present where
 * they belong now. Holds a reference. */
void binding_set_config(struct binding *b, struct config *c);
/* Idempotent: a device that comes twice is reported once; a late remove of an older enumeration is
 * ignored.
 */
void binding_event(struct binding *b, const struct hotplug *source, const struct hotplug_event *ev);
/* Any thread: whether a device with that USB serial number came up after since_us on another
 * physical port than path. */
bool binding_moved(struct binding *b, const char *serial, const char *path, uint64_t since_us,
	char *ret, size_t size);
/* Every port with a device: {node, path, vid, pid, serial, subsystem, station, port, wrong_device}
 * and, for an unbound one, the lines of YAML that would bind it. A new reference. */
json_t *binding_ports(struct binding *b);
