/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed firmware comes out whole or not at all: the files are made by the programs that people pack with, cut at each place
 * and damaged at each bit that matters.
 */
#include "transports/images/packed.h"

#include <stdio.h>
#include <string.h>

#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/tree.h"
#include "tests/unit/unit.h"
#include "transports/images/cache.h"
#include "transports/images/image.h"

#define MAX_BYTES (1u << 20)

static char dir[64];
static struct err e;
static struct packed_facts facts; /* of the newest */

/* hex: 16 bytes at 0x08000000. noise: what no packer makes smaller, so that each of its bytes is in the file. */
static const char maker[] =
	"set -e; cd %s\n"
	"printf ':020000040800F2\\n:10000000000102030405060708090A0B0C0D0E0F78\\n:00000001FF\\n' > fw.hex\n"
	"head -c 5000 /dev/urandom > noise\n"
	"for f in fw.hex noise; do gzip -k $f; xz -k $f; bzip2 -k $f; zstd -q -k $f; done\n"
	"zstd -q --no-check noise -o bare.zst; xz --check=none -c noise > bare.xz\n"
	"cat noise.gz fw.hex.gz > two.gz; cat noise fw.hex > two; for p in xz bz2 zst; do cat noise.$p fw.hex.$p > two.$p; done\n"
	"mkdir -p sub; cp noise sub/noise\n"
	"tar cf many.tar fw.hex noise sub; tar cJf many.tar.xz fw.hex noise; tar czf one.tgz fw.hex\n"
	"tar cf twice.tar fw.hex noise; tar rf twice.tar fw.hex\n"
	"mkdir none; tar cf none.tar none; cp noise \"$(printf 'f\\374r.bin')\"; tar cf latin.tar f*r.bin\n"
	"/usr/bin/python3 -W ignore -c \"import zipfile; z = zipfile.ZipFile('many.zip', 'w', zipfile.ZIP_DEFLATED);"
	" z.write('fw.hex', 'out/fw.hex'); z.write('noise', 'f\\u00fcr/noise'); z.close();"
	" z = zipfile.ZipFile('one.zip', 'w'); z.write('noise'); z.close();"
	" z = zipfile.ZipFile('mac.zip', 'w'); z.write('noise'); z.writestr('__MACOSX/._noise', b'x'); z.close()\"\n"
	"mkdir mac; cp noise mac; echo x > mac/._noise; tar cf mac.tar -C mac ._noise noise\n"
	"head -c 2000000 /dev/zero | gzip > bomb.gz; gzip -c noise.gz > twice.gz\n";

static void set_up(void)
{
	char command[4096];

	strcpy(dir, "/tmp/test_packed.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(command, sizeof command, maker, dir);
	ck_assert_int_eq(system(command), 0);
}

static void tear_down(void)
{
	tree_remove(dir);
}

static void read_file(const char *name, struct strbuf *ret)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	char buf[4096];
	FILE *f = fopen(path, "re");
	size_t n;

	ck_assert_msg(f != NULL, "%s", path);
	*ret = (struct strbuf){0};
	while ((n = fread(buf, 1, sizeof buf, f)) > 0)
		sb_add_n(ret, buf, n);
	fclose(f);
}

static int unpack_bytes(
	const void *bytes, size_t n, const char *name, const char *member, struct blob **ret)
{
	const struct packed_opts o = {
		.name = name, .member = member, .max = MAX_BYTES, .it = {NO_DEADLINE, NULL}};

	int r;

	*ret = NULL;
	e = (struct err){0};
	r = packed_open(bytes, n, &o, ret, &e);
	facts = *ret ? (*ret)->packed : (struct packed_facts){0};
	return r;
}

static int unpack(const char *name, const char *member, struct blob **ret)
{
	struct strbuf file;
	int r;

	read_file(name, &file);
	r = unpack_bytes(file.s, file.len, name, member, ret);
	sb_done(&file);
	return r;
}

/* What comes out is that file, and how it was packed. */
static void holds(const char *name, const char *member, const char *file, const char *how)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	struct strbuf want;
	int r = unpack(name, member, &b);

	ck_assert_msg(r == 0, "%s: %s", name, e.msg);
	read_file(file, &want);
	ck_assert_uint_eq(b->size, want.len);
	ck_assert_int_eq(memcmp(b->data, want.s, want.len), 0);
	ck_assert_str_eq(facts.how, how);
	sb_done(&want);
}

static void refused(const char *name, const char *member, enum err_code code, const char *says)
{
	struct blob *b = NULL;
	int r = unpack(name, member, &b);

	ck_assert_msg(
		r == -(int)code, "%s: %s expected, got %d: %s", name, err_code_str(code), r, e.msg);
	ck_assert_msg(strstr(e.msg, says) != NULL, "'%s' expected in: %s", says, e.msg);
	ck_assert_ptr_null(b);
}

