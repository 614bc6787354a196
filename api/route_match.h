/* SPDX-License-Identifier: Apache-2.0
 *
 * Paths of routes against those of requests, for each program of the house that serves.
 */
#pragma once

#include "api/http.h"

/* "/stations/{id}/x" against the path; fills the parameters (request_param()). A parameter is one segment, not empty. The
 * pattern lives as long as the request. */
bool route_matches(const char *pattern, struct request *rq);
