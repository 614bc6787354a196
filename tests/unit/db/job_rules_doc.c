/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints docs/orders.md: the table of db/job_rules.c for people.
 */
#include <stdio.h>

#include "db/job_rules.h"

static void print_row(enum job_sign sign)
{
	printf("| %s |", job_sign_str(sign));
	for (int s = 0; s < JOB_STATE_COUNT; s++) {
		const struct job_rule r = job_rule((enum job_state)s, sign);

		if (r.effect == JOB_REFUSED)
			printf(" |");
		else if (r.effect == JOB_STAYS)
			printf(" yes |");
		else
			printf(" **%s** |", job_state_str(r.next));
	}
	printf("\n");
}

int main(void)
{
	puts("# The life of an order\n\n"
	     "This page is made from the table in `db/job_rules.c` (`job_rules_doc > docs/orders.md`, held by a\n"
	     "test). A column is a state, a row is what is asked (a verb of `POST /jobs/{id}/actions/VERB`, or `change`,\n"
	     "which is `PATCH`) or what happens. A cell says in bold the state that the order goes to, or `yes`: it is done\n"
	     "and the state stays. An empty cell is refused (`409 conflict`), or cannot come.\n");
	printf("| |");
	for (int s = 0; s < JOB_STATE_COUNT; s++)
		printf(" %s |", job_state_str((enum job_state)s));
	printf("\n|---|");
	for (int s = 0; s < JOB_STATE_COUNT; s++)
		printf("---|");
	printf("\n");
	for (int i = 0; i < JOB_SIGN_COUNT; i++)
		print_row((enum job_sign)i);
	puts("\n- **hold** needs a reason, and is apart from the state: an order that is held keeps its own, and no station takes a\n"
	     "  unit for it until **release**. A second hold, and a release of what is not held, are refused.\n"
	     "- **stop** and **complete** end it after the units under way, at once where there are none. complete needs a\n"
	     "  reason and says that fewer units are enough (`ending.how` is `short`).\n"
	     "- **abort** stops the units under way as well. A step that cannot be undone is never cut: its run stops after\n"
	     "  it. What was cut is recorded as `aborted`.\n"
	     "- **cancel** is refused once a run was begun for it.\n"
	     "- Each of them, and `change`, needs `If-Match`: the ETag of the order as it was seen (`412` where it is another\n"
	     "  by now), or `*` for whatever it is. Without it the answer is `428`.");
	return 0;
}
