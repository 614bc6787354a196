/* SPDX-License-Identifier: Apache-2.0
 *
 * A backup of the records, and how it comes back. No daemon is asked: provctl reads the database next to a provd
 * that works, as its own readers do, so that one and the same command goes with and without a daemon, writes
 * where the daemon may not, and needs no token (docs/decisions/0016-archive.md).
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/tree.h"
#include "base/util.h"
#include "cli/provctl.h"
#include "cli/public_keys.h"
#include "daemon/keyd/keyd_config.h"
#include "db/backup.h"
#include "db/restore.h"
#include "provd_config.h"

#define CONFIG_FILE PROVD_SYSCONFDIR "/provd/provd.yaml"
/* Of a backup in a folder of them: its time, UTC. */
#define NAME_FORMAT "provd-%Y%m%dT%H%M%SZ"
#define NAME_BYTES  sizeof "provd-20260101T000000Z"

/* --- what goes with the database --- */

struct extras {
	struct backup_extra *file;
	size_t n;
};

static void add(struct extras *x, char *name, const char *path, bool wrapped)
{
	x->file = reallocarray(x->file, x->n + 1, sizeof *x->file);
	if (!x->file)
		abort();
	x->file[x->n++] = (struct backup_extra){name, xstrdup(path), wrapped};
}

static void extras_done(struct extras *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free((char *)x->file[i].name);
		free((char *)x->file[i].path);
	}
	free(x->file);
}

static bool is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The files of a folder, as PREFIX/NAME; a folder that is not there has none. */
static void add_folder(struct extras *x, const char *prefix, const char *folder, bool wrapped)
{
	DIR *d = opendir(folder);

	for (struct dirent *de; d && (de = readdir(d));) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", folder, de->d_name);

		if (de->d_name[0] != '.' && is_file(path))
			add(x, xasprintf("%s/%s", prefix, de->d_name), path, wrapped);
	}
	if (d)
		closedir(d);
}

static void add_config(struct extras *x, const char *config, const struct keyd_config *k)
{
	static const char *const folders[] = {"stations.d", "recipes"};
	const char *slash = strrchr(config, '/');
	_cleanup_(freep) char *folder =
		slash ? xasprintf("%.*s", (int)(slash - config), config) : xstrdup(".");

	add(x, xstrdup("config/provd.yaml"), config, false);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		_cleanup_(freep) char *prefix = xasprintf("config/%s", folders[i]);
		_cleanup_(freep) char *path = xasprintf("%s/%s", folder, folders[i]);

		add_folder(x, prefix, path, false);
	}
	if (k->profiles)
		add_folder(x, "config/profiles", k->profiles, false);
}

/* --- keys: where they are and their public parts, never they themselves --- */

static void add_public(struct extras *x, const char *kind, const char *name, const char *path)
{
	if (path)
		add(x, xasprintf("keys/%s-%s.pem", kind, name), path, false);
}

static json_t *named_json(const struct named_key *k, size_t n)
{
	json_t *o = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(o, k[i].name,
			json_pack("{s:s?, s:s?}", "key", k[i].place.key, "public", k[i].public));
	return o;
}

static json_t *issuers_json(const struct keyd_config *k)
{
	json_t *o = json_object();

	for (size_t i = 0; i < k->issuers; i++)
		json_object_set_new(o, k->issuer[i].name,
			json_pack("{s:s, s:s?, s:s?}", "kind", issuer_kinds[k->issuer[i].kind],
				"key", k->issuer[i].place.key, "certificate",
				k->issuer[i].certificate));
	return o;
}

static json_t *add_keys(struct extras *x, const struct keyd_config *k)
{
	for (size_t i = 0; i < k->issuers; i++)
		add_public(x, "issuer", k->issuer[i].name, k->issuer[i].certificate);
	for (size_t i = 0; i < k->signers; i++)
		add_public(x, "signer", k->signer[i].name, k->signer[i].public);
	return json_pack("{s:o, s:o, s:o, s:o}", "issuers", issuers_json(k), "masters",
		named_json(k->master, k->masters), "signers", named_json(k->signer, k->signers),
		"stores", named_json(k->store, k->stores));
}

/* --- where it goes --- */

static bool is_backup_name(const char *name)
{
	struct tm tm;
	const char *end = strptime(name, NAME_FORMAT, &tm);

	return end && !*end && strlen(name) == NAME_BYTES - 1;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char **name; /* sorted, the oldest first */
	size_t n;
};

