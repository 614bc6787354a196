/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of a request: which paths, headers and addresses are taken, and how a value is escaped.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define HTTP_PATH_MAX 1024

/* Whether a path stays below the service's: it begins with '/', has no empty, '.' or '..' segment and
 * only characters that RFC 3986 allows there by themselves, so that none is a '%', '?', '#' or '\'.
 * -ERR_INVALID. */
int http_path_check(const char *path, struct err *e);
/* Whether a recipe may send that header: a token and a text (RFC 9110, 5.1, 5.5), and none of those
 * that the exchange makes itself. -ERR_INVALID. */
int http_header_check(const char *name, const char *value, struct err *e);
/* A value as one segment of a path or one value of a query; owned by the caller. */
char *http_escape(const char *text);
/* Whether a url may be a service's: see struct http_service. -ERR_INVALID. */
int http_url_check(const char *url, struct err *e);
/* Whether it is http://, and what is sent can be read on the way. */
bool http_url_clear(const char *url);
