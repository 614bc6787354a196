/* SPDX-License-Identifier: Apache-2.0
 *
 * What an action calls while it runs: results, measurements, files, progress, log.
 */
#include <math.h>
#include <stdarg.h>

#include "base/outfile.h"
#include "base/util.h"
#include "daemon/recipe/action.h"
#include "transports/links/http.h"

/* Bytes of one line of a run's log. */
#define LOGGED_MAX 2047

const char *const port_kind_names[] = {"tty", "tcp", "udp", "usb", "probe", "any", NULL};

unsigned port_kind(const char *name)
{
	for (unsigned i = 0; port_kind_names[i]; i++)
		if (!strcmp(port_kind_names[i], name))
			return port_kind_names[i + 1] ? 1u << i : PORT_KIND_ANY;
	return 0;
}

void port_kinds_text(unsigned kinds, char ret[PORT_KINDS_BYTES])
{
	size_t n = 0;

	ret[0] = '\0';
	for (unsigned i = 0; port_kind_names[i + 1]; i++) {
		if (!(kinds & 1u << i))
			continue;
		kinds &= ~(1u << i);
		n += (size_t)snprintf(ret + n, PORT_KINDS_BYTES - n, "%s%s",
			!n			? ""
			: kinds & PORT_KIND_ANY ? ", "
						: " or ",
			port_kind_names[i]);
	}
}

static void set_member(json_t **o, const char *key, json_t *value)
{
	if (!*o)
		*o = json_object();
	/* Text that is not UTF-8 yields no JSON value: the absence would look like an empty answer.
	 */
	json_object_set_new(*o, key, value ? value : json_string("(unprintable)"));
}

void result_evidence(struct step_result *r, const char *key, json_t *value)
{
	set_member(&r->evidence, key, value);
}

void result_output(struct step_result *r, const char *key, json_t *value)
{
	set_member(&r->outputs, key, value);
}

int result_fail(struct step_result *r, enum err_code c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->message, sizeof r->message, fmt, ap);
	va_end(ap);
	r->verdict = STEP_FAILED;
	r->code = c;
	return 0;
}

int step_measure(struct step *s, const struct measurement *m, struct step_result *r, struct err *e)
{
	const char *verdict = "pass";
	const char *unit = m->unit ? m->unit : "";

	if (!m->is_number || !isfinite(m->value)) {
		verdict = "fail";
		if (m->why && *m->why)
			result_fail(r, ERR_NOT_A_NUMBER, "%s: %s", m->name, m->why);
		else
			result_fail(r, ERR_NOT_A_NUMBER, "%s: '%.120s' is not a number", m->name,
				m->text ? m->text : "");
	} else if (m->has_low && m->value < m->low) {
		verdict = "fail";
		result_fail(r, ERR_LIMIT_LOW, "%s: %.10g %s is below the limit %.10g", m->name,
			m->value, unit, m->low);
	} else if (m->has_high && m->value > m->high) {
		verdict = "fail";
		result_fail(r, ERR_LIMIT_HIGH, "%s: %.10g %s is above the limit %.10g", m->name,
			m->value, unit, m->high);
	} else if ((m->has_low && m->value - m->low < m->marginal) ||
		   (m->has_high && m->high - m->value < m->marginal)) {
		verdict = "marginal";
	}
	return step_record(s, m, verdict, e);
}

int step_record(struct step *s, const struct measurement *m, const char *verdict, struct err *e)
{
	return s->measured ? s->measured(s->measured_data, m, verdict, e) : 0;
}

int output_name_check(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > OUTPUT_NAME_MAX || *name == '.')
		return err_set(e, ERR_INVALID,
			"'%.80s' cannot name a file of the run: from 1 to %d characters, the first not a dot",
			name, OUTPUT_NAME_MAX);
	if (strchr(name, '/'))
		return err_set(e, ERR_INVALID,
			"'%.80s' leads out of the run's folder: a name without '/' expected, since a station keeps the files of a run by itself (see `provctl run files`)",
			name);
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, ERR_INVALID,
				"the name of a file has a control character at position %zu",
				(size_t)(p - name) + 1);
	return 0;
}

int step_file(struct step *s, const char *name, struct outfile *ret, struct err *e)
{
	return s->ops->output ? s->ops->output(s->env, s->id, name, ret, e)
			      : outfile_open(ret, name, e);
}

int step_file_commit(struct step *s, struct outfile *f, struct err *e)
{
	int r = outfile_commit(f, e);

	if (r < 0)
		return r;
	if (!s->saved)
		s->saved = json_array();
	json_array_append_new(s->saved, json_pack("{s:s, s:I, s:s}", "name", f->path, "bytes",
						(json_int_t)f->bytes, "sha256", f->sha256));
	return 0;
}

/* Of a name that was written twice the last one is there. */
static bool is_last_of_name(const json_t *saved, size_t i)
{
	const char *name = json_string_value(json_object_get(json_array_get(saved, i), "name"));

	for (size_t k = i + 1; k < json_array_size(saved); k++)
		if (!strcmp(name,
			    json_string_value(json_object_get(json_array_get(saved, k), "name"))))
			return false;
	return true;
}