START_TEST(each_packing_gives_what_went_in)
{
	holds("noise.gz", NULL, "noise", "gzip");
	holds("noise.xz", NULL, "noise", "xz");
	holds("noise.bz2", NULL, "noise", "bzip2");
	holds("noise.zst", NULL, "noise", "zstd");
	ck_assert(!facts.unproved);
	ck_assert_str_eq(facts.name, "noise");
	holds("one.tgz", NULL, "fw.hex", "gzip, tar");
	ck_assert_str_eq(facts.name, "fw.hex");
	holds("one.zip", NULL, "noise", "zip");
	holds("many.tar", "noise", "noise", "tar");
	holds("many.tar", "sub/noise", "noise", "tar");
	holds("many.tar.xz", "fw.hex", "fw.hex", "xz, tar");
	holds("many.zip", "out/fw.hex", "fw.hex", "zip");
	/* In the locale of a service. */
	holds("many.zip", "f\xc3\xbcr/noise", "noise", "zip");
	ck_assert_str_eq(facts.name, "f\xc3\xbcr/noise");
	/* A name that JSON cannot hold: as people read it. */
	holds("latin.tar", NULL, "noise", "tar");
	ck_assert_str_eq(facts.name, "f\\xfcr.bin");
}
END_TEST

START_TEST(members_of_a_gzip_file_are_read_one_after_another)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	struct strbuf noise, hex;

	ck_assert_int_eq(unpack("two.gz", NULL, &b), 0);
	read_file("noise", &noise);
	read_file("fw.hex", &hex);
	ck_assert_uint_eq(b->size, noise.len + hex.len);
	ck_assert_int_eq(memcmp(b->data + noise.len, hex.s, hex.len), 0);
	sb_done(&noise);
	sb_done(&hex);
}
END_TEST

static void cut_everywhere(const char *name, const char *member)
{
	struct strbuf file, want;

	read_file(name, &file);
	read_file("noise", &want);
	for (size_t n = 1; n < file.len; n += n < 64 || n + 64 > file.len ? 1 : 97) {
		_cleanup_(blob_unrefp) struct blob *b = NULL;
		int r = unpack_bytes(file.s, n, name, member, &b);

		/* What is too short for its mark is not packed at all; of a tar archive its end says nothing. */
		ck_assert_msg(
			r < 0 || !b || (b->size == want.len && !memcmp(b->data, want.s, want.len)),
			"%s cut at %zu of %zu is taken", name, n, file.len);
	}
	sb_done(&file);
	sb_done(&want);
}

START_TEST(a_file_that_is_not_whole_is_refused)
{
	static const struct {
		const char *name, *member;
	} files[] = {{"noise.gz", NULL}, {"noise.xz", NULL}, {"noise.bz2", NULL},
		{"noise.zst", NULL}, {"bare.zst", NULL}, {"one.zip", NULL},
		{"many.zip", "f\xc3\xbcr/noise"}, {"many.tar", "noise"}, {"many.tar.xz", "noise"}};

	cut_everywhere(files[_i].name, files[_i].member);
}
END_TEST

START_TEST(a_bit_that_is_another_one_is_seen)
{
	static const char *const files[] = {
		"noise.gz", "noise.xz", "noise.bz2", "noise.zst", "one.zip"};
	struct strbuf file, want;

	read_file(files[_i], &file);
	read_file("noise", &want);
	for (size_t at = 0; at < file.len * 8; at += 233) {
		_cleanup_(blob_unrefp) struct blob *b = NULL;
		int r;

		file.s[at / 8] = (char)(file.s[at / 8] ^ (1 << at % 8));
		r = unpack_bytes(file.s, file.len, files[_i], NULL, &b);
		ck_assert_msg(
			r < 0 || !b || (b->size == want.len && !memcmp(b->data, want.s, want.len)),
			"%s: bit %zu is another one, and other bytes came out", files[_i], at);
		file.s[at / 8] = (char)(file.s[at / 8] ^ (1 << at % 8));
	}
	sb_done(&file);
	sb_done(&want);
}
END_TEST

START_TEST(what_macos_adds_is_no_second_file)
{
	holds("mac.zip", NULL, "noise", "zip");
	holds("mac.tar", NULL, "noise", "tar");
	holds("mac.tar", "._noise", "mac/._noise", "tar");
}
END_TEST

START_TEST(what_is_not_clear_is_a_sentence)
{
	refused("many.tar", NULL, ERR_IMAGE_INVALID,
		"'member' has to name one of fw.hex, noise, sub/noise");
	refused("many.tar", "other", ERR_NOT_FOUND, "has no member other: it has fw.hex, noise");
	refused("twice.tar", "fw.hex", ERR_IMAGE_INVALID, "2 times");
	refused("none.tar", NULL, ERR_IMAGE_INVALID, "without a file");
	refused("noise.gz", "fw.hex", ERR_IMAGE_INVALID, "not a tar or zip archive");
	refused("noise", "fw.hex", ERR_IMAGE_INVALID, "not a tar or zip archive");
	refused("bomb.gz", NULL, ERR_TOO_LARGE, "more than the 1 MiB");
}
END_TEST

