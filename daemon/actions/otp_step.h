/* SPDX-License-Identifier: Apache-2.0
 *
 * One-time memory, whatever reaches it: look, ask the journal, burn once, read back. On the worker's
 * thread, like all actions.
 *
 *	prepare    map, field and value are right               nothing is open yet
 *	who        the unit that is there is that of the run
 *	look       what the field holds, whether it is locked ──> otp_decide()
 *	intend     on disk (step_intend())
 *	write      at most once in a step, also where its answer is lost
 *	look       it holds the value, or the step does not pass
 */
#pragma once

#include "daemon/actions/otp_rules.h"
#include "daemon/recipe/action.h"

/* What reaches the memory. Each call is one exchange; nothing is tried twice. All REQUIRED. */
struct otp_port {
	/* What the unit says of itself. */
	int (*who)(void *to, char ret[UNIT_NAME_BYTES], struct err *e);
	/* otp_bytes(f) bytes to p; *ret_readable is false where the unit refuses to show it. */
	int (*read)(
		void *to, const struct otp_field *f, uint8_t *p, bool *ret_readable, struct err *e);
	int (*locked)(void *to, const struct otp_field *f, enum otp_locked *ret, struct err *e);
	/* -ERR_OTP_LOCKED where the unit says that it takes no bit any more. */
	int (*write)(void *to, const struct otp_field *f, const uint8_t *p, struct err *e);
	int (*lock)(void *to, const struct otp_field *f, struct err *e);
};

struct otp_act {
	struct step *s;
	const struct args *a;
	struct otp_map *map;
	const struct otp_field *f; /* of the map */
	const struct otp_port *port;
	void *to;
	bool has_value, secret;
	uint8_t wanted[OTP_BYTES], have[OTP_BYTES];
	char digest[SHA256_HEX]; /* of the value; of a secret with this installation's salt */
	enum otp_seen seen;
	enum otp_locked locked;
};

/* The arguments of every action on a field. */
#define OTP_ROWS_FIELD                                                                         \
	{.name = "map",                                                                        \
		.type = ARG_IMAGE,                                                             \
		.required = true,                                                              \
		.doc = "the document of the fields, '${artifacts.NAME}'"},                     \
	{                                                                                      \
		.name = "field", .type = ARG_STRING, .required = true, .doc = "its name there" \
	}
#define OTP_ROW_VALUE(needed, text)                                                        \
	{                                                                                  \
		.name = "value", .type = ARG_STRING, .required = (needed), .secret = true, \
		.quoted = true, .doc = text                                                \
	}
#define OTP_ROW_IRREVERSIBLE                                                   \
	{                                                                      \
		.name = "irreversible", .type = ARG_CHOICE, .required = true,  \
		.choices = otp_irreversible,                                   \
		.doc = "this cannot be undone: the words say that it is meant" \
	}
#define OTP_ROW_COMPLETE                                                                      \
	{                                                                                     \
		.name = "complete", .type = ARG_BOOL, .def = "false",                         \
		.doc = "a field without coding that holds a part of the value is burnt again" \
	}
/* Of a way to the memory where the unit has a name of its own. */
#define OTP_ROW_IS_UNIT(of)                                                                                                              \
	{                                                                                                                                \
		.name = "is_unit", .type = ARG_BOOL, .def = "true",                                                                      \
		.doc = "the run's unit goes by " of                                                                                      \
		       ", and is compared with it; false where it goes by another name, as of a console. The journal has it in any case" \
	}
/* Of a way through a debugger. */
#define OTP_UID_MAX 32
#define OTP_ROWS_UID                                                                                     \
	{.name = "uid",                                                                                  \
		.type = ARG_SIZE,                                                                        \
		.required = true,                                                                        \
		.doc = "address of the part's unique id: nothing is burnt where nobody knows the unit"}, \
	{                                                                                                \
		.name = "uid_bytes", .type = ARG_INT, .def = "12", .low = 4, .high = OTP_UID_MAX,        \
		.unit = "bytes", .doc = "of the unique id"                                               \
	}
#define OTP_VALUE_DOC \
	"what it is to hold, in quotes: every hex digit of the field, the first byte first, or 0x and a number"