static void names_done(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
}

static struct names backups_in(const char *folder)
{
	struct names l = {0};
	DIR *d = opendir(folder);

	for (struct dirent *de; d && (de = readdir(d));) {
		if (!is_backup_name(de->d_name))
			continue;
		l.name = reallocarray(l.name, l.n + 1, sizeof *l.name);
		if (!l.name)
			abort();
		l.name[l.n++] = xasprintf("%s/%s", folder, de->d_name);
	}
	if (d)
		closedir(d);
	if (l.n > 0)
		qsort(l.name, l.n, sizeof *l.name, by_text);
	return l;
}

static char *name_now(const char *folder)
{
	char name[NAME_BYTES];
	time_t now = time(NULL);
	struct tm tm;

	strftime(name, sizeof name, NAME_FORMAT, gmtime_r(&now, &tm));
	return xasprintf("%s/%s", folder, name);
}

static void remove_old(const char *folder, size_t keep)
{
	struct names l = backups_in(folder);

	for (size_t i = 0; i + keep < l.n; i++)
		tree_remove(l.name[i]);
	names_done(&l);
}

/* --- backup --- */

static void print_finding(void *data, const char *sentence)
{
	const struct ctl *c = data;

	fprintf(c->json ? stderr : stdout, "%s\n", sentence);
}

static void print_result(const struct ctl *c, const char *path, const struct backup_result *r)
{
	json_t *o;

	if (!c->json) {
		printf("backup      %s\nhost        %s\nrecords     %lld\nlast event  %lld\nfiles       %lld, %lld bytes\nsigned      %s\nfound       %lld\n",
			path, r->at.host, (long long)r->at.size, (long long)r->seq,
			(long long)r->files, (long long)r->bytes, r->is_signed ? "yes" : "no",
			(long long)r->findings);
		return;
	}
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:I}", "backup", path, "host",
		r->at.host, "epoch", r->at.epoch, "records", (json_int_t)r->at.size, "last_seq",
		(json_int_t)r->seq, "files", (json_int_t)r->files, "bytes", (json_int_t)r->bytes,
		"signed", r->is_signed, "findings", (json_int_t)r->findings);
	print_json(o);
	json_decref(o);
}

struct words {
	const char *config, *state_dir, *into, *keep, *wrapped;
	char *to;
};

static int make(struct ctl *c, const struct words *w, const char *state_dir, const char *to,
	const struct keyd_config *k)
{
	struct names old = w->into ? backups_in(w->into) : (struct names){0};
	struct extras x = {0};
	struct backup_result result;
	struct err e = {0};
	json_t *keys = add_keys(&x, k);
	int r;

	if (w->config)
		add_config(&x, w->config, k);
	if (w->wrapped)
		add_folder(&x, "keys/wrapped", w->wrapped, true);

	const struct backup_opts o = {.state_dir = state_dir,
		.to = to,
		.earlier = old.n > 0 ? old.name[old.n - 1] : NULL,
		.extra = x.file,
		.extras = x.n,
		.keys = keys,
		.ear = {print_finding, c}};

	r = backup_make(&o, &result, &e);
	if (r == 0)
		print_result(c, to, &result);
	names_done(&old);
	extras_done(&x);
	json_decref(keys);
	if (r < 0)
		return ctl_fail(&e);
	return result.findings > 0 ? EXIT_FAILED : EXIT_PASSED;
}

static int make_with(struct ctl *c, const struct words *w, json_int_t keep)
{
	_cleanup_(freep) char *state_dir = NULL;
	_cleanup_(freep) char *to = w->into ? name_now(w->into) : xstrdup(w->to);
	struct keyd_config k = {0};
	struct strbuf report = {0};
	struct err e = {0};
	int r = 0;

	state_dir = w->state_dir ? xstrdup(w->state_dir) : config_state_dir(w->config, &e);
	r = state_dir ? 0 : -(int)e.code;
	if (r == 0 && w->config && keyd_config_load(w->config, &report, &k, &e) < 0)
		r = err_set(
			&e, ERR_INVALID, "%s: 'provd --check' says what is wrong in it", w->config);
	sb_done(&report);
	r = r < 0 ? ctl_fail(&e) : make(c, w, state_dir, to, &k);
	keyd_config_done(&k);
	if (w->into && keep > 0 && r <= EXIT_FAILED)
		remove_old(w->into, (size_t)keep);
	return r;
}