/* A packer that uses all cores writes many streams: what cannot be read of the second is not left out. */
START_TEST(a_second_stream_is_read_or_the_file_is_refused)
{
	static const char *const endings[] = {"gz", "xz", "bz2", "zst"};
	static const char *const hows[] = {"gzip", "xz", "bzip2", "zstd"};
	_cleanup_(freep) char *two = xasprintf("two.%s", endings[_i]);
	_cleanup_(freep) char *first = xasprintf("noise.%s", endings[_i]);
	struct strbuf file, one;
	struct blob *b = NULL;

	read_file(two, &file);
	read_file(first, &one);
	holds(two, NULL, "two", hows[_i]);
	file.s[one.len] = (char)(file.s[one.len] ^ 1); /* where the second begins */
	ck_assert_int_eq(unpack_bytes(file.s, file.len, two, NULL, &b), -ERR_IMAGE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "is damaged or not whole"));
	file.s[one.len] = (char)(file.s[one.len] ^ 1);
	for (size_t n = one.len + 1; n < file.len; n++)
		ck_assert_int_eq(unpack_bytes(file.s, n, two, NULL, &b), -ERR_IMAGE_INVALID);
	sb_done(&file);
	sb_done(&one);
}
END_TEST

START_TEST(one_layer_is_taken_off)
{
	holds("twice.gz", NULL, "noise.gz", "gzip");
}
END_TEST

START_TEST(a_file_without_a_checksum_is_said)
{
	holds("bare.zst", NULL, "noise", "zstd");
	ck_assert(facts.unproved);
	holds("bare.xz", NULL, "noise", "xz");
	ck_assert(facts.unproved);
	holds("noise.xz", NULL, "noise", "xz");
	ck_assert(!facts.unproved);
}
END_TEST

START_TEST(a_firmware_file_is_what_is_in_it)
{
	static const char *const files[] = {
		"fw.hex.gz", "fw.hex.xz", "fw.hex.bz2", "fw.hex.zst", "one.tgz"};
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, files[_i]);
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct image *i = NULL;

	ck_assert_msg(image_open(path, &o, &i, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(i->format, IMAGE_IHEX);
	ck_assert_uint_eq(i->segments[0].address, 0x08000000);
	ck_assert_uint_eq(i->bytes, 16);
	ck_assert_str_ne(i->sha256, i->unpacked_sha256);
	image_unref(i);
	/* What is declared to be bytes stays as it is. */
	o = IMAGE_OPTS(0);
	o.format = IMAGE_BIN;
	ck_assert_msg(image_open(path, &o, &i, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(i->packed.how, "");
	ck_assert_uint_gt(i->bytes, 16);
	image_unref(i);
}
END_TEST

START_TEST(two_members_of_one_archive_are_two_images)
{
	_cleanup_(freep) char *path = xasprintf("%s/many.tar", dir);
	const struct iotime it = {NO_DEADLINE, NULL};
	struct image_cache *c = image_cache_new();
	struct image_opts o = IMAGE_OPTS(0x1000);
	struct image *a = NULL, *b = NULL, *again = NULL;

	o.member = "noise";
	ck_assert_int_eq(image_cache_image(c, path, &o, &it, &a, &e), 0);
	ck_assert_int_eq(image_cache_image(c, path, &o, &it, &again, &e), 0);
	ck_assert_ptr_eq(a, again);
	o.member = "fw.hex";
	o.address = IMAGE_NO_ADDRESS;
	ck_assert_int_eq(image_cache_image(c, path, &o, &it, &b, &e), 0);
	ck_assert_uint_eq(b->bytes, 16);
	image_unref(a);
	image_unref(again);
	image_unref(b);
	image_cache_free(c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("packed");
	TCase *t = tcase_create("packed");

	tcase_add_unchecked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, each_packing_gives_what_went_in);
	tcase_add_test(t, members_of_a_gzip_file_are_read_one_after_another);
	tcase_add_loop_test(t, a_file_that_is_not_whole_is_refused, 0, 9);
	tcase_add_loop_test(t, a_bit_that_is_another_one_is_seen, 0, 5);
	tcase_add_test(t, what_macos_adds_is_no_second_file);
	tcase_add_test(t, what_is_not_clear_is_a_sentence);
	tcase_add_loop_test(t, a_second_stream_is_read_or_the_file_is_refused, 0, 4);
	tcase_add_test(t, one_layer_is_taken_off);
	tcase_add_test(t, a_file_without_a_checksum_is_said);
	tcase_add_loop_test(t, a_firmware_file_is_what_is_in_it, 0, 5);
	tcase_add_test(t, two_members_of_one_archive_are_two_images);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
