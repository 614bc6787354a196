/* SPDX-License-Identifier: Apache-2.0
 *
 * What others see of a station: its view as JSON, and the counts of the day.
 */
#include <time.h>

#include "base/util.h"
#include "daemon/line/feed.h"
#include "daemon/line/services.h"
#include "daemon/line/station_impl.h"

#define DAY_S (24 * 3600)

static int64_t local_day(void)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	return (int64_t)tm.tm_year * 366 + tm.tm_yday;
}

int64_t station_day_began_ms(void)
{
	time_t t = time(NULL);
	struct tm tm;

	localtime_r(&t, &tm);
	t -= (tm.tm_hour * 60 + tm.tm_min) * 60 + tm.tm_sec;
	/* An hour off on a day when the clocks change: corrected here. */
	localtime_r(&t, &tm);
	t -= (tm.tm_hour * 60 + tm.tm_min) * 60;
	return ((int64_t)t + (tm.tm_hour > 12 ? DAY_S : 0)) * 1000;
}

static void roll_day(struct station *s)
{
	int64_t day = local_day();

	if (s->today_day == day)
		return;
	s->today_day = day;
	memset(s->today, 0, sizeof s->today);
	s->revision++;
}

void station_recall_counts(struct station *s, const struct station_counts *c)
{
	mutex_lock(&s->lock);
	roll_day(s);
	s->today[OUTCOME_PASSED] = c->passed;
	s->today[OUTCOME_FAILED] = c->failed;
	s->today[OUTCOME_ERROR] = c->error;
	s->today[OUTCOME_ABORTED] = c->aborted;
	s->revision++;
	mutex_unlock(&s->lock);
}

void station_count(struct station *s, enum outcome o)
{
	mutex_lock(&s->lock);
	roll_day(s);
	if (o < OUTCOME_SKIPPED)
		s->today[o]++;
	s->revision++;
	mutex_unlock(&s->lock);
}

static json_t *time_json(int64_t ms)
{
	char buf[RFC3339_SIZE];

	return json_string(rfc3339(ms, buf));
}

static json_t *run_json(const struct station *s)
{
	const struct run_view *r = &s->run;

	if (!s->has_run)
		return json_null();
	return json_pack("{s:s, s:s, s:s*, s:{s:s, s:i}, s:o, s:{s:s, s:s, s:s, s:i, s:i, s:i}, "
			 "s:{s:s, s:I, s:I}}",
		"id", r->id, "job_id", r->job_id, "serial", r->serial[0] ? r->serial : NULL,
		"recipe", "name", r->recipe, "version", (int)r->recipe_version, "started_at",
		time_json(r->started_ms), "step", "id", r->step, "action", r->action, "phase",
		r->phase, "n", (int)r->step_n, "total", (int)r->step_total, "attempt",
		(int)r->attempt, "progress", "phase", r->progress_phase, "done",
		(json_int_t)r->progress_done, "total", (json_int_t)r->progress_total);
}

static json_t *last_json(const struct station *s)
{
	const struct last_view *l = &s->last;

	if (!s->has_last)
		return json_null();
	return json_pack("{s:s, s:s*, s:s, s:s, s:s, s:s, s:s, s:o}", "run_id", l->run_id, "serial",
		l->serial[0] ? l->serial : NULL, "outcome",
		run_outcome_str(l->outcome, l->deferred), "code", err_code_str(l->code), "step",
		l->step, "message", l->message, "hint", err_code_hint(l->code), "ended_at",
		time_json(l->ended_ms));
}

static json_t *prompt_json(const struct station *s)
{
	const struct prompt_view *p = &s->prompt;

	if (!p->id[0])
		return json_null();
	/* A copy: the view outlives the question, in other threads. */
	return json_pack("{s:s, s:s, s:s, s:o*, s:s*, s:s*}", "id", p->id, "kind", p->kind, "text",
		p->text, "choices", json_deep_copy(p->choices), "pattern", p->pattern,
		"picture_text", p->picture_text);
}

static json_t *ports_json(const struct station *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->cfg->ports; i++) {
		const struct port_config *pc = &s->cfg->port[i];
		const struct presence *p = &s->port[i];
		json_t *o = json_pack("{s:s, s:s, s:b, s:b, s:I, s:I}", "role", pc->role, "kind",
			pc->kind, "present", p->present || pc->address, "wrong_device",
			p->present && p->wrong, "came", (json_int_t)p->came, "lost",
			(json_int_t)p->lost);

		if (pc->address)
			json_object_set_new(o, "node", json_string(pc->address));
		else if (p->present)
			json_object_update_new(
				o, json_pack("{s:s, s:s, s:s, s:s, s:s*}", "node", p->facts.node,
					   "path", p->facts.path, "vid", p->facts.vid, "pid",
					   p->facts.pid, "serial",
					   p->facts.serial[0] ? p->facts.serial : NULL));
		if (p->present && p->facts.speed_kbps)
			json_object_set_new(o, "speed_kbps", json_integer(p->facts.speed_kbps));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *station_json(struct station *s)
{
	json_t *o;

	mutex_lock(&s->lock);
	roll_day(s);
	o = json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:s*, s:s*, s:o, s:o, s:o, s:{s:i, s:i, s:i, s:i}, "
		"s:o, s:o, s:b, s:o, s:I}",
		"id", s->cfg->id, "title", s->cfg->title, "fixture", s->cfg->fixture, "state",
		station_state_str(s->state), "since", time_json(s->since_ms), "code",
		s->message_code != ERR_NONE ? err_code_str(s->message_code) : NULL, "message",
		s->message[0] ? s->message : NULL, "run", run_json(s), "prompt", prompt_json(s),
		"last", last_json(s), "today", "passed", (int)s->today[OUTCOME_PASSED], "failed",
		(int)s->today[OUTCOME_FAILED], "error", (int)s->today[OUTCOME_ERROR], "aborted",
		(int)s->today[OUTCOME_ABORTED], "ports", ports_json(s), "interlocks",
		s->interlocks_view ? json_deep_copy(s->interlocks_view) : json_array(), "manual",
		s->cfg->manual, "power", config_power_json(s->cfg), "revision",
		(json_int_t)s->revision);
	mutex_unlock(&s->lock);
	return o;
}

static bool is_news(struct station *s)
{
	bool news;

	mutex_lock(&s->lock);
	news = s->untold || s->published != s->revision;
	s->untold = false;
	s->published = s->revision;
	mutex_unlock(&s->lock);
	return news;
}

void station_publish(struct station *s)
{
	if (!is_news(s))
		return;
	s->line->views_changed(s->line->line);

	json_t *view = station_json(s);
	char *text = view ? json_dumps(view, JSON_COMPACT) : NULL;

	if (text)
		feed_publish(s->line->feed,
			&(struct feed_news){.type = "station", .station = s->cfg->id}, text);
	free(text);
	json_decref(view);
}
