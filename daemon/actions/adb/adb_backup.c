/* SPDX-License-Identifier: Apache-2.0
 *
 * adb.backup, adb.restore. A person confirms both on the unit's screen.
 */
#include "daemon/actions/adb/adb_session.h"
#include "transports/images/android_backup.h"

#define WORDS_MAX 256

static int check_file(const char *path, struct android_backup *ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	int r = blob_open(path, BLOB_COPIED, &b, e);

	if (r == -ERR_IMAGE_INVALID)
		return err_set(e, ERR_DEVICE_REFUSED,
			"the unit gave no backup: was it confirmed on its screen?");
	return r < 0 ? r : android_backup_check(b->data, b->size, ret, e);
}

static int words_of(const struct args *a, const char **words, struct err *e)
{
	static const struct {
		const char *arg, *yes, *no;
	} options[] = {
		{"apk", "-apk", "-noapk"},
		{"shared", "-shared", "-noshared"},
		{"system", "-system", "-nosystem"},
	};
	const json_t *package;
	size_t n = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(options); i++)
		words[n++] = args_bool(a, options[i].arg) ? options[i].yes : options[i].no;
	if (args_bool(a, "all"))
		words[n++] = "-all";
	json_array_foreach(args_json(a, "packages"), i, package) {
		if (n == WORDS_MAX)
			return err_set(e, ERR_INVALID, "more than %d packages", WORDS_MAX);
		words[n++] = json_string_value(package);
	}
	words[n] = NULL;
	if (!args_bool(a, "all") && json_array_size(args_json(a, "packages")) == 0)
		return err_set(e, ERR_RECIPE_INVALID, "adb.backup takes 'all' or 'packages'");
	return 0;
}

static int take(void *data, bool is_err, const void *p, size_t n, struct err *e)
{
	return outfile_add(data, p, n, e);
}

static int backup_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	_cleanup_(outfile_done) struct outfile to = {.fd = -1};
	struct android_backup b = {0};
	const char *words[WORDS_MAX + 1];
	char sha256[SHA256_HEX];
	int r = words_of(a, words, e);

	if (r == 0)
		r = adb_session_open(&x, e);
	if (r == 0)
		r = step_file(s, args_str(a, "file"), &to, e);
	if (r == 0) {
		step_log(s, '#', "unlock the unit and confirm the backup");
		r = adb_backup(x.conn, words, take, &to, &s->it, e);
	}
	if (r == 0)
		r = outfile_end(&to, sha256, e);
	if (r == 0)
		r = check_file(to.part, &b, e);
	if (r == 0)
		r = step_file_commit(s, &to, e);
	if (r == -ERR_IMAGE_INVALID)
		return result_fail(out, ERR_PROTOCOL, "%s", e->msg);
	if (r < 0)
		return r;
	result_evidence(out, "bytes", json_integer((json_int_t)to.bytes));
	result_evidence(out, "sha256", json_string(sha256));
	result_evidence(out, "version", json_integer(b.version));
	result_evidence(out, "encryption", json_string(b.encryption));
	result_evidence(out, "proven_by",
		json_string(!b.whole	   ? "its head alone: what is encrypted shows no end"
			    : b.compressed ? "its head, and the sum after the last byte"
					   : "its head, and the end of its tar"));
	result_output(out, "sha256", json_string(sha256));
	return 0;
}

static const struct action_arg backup_args[] = {
	ARG_ROWS_ADB,
	{.name = "file", .type = ARG_OUTPUT, .required = true, .doc = "where the backup goes"},
	{.name = "all", .type = ARG_BOOL, .def = "false", .doc = "all packages"},
	{.name = "packages", .type = ARG_LIST, .doc = "or these"},
	{.name = "apk", .type = ARG_BOOL, .def = "false", .doc = "their APKs too"},
	{.name = "shared", .type = ARG_BOOL, .def = "false", .doc = "the shared storage too"},
	{.name = "system",
		.type = ARG_BOOL,
		.def = "true",
		.doc = "with 'all': the system's packages too"},
	{0},
};

static const struct action_output backup_outputs[] = {{"sha256", "of the file"}, {0}};

const struct action action_adb_backup = {
	.name = "adb.backup",
	.doc = "Takes a backup of the unit; a person confirms it on the screen.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_NEEDS_PERSON,
	.args = backup_args,
	.outputs = backup_outputs,
	.default_timeout_us = 1800 * US_PER_S,
	.run = backup_run,
};

static int restore_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const struct teller tell = step_teller(s);
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	_cleanup_(adb_infile_done) struct adb_infile in = {0};
	struct android_backup b = {0};
	const json_t *package;
	size_t i;
	int r = adb_infile_open(&in, s, args_str(a, "file"), e);

	if (r == 0)
		r = android_backup_check(in.src.bytes, in.src.size, &b, e);
	if (r == 0)
		r = adb_session_open(&x, e);
	if (r == 0) {
		step_log(s, '#', "unlock the unit and confirm the restore");
		r = adb_restore(x.conn, &in.src, &tell, &s->it, e);
	}
	json_array_foreach(args_json(a, "packages"), i, package) {
		char path[FILE_PATH_BYTES] = "";

		if (r == 0)
			r = adb_package_path(
				x.conn, json_string_value(package), &s->it, path, sizeof path, e);
		if (r == 0 && !path[0])
			return result_fail(out, ERR_READ_BACK_MISMATCH,
				"after the restore %.100s is not on the unit",
				json_string_value(package));
	}
	if (r < 0)
		return r;
	result_evidence(out, "bytes", json_integer((json_int_t)in.src.size));
	result_evidence(out, "sha256", json_string(in.sha256));
	result_evidence(out, "proven_by",
		json_string(i > 0 ? "every byte was taken, and the packages are on the unit"
				  : "every byte was taken: the unit reports no result"));
	return 0;
}

static const struct action_arg restore_args[] = {
	ARG_ROWS_ADB,
	{.name = "file", .type = ARG_IMAGE, .required = true, .doc = "a backup"},
	{.name = "packages", .type = ARG_LIST, .doc = "that have to be on the unit afterwards"},
	{0},
};

const struct action action_adb_restore = {
	.name = "adb.restore",
	.doc = "Gives a backup back to the unit; a person confirms it on the screen.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_NEEDS_PERSON | ACTION_WRITES_FLASH,
	.args = restore_args,
	.default_timeout_us = 1800 * US_PER_S,
	.run = restore_run,
};
