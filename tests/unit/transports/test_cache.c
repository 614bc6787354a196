/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "tests/unit/unit.h"

#define THREADS 8

static char dir[] = "/tmp/test_cache.XXXXXX";
static struct image_cache *c;
static struct err e;
static const struct iotime forever = {NO_DEADLINE, NULL};

static char *path_of(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void begin(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	c = image_cache_new();
}

static void end(void)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -r %s", dir);

	image_cache_free(c);
	ck_assert_int_eq(system(cmd), 0);
}

static struct image *get(const char *path, uint64_t address)
{
	struct image *i = NULL;
	int r = image_cache_image(c, path, &IMAGE_OPTS(address), &forever, &i, &e);

	ck_assert_msg(r == 0, "%s", e.msg);
	return i;
}

START_TEST(a_file_is_opened_once_for_each_way_of_reading_it)
{
	_cleanup_(freep) char *path = path_of("a.bin");
	struct image *a;
	struct image *b;
	struct image *other;
	struct blob *blob;
	struct blob *again;

	write_file(path, "\1irmware");
	a = get(path, 0x1000);
	b = get(path, 0x1000);
	other = get(path, 0x2000);
	ck_assert_ptr_eq(a, b);
	ck_assert_ptr_ne(a, other);
	ck_assert_int_eq(image_cache_blob(c, path, false, &forever, &blob, &e), 0);
	ck_assert_int_eq(image_cache_blob(c, path, false, &forever, &again, &e), 0);
	ck_assert_ptr_eq(blob, again);
	image_unref(a);
	image_unref(b);
	image_unref(other);
	blob_unref(blob);
	blob_unref(again);
}
END_TEST

START_TEST(the_next_unit_finds_what_the_last_one_used)
{
	_cleanup_(freep) char *path = path_of("a.bin");
	struct image *a;
	struct image *b;

	write_file(path, "\1irmware");
	a = get(path, 0);
	image_unref(a);
	b = get(path, 0);
	ck_assert_ptr_eq(a, b);
	image_unref(b);
}
END_TEST

START_TEST(a_file_that_was_replaced_is_read_anew_and_the_old_one_stays_with_its_holder)
{
	_cleanup_(freep) char *path = path_of("a.bin");
	_cleanup_(freep) char *fresh = path_of("fresh");
	struct image *was;
	struct image *is;

	write_file(path, "\1ersion1");
	was = get(path, 0);
	write_file(fresh, "\1ersion2");
	ck_assert_int_eq(rename(fresh, path), 0);
	is = get(path, 0);
	ck_assert_ptr_ne(was, is);
	ck_assert_mem_eq(was->segments[0].data, "\1ersion1", 8);
	ck_assert_mem_eq(is->segments[0].data, "\1ersion2", 8);
	image_unref(was);
	image_unref(is);
}
END_TEST

START_TEST(no_more_than_a_few_are_kept_that_no_one_holds)
{
	struct image *first = NULL;

	for (int k = 0; k < 20; k++) {
		_cleanup_(freep) char *name = xasprintf("%s/%d", dir, k);
		struct image *i;

		write_file(name, "\1irmware");
		i = get(name, 0);
		if (k == 0)
			first = image_ref(i);
		/* The cache's, the test's, and for the first one more. */
		ck_assert_int_eq(i->refs, k == 0 ? 3 : 2);
		image_unref(i);
	}
	ck_assert_int_eq(first->refs, 2);
	image_unref(first);
}
END_TEST

START_TEST(what_cannot_be_read_says_so_each_time)
{
	_cleanup_(freep) char *path = path_of("a.bin");
	struct image *i = NULL;

	for (int k = 0; k < 2; k++)
		ck_assert_int_eq(image_cache_image(c, path, &IMAGE_OPTS(0), &forever, &i, &e),
			-ERR_NOT_FOUND);
	write_file(path, ":00000001FF\n");
	for (int k = 0; k < 2; k++)
		ck_assert_int_eq(
			image_cache_image(c, path, &IMAGE_OPTS(IMAGE_NO_ADDRESS), &forever, &i, &e),
			-ERR_IMAGE_INVALID);
	ck_assert_int_eq(
		image_cache_image(c, dir, &IMAGE_OPTS(0), &forever, &i, &e), -ERR_IMAGE_INVALID);
}
END_TEST

static void *use(void *path)
{
	for (int k = 0; k < 200; k++) {
		struct image *i = NULL;

		if (image_cache_image(c, path, &IMAGE_OPTS(0), &forever, &i, NULL) < 0 ||
			memcmp(i->segments[0].data, "\1irmware", 8))
			return path;
		image_unref(i);
	}
	return NULL;
}

START_TEST(many_threads_share_and_let_go)
{
	char *path[2] = {path_of("a.bin"), path_of("b.bin")};
	pthread_t thread[THREADS];

	write_file(path[0], "\1irmware of a");
	write_file(path[1], "\1irmware of b");
	for (int k = 0; k < THREADS; k++)
		ck_assert_int_eq(thread_start(&thread[k], "use", use, path[k % 2], &e), 0);
	for (int k = 0; k < THREADS; k++) {
		void *wrong;

		pthread_join(thread[k], &wrong);
		ck_assert_ptr_null(wrong);
	}
	free(path[0]);
	free(path[1]);
}
END_TEST

static Suite *cache_suite(void)
{
	Suite *s = suite_create("cache");
	TCase *t = tcase_create("cache");

	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, a_file_is_opened_once_for_each_way_of_reading_it);
	tcase_add_test(t, the_next_unit_finds_what_the_last_one_used);
	tcase_add_test(
		t, a_file_that_was_replaced_is_read_anew_and_the_old_one_stays_with_its_holder);
	tcase_add_test(t, no_more_than_a_few_are_kept_that_no_one_holds);
	tcase_add_test(t, what_cannot_be_read_says_so_each_time);
	tcase_add_test(t, many_threads_share_and_let_go);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(cache_suite)
