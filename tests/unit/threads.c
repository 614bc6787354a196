/* SPDX-License-Identifier: Apache-2.0
 *
 * Preloaded into the unit tests of a build without a sanitizer: a program that starts a thread leaves an empty file of its name in
 * $PROVD_THREADS. Those are what scripts/test builds and runs under ThreadSanitizer too; it has nothing to say of the others.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static void note(void)
{
	const char *dir = getenv("PROVD_THREADS");
	char path[4096];
	int fd;

	if (!dir || snprintf(path, sizeof path, "%s/%s", dir, program_invocation_short_name) >=
			    (int)sizeof path)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		abort(); /* what is not noted would not be checked */
	close(fd);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	static create_fn *real;

	if (!real) {
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
		note();
	}
	return real(thread, attr, run, arg);
}
