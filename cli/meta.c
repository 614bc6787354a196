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
static int cmd_completion(struct ctl *c, int argc, char **argv)
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
	return 0;
}

const struct command commands_meta[] = {
	{"actions", "[NAME] [--markdown]", "The verbs of recipes, with their arguments",
		cmd_actions},
	{"completion", "", "Shell completion for bash", cmd_completion},
	{"version", "", "Version of the daemon", cmd_version},
	{0},
};
