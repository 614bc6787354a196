/* SPDX-License-Identifier: Apache-2.0
 *
 * application/problem+json (RFC 9457): every error of the API in one shape.
 */
#pragma once

#include "api/httpd.h"

/* The HTTP status of an error. */
int problem_status(enum err_code c);
/* errors: [{pointer, detail}] or NULL, not taken. */
void problem_answer(struct response *rs, const struct request *rq, int status, enum err_code code,
	const char *detail, const json_t *errors);
