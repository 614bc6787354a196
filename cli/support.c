/* SPDX-License-Identifier: Apache-2.0
 *
 * What a vendor needs to help, in one archive that anybody reads with tar: versions, configuration, journal, what provd says of
 * itself, USB, disk, clock and the last runs that did not pass. Each part goes through without_secrets(). Nothing of it needs
 * a provd that works; what could not be had is named in missing.txt, with why.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/gzip.h"
#include "base/outfile.h"
#include "base/tar.h"
#include "base/util.h"
#include "cli/provctl.h"
#include "cli/usb_tree.h"
#include "cli/without_secrets.h"
#include "provd_config.h"

#define CONFIG_FILE	PROVD_SYSCONFDIR "/provd/provd.yaml"
#define STATE_DIR	PROVD_LOCALSTATEDIR "/lib/provd"
#define FILE_BYTES_MAX	((size_t)4 << 20)
#define FAILED_RUNS_MAX 20
#define STAMP_FORMAT	"%Y%m%dT%H%M%SZ"
#define STAMP_BYTES	sizeof "20260101T000000Z"

struct bundle {
	struct ctl *c;
	const char *config;
	char *config_dir, *state_dir;
	struct secret_set *secrets;
	char folder[sizeof "provd-support-" + STAMP_BYTES];
	time_t now;
	struct tar_sink to;
	json_t *missing; /* sentences */
	struct err e;	 /* what the archive could not be written by */
	int r;
};

/* --- parts --- */

static void add_missing(struct bundle *b, const char *name, const char *why)
{
	_cleanup_(freep) char *sentence = xasprintf("%s: %s", name, why);
	_cleanup_(freep) char *safe = without_secrets(b->secrets, sentence);

	json_array_append_new(b->missing, json_string(safe));
}

static void add_text(struct bundle *b, const char *name, const char *text)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", b->folder, name);
	_cleanup_(freep) char *safe = without_secrets(b->secrets, text);

	if (b->r == 0)
		b->r = tar_add(&b->to, path, b->now, safe, strlen(safe), &b->e);
}

static char *text_of(FILE *f)
{
	struct strbuf text = {0};
	char buf[4096];

	for (size_t n; text.len < FILE_BYTES_MAX && (n = fread(buf, 1, sizeof buf, f)) > 0;)
		sb_add_n(&text, buf, n);
	return sb_take(&text);
}

/* Owned by the caller; NULL where it cannot be read. */
static char *text_of_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f ? text_of(f) : NULL;

	if (f)
		fclose(f);
	return text;
}

static void add_file(struct bundle *b, const char *name, const char *path)
{
	_cleanup_(freep) char *text = text_of_file(path);

	if (text)
		add_text(b, name, text);
	else
		add_missing(b, path, strerrordesc_np(errno));
}

/* A command of this program's own; what it says on stderr is part of the answer. */
static void add_command(struct bundle *b, const char *name, const char *command)
{
	_cleanup_(freep) char *line = xasprintf("export LC_ALL=C; { %s; } 2>&1", command);
	FILE *f = popen(line, "re");
	_cleanup_(freep) char *text = f ? text_of(f) : NULL;
	const int status = f ? pclose(f) : -1;

	if (text && *text)
		add_text(b, name, text);
	if (status != 0) {
		_cleanup_(freep) char *why = xasprintf("'%s' did not end well", command);

		add_missing(b, name, why);
	}
}

/* --- configuration --- */

static bool is_yaml_file(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot && !strcmp(dot, ".yaml");
}

static void each_station_file(
	struct bundle *b, void (*fn)(struct bundle *b, const char *name, const char *path))
{
	_cleanup_(freep) char *dir = xasprintf("%s/stations.d", b->config_dir);
	DIR *d = opendir(dir);

	for (struct dirent *de; d && (de = readdir(d));) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", dir, de->d_name);
		_cleanup_(freep) char *name = xasprintf("config/stations.d/%s", de->d_name);

		if (is_yaml_file(de->d_name))
			fn(b, name, path);
	}
	if (d)
		closedir(d);
}

static void learn_secrets(struct bundle *b, const char *name, const char *path)
{
	_cleanup_(freep) char *text = text_of_file(path);

	if (text)
		secrets_of_config(b->secrets, text);
}

