/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/later.h"

#include "base/util.h"

/* Around a reference that stays one, until what is a value has been escaped. A text that has these by
 * itself is refused. */
#define OPEN  "\001"
#define CLOSE "\002"

struct rendering {
	const struct scope *scope;
	const json_t *deferred;
};

static bool stays(const struct rendering *r, const char *path)
{
	const char *rest = path + strlen("steps.");
	const char *dot = strncmp(path, "steps.", strlen("steps.")) ? NULL : strchr(rest, '.');
	_cleanup_(freep) char *id = dot ? strndup(rest, (size_t)(dot - rest)) : NULL;

	return id && json_object_get(r->deferred, id) && strcmp(dot, ".outcome") != 0 &&
	       strcmp(dot, ".code") != 0;
}

static bool is_marked(const char *text)
{
	return text[strcspn(text, OPEN CLOSE)] != 0;
}

static int lookup(void *data, const char *path, json_t **ret, struct err *e)
{
	struct rendering *r = data;
	_cleanup_(freep) char *kept = NULL;
	const char *text;
	int err;

	if (stays(r, path)) {
		kept = xasprintf(OPEN "%s" CLOSE, path);
		*ret = json_string(kept);
		return 0;
	}
	err = r->scope->lookup(r->scope->data, path, ret, e);
	text = err < 0 ? NULL : json_string_value(*ret);
	if (!text || !is_marked(text))
		return err;
	json_decref(*ret);
	return err_set(e, ERR_INVALID, "'${%s}' has a control character", path);
}

/* The value as a template that yields it. */
static char *escaped(const char *text)
{
	struct strbuf b = {0};

	for (const char *p = text; *p; p++) {
		if (!strncmp(p, "${", 2))
			sb_add(&b, "$$");
		else if (*p == *OPEN)
			sb_add(&b, "${");
		else
			sb_add_n(&b, *p == *CLOSE ? "}" : p, 1);
	}
	return b.s ? sb_take(&b) : xstrdup("");
}

static int render_text(struct rendering *r, const char *text, json_t **ret, struct err *e)
{
	const struct scope own = {.lookup = lookup, .data = r};
	json_t *v = NULL;
	int err = is_marked(text) ? err_set(e, ERR_INVALID, "'%.40s' has a control character", text)
				  : template_eval(text, QUOTE_NONE, &own, &v, e);

	if (err < 0)
		return err;
	if (json_is_string(v)) {
		_cleanup_(freep) char *kept = escaped(json_string_value(v));

		if (secret_found(r->scope->secrets, json_string_value(v)))
			err = err_set(e, ERR_INVALID,
				"what is to be done later would hold a secret, and it is kept");
		else if (strstr(json_string_value(v), "$" OPEN))
			err = err_set(e, ERR_INVALID,
				"a '$' right before a value that comes later: other text between them expected");
		json_decref(v);
		v = json_string(kept);
	}
	if (err < 0)
		json_decref(v);
	else
		*ret = v;
	return err;
}

static int render(struct rendering *r, const json_t *j, json_t **ret, struct err *e)
{
	json_t *out = json_is_array(j) ? json_array() : json_object();
	const char *key;
	json_t *item;
	size_t i;
	int err = 0;

	if (!json_is_array(j) && !json_is_object(j)) {
		json_decref(out);
		*ret = json_is_string(j) ? NULL : json_deep_copy(j);
		return *ret ? 0 : render_text(r, json_string_value(j), ret, e);
	}
	json_array_foreach((json_t *)j, i, item) {
		json_t *v = NULL;

		if (err == 0)
			err = render(r, item, &v, e);
		if (err == 0)
			json_array_append_new(out, v);
	}
	json_object_foreach((json_t *)j, key, item) {
		json_t *v = NULL;

		if (err == 0)
			err = render(r, item, &v, e);
		if (err == 0)
			json_object_set_new(out, key, v);
	}
	if (err < 0)
		json_decref(out);
	else
		*ret = out;
	return err;
}

int later_payload(const struct recipe_step *st, const struct scope *scope, const json_t *deferred,
	json_t **ret, struct err *e)
{
	struct rendering r = {scope, deferred};
	json_t *with = st->with ? NULL : json_object();
	int err = st->with ? render(&r, st->with, &with, e) : 0;

	if (err < 0)
		return err;
	*ret = json_pack("{s:s, s:s, s:o, s:I}", "step", st->id, "action", st->action->name, "with",
		with, "timeout_us", (json_int_t)st->timeout_us);
	return 0;
}

const char *later_target(const struct action *action, const json_t *payload)
{
	for (const struct action_arg *row = action->args; row->name; row++)
		if (row->service)
			return json_string_value(
				json_object_get(json_object_get(payload, "with"), row->name));
	return NULL;
}

int later_check(const struct action *action, const json_t *with, struct err *e)
{
	if (!(action->flags & ACTION_MAY_WAIT))
		return err_set(e, ERR_INVALID,
			"'offline: later' is for what a service is told and the unit does not need; %s cannot wait (see `provctl actions`)",
			action->name);
	return action->may_wait ? action->may_wait(with, e) : 0;
}
