/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl: finds the row of the command and runs it.
 */
#include <locale.h>

#include "base/util.h"
#include "cli/printable.h"
#include "cli/provctl.h"
#include "provd_config.h"

const struct command *const command_tables[] = {commands_line, commands_job_units, commands_records,
	commands_run_log, commands_run_files, commands_run_report, commands_recipe,
	commands_recipe_new, commands_rehearse, commands_pools, commands_stores, commands_fixtures,
	commands_recovery, commands_backup, commands_reports, commands_recall, commands_export,
	commands_webhooks, commands_record, commands_keys, commands_scan, commands_adopt,
	commands_apply, commands_bench, commands_guide, commands_image, commands_support,
	commands_meta, NULL};

static void usage(FILE *out)
{
	fputs("usage: provctl [--url URL] [--token-file FILE] [--cacert FILE] [--cert FILE --key FILE]\n"
	      "               [--json] COMMAND ...\n\n",
		out);
	for (size_t t = 0; command_tables[t]; t++) {
		for (const struct command *c = command_tables[t]; c->name; c++)
			fprintf(out, "  %-20s %-42s %s\n", c->name, c->args, c->doc);
		fputs("\n", out);
	}
	fputs("  help                 [COMMAND]                                  This list, or one "
	      "command\n\n"
	      "The daemon is at --url, $PROVD_URL or http://127.0.0.1:8620; the token is in "
	      "--token-file,\n"
	      "$PROVD_TOKEN, $PROVD_TOKEN_FILE or ~/.config/provd/token. unix:/PATH is a socket.\n"
	      "Over https --cacert or $PROVCTL_CACERT says who signs its certificate; --cert and "
	      "--key,\n"
	      "or $PROVCTL_CERT and $PROVCTL_KEY, are the certificate that provctl shows.\n"
	      "Exit status: 0 passed or done, 1 failed or not started, 2 usage or recipe mistake, "
	      "3 error, 4 "
	      "aborted.\n",
		out);
}

/* "job submit" against argv: the number of words that match, 0 if not all do. */
static int match(const char *name, int argc, char **argv)
{
	int n = 0;

	while (*name) {
		size_t len = strcspn(name, " ");

		if (n == argc || strlen(argv[n]) != len || strncmp(argv[n], name, len) != 0)
			return 0;
		n++;
		name += len;
		name += *name == ' ';
	}
	return n;
}

static const struct command *find(int argc, char **argv, int *ret_words)
{
	for (size_t t = 0; command_tables[t]; t++) {
		for (const struct command *c = command_tables[t]; c->name; c++) {
			*ret_words = match(c->name, argc, argv);
			if (*ret_words > 0)
				return c;
		}
	}
	return NULL;
}

static size_t first_word(const char *name)
{
	return strcspn(name, " ");
}

/* Whether the command is of the group ("job"), which is one only if more words follow. */
static bool in_group(const struct command *c, const char *group)
{
	size_t n = first_word(c->name);

	return c->name[n] && strlen(group) == n && !strncmp(c->name, group, n);
}

/* The commands of a group; false if it is not a group. */
static bool print_group(FILE *out, const char *group)
{
	bool found = false;

	for (size_t t = 0; command_tables[t]; t++) {
		for (const struct command *c = command_tables[t]; c->name; c++) {
			if (!in_group(c, group))
				continue;
			fprintf(out, "  %-20s %-42s %s\n", c->name, c->args, c->doc);
			found = true;
		}
	}
	return found;
}

static const char *nearest_command(const char *text)
{
	const char *names[256] = {0};
	size_t n = 0;

	for (size_t t = 0; command_tables[t]; t++)
		for (const struct command *c = command_tables[t]; c->name; c++)
			if (n < ARRAY_LEN(names) - 1)
				names[n++] = c->name;
	return nearest_name(text, names);
}

/* The first words of the tables. */
static const char *nearest_group(const char *word)
{
	static char groups[256][32];
	const char *names[ARRAY_LEN(groups) + 1] = {0};
	size_t n = 0;

	for (size_t t = 0; command_tables[t]; t++)
		for (const struct command *c = command_tables[t]; c->name; c++, n++)
			if (n < ARRAY_LEN(groups)) {
				snprintf(groups[n], sizeof groups[n], "%.*s",
					(int)first_word(c->name), c->name);
				names[n] = groups[n];
			}
	return nearest_name(word, names);
}

/* The command that was meant: a slip in one of two words ("jobs list"), the words in the other
 * order ("list jobs"), the beginning of one, or a slip in it. */
