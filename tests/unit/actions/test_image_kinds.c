/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said of files that are more than bytes, made by the reference tools: avbtool 1.2.0 (a hash footer of partition boot,
 * rollback index 7, and a vbmeta of algorithm NONE), veritysetup 2.6 (64 blocks of 1024 in hash blocks of 512), bmaptool 3.6 (8 MiB,
 * two ranges); and an init packet by dfu-cc.proto. Then what is said of them where they are cut off or damaged.
 */
#include <fcntl.h>
#include <unistd.h>

#include "daemon/actions/image_json.h"
#include "tests/unit/unit.h"
#include "transports/images/avb.h"
#include "transports/images/bmap.h"
#include "transports/images/nordic_init.h"
#include "transports/images/verity.h"

static uint8_t file[16384];
static size_t n;
static struct err e;
static json_t *info;

static void load(const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/../../fuzz/corpus/%s", TEST_DIR, name);
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t k = fd < 0 ? -1 : read(fd, file, sizeof file);

	ck_assert_msg(k > 0 && (size_t)k < sizeof file, "%s", path);
	n = (size_t)k;
}

/* What `provctl image info` says. */
static int tell(void)
{
	const struct iotime forever = {UINT64_MAX, NULL};
	struct blob *b;
	uint8_t *bytes;
	int r;

	json_decref(info);
	info = NULL;
	ck_assert_int_eq(blob_new("f.img", n, &bytes, &b, &e), 0);
	memcpy(bytes, file, n);
	blob_seal(b);
	ck_assert(blob_has_kind(b));
	r = blob_json(b, &forever, &info, &e);
	blob_unref(b);
	return r;
}

static void tear_down(void)
{
	json_decref(info);
	info = NULL;
}

static void refused(int r, const char *says)
{
	ck_assert_msg(r == -ERR_IMAGE_INVALID && strstr(e.msg, says), "%d '%s' does not say '%s'",
		r, e.msg, says);
}

static json_int_t number(const char *kind, const char *key)
{
	return json_integer_value(json_object_get(json_object_get(info, kind), key));
}

static const char *word(const char *kind, const char *key)
{
	const char *s = json_string_value(json_object_get(json_object_get(info, kind), key));

	return s ? s : "";
}

START_TEST(an_avb_footer_says_what_avbtool_says)
{
	load("kinds_avb");
	ck_assert_msg(tell() == 0, "%s", e.msg);
	ck_assert_str_eq(word("avb", "partition"), "boot");
	ck_assert_str_eq(word("avb", "algorithm"), "SHA256_RSA2048");
	ck_assert_str_eq(word("avb", "release"), "avbtool 1.2.0");
	ck_assert_int_eq(number("avb", "vbmeta_bytes"), 1344);
	ck_assert_int_eq(number("avb", "data_bytes"), 4096);
	ck_assert_int_eq(number("avb", "partition_bytes"), (json_int_t)n);
	ck_assert_int_eq(number("avb", "rollback_index"), 7);
	ck_assert_int_eq(number("avb", "digests_compared"), 2);
	load("kinds_vbmeta");
	ck_assert_msg(tell() == 0, "%s", e.msg);
	ck_assert_str_eq(word("avb", "algorithm"), "NONE");
	ck_assert_int_eq(number("avb", "flags"), 2);
	ck_assert(json_is_false(json_object_get(json_object_get(info, "avb"), "signed")));
}
END_TEST

START_TEST(damage_that_avb_vouches_for_is_found)
{
	struct avb a;

	load("kinds_avb");
	for (size_t i = 0; i < 4096 + 1344; i++) {
		/* The signature is the bootloader's to judge, and the hash's own place has other bytes around. */
		if (i >= 4096 + 256 + 32 && i < 4096 + 256 + 320)
			continue;
		file[i] ^= 0x10;
		ck_assert_msg(avb_read("f", file, n, &a, &e) < 0 && e.msg[0], "at %zu", i);
		file[i] ^= 0x10;
	}
	ck_assert_int_eq(avb_read("f", file, n, &a, &e), 0);
	file[100] ^= 1;
	refused(tell(), "hash is not that of the partition's data");
}
END_TEST

