/* SPDX-License-Identifier: Apache-2.0 */
#include "api/station_texts.h"

#include "base/iotime.h"
#include "base/thread.h"
#include "base/util.h"

#define KEPT_US US_PER_S

struct text {
	char *id; /* "" the list */
	char tag[STATION_TAG_BYTES];
	struct shared_body *body;
};

struct station_texts {
	struct fleet *fleet;
	struct mutex lock;
	struct text *text; /* under the lock, as the next */
	size_t n;
	uint64_t version, made_us;
};

struct station_texts *station_texts_new(struct fleet *f)
{
	struct station_texts *t = xcalloc(1, sizeof *t);

	t->fleet = f;
	mutex_init(&t->lock);
	return t;
}

static void forget(struct text *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(text[i].id);
		shared_body_unref(text[i].body);
	}
	free(text);
}

struct station_texts *station_texts_free(struct station_texts *t)
{
	if (!t)
		return NULL;
	forget(t->text, t->n);
	mutex_done(&t->lock);
	free(t);
	return NULL;
}

/* Takes o. */
static struct text render(const char *id, json_t *o)
{
	const json_t *revision = json_object_get(o, "revision");
	char *body = json_dumps(o, JSON_COMPACT);
	struct text t = {.id = xstrdup(id)};

	if (!body)
		abort();
	if (json_is_integer(revision))
		snprintf(t.tag, sizeof t.tag, "\"%lld\"", (long long)json_integer_value(revision));
	t.body = shared_body_new(body, strlen(body), "application/json", t.tag);
	json_decref(o);
	return t;
}

/* All of it at once, without the lock: who asks meanwhile gets what was there before. */
static struct text *render_all(struct fleet *f, size_t *ret_n)
{
	json_t *items = fleet_stations_json(f);
	struct text *text = xcalloc(json_array_size(items) + 1, sizeof *text);
	json_t *o;
	size_t i;

	json_array_foreach(items, i, o)
		text[i + 1] = render(json_string_value(json_object_get(o, "id")), json_incref(o));
	*ret_n = json_array_size(items) + 1;
	text[0] = render("", json_pack("{s:o, s:n}", "items", items, "next_cursor"));
	return text;
}

static void refresh(struct station_texts *t, uint64_t now_us)
{
	const uint64_t version = fleet_views_version(t->fleet);
	struct text *fresh, *old;
	size_t n, was;
	bool good;

	mutex_lock(&t->lock);
	good = t->text && t->version == version && now_us - t->made_us < KEPT_US;
	mutex_unlock(&t->lock);
	if (good)
		return;
	fresh = render_all(t->fleet, &n);
	mutex_lock(&t->lock);
	old = t->text;
	was = t->n;
	/* Of two that rendered at once the later view stays. */
	if (!old || version >= t->version) {
		t->text = fresh;
		t->n = n;
		t->version = version;
		t->made_us = now_us;
	} else {
		old = fresh;
		was = n;
	}
	mutex_unlock(&t->lock);
	forget(old, was);
}

struct shared_body *station_texts_get(
	struct station_texts *t, const char *id, uint64_t now_us, char ret_tag[STATION_TAG_BYTES])
{
	struct shared_body *found = NULL;

	refresh(t, now_us);
	mutex_lock(&t->lock);
	for (size_t i = 0; i < t->n && !found; i++) {
		if (strcmp(t->text[i].id, id ? id : "") != 0)
			continue;
		found = shared_body_ref(t->text[i].body);
		memcpy(ret_tag, t->text[i].tag, STATION_TAG_BYTES);
	}
	mutex_unlock(&t->lock);
	return found;
}
