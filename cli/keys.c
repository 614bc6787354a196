/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl ca, provctl unit identity and certificates: who issues, and what units got.
 */
#include "base/util.h"
#include "cli/provctl.h"

static int print_list(struct ctl *c, const char *path, const char *const *members)
{
	json_t *all = NULL;
	struct err e;

	if (api_get(c, path, &all, &e) < 0)
		return ctl_fail(&e);
	print_items(c, all, members);
	json_decref(all);
	return 0;
}

static int ca_list(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"name", "ready", "key", "subject", "not_after", "problem", NULL};

	if (ctl_options(argc, argv, NULL, NULL, 0) != 0)
		return ctl_usage("ca list");
	return print_list(c, "/api/v1/issuers", members);
}

/* The serial number has no slot: it is what the slots belong to. */
static void name_values(const json_t *all)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(all, "items"), i, o) {
		const char *slot = json_string_value(json_object_get(o, "slot"));

		json_object_set(o, "name", json_object_get(o, slot && *slot ? "slot" : "kind"));
	}
}

/* The values of a unit by their names, each with the set that it came in. */
static int unit_identity(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {
		"name", "value", "kind", "state", "exposed", "lease", "pool", "run", NULL};
	char *word;
	json_t *unit = NULL;
	json_t *all = NULL;
	struct err e;
	int r;

	if (ctl_options(argc, argv, NULL, &word, 1) != 1)
		return ctl_usage("unit identity SERIAL");

	_cleanup_(freep) char *segment = url_segment(word);
	_cleanup_(freep) char *of = xasprintf("/api/v1/units/%s", segment);

	if (api_get(c, of, &unit, &e) < 0)
		return ctl_fail(&e);

	_cleanup_(freep) char *id = json_text(unit, "id");
	_cleanup_(freep) char *path = xasprintf("/api/v1/serials?unit_id=%s&limit=1000", id);

	json_decref(unit);
	r = api_get(c, path, &all, &e);
	if (r == 0) {
		name_values(all);
		print_items(c, all, members);
	}
	json_decref(all);
	return r < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

static int unit_certificates(struct ctl *c, int argc, char **argv)
{
	static const char *const members[] = {"serial", "state", "issuer", "profile", "subject",
		"not_after", "ordered_at", "run", NULL};
	char *word;

	if (ctl_options(argc, argv, NULL, &word, 1) != 1)
		return ctl_usage("unit certificates SERIAL");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/units/%s/certificates", id);

	return print_list(c, path, members);
}

/* The newest that the unit holds, as PEM, with its chain: for openssl. */
static int unit_certificate(struct ctl *c, int argc, char **argv)
{
	char *word;
	json_t *all = NULL;
	struct err e;
	size_t i;
	json_t *o;

	if (ctl_options(argc, argv, NULL, &word, 1) != 1)
		return ctl_usage("unit certificate SERIAL");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/units/%s/certificates", id);

	if (api_get(c, path, &all, &e) < 0)
		return ctl_fail(&e);
	json_array_foreach(json_object_get(all, "items"), i, o) {
		const char *pem = json_string_value(json_object_get(o, "pem"));
		const char *chain = json_string_value(json_object_get(o, "chain"));

		if (!pem)
			continue;
		printf("%s%s", pem, chain ? chain : "");
		json_decref(all);
		return 0;
	}
	json_decref(all);
	err_set(&e, ERR_NOT_FOUND, "unit %s has no certificate", word);
	return ctl_fail(&e);
}

/* Each list of the answer under its name. */
static int unit_genealogy(struct ctl *c, int argc, char **argv)
{
	static const char *const lists[] = {"values", "parts", "certificates", "artifacts",
		"recipes", "tools", "orders", "stations", "acts", "wear", "runs", NULL};
	static const char *const members[][9] = {{"kind", "slot", "value", "pool", NULL},
		{"what", "value", "by", "station", "at", NULL},
		{"serial", "issuer", "subject", "not_after", "state", NULL},
		{"as", "name", "sha256", NULL}, {"name", "version", "sha256", "runs", NULL},
		{"name", "runs", NULL},
		{"id", "number", "external_ref", "recipe", "version", "kind", "rework", NULL},
		{"station", "fixture", "runs", "first_at", "last_at", NULL},
		{"at", "station", "action", "what", "state", NULL}, {"region", "erases", NULL},
		{"ended_at", "station", "recipe", "version", "outcome", "step", "code", "id",
			NULL}};
	char *word;
	json_t *o = NULL;
	struct err e;

	if (ctl_options(argc, argv, NULL, &word, 1) != 1)
		return ctl_usage("unit genealogy SERIAL");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/units/%s/genealogy", id);

	if (api_get(c, path, &o, &e) < 0)
		return ctl_fail(&e);
	if (c->json)
		print_json(o);
	for (size_t i = 0; lists[i] && !c->json; i++) {
		json_t *list = json_pack("{s:O}", "items", json_object_get(o, lists[i]));

		if (json_array_size(json_object_get(list, "items")) > 0) {
			printf("%s%s\n", i ? "\n" : "", lists[i]);
			print_items(c, list, members[i]);
		}
		json_decref(list);
	}
	json_decref(o);
	return EXIT_PASSED;
}

static int unit_birth_pack(struct ctl *c, int argc, char **argv)
{
	const char *signer = "records";
	const struct option_row rows[] = {{"signer", &signer, NULL}, {0}};
	char *word;
	json_t *envelope = NULL;
	struct err e;

	if (ctl_options(argc, argv, rows, &word, 1) != 1)
		return ctl_usage("unit birth-pack SERIAL [--signer NAME]");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *by = url_segment(signer);
	_cleanup_(freep) char *path = xasprintf("/api/v1/units/%s/birth-pack?signer=%s", id, by);

	if (api_get(c, path, &envelope, &e) < 0)
		return ctl_fail(&e);
	print_json_line(envelope);
	json_decref(envelope);
	return 0;
}

const struct command commands_keys[] = {
	{"ca list", "", "Who issues certificates, and whether they can", ca_list},
	{"unit identity", "SERIAL", "What it got out of pools: names, values, state, lease",
		unit_identity},
	{"unit certificates", "SERIAL", "What was issued for a unit", unit_certificates},
	{"unit certificate", "SERIAL", "Its newest certificate and the chain, as PEM",
		unit_certificate},
	{"unit genealogy", "SERIAL",
		"All that it is made of: values, parts, firmware, orders, stations, runs",
		unit_genealogy},
	{"unit birth-pack", "SERIAL [--signer NAME]", "What is on record of it, signed",
		unit_birth_pack},
	{0},
};
