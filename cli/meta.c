/* SPDX-License-Identifier: Apache-2.0
 *
 * What provctl knows of itself and of the actions.
 */
#include "base/util.h"
#include "cli/provctl.h"
#include "daemon/recipe/action.h"
#include "daemon/recipe/action_doc.h"

static void print_action(const json_t *a)
{
	json_t *arg;
	size_t i;

	printf("%s - %s\n", json_string_value(json_object_get(a, "name")),
		json_string_value(json_object_get(a, "doc")));
	json_array_foreach(json_object_get(a, "args"), i, arg) {
		const char *def = json_string_value(json_object_get(arg, "default"));

		printf("  %-16s %-18s %s%s%s%s\n", json_string_value(json_object_get(arg, "name")),
			json_string_value(json_object_get(arg, "type")),
			json_string_value(json_object_get(arg, "doc")),
			json_is_true(json_object_get(arg, "required")) ? " (required)"
			: def					       ? " (default "
								       : "",
			def ? def : "", def ? ")" : "");
	}
}

static int cmd_actions(struct ctl *c, int argc, char **argv)
{
	bool markdown = false;
	const struct option_row rows[] = {{"markdown", NULL, &markdown}, {0}};
	char *word = NULL;
	int n = ctl_options(argc, argv, rows, &word, 1);
	json_t *list;
	json_t *a;
	size_t i;
	bool found = false;

	if (n < 0)
		return EXIT_USAGE;
	if (markdown) {
		struct strbuf out = {0};

		actions_markdown(&out);
		fputs(out.s, stdout);
		sb_done(&out);
		return 0;
	}
	list = actions_json();
	if (c->json && n == 0) {
		print_json(list);
		found = true;
	}
	json_array_foreach(list, i, a) {
		const char *name = json_string_value(json_object_get(a, "name"));

		if (c->json && n == 0)
			break;
		if (n == 1 && strcmp(name, word) != 0)
			continue;
		found = true;
		if (n == 1 && c->json)
			print_json(a);
		else if (n == 1)
			print_action(a);
		else
			printf("%-18s %s\n", name, json_string_value(json_object_get(a, "doc")));
	}
	json_decref(list);
	return found ? 0 : ctl_usage("unknown action '%s'", word);
}

static int cmd_version(struct ctl *c, int argc, char **argv)
{
	json_t *o = NULL;
	struct err e;

	if (api_get(c, "/api/v1/version", &o, &e) < 0)
		return ctl_fail(&e);
	print_json(o);
	json_decref(o);
	return 0;
}

/* bash: the words that may follow, out of the same tables. */
static void bash_completion(void)
{
	puts("# provctl completion for bash: source it, or put it into bash-completion's folder\n"
	     "_provctl() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\"\n"
	     "\tlocal commands='");
	for (size_t t = 0; command_tables[t]; t++)
		for (const struct command *k = command_tables[t]; k->name; k++)
			puts(k->name);
	puts("'\n\tlocal words='' c\n"
	     "\twhile IFS= read -r c; do\n"
	     "\t\tif [ -z \"$line\" ]; then words+=\" ${c%% *}\"\n"
	     "\t\telif [ \"${c#\"$line \"}\" != \"$c\" ]; then c=${c#\"$line \"}; words+=\" ${c%% "
	     "*}\"; fi\n"
	     "\tdone <<< \"$commands\"\n"
	     "\tif [ \"${COMP_WORDS[1]}\" = exec ] && [ \"$COMP_CWORD\" = 2 ]; then\n"
	     "\t\twords=$(provctl actions | cut -d' ' -f1)\n"
	     "\tfi\n"
	     "\tif [ -n \"$words\" ]; then\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
	     "\telse\n"
	     "\t\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n"
	     "\tfi\n"
	     "}\n"
	     "complete -F _provctl provctl");
}

/* zsh runs the functions of bash. */
static void zsh_completion(void)
{
	puts("#compdef provctl\nautoload -U +X bashcompinit && bashcompinit");
	bash_completion();
}

