/* SPDX-License-Identifier: Apache-2.0
 *
 * DFU and DfuSe sessions against provsim's device, which shares no code with them.
 */
#include "tests/unit/transports/dfu_bench.h"
#include "tests/unit/transports/image_files.h"

#define BASE 0x08000000u

static struct err e;
static struct iotime soon;
static uint8_t content[200 * 1024];
static struct dfu_bench *t;

static void setup(void)
{
	soon = (struct iotime){now_us() + 60 * US_PER_S, NULL};
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (uint8_t)((i * 2654435761u) >> 11);
}

static void teardown(void)
{
	if (t)
		t = bench_free(t);
}

static struct image *image_at(uint64_t address, size_t n)
{
	struct image *i = NULL;

	ck_assert_msg(image_parse("test.bin", content, n, &IMAGE_OPTS(address), &i, &e) == 0, "%s",
		e.msg);
	return i;
}

static const struct dfuse_options careful = {.erase = DFUSE_ERASE_PAGES, .verify = true};

static int write_image(
	const struct image *i, const struct dfuse_options *o, struct dfuse_result *res)
{
	struct dfuse_map m;

	bench_map(t, &m);
	return dfuse_write(&t->dfu, &m, i, 0, o, res, &soon, &e);
}

/* What the cells hold, read past the session. */
static void check_cells(uint32_t address, const uint8_t *want, size_t n)
{
	struct dfuse_map m;
	_cleanup_(freep) uint8_t *buf = malloc(n);

	bench_session(t, 0);
	bench_map(t, &m);
	ck_assert_msg(dfu_make_idle(&t->dfu, &soon, &e) == 0, "%s", e.msg);
	ck_assert_msg(dfuse_read(&t->dfu, &m, address, buf, n, &soon, &e) == 0, "%s", e.msg);
	ck_assert_mem_eq(buf, want, n);
}

START_TEST(a_functional_descriptor_is_found_among_others)
{
	static const uint8_t both[] = {5, 0x24, 0, 0x10, 1, 9, 0x21, 0x0b, 0xff, 0, 0, 8, 0x1a, 1};
	static const uint8_t old[] = {7, 0x21, 0x05, 0xe8, 3, 64, 0};
	static const uint8_t cut[] = {9, 0x21, 0x0b, 0xff};
	static const uint8_t zero[] = {0, 0x21, 0x0b, 0xff, 0, 0, 8, 0x1a, 1};
	struct dfu_functional f;

	ck_assert(dfu_functional_parse(both, sizeof both, &f));
	ck_assert_uint_eq(f.version, DFU_VERSION_DFUSE);
	ck_assert_uint_eq(f.transfer_bytes, 2048);
	ck_assert(f.will_detach && f.can_upload && f.can_download && !f.tolerant);
	ck_assert(dfu_functional_parse(old, sizeof old, &f));
	ck_assert_uint_eq(f.version, 0x0100);
	ck_assert_uint_eq(f.detach_ms, 1000);
	ck_assert(!dfu_functional_parse(cut, sizeof cut, &f));
	ck_assert(!dfu_functional_parse(zero, sizeof zero, &f));
	ck_assert(!dfu_functional_parse(NULL, 0, &f));
}
END_TEST

START_TEST(an_image_is_written_and_read_back)
{
	struct dfuse_result res;
	struct image *i = image_at(BASE, 100 * 1024 + 3);

	t = bench_new(NULL);
	ck_assert_msg(write_image(i, &careful, &res) == 0, "%s", e.msg);
	ck_assert_str_eq(res.sha256_written, res.sha256_read);
	ck_assert_uint_eq(res.bytes, 100 * 1024 + 3);
	/* 4 pages of 16 KiB and one of 64 KiB. */
	ck_assert_uint_eq(res.pages_erased, 5);
	ck_assert_int_eq(bench_count(t, "erases"), 5);
	check_cells(BASE, content, 100 * 1024 + 3);
	image_unref(i);
}
END_TEST

/* The address counts in wTransferSize, which may be more than a control transfer takes. */
START_TEST(any_transfer_size_reaches_the_right_addresses)
{
	static const char *const sizes[] = {"64", "1024", "2048", "4096", "4092"};

	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		struct dfuse_result res;
		struct image *i = image_at(BASE + 0x4000 + 0x10, 30000);

		t = bench_new((const char *const[]){"dfu-transfer", sizes[k], NULL});
		ck_assert_msg(write_image(i, &careful, &res) == 0, "%s: %s", sizes[k], e.msg);
		check_cells(BASE + 0x4010, content, 30000);
		image_unref(i);
		t = bench_free(t);
	}
}
END_TEST

