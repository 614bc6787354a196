/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route_match.h"

bool route_matches(const char *pattern, struct request *rq)
{
	const char *p = rq->path;
	size_t n = 0;

	rq->param[0].name = NULL;
	while (*pattern) {
		if (*pattern != '{') {
			if (*pattern++ != *p++)
				return false;
			continue;
		}

		const char *name = pattern + 1;
		const char *end = strchr(pattern, '}');
		size_t len = strcspn(p, "/");

		if (len == 0 || len >= sizeof rq->param[0].value || n == REQUEST_PARAMS)
			return false;
		rq->param[n].name = name;
		memcpy(rq->param[n].value, p, len);
		rq->param[n].value[len] = 0;
		n++;
		if (n < REQUEST_PARAMS)
			rq->param[n].name = NULL;
		p += len;
		pattern = end + 1;
	}
	return !*p;
}

const char *request_param(const struct request *rq, const char *name)
{
	size_t len = strlen(name);

	/* The name is in the pattern, up to its brace. */
	for (size_t i = 0; i < REQUEST_PARAMS && rq->param[i].name; i++)
		if (!strncmp(rq->param[i].name, name, len) && rq->param[i].name[len] == '}')
			return rq->param[i].value;
	return NULL;
}