/* A text within the single quotes of fish. */
static void fish_quoted(const char *s)
{
	putchar('\'');
	for (; *s; s++)
		printf("%s%c", *s == '\'' || *s == '\\' ? "\\" : "", *s);
	putchar('\'');
}

/* The options that the arguments and the text of the command name. */
static void fish_options(const char *condition, const char *text)
{
	for (const char *p = strstr(text, "--"); p; p = strstr(p, "--")) {
		size_t n = strspn(p + 2, "abcdefghijklmnopqrstuvwxyz0123456789-");

		printf("complete -c provctl -n '%s' -l %.*s\n", condition, (int)n, p + 2);
		p += 2 + n;
	}
}

static void fish_command(const struct command *k, bool first)
{
	size_t n = strcspn(k->name, " ");
	bool two = k->name[n] != 0;
	_cleanup_(freep) char *group = xasprintf("%.*s", (int)n, k->name);
	const char *verb = two ? k->name + n + 1 : group;
	_cleanup_(freep) char *seen =
		two ? xasprintf(
			      "__fish_seen_subcommand_from %s; and __fish_seen_subcommand_from %s",
			      group, verb)
		    : xasprintf("__fish_seen_subcommand_from %s", group);

	if (two && first)
		printf("complete -c provctl -n '__fish_use_subcommand' -a %s\n", group);
	if (two) {
		printf("complete -c provctl -n '__fish_seen_subcommand_from %s; and test (count (commandline -opc)) -eq 2' -a %s -d ",
			group, verb);
	} else {
		printf("complete -c provctl -n '__fish_use_subcommand' -a %s -d ", group);
	}
	fish_quoted(k->doc);
	puts("");
	fish_options(seen, k->args);
	fish_options(seen, k->doc);
	if (strstr(k->args, "FILE") || strstr(k->args, "FIRMWARE"))
		printf("complete -c provctl -n '%s' -F\n", seen);
}

static bool same_group(const char *a, const char *b)
{
	size_t n = strcspn(a, " ");

	return strcspn(b, " ") == n && !strncmp(a, b, n);
}

static void fish_completion(void)
{
	puts("# provctl completion for fish: put it into ~/.config/fish/completions/provctl.fish\n"
	     "complete -c provctl -f\n"
	     "complete -c provctl -l json\n"
	     "complete -c provctl -l url -x\n"
	     "complete -c provctl -l token-file -r -F\n"
	     "complete -c provctl -l cacert -r -F\n"
	     "complete -c provctl -l cert -r -F\n"
	     "complete -c provctl -l key -r -F\n"
	     "complete -c provctl -n '__fish_use_subcommand' -a help\n"
	     "complete -c provctl -n '__fish_seen_subcommand_from exec' -a '(provctl actions | "
	     "string replace -r \" .*\" \"\")'");
	for (size_t t = 0; command_tables[t]; t++)
		for (const struct command *k = command_tables[t]; k->name; k++)
			fish_command(k, k == command_tables[t] || !same_group(k[-1].name, k->name));
}

static const struct {
	const char *name;
	void (*print)(void);
} shells[] = {{"bash", bash_completion}, {"zsh", zsh_completion}, {"fish", fish_completion}};

static int cmd_completion(struct ctl *c, int argc, char **argv)
{
	char *name = NULL;
	int n = ctl_options(argc, argv, NULL, &name, 1);

	if (n < 0)
		return EXIT_USAGE;
	for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
		if (n == 0 || !strcmp(name, shells[i].name)) {
			shells[i].print();
			return 0;
		}
	}
	return ctl_usage("there is no completion for '%s': bash, zsh or fish", name);
}

const struct command commands_meta[] = {
	{"actions", "[NAME] [--markdown]", "The verbs of recipes, with their arguments",
		cmd_actions},
	{"completion", "[bash|zsh|fish]", "Shell completion, bash by itself", cmd_completion},
	{"version", "", "Version of the daemon", cmd_version},
	{0},
};
