/* SPDX-License-Identifier: Apache-2.0
 *
 * provctl: finds the row of the command and runs it.
 */
#include <locale.h>

#include "base/util.h"
#include "cli/provctl.h"
#include "provd_config.h"

const struct command *const command_tables[] = {commands_line, commands_records, commands_run_log,
	commands_recipe, commands_stores, commands_recovery, commands_bench, commands_image,
	commands_meta, NULL};

static void usage(FILE *out)
{
	fputs("usage: provctl [--url URL] [--token-file FILE] [--json] COMMAND ...\n\n", out);
	for (size_t t = 0; command_tables[t]; t++) {
		for (const struct command *c = command_tables[t]; c->name; c++)
			fprintf(out, "  %-18s %-44s %s\n", c->name, c->args, c->doc);
		fputs("\n", out);
	}
	fputs("The daemon is at --url, $PROVD_URL or http://127.0.0.1:8620; the token is in "
	      "--token-file,\n"
	      "$PROVD_TOKEN, $PROVD_TOKEN_FILE or ~/.config/provd/token.\n"
	      "Exit status: 0 passed or done, 1 failed, 2 usage or recipe mistake, 3 error, 4 "
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

/* A unique beginning of the first word, told for the words that may follow it. */
static int unknown(int argc, char **argv, bool help)
{
	const char *names[64] = {0};
	bool group = false;
	size_t n = 0;

	for (size_t t = 0; command_tables[t]; t++) {
		for (const struct command *c = command_tables[t]; c->name; c++) {
			size_t len = strcspn(c->name, " ");

			if (c->name[len] && strlen(argv[0]) == len &&
				!strncmp(c->name, argv[0], len)) {
				fprintf(help ? stdout : stderr, "%s provctl %s %s\n",
					group ? "      " : "usage:", c->name, c->args);
				group = true;
			}
			if (n < ARRAY_LEN(names) - 1)
				names[n++] = c->name;
		}
	}
	if (group)
		return help ? 0 : EXIT_USAGE;

	const char *near = nearest_name(argv[0], names);

	return near ? ctl_usage("unknown command '%s', did you mean '%s'?", argv[0], near)
		    : ctl_usage("unknown command '%s': see provctl --help", argv[0]);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

/* --json may stand anywhere; it is taken out. */
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

int main(int argc, char **argv)
{
	struct ctl c = {0};
	const struct command *cmd;
	bool help;
	int words;
	int i = 1;
	int r;

	setlocale(LC_CTYPE, "");
	c.color = isatty(1) && !getenv("NO_COLOR");
	argc = take_json(argc, argv, &c);
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--version")) {
			puts("provctl " PROVD_VERSION);
			return 0;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			usage(stdout);
			return 0;
		}
		if (!strcmp(argv[i], "--url") && i + 1 < argc)
			c.url = argv[++i];
		else if (!strcmp(argv[i], "--token-file") && i + 1 < argc)
			c.token_file = argv[++i];
		else
			return ctl_usage("unknown option '%s': see provctl --help", argv[i]);
	}
	if (i == argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	help = !strcmp(argv[i], "help");
	if (help && ++i == argc) {
		usage(stdout);
		return 0;
	}
	cmd = find(argc - i, argv + i, &words);
	if (!cmd)
		return unknown(argc - i, argv + i, help || wants_help(argc - i, argv + i));
	if (help || wants_help(argc - i - words, argv + i + words)) {
		printf("usage: provctl %s %s\n\n%s.\n", cmd->name, cmd->args, cmd->doc);
		return 0;
	}
	r = cmd->run(&c, argc - i - words + 1, argv + i + words - 1);
	api_close(&c);
	if (fflush(stdout) != 0)
		return EXIT_ERROR;
	return r;
}
