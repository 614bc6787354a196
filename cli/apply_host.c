/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl apply --config: provd.yaml and stations.d of this machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/outfile.h"
#include "base/proc.h"
#include "base/tree.h"
#include "base/util.h"
#include "cli/apply.h"

#define PROGRAM_US (60 * US_PER_S)
#define TEXT_MAX   (4u << 20)
#define TO_RELOAD \
	".provctl-apply" /* next to provd.yaml, from the first file that was changed until provd read them */

static char *join(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static char *dir_of(const char *file)
{
	_cleanup_(freep) char *copy = xstrdup(file);

	return xstrdup(dirname(copy));
}

/* The whole of a text file; NULL with an err. *ret_there false: there is none. */
static char *text_of(const char *path, bool *ret_there, struct err *e)
{
	_cleanup_(fclosep) FILE *f = fopen(path, "rbe");
	_cleanup_(freep) char *text = NULL;
	size_t n;

	*ret_there = f || errno != ENOENT;
	if (!f) {
		err_errno(e, ERR_IO, errno, "%s", path);
		return NULL;
	}
	text = xcalloc(1, TEXT_MAX + 1);
	n = fread(text, 1, TEXT_MAX + 1, f);
	if (ferror(f) || n > TEXT_MAX || memchr(text, 0, n)) {
		err_set(e, ERR_INVALID, "%s: a text of at most %u MiB expected", path,
			TEXT_MAX >> 20);
		return NULL;
	}
	return steal_ptr(&text);
}

/* --- what is done --- */

static char *mark_of(const struct apply_plan *p)
{
	_cleanup_(freep) char *etc = dir_of(p->config);

	return join(etc, TO_RELOAD);
}

static int mark(const struct apply_plan *p, struct err *e)
{
	_cleanup_(freep) char *path = mark_of(p);

	return ctl_write_text(path,
		"provctl apply changed files here: 'systemctl reload provd' is still to be given\n",
		e);
}

/* As the file that was there is read, so is the new one; a new file as the configuration itself. */
static int keep_owner(struct outfile *f, const char *to, const char *config, struct err *e)
{
	struct stat st;

	if (stat(to, &st) < 0 && stat(config, &st) < 0)
		return err_errno(e, ERR_IO, errno, "%s", config);
	if (fchmod(f->fd, st.st_mode & 07777) < 0 ||
		(geteuid() == 0 && fchown(f->fd, st.st_uid, st.st_gid) < 0))
		return err_errno(e, ERR_IO, errno, "owner of %s", to);
	return 0;
}

static int write_file(struct apply_plan *p, const struct apply_row *row, struct err *e)
{
	_cleanup_(outfile_done) struct outfile out = {.fd = -1};
	_cleanup_(freep) char *dir = dir_of(row->to);
	char sha[SHA256_HEX];
	int r = mark(p, e);

	if (r < 0)
		return r;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, errno, "%s", dir);
	r = outfile_open(&out, row->to, e);
	if (r == 0)
		r = outfile_add(&out, row->after, strlen(row->after), e);
	if (r == 0)
		r = keep_owner(&out, row->to, p->config, e);
	if (r == 0)
		r = outfile_end(&out, sha, e);
	return r < 0 ? r : outfile_commit(&out, e);
}

static int remove_file(struct apply_plan *p, const struct apply_row *row, struct err *e)
{
	int r = mark(p, e);

	if (r < 0)
		return r;
	return unlink(row->to) == 0 ? 0 : err_errno(e, ERR_IO, errno, "%s", row->to);
}

int apply_reload(const struct apply_plan *p, struct err *e)
{
	_cleanup_(freep) char *path = mark_of(p);
	static const char *const argv[] = {"systemctl", "reload", "provd.service", NULL};
	const struct proc_opts o = {.argv = argv};
	const struct iotime it = {now_us() + PROGRAM_US, NULL};
	struct proc_result result;
	int r = proc_run(&o, &it, &result, e);

	if (r == 0 && result.exit_status != 0)
		r = err_set(e, ERR_TOOL_FAILED,
			"the files are in place, but 'systemctl reload provd' failed (exit status %d): provd works with the old ones until it is given",
			result.exit_status);
	if (r == 0 && unlink(path) < 0 && errno != ENOENT)
		r = err_errno(e, ERR_IO, errno, "%s", path);
	return r;
}

