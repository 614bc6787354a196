/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP API and the dashboard of one provd: what main.c starts and stops.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/line/fleet.h"

struct api;

/* The most descriptors that the API holds at a time. */
unsigned api_descriptors(void);

struct api_options {
	const char *host;
	uint16_t port;
	int listen_fd;	     /* >= 0: a socket handed over by systemd */
	unsigned rate_limit; /* requests per second and principal; 0: none */
	bool insecure;	     /* it may serve others than this machine in the clear */
};

/* Makes the admin token if there is none in the database; keep() makes its text durable before it
 * is valid. Starts to serve. */
int api_start(struct fleet *f, const struct api_options *o,
	int (*keep)(void *data, const char *token, struct err *e), void *data, struct api **ret,
	struct err *e);
/* A token while no provd works in state_dir (-ERR_BUSY where one does); name may be NULL. */
int api_make_token(const char *state_dir, const char *role, const char *name,
	int (*keep)(void *data, const char *token, struct err *e), void *data, struct err *e);
uint16_t api_port(const struct api *a);
/* Every second, from the main loop: heartbeats of the streams, ends of sessions. */
void api_tick(struct api *a);
/* Whether no thread of the API hangs in a request: for the watchdog. Main. */
bool api_alive(struct api *a);
/* Streams end, requests under way finish. */
struct api *api_stop(struct api *a);
