/* SPDX-License-Identifier: Apache-2.0
 *
 * The verifiable record: taken from the daemon, and verified without one. `records` is another family: the
 * state of the daemon's database.
 */
#include "base/jcs.h"
#include "base/util.h"
#include "cli/provctl.h"
#include "cli/public_keys.h"
#include "db/verify.h"

/* --- verify --- */

struct findings {
	const struct ctl *c;
	json_t *list;
};

/* A limit of bytes may leave half a character at the end, which JSON does not take. */
static json_t *harmless(const char *sentence)
{
	json_t *s = json_string(sentence);
	_cleanup_(freep) char *plain = s ? NULL : xstrdup(sentence);

	for (char *p = plain; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return s ? s : json_string(plain);
}

static void print_finding(void *data, const char *sentence)
{
	struct findings *f = data;

	if (f->c->json)
		json_array_append_new(f->list, harmless(sentence));
	else
		printf("%s\n", sentence);
}

static void print_signature(const struct verify_opts *o, const struct verify_result *r)
{
	if (r->covered > 0)
		printf("signed      up to record %lld, by %s\n", (long long)r->covered,
			r->trusted ? "a key that was given"
				   : "a key that is in the database: give --key to trust one");
	else if (o->keys > 0 || r->checkpoints == 0)
		printf("signed      nothing\n");
	else
		printf("signed      not looked at: give --key\n");
	if (r->enveloped)
		printf("envelope    signed by a key that was given\n");
	else if (r->envelope)
		printf("envelope    not verified: newer records of the unit may have been left out\n");
	if (r->covered < r->records && r->covered > 0)
		printf("not signed  %lld records after that\n",
			(long long)(r->records - r->covered));
}

static int print_result(
	const struct findings *f, const struct verify_opts *o, const struct verify_result *r)
{
	if (f->c->json) {
		json_t *all = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:O}",
			"host", r->host, "records", (json_int_t)r->records, "attachments",
			(json_int_t)r->attachments, "attachments_not_looked_at",
			(json_int_t)r->unseen, "archived", (json_int_t)r->archived, "checkpoints",
			(json_int_t)r->checkpoints, "covered", (json_int_t)r->covered, "trusted",
			r->trusted, "enveloped", r->enveloped, "findings", f->list);

		print_json(all);
		json_decref(all);
		return r->findings ? EXIT_FAILED : EXIT_PASSED;
	}
	printf("host        %s\nrecords     %lld\ncheckpoints %lld\n", r->host,
		(long long)r->records, (long long)r->checkpoints);
	if (r->archived > 0)
		printf("archived    %lld of them%s\n", (long long)r->archived,
			o->archives ? "" : ": give --archives to have them compared too");
	if (r->attachments > 0)
		printf("attachments %lld\n", (long long)r->attachments);
	if (r->unseen > 0)
		printf("attachments %lld not looked at: give --attachments\n",
			(long long)r->unseen);
	print_signature(o, r);
	printf("found       %lld\n", (long long)r->findings);
	return r->findings ? EXIT_FAILED : EXIT_PASSED;
}

static int verify_it(const char *database, const char *path, const struct verify_opts *o,
	struct verify_result *ret, struct err *e)
{
	size_t n = 0;
	_cleanup_(freep) char *bytes = NULL;
	int r;

	if (database)
		return verify_database(database, o, ret, e);
	if (strcmp(path, "-") != 0 && verify_is_archive(path))
		return verify_archive(path, o, ret, e);
	bytes = ctl_read_file(path, &n, e);
	if (!bytes)
		return -(int)e->code;
	r = verify_file(bytes, n, o, ret, e);
	return r < 0 ? err_prefix(e, "%s", path) : r;
}

/* "" is no number. */
static bool number_of(const char *s, int64_t *ret)
{
	json_int_t v = 0;

	if (s && (!whole_number(s, &v) || v < 1))
		return false;
	*ret = v;
	return true;
}

static int verify_with(struct ctl *c, const char *database, const char *path, struct verify_opts *o,
	const char *keys, const char *checkpoint)
{
	struct findings f = {.c = c, .list = json_array()};
	_cleanup_(freep) char *note = NULL;
	struct public_keys k = {0};
	struct verify_result result = {0};
	struct err e = {0};
	size_t n;
	int r = keys ? public_keys_read(keys, &k, &e) : 0;

	if (r == 0 && checkpoint) {
		note = ctl_read_file(checkpoint, &n, &e);
		r = note ? 0 : -(int)e.code;
	}
	o->key = k.key;
	o->keys = k.n;
	o->checkpoint = note;
	o->found = print_finding;
	o->data = &f;
	if (r == 0)
		r = verify_it(database, path, o, &result, &e);
	r = r < 0 ? ctl_fail(&e) : print_result(&f, o, &result);
	json_decref(f.list);
	public_keys_done(&k);
	return r;
}

/* Of a state directory and of a backup they are next to the database. */
static char *attachments_of(const char *database)
{
	const char *slash = strrchr(database, '/');

	return slash ? xasprintf("%.*s/attachments", (int)(slash - database), database)
		     : xstrdup("attachments");
}

