/* SPDX-License-Identifier: Apache-2.0 */
#include "api/event_topics.h"

#include <stdio.h>
#include <string.h>

/* From the most particular on. */
enum event_by { BY_RUN, BY_SERIAL, BY_JOB, BY_STATION, BY_TYPE, BY_ANY, BY_COUNT };
_Static_assert(BY_COUNT == EVENT_TOPICS, "a topic for each");

static const char *const by_word[BY_COUNT] = {
	[BY_RUN] = "run",
	[BY_SERIAL] = "serial",
	[BY_JOB] = "job",
	[BY_STATION] = "station",
	[BY_TYPE] = "type",
	[BY_ANY] = "any",
};

/* Two that are cut to the same are woken for each other, no more. */
static void name_topic(enum event_by by, const char *value, char topic[static WAIT_TOPIC_SIZE])
{
	snprintf(topic, WAIT_TOPIC_SIZE, "event %s %s", by_word[by], value);
}

void event_topic(const struct event_filter *f, char ret[static WAIT_TOPIC_SIZE])
{
	const bool one_type = f->type && !strpbrk(f->type, ",*");
	const char *const value[BY_COUNT] = {[BY_RUN] = f->run,
		[BY_SERIAL] = f->serial,
		[BY_JOB] = f->job,
		[BY_STATION] = f->station,
		[BY_TYPE] = one_type ? f->type : NULL,
		[BY_ANY] = ""};
	enum event_by by = BY_RUN;

	while (by < BY_ANY && (!value[by] || !*value[by]))
		by++;
	name_topic(by, value[by], ret);
}

size_t event_topics_of(const struct feed_news *n, char ret[static EVENT_TOPICS][WAIT_TOPIC_SIZE])
{
	const char *const value[BY_COUNT] = {[BY_RUN] = n->run,
		[BY_SERIAL] = n->serial,
		[BY_JOB] = n->job,
		[BY_STATION] = n->station,
		[BY_TYPE] = n->type};
	size_t count = 0;

	for (enum event_by by = BY_RUN; by < BY_ANY; by++)
		if (value[by] && *value[by])
			name_topic(by, value[by], ret[count++]);
	name_topic(BY_ANY, "", ret[count++]);
	return count;
}