START_TEST(two_segments_that_share_a_page_and_a_write_unit_both_arrive)
{
	/* 3 bytes at 0, 3 at 4: one unit of 8. */
	static const char hex[] =
		":020000040800F2\n:03000000010203F7\n:03000400040506EA\n:00000001FF\n";
	static const uint8_t want[8] = {1, 2, 3, 0xff, 4, 5, 6, 0xff};
	struct image *i = NULL;
	struct dfuse_result res;

	ck_assert_msg(image_parse("two.hex", hex, strlen(hex), &IMAGE_OPTS(IMAGE_NO_ADDRESS), &i,
			      &e) == 0,
		"%s", e.msg);
	ck_assert_uint_eq(i->count, 2);
	t = bench_new(NULL);
	ck_assert_msg(write_image(i, &careful, &res) == 0, "%s", e.msg);
	ck_assert_uint_eq(res.pages_erased, 1);
	ck_assert_int_eq(bench_count(t, "downloads"), 5); /* erase, address, block; 2 reads' */
	check_cells(BASE, want, 8);
	image_unref(i);
}
END_TEST

START_TEST(what_is_there_already_is_not_written_again)
{
	struct dfuse_result res;
	struct dfuse_options o = careful;
	struct image *i = image_at(BASE, 40000);

	o.skip_equal = true;
	t = bench_new(NULL);
	ck_assert_int_eq(write_image(i, &o, &res), 0);
	ck_assert(!res.skipped);

	json_int_t erases = bench_count(t, "erases");

	ck_assert_int_eq(write_image(i, &o, &res), 0);
	ck_assert(res.skipped);
	ck_assert_str_eq(res.sha256_read, res.sha256_written);
	ck_assert_int_eq(bench_count(t, "erases"), erases);
	image_unref(i);
}
END_TEST

START_TEST(an_image_outside_the_map_erases_nothing)
{
	struct dfuse_result res;
	struct image *i = image_at(BASE + 1024 * 1024 - 100, 200);

	t = bench_new(NULL);
	ck_assert_int_eq(write_image(i, &careful, &res), -ERR_IMAGE_RANGE);
	ck_assert_ptr_nonnull(strstr(e.msg, "0x08100000"));
	ck_assert_int_eq(bench_count(t, "downloads"), 0);
	image_unref(i);
}
END_TEST

START_TEST(memory_that_cannot_be_erased_or_read_is_refused_before_anything)
{
	/* 'e': read and write, 'f': erase and write. */
	static const struct {
		const char *map;
		const char *word;
	} rows[] = {{"@Option Bytes  /0x1FFF0000/01*512 e", "'erase: none'"},
		{"@Keys  /0x1FFF0000/01*512 f", "readable"},
		{"@ROM  /0x1FFF0000/01*512 a", "erasable"}};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		struct dfuse_result res;
		struct image *i = image_at(0x1fff0000, 100);

		t = bench_new((const char *const[]){"dfu-memory", rows[k].map, NULL});
		ck_assert_int_eq(write_image(i, &careful, &res), -ERR_IMAGE_RANGE);
		ck_assert_msg(strstr(e.msg, rows[k].word) != NULL, "%s", e.msg);
		ck_assert_int_eq(bench_count(t, "downloads"), 0);
		image_unref(i);
		t = bench_free(t);
	}
}
END_TEST

START_TEST(every_target_of_a_container_is_asked_of_its_memory_before_one_is_written)
{
	static const uint8_t bytes[16] = {1, 2, 3};
	static const struct part flash = {0x08000000, bytes, 16};
	static const struct part option = {0x1fffc000, bytes, 16};
	static const char *const maps[] = {
		"@Internal Flash  /0x08000000/04*016Kg", "@Option Bytes  /0x1FFFC000/01*016 e"};
	const struct dfuse_options none = {.erase = DFUSE_ERASE_NONE};
	struct strbuf b = {0}, targets = {0};
	struct dfuse_map map[2];
	struct image *i = NULL;

	dfuse_target(&targets, 0, &flash, 1);
	dfuse_target(&targets, 1, &option, 1);
	sb_add(&b, "DfuSe\x01");
	put_le(&b, 11 + targets.len, 4);
	put_le(&b, 2, 1);
	sb_add_n(&b, targets.s, targets.len);
	add_dfu_suffix(&b, 0x0483, 0xdf11, 0x0200, 0x011a);
	ck_assert_msg(image_parse("fw.dfu", b.s, b.len, &IMAGE_OPTS(IMAGE_NO_ADDRESS), &i, &e) == 0,
		"%s", e.msg);
	for (int k = 0; k < 2; k++)
		ck_assert_int_eq(dfuse_map_parse(maps[k], &map[k], &e), 0);
	ck_assert_int_eq(dfuse_check(&map[0], i, 0, &careful, &e), 0);
	ck_assert_int_eq(dfuse_check(&map[1], i, 1, &careful, &e), -ERR_IMAGE_RANGE);
	ck_assert_msg(
		strstr(e.msg, "'Option Bytes' can be written and not erased") != NULL, "%s", e.msg);
	ck_assert_int_eq(dfuse_check(&map[1], i, 1, &none, &e), 0);
	ck_assert_int_eq(dfuse_check(&map[1], i, 0, &careful, &e), -ERR_IMAGE_RANGE);
	image_unref(i);
	sb_done(&targets);
	sb_done(&b);
}
END_TEST

