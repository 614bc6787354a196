/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers of GET /stations and /stations/{id}, which are asked for far more often than they change: rendered once per change,
 * and after a second in any case, since a day may have ended. Any thread.
 */
#pragma once

#include <stdint.h>

#include "api/http.h"
#include "daemon/line/fleet.h"

struct station_texts;

struct station_texts *station_texts_new(struct fleet *f);
struct station_texts *station_texts_free(struct station_texts *t); /* takes NULL, returns NULL */
/* A reference; id NULL: the list. tag: the revision of a station as a strong ETag (RFC 9110, 8.8.3), "" of the list. NULL: there
 * is no such station. */
#define STATION_TAG_BYTES 32
struct shared_body *station_texts_get(
	struct station_texts *t, const char *id, uint64_t now_us, char ret_tag[STATION_TAG_BYTES]);
