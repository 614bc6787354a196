/* SPDX-License-Identifier: Apache-2.0
 *
 * What requests that wait for an event wait for (api/waits.h): the most particular of their filters, so that an event wakes
 * those that it may be for and hardly any other.
 */
#pragma once

#include <stddef.h>

#include "api/waits.h"
#include "daemon/line/feed.h"
#include "db/events.h"

#define EVENT_TOPICS 6

void event_topic(const struct event_filter *f, char ret[static WAIT_TOPIC_SIZE]);
/* All that an event wakes; how many. */
size_t event_topics_of(const struct feed_news *n, char ret[static EVENT_TOPICS][WAIT_TOPIC_SIZE]);