/* Before anything is added: what is a secret in the configuration may be in the journal as well. */
static void learn_all_secrets(struct bundle *b)
{
	_cleanup_(freep) char *first = xasprintf("%s/admin-token", b->state_dir);
	const char *home = getenv("HOME");
	_cleanup_(freep) char *own = xasprintf("%s/.config/provd/token", home ? home : "");
	const char *given = getenv("PROVD_TOKEN");
	struct err e;

	learn_secrets(b, "", b->config);
	each_station_file(b, learn_secrets);
	secret_of_file(b->secrets, first);
	secret_of_file(b->secrets, own);
	secret_of_file(b->secrets, b->c->daemon.token_file);
	secret_of_file(b->secrets, getenv("PROVD_TOKEN_FILE"));
	if (given && *given)
		secret_set_add(b->secrets, given, &e);
}

static void add_config(struct bundle *b)
{
	add_file(b, "config/provd.yaml", b->config);
	each_station_file(b, add_file);
}

/* --- the machine --- */

/* The libraries of provctl, most of which are provd's too, by the names of their files. */
static void add_libraries(struct strbuf *out)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[4096];
	char last[4096] = "";

	for (; f && fgets(line, sizeof line, f);) {
		char *path = strchr(line, '/');

		if (!path || !strstr(path, ".so") || !strcmp(path, last))
			continue;
		snprintf(last, sizeof last, "%s", path);
		sb_add(out, path);
	}
	if (f)
		fclose(f);
}

static void add_versions(struct bundle *b)
{
	struct strbuf out = {0};
	struct utsname u;

	sb_add(&out, "provctl " PROVD_VERSION "\n");
	if (uname(&u) == 0)
		sb_addf(&out, "%s %s %s %s %s\n", u.sysname, u.nodename, u.release, u.version,
			u.machine);
	add_libraries(&out);
	add_text(b, "versions.txt", out.s);
	sb_done(&out);
	add_file(b, "os-release.txt", "/etc/os-release");
	add_command(b, "packages.txt",
		"dpkg-query --show --showformat='${db:Status-Status} ${binary:Package} ${Version}\\n' 'provd*' 'provctl*' 'libmicrohttpd*' 'libsqlite3*' 'libcurl*' 'libgnutls*' 'libssl*' 'libusb*' 'openocd*' 'systemd' | grep '^installed'; true");
}

static void add_sizes(struct strbuf *out, const char *dir)
{
	DIR *d = opendir(dir);

	for (struct dirent *de; d && (de = readdir(d));) {
		_cleanup_(freep) char *path = xasprintf("%s/%s", dir, de->d_name);
		struct stat st;

		if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
			sb_addf(out, "%14lld bytes, mode %04o, user %u: %s\n",
				(long long)st.st_size, (unsigned)st.st_mode & 07777,
				(unsigned)st.st_uid, path);
	}
	if (d)
		closedir(d);
	else
		sb_addf(out, "%s: %s\n", dir, strerrordesc_np(errno));
}

static void add_disk(struct bundle *b)
{
	struct strbuf out = {0};
	struct statvfs v;

	if (statvfs(b->state_dir, &v) == 0)
		sb_addf(&out, "%s: %llu bytes, %llu free for provd, %llu of %llu inodes free%s\n",
			b->state_dir, (unsigned long long)v.f_blocks * v.f_frsize,
			(unsigned long long)v.f_bavail * v.f_frsize, (unsigned long long)v.f_favail,
			(unsigned long long)v.f_files, v.f_flag & ST_RDONLY ? ", read-only" : "");
	else
		sb_addf(&out, "%s: %s\n", b->state_dir, strerrordesc_np(errno));
	add_sizes(&out, b->state_dir);
	add_text(b, "disk.txt", out.s);
	sb_done(&out);
	add_command(b, "disks.txt", "df -hT");
}

static void add_usb(struct bundle *b)
{
	struct strbuf out = {0};

	usb_tree("/sys", &out);
	add_text(b, "usb.txt", out.s);
	sb_done(&out);
}

static void add_machine(struct bundle *b)
{
	add_usb(b);
	add_disk(b);
	add_file(b, "memory.txt", "/proc/meminfo");
	add_command(b, "clock.txt", "date -u +%FT%TZ; timedatectl show");
	add_command(b, "units.txt",
		"systemctl status --no-pager --full --lines=0 provd.service provd.socket provd-keyd.service provd-keyd.socket provd-backup.timer; true");
}

