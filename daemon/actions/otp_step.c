/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/otp_step.h"

#include <string.h>

#include "daemon/actions/otp_salt.h"
#include "transports/images/blob.h"

const char *const otp_irreversible[] = {"yes-i-mean-it", NULL};

const struct action_output otp_read_outputs[] = {{"value", "what the field holds, in hex"},
	{"locked", "open, locked, or unknown where nothing can be asked for it"}, {0}};

/* --- before anything is open --- */

static bool is_value(const char *text)
{
	const char *digits = !strncmp(text, "0x", 2) ? text + 2 : text;

	return *digits && !digits[strspn(digits, "0123456789abcdefABCDEF")];
}

int otp_check(const struct args *a, struct err *e)
{
	const char *value = args_str(a, "value");

	return !value || is_value(value)
		       ? 0
		       : err_set(e, ERR_RECIPE_INVALID,
				 "'value' is not hex: every digit of the field, or 0x and a number, expected");
}

int otp_unique_id(
	const uint8_t *uid, size_t n, uint64_t at, char ret[UNIT_NAME_BYTES], struct err *e)
{
	hex_of(uid, n, ret);
	if (strspn(ret, "0") == 2 * n || strspn(ret, "f") == 2 * n)
		return err_set(e, ERR_UNSUPPORTED,
			"the %zu bytes at 0x%08llx are all alike: 'uid' is the address of the part's unique id",
			n, (unsigned long long)at);
	return 0;
}

static int load_map(struct otp_act *x, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *blob = NULL;
	const char *ref = args_str(x->a, "map");
	char name[STEP_NAME_BYTES];
	int r = x->s->ops->name(x->s->env, ref, name, e);

	if (r == 0)
		r = x->s->ops->load_blob(x->s->env, ref, &blob, e);
	if (r == 0)
		r = otp_map_parse(name, blob->data, (size_t)blob->size, &x->map, e);
	return r < 0 ? r : otp_map_field(x->map, args_str(x->a, "field"), &x->f, e);
}

/* In the form in which provd would write it. */
static int keep_secret(struct otp_act *x, const char *text, struct err *e)
{
	char hex[OTP_HEX];
	int r;

	x->secret = x->f->secret || secret_found(x->s->secrets, text);
	if (!x->secret)
		return 0;
	hex_of(x->wanted, otp_bytes(x->f), hex);
	/* A secret of fewer than 4 digits cannot be masked, and nothing shows it. */
	r = strlen(hex) < 4 ? 0 : step_secret(x->s, hex, e);
	secret_wipe(hex, sizeof hex);
	return r;
}

static int load_value(struct otp_act *x, struct err *e)
{
	const char *text = args_str(x->a, "value");
	int r = otp_value_parse(x->f, text, x->wanted, e);

	x->has_value = true;
	if (r == 0)
		r = keep_secret(x, text, e);
	if (r < 0)
		return r;
	if (x->secret)
		return otp_salted_digest(x->s, x->wanted, otp_bytes(x->f), x->digest, e);
	sha256_hex_of(x->wanted, otp_bytes(x->f), x->digest);
	return 0;
}

/* Bits of a secret are not in the log either, and half a secret is not found by masking. */
static void hush(struct otp_act *x)
{
	if (!x->secret || !x->s->tell.log)
		return;
	step_log(x->s, ' ', "otp field '%s' is secret: what is sent and answered is not shown",
		x->f->name);
	x->s->tell.log = NULL;
}

int otp_prepare(struct otp_act *x, struct step *s, const struct args *a, struct err *e)
{
	int r;

	*x = (struct otp_act){.s = s, .a = a};
	r = otp_check(a, e);
	if (r == 0)
		r = load_map(x, e);
	if (r < 0)
		return r;
	x->secret = x->f->secret;
	r = args_has(a, "value") ? load_value(x, e) : 0;
	hush(x);
	return r;
}

int otp_look_ahead(struct step *s, const struct args *a,
	int (*may)(const struct otp_field *f, struct err *e), struct err *e)
{
	_cleanup_(otp_done) struct otp_act x = {0};
	int r;

	if (!args_has(a, "map") || !args_has(a, "field"))
		return otp_check(a, e);
	r = otp_prepare(&x, s, a, e);
	return r == 0 && may ? may(x.f, e) : r;
}

void otp_done(struct otp_act *x)
{
	secret_wipe(x->wanted, sizeof x->wanted);
	secret_wipe(x->have, sizeof x->have);
	x->map = otp_map_free(x->map);
}

/* --- the unit --- */

static int failed(const struct otp_act *x, int r, struct err *e)
{
	if (r == 0)
		return 0;
	if (x->secret)
		return err_set(e, err_from_ret(r),
			"otp field '%s': the unit did not do as it was asked (what it said is not shown, since the field is secret)",
			x->f->name);
	return err_prefix(e, "otp field '%s'", x->f->name);
}