#define OTP_HOLDS_DOC "what it has to hold before it is locked, where that can be read"
#define OTP_ROW_UNIT                                                                         \
	{                                                                                    \
		.name = "unit", .type = ARG_INT, .def = "4", .unit = "bytes", .low = 1,      \
		.high = 256, .doc = "what the part programs at once: fields are whole units" \
	}
extern const char *const otp_irreversible[];

/* --- a family's three verbs --- */

/* The arguments of each, between the way's own. */
#define OTP_ROWS_READ OTP_ROWS_FIELD
#define OTP_ROWS_WRITE \
	OTP_ROWS_FIELD, OTP_ROW_VALUE(true, OTP_VALUE_DOC), OTP_ROW_COMPLETE, OTP_ROW_IRREVERSIBLE
#define OTP_ROWS_LOCK OTP_ROWS_FIELD, OTP_ROW_VALUE(false, OTP_HOLDS_DOC), OTP_ROW_IRREVERSIBLE
extern const struct action_output otp_read_outputs[];

/* What each row has in addition to name, doc, args, check and preflight; more: further flags of the way. */
#define OTP_READ_ROW(more)                                              \
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_SAFE_TO_RETRY | (more), \
	.outputs = otp_read_outputs, .default_timeout_us = 60 * US_PER_S, .run = otp_read_run
#define OTP_WRITE_ROW(more)                                            \
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE | (more), \
	.default_timeout_us = 60 * US_PER_S, .run = otp_write_run, .observe = otp_write_observe
#define OTP_LOCK_ROW(more)                                             \
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_IRREVERSIBLE | (more), \
	.default_timeout_us = 60 * US_PER_S, .run = otp_lock_run, .observe = otp_lock_observe

/* otp_read_run(), otp_write_run() and otp_lock_run() of a way: its session is opened (with map, field and
 * value read by otp_prepare()), the verb is done on its struct otp_act, and the session is ended whatever
 * came of it. */
#define OTP_DEFINE_RUN(verb, type, open_fn, done_fn, act)                                     \
	static int verb##_run(                                                                \
		struct step *s, const struct args *a, struct step_result *out, struct err *e) \
	{                                                                                     \
		_cleanup_(done_fn) type o = {0};                                              \
		int r = open_fn(&o, s, a, out, e);                                            \
                                                                                              \
		return r < 0 ? r : verb(&o.act, out, e);                                      \
	}
#define OTP_DEFINE_RUNS(type, open_fn, done_fn, act)           \
	OTP_DEFINE_RUN(otp_read, type, open_fn, done_fn, act)  \
	OTP_DEFINE_RUN(otp_write, type, open_fn, done_fn, act) \
	OTP_DEFINE_RUN(otp_lock, type, open_fn, done_fn, act)

/* The name of a unit by the n bytes at `at`, at most OTP_UID_MAX. -ERR_UNSUPPORTED where they are all alike:
 * there is no unique id. */
int otp_unique_id(
	const uint8_t *uid, size_t n, uint64_t at, char ret[UNIT_NAME_BYTES], struct err *e);

/* For a row's check(): what can be seen without the map. */
int otp_check(const struct args *a, struct err *e);
/* For a row's preflight(): map, field and value, as far as they are known. may: what else the way to
 * the memory asks of the field; NULL: nothing. */
int otp_look_ahead(struct step *s, const struct args *a,
	int (*may)(const struct otp_field *f, struct err *e), struct err *e);
/* Reads map, field and value. Nothing of the unit is touched. End it with otp_done(), which
 * overwrites the values. */
int otp_prepare(struct otp_act *x, struct step *s, const struct args *a, struct err *e);
void otp_done(struct otp_act *x);

/* The steps, once port and to are there. */
int otp_read(struct otp_act *x, struct step_result *out, struct err *e);
int otp_write(struct otp_act *x, struct step_result *out, struct err *e);
int otp_lock(struct otp_act *x, struct step_result *out, struct err *e);
/* observe() of the rows; session is the struct otp_act. */
int otp_write_observe(struct step *s, const struct args *a, void *session, struct observation *ret,
	struct err *e);
int otp_lock_observe(struct step *s, const struct args *a, void *session, struct observation *ret,
	struct err *e);
