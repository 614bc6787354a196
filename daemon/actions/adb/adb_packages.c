/* SPDX-License-Identifier: Apache-2.0
 *
 * adb.install, adb.uninstall. "Success" is what the package manager says; the proof is the APK that
 * is on the unit afterwards, by its digest.
 */
#include "daemon/actions/adb/adb_session.h"

#define WORDS_MAX 32
#define LIST_MAX  (1u << 20)

static int words_of(const struct args *a, const char **words, struct err *e)
{
	static const struct {
		const char *arg, *word;
	} options[] = {{"replace", "-r"}, {"grant", "-g"}, {"downgrade", "-d"}, {"test", "-t"}};
	const json_t *word;
	size_t n = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(options); i++)
		if (args_bool(a, options[i].arg))
			words[n++] = options[i].word;
	json_array_foreach(args_json(a, "options"), i, word) {
		if (n == WORDS_MAX)
			return err_set(e, ERR_INVALID, "more than %d options", WORDS_MAX);
		words[n++] = json_string_value(word);
	}
	words[n] = NULL;
	return 0;
}

/* What came with the system is not looked at: an update of it lies below /data as well. */
static bool was_installed(const char *path)
{
	return !strncmp(path, "/data/", 6) || !strncmp(path, "/mnt/", 5);
}

/* The package whose base.apk has that digest, among those that were installed. */
static int find_package(struct adb_session *x, const char *sha256, char *ret_path, size_t size,
	const char **ret_by, struct err *e)
{
	static const char prefix[] = "package:";
	struct adb_shell_result res = {0};
	int r = adb_shell(x->conn, "pm list packages -f", LIST_MAX, NULL, NULL, &x->s->it, &res, e);
	char *line;
	char *next;

	if (r < 0)
		return r;
	sb_add(&res.out, "");
	ret_path[0] = 0;
	for (line = strtok_r(res.out.s, "\r\n", &next); r == 0 && line && !ret_path[0];
		line = strtok_r(NULL, "\r\n", &next)) {
		char theirs[SHA256_HEX];
		char *equals = strrchr(line, '=');

		if (strncmp(line, prefix, strlen(prefix)) != 0 || !equals)
			continue;
		*equals = 0;
		if (!was_installed(line + strlen(prefix)))
			continue;
		r = adb_remote_sha256(x, line + strlen(prefix), theirs, ret_by, e);
		if (r == 0 && !strcmp(theirs, sha256))
			snprintf(ret_path, size, "%s", line + strlen(prefix));
	}
	adb_shell_result_done(&res);
	return r;
}

static int prove_installed(
	struct adb_session *x, const struct adb_infile *in, struct step_result *out, struct err *e)
{
	const char *package = args_str(x->a, "package");
	char path[FILE_PATH_BYTES] = "";
	char theirs[SHA256_HEX] = "";
	const char *by = NULL;
	_cleanup_(freep) char *shown = NULL;
	int r;

	if (package)
		r = adb_package_path(x->conn, package, &x->s->it, path, sizeof path, e);
	else
		r = find_package(x, in->sha256, path, sizeof path, &by, e);
	if (r == 0 && package && path[0])
		r = adb_remote_sha256(x, path, theirs, &by, e);
	if (r == -ERR_UNSUPPORTED) {
		result_evidence(out, "proven_by",
			json_string(
				package ? "Success, and the package has a path"
					: "Success of the package manager alone: the unit has no sha256sum"));
		return 0;
	}
	if (r < 0)
		return r;
	shown = adb_text(path, strlen(path), sizeof path);
	if (!path[0])
		return result_fail(out, ERR_VERIFY_MISMATCH,
			"the unit said Success, and %s%.100s is on it",
			package ? "no package " : "",
			package ? package : "no package with the APK's digest");
	if (package && strcmp(theirs, in->sha256) != 0)
		return result_fail(out, ERR_VERIFY_MISMATCH,
			"%.100s on the unit has sha256 %.16s..., the APK %.16s...", shown, theirs,
			in->sha256);
	result_evidence(out, "path", json_string(shown));
	result_evidence(out, "sha256_read", json_string(in->sha256));
	result_evidence(out, "proven_by", json_string(by));
	result_output(out, "path", json_string(shown));
	return 0;
}

