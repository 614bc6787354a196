/* SPDX-License-Identifier: Apache-2.0
 *
 * The question of route_check.h to an endpoint of IPC-CFX, over AMQP 1.0: a connection for each, as the CFX SDK makes it.
 *
 *	connect ─> a link from the reply address ─> a link to its address ─> ValidateUnitsRequest ... ValidateUnitsResponse
 *
 * message-id and correlation-id of the request are its RequestID, reply-to is the handle of the station (or the reply address of a broker).
 * An answer to another question is taken and left out: it may be a late one that a broker kept.
 *
 * Worker threads; within the iotime.
 */
#pragma once

#include "base/iotime.h"
#include "daemon/line/route_answer.h"

struct config;

/* 0: *ret is the answer, or says why there is none (ret->code). An error: it could not be asked. */
int route_cfx_ask(const struct config *c, const struct route_ask *ask, const char *id,
	const struct iotime *it, struct route_answer *ret, struct err *e);
