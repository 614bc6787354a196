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

/* Makes the admin token if there is none in the database; keep() makes its text durable before it
 * is valid. Starts to serve. */
/* listen_fd: a socket handed over by systemd, -1: none. */
int api_start(struct fleet *f, int listen_fd,
	int (*keep)(void *data, const char *token, struct err *e), void *data, struct api **ret,
	struct err *e);
/* A token while no provd works in state_dir (-ERR_BUSY where one does); name may be NULL. */
int api_make_token(const char *state_dir, const char *role, const char *name,
	int (*keep)(void *data, const char *token, struct err *e), void *data, struct err *e);
/* A certificate and key for a first start (api/tls_make.h). */
int api_make_certificate(const char *dir, const char *const *hosts, size_t n, struct err *e);
/* Whether the API could be opened with what `tls` names: 0 or the error of a start. */
int api_check_tls(const struct config *c, struct err *e);
/* After fleet_reload(): files of TLS and who is known by a certificate, both as they are now. What is
 * wrong is logged, and stays as it was. Main. */
void api_reload(struct api *a);
uint16_t api_port(const struct api *a);
/* Every second, from the main loop: heartbeats of the streams, ends of sessions. */
void api_tick(struct api *a);
/* Whether no thread of the API hangs in a request: for the watchdog. Main. */
bool api_alive(struct api *a);
/* The main loop came round, and whether all threads do: what /livez says. Main, every second. */
void api_beat(struct api *a, bool alive);
/* Streams end, requests under way finish. */
struct api *api_stop(struct api *a);
