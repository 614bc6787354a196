/* SPDX-License-Identifier: Apache-2.0
 *
 * /prompts: questions of a run to a person. An answer is on disk before the station hears of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "api/route.h"
#include "base/log.h"
#include "base/media.h"
#include "base/regex.h"
#include "base/util.h"
#include "db/prompts.h"

static int read_prompts(struct db *d, const struct call *c, const struct db_page *page,
	struct db_list *ret, struct err *e)
{
	return prompts_list(
		d, request_query(c->rq, "station"), request_query(c->rq, "state"), page, ret, e);
}

static int get_prompts(struct call *c, struct err *e)
{
	return api_answer_page(c, read_prompts, e);
}

static int read_prompt(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	return prompts_get(d, request_param(c->rq, "id"), ret, e);
}

static int get_prompt(struct call *c, struct err *e)
{
	return api_answer_one(c, read_prompt, e);
}

/* --- its picture --- */

/* The artifact as it was hashed, and only where it is a picture: a name of a prompt opens no other file. */
static int open_picture(struct call *c, const char *sha256, const char **ret_media, struct err *e)
{
	_cleanup_(freep) char *path = store_artifact(fleet_store(c->api->fleet), sha256);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char head[MEDIA_HEAD], got[SHA256_HEX];
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_GONE, "the picture is not in the store any more");
	n = fd < 0 || fstat(fd, &st) < 0 ? -1 : pread(fd, head, sizeof head, 0);
	if (n < 0)
		return err_errno(e, ERR_IO, errno, "the picture %s", sha256);
	*ret_media = media_picture(head, (size_t)n);
	if (sha256_file(path, got, e) < 0)
		return -(int)e->code;
	if (!*ret_media || strcmp(got, sha256) != 0)
		return err_set(e, ERR_GONE, "the file of the picture is not what it was");
	c->rs->fd = steal_fd(&fd);
	c->rs->body_len = (size_t)st.st_size;
	return 0;
}

/* A page shows it as <img>, where an SVG runs nothing; by itself it may do nothing either. */
static int answer_picture(struct call *c, const char *sha256, struct err *e)
{
	const char *match = request_header(c->rq, "If-None-Match");
	const char *media = NULL;
	const bool has = match && strstr(match, sha256);
	int r = has ? 0 : open_picture(c, sha256, &media, e);

	if (r < 0)
		return r;
	response_header(c->rs, "ETag", "\"%s\"", sha256);
	response_header(c->rs, "Cache-Control", "private, no-cache");
	response_header(c->rs, "Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; sandbox");
	if (has) {
		response_text(c->rs, 304, "", xstrdup(""), 0);
		return 0;
	}
	c->rs->status = 200;
	snprintf(c->rs->content_type, sizeof c->rs->content_type, "%s", media);
	return 0;
}

static int get_picture(struct call *c, struct err *e)
{
	json_t *prompt = NULL;
	int r = api_read(c, read_prompt, &prompt, e);
	const char *sha256 = json_string_value(json_object_get(prompt, "picture"));

	if (r == 0)
		r = sha256 ? answer_picture(c, sha256, e)
			   : err_set(e, ERR_NOT_FOUND, "the prompt has no picture");
	json_decref(prompt);
	return r;
}

struct answer {
	struct fleet *fleet;
	const char *station;
	struct prompt_answer given;
};

/* Not an engineer, who makes recipes. */
#define MAY_APPROVE (ROLE_BIT(SUPERVISOR) | ROLE_BIT(ADMIN))

static int apply_answer(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct answer *a = data;
	int r = prompts_answer(tx, &a->given, e);

	return r < 0 ? r : prompts_get(tx, a->given.id, ret, e);
}

static void answer_committed(void *data)
{
	const struct answer *a = data;
	struct err e;

	/* The run may have ended meanwhile: the answer stays in the record. */
	if (fleet_answer(a->fleet, a->station, a->given.id, a->given.answer, a->given.by, &e) < 0)
		log_notice("answer to prompt %s: %s", a->given.id, e.msg);
}

static int check_answer(const json_t *prompt, const char *answer, struct err *e)
{
	const char *kind = json_string_value(json_object_get(prompt, "kind"));
	const char *pattern = json_string_value(json_object_get(prompt, "pattern"));
	const json_t *choices = json_object_get(prompt, "choices");
	struct regex *re;
	bool fits;

	if (kind && !strcmp(kind, "confirm") && strcmp(answer, "yes") != 0 &&
		strcmp(answer, "no") != 0)
		return err_set(e, ERR_INVALID, "answer yes or no");
	if (kind && !strcmp(kind, "choice")) {
		for (size_t i = 0; i < json_array_size(choices); i++)
			if (!strcmp(json_string_value(json_array_get(choices, i)), answer))
				return 0;
		return err_set(e, ERR_INVALID, "the answer is not one of the choices");
	}
	if (pattern && regex_new(pattern, &re, e) == 0) {
		fits = regex_match(re, answer, strlen(answer), NULL);
		regex_free(re);
		if (!fits)
			return err_set(e, ERR_INVALID, "the answer does not match %s", pattern);
	}
	return 0;
}

struct answer_form {
	char *answer;
};

static const struct form_row answer_rows[] = {
	{"answer", FORM_TEXT, .required = true, .high = 255,
		.doc = "A CR, LF or Tab at its end is cut, other control characters are refused.",
		FORM_AT(struct answer_form, answer)},
	{0},
};

static int post_answer(struct call *c, struct err *e)
{
	const struct answer_form *f = api_form(c, e);
	struct answer a = {.fleet = c->api->fleet,
		.given = {.id = request_param(c->rq, "id"),
			.by = c->who->name,
			.supervises = (1u << c->who->role) & MAY_APPROVE}};
	struct change ch = {.apply = apply_answer,
		.committed = answer_committed,
		.data = &a,
		.status = 200,
		.audit = "prompt.answer",
		.target = a.given.id};
	json_t *prompt = NULL;
	char answer[256];
	int r = f ? api_judged(c, "/answer", prompt_answer_clean(f->answer, answer, e), e)
		  : -(int)e->code;

	if (r < 0)
		return r;
	a.given.answer = answer;
	r = api_read(c, read_prompt, &prompt, e);
	if (r == 0)
		r = api_judged(c, "/answer", check_answer(prompt, answer, e), e);
	if (r == 0) {
		a.station = json_string_value(json_object_get(prompt, "station"));
		r = api_change(c, &ch, e);
	}
	json_decref(prompt);
	return r;
}

static const char *const states[] = {"open", "answered", "cancelled", NULL};
static const struct query_param query_prompts[] = {
	{"station", NULL}, {"state", states}, QUERY_PAGE, {0}};

const struct route routes_prompts[] = {
	{HTTP_GET, "/api/v1/prompts", MAY_READ, ROUTE_NO_BODY, 0, get_prompts, query_prompts,
		.scope = SCOPE_PROMPT},
	{HTTP_GET, "/api/v1/prompts/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_prompt,
		.scope = SCOPE_PROMPT},
	{HTTP_GET, "/api/v1/prompts/{id}/picture", MAY_READ, ROUTE_NO_BODY, 0, get_picture,
		.scope = SCOPE_PROMPT},
	{HTTP_POST, "/api/v1/prompts/{id}/answer", MAY_OPERATE, ROUTE_WHEN_HELD, 4096, post_answer,
		NULL, FORM(answer_rows, struct answer_form), .scope = SCOPE_PROMPT},
	{0},
};
