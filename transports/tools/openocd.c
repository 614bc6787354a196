/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/openocd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/proc.h"
#include "base/regex.h"
#include "base/strbuf.h"
#include "transports/images/image_write.h"
#include "transports/tools/openocd_job.h"
#include "transports/tools/openocd_rules.h"

#define OUTPUT_MAX_BYTES (16ull * 1024 * 1024)
#define LOG_MAX_LINES	 2000
/* A run that is stopped frees the probe at once; provd's promise is a second. */
#define KILL_GRACE_US (300 * US_PER_MS)

enum seen {
	SEEN_STARTED,
	SEEN_PROGRAMMED,
	SEEN_VERIFIED,
	SEEN_WROTE,
	SEEN_VERIFIED_BYTES,
	SEEN_DUMPED,
	SEEN_ERASED,
	SEEN_RESETTING,
	SEEN_VERSION,
	SEEN_WARNING,
	SEEN_ERROR,
	SEEN_COUNT
};

static const char *const seen_pattern[SEEN_COUNT] = {
	[SEEN_STARTED] = "^\\*\\* Programming Started \\*\\*$",
	[SEEN_PROGRAMMED] = "^\\*\\* Programming Finished \\*\\*$",
	[SEEN_VERIFIED] = "^\\*\\* Verified OK \\*\\*$",
	[SEEN_WROTE] = "^wrote (\\d+) bytes from file i\\d+\\.hex in ",
	[SEEN_VERIFIED_BYTES] = "^verified (\\d+) bytes in ",
	[SEEN_DUMPED] = "^dumped (\\d+) bytes in ",
	[SEEN_ERASED] = "^erased address 0x[0-9a-f]+ \\(length (\\d+)\\) in ",
	[SEEN_RESETTING] = "^\\*\\* Resetting Target \\*\\*$",
	[SEEN_VERSION] = "^Open On-Chip Debugger (.+)$",
	[SEEN_WARNING] = "^Warn : (Padding|Adding extra)|^Info : Padding",
	[SEEN_ERROR] = "^Error: (.+)$",
};

struct run {
	const struct openocd_job *job;
	const struct openocd_hooks *hooks;
	struct openocd_result *result;
	struct openocd_rulebook *rules;
	struct regex *seen[SEEN_COUNT];
	struct regex *expect[OPENOCD_LINES_MAX];
	bool met[OPENOCD_LINES_MAX];
	size_t expects;
	unsigned count[SEEN_COUNT];
	uint64_t bytes[SEEN_COUNT]; /* the sum of what those lines counted */
	int cause;		    /* the rule of the most specific line, -1 */
	char *cause_line;
	char *error_line; /* the last that no rule knows */
	unsigned logged;
	char *dir;
};

/* --- what it says --- */

static char *escaped(const char *bytes, size_t n)
{
	struct strbuf b = {0};

	sb_add_escaped(&b, bytes, n);
	return sb_take(&b);
}

static void keep_line(char **list, size_t *count, const char *text)
{
	if (*count < OPENOCD_LINES_MAX)
		list[(*count)++] = xstrdup(text);
}

static void tell_phase(struct run *x, const char *phase, uint64_t done)
{
	if (x->hooks->progress)
		x->hooks->progress(x->hooks->data, phase, done, x->result->image_bytes);
}

static void tell_phase_of(struct run *x, enum seen s)
{
	uint64_t all = x->result->image_bytes;

	if (s == SEEN_STARTED)
		tell_phase(x, "program", 0);
	else if (s == SEEN_PROGRAMMED || s == SEEN_WROTE)
		tell_phase(x, "verify", MIN(all, s == SEEN_WROTE ? x->bytes[s] : all));
	else if (s == SEEN_VERIFIED_BYTES)
		tell_phase(x, x->job->read_back ? "read" : "reset", MIN(all, x->bytes[s]));
	else if (s == SEEN_RESETTING)
		tell_phase(x, "reset", all);
}

static bool is_proof(enum seen s)
{
	return s >= SEEN_PROGRAMMED && s <= SEEN_ERASED;
}

