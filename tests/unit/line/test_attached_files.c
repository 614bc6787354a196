/* SPDX-License-Identifier: Apache-2.0
 *
 * The store of attached files: one file for each content, whatever was in its place; nothing with a secret in it; and
 * the sweep takes what no row names, and nothing else.
 */
#include "daemon/line/attachments.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <time.h>

#include "base/secret.h"
#include "base/tree.h"
#include "tests/unit/unit.h"

#define RUN "01890000-0000-7000-8000-000000000001"

static struct err e;
static char root[64], output[96], store[96];
static struct attachments *a;
static struct secret_set *secrets;
static const char *media;

/* Somebody sets the clock. */
static time_t ahead_s;

/* In the place of the C library's. */
time_t time(time_t *ret)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ahead_s;
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

static void set_up(void)
{
	_cleanup_(freep) char *run = NULL;

	strcpy(root, "/tmp/test_attached.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(output, sizeof output, "%s/output", root);
	snprintf(store, sizeof store, "%s/attachments", root);
	run = xasprintf("%s/" RUN, output);
	ck_assert_int_eq(tree_make(run, &e), 0);
	ck_assert_int_eq(tree_make(store, &e), 0);
	ck_assert_int_eq(attachments_new(store, &a, &e), 0);
	secrets = secret_set_new();
}

static void tear_down(void)
{
	attachments_free(a);
	secret_set_free(secrets);
	tree_remove(root);
}

static void put(const char *path, const void *p, size_t n)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	fclose(f);
}

/* A step saved it, and attaches it. */
static int take(const char *name, const void *p, size_t n, char sha256[SHA256_HEX])
{
	_cleanup_(freep) char *path = xasprintf("%s/" RUN "/%s", output, name);
	struct attach_file f = {.name = name, .bytes = n, .sha256 = sha256, .secrets = secrets};

	sha256_hex_of(p, n, sha256);
	put(path, p, n);
	return attachments_take(a, output, RUN, &f, &media, &e);
}

static void assert_stored(const char *sha256)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", store, sha256);
	char got[SHA256_HEX];

	ck_assert_msg(sha256_file(path, got, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(got, sha256);
}

static int stored(void)
{
	DIR *d = opendir(store);
	int n = 0;

	ck_assert_ptr_nonnull(d);
	for (struct dirent *de; (de = readdir(d));)
		n += strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0;
	closedir(d);
	return n;
}

START_TEST(the_same_bytes_are_kept_once)
{
	char one[SHA256_HEX], two[SHA256_HEX];

	ck_assert_msg(take("a.csv", "1,2\n", 4, one) == 0, "%s", e.msg);
	ck_assert_str_eq(media, "text/csv");
	ck_assert_msg(take("b.csv", "1,2\n", 4, two) == 0, "%s", e.msg);
	/* The same file twice: both names are of one file already. */
	ck_assert_msg(take("b.csv", "1,2\n", 4, two) == 0, "%s", e.msg);
	ck_assert_str_eq(one, two);
	ck_assert_int_eq(stored(), 1);
	assert_stored(one);
	/* The file of the run may go. */
	tree_clear(output);
	assert_stored(one);
}
END_TEST

START_TEST(what_the_disk_made_of_the_old_file_does_not_count)
{
	char sha256[SHA256_HEX];
	_cleanup_(freep) char *path = NULL;

	sha256_hex_of("good", 4, sha256);
	path = xasprintf("%s/%s", store, sha256);
	put(path, "goof", 4);
	ck_assert_msg(take("a.txt", "good", 4, sha256) == 0, "%s", e.msg);
	assert_stored(sha256);
}
END_TEST

START_TEST(a_file_that_is_another_one_is_not_attached)
{
	_cleanup_(freep) char *path = xasprintf("%s/" RUN "/a.csv", output);
	char sha256[SHA256_HEX];
	struct attach_file f = {.name = "a.csv", .bytes = 5, .sha256 = sha256};

	sha256_hex_of("12345", 5, sha256);
	ck_assert_int_lt(attachments_take(a, output, RUN, &f, &media, &e), 0);
	put(path, "1234", 4);
	ck_assert_int_lt(attachments_take(a, output, RUN, &f, &media, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.msg, "is not the one that was saved"));
	unlink(path);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	ck_assert_int_lt(attachments_take(a, output, RUN, &f, &media, &e), 0);
	ck_assert_int_eq(stored(), 0);
}
END_TEST

START_TEST(a_secret_is_found_wherever_it_lies)
{
	static const char secret[] = "correct horse";
	const size_t n = 600 * 1024, at[] = {0, 1000, 256 * 1024 - 6, n - strlen(secret)};
	char sha256[SHA256_HEX];
	char *bytes = xcalloc(1, n);

	ck_assert_int_eq(secret_set_add(secrets, secret, &e), 0);
	ck_assert_msg(take("dump.bin", bytes, n, sha256) == 0, "%s", e.msg);
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		memset(bytes, (int)i + 1, n);
		memcpy(bytes + at[i], secret, strlen(secret));
		ck_assert_msg(
			take("dump.bin", bytes, n, sha256) == -ERR_RECIPE_INVALID, "%zu", at[i]);
		ck_assert_ptr_nonnull(strstr(e.msg, "holds a secret"));
	}
	free(bytes);
	ck_assert_int_eq(stored(), 1);
}
END_TEST