START_TEST(a_vbmeta_that_is_cut_off_is_refused)
{
	struct avb a;
	size_t whole;

	load("kinds_vbmeta");
	for (whole = n, n = 4; n < whole; n++)
		ck_assert_msg(avb_read("f", file, n, &a, &e) == -ERR_IMAGE_INVALID, "at %zu", n);
	load("kinds_avb");
	/* The footer stays at the end, and its partition is shorter. */
	memmove(file + 4096 + 1000, file + n - 64, 64);
	refused(avb_read("f", file, 4096 + 1000 + 64, &a, &e), "footer names bytes");
}
END_TEST

START_TEST(a_hash_tree_says_what_veritysetup_says)
{
	load("kinds_verity");
	ck_assert_msg(tell() == 0, "%s", e.msg);
	ck_assert_str_eq(word("verity", "algorithm"), "sha256");
	ck_assert_int_eq(number("verity", "data_bytes"), 64 * 1024);
	ck_assert_int_eq(number("verity", "tree_bytes"), 5 * 512);
	ck_assert_int_eq(number("verity", "salt_bytes"), 32);
	ck_assert_uint_eq(strlen(word("verity", "uuid")), 36);
	ck_assert_str_eq(
		json_string_value(json_object_get(info, "content")), "a hash tree of dm-verity");
}
END_TEST

START_TEST(a_hash_tree_that_is_cut_off_or_makes_no_sense_is_refused)
{
	struct verity v;
	size_t whole;

	load("kinds_verity");
	for (whole = n, n = 0; n < whole; n++)
		ck_assert_msg(
			verity_read("f", file, n, 0, &v, &e) == -ERR_IMAGE_INVALID, "at %zu", n);
	file[64] = 3; /* the size of a block: no power of two */
	refused(verity_read("f", file, whole, 0, &v, &e), "makes no sense");
	file[64] = 0;
	file[8] = 9;
	ck_assert_int_eq(verity_read("f", file, whole, 0, &v, &e), -ERR_UNSUPPORTED);
}
END_TEST

START_TEST(a_block_map_says_what_bmaptool_wrote)
{
	load("kinds_bmap");
	ck_assert_msg(tell() == 0, "%s", e.msg);
	ck_assert_str_eq(word("bmap", "version"), "2.0");
	ck_assert_int_eq(number("bmap", "image_bytes"), 8 << 20);
	ck_assert_int_eq(number("bmap", "block_bytes"), 4096);
	ck_assert_int_eq(number("bmap", "mapped_bytes"), 26 * 4096);
	ck_assert_int_eq(number("bmap", "ranges"), 2);
	ck_assert(
		json_is_true(json_object_get(json_object_get(info, "bmap"), "checksum_compared")));
}
END_TEST

START_TEST(a_block_map_that_was_changed_or_cut_off_is_refused)
{
	struct bmap *m = NULL;
	size_t whole;

	load("kinds_bmap");
	for (size_t i = 0; i < n; i++) {
		file[i] ^= 1;
		ck_assert_msg(bmap_read("f", file, n, &m, &e) < 0 && e.msg[0], "at %zu", i);
		file[i] ^= 1;
	}
	for (whole = n, n = 0; n < whole - 1; n++)
		ck_assert_msg(bmap_read("f", file, n, &m, &e) < 0, "at %zu", n);
}
END_TEST