static void see(
	struct run *x, enum seen s, const struct regex_match *m, const char *line, const char *text)
{
	x->count[s]++;
	if (m->groups > 1 && s >= SEEN_WROTE && s <= SEEN_ERASED)
		x->bytes[s] += strtoull(line + m->group[1].start, NULL, 10);
	if (s == SEEN_VERSION && !x->result->version[0])
		snprintf(x->result->version, sizeof x->result->version, "%s", text);
	if (is_proof(s))
		keep_line(x->result->line, &x->result->lines, text);
	if (s == SEEN_WARNING)
		keep_line(x->result->warning, &x->result->warnings, text);
	if (s == SEEN_ERROR && x->cause < 0)
		str_replace(&x->error_line, text);
	tell_phase_of(x, s);
}

static void judge_line(struct run *x, const char *line, size_t n, const char *text)
{
	int rule = openocd_rulebook_match(x->rules, line, n, x->cause);
	struct regex_match m;

	if (rule >= 0) {
		x->cause = rule;
		str_replace(&x->cause_line, text);
	}
	for (int s = 0; s < SEEN_COUNT; s++)
		if (regex_match(x->seen[s], line, n, &m))
			see(x, (enum seen)s, &m, line, text);
	for (size_t i = 0; i < x->expects; i++)
		if (!x->met[i] && regex_match(x->expect[i], line, n, NULL)) {
			x->met[i] = true;
			keep_line(x->result->line, &x->result->lines, text);
		}
}

static void on_line(void *data, enum proc_stream stream, const char *bytes, size_t n)
{
	struct run *x = data;
	/* Terminated, for the numbers in it. */
	_cleanup_(freep) char *line = strndup(bytes, n);
	_cleanup_(freep) char *text = NULL;

	if (n > 0 && bytes[n - 1] == '\r')
		n--;
	text = escaped(bytes, n);
	if (x->hooks->log && n > 0 && x->logged++ < LOG_MAX_LINES)
		x->hooks->log(x->hooks->data, '<', text);
	if (line)
		judge_line(x, line, strnlen(line, n), text);
}

/* --- whether it did it --- */

static int no_evidence(const char *what, struct err *e)
{
	return err_set(e, ERR_NO_EVIDENCE, "OpenOCD ended well and did not say '%s'", what);
}

static int short_of(
	const char *what, uint64_t got, uint64_t want, enum err_code code, struct err *e)
{
	return err_set(e, code, "OpenOCD %s %llu bytes, %llu expected", what,
		(unsigned long long)got, (unsigned long long)want);
}

static int check_markers(const struct run *x, struct err *e)
{
	const struct openocd_job *j = x->job;
	uint64_t all = x->result->image_bytes;
	bool reads = j->kind == OPENOCD_DUMP || j->kind == OPENOCD_ERASE;

	if (j->kind == OPENOCD_PROGRAM && !x->count[SEEN_PROGRAMMED])
		return no_evidence("** Programming Finished **", e);
	if (j->kind == OPENOCD_PROGRAM && !x->count[SEEN_VERIFIED])
		return no_evidence("** Verified OK **", e);
	if (j->kind == OPENOCD_FLASH && x->bytes[SEEN_WROTE] < all)
		return short_of("wrote", x->bytes[SEEN_WROTE], all, ERR_NO_EVIDENCE, e);
	if ((j->kind == OPENOCD_FLASH || j->kind == OPENOCD_VERIFY) &&
		x->bytes[SEEN_VERIFIED_BYTES] != all)
		return short_of("verified", x->bytes[SEEN_VERIFIED_BYTES], all, ERR_NO_EVIDENCE, e);
	if (j->kind == OPENOCD_ERASE && x->bytes[SEEN_ERASED] != j->size)
		return short_of("erased", x->bytes[SEEN_ERASED], j->size, ERR_NO_EVIDENCE, e);
	if (reads && x->bytes[SEEN_DUMPED] != j->size)
		return short_of("read", x->bytes[SEEN_DUMPED], j->size, ERR_NO_EVIDENCE, e);
	for (size_t i = 0; i < x->expects; i++)
		if (!x->met[i])
			return no_evidence(j->expect[i], e);
	return 0;
}