/* An interrupted unit has no vector table: nothing takes it for a finished one. */
START_TEST(the_first_block_is_written_last)
{
	struct dfuse_result res;
	struct image *i = image_at(BASE, 60000);
	uint8_t blank[64];

	memset(blank, 0xff, sizeof blank);
	t = bench_new(NULL);
	bench_fault(t, "disappear=25");
	ck_assert_int_eq(write_image(i, &careful, &res), -ERR_DEVICE_GONE);
	t->gone = false;
	check_cells(BASE, blank, sizeof blank);
	image_unref(i);
}
END_TEST

/* Each fault: never a pass of what is not there, and the code that fits. */
START_TEST(each_fault_ends_as_what_it_is)
{
	static const struct {
		const char *fault;
		int code; /* 0: it may pass, verified */
	} rows[] = {
		{"status=3", -ERR_DEVICE_REFUSED},
		{"status=11", -ERR_DEVICE_REFUSED},
		{"stall=0", -ERR_DEVICE_REFUSED},
		{"stall=7", -ERR_DEVICE_REFUSED},
		{"weak-cell=5,count=0", -ERR_VERIFY_MISMATCH},
		{"weak-cell=59999,count=0", -ERR_VERIFY_MISMATCH},
		{"lost-write=3", -ERR_VERIFY_MISMATCH},
		{"busy-forever", -ERR_TIMEOUT},
		{"short-upload", -ERR_PROTOCOL},
		{"bad-state", -ERR_PROTOCOL},
		{"short-status", -ERR_PROTOCOL},
		{"disappear=9", -ERR_DEVICE_GONE},
		{"stall-busy", -ERR_DEVICE_REFUSED},
	};

	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		struct dfuse_result res;
		struct image *i = image_at(BASE, 60000);

		t = bench_new(NULL);
		bench_fault(t, rows[k].fault);

		int r = write_image(i, &careful, &res);

		ck_assert_msg(r == rows[k].code, "%s: %d '%s', %d expected", rows[k].fault, r,
			e.msg, rows[k].code);
		ck_assert_msg(t->faults.fired > 0, "%s did not happen", rows[k].fault);
		image_unref(i);
		t = bench_free(t);
	}
}
END_TEST

/* Old content under a page that was not erased: the write cannot have worked. */
START_TEST(an_erase_that_does_nothing_is_seen)
{
	struct dfuse_result res;
	struct image *i = image_at(BASE, 60000);
	struct image *other;

	t = bench_new(NULL);
	ck_assert_int_eq(write_image(i, &careful, &res), 0);
	for (size_t k = 0; k < sizeof content; k++)
		content[k] = (uint8_t)~content[k];
	other = image_at(BASE, 60000);
	bench_fault(t, "no-erase,count=0");
	ck_assert_int_eq(write_image(other, &careful, &res), -ERR_VERIFY_MISMATCH);
	image_unref(i);
	image_unref(other);
}
END_TEST

START_TEST(a_device_that_stalls_while_busy_is_borne_with_where_it_is_known)
{
	struct dfuse_result res;
	struct image *i = image_at(BASE, 5000);

	t = bench_new(NULL);
	bench_session(t, DFU_QUIRK_STALLS_BUSY);
	bench_fault(t, "stall-busy");
	ck_assert_msg(write_image(i, &careful, &res) == 0, "%s", e.msg);
	image_unref(i);
}
END_TEST

