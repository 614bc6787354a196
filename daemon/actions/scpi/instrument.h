/* SPDX-License-Identifier: Apache-2.0
 *
 * An instrument for the time of a step: its turn among the stations, its connection, and who it is. On the
 * worker's thread.
 */
#pragma once

#include "daemon/actions/common.h"
#include "transports/links/instrument.h"
#include "transports/links/link_queue.h"
#include "transports/protocols/scpi/scpi.h"

#define ARG_ROW_INSTRUMENT_OF(name_, text)                                                 \
	{                                                                                  \
		.name = (name_), .type = ARG_STRING, .required = true, .instrument = true, \
		.doc = text                                                                \
	}
#define ARG_ROW_INSTRUMENT \
	ARG_ROW_INSTRUMENT_OF("instrument", "its name in 'instruments' of provd.yaml")

struct instrument_step {
	struct step *s;
	const char *name;
	struct instrument i;
	struct link_pass *pass; /* NULL: nobody else uses it */
	struct scpi_turn own;	/* of the turn, without a pass */
	struct link *link;
	struct scpi *scpi;
	char *idn; /* what it says of itself */
	struct scpi_identity id;
};

/* Its turn, its calibration, its connection and its identity. instrument_done() in any case. Errors of all of
 * these are of the line: -ERR_INSTRUMENT, -ERR_INSTRUMENT_LATE (also where others have it until the deadline),
 * -ERR_INSTRUMENT_ERROR, -ERR_CALIBRATION_DUE; or the cancel's reason. */
int instrument_open(struct instrument_step *x, struct step *s, const char *name, struct err *e);
void instrument_done(struct instrument_step *x);
/* Which one it is, whose, and until when it is calibrated: a new reference. */
json_t *instrument_json(const struct instrument_step *x);

/* As scpi_command() and scpi_query(), with the instrument's name before the error, none of which is the unit's. The
 * answer is the caller's. */
int instrument_command(struct instrument_step *x, const char *text, struct err *e);
int instrument_query(struct instrument_step *x, const char *text, char **ret, struct err *e);

/* As scpi_query_block(), the same way. */
int instrument_query_block(struct instrument_step *x, const char *text, struct strbuf *ret,
	bool *ret_block, struct err *e);

/* Through a multiplexer: the way to this unit is closed, and the instrument says that it is, before anything is read. */
#define ARG_ROW_ROUTE                                                                    \
	{                                                                                \
		.name = "route", .type = ARG_OBJECT, .fields = instrument_route_fields,  \
		.doc = "of a multiplexer: the way that is closed before, with its proof" \
	}
extern const struct action_arg instrument_route_fields[];
/* Of 'route', where it is given, with the evidence. -ERR_INSTRUMENT where the way is not closed. */
int instrument_route(
	struct instrument_step *x, const struct args *a, struct step_result *out, struct err *e);

/* How a reading is asked for, and what it is in. */
struct reading {
	const char *query;
	const char *unit, *answers_in; /* NULL */
};
/* One reading in `unit`. -ERR_NOT_A_NUMBER: it says something else, which is the caller's in *ret_text (may
 * be NULL); else as instrument_query(). */
int instrument_read(struct instrument_step *x, const struct reading *q, double *ret,
	char **ret_text, struct err *e);

/* Readings until they have come to rest: the newest `samples` of them lie within a standard deviation of
 * `spread`. */
struct settling {
	unsigned samples; /* from 1 */
	bool has_spread;
	double spread;
	uint64_t interval_us, within_us;
};
#define SETTLING_SAMPLES_MAX 1000
struct settled {
	double mean, deviation; /* of the newest samples; the deviation is 0 of one */
	unsigned readings;	/* in all */
	char *text;		/* the last answer, owned */
	bool rests;
};
/* 0 with rests or without; the errors of instrument_read(). text is set wherever there was an answer. */
int instrument_settle(struct instrument_step *x, const struct reading *q,
	const struct settling *how, struct settled *ret, struct err *e);

/* The rows of both, and what they say. */
#define ARG_ROWS_READING                                                                              \
	{.name = "query",                                                                             \
		.type = ARG_STRING,                                                                   \
		.required = true,                                                                     \
		.doc = "the question: MEAS:VOLT:DC?"},                                                \
		{.name = "unit",                                                                      \
			.type = ARG_STRING,                                                           \
			.doc = "of the value and its limits; an answer in a multiple of it is "       \
			       "converted, in another unit refused"},                                 \
	{                                                                                             \
		.name = "answers_in", .type = ARG_STRING,                                             \
		.doc = "the unit of an answer that has none; without it: the unit without a "         \
		       "prefix, V where 'unit' is mV; needed where that is bar, Wh, min and the like" \
	}
#define ARG_ROWS_SETTLING                                                                         \
	{.name = "samples",                                                                       \
		.type = ARG_INT,                                                                  \
		.def = "1",                                                                       \
		.low = 1,                                                                         \
		.high = SETTLING_SAMPLES_MAX,                                                     \
		.doc = "readings whose mean is the value"},                                       \
		{.name = "spread",                                                                \
			.type = ARG_NUMBER,                                                       \
			.doc = "the value has settled once the standard deviation of the newest " \
			       "'samples' readings is no more than this, in 'unit'"},             \
		{.name = "interval",                                                              \
			.type = ARG_DURATION,                                                     \
			.def = "0ms",                                                             \
			.doc = "between two readings"},                                           \
	{                                                                                         \
		.name = "settle_within", .type = ARG_DURATION, .def = "10s",                      \
		.doc = "how long it may take to settle"                                           \
	}
struct reading reading_of(const struct args *a);
/* 'answers_in' has to be in what 'unit' is, and to be there where 'unit' does not say it. */
int reading_check(const struct args *a, struct err *e);
struct settling settling_of(const struct args *a);
/* A spread without samples to have one is a mistake of the recipe. */
int settling_check(const struct args *a, struct err *e);
