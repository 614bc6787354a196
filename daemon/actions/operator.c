/* SPDX-License-Identifier: Apache-2.0
 *
 * operator.*: what only a person can answer.
 */
#include "daemon/actions/common.h"

#include <strings.h>

#include "base/media.h"
#include "daemon/recipe/made.h"
#include "transports/images/blob.h"
#include "transports/labels/gs1.h"

static bool is_no(const char *answer)
{
	static const char *const words[] = {"no", "fail", "failed", "n"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcasecmp(answer, words[i]))
			return true;
	return false;
}

static int ask(struct step *s, const struct prompt *p, char ret[ANSWER_BYTES], struct err *e)
{
	char answer[ANSWER_BYTES] = "";
	int r = s->ops->ask(s->env, p, &s->it, answer, e);

	return r < 0 ? r : prompt_answer_clean(answer, ret, e);
}

/* --- a picture --- */

#define PICTURE_MAX (8u << 20)

#define ARG_ROWS_PICTURE                                                                    \
	{.name = "picture",                                                                 \
		.type = ARG_IMAGE,                                                          \
		.doc = "a PNG, JPEG, WebP or SVG file that is shown with the text: "        \
		       "'${artifacts.NAME}'"},                                              \
	{                                                                                   \
		.name = "picture_text", .type = ARG_STRING,                                 \
		.doc = "what the picture shows, for who cannot see it; needed with picture" \
	}

static int picture_check(const struct args *a, struct err *e)
{
	if (args_given(a, "picture") == args_given(a, "picture_text"))
		return 0;
	return err_set(e, ERR_RECIPE_INVALID,
		"'picture' and 'picture_text' go together: a file, and what it shows for who cannot see it");
}

/* Before anything is asked of anybody: the file is there, is what its digest says, and a browser can show it. */
static int picture_look(struct step *s, const struct args *a, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	char name[STEP_NAME_BYTES] = "";
	const char *ref = args_has(a, "picture") ? args_str(a, "picture") : NULL;
	int r;

	if (!ref)
		return 0;
	if (made_is(ref))
		return err_set(e, ERR_RECIPE_INVALID,
			"'picture' is an image that a step of this run makes: an artifact expected, since the page of the run shows it later too");
	r = s->ops->load_blob(s->env, ref, &b, e);
	if (r < 0)
		return r;
	if (s->ops->name(s->env, ref, name, e) < 0)
		return -(int)e->code;
	if (b->size > PICTURE_MAX)
		return err_set(e, ERR_IMAGE_INVALID,
			"'picture': '%.100s' has %llu bytes, no more than %u expected", name,
			(unsigned long long)b->size, PICTURE_MAX);
	return media_picture(b->data, (size_t)MIN(b->size, MEDIA_HEAD))
		       ? 0
		       : err_set(e, ERR_IMAGE_INVALID,
				 "'picture': '%.100s' is none that a browser shows: PNG, JPEG, WebP or SVG expected",
				 name);
}

static void add_picture(const struct args *a, struct prompt *p, struct step_result *out)
{
	if (!args_has(a, "picture"))
		return;
	p->picture = args_str(a, "picture");
	p->picture_text = args_str(a, "picture_text");
	result_evidence(out, "picture", json_string(p->picture));
}

static int refuse_gs(const char *answer, struct err *e)
{
	const char *gs = strchr(answer, ANSWER_GS);

	return gs ? err_set(e, ERR_INVALID,
			    "the answer has a GS at position %td: a GS1 code, for which 'equals' is needed",
			    gs - answer + 1)
		  : 0;
}

/* The list of an argument as C strings that live as long as the step; the array is the caller's. */
static const char **string_list(const json_t *list)
{
	size_t n = json_array_size(list);
	const char **v = xcalloc(n + 1, sizeof *v);

	for (size_t i = 0; i < n; i++)
		v[i] = json_string_value(json_array_get(list, i));
	return v;
}

static int prompt_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(freep) const char **choices = string_list(args_json(a, "choices"));
	struct prompt p = {
		.text = args_str(a, "text"),
		.kind = args_str(a, "kind"),
		.choices = choices,
		.pattern = args_str(a, "pattern"),
	};
	char answer[ANSWER_BYTES] = "";

	if (!strcmp(p.kind, "choice") && !choices[0])
		return err_set(e, ERR_RECIPE_INVALID, "a prompt of kind choice needs 'choices'");

	int r = picture_look(s, a, e);

	add_picture(a, &p, out);
	if (r == 0)
		r = ask(s, &p, answer, e);
	if (r == 0)
		r = refuse_gs(answer, e);
	if (r < 0)
		return r;
	result_evidence(out, "answer", json_string(answer));
	result_output(out, "answer", json_string(answer));
	if (is_no(answer) && strcmp(p.kind, "text") != 0)
		return result_fail(out, ERR_OPERATOR_FAILED,
			"the operator answered '%s' to: %.200s", answer, p.text);
	return 0;
}