static int look(struct otp_act *x, struct err *e)
{
	bool readable = x->f->readable;
	int r = x->port->locked(x->to, x->f, &x->locked, e);

	if (r == 0 && readable)
		r = x->port->read(x->to, x->f, x->have, &readable, e);
	if (r < 0)
		return failed(x, r, e);
	x->seen = readable ? otp_compare(x->f, x->have, x->wanted) : OTP_UNREADABLE;
	return 0;
}

/* Who is there is asked now, not taken from an earlier step. */
static int intend(struct otp_act *x, const char *what, const char *digest, bool *ret_done,
	struct step_result *out, struct err *e)
{
	struct intent i = {.for_good = true};
	int r = x->port->who(x->to, i.unit, e);

	if (r == 0 && (!args_has(x->a, "is_unit") || args_bool(x->a, "is_unit")))
		r = step_identity(x->s, args_str(x->a, "port"), i.unit, e);
	if (r < 0)
		return r;
	snprintf(i.what, sizeof i.what, "%s %s", what, x->f->name);
	snprintf(i.digest, sizeof i.digest, "%s", digest);
	result_evidence(out, "unit", json_string(i.unit));
	return step_intend(x->s, x->a, &i, x, ret_done, out, e);
}

static void tell(const struct otp_act *x, struct step_result *out)
{
	char hex[OTP_HEX];

	result_evidence(out, "field", json_string(x->f->name));
	result_evidence(out, "map",
		json_pack("{s:s, s:s}", "otp", x->map->title, "sha256", x->map->sha256));
	result_evidence(out, "locked", json_string(otp_locked_str(x->locked)));
	if (!x->has_value)
		return;
	if (x->secret)
		result_evidence(out, "salted_sha256", json_string(x->digest));
	else
		result_evidence(out, "value", json_string(hex_of(x->wanted, otp_bytes(x->f), hex)));
}

/* --- read --- */

int otp_read(struct otp_act *x, struct step_result *out, struct err *e)
{
	char hex[OTP_HEX];
	int r;

	if (x->secret || !x->f->readable)
		return err_set(e, ERR_RECIPE_INVALID,
			"otp field '%s' is %s by its map: it is not read into the records",
			x->f->name, x->secret ? "secret" : "not readable");
	r = look(x, e);
	if (r == 0 && x->seen == OTP_UNREADABLE)
		r = err_set(e, ERR_OTP_LOCKED, "otp field '%s': the unit refuses to show it",
			x->f->name);
	if (r < 0)
		return r;
	tell(x, out);
	hex_of(x->have, otp_bytes(x->f), hex);
	result_evidence(out, "value", json_string(hex));
	result_evidence(out, "proof", json_string("read"));
	result_output(out, "value", json_string(hex));
	result_output(out, "locked", json_string(otp_locked_str(x->locked)));
	return 0;
}

/* --- write --- */

static const struct {
	enum observed state;
	enum err_code code;
	const char *said;
} shows[] = {
	[OTP_DONE] = {OBSERVED_DONE, ERR_NONE, "holds the value"},
	[OTP_BURN] = {OBSERVED_BLANK, ERR_NONE, "is blank"},
	[OTP_COMPLETE] = {OBSERVED_BLANK, ERR_NONE,
		"is burnt in part, and the recipe lets it be completed"},
	[OTP_MAY_NOT] = {OBSERVED_HALF, ERR_OTP_HALF,
		"is burnt in part, and the recipe does not say 'complete: true'"},
	[OTP_DEAD] = {OBSERVED_HALF, ERR_OTP_HALF,
		"is burnt in part, and its coding lets nobody complete it: scrap the unit"},
	[OTP_CONFLICT] = {OBSERVED_HALF, ERR_OTP_CONFLICT,
		"has a bit burnt that the value does not have: it can never hold it"},
	[OTP_IS_LOCKED] = {OBSERVED_HALF, ERR_OTP_LOCKED, "is locked, and does not hold the value"},
	[OTP_CLOSED] = {OBSERVED_CLOSED, ERR_OTP_LOCKED,
		"is locked and cannot be read, and no record of this unit says that it holds the value"},
	[OTP_HIDDEN] = {OBSERVED_CLOSED, ERR_NO_EVIDENCE,
		"cannot be read, though its map says that it can be: nothing is burnt blindly"},
	[OTP_CANNOT_TELL] = {OBSERVED_UNKNOWN, ERR_NONE, "cannot be read"},
};

static enum otp_deed deed_of(const struct otp_act *x)
{
	if (x->seen == OTP_UNREADABLE && x->f->readable && x->locked != OTP_LOCKED)
		return OTP_HIDDEN;
	return otp_decide(x->seen, x->f->coding, args_bool(x->a, "complete"), x->locked);
}

static void say(const struct otp_act *x, enum otp_deed deed, struct observation *ret)
{
	ret->state = shows[deed].state;
	ret->code = shows[deed].code;
	snprintf(ret->said, sizeof ret->said, "otp field '%s' %s", x->f->name, shows[deed].said);
}

int otp_write_observe(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	struct otp_act *x = session;
	int r = look(x, e);

	if (r == 0)
		say(x, deed_of(x), ret);
	return r;
}

