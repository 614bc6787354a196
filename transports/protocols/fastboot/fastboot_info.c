/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/fastboot/fastboot_info.h"

#include <ctype.h>
#include <string.h>

#include "base/strbuf.h"

#define TEXT_MAX_BYTES (256u * 1024)
#define LINES_MAX      2048
#define VERSION_MAX    1

static int copy_text(const char *what, const char *text, size_t n, char **ret, struct err *e)
{
	if (n > TEXT_MAX_BYTES)
		return err_set(e, ERR_IMAGE_INVALID, "%s has %zu bytes", what, n);
	if (memchr(text, 0, n))
		return err_set(e, ERR_IMAGE_INVALID, "%s is not text: it holds a NUL", what);
	*ret = strndup(text, n);
	return *ret ? 0 : err_set(e, ERR_NO_MEMORY, "%s", what);
}

/* Cuts the space off both ends. */
static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = 0;
	return s;
}

/* The word at *s, which moves past it; NULL at the end. */
static char *word(char **s)
{
	char *from = *s + strspn(*s, " \t");
	size_t n = strcspn(from, " \t");

	if (n == 0)
		return NULL;
	*s = from + n;
	if (**s)
		*(*s)++ = 0;
	return from;
}

/* -- android-info.txt -- */

static bool parse_rule(char *line, struct fastboot_rule *ret)
{
	static const char for_product[] = "require-for-product:";
	char *eq = strchr(line, '=');
	char *product = NULL;
	char *name;

	if (!eq)
		return false;
	*eq = 0;
	*ret = (struct fastboot_rule){0};
	if (!strncmp(line, for_product, sizeof for_product - 1)) {
		line += sizeof for_product - 1;
		product = word(&line);
		if (!product)
			return false;
	} else if (!strncmp(line, "require", 7) && isspace((unsigned char)line[7])) {
		line += 8;
	} else if (!strncmp(line, "reject", 6) && isspace((unsigned char)line[6])) {
		line += 7;
		ret->reject = true;
	}
	name = trim(line);
	if (!*name || strpbrk(name, " \t"))
		return false;
	ret->name = xstrdup(!strcmp(name, "board") ? "product" : name);
	ret->values = xstrdup(trim(eq + 1));
	ret->product = product ? xstrdup(product) : NULL;
	return true;
}

int fastboot_rules_parse(const char *text, size_t n, struct fastboot_rules *ret, struct err *e)
{
	_cleanup_(freep) char *copy = NULL;
	int r = copy_text("android-info.txt", text, n, &copy, e);
	char *rest = copy;
	char *line;

	*ret = (struct fastboot_rules){0};
	if (r < 0)
		return r;
	for (unsigned number = 1; (line = strsep(&rest, "\n")) && number <= LINES_MAX; number++) {
		_cleanup_(freep) char *whole = NULL;
		struct fastboot_rule rule;

		line = trim(line);
		if (!*line || *line == '#')
			continue;
		whole = xstrdup(line);
		if (!parse_rule(line, &rule)) {
			if (!ret->note[0])
				snprintf(ret->note, sizeof ret->note,
					"android-info.txt, line %u is not a rule: '%.80s'", number,
					whole);
			continue;
		}

		struct fastboot_rule *list = reallocarray(ret->list, ret->count + 1, sizeof *list);

		if (!list)
			abort();
		ret->list = list;
		ret->list[ret->count++] = rule;
	}
	return 0;
}

void fastboot_rules_done(struct fastboot_rules *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->list[i].product);
		free(r->list[i].name);
		free(r->list[i].values);
	}
	free(r->list);
	*r = (struct fastboot_rules){0};
}

bool fastboot_rule_matches(const struct fastboot_rule *r, const char *value)
{
	_cleanup_(freep) char *copy = xstrdup(r->values);
	char *rest = copy;
	char *option;

	while ((option = strsep(&rest, "|"))) {
		size_t n;

		option = trim(option);
		n = strlen(option);
		if (n > 0 && option[n - 1] == '*' ? !strncmp(option, value, n - 1)
						  : !strcmp(option, value))
			return true;
	}
	return false;
}

/* -- fastboot-info.txt -- */

struct fastboot_task *fastboot_tasks_add(struct fastboot_tasks *t, enum fastboot_task_kind kind,
	const char *partition, const char *file)
{
	struct fastboot_task *list = reallocarray(t->list, t->count + 1, sizeof *list);

	if (!list)
		abort();
	t->list = list;
	list[t->count] = (struct fastboot_task){
		.kind = kind,
		.partition = partition ? xstrdup(partition) : NULL,
		.file = file ? xstrdup(file) : NULL,
	};
	return &list[t->count++];
}

void fastboot_tasks_done(struct fastboot_tasks *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->list[i].partition);
		free(t->list[i].file);
		free(t->list[i].target);
	}
	free(t->list);
	*t = (struct fastboot_tasks){0};
}

