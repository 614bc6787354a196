/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the ports of a station's run come from: what the main thread has seen plugged there, or the
 * fixed addresses of the configuration. On the worker's thread.
 */
#pragma once

#include "daemon/line/station_impl.h"
#include "daemon/recipe/role_ports.h"

/* The source is the struct station, a role the port of that number in its configuration. */
extern const struct role_source_ops worker_ports_source;

/* The facts of port i of the configuration: -ERR_DEVICE_GONE where nothing is plugged. */
int worker_port_facts(struct station *s, int i, struct device_facts *ret, struct err *e);
