/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be done to a field of one-time memory, by what it holds. Pure: a table, and a comparison.
 */
#pragma once

#include "daemon/actions/otp_map.h"

/* What the field holds, and what it is to hold. */
enum otp_seen {
	OTP_UNREADABLE,
	OTP_EQUAL,
	OTP_BLANK, /* no bit is burnt, and some are to be */
	OTP_PART,  /* some of the bits that are to be burnt are, and no others */
	OTP_OTHER  /* a bit is burnt that is not to be: it never holds the value */
};

enum otp_locked { OTP_OPEN, OTP_LOCKED, OTP_LOCK_UNKNOWN };

enum otp_deed {
	OTP_DONE,      /* nothing is written */
	OTP_BURN,      /* the whole value */
	OTP_COMPLETE,  /* the value once more: the bits that are burnt stay */
	OTP_MAY_NOT,   /* half burnt, and the recipe does not say `complete: true` */
	OTP_DEAD,      /* half burnt, and coded: never again */
	OTP_CONFLICT,  /* something else is burnt */
	OTP_IS_LOCKED, /* it can take no bit any more */
	OTP_CLOSED,    /* locked, and it cannot be read: the journal knows, or nobody */
	OTP_HIDDEN, /* it refuses what its map says it shows: not blindly, unless the journal knows */
	OTP_CANNOT_TELL /* the journal decides whether it is burnt (step_intend()) */
};

/* have, wanted: otp_bytes(f) bytes. */
enum otp_seen otp_compare(const struct otp_field *f, const uint8_t *have, const uint8_t *wanted);
enum otp_deed otp_decide(
	enum otp_seen seen, enum otp_coding coding, bool complete, enum otp_locked locked);
/* By the byte that locks: 00 or ff. -ERR_OTP_CONFLICT for any other. */
int otp_lock_of(const struct otp_field *f, uint8_t byte, enum otp_locked *ret, struct err *e);
const char *otp_seen_str(enum otp_seen s);
const char *otp_locked_str(enum otp_locked l);
