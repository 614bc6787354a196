/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

const struct frame *frame_part(const struct frame *f)
{
	while (f && f->turn)
		f = f->parent;
	return f;
}

const struct frame *frame_turn(const struct frame *f)
{
	return f && f->turn ? f : NULL;
}

const char *frame_prefix(const struct frame *f)
{
	const struct frame *part = frame_part(f);

	return part ? part->id : "";
}

void frame_ids(const struct frame *f, const char *id, char *ret[2])
{
	const struct frame *turn = frame_turn(f);
	const char *prefix = frame_prefix(f);

	ret[0] = turn ? xasprintf("%s%s[%u]", prefix, id, turn->turn) : NULL;
	ret[1] = xasprintf("%s%s", prefix, id);
}

/* name as the recipe calls it, through each part that is on the way. */
static const char *outward(
	const struct frame *f, const char *name, const json_t *(*names)(const struct frame *))
{
	for (f = frame_part(f); f && name; f = frame_part(f->parent))
		name = json_string_value(json_object_get(names(f), name));
	return name;
}

static const json_t *ports_of(const struct frame *f)
{
	return f->ports;
}

static const json_t *artifacts_of(const struct frame *f)
{
	return f->artifacts;
}

const char *frame_port(const struct frame *f, const char *role)
{
	return outward(f, role, ports_of);
}

const char *frame_artifact(const struct frame *f, const char *name)
{
	return outward(f, name, artifacts_of);
}

/* --- items --- */

bool frame_is_item(const char *path)
{
	return !strcmp(path, "item") || !strncmp(path, "item.", 5) || !strcmp(path, "turn");
}

int frame_item(const struct frame *f, const char *path, json_t **ret, struct err *e)
{
	const struct frame *turn = frame_turn(f);
	const json_t *v = turn ? turn->item : NULL;

	if (!turn)
		return err_set(e, ERR_NOT_FOUND,
			"'${%s}' is for a step with 'for_each', or within its 'steps'", path);
	if (!strcmp(path, "turn")) {
		*ret = json_integer(turn->turn);
		return 0;
	}
	if (v && path[4])
		v = json_object_get(v, path + strlen("item."));
	if (!v)
		return err_set(e, ERR_NOT_FOUND,
			turn->item ? "'${%s}': the item has no such member"
				   : "'${%s}' has no value before an order gives the list",
			path);
	/* A copy: threads share the recipe, and jansson counts references without a barrier. */
	*ret = json_deep_copy(v);
	return 0;
}

/* --- parameters of parts --- */

const json_t *frame_param(const struct frame *part, const char *name)
{
	const json_t *given = json_object_get(part->with, name);

	return given ? given
		     : json_object_get(json_object_get(json_object_get(part->part, "params"), name),
			       "default");
}

static int known_param(const struct frame_known *k, const char *name, json_t **ret, struct err *e)
{
	const struct frame *part = frame_part(k->frame);
	const json_t *v = part ? frame_param(part, name) : json_object_get(k->lists, name);
	struct frame_known outside = {part ? part->parent : NULL, k->lists};
	const struct scope scope = {.lookup = frame_lookup, .data = &outside};

	if (!v)
		return err_set(e, ERR_NOT_FOUND, "'${params.%s}' has no value yet", name);
	/* A default is a value, not a template. */
	if (part && json_is_string(v) && json_object_get(part->with, name))
		return template_eval(json_string_value(v), QUOTE_NONE, &scope, ret, e);
	*ret = json_deep_copy(v);
	return 0;
}

int frame_lookup(void *known, const char *path, json_t **ret, struct err *e)
{
	const struct frame_known *k = known;

	if (frame_is_item(path))
		return frame_item(k->frame, path, ret, e);
	if (!strncmp(path, "params.", 7))
		return known_param(k, path + 7, ret, e);
	return err_set(e, ERR_NOT_FOUND, "'${%s}' has no value yet", path);
}

struct frame *frames_free(struct frame *f)
{
	while (f) {
		struct frame *next = f->next;

		free(f->pointer);
		free(f->base);
		free(f->when);
		json_decref(f->item);
		free(f->name);
		free(f->id);
		free(f);
		f = next;
	}
	return NULL;
}
