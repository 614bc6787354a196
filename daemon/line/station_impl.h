/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a station, shared by station.c (state, view, commands), worker.c (the thread) and
 * worker_env.c (what a step may ask for).
 */
#pragma once

#include "base/mailbox.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "daemon/line/interlock.h"
#include "daemon/line/orders.h"
#include "daemon/line/recorder.h"
#include "daemon/line/station.h"
#include "daemon/line/station_rules.h"

#define STATION_PORTS_MAX 32

struct presence {
	bool present;
	bool wrong;
	bool claimed;	  /* it may leave and come back: expect_replug */
	uint64_t gone_us; /* when it left */
	uint64_t away_us; /* the longest absence that the worker has not looked at yet */
	/* Since provd began: how often something came, and how often it left a run that wanted it. */
	int64_t came, lost;
	struct device_facts facts;
};

/* What a view says of the run that is going on. */
struct run_view {
	char id[UUID_SIZE];
	char job_id[UUID_SIZE];
	char serial[UNIT_SERIAL_BYTES];
	char recipe[RECIPE_NAME_BYTES];
	unsigned recipe_version;
	int64_t started_ms;
	char step[STEP_ID_BYTES];
	char action[ACTION_NAME_BYTES];
	char phase[12];
	unsigned step_n, step_total, attempt;
	char progress_phase[24];
	uint64_t progress_done, progress_total;
};

struct last_view {
	char run_id[UUID_SIZE];
	char serial[UNIT_SERIAL_BYTES];
	enum outcome outcome;
	enum err_code code;
	unsigned deferred; /* steps */
	char step[STEP_ID_BYTES];
	char message[ERR_TEXT_BYTES];
	int64_t ended_ms;
};

struct prompt_view {
	char id[UUID_SIZE]; /* "" none */
	char kind[12];
	char text[512];
	json_t *choices;
	char *pattern;
	char *picture_text; /* NULL: there is no picture */
};

struct letter {
	enum { LETTER_COMMAND, LETTER_ANSWER } kind;
	enum station_command command;
	char by[WHO_BYTES];
	char prompt_id[UUID_SIZE];
	char answer[ANSWER_BYTES];
};

struct station {
	const struct line_services *line;
	struct config *config; /* keeps cfg alive */
	const struct station_config *cfg;
	pthread_t thread;
	bool started;

	/* Any thread, under the lock: */
	struct mutex lock;
	enum station_state state;
	int64_t since_ms;
	char message[ERR_TEXT_BYTES]; /* of fault and quarantine */
	enum err_code message_code;
	struct presence port[STATION_PORTS_MAX];
	bool has_run, has_last;
	struct run_view run;
	struct last_view last;
	struct prompt_view prompt;
	unsigned today[OUTCOME_SKIPPED];
	int64_t today_day;
	json_t *interlocks_view; /* interlocks_json() */
	uint64_t revision;
	uint64_t published; /* the revision that the feed has */
	bool untold; /* progress that it does not have; no revision: If-Match does not see it */
	bool run_uses[STATION_PORTS_MAX]; /* ports whose absence ends the run */
	bool uncut;			  /* a step that cannot be undone is under way */
	bool abort_after; /* the order was aborted meanwhile: the run ends after the step */

	/* Atomics: */
	int stop; /* 1: at a step boundary, 2: at once */
	uint64_t tick_us;
	bool ended;
	bool interlocks_stale;

	struct cancel cancel; /* of the run */
	int wake_fd;	      /* eventfd: something for the worker */
	struct mailbox *box;  /* letters */

	/* The worker's own: */
	struct station_known known;	      /* known.unrecorded: closing holds the run's end */
	struct kept *kept[STATION_PORTS_MAX]; /* for each port, from run to run; or NULL */
	struct station_row row; /* as it is on disk, except what the open run will change */
	bool held;		/* no run could begin because the line is held */
	struct fixture_facts facts;
	struct interlocks interlocks;
	bool interlocks_known;		  /* judged once since the start */
	uint64_t interlocks_look_us;	  /* when they are judged again at the latest */
	char disable_asked_by[WHO_BYTES]; /* during the run; "": nobody */
	enum power_state owed; /* how the power is to be left; POWER_UNKNOWN: nothing is owed */
	uint64_t owed_next_us; /* when that is tried again */
	struct run_result closing;
	struct recorder *rec;	   /* of the open run; NULL: none */
	uint64_t progress_next_us; /* when the next progress may be published */
};

/* The only place where the state changes: checks the rules, logs, publishes. Worker only. */
void station_set_state(struct station *s, enum station_state to, enum err_code code,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Publishes the view to the feed, where there is news in it. */
void station_publish(struct station *s);
void station_poke(struct station *s);
enum station_sign station_command_sign(enum station_command c);
/* When the local day began, that the counts are of. */
int64_t station_day_began_ms(void);
/* Those from before a restart. */
void station_recall_counts(struct station *s, const struct station_counts *c);
/* Counts a finished run, at local day boundaries from zero. */
void station_count(struct station *s, enum outcome o);

/* Reads what the interlocks look at where that has changed, and judges them where it is time. Worker. */
void station_interlocks_look(struct station *s);

void *worker_main(void *arg);
/* Carries out the open run; fills res. */
void worker_execute(struct station *s, struct run_result *res);
/* What a run of before owed to the power of its unit: -code, and it is owed still. */
int worker_put_power_right(struct station *s, struct err *e);
