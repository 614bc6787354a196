/* SPDX-License-Identifier: Apache-2.0
 *
 * The API of a plant: routes are rows, the handlers are in routes.c. Each request is carried out on a thread of
 * api/work.h, within a deadline; httpd's threads only move bytes.
 */
#pragma once

#include "api/http.h"
#include "api/httpd.h"
#include "plant/door.h"
#include "plant/tokens.h"

struct plant {
	struct pool *pool;
	struct door *door;
	struct httpd *httpd;
	struct cancel stop; /* ends what requests wait for */
};

struct ask {
	struct plant *plant;
	struct request *rq;
	struct response *rs;
	struct who who;
	struct iotime it;
	json_t *body; /* the router's; NULL: there is none, or raw bytes */
};

#define MAY(role) (1u << (role))
#define MAY_READ  (MAY(PLANT_VIEWER) | MAY(PLANT_ADMIN))

enum plant_route_flags {
	PLANT_PUBLIC = 1 << 0, /* without a token */
	PLANT_RAW = 1 << 1,    /* the handler reads the bytes */
};

struct plant_route {
	enum http_method method;
	const char *pattern;
	unsigned roles; /* MAY()s */
	unsigned flags;
	uint64_t max_body; /* bytes; 0: 64 KiB */
	/* 0 with an answer (*ret: a new reference, or *ret NULL where it filled a->rs), or an error. */
	int (*handle)(struct ask *a, json_t **ret, struct err *e);
	int status; /* of an answer; 0: 200 */
};

extern const struct plant_route plant_routes[]; /* ends with a pattern of NULL */
extern const struct httpd_ops plant_ops;	/* data: struct plant */