static const char *const prompt_kinds[] = {"confirm", "choice", "text", NULL};

static const struct action_arg prompt_args[] = {
	{.name = "text", .type = ARG_STRING, .required = true, .doc = "what the person reads"},
	{.name = "kind",
		.type = ARG_CHOICE,
		.def = "confirm",
		.choices = prompt_kinds,
		.doc = "how it is answered"},
	{.name = "choices", .type = ARG_LIST, .doc = "the answers of kind choice"},
	{.name = "pattern", .type = ARG_REGEX, .doc = "what an answer of kind text must match"},
	ARG_ROWS_PICTURE,
	{0},
};

static const struct action_output prompt_outputs[] = {{"answer", "what the person said"}, {0}};

const struct action action_operator_prompt = {
	.name = "operator.prompt",
	.doc = "Asks the operator; the answers no and fail judge the unit bad.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_NEEDS_PERSON,
	.args = prompt_args,
	.outputs = prompt_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.check = picture_check,
	.preflight = picture_look,
	.run = prompt_run,
};

/* The code is to say one thing. Another one is another label, and so fails the unit. */
static int scan_equal(const struct args *a, const char *answer, struct step_result *out)
{
	const char *expected = args_str(a, "equals");
	char aim[AIM_BYTES];
	struct err why = {0};
	int r = code_equals(answer, expected, args_str(a, "separator"), aim, &why);

	result_evidence(out, "scanned", json_string(answer));
	if (*aim)
		result_evidence(out, "aim", json_string(aim));
	if (r < 0)
		return result_fail(out, why.code, "%s", why.msg);
	result_evidence(out, "value", json_string(expected));
	result_output(out, "value", json_string(expected));
	return 0;
}

static int scan_check(const struct args *a, struct err *e)
{
	if (args_given(a, "pattern") && args_given(a, "equals"))
		return err_set(e, ERR_RECIPE_INVALID,
			"'pattern' and 'equals' are one too many: a code has to match the one or be the other");
	return picture_check(a, e);
}

static int scan_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(regex_freep) struct regex *x = NULL;
	struct prompt p = {
		.text = args_str(a, "text"),
		.kind = "scan",
		.pattern = args_str(a, "pattern"),
	};
	char answer[ANSWER_BYTES] = "";
	int r = scan_check(a, e);

	if (r == 0)
		r = arg_regex(a, "pattern", NULL, &x, e);
	if (r == 0)
		r = picture_look(s, a, e);
	add_picture(a, &p, out);
	if (r == 0)
		r = ask(s, &p, answer, e);
	if (r == 0 && args_has(a, "equals"))
		return scan_equal(a, answer, out);
	if (r == 0)
		r = refuse_gs(answer, e);
	if (r < 0)
		return r;
	if (!*answer || (x && !regex_match(x, answer, strlen(answer), NULL)))
		return err_set(e, ERR_INVALID, "'%s' was scanned, which does not match '%s'",
			answer, p.pattern ? p.pattern : ".");
	result_evidence(out, "value", json_string(answer));
	result_output(out, "value", json_string(answer));
	return 0;
}

static const struct action_arg scan_args[] = {
	{.name = "text", .type = ARG_STRING, .required = true, .doc = "what the person reads"},
	{.name = "pattern", .type = ARG_REGEX, .doc = "what the code must match"},
	{.name = "equals",
		.type = ARG_STRING,
		.doc = "what the code has to say, such as ${steps.ID.data} of unit.label; GS1 data with AIs in parentheses. An AIM identifier before it is cut"},
	{.name = "separator",
		.type = ARG_STRING,
		.doc = "with 'equals': what the scanner sends in the place of GS (FNC1), such as |"},
	ARG_ROWS_PICTURE,
	{0},
};

static const struct action_output scan_outputs[] = {{"value", "the code"}, {0}};

const struct action action_operator_scan = {
	.name = "operator.scan",
	.doc = "Has the operator scan a code; a CR, LF or Tab of the scanner at its end is cut.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_NEEDS_PERSON,
	.args = scan_args,
	.outputs = scan_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.check = scan_check,
	.preflight = picture_look,
	.run = scan_run,
};