static int attach_one(struct step *s, json_t *file, struct err *e)
{
	const struct attach_file f = {.name = json_string_value(json_object_get(file, "name")),
		.bytes = (uint64_t)json_integer_value(json_object_get(file, "bytes")),
		.sha256 = json_string_value(json_object_get(file, "sha256")),
		.secrets = s->secrets};
	struct err why = {0};
	int r = s->ops->attach(s->env, &f, &why);

	json_object_set_new(file, "attached", json_boolean(r == 0));
	if (r < 0)
		step_log(s, '#', "%s", why.msg);
	if (r < 0 && e)
		*e = why;
	return r;
}

int step_attach(struct step *s, bool passed, struct err *e)
{
	int r = 0;

	if (!s->attach || !s->ops->attach)
		return 0;
	for (size_t i = 0; i < json_array_size(s->saved); i++) {
		int k = is_last_of_name(s->saved, i)
				? attach_one(s, json_array_get(s->saved, i), r == 0 ? e : NULL)
				: 0;

		r = r < 0 ? r : k;
	}
	if (r == 0 && passed && json_array_size(s->saved) == 0)
		return err_set(e, ERR_NO_EVIDENCE, "'attach': the step wrote no file");
	return r;
}

static int without_secret(const struct step *s, const char *what, const char *value, struct err *e)
{
	return value && secret_found(s->secrets, value)
		       ? err_set(e, ERR_RECIPE_INVALID,
				 "%s would hold a secret of the recipe, and records show it: check what the unit is asked",
				 what)
		       : 0;
}

int step_identity(struct step *s, const char *role, const char *value, struct err *e)
{
	int r = without_secret(s, "the unit's identity", value, e);

	return r < 0 ? r : s->ops->identity(s->env, role, value, e);
}

bool step_unwatched(struct step *s, const char *role)
{
	return s->ops->unwatched && s->ops->unwatched(s->env, role);
}

int step_said(
	struct step *s, const char *role, const char *protocol, const char *who, struct err *e)
{
	return s->ops->said(s->env, role, protocol, who, e);
}

int step_serial(struct step *s, const char *kind, const char *value, char ret[UNIT_SERIAL_BYTES],
	struct err *e)
{
	int r = without_secret(s, "the serial number", value, e);

	return r < 0 ? r : s->ops->serial(s->env, kind, value, ret, e);
}

int step_values(
	struct step *s, const char *serial, const json_t *wanted, json_t **ret, struct err *e)
{
	int r = without_secret(s, "the serial number", serial, e);

	return r < 0 ? r : s->ops->values(s->env, serial, wanted, ret, e);
}

int step_secret(struct step *s, const char *value, struct err *e)
{
	return s->secrets ? secret_set_add(s->secrets, value, e) : 0;
}

int step_service(struct step *s, const char *name, struct http_service *ret, struct err *e)
{
	struct http_service got = {0};
	int r = s->ops->service ? s->ops->service(s->env, name, &got, e)
				: err_set(e, ERR_UNSUPPORTED, "there are no services here");

	if (r == 0 && got.token)
		r = step_secret(s, got.token, e);
	if (r < 0) {
		http_service_done(&got);
		return err_prefix(e, "service '%s'", name);
	}
	*ret = got;
	return 0;
}

int step_printer(struct step *s, const char *name, struct printer *ret, struct err *e)
{
	int r = s->ops->printer ? s->ops->printer(s->env, name, ret, e)
				: err_set(e, ERR_UNSUPPORTED,
					  "there are no printers here: 'file' expected");

	return r < 0 ? err_prefix(e, "printer '%s'", name) : 0;
}

int step_instrument(struct step *s, const char *name, struct instrument *ret, struct err *e)
{
	int r = s->ops->instrument ? s->ops->instrument(s->env, name, ret, e)
				   : err_set(e, ERR_UNSUPPORTED, "there are no instruments here");

	return r < 0 ? err_prefix(e, "instrument '%s'", name) : 0;
}

int step_power(struct step *s, struct power_way *ret, struct err *e)
{
	return s->ops->power ? s->ops->power(s->env, ret, e)
			     : err_set(e, ERR_UNSUPPORTED, "no power is switched here");
}

void step_progress(struct step *s, const char *phase, uint64_t done, uint64_t total)
{
	teller_progress(&s->tell, phase, done, total);
}

void step_log(struct step *s, char dir, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	size_t n;
	va_list ap;

	if (!s->tell.log)
		return;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);

	/* Masked whole and cut then: half a secret would not be found. */
	_cleanup_(freep) char *masked = secret_mask(s->secrets, text);

	n = strlen(masked);
	if (n > LOGGED_MAX) {
		for (n = LOGGED_MAX; n > 0 && ((unsigned char)masked[n] & 0xc0) == 0x80;)
			n--;
		masked[n] = '\0';
	}
	teller_line(&s->tell, dir, masked);
}

static void tell_progress(void *step, const char *phase, uint64_t done, uint64_t total)
{
	step_progress(step, phase, done, total);
}

static void tell_line(void *step, char dir, const char *text)
{
	step_log(step, dir, "%s", text);
}

struct teller step_teller(struct step *s)
{
	return (struct teller){s, tell_progress, tell_line};
}