static void add_journal(struct bundle *b, const char *lines)
{
	_cleanup_(freep) char *units = xasprintf(
		"journalctl --no-pager --output=short-iso-precise --lines=%s --unit=provd.service --unit=provd-keyd.service --unit=provd-backup.service",
		lines);

	add_command(b, "journal.txt", units);
	add_command(b, "kernel.txt",
		"journalctl --no-pager --output=short-iso-precise --lines=1000 --dmesg");
}

/* --- provd --- */

/* refusals: what is said of provd's health is an answer, whatever its status. */
static int add_answer(
	struct bundle *b, const char *name, const char *path, bool refusals, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int r = !f	   ? err_errno(e, ERR_IO, errno, "memory")
		: refusals ? api_stream_any(b->c, path, f, e)
			   : api_stream(b->c, path, f, e);

	if (f)
		fclose(f);
	if (r == 0)
		add_text(b, name, text);
	else
		add_missing(b, name, e->msg);
	free(text);
	return r;
}

static int newest_first(const void *a, const void *b)
{
	const json_t *const *x = a;
	const json_t *const *y = b;
	const char *first = json_string_value(json_object_get(*x, "id"));
	const char *second = json_string_value(json_object_get(*y, "id"));

	/* The ids are UUIDs of version 7, which have the time first. */
	return strcmp(second ? second : "", first ? first : "");
}

static void add_run(struct bundle *b, const json_t *run)
{
	static const char *const parts[] = {"", "/steps", "/log?limit=1000"};
	static const char *const names[] = {"run", "steps", "log"};
	const char *id = json_string_value(json_object_get(run, "id"));
	_cleanup_(freep) char *segment = id ? url_segment(id) : NULL;
	struct err e;

	for (size_t i = 0; segment && i < ARRAY_LEN(parts); i++) {
		_cleanup_(freep) char *path = xasprintf("/api/v1/runs/%s%s", segment, parts[i]);
		_cleanup_(freep) char *name = xasprintf("runs/%s/%s.json", segment, names[i]);

		add_answer(b, name, path, false, &e);
	}
}

/* Those that did not pass, of each outcome the newest; then the newest of all. */
static void add_failed_runs(struct bundle *b)
{
	static const char *const outcomes[] = {"failed", "error", "interrupted"};
	json_t *run[ARRAY_LEN(outcomes) * FAILED_RUNS_MAX];
	json_t *list[ARRAY_LEN(outcomes)] = {0};
	size_t n = 0;
	size_t k;
	json_t *item;
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		_cleanup_(freep) char *path =
			xasprintf("/api/v1/runs?outcome=%s&limit=%d", outcomes[i], FAILED_RUNS_MAX);

		if (api_get(b->c, path, &list[i], &e) < 0)
			add_missing(b, path, e.msg);
		json_array_foreach(json_object_get(list[i], "items"), k, item)
			if (n < ARRAY_LEN(run))
				run[n++] = item;
	}
	if (n > 0)
		qsort(run, n, sizeof *run, newest_first);
	for (size_t i = 0; i < MIN(n, (size_t)FAILED_RUNS_MAX); i++)
		add_run(b, run[i]);
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		json_decref(list[i]);
}

static void add_daemon(struct bundle *b)
{
	static const struct {
		const char *name, *path;
	} rows[] = {{"version.json", "/version"}, {"metrics.txt", "/metrics"},
		{"stations.json", "/api/v1/stations"}, {"summary.json", "/api/v1/summary"}};
	struct err e;

	/* Where nobody answers, once is enough. */
	if (add_answer(b, "readyz.json", "/readyz", true, &e) == -ERR_IO)
		return;
	add_answer(b, "livez.json", "/livez", true, &e);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		add_answer(b, rows[i].name, rows[i].path, false, &e);
	add_failed_runs(b);
}

/* --- the archive --- */

static void add_list_of_missing(struct bundle *b)
{
	struct strbuf out = {0};
	json_t *sentence;
	size_t i;

	json_array_foreach(b->missing, i, sentence)
		sb_addf(&out, "%s\n", json_string_value(sentence));
	add_text(b, "missing.txt", out.s ? out.s : "");
	sb_done(&out);
}

