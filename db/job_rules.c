/* SPDX-License-Identifier: Apache-2.0 */
#include "db/job_rules.h"

#include <string.h>

#include "base/util.h"

static const char *const states[JOB_STATE_COUNT] = {
	"queued", "running", "paused", "stopping", "done", "aborted", "cancelled"};

static const char *const signs[JOB_SIGN_COUNT] = {"pause", "resume", "hold", "release", "change",
	"stop", "complete", "abort", "cancel", "a station takes a unit", "enough have passed",
	"its last open run ends", "it expires, begun", "it expires, not begun"};

/* clang-format off */
#define STAY {JOB_STAYS, 0}
#define GO(to) {JOB_GOES, JOB_##to}

/* What is not here is refused. */
static const struct job_rule rules[JOB_SIGN_COUNT][JOB_STATE_COUNT] = {
	[JOB_PAUSE]    = {[JOB_QUEUED] = GO(PAUSED), [JOB_RUNNING] = GO(PAUSED)},
	[JOB_RESUME]   = {[JOB_PAUSED] = GO(QUEUED)},
	[JOB_HOLD]     = {[JOB_QUEUED] = STAY, [JOB_RUNNING] = STAY, [JOB_PAUSED] = STAY},
	[JOB_RELEASE]  = {[JOB_QUEUED] = STAY, [JOB_RUNNING] = STAY, [JOB_PAUSED] = STAY},
	[JOB_CHANGE]   = {[JOB_QUEUED] = STAY, [JOB_RUNNING] = STAY, [JOB_PAUSED] = STAY},
	[JOB_STOP]     = {[JOB_QUEUED] = GO(STOPPING), [JOB_RUNNING] = GO(STOPPING), [JOB_PAUSED] = GO(STOPPING)},
	[JOB_COMPLETE] = {[JOB_QUEUED] = GO(STOPPING), [JOB_RUNNING] = GO(STOPPING), [JOB_PAUSED] = GO(STOPPING)},
	[JOB_ABORT]    = {[JOB_QUEUED] = GO(ABORTED), [JOB_RUNNING] = GO(ABORTED), [JOB_PAUSED] = GO(ABORTED),
			  [JOB_STOPPING] = GO(ABORTED)},
	[JOB_CANCEL]   = {[JOB_QUEUED] = GO(CANCELLED), [JOB_PAUSED] = GO(CANCELLED)},
	[JOB_BEGIN]    = {[JOB_QUEUED] = GO(RUNNING), [JOB_RUNNING] = STAY},
	[JOB_ENOUGH]   = {[JOB_QUEUED] = GO(DONE), [JOB_RUNNING] = GO(DONE), [JOB_PAUSED] = GO(DONE),
			  [JOB_STOPPING] = GO(DONE)},
	[JOB_IDLE]     = {[JOB_STOPPING] = GO(DONE)},
	[JOB_EXPIRE]   = {[JOB_QUEUED] = GO(STOPPING), [JOB_RUNNING] = GO(STOPPING), [JOB_PAUSED] = GO(STOPPING)},
	[JOB_LAPSE]    = {[JOB_QUEUED] = GO(CANCELLED), [JOB_PAUSED] = GO(CANCELLED)},
};
/* clang-format on */

struct job_rule job_rule(enum job_state s, enum job_sign sign)
{
	struct job_rule r = rules[sign][s];

	if (r.effect != JOB_GOES)
		r.next = s;
	return r;
}

const char *job_state_str(enum job_state s)
{
	return states[s];
}

enum job_state job_state_from(const char *s)
{
	for (int i = 0; i < JOB_STATE_COUNT; i++)
		if (!strcmp(states[i], s))
			return (enum job_state)i;
	return JOB_STATE_COUNT;
}

const char *job_sign_str(enum job_sign s)
{
	return signs[s];
}

enum job_sign job_verb_from(const char *s)
{
	for (int i = 0; i < JOB_BEGIN; i++)
		if (i != JOB_CHANGE && !strcmp(signs[i], s))
			return (enum job_sign)i;
	return JOB_SIGN_COUNT;
}

bool job_state_is_end(enum job_state s)
{
	return s == JOB_DONE || s == JOB_ABORTED || s == JOB_CANCELLED;
}
