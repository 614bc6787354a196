/* SPDX-License-Identifier: Apache-2.0
 *
 * A unix stream socket for lines: many clients, a line in, text out. One thread, with the loop.
 */
#pragma once

#include <stddef.h>

#include "base/err.h"
#include "sim/loop.h"

struct server;
struct server_client;

struct server_ops {
	void (*connected)(void *data, struct server_client *c); /* may be NULL */
	void (*line)(void *data, struct server_client *c, const char *line);
};

/* Takes the place of an old socket that is still at path. */
int server_new(struct loop *l, const char *path, const struct server_ops *ops, void *data,
	struct server **ret, struct err *e);
/* Removes the socket. */
struct server *server_free(struct server *s);
/* A client that does not read is dropped once much is waiting for it. */
void server_send(struct server_client *c, const char *text, size_t n);
void server_broadcast(struct server *s, const char *text, size_t n);
size_t server_clients(const struct server *s);

/* The other end, for `provsim ctl`: one line there, one line back, owned by the caller. */
int server_ask(const char *path, const char *line, char **ret, struct err *e);