static const char *meant(int argc, char **argv)
{
	const char *near = NULL;

	if (argc > 1) {
		_cleanup_(freep) char *two = xasprintf("%s %s", argv[0], argv[1]);
		_cleanup_(freep) char *turned = xasprintf("%s %s", argv[1], argv[0]);

		near = nearest_command(two);
		if (!near)
			near = nearest_command(turned);
	}
	for (size_t t = 0; !near && command_tables[t]; t++)
		for (const struct command *c = command_tables[t]; !near && c->name; c++)
			if (strlen(argv[0]) > 1 && !strncmp(c->name, argv[0], strlen(argv[0])))
				near = c->name;
	if (!near)
		near = nearest_command(argv[0]);
	return near ? near : nearest_group(argv[0]);
}

static int unknown(int argc, char **argv)
{
	bool group = print_group(stderr, argv[0]);
	const char *near;

	if (group && argc == 1)
		return ctl_usage("'%s' needs one of these after it", argv[0]);
	near = meant(argc, argv);
	if (near)
		return ctl_usage("there is no command '%s%s%s', did you mean '%s'?", argv[0],
			argc > 1 ? " " : "", argc > 1 ? argv[1] : "", near);
	return ctl_usage("there is no command '%s%s%s': see provctl help", argv[0],
		argc > 1 ? " " : "", argc > 1 ? argv[1] : "");
}

static void print_command(const struct command *c)
{
	printf("usage: provctl %s%s%s\n\n%s.\n", c->name, *c->args ? " " : "", c->args, c->doc);
}

/* help, help GROUP, help COMMAND */
static int help(int argc, char **argv)
{
	int words;
	const struct command *c = argc ? find(argc, argv, &words) : NULL;

	if (argc == 0)
		usage(stdout);
	else if (c)
		print_command(c);
	else if (argc > 1 || !print_group(stdout, argv[0]))
		return unknown(argc, argv);
	return 0;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

/* --json may be at any place; it is taken out. */
static int take_json(int argc, char **argv, struct ctl *c)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--json"))
			c->json = true;
		else
			argv[n++] = argv[i];
	}
	return n;
}

/* Where the value of an option before the command goes; NULL for another. */
static const char **global_option(struct ctl *c, const char *name)
{
	const struct {
		const char *name, **value;
	} rows[] = {{"--url", &c->daemon.url}, {"--token-file", &c->daemon.token_file},
		{"--cacert", &c->daemon.cacert}, {"--cert", &c->daemon.cert},
		{"--key", &c->daemon.key}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].name, name))
			return rows[i].value;
	return NULL;
}

static int unknown_global(struct ctl *c, const char *given)
{
	static const char *const names[] = {"--url", "--token-file", "--cacert", "--cert", "--key",
		"--json", "--help", "--version", NULL};
	const char *near = nearest_name(given, names);

	if (global_option(c, given))
		return ctl_usage("'%s' needs a value", given);
	return near ? ctl_usage("there is no option '%s', did you mean '%s'?", given, near)
		    : ctl_usage("there is no option '%s' before the command: see provctl help",
			      given);
}

/* A command with its words; argv[0] becomes its name. */
static int run(struct ctl *c, int argc, char **argv)
{
	int words;
	const struct command *cmd = find(argc, argv, &words);

	if (!strcmp(argv[0], "help"))
		return help(argc - 1, argv + 1);
	if (!cmd && argc == 2 && wants_help(1, argv + 1) && print_group(stdout, argv[0]))
		return 0;
	if (!cmd)
		return unknown(argc, argv);
	if (wants_help(argc - words, argv + words)) {
		print_command(cmd);
		return 0;
	}

	_cleanup_(freep) char *name = xstrdup(cmd->name);

	argv[words - 1] = name;
	return cmd->run(c, argc - words + 1, argv + words - 1);
}

static int run_all(struct ctl *c, int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--version")) {
			puts("provctl " PROVD_VERSION);
			return 0;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return help(argc - i - 1, argv + i + 1);
		const char **value = global_option(c, argv[i]);

		if (!value || i + 1 == argc)
			return unknown_global(c, argv[i]);
		*value = argv[++i];
	}
	if (i == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return run(c, argc - i, argv + i);
}

int main(int argc, char **argv)
{
	struct ctl c = {0};
	int r;

	setlocale(LC_CTYPE, "");
	printable_guard();
	c.color = isatty(1) && !getenv("NO_COLOR");
	argc = take_json(argc, argv, &c);
	r = run_all(&c, argc, argv);
	api_close(&c);
	/* What could not be written was not said. */
	return fclose(stdout) != 0 ? EXIT_ERROR : r;
}