/* After the write: the value is there, or the unit cannot be asked and was not meant to be. */
static int judge(struct otp_act *x, struct step_result *out, struct err *e)
{
	struct observation now = {0};

	if (x->seen == OTP_EQUAL || (x->seen == OTP_UNREADABLE && !x->f->readable)) {
		result_evidence(out, "proof",
			json_string(x->seen == OTP_EQUAL ? "read-back" : "acknowledged"));
		return 0;
	}
	if (x->seen == OTP_UNREADABLE)
		return err_set(e, ERR_NO_EVIDENCE,
			"otp field '%s' was written and cannot be read back, and its map says that it is readable",
			x->f->name);
	if (x->seen == OTP_BLANK)
		return err_set(e, ERR_READ_BACK_MISMATCH,
			"otp field '%s': the unit acknowledged the value, and no bit of it is burnt",
			x->f->name);
	say(x, deed_of(x), &now);
	return err_set(e, x->seen == OTP_PART ? ERR_OTP_HALF : ERR_OTP_CONFLICT,
		"%s (after the write)", now.said);
}

/* Once. What a lost answer was, the field shows. */
static int burn(struct otp_act *x, struct step_result *out, struct err *e)
{
	struct err why = {0}, again = {0};
	int w = failed(x, x->port->write(x->to, x->f, x->wanted, &why), &why);
	bool lost = w == -ERR_TIMEOUT;
	int r = w < 0 && !lost ? w : look(x, &again);

	if (lost && (r < 0 || x->seen == OTP_BLANK || x->seen == OTP_UNREADABLE))
		r = w;
	if (r < 0) {
		if (e)
			*e = w < 0 ? why : again;
		return r;
	}
	if (lost)
		result_evidence(out, "answer", json_string(why.msg));
	return judge(x, out, e);
}

int otp_write(struct otp_act *x, struct step_result *out, struct err *e)
{
	bool done = false;
	int r = intend(x, "otp", x->digest, &done, out, e);

	if (r < 0)
		return r;
	result_evidence(out, "before", json_string(otp_seen_str(x->seen)));
	result_evidence(out, "burnt", json_boolean(!done));
	if (done)
		result_evidence(
			out, "proof", json_string(x->seen == OTP_EQUAL ? "observed" : "journal"));
	else
		r = burn(x, out, e);
	tell(x, out);
	return r;
}

/* --- lock --- */

int otp_lock_observe(
	struct step *s, const struct args *a, void *session, struct observation *ret, struct err *e)
{
	static const enum observed state[] = {[OTP_OPEN] = OBSERVED_BLANK,
		[OTP_LOCKED] = OBSERVED_DONE,
		[OTP_LOCK_UNKNOWN] = OBSERVED_UNKNOWN};
	struct otp_act *x = session;

	ret->state = state[x->locked];
	snprintf(ret->said, sizeof ret->said, "otp field '%s': its lock is %s", x->f->name,
		otp_locked_str(x->locked));
	return 0;
}

/* What is locked with the wrong content is locked for good. */
static int holds_value(const struct otp_act *x, struct err *e)
{
	if (!x->has_value || x->seen == OTP_EQUAL ||
		(x->seen == OTP_UNREADABLE && x->locked == OTP_LOCKED))
		return 0;
	return err_set(e, x->seen == OTP_UNREADABLE ? ERR_NO_EVIDENCE : ERR_OTP_CONFLICT,
		"otp field '%s' is not locked: it does not show the value that it has to hold (%s)",
		x->f->name, otp_seen_str(x->seen));
}

static int lock_once(struct otp_act *x, struct step_result *out, struct err *e)
{
	int r = failed(x, x->port->lock(x->to, x->f, e), e);

	if (r == 0)
		r = failed(x, x->port->locked(x->to, x->f, &x->locked, e), e);
	if (r == 0 && x->locked == OTP_OPEN)
		r = err_set(e, ERR_READ_BACK_MISMATCH,
			"otp field '%s': the unit acknowledged the lock, and shows it as open",
			x->f->name);
	if (r == 0)
		result_evidence(out, "proof",
			json_string(x->locked == OTP_LOCKED ? "read-back" : "acknowledged"));
	return r;
}

int otp_lock(struct otp_act *x, struct step_result *out, struct err *e)
{
	_cleanup_(freep) char *what = xasprintf("lock %s", x->f->name);
	char digest[SHA256_HEX];
	bool done = false;
	int r;

	if (x->f->lock == OTP_LOCK_NONE)
		return err_set(
			e, ERR_RECIPE_INVALID, "otp field '%s' has no lock by its map", x->f->name);
	r = look(x, e);
	if (r == 0)
		r = holds_value(x, e);
	if (r == 0)
		r = intend(
			x, "lock of otp", sha256_hex_of(what, strlen(what), digest), &done, out, e);
	if (r < 0)
		return r;
	if (done)
		result_evidence(out, "proof",
			json_string(x->locked == OTP_LOCKED ? "observed" : "journal"));
	else
		r = lock_once(x, out, e);
	result_evidence(out, "locked_now", json_boolean(!done));
	tell(x, out);
	return r;
}
