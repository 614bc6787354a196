/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints docs/station.md: the table of daemon/line/station_rules.c for people, and the drawing of
 * it for graphviz.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/line/station_rules.h"

static void print_cell(enum station_state from, enum station_sign sign)
{
	const struct station_rule r = station_rule(from, sign);
	const char *effect = station_effect_str(r.effect);

	if (r.effect == EFFECT_NEVER)
		printf(" |");
	else if (r.next == from)
		printf(" %s |", *effect ? effect : "wait");
	else
		printf(" %s%s**%s** |", effect, *effect ? ", " : "", station_state_str(r.next));
}

static void print_table(void)
{
	printf("| |");
	for (int s = 0; s < STATION_STATE_COUNT; s++)
		printf(" %s |", station_state_str((enum station_state)s));
	printf("\n|---|");
	for (int s = 0; s < STATION_STATE_COUNT; s++)
		printf("---|");
	printf("\n");
	for (int i = SIGN_NOTHING + 1; i < SIGN_COUNT; i++) {
		printf("| %s |", station_sign_str((enum station_sign)i));
		for (int s = 0; s < STATION_STATE_COUNT; s++)
			print_cell((enum station_state)s, (enum station_sign)i);
		printf("\n");
	}
}

static void print_drawing(void)
{
	printf("```dot\ndigraph station {\n\trankdir=LR; node [shape=box];\n");
	for (int s = 0; s < STATION_STATE_COUNT; s++)
		for (int to = 0; to < STATION_STATE_COUNT; to++) {
			const char *between = "";

			if (s == to ||
				!station_may_go((enum station_state)s, (enum station_state)to))
				continue;
			printf("\t%s -> %s [label=\"", station_state_str((enum station_state)s),
				station_state_str((enum station_state)to));
			for (int i = 0; i < SIGN_COUNT; i++) {
				const struct station_rule r =
					station_rule((enum station_state)s, (enum station_sign)i);

				if (r.effect == EFFECT_NEVER || (int)r.next != to)
					continue;
				printf("%s%s", between, station_sign_str((enum station_sign)i));
				between = "\\n";
			}
			printf("\"];\n");
		}
	printf("}\n```\n");
}

int main(void)
{
	puts("# What a station does\n\n"
	     "This page is made from the table in `daemon/line/station_rules.c` "
	     "(`station_rules_doc >\n"
	     "docs/station.md`, held by a test). A column is a state, a row is what is seen or "
	     "asked. A\n"
	     "cell says what the station does, and in bold the state it goes to; an empty cell "
	     "cannot\n"
	     "come, or is a command that is refused (`409 conflict`).\n");
	print_table();
	puts("\n- **settle**: the settle time begins, and with it the record of the attempt.\n"
	     "- **drop**: an attempt that is on record ends there, before its first step.\n"
	     "- **recognise**: the unit has had its run before provd was started again.\n"
	     "- **run**: the run is opened, if that is not done, and carried out.\n"
	     "- **note**: the next look knows that a run is wanted, also of a unit that had one.\n"
	     "- **prove**: where a unit is plugged and an order of golden units waits, that run alone begins; a golden unit that is listed and passes ends the quarantine, anything else leaves it as it was.\n"
	     "- **close**: the end of the run is put on record, or tried again; *over*, *quarantined* or *freed* follows.\n"
	     "- **free**: what held the station is forgotten; *freed* follows, with or without a "
	     "unit.\n"
	     "\nThe same as a drawing, for graphviz:\n");
	print_drawing();
	return 0;
}
