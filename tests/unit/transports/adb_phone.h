/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual phone of sim/, and a connection to it.
 */
#pragma once

#include "tests/unit/transports/sim_link.h"
#include "transports/protocols/adb/adb_services.h"
#include "transports/protocols/adb/adb_sideload.h"

static inline void phone_init(struct sim_link *p, const char *const *settings)
{
	sim_link_init(p, "adb", settings);
}

static inline struct iotime soon(void)
{
	return (struct iotime){now_us() + 20 * US_PER_S, NULL};
}

static inline int phone_connect(struct sim_link *p, const struct adb_key *const *keys, size_t n,
	struct adb_conn **ret, struct err *e)
{
	const struct adb_conn_config cfg = {.key = keys, .keys = n, .authorize_us = 5 * US_PER_S};
	struct iotime it = soon();

	return adb_connect(adb_pipe_link(&p->link), &cfg, &it, ret, e);
}