/* --- what is of which type --- */

START_TEST(the_type_is_what_name_and_bytes_agree_on)
{
	static const struct {
		const char *name, *head, *media;
	} files[] = {
		{"a.png", "\x89PNG\r\n\x1a\n....", "image/png"},
		{"a.PNG", "\x89PNG\r\n\x1a\n....", "image/png"},
		{"a.png", "<html><script>", MEDIA_OTHER},
		{"a.jpg", "\xff\xd8\xff\xe0", "image/jpeg"},
		{"a.webp", "RIFF....WEBPVP8 ", "image/webp"},
		{"a.svg", "<svg onload='x'>", MEDIA_OTHER},
		{"a.html", "<html>", MEDIA_OTHER},
		{"a.csv", "1,2", "text/csv"},
		{"a.log", "", "text/plain"},
		{".png", "\x89PNG\r\n\x1a\n....", MEDIA_OTHER},
		{"png", "\x89PNG\r\n\x1a\n....", MEDIA_OTHER},
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		ck_assert_str_eq(media_of(files[i].name, files[i].head, strlen(files[i].head)),
			files[i].media);
	ck_assert_str_eq(media_of("a.csv", "1\0002", 3), MEDIA_OTHER);
	ck_assert_str_eq(media_listed("text/html"), MEDIA_OTHER);
	ck_assert_str_eq(media_listed(NULL), MEDIA_OTHER);
	ck_assert_str_eq(media_listed("image/png"), "image/png");
}
END_TEST

START_TEST(a_picture_is_known_by_its_bytes_alone)
{
	static const char *const svg[] = {"<svg>",
		"<?xml version='1.0'?>\n<!-- a > b -->\n<svg xmlns='x'>",
		"  <!DOCTYPE svg PUBLIC 'x'>\n<svg\n>"};
	static const char *const none[] = {"", "<", "<svgx>", "<html><svg>", "text <svg>",
		"<!-- <svg>", "<?xml", "GIF89a", "MZ"};

	ck_assert_str_eq(media_picture("\x89PNG\r\n\x1a\n", 8), "image/png");
	for (size_t i = 0; i < ARRAY_LEN(svg); i++)
		ck_assert_msg(media_picture(svg[i], strlen(svg[i])) != NULL, "%s", svg[i]);
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		ck_assert_msg(media_picture(none[i], strlen(none[i])) == NULL, "%s", none[i]);
}
END_TEST

/* --- the sweep --- */

static int is_named(void *data, const char *sha256)
{
	return strcmp(data, sha256) == 0;
}

static int is_all(void *data, const char *sha256)
{
	return -ERR_DATABASE; /* it cannot be asked */
}

START_TEST(the_sweep_takes_what_no_row_names)
{
	char named[SHA256_HEX], stray[SHA256_HEX];
	_cleanup_(freep) char *begun = xasprintf("%s/new-" RUN, store);
	_cleanup_(freep) char *other = xasprintf("%s/README", store);

	ck_assert_int_eq(take("a", "named", 5, named), 0);
	ck_assert_int_eq(take("b", "stray", 5, stray), 0);
	put(begun, "x", 1);
	put(other, "x", 1);
	/* While the line works a young file stays: its row may be on its way. */
	attachments_sweep(a, ATTACHMENTS_STRAY_S, is_named, named);
	ck_assert_int_eq(stored(), 4);
	/* Where the records cannot be asked, nothing goes but what was not finished. */
	attachments_sweep(a, 0, is_all, NULL);
	ck_assert_int_eq(stored(), 3);
	attachments_sweep(a, 0, is_named, named);
	ck_assert_int_eq(stored(), 2);
	assert_stored(named);
	ck_assert_int_eq(access(other, F_OK), 0);
}
END_TEST

START_TEST(a_clock_that_is_set_makes_no_file_old)
{
	char stray[SHA256_HEX];

	ck_assert_int_eq(take("b", "stray", 5, stray), 0);
	ahead_s = 2 * ATTACHMENTS_STRAY_S;
	attachments_sweep(a, ATTACHMENTS_STRAY_S, is_named, (void *)(uintptr_t) "");
	ck_assert_int_eq(stored(), 1);
	/* Where it was set before the line began, its age is true. */
	a = attachments_free(a);
	ck_assert_int_eq(attachments_new(store, &a, &e), 0);
	attachments_sweep(a, ATTACHMENTS_STRAY_S, is_named, (void *)(uintptr_t) "");
	ck_assert_int_eq(stored(), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("attached_files");
	TCase *t = tcase_create("attached_files");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, the_same_bytes_are_kept_once);
	tcase_add_test(t, what_the_disk_made_of_the_old_file_does_not_count);
	tcase_add_test(t, a_file_that_is_another_one_is_not_attached);
	tcase_add_test(t, a_secret_is_found_wherever_it_lies);
	tcase_add_test(t, the_type_is_what_name_and_bytes_agree_on);
	tcase_add_test(t, a_picture_is_known_by_its_bytes_alone);
	tcase_add_test(t, the_sweep_takes_what_no_row_names);
	tcase_add_test(t, a_clock_that_is_set_makes_no_file_old);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