/* --- what is found --- */

/* One file of the folder against that of the machine. */
static int look_file(
	struct apply_plan *p, const char *file, const char *to, const char *what, struct err *e)
{
	struct apply_row row = {
		.what = xstrdup(what), .file = xstrdup(file), .to = xstrdup(to), .host = true};
	struct stat st;
	bool there, whole;

	row.before = text_of(to, &there, e);
	if (row.before || !there)
		row.after = text_of(file, &(bool){false}, e);
	whole = row.after != NULL;
	if (lstat(to, &st) == 0 && S_ISLNK(st.st_mode)) {
		row.verdict = APPLY_REFUSED;
		row.why = xasprintf("%s is a symbolic link: replace it by a file first", to);
	} else if (!there) {
		row.verdict = APPLY_ADD;
	} else if (row.before && row.after && strcmp(row.before, row.after) != 0) {
		row.verdict = APPLY_CHANGE;
	}
	if (row.verdict == APPLY_ADD || row.verdict == APPLY_CHANGE) {
		row.act = write_file;
		p->host_changes = true;
	}
	apply_plan_add(p, row);
	return whole ? 0 : -(int)e->code;
}

static bool is_in_folder(const struct apply_plan *p, const char *to)
{
	for (size_t i = 0; i < p->rows; i++)
		if (p->row[i].to && !strcmp(p->row[i].to, to))
			return true;
	return false;
}

/* Those that provd reads and the folder does not have. */
static int look_rest(struct apply_plan *p, const char *stations, struct err *e)
{
	static const char *const yaml[] = {".yaml", NULL};
	const struct apply_plan machine = {.dir = stations};
	char **files;
	size_t n;
	int r = apply_files(&machine, "stations.d", yaml, &files, &n, e);

	for (size_t i = 0; i < n; i++) {
		if (r == 0 && !is_in_folder(p, files[i])) {
			apply_plan_add(p,
				(struct apply_row){.verdict = p->prune ? APPLY_REMOVE : APPLY_DRIFT,
					.what = xstrdup(files[i]),
					.why = xasprintf(
						"not in the folder%s", p->prune ? ": removed" : ""),
					.to = xstrdup(files[i]),
					.host = true,
					.act = p->prune ? remove_file : NULL});
			p->host_changes |= p->prune;
		}
		free(files[i]);
	}
	free(files);
	return r;
}

/* What provd would never read is not taken for a station. */
static int refuse_yml(const struct apply_plan *p, struct err *e)
{
	static const char *const yml[] = {".yml", NULL};
	char **files;
	size_t n;
	int r = apply_files(p, "stations.d", yml, &files, &n, e);

	if (r == 0 && n > 0)
		r = err_set(e, ERR_INVALID,
			"%s: of stations.d provd reads what ends in .yaml: rename it", files[0]);
	apply_files_free(files, n);
	return r;
}

static int look_stations(struct apply_plan *p, const char *etc, struct err *e)
{
	static const char *const yaml[] = {".yaml", NULL};
	char **files;
	size_t n;
	int r = apply_files(p, "stations.d", yaml, &files, &n, e);

	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *copy = xstrdup(files[i]);
		_cleanup_(freep) char *to = xasprintf("%s/stations.d/%s", etc, basename(copy));

		if (r == 0)
			r = look_file(p, files[i], to, to, e);
		free(files[i]);
	}
	free(files);
	return r == 0 && n > 0 ? look_rest(p, etc, e) : r;
}

/* --- the same, as provd would find it --- */

static void print_mistake(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	if (stream == PROC_STDERR)
		fprintf(stderr, "%.*s\n", (int)n, bytes);
}

static int provd_check(const char *config, struct err *e)
{
	_cleanup_(freep) char *provd = ctl_program("provd", "daemon");
	const char *const argv[] = {provd, "--check", "--config", config, NULL};
	const struct proc_opts o = {.argv = argv, .line = print_mistake};
	const struct iotime it = {now_us() + PROGRAM_US, NULL};
	struct proc_result result;
	int r = proc_run(&o, &it, &result, e);

	if (r == 0 && result.exit_status != 0)
		r = err_set(e, ERR_INVALID,
			"provd --check refuses the configuration of the folder: nothing was changed");
	return r;
}