static int record_verify(struct ctl *c, int argc, char **argv)
{
	struct verify_opts o = {0};
	const char *database = NULL, *key = NULL, *checkpoint = NULL, *host = NULL, *from = NULL,
		   *to = NULL;
	const struct option_row rows[] = {{"database", &database, NULL}, {"key", &key, NULL},
		{"checkpoint", &checkpoint, NULL}, {"host", &host, NULL}, {"from", &from, NULL},
		{"to", &to, NULL}, {"archives", &o.archives, NULL},
		{"attachments", &o.attachments, NULL}, {0}};
	_cleanup_(freep) char *next_to_it = NULL;
	char *word = NULL;
	int n = ctl_options(argc, argv, rows, &word, 1);

	if (n < 0 || (n == 1) == (database != NULL))
		return ctl_usage(
			"record verify FILE|ARCHIVE|--database PATH [--key FILE] [--checkpoint FILE] [--host ID] [--from N] [--to N] [--archives DIR] [--attachments DIR]");
	if (!number_of(from, &o.from) || !number_of(to, &o.to) ||
		(!database && (from || to || o.archives)))
		return ctl_usage(
			"--from and --to are numbers of records, from 1; they and --archives are of a --database");
	o.host = host;
	if (database && !o.attachments)
		o.attachments = next_to_it = attachments_of(database);
	return verify_with(c, database, word, &o, key, checkpoint);
}

/* --- export --- */

static int get_and_write(struct ctl *c, const char *path, const char *file)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(freep) char *line = NULL;
	json_t *o = NULL;
	struct err e;
	int r = api_get(c, path, &o, &e);

	if (r == 0)
		r = jcs(o, &text, &e);
	json_decref(o);
	if (r == 0) {
		line = xasprintf("%s\n", text);
		r = ctl_write_text(file, line, &e);
	}
	return r < 0 ? ctl_fail(&e) : 0;
}

static char *export_path(
	const char *serial, const char *run, const char *from, const char *to, const char *signer)
{
	_cleanup_(freep) char *id = run || serial ? url_segment(run ? run : serial) : NULL;
	_cleanup_(freep) char *by = signer ? url_segment(signer) : NULL;

	if (!id)
		return xasprintf("/api/v1/records/range?from=%s%s%s", from ? from : "1",
			to ? "&to=" : "", to ? to : "");
	return xasprintf("/api/v1/%s/%s/record%s%s", run ? "runs" : "units", id,
		by ? "?signer=" : "", by ? by : "");
}

static int record_export(struct ctl *c, int argc, char **argv)
{
	const char *run = NULL, *file = NULL, *signer = NULL, *from = NULL, *to = NULL;
	const struct option_row rows[] = {{"run", &run, NULL}, {"file", &file, NULL},
		{"signer", &signer, NULL}, {"from", &from, NULL}, {"to", &to, NULL}, {0}};
	char *word = NULL;
	int64_t ignored;
	int n = ctl_options(argc, argv, rows, &word, 1);

	if (n < 0 || (n == 1) + (run != NULL) + (from || to) != 1 || (signer && n != 1))
		return ctl_usage(
			"record export SERIAL [--signer NAME], --run ID, or --from N --to N; [--file FILE]");
	if (!number_of(from, &ignored) || !number_of(to, &ignored))
		return ctl_usage("--from and --to are numbers of records, from 1");

	_cleanup_(freep) char *path = export_path(n == 1 ? word : NULL, run, from, to, signer);

	return get_and_write(c, path, file);
}

static int record_checkpoint(struct ctl *c, int argc, char **argv)
{
	const char *file = NULL;
	bool newest = false;
	const struct option_row rows[] = {{"file", &file, NULL}, {"newest", NULL, &newest}, {0}};
	const char *note;
	json_t *o = NULL;
	struct err e;
	char *word;
	int r;

	if (ctl_options(argc, argv, rows, &word, 0) != 0)
		return ctl_usage("record checkpoint [--newest] [--file FILE]");
	r = newest ? api_get(c, "/api/v1/records/checkpoint", &o, &e)
		   : api_post(c, "/api/v1/records/checkpoints", NULL, &o, &e);
	note = json_string_value(json_object_get(o, "note"));
	if (r == 0)
		r = ctl_write_text(file, note ? note : "", &e);
	json_decref(o);
	return r < 0 ? ctl_fail(&e) : 0;
}

static int unit_conformance(struct ctl *c, int argc, char **argv)
{
	const char *file = NULL;
	const struct option_row rows[] = {{"file", &file, NULL}, {0}};
	struct err e;
	char *word;

	if (ctl_options(argc, argv, rows, &word, 1) != 1 || !file)
		return ctl_usage("unit conformance SERIAL --file PAGE.html");

	_cleanup_(freep) char *id = url_segment(word);
	_cleanup_(freep) char *path = xasprintf("/api/v1/units/%s/certificate-of-conformance", id);

	return api_download(c, path, file, "", &e) < 0 ? ctl_fail(&e) : 0;
}

const struct command commands_record[] = {
	{"record verify", "FILE|ARCHIVE|--database PATH [--key FILE]",
		"Whether records are what was recorded, without a daemon", record_verify},
	{"record export", "SERIAL|--run ID|--from N --to N [--file F]",
		"Records of a unit, of a run or a range, with their proofs", record_export},
	{"record checkpoint", "[--newest] [--file FILE]",
		"A checkpoint of all records now, or the newest that was made", record_checkpoint},
	{"unit conformance", "SERIAL --file PAGE.html",
		"A certificate of conformance to print, of a unit that passed", unit_conformance},
	{0},
};