START_TEST(a_session_that_was_left_in_the_middle_is_taken_over)
{
	struct dfuse_result res;
	struct image *i = image_at(BASE, 5000);

	t = bench_new(NULL);
	ck_assert_int_eq(dfuse_set_address(&t->dfu, BASE, &soon, &e), 0);
	ck_assert_msg(write_image(i, &careful, &res) == 0, "%s", e.msg);
	/* An error that no one cleared. */
	bench_fault(t, "stall=0");
	ck_assert_int_eq(dfuse_set_address(&t->dfu, BASE, &soon, &e), -ERR_DEVICE_REFUSED);
	ck_assert_msg(write_image(i, &careful, &res) == 0, "%s", e.msg);
	image_unref(i);
}
END_TEST

START_TEST(a_mass_erase_takes_what_it_says)
{
	t = bench_new((const char *const[]){"dfu-mass-ms", "9000", NULL});
	ck_assert_msg(dfuse_mass_erase(&t->dfu, &soon, &e) == 0, "%s", e.msg);
	ck_assert_uint_ge(t->now_us, 9 * US_PER_S);
}
END_TEST

START_TEST(a_mass_erase_that_takes_longer_than_it_says_is_waited_for)
{
	t = bench_new(
		(const char *const[]){"dfu-mass-ms", "9000", "dfu-mass-says-ms", "100", NULL});
	bench_session(t, DFU_QUIRK_LONG_ERASE | DFU_QUIRK_STALLS_BUSY);
	ck_assert_msg(dfuse_mass_erase(&t->dfu, &soon, &e) == 0, "%s", e.msg);
}
END_TEST

START_TEST(a_protected_device_says_so_and_read_unprotect_frees_it)
{
	struct dfuse_map m;
	uint8_t buf[64];

	t = bench_new((const char *const[]){"dfu-protected", "1", NULL});
	bench_map(t, &m);
	ck_assert_int_eq(
		dfuse_read(&t->dfu, &m, BASE, buf, sizeof buf, &soon, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "errVENDOR"));
	ck_assert_int_eq(dfu_make_idle(&t->dfu, &soon, &e), 0);
	ck_assert_msg(dfuse_read_unprotect(&t->dfu, &soon, &e) == 0, "%s", e.msg);
	ck_assert(t->gone);
	bench_session(t, 0);
	ck_assert_msg(dfuse_read(&t->dfu, &m, BASE, buf, sizeof buf, &soon, &e) == 0, "%s", e.msg);
}
END_TEST

START_TEST(leave_starts_the_application_and_the_device_goes)
{
	t = bench_new((const char *const[]){"dfu-runtime", "1", NULL});
	ck_assert_int_eq(dfu_make_idle(&t->dfu, &soon, &e), -ERR_DEVICE_REFUSED);
	ck_assert_msg(dfu_detach(&t->dfu, &soon, &e) == 0, "%s", e.msg);
	ck_assert(t->gone);
	bench_session(t, 0);
	ck_assert_int_eq(dfu_make_idle(&t->dfu, &soon, &e), 0);
	ck_assert_msg(dfuse_leave(&t->dfu, BASE, &soon, &e) == 0, "%s", e.msg);
	ck_assert(t->gone);
	ck_assert_str_eq(t->device->ops->state(t->device), "appIDLE");
}
END_TEST

