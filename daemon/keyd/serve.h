/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers requests on a Unix socket, a thread for each connection. Who asks is known by the kernel
 * (SO_PEERCRED): the table of requests (wire.h) says which user may ask what. Each use of a key is
 * logged with who asked, and for what; no secret is.
 */
#pragma once

#include <sys/types.h>

#include "daemon/keyd/keyring.h"

struct server;

/* Who may ask as provd: the processes of a user, or one of them alone. The programs that provd runs for
 * its steps have its user, and a certificate that they asked for would be on no record. */
struct line_caller {
	uid_t uid;
	pid_t pid; /* 0: any */
};

int server_start(int listen_fd, struct line_caller line, struct keyring *k, struct server **ret,
	struct err *e);
/* Takes no more connections, waits for those that are served. */
void server_stop(struct server *s);

/* This process ends because a token's module does not come back: those who wait since before since_us are
 * told -ERR_TOKEN_GONE by e, all others lose their connection, and find the process that is started next.
 * Nothing is answered after that. */
void server_give_up(struct server *s, uint64_t since_us, const struct err *e);
/* The same of the request that this thread serves, in the signal handler of a module's crash. */
void server_crashed(void);

/* One request of n bytes (what follows its length) into an answer of WIRE_MAX_BYTES; its length. The
 * request has room for one byte more. For the server, and its fuzzer. */
size_t server_answer(struct keyring *k, unsigned caller, uint8_t *p, size_t n, uint8_t *answer);
