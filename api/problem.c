/* SPDX-License-Identifier: Apache-2.0 */
#include "api/problem.h"

#include "base/strbuf.h"
#include "base/util.h"

int problem_status(enum err_code c)
{
	static const struct {
		enum err_code code;
		int status;
	} map[] = {
		{ERR_INVALID, 400},
		{ERR_UNAUTHORIZED, 401},
		{ERR_TOKEN_EXPIRED, 401},
		{ERR_CERT_REFUSED, 401},
		{ERR_FORBIDDEN, 403},
		{ERR_OUT_OF_SCOPE, 403},
		{ERR_NOT_FOUND, 404},
		{ERR_CONFLICT, 409},
		{ERR_SERIAL_CONFLICT, 409},
		{ERR_BUSY, 409},
		{ERR_GONE, 410},
		{ERR_ARCHIVED, 410},
		{ERR_ATTACHMENT_DAMAGED, 410},
		{ERR_PRECONDITION, 412},
		{ERR_TOO_LARGE, 413},
		{ERR_UNPROCESSABLE, 422},
		{ERR_RECIPE_INVALID, 422},
		{ERR_IMAGE_INVALID, 422},
		{ERR_IMAGE_RANGE, 422},
		{ERR_VERIFY_MISMATCH, 422},
		{ERR_POOL_EMPTY, 409},
		{ERR_HOST_COPIED, 409},
		{ERR_HOST_OLDER, 409},
		{ERR_PLANT_GAP, 409},
		{ERR_PLANT_VERSION, 409},
		{ERR_OVERLOADED, 429},
		{ERR_DISK_FULL, 507},
		{ERR_SHUTDOWN, 503},
		{ERR_RECORDS_HELD, 503},
		{ERR_PLANT_HELD, 503},
		{ERR_RECORDS_DAMAGED, 503},
		{ERR_CLOCK, 503},
		{ERR_BACKLOG, 503},
		{ERR_KEYS_DOWN, 503},
		{ERR_SERVICE_DOWN, 503},
	};

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (map[i].code == c)
			return map[i].status;
	return 500;
}

static const char *title_of(int status)
{
	static const struct {
		int status;
		const char *title;
	} map[] = {{400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"},
		{404, "Not Found"}, {405, "Method Not Allowed"}, {409, "Conflict"}, {410, "Gone"},
		{412, "Precondition Failed"}, {413, "Content Too Large"}, {414, "URI Too Long"},
		{415, "Unsupported Media Type"}, {422, "Unprocessable Content"},
		{428, "Precondition Required"}, {429, "Too Many Requests"},
		{500, "Internal Server Error"}, {501, "Not Implemented"},
		{503, "Service Unavailable"}, {507, "Insufficient Storage"}};

	for (size_t i = 0; i < ARRAY_LEN(map); i++)
		if (map[i].status == status)
			return map[i].title;
	return "Error";
}

void problem_answer(struct response *rs, const struct request *rq, int status, enum err_code code,
	const char *detail, const json_t *errors)
{
	struct strbuf text = {0};
	struct strbuf path = {0};
	json_t *o;

	/* Both may hold what the client sent. */
	sb_add_escaped(&text, detail, strlen(detail));
	sb_add_escaped(&path, rq->path, strlen(rq->path));
	o = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:O*}", "type", "about:blank", "title",
		title_of(status), "status", status, "detail", text.s ? text.s : "", "instance",
		path.s ? path.s : "", "code", err_code_str(code), "request_id", rq->id, "errors",
		errors);
	response_json(rs, status, o);
	snprintf(rs->content_type, sizeof rs->content_type, "application/problem+json");
	if (status == 401)
		response_header(rs, "WWW-Authenticate", "Bearer realm=\"provd\"");
	if (status == 429 || status == 503)
		response_header(rs, "Retry-After", "%u", rs->retry_after_s ? rs->retry_after_s : 1);
	sb_done(&text);
	sb_done(&path);
}