static int backup(struct ctl *c, int argc, char **argv)
{
	struct words w = {0};
	const struct option_row rows[] = {{"config", &w.config, NULL},
		{"state-dir", &w.state_dir, NULL}, {"into", &w.into, NULL}, {"keep", &w.keep, NULL},
		{"wrapped-keys", &w.wrapped, NULL}, {0}};
	json_int_t keep = 0;
	int n = ctl_options(argc, argv, rows, &w.to, 1);

	if (n < 0 || (n == 1) == (w.into != NULL))
		return ctl_usage(
			"backup DIR|--into FOLDER [--keep N] [--config FILE] [--state-dir DIR] [--wrapped-keys FOLDER]");
	if (w.keep && (!w.into || !whole_number(w.keep, &keep) || keep < 1))
		return ctl_usage("--keep is how many backups stay in the folder of --into, from 1");
	if (!w.config && (!w.state_dir || access(CONFIG_FILE, R_OK) == 0))
		w.config = CONFIG_FILE;
	return make_with(c, &w, keep);
}

/* --- verify, restore --- */

static int backup_verify_it(struct ctl *c, int argc, char **argv)
{
	const char *key = NULL;
	const struct option_row rows[] = {{"key", &key, NULL}, {0}};
	const struct backup_ear ear = {print_finding, c};
	struct public_keys keys = {0};
	struct backup_result result;
	struct err e = {0};
	char *dir;
	int r;

	if (ctl_options(argc, argv, rows, &dir, 1) != 1)
		return ctl_usage("backup verify DIR [--key FILE]");
	r = key ? public_keys_read(key, &keys, &e) : 0;
	if (r == 0)
		r = backup_verify(dir, keys.key, keys.n, &ear, &result, &e);
	public_keys_done(&keys);
	if (r < 0)
		return ctl_fail(&e);
	print_result(c, dir, &result);
	return result.findings > 0 ? EXIT_FAILED : EXIT_PASSED;
}

static void print_restored(
	const struct ctl *c, const struct restore_opts *o, const struct restore_result *r)
{
	print_result(c, o->backup, &r->of);
	if (c->json)
		return;
	if (o->dry_run) {
		puts("nothing was written");
		return;
	}
	if (r->aside[0])
		printf("the files that were there are in %s\n", r->aside);
	printf("the configuration of then is in %s/config: compare it with the present one\n",
		o->backup);
	puts(r->has_marks
			? "start provd, look at 'provctl records show', then 'provctl records accept --reason TEXT'"
			: "there is no provd.marks here: where provd.yaml names no other marks_file, name the next number of each pool in 'provctl records accept --pools'");
}

static int restore(struct ctl *c, int argc, char **argv)
{
	const char *key = NULL;
	struct restore_opts o = {.ear = {print_finding, c}};
	const struct option_row rows[] = {{"state-dir", &o.state_dir, NULL}, {"key", &key, NULL},
		{"dry-run", NULL, &o.dry_run}, {0}};
	struct restore_result result;
	struct public_keys keys = {0};
	struct err e = {0};
	char *dir;
	int r;

	if (ctl_options(argc, argv, rows, &dir, 1) != 1 || !o.state_dir)
		return ctl_usage("restore DIR --state-dir DIR [--dry-run] [--key FILE]");
	o.backup = dir;
	r = key ? public_keys_read(key, &keys, &e) : 0;
	o.key = keys.key;
	o.keys = keys.n;
	if (r == 0)
		r = restore_backup(&o, &result, &e);
	public_keys_done(&keys);
	if (r == 0)
		print_restored(c, &o, &result);
	if (r == -ERR_RECORDS_DAMAGED) {
		ctl_fail(&e);
		return EXIT_FAILED;
	}
	return r < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

const struct command commands_backup[] = {
	{"backup verify", "DIR [--key FILE]",
		"Whether a backup is whole and what it was, without a daemon", backup_verify_it},
	{"backup", "DIR|--into FOLDER [--keep N] ...",
		"A verified copy of records, artifacts and configuration, while provd works or not",
		backup},
	{"restore", "DIR --state-dir DIR [--dry-run]",
		"Puts a backup in the place of the records of a provd that is stopped", restore},
	{0},
};
