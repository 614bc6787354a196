/* SPDX-License-Identifier: Apache-2.0
 *
 * /fixtures: how worn and how well proven the fixtures are, and a person's word on them; and the release
 * of an interlock of a station.
 */
#include "api/route.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "daemon/line/interlock.h"
#include "db/fixtures.h"

#define REASON_MAX 255

/* The ids of the fixtures and instruments of the stations; a new reference. */
static json_t *configured(struct fleet *f)
{
	struct config *config = fleet_config(f);
	json_t *ids = json_array();

	for (size_t i = 0; i < config->stations; i++) {
		const struct station_config *s = &config->station[i];

		json_array_append_new(ids, json_string(s->fixture));
		for (size_t k = 0; k < s->instruments; k++)
			json_array_append_new(ids, json_string(s->instrument[k]));
	}
	config_unref(config);
	return ids;
}

static int read_fixtures(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	json_t *ids = configured(c->api->fleet);
	int r = fixtures_list(d, ids, ret, e);

	json_decref(ids);
	return r;
}

static int get_fixtures(struct call *c, struct err *e)
{
	return api_answer_all(c, read_fixtures, e);
}

/* A fixture of a station, or one that was: a slip of the pen makes no new one. */
static int read_fixture(struct db *d, const struct call *c, json_t **ret, struct err *e)
{
	const char *id = request_param(c->rq, "id");
	json_t *ids = configured(c->api->fleet);
	int r = fixtures_known(d, id, e);
	json_t *v;
	size_t i;

	json_array_foreach(ids, i, v)
		if (r == 0 && !strcmp(json_string_value(v), id))
			r = 1;
	json_decref(ids);
	if (r == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no fixture '%s'", id);
	return r < 0 ? r : fixtures_get(d, id, ret, e);
}

static int get_fixture(struct call *c, struct err *e)
{
	return api_answer_one(c, read_fixture, e);
}

/* What a person says of a fixture, or of an interlock of a station. */
struct word {
	struct fleet *fleet;
	const char *target, *by, *reason;
	enum interlock which;
	int64_t until_ms;
};

static void word_committed(void *data)
{
	struct word *w = data;

	fleet_interlocks_changed(w->fleet);
}

static int change_word(struct call *c, struct word *w,
	int (*apply)(struct db *tx, void *data, json_t **ret, struct err *e), const char *audit,
	struct err *e)
{
	const struct change ch = {.apply = apply,
		.committed = word_committed,
		.data = w,
		.status = 200,
		.audit = audit,
		.target = w->target};

	w->fleet = c->api->fleet;
	w->by = c->who->name;
	return api_change(c, &ch, e);
}

/* --- fixtures --- */

#define REASON_ROW(type)                                                              \
	{                                                                             \
		"reason", FORM_TEXT, .required = true, .low = 1, .high = REASON_MAX,  \
				     .doc = "What was done and why, for the record.", \
				     FORM_AT(type, reason)                            \
	}

struct serviced_form {
	char *reason;
};

static const struct form_row serviced_rows[] = {REASON_ROW(struct serviced_form), {0}};

struct calibrated_form {
	int64_t until_ms;
	char *reason;
};

static const struct form_row calibrated_rows[] = {
	{"until", FORM_TIME, .required = true, .doc = "Until when the calibration holds.",
		FORM_AT(struct calibrated_form, until_ms)},
	REASON_ROW(struct calibrated_form),
	{0},
};

static int apply_serviced(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct word *w = data;
	int r = fixtures_serviced(tx, w->target, w->by, w->reason, e);

	return r < 0 ? r : fixtures_get(tx, w->target, ret, e);
}

static int apply_calibrated(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct word *w = data;
	int r = fixtures_calibrated(tx, w->target, w->until_ms, w->by, w->reason, e);

	return r < 0 ? r : fixtures_get(tx, w->target, ret, e);
}

static int check_fixture(struct call *c, struct err *e)
{
	json_t *known = NULL;
	int r = api_read(c, read_fixture, &known, e);

	json_decref(known);
	return r;
}

static int post_serviced(struct call *c, struct err *e)
{
	struct word w = {.target = request_param(c->rq, "id")};
	const struct serviced_form *f = api_form(c, e);
	int r = f ? check_fixture(c, e) : -(int)e->code;

	if (r < 0)
		return r;
	w.reason = f->reason;
	return change_word(c, &w, apply_serviced, "fixture.serviced", e);
}

static int post_calibrated(struct call *c, struct err *e)
{
	struct word w = {.target = request_param(c->rq, "id")};
	const struct calibrated_form *f = api_form(c, e);
	struct mistakes m = {0};
	int r = f ? check_fixture(c, e) : -(int)e->code;

	if (r < 0)
		return r;
	if (f->until_ms <= wall_ms())
		mistakes_add(&m, "/until", "'until' is over already: a time to come expected");
	r = api_mistakes(c, &m, NULL, e);
	if (r < 0)
		return r;
	w.reason = f->reason;
	w.until_ms = f->until_ms;
	return change_word(c, &w, apply_calibrated, "fixture.calibrated", e);
}

/* --- interlocks --- */

struct release_form {
	uint64_t for_us;
	char *reason;
};

static const struct form_row release_rows[] = {
	{"for", FORM_DURATION, .required = true, .low = 60000000,
		.doc = "For how long, such as 30m or 4h; at most release_max of provd.yaml's interlocks.",
		FORM_AT(struct release_form, for_us)},
	REASON_ROW(struct release_form),
	{0},
};

static int apply_release(struct db *tx, void *data, json_t **ret, struct err *e)
{
	const struct word *w = data;
	char until[RFC3339_SIZE];
	int r = fixtures_release(tx, w->target, w->which, w->until_ms, w->by, w->reason, e);

	if (r == 0)
		*ret = json_pack("{s:s, s:s, s:s, s:s, s:s}", "station", w->target, "interlock",
			interlock_names[w->which], "until", rfc3339(w->until_ms, until),
			"released_by", w->by, "reason", w->reason);
	return r;
}

static int check_release(struct call *c, const char *station, uint64_t for_us, struct err *e)
{
	struct config *config = fleet_config(c->api->fleet);
	const uint64_t max = config->interlocks.release_max_us;
	const bool there = config_station(config, station);
	struct mistakes m = {0};

	config_unref(config);
	if (!there)
		return err_set(e, ERR_NOT_FOUND, "there is no station '%s'", station);
	if (for_us > max)
		mistakes_add(&m, "/for",
			"'for' is at most %llu min (release_max of provd.yaml's interlocks)",
			(unsigned long long)(max / US_PER_S / 60));
	return api_mistakes(c, &m, NULL, e);
}

static int post_release(struct call *c, struct err *e)
{
	struct word w = {.target = request_param(c->rq, "id")};
	const char *name = request_param(c->rq, "interlock");
	const int which = interlock_from_str(name);
	const struct release_form *f;
	int r;

	if (which < 0)
		return err_set(e, ERR_NOT_FOUND,
			"there is no interlock '%s': golden, contacts, calibration or yield expected",
			name);
	f = api_form(c, e);
	r = f ? check_release(c, w.target, f->for_us, e) : -(int)e->code;
	if (r < 0)
		return r;
	w.which = (enum interlock)which;
	w.reason = f->reason;
	w.until_ms = wall_ms() + (int64_t)(f->for_us / US_PER_MS);
	return change_word(c, &w, apply_release, "interlock.release", e);
}

const struct route routes_fixtures[] = {
	{HTTP_GET, "/api/v1/fixtures", MAY_READ, ROUTE_NO_BODY, 0, get_fixtures},
	{HTTP_GET, "/api/v1/fixtures/{id}", MAY_READ, ROUTE_NO_BODY, 0, get_fixture},
	{HTTP_POST, "/api/v1/fixtures/{id}/serviced", MAY_RELEASE, 0, 0, post_serviced, NULL,
		FORM(serviced_rows, struct serviced_form)},
	{HTTP_POST, "/api/v1/fixtures/{id}/calibrated", MAY_RELEASE, 0, 0, post_calibrated, NULL,
		FORM(calibrated_rows, struct calibrated_form)},
	{HTTP_POST, "/api/v1/stations/{id}/interlocks/{interlock}/release", MAY_RELEASE, 0, 0,
		post_release, NULL, FORM(release_rows, struct release_form),
		.scope = SCOPE_STATION},
	{0},
};