static int judge(const struct run *x, const struct proc_result *pr, struct err *e)
{
	if (x->cause >= 0)
		return err_set(e, openocd_rules[x->cause].code, "%s (OpenOCD: '%.160s')",
			openocd_rules[x->cause].sentence, x->cause_line);
	if (pr->term_signal)
		return err_set(
			e, ERR_TOOL_FAILED, "OpenOCD was ended by signal %d", pr->term_signal);
	if (pr->exit_status != 0)
		return err_set(e, ERR_TOOL_FAILED, "OpenOCD ended with status %d%s%.200s",
			pr->exit_status, x->error_line ? ": " : "",
			x->error_line ? x->error_line : "");
	/* What was not read may have held a failure. */
	if (pr->truncated[PROC_STDOUT] || pr->truncated[PROC_STDERR])
		return err_set(e, ERR_TOOL_FAILED, "OpenOCD said more than %llu MiB",
			OUTPUT_MAX_BYTES >> 20);
	return check_markers(x, e);
}

/* --- its directory --- */

static int make_dir(char **ret, struct err *e)
{
	const char *base = getenv("RUNTIME_DIRECTORY");

	if (!base || !*base || strchr(base, ':'))
		base = getenv("TMPDIR");

	_cleanup_(freep) char *dir =
		xasprintf("%s/provd-openocd-XXXXXX", base && *base ? base : "/tmp");

	if (!mkdtemp(dir))
		return err_errno(
			e, ERR_IO, errno, "make a directory in %s", base && *base ? base : "/tmp");
	*ret = steal_ptr(&dir);
	return 0;
}

/* Of one level, or what a program made of its HOME. Symbolic links are removed, not followed. */
static void remove_in(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	for (struct dirent *ent; d && depth < 8 && (ent = readdir(d));) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		if (unlinkat(dirfd(d), ent->d_name, 0) < 0 && (errno == EISDIR || errno == EPERM))
			remove_in(dirfd(d), ent->d_name, depth + 1);
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	unlinkat(parent, name, AT_REMOVEDIR);
}

static int write_images(struct run *x, struct err *e)
{
	struct sha256 *d = sha256_new();
	uint8_t sum[SHA256_BYTES];
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->job->images; i++) {
		const struct image *image = x->job->image[i];
		_cleanup_(freep) char *path = xasprintf("%s/i%zu.hex", x->dir, i);

		for (size_t k = 0; k < image->count; k++)
			sha256_add(d, image->segments[k].data, image->segments[k].len);
		x->result->image_bytes += image->bytes;
		r = image_write_ihex(image, path, e);
	}
	sha256_end(d, sum);
	sha256_free(d);
	hex_of(sum, sizeof sum, x->result->sha256_image);
	return r;
}

/* --- what it read --- */

static int read_file(const struct run *x, size_t file, uint8_t *buf, uint64_t n, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/o%zu.bin", x->dir, file);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	if (!f)
		return err_set(e, ERR_NO_EVIDENCE, "OpenOCD wrote no file of what it read");
	if (fread(buf, 1, n, f) != n || fgetc(f) != EOF)
		return err_set(e, ERR_NO_EVIDENCE,
			"OpenOCD's file of what it read does not hold %llu bytes",
			(unsigned long long)n);
	return 0;
}

static int compare_segment(const struct run *x, const struct image_segment *s, size_t file,
	struct sha256 *d, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = malloc(s->len);
	int r;

	if (!buf)
		return err_set(
			e, ERR_NO_MEMORY, "%llu bytes to read back", (unsigned long long)s->len);
	r = read_file(x, file, buf, s->len, e);
	if (r < 0)
		return r;
	sha256_add(d, buf, s->len);
	for (uint64_t i = 0; i < s->len; i++)
		if (buf[i] != s->data[i])
			return err_set(e, ERR_VERIFY_MISMATCH,
				"0x%08llx holds 0x%02x, 0x%02x was written",
				(unsigned long long)(s->address + i), buf[i], s->data[i]);
	return 0;
}

static int compare_images(struct run *x, struct err *e)
{
	struct sha256 *d = sha256_new();
	uint8_t sum[SHA256_BYTES];
	size_t file = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->job->images; i++)
		for (size_t k = 0; r == 0 && k < x->job->image[i]->count; k++)
			r = compare_segment(x, &x->job->image[i]->segments[k], file++, d, e);
	sha256_end(d, sum);
	sha256_free(d);
	if (r == 0)
		hex_of(sum, sizeof sum, x->result->sha256_read);
	return r;
}