static bool parse_flash(struct fastboot_tasks *t, char *rest)
{
	bool other = false, vbmeta = false;
	char *w;

	while ((w = word(&rest)) && !strncmp(w, "--", 2)) {
		if (!strcmp(w, "--slot-other"))
			other = true;
		else if (!strcmp(w, "--apply-vbmeta"))
			vbmeta = true;
		else
			return false;
	}

	char *file = w ? word(&rest) : NULL;

	if (!w || word(&rest))
		return false;

	_cleanup_(freep) char *usual = xasprintf("%s.img", w);
	struct fastboot_task *x =
		fastboot_tasks_add(t, FASTBOOT_TASK_FLASH, w, file ? file : usual);

	x->slot_other = other;
	x->apply_vbmeta = vbmeta;
	return true;
}

static bool parse_reboot(struct fastboot_tasks *t, char *rest)
{
	char *to = word(&rest);

	if (word(&rest) || (to && strcmp(to, "fastboot") != 0 && strcmp(to, "bootloader") != 0 &&
				   strcmp(to, "recovery") != 0))
		return false;
	fastboot_tasks_add(t, FASTBOOT_TASK_REBOOT, NULL, NULL)->target = xstrdup(to ? to : "");
	return true;
}

static bool parse_task(struct fastboot_tasks *t, char *rest)
{
	char *verb = word(&rest);
	bool if_wipe = verb && !strcmp(verb, "if-wipe");
	bool ok = false;
	char *p;

	if (if_wipe)
		verb = word(&rest);
	if (!verb)
		return false;
	if (!strcmp(verb, "flash")) {
		ok = parse_flash(t, rest);
	} else if (!strcmp(verb, "reboot")) {
		ok = parse_reboot(t, rest);
	} else if (!strcmp(verb, "update-super")) {
		ok = !word(&rest);
		if (ok)
			fastboot_tasks_add(t, FASTBOOT_TASK_UPDATE_SUPER, NULL, NULL);
	} else if (!strcmp(verb, "erase")) {
		p = word(&rest);
		ok = p && !word(&rest);
		if (ok)
			fastboot_tasks_add(t, FASTBOOT_TASK_ERASE, p, NULL);
	}
	if (ok)
		t->list[t->count - 1].if_wipe = if_wipe;
	return ok;
}

static bool parse_version(char *line)
{
	unsigned long long v;
	char *w = word(&line);

	if (!w || strcmp(w, "version") != 0)
		return false;
	w = word(&line);
	return w && !word(&line) && parse_size(w, &v) && v <= VERSION_MAX;
}

int fastboot_tasks_parse(const char *text, size_t n, struct fastboot_tasks *ret, struct err *e)
{
	_cleanup_(freep) char *copy = NULL;
	int r = copy_text("fastboot-info.txt", text, n, &copy, e);
	char *rest = copy;
	bool versioned = false;
	unsigned number = 0;
	char *line;

	*ret = (struct fastboot_tasks){0};
	if (r < 0)
		return r;
	while ((line = strsep(&rest, "\n"))) {
		_cleanup_(freep) char *whole = NULL;

		number++;
		line[strcspn(line, "#")] = 0;
		line = trim(line);
		if (!*line)
			continue;
		whole = xstrdup(line);
		if (number <= LINES_MAX &&
			(versioned ? parse_task(ret, line) : parse_version(line))) {
			versioned = true;
			continue;
		}
		fastboot_tasks_done(ret);
		return err_set(e, ERR_IMAGE_INVALID,
			"fastboot-info.txt, line %u: '%.80s' is not understood%s", number, whole,
			versioned ? "" : " ('version 1' has to come first)");
	}
	return 0;
}

/* -- flash-all.sh -- */

void fastboot_factory_done(struct fastboot_factory *f)
{
	fastboot_tasks_done(&f->before);
	free(f->package);
}

struct factory_script {
	struct fastboot_factory *f;
	unsigned depth; /* of if ... fi */
};

/* What the shell would make something else of. */
static bool is_plain(const char *s)
{
	return !strpbrk(s, "\"'`$\\;&|<>()*?");
}

static bool factory_flash(struct fastboot_factory *f, char *rest)
{
	char *partition = word(&rest);
	char *file = word(&rest);

	if (!partition || !file || word(&rest) || partition[0] == '-')
		return false;
	fastboot_tasks_add(&f->before, FASTBOOT_TASK_FLASH, partition, file);
	return true;
}

static bool factory_update(struct fastboot_factory *f, char *rest)
{
	char *file = word(&rest);

	if (!file || word(&rest) || file[0] == '-')
		return false;
	f->package = xstrdup(file);
	return true;
}

/* Of one command, without `fastboot`. */
static bool factory_command(struct fastboot_factory *f, char *rest)
{
	bool wipe = false;
	char *verb = word(&rest);

	if (verb && !strcmp(verb, "-w")) {
		wipe = true;
		verb = word(&rest);
	}
	if (!verb || f->package)
		return false;
	if (!strcmp(verb, "update")) {
		f->wipe = wipe;
		return factory_update(f, rest);
	}
	if (wipe)
		return false;
	if (!strcmp(verb, "flash"))
		return factory_flash(f, rest);
	if (strcmp(verb, "reboot-bootloader") != 0 || word(&rest))
		return false;
	fastboot_tasks_add(&f->before, FASTBOOT_TASK_REBOOT, NULL, NULL)->target =
		xstrdup("bootloader");
	return true;
}

