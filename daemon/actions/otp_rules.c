/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/otp_rules.h"

#include <string.h>

enum otp_seen otp_compare(const struct otp_field *f, const uint8_t *have, const uint8_t *wanted)
{
	uint8_t flip = f->bits == OTP_SET ? 0 : 0xff;
	bool any = false, other = false;
	size_t n = otp_bytes(f);

	if (!memcmp(have, wanted, n))
		return OTP_EQUAL;
	for (size_t i = 0; i < n; i++) {
		uint8_t there = i == 0 && f->width % 8 ? (uint8_t)((1u << f->width % 8) - 1) : 0xff;
		uint8_t burnt = (have[i] ^ flip) & there, meant = (wanted[i] ^ flip) & there;

		any = any || burnt;
		other = other || (burnt & ~meant);
	}
	return other ? OTP_OTHER : any ? OTP_PART : OTP_BLANK;
}

/* Only `part` differs by coding and recipe: plain, plain with `complete`, coded. */
static const struct {
	enum otp_deed open[3], locked[3];
} deeds[] = {
	[OTP_UNREADABLE] = {{OTP_CANNOT_TELL, OTP_CANNOT_TELL, OTP_CANNOT_TELL},
		{OTP_CLOSED, OTP_CLOSED, OTP_CLOSED}},
	[OTP_EQUAL] = {{OTP_DONE, OTP_DONE, OTP_DONE}, {OTP_DONE, OTP_DONE, OTP_DONE}},
	[OTP_BLANK] = {{OTP_BURN, OTP_BURN, OTP_BURN},
		{OTP_IS_LOCKED, OTP_IS_LOCKED, OTP_IS_LOCKED}},
	[OTP_PART] = {{OTP_MAY_NOT, OTP_COMPLETE, OTP_DEAD},
		{OTP_IS_LOCKED, OTP_IS_LOCKED, OTP_DEAD}},
	[OTP_OTHER] = {{OTP_CONFLICT, OTP_CONFLICT, OTP_CONFLICT},
		{OTP_CONFLICT, OTP_CONFLICT, OTP_CONFLICT}},
};

enum otp_deed otp_decide(
	enum otp_seen seen, enum otp_coding coding, bool complete, enum otp_locked locked)
{
	size_t column = coding != OTP_PLAIN ? 2 : complete ? 1 : 0;

	return locked == OTP_LOCKED ? deeds[seen].locked[column] : deeds[seen].open[column];
}

int otp_lock_of(const struct otp_field *f, uint8_t byte, enum otp_locked *ret, struct err *e)
{
	if (byte != 0 && byte != 0xff)
		return err_set(e, ERR_OTP_CONFLICT,
			"the byte at 0x%08x that locks otp field '%s' is %02x: 00 or ff expected",
			(uint32_t)f->lock_at, f->name, byte);
	*ret = byte ? OTP_OPEN : OTP_LOCKED;
	return 0;
}

const char *otp_seen_str(enum otp_seen s)
{
	static const char *const name[] = {"unreadable", "equal", "blank", "part", "other"};

	return name[s];
}

const char *otp_locked_str(enum otp_locked l)
{
	static const char *const name[] = {"open", "locked", "unknown"};

	return name[l];
}