static int take_range(struct run *x, struct err *e)
{
	uint8_t *buf = malloc(x->job->size);
	int r;

	if (!buf)
		return err_set(
			e, ERR_NO_MEMORY, "%llu bytes to read", (unsigned long long)x->job->size);
	x->result->read = buf;
	r = read_file(x, 0, buf, x->job->size, e);
	if (r < 0)
		return r;
	sha256_hex_of(buf, x->job->size, x->result->sha256_read);
	for (uint64_t i = 0; x->job->kind == OPENOCD_ERASE && i < x->job->size; i++)
		if (buf[i] != x->job->erased)
			return err_set(e, ERR_VERIFY_MISMATCH,
				"0x%08llx holds 0x%02x after the erase, 0x%02x expected",
				(unsigned long long)(x->job->address + i), buf[i], x->job->erased);
	return 0;
}

static int take_read(struct run *x, struct err *e)
{
	if (x->job->kind == OPENOCD_DUMP || x->job->kind == OPENOCD_ERASE)
		return take_range(x, e);
	return x->job->read_back ? compare_images(x, e) : 0;
}

/* --- the run --- */

static int compile(struct run *x, struct err *e)
{
	int r = openocd_rulebook_new(&x->rules, e);

	for (int s = 0; r == 0 && s < SEEN_COUNT; s++)
		r = regex_new(seen_pattern[s], &x->seen[s], e);
	for (size_t i = 0; r == 0 && x->job->expect && x->job->expect[i]; i++) {
		if (i == OPENOCD_LINES_MAX)
			return err_set(e, ERR_RECIPE_INVALID, "expect: more than %d patterns",
				OPENOCD_LINES_MAX);
		r = regex_new(x->job->expect[i], &x->expect[i], e);
		if (r < 0)
			return err_set(e, ERR_RECIPE_INVALID, "expect: pattern %zu", i + 1);
		x->expects = i + 1;
	}
	return r;
}

static void run_done(struct run *x)
{
	openocd_rulebook_free(x->rules);
	for (int s = 0; s < SEEN_COUNT; s++)
		regex_free(x->seen[s]);
	for (size_t i = 0; i < x->expects; i++)
		regex_free(x->expect[i]);
	free(x->cause_line);
	free(x->error_line);
	if (x->dir)
		remove_in(AT_FDCWD, x->dir, 0);
	free(x->dir);
}

static int run_program(
	struct run *x, const struct openocd_argv *v, const struct iotime *it, struct err *e)
{
	_cleanup_(freep) char *home = xasprintf("HOME=%s", x->dir);
	const char *const env[] = {home, "LC_ALL=C", NULL};
	const struct proc_opts o = {
		.argv = (const char *const *)v->arg,
		.cwd = x->dir,
		.env = env,
		.max_output_bytes = OUTPUT_MAX_BYTES,
		.kill_grace_us = KILL_GRACE_US,
		.line = on_line,
		.data = x,
	};
	struct proc_result pr = {.exit_status = -1};
	int r;

	tell_phase(x, "connect", 0);
	r = proc_run(&o, it, &pr, e);
	x->result->exit_status = pr.exit_status;
	x->result->written = x->bytes[SEEN_WROTE];
	x->result->verified = x->bytes[SEEN_VERIFIED_BYTES];
	/* It hangs after many a failure: the cause says more than the time. */
	if (r == 0 || (r == -ERR_TIMEOUT && x->cause >= 0))
		r = judge(x, &pr, e);
	return r;
}

int openocd_run(const struct openocd_probe *p, const struct openocd_job *j,
	const struct openocd_hooks *h, const struct iotime *it, struct openocd_result *ret,
	struct err *e)
{
	_cleanup_(run_done) struct run x = {.job = j, .hooks = h, .result = ret, .cause = -1};
	_cleanup_(openocd_argv_done) struct openocd_argv v = {0};
	int r;

	*ret = (struct openocd_result){.exit_status = -1};
	r = openocd_argv_make(p, j, &v, e);
	if (r == 0)
		r = compile(&x, e);
	if (r == 0)
		r = make_dir(&x.dir, e);
	if (r == 0)
		r = write_images(&x, e);
	if (r == 0)
		r = run_program(&x, &v, it, e);
	return r < 0 ? r : take_read(&x, e);
}

void openocd_result_done(struct openocd_result *r)
{
	for (size_t i = 0; i < r->lines; i++)
		free(r->line[i]);
	for (size_t i = 0; i < r->warnings; i++)
		free(r->warning[i]);
	free(r->read);
	*r = (struct openocd_result){.exit_status = -1};
}