START_TEST(a_device_that_does_not_detach_by_itself_is_reset)
{
	t = bench_new((const char *const[]){"dfu-runtime", "1", "dfu-attributes", "0x03", NULL});
	ck_assert_msg(dfu_detach(&t->dfu, &soon, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(t->resets, 1);
	ck_assert_str_eq(t->device->ops->state(t->device), "dfuIDLE");
}
END_TEST

static const char *const plain[] = {
	"dfu-memory", "kernel;rootfs", "dfu-attributes", "0x0f", "dfu-transfer", "4096", NULL};

START_TEST(plain_dfu_goes_down_and_up)
{
	_cleanup_(freep) uint8_t *back = NULL;
	size_t n = 0;
	bool idle = false;

	t = bench_new(plain);
	ck_assert_int_eq(dfu_make_idle(&t->dfu, &soon, &e), 0);
	ck_assert_msg(dfu_download(&t->dfu, content, 100001, &soon, &e) == 0, "%s", e.msg);
	ck_assert_msg(dfu_manifest(&t->dfu, &idle, &soon, &e) == 0, "%s", e.msg);
	ck_assert(idle);
	ck_assert_msg(dfu_upload(&t->dfu, 1 << 20, false, &back, &n, &soon, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(n, 100001);
	ck_assert_mem_eq(back, content, n);
}
END_TEST

START_TEST(an_upload_without_end_is_bounded)
{
	_cleanup_(freep) uint8_t *back = NULL;
	size_t n = 0;
	bool idle;

	t = bench_new(plain);
	ck_assert_int_eq(dfu_download(&t->dfu, content, 100000, &soon, &e), 0);
	ck_assert_int_eq(dfu_manifest(&t->dfu, &idle, &soon, &e), 0);
	ck_assert_int_eq(dfu_upload(&t->dfu, 50000, false, &back, &n, &soon, &e), -ERR_TOO_LARGE);
	ck_assert_int_eq(dfu_make_idle(&t->dfu, &soon, &e), 0);
	ck_assert_int_eq(dfu_upload(&t->dfu, 50000, true, &back, &n, &soon, &e), 0);
	ck_assert_uint_eq(n, 50000);
	ck_assert_mem_eq(back, content, n);
}
END_TEST

START_TEST(a_manifestation_that_fails_is_told)
{
	bool idle;

	t = bench_new(plain);
	ck_assert_int_eq(dfu_download(&t->dfu, content, 5000, &soon, &e), 0);
	bench_fault(t, "manifest-error");
	ck_assert_int_eq(dfu_manifest(&t->dfu, &idle, &soon, &e), -ERR_DEVICE_REFUSED);
	ck_assert_ptr_nonnull(strstr(e.msg, "errFIRMWARE"));
}
END_TEST

START_TEST(a_device_that_waits_for_a_reset_is_no_longer_idle)
{
	bool idle = true;

	t = bench_new((const char *const[]){
		"dfu-memory", "fw", "dfu-attributes", "0x03", "dfu-runtime", "1", NULL});
	ck_assert_int_eq(dfu_detach(&t->dfu, &soon, &e), 0);
	bench_session(t, 0);
	ck_assert_int_eq(dfu_download(&t->dfu, content, 5000, &soon, &e), 0);
	ck_assert_msg(dfu_manifest(&t->dfu, &idle, &soon, &e) == 0, "%s", e.msg);
	ck_assert(!idle);
	ck_assert_int_eq(bench_reset(t, &e), -ERR_DEVICE_GONE);
	ck_assert_str_eq(t->device->ops->state(t->device), "appIDLE");
}
END_TEST

START_TEST(known_devices_have_their_quirks)
{
	ck_assert_uint_eq(dfu_quirks(0x1eaf, 0x0003, 0x0200), DFU_QUIRK_VERSION_110);
	ck_assert_uint_eq(dfu_quirks(0x1eaf, 0x0003, 0x0201), 0);
	ck_assert_uint_eq(dfu_quirks(0x1d50, 0x5120, 0), DFU_QUIRK_POLL_5MS);
	ck_assert(dfu_quirks(0x0483, 0xdf11, 0x2200) & DFU_QUIRK_LONG_ERASE);
	ck_assert_uint_eq(dfu_quirks(0x1209, 0x0001, 0), 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("dfu");
	TCase *c = tcase_create("dfu");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_functional_descriptor_is_found_among_others);
	tcase_add_test(c, an_image_is_written_and_read_back);
	tcase_add_test(c, any_transfer_size_reaches_the_right_addresses);
	tcase_add_test(c, two_segments_that_share_a_page_and_a_write_unit_both_arrive);
	tcase_add_test(c, what_is_there_already_is_not_written_again);
	tcase_add_test(c, an_image_outside_the_map_erases_nothing);
	tcase_add_test(c, memory_that_cannot_be_erased_or_read_is_refused_before_anything);
	tcase_add_test(c, every_target_of_a_container_is_asked_of_its_memory_before_one_is_written);
	tcase_add_test(c, the_first_block_is_written_last);
	tcase_add_test(c, each_fault_ends_as_what_it_is);
	tcase_add_test(c, an_erase_that_does_nothing_is_seen);
	tcase_add_test(c, a_device_that_stalls_while_busy_is_borne_with_where_it_is_known);
	tcase_add_test(c, a_session_that_was_left_in_the_middle_is_taken_over);
	tcase_add_test(c, a_mass_erase_takes_what_it_says);
	tcase_add_test(c, a_mass_erase_that_takes_longer_than_it_says_is_waited_for);
	tcase_add_test(c, a_protected_device_says_so_and_read_unprotect_frees_it);
	tcase_add_test(c, leave_starts_the_application_and_the_device_goes);
	tcase_add_test(c, a_device_that_does_not_detach_by_itself_is_reset);
	tcase_add_test(c, plain_dfu_goes_down_and_up);
	tcase_add_test(c, an_upload_without_end_is_bounded);
	tcase_add_test(c, a_manifestation_that_fails_is_told);
	tcase_add_test(c, a_device_that_waits_for_a_reset_is_no_longer_idle);
	tcase_add_test(c, known_devices_have_their_quirks);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