static int install_run(struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	const struct teller tell = step_teller(s);
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	_cleanup_(adb_infile_done) struct adb_infile in = {0};
	const char *words[WORDS_MAX + 5];
	char reply[ADB_REPLY_MAX] = "";
	int r = words_of(a, words, e);

	if (r == 0)
		r = adb_infile_open(&in, s, args_str(a, "file"), e);
	if (r == 0 && !in.src.size)
		r = err_set(e, ERR_IMAGE_INVALID, "an empty package");
	if (r == 0)
		r = adb_session_open(&x, e);
	if (r == 0)
		r = adb_install(x.conn, &in.src, words, &tell, &s->it, reply, e);
	if (r < 0)
		return r;
	result_evidence(out, "reply", json_string(reply));
	result_evidence(out, "bytes", json_integer((json_int_t)in.src.size));
	result_evidence(out, "sha256", json_string(in.sha256));
	return prove_installed(&x, &in, out, e);
}

static const struct action_arg install_args[] = {
	ARG_ROWS_ADB,
	ARG_ROW_IDLE,
	{.name = "file", .type = ARG_IMAGE, .required = true, .doc = "the APK"},
	{.name = "package",
		.type = ARG_STRING,
		.doc = "its name; without it the APK is looked for by its digest among all that were installed"},
	{.name = "replace", .type = ARG_BOOL, .def = "true", .doc = "an installed one (-r)"},
	{.name = "grant", .type = ARG_BOOL, .def = "false", .doc = "all its permissions (-g)"},
	{.name = "downgrade", .type = ARG_BOOL, .def = "false", .doc = "allow an older one (-d)"},
	{.name = "test", .type = ARG_BOOL, .def = "false", .doc = "allow test packages (-t)"},
	{.name = "options", .type = ARG_LIST, .doc = "more words for the package manager"},
	{0},
};

static const struct action_output install_outputs[] = {{"path", "of the APK on the unit"}, {0}};

const struct action action_adb_install = {
	.name = "adb.install",
	.doc = "Installs an APK and finds it on the unit.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_SAFE_TO_RETRY,
	.args = install_args,
	.outputs = install_outputs,
	.default_timeout_us = 600 * US_PER_S,
	.run = install_run,
};

static int uninstall_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(adb_session_done) struct adb_session x = {.s = s, .a = a};
	const char *package = args_str(a, "package");
	char reply[ADB_REPLY_MAX] = "";
	char path[FILE_PATH_BYTES] = "";
	int r = adb_session_open(&x, e);

	if (r == 0 && args_bool(a, "missing_ok"))
		r = adb_package_path(x.conn, package, &s->it, path, sizeof path, e);
	if (r == 0 && args_bool(a, "missing_ok") && !path[0]) {
		result_evidence(out, "reply", json_string("it was not installed"));
		return 0;
	}
	if (r == 0)
		r = adb_uninstall(x.conn, package, args_bool(a, "keep_data"), &s->it, reply, e);
	if (r == 0)
		r = adb_package_path(x.conn, package, &s->it, path, sizeof path, e);
	if (r < 0)
		return r;
	if (path[0])
		return result_fail(out, ERR_READ_BACK_MISMATCH,
			"the unit said Success, and %.100s is still there", package);
	result_evidence(out, "reply", json_string(reply));
	result_evidence(out, "package_path", json_string("none any more"));
	return 0;
}

static const struct action_arg uninstall_args[] = {
	ARG_ROWS_ADB,
	{.name = "package", .type = ARG_STRING, .required = true, .doc = "its name"},
	{.name = "keep_data", .type = ARG_BOOL, .def = "false", .doc = "leave its data (-k)"},
	{.name = "missing_ok",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "pass where it is not installed"},
	{0},
};

const struct action action_adb_uninstall = {
	.name = "adb.uninstall",
	.doc = "Removes a package and looks that it is gone.",
	.flags = ACTION_NEEDS_EVIDENCE,
	.args = uninstall_args,
	.default_timeout_us = 120 * US_PER_S,
	.run = uninstall_run,
};
