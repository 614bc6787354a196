/* SPDX-License-Identifier: Apache-2.0 */
#include "base/harden.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* Whether code can be made in memory, as a compiler at run time does. */
static bool can_make_code(void)
{
	void *both = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *later = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool can = both != MAP_FAILED || mprotect(later, 4096, PROT_READ | PROT_EXEC) == 0;

	if (both != MAP_FAILED)
		munmap(both, 4096);
	munmap(later, 4096);
	return can;
}

START_TEST(the_process_makes_no_code_and_its_children_may)
{
	int status = 0;
	pid_t pid;

	ck_assert(can_make_code());
	if (!harden_memory()) {
		/* An older kernel says that it does not know it, and nothing has changed. */
		ck_assert_int_eq(errno, EINVAL);
		ck_assert(can_make_code());
		return;
	}
	ck_assert(!can_make_code());
	pid = fork();
	if (pid == 0)
		_exit(can_make_code() ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	/* Once more changes nothing. */
	ck_assert(harden_memory());
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("harden");
	TCase *t = tcase_create("harden");

	tcase_add_test(t, the_process_makes_no_code_and_its_children_may);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