static int copy_text(const char *from, const char *to, struct err *e)
{
	_cleanup_(freep) char *text = NULL;
	bool there;

	text = text_of(from, &there, e);
	return text ? ctl_write_text(to, text, e) : -(int)e->code;
}

static int copy_stations(const char *etc, const char *trial, struct err *e)
{
	static const char *const yaml[] = {".yaml", NULL};
	const struct apply_plan machine = {.dir = etc};
	char **files;
	size_t n;
	int r = apply_files(&machine, "stations.d", yaml, &files, &n, e);

	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *to = xasprintf("%s%s", trial, files[i] + strlen(etc));

		if (r == 0)
			r = copy_text(files[i], to, e);
		free(files[i]);
	}
	free(files);
	return r;
}

/* Every file as it will be: those of the machine, and over them those of the folder. */
static int copy_rows(const struct apply_plan *p, const char *etc, const char *trial, struct err *e)
{
	_cleanup_(freep) char *config = join(trial, "provd.yaml");
	int r = copy_text(p->config, config, e);

	if (r == 0)
		r = copy_stations(etc, trial, e);
	for (size_t i = 0; r == 0 && i < p->rows; i++) {
		const struct apply_row *row = &p->row[i];
		_cleanup_(freep) char *to = NULL;

		if (!row->host)
			continue;
		to = !strcmp(row->to, p->config) ? xstrdup(config)
						 : xasprintf("%s%s", trial, row->to + strlen(etc));
		if (row->verdict == APPLY_REMOVE)
			unlink(to);
		else if (row->after)
			r = ctl_write_text(to, row->after, e);
	}
	return r;
}

static int check_trial(const struct apply_plan *p, const char *etc, struct err *e)
{
	char trial[] = "/tmp/provctl-apply-XXXXXX";
	_cleanup_(freep) char *stations = NULL;
	_cleanup_(freep) char *config = NULL;
	int r;

	if (!mkdtemp(trial))
		return err_errno(e, ERR_IO, errno, "a temporary directory");
	stations = join(trial, "stations.d");
	config = join(trial, "provd.yaml");
	r = mkdir(stations, 0700) < 0 ? err_errno(e, ERR_IO, errno, "%s", stations) : 0;
	if (r == 0)
		r = copy_rows(p, etc, trial, e);
	if (r == 0)
		r = provd_check(config, e);
	tree_remove(trial);
	return r;
}

/* Two at once would write one file together, or undo what the other checked. */
static int lock_etc(struct apply_plan *p, const char *etc, struct err *e)
{
	p->etc = open(etc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->etc < 0)
		return err_errno(e, ERR_IO, errno, "%s", etc);
	if (flock(p->etc, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK
		       ? err_set(e, ERR_CONFLICT,
				 "another provctl apply works on %s: nothing was changed; apply again when it has ended",
				 etc)
		       : err_errno(e, ERR_IO, errno, "lock %s", etc);
}

static void look_reload(struct apply_plan *p)
{
	_cleanup_(freep) char *path = mark_of(p);

	if (access(path, F_OK) < 0)
		return;
	p->host_changes = true;
	apply_plan_add(p, (struct apply_row){.verdict = APPLY_CHANGE,
				  .what = xstrdup("provd.service"),
				  .why = xstrdup("a reload, which an apply before did not reach")});
}

int apply_look_host(struct apply_plan *p, struct err *e)
{
	_cleanup_(freep) char *etc = dir_of(p->config);
	_cleanup_(freep) char *file = join(p->dir, "provd.yaml");
	int r = 0;

	if (p->config[0] != '/')
		return err_set(e, ERR_INVALID,
			"--config is '%s': an absolute path expected, as /etc/provd/provd.yaml",
			p->config);
	if (!p->dry)
		r = lock_etc(p, etc, e);
	if (r == 0)
		r = refuse_yml(p, e);
	if (r == 0 && access(file, F_OK) == 0)
		r = look_file(p, file, p->config, p->config, e);
	if (r == 0)
		r = look_stations(p, etc, e);
	if (r == 0)
		look_reload(p);
	return r == 0 && p->host_changes ? check_trial(p, etc, e) : r;
}