/* Without a checksum the numbers alone say it. */
START_TEST(a_block_map_that_contradicts_itself_is_refused)
{
#define MAP(blocks, mapped, ranges)                                                     \
	"<bmap version=\"1.2\"><ImageSize>10000</ImageSize><BlockSize>4096</BlockSize>" \
	"<BlocksCount>" blocks "</BlocksCount><MappedBlocksCount>" mapped               \
	"</MappedBlocksCount><BlockMap>" ranges "</BlockMap></bmap>"
	static const struct {
		const char *text, *says;
	} all[] = {
		{MAP("2", "1", "<Range>0</Range>"), "BlocksCount"},
		{MAP("3", "2", "<Range>0</Range>"), "MappedBlocksCount"},
		{MAP("3", "2", "<Range>2-3</Range>"), "after the last block"},
		{MAP("3", "2", "<Range>1</Range><Range>0</Range>"), "not in their order"},
		{MAP("3", "2", "<Range>1-0</Range>"), "not in their order"},
		{MAP("3", "1", "<Range>x</Range>"), "not a number of a block"},
		{MAP("3", "1", "<Range>-1</Range>"), "not a number of a block"},
		{MAP("three", "1", "<Range>1</Range>"), "a number expected"},
		{"<map version=\"1.2\"></map>", "<bmap>"},
		{"<bmap version=\"2.0\"></bmap>", "missing"},
		{"<bmap version=\"2.0\">", "line 1"},
	};
	static const char good[] = MAP("3", "2", "<Range>0-1</Range>");
	struct bmap *m = NULL;
	static const uint8_t image[10000];

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		refused(bmap_read("f", (const uint8_t *)all[i].text, strlen(all[i].text), &m, &e),
			all[i].says);
	ck_assert_msg(
		bmap_read("f", (const uint8_t *)good, strlen(good), &m, &e) == 0, "%s", e.msg);
	ck_assert(!m->own_compared);
	ck_assert_int_eq(bmap_compare(m, "i", image, sizeof image, &e), 0);
	refused(bmap_compare(m, "i", image, 9999, &e), "has 9999 bytes");
	bmap_free(m);
	ck_assert_int_eq(
		bmap_read("f", (const uint8_t *)"<bmap version=\"3.0\"></bmap>", 27, &m, &e),
		-ERR_UNSUPPORTED);
}
END_TEST

START_TEST(an_init_packet_says_what_it_is_for)
{
	struct nordic_init i;
	uint8_t image[256], sum[SHA256_BYTES];
	size_t whole;
	unsigned taken = 0;

	load("kinds_init");
	ck_assert_msg(nordic_init_read("f", file, n, &i, &e) == 0, "%s", e.msg);
	for (unsigned k = 0; k < sizeof image; k++)
		image[k] = (uint8_t)k;
	sha256_of(image, sizeof image, sum);
	ck_assert_mem_eq(i.sha256, sum, sizeof sum);
	ck_assert(i.is_signed && i.has_sha256 && i.has_version);
	ck_assert_uint_eq(i.version, 3);
	ck_assert_uint_eq(i.hardware, 52);
	ck_assert_uint_eq(i.app_bytes, 256);
	ck_assert_uint_eq(i.sd_reqs, 2);
	ck_assert_uint_eq(i.sd_req[1], 0xca);
	ck_assert_str_eq(i.type, "application");
	for (whole = n, n = 0; n < whole; n++)
		taken += nordic_init_read("f", file, n, &i, &e) == 0;
	ck_assert_uint_eq(taken, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("image_kinds");
	TCase *t = tcase_create("image_kinds");

	tcase_add_checked_fixture(t, NULL, tear_down);
	tcase_add_test(t, an_avb_footer_says_what_avbtool_says);
	tcase_add_test(t, damage_that_avb_vouches_for_is_found);
	tcase_add_test(t, a_vbmeta_that_is_cut_off_is_refused);
	tcase_add_test(t, a_hash_tree_says_what_veritysetup_says);
	tcase_add_test(t, a_hash_tree_that_is_cut_off_or_makes_no_sense_is_refused);
	tcase_add_test(t, a_block_map_says_what_bmaptool_wrote);
	tcase_add_test(t, a_block_map_that_was_changed_or_cut_off_is_refused);
	tcase_add_test(t, a_block_map_that_contradicts_itself_is_refused);
	tcase_add_test(t, an_init_packet_says_what_it_is_for);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