/* Where a comment of the shell begins, else the end. *ret_open: a quotation, or the line itself, goes on in the next one. */
static size_t code_bytes(const char *line, bool *ret_open)
{
	char quote = 0;
	size_t i;

	for (i = 0; line[i]; i++) {
		char c = line[i];

		if (c == '\\' && quote != '\'') {
			if (!line[++i])
				break;
		} else if (quote) {
			quote = c == quote ? 0 : quote;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '#' && (i == 0 || strchr(" \t;&|(", line[i - 1]))) {
			break;
		}
	}
	*ret_open = quote || (i > 0 && line[i - 1] == '\\' && !line[i]);
	return i;
}

static bool is_in(const char *w, const char *const *list)
{
	while (*list && strcmp(w, *list) != 0)
		list++;
	return *list;
}

/* Whether one of its words is what a command that changes a device would have, whatever the program is called. */
static bool may_change_device(const char *text)
{
	static const char *const verbs[] = {"flash", "flash:raw", "flashall", "flashing", "erase",
		"format", "update", "reboot", "reboot-bootloader", "reboot-fastboot",
		"reboot-recovery", "oem", "set_active", "--set-active", "-w", "-a",
		"snapshot-update", "wipe-super", "continue", NULL};
	_cleanup_(freep) char *copy = xstrdup(text);
	char *save, *w;

	for (w = strtok_r(copy, " \t;&|()`\"'$<>{}=", &save); w;
		w = strtok_r(NULL, " \t;&|()`\"'$<>{}=", &save))
		if (is_in(w, verbs))
			return true;
	return false;
}

/* What echo says may be anything; what it does is only that. */
static bool says_only(const char *rest)
{
	char quote = 0;

	for (const char *s = rest; *s; s++) {
		if (quote != '\'' && (*s == '`' || (*s == '$' && s[1] == '(')))
			return false;
		if (*s == '\\' && quote != '\'' && s[1])
			s++;
		else if (quote)
			quote = *s == quote ? 0 : quote;
		else if (*s == '"' || *s == '\'')
			quote = *s;
		else if (strchr(";&|<>", *s))
			return false;
	}
	return true;
}

/* NAME=value alone. */
static bool is_assignment(const char *program)
{
	size_t n =
		strspn(program, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

	return n > 0 && !isdigit((unsigned char)program[0]) && program[n] == '=';
}

/* A line that changes no device and leads past none that does. */
static bool is_passed_over(struct factory_script *s, const char *program, const char *rest)
{
	static const char *const harmless[] = {"if", "then", "else", "elif", "fi", "sleep", "exit",
		"set", "export", "[", "test", "which", "command", "true", NULL};
	bool ends = !strcmp(program, "fi");
	size_t n = strlen(rest);

	if ((!strcmp(program, "echo") || !strcmp(program, "printf")) && says_only(rest))
		return true;
	if (may_change_device(rest))
		return false;
	if (!strcmp(program, "cd"))
		return strstr(rest, "dirname") != NULL;
	if (!is_in(program, harmless) && !is_assignment(program))
		return !strcmp(program, "echo") || !strcmp(program, "printf");
	/* After it nothing would be done. */
	if (!strcmp(program, "exit") && s->depth == 0 && !s->f->package)
		return false;
	if (ends && s->depth == 0)
		return false;
	if (!strcmp(program, "if") && !(n > 4 && !strcmp(rest + n - 4, "; fi")))
		s->depth++;
	s->depth -= ends;
	return true;
}

static bool factory_line(struct factory_script *s, char *line)
{
	bool plain = is_plain(line);
	char *program = word(&line);

	if (!program)
		return true;
	if (!strcmp(program, "fastboot"))
		return plain && s->depth == 0 && factory_command(s->f, line);
	return is_passed_over(s, program, line);
}

int fastboot_factory_parse(const char *text, size_t n, struct fastboot_factory *ret, struct err *e)
{
	_cleanup_(freep) char *copy = NULL;
	int r = copy_text("flash-all.sh", text, n, &copy, e);
	struct factory_script script = {.f = ret};
	char *rest = copy;
	unsigned number = 0;
	char *line;

	*ret = (struct fastboot_factory){0};
	while (r == 0 && (line = strsep(&rest, "\n"))) {
		_cleanup_(freep) char *whole = NULL;
		bool open;

		number++;
		line = trim(line);
		line[code_bytes(line, &open)] = 0;
		line = trim(line);
		whole = xstrdup(line);
		if (number > LINES_MAX || open || !factory_line(&script, line))
			r = err_set(e, ERR_IMAGE_INVALID,
				"flash-all.sh, line %u: '%.80s' is not understood: flash its parts by steps of fastboot.flash",
				number, whole);
	}
	if (r == 0 && !ret->package)
		r = err_set(e, ERR_IMAGE_INVALID, "flash-all.sh has no 'fastboot update FILE'");
	if (r < 0) {
		fastboot_factory_done(ret);
		*ret = (struct fastboot_factory){0};
	}
	return r;
}