static void add_everything(struct bundle *b, const char *lines)
{
	add_versions(b);
	add_config(b);
	add_machine(b);
	add_journal(b, lines);
	add_daemon(b);
	add_list_of_missing(b);
	if (b->r == 0)
		b->r = tar_end(&b->to, &b->e);
}

static int add_bytes(void *gzip, const void *p, size_t n, struct err *e)
{
	return gzip_add(gzip, p, n, e);
}

static int write_archive(struct bundle *b, const char *path, const char *lines, struct err *e)
{
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	_cleanup_(gzip_writer_freep) struct gzip_writer *gzip = NULL;
	char digest[SHA256_HEX];
	int r = outfile_open(&f, path, e);

	if (r == 0 && fchmod(f.fd, 0600) < 0)
		r = err_errno(e, ERR_IO, errno, "%s", path);
	if (r == 0)
		r = gzip_writer_new(outfile_add, &f, &gzip, e);
	if (r < 0)
		return r;
	b->to = (struct tar_sink){add_bytes, gzip};
	add_everything(b, lines);
	if (b->r < 0)
		return err_set(e, b->e.code, "%s", b->e.msg);
	r = gzip_end(gzip, e);
	if (r == 0)
		r = outfile_end(&f, digest, e);
	return r < 0 ? r : outfile_commit(&f, e);
}

static void print_result(const struct bundle *b, const char *path)
{
	json_t *sentence;
	json_t *o;
	size_t i;

	if (b->c->json) {
		o = json_pack("{s:s, s:O}", "file", path, "missing", b->missing);
		print_json(o);
		json_decref(o);
		return;
	}
	printf("%s is written: look through it before it leaves the house\n", path);
	json_array_foreach(b->missing, i, sentence)
		printf("missing: %s\n", json_string_value(sentence));
}

static void bundle_done(struct bundle *b)
{
	free(b->config_dir);
	free(b->state_dir);
	secret_set_free(b->secrets);
	json_decref(b->missing);
}

static void begin(struct bundle *b, const char *state_dir)
{
	const char *slash = strrchr(b->config, '/');
	char stamp[STAMP_BYTES];
	struct tm tm;
	struct err e;

	b->now = time(NULL);
	strftime(stamp, sizeof stamp, STAMP_FORMAT, gmtime_r(&b->now, &tm));
	snprintf(b->folder, sizeof b->folder, "provd-support-%s", stamp);
	b->config_dir =
		slash ? xasprintf("%.*s", (int)(slash - b->config), b->config) : xstrdup(".");
	b->state_dir = state_dir ? xstrdup(state_dir) : config_state_dir(b->config, &e);
	if (!b->state_dir)
		b->state_dir = xstrdup(STATE_DIR);
	b->missing = json_array();
	b->secrets = secret_set_new();
	learn_all_secrets(b);
}

static int support(struct ctl *c, int argc, char **argv)
{
	const char *out = NULL;
	const char *config = CONFIG_FILE;
	const char *state_dir = NULL;
	const char *lines = "5000";
	const struct option_row rows[] = {{"out", &out, NULL}, {"config", &config, NULL},
		{"state-dir", &state_dir, NULL}, {"lines", &lines, NULL}, {0}};
	struct bundle b = {.c = c};
	json_int_t number;
	struct err e = {0};
	int r;

	if (ctl_options(argc, argv, rows, NULL, 0) != 0)
		return EXIT_USAGE;
	if (!whole_number(lines, &number) || number < 1)
		return ctl_usage(
			"--lines %s: a number of lines of the journal from 1 on expected", lines);
	/* Who has no token still gets what needs none. */
	c->anonymous = true;
	b.config = config;
	begin(&b, state_dir);

	_cleanup_(freep) char *count = xasprintf("%lld", (long long)number);
	_cleanup_(freep) char *path = out ? xstrdup(out) : xasprintf("%s.tar.gz", b.folder);

	r = write_archive(&b, path, count, &e);
	if (r == 0)
		print_result(&b, path);
	bundle_done(&b);
	return r < 0 ? ctl_fail(&e) : EXIT_PASSED;
}

const struct command commands_support[] = {
	{"support", "[--out FILE] [--config FILE] [--state-dir DIR] [--lines N]",
		"Collect what a vendor needs to help, without secrets, into a .tar.gz", support},
	{0},
};
