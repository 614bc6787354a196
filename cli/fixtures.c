/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl fixture ..., station release: what wears out, and what a person says of it.
 */
#include "base/util.h"
#include "cli/provctl.h"

static int fixture_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"id", "contacts", "since_service", "serviced_at",
		"calibrated_until", "golden_at", "golden_outcome", NULL};
	json_t *o = NULL;
	struct err e;

	if (ctl_options(argc, argv, NULL, NULL, 0) != 0)
		return ctl_usage("fixture list");
	if (api_get(c, "/api/v1/fixtures", &o, &e) < 0)
		return ctl_fail(&e);
	print_items(c, o, members);
	json_decref(o);
	return 0;
}

static int fixture_serviced(struct ctl *c, int argc, char **argv)
{
	const char *reason = NULL;
	const struct option_row rows[] = {{"reason", &reason, NULL}, {0}};
	char *word;

	if (ctl_options(argc, argv, rows, &word, 1) != 1 || !reason)
		return ctl_usage("fixture serviced ID --reason TEXT");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/fixtures/%s/serviced", id);

	return api_say(c, path, json_pack("{s:s}", "reason", reason),
		"on record: its contacts are counted from zero");
}

static int fixture_calibrated(struct ctl *c, int argc, char **argv)
{
	const char *until = NULL, *reason = NULL;
	const struct option_row rows[] = {{"until", &until, NULL}, {"reason", &reason, NULL}, {0}};
	char *word;

	if (ctl_options(argc, argv, rows, &word, 1) != 1 || !until || !reason)
		return ctl_usage("fixture calibrated ID --until TIME --reason TEXT");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/fixtures/%s/calibrated", id);

	return api_say(c, path, json_pack("{s:s, s:s}", "until", until, "reason", reason),
		"on record: its calibration holds until then");
}

static int station_release(struct ctl *c, int argc, char **argv)
{
	const char *length = NULL, *reason = NULL;
	const struct option_row rows[] = {{"for", &length, NULL}, {"reason", &reason, NULL}, {0}};
	char *words[2];

	if (ctl_options(argc, argv, rows, words, 2) != 2 || !length || !reason)
		return ctl_usage(
			"station release ID golden|contacts|calibration|yield --for TIME --reason TEXT");

	_cleanup_(freep) char *id = url_segment(words[0]);
	_cleanup_(freep) char *interlock = url_segment(words[1]);
	_cleanup_(freep) char *path =
		xasprintf("/api/v1/stations/%s/interlocks/%s/release", id, interlock);

	return api_say(c, path, json_pack("{s:s, s:s}", "for", length, "reason", reason),
		"released for that time: the station takes units again");
}

const struct command commands_fixtures[] = {
	{"fixture list", "", "How worn and how well proven the fixtures are", fixture_list},
	{"fixture serviced", "ID --reason TEXT", "Its contacts are new", fixture_serviced},
	{"fixture calibrated", "ID --until TIME --reason TEXT", "Its calibration holds until then",
		fixture_calibrated},
	{"station release", "ID INTERLOCK --for TIME --reason TEXT",
		"Let a station go on in spite of an interlock", station_release},
	{0},
};
