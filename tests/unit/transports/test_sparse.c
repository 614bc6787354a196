/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <sys/wait.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "transports/images/sparse.h"

#define BLOCK SPARSE_BLOCK_BYTES

/* A sparse file under construction. */
static uint8_t file[256 * 1024];
static struct wbytes w;

static void begin(uint32_t blocks, uint32_t chunks)
{
	w = wbytes_of(file, sizeof file);
	wb_le32(&w, 0xed26ff3a);
	wb_le16(&w, 1);
	wb_le16(&w, 0);
	wb_le16(&w, 28);
	wb_le16(&w, 12);
	wb_le32(&w, BLOCK);
	wb_le32(&w, blocks);
	wb_le32(&w, chunks);
	wb_le32(&w, 0);
}

static void chunk(uint16_t type, uint32_t blocks, uint32_t total)
{
	wb_le16(&w, type);
	wb_le16(&w, 0);
	wb_le32(&w, blocks);
	wb_le32(&w, total);
}

static void raw(uint32_t blocks, uint8_t with)
{
	chunk(0xcac1, blocks, 12 + blocks * BLOCK);
	for (uint32_t i = 0; i < blocks * BLOCK; i++)
		wb_u8(&w, (uint8_t)(with + i % 251));
}

static void fill(uint32_t blocks, uint32_t word)
{
	chunk(0xcac2, blocks, 16);
	wb_le32(&w, word);
}

static void skip(uint32_t blocks)
{
	chunk(0xcac3, blocks, 12);
}

/* Bit by bit (ISO 3309), of a word that is repeated; begun with the sum of what came before. */
static uint32_t crc_more(uint32_t crc, const uint8_t *p, size_t n)
{
	crc = ~crc;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static uint32_t crc_words_more(uint32_t crc, uint32_t word, size_t times)
{
	uint8_t raw_word[4];
	struct wbytes b = wbytes_of(raw_word, sizeof raw_word);

	wb_le32(&b, word);
	while (times-- > 0)
		crc = crc_more(crc, raw_word, sizeof raw_word);
	return crc;
}

static uint32_t crc_of_words(uint32_t word, size_t times)
{
	return crc_words_more(0, word, times);
}

static void crc_chunk(uint32_t value)
{
	chunk(0xcac4, 0, 16);
	wb_le32(&w, value);
}

static void refused(const char *offset, const char *why)
{
	struct sparse *s = NULL;
	struct err e = {0};

	ck_assert_int_eq(sparse_read("x.simg", file, w.len, &s, &e), -ERR_IMAGE_INVALID);
	ck_assert_msg(strstr(e.msg, offset) && strstr(e.msg, why) && strstr(e.msg, "x.simg"),
		"'%s' does not say '%s' and '%s'", e.msg, offset, why);
	ck_assert_ptr_null(s);
}

/* What a device does with a piece, written from the format's description alone: the whole is laid
 * over `out`. Returns how many blocks it wrote. */
static uint64_t unsparse(const uint8_t *p, size_t n, uint8_t *out, size_t out_size)
{
	struct rbytes b = rbytes_of(p, n);
	uint64_t wrote = 0, at = 0;
	uint32_t chunks, blocks;

	ck_assert_uint_eq(rb_le32(&b), 0xed26ff3a);
	ck_assert_uint_eq(rb_le32(&b), 1);
	ck_assert_uint_eq(rb_le16(&b), 28);
	ck_assert_uint_eq(rb_le16(&b), 12);
	ck_assert_uint_eq(rb_le32(&b), BLOCK);
	blocks = rb_le32(&b);
	chunks = rb_le32(&b);
	rb_le32(&b);
	ck_assert_uint_eq((uint64_t)blocks * BLOCK, out_size);
	for (uint32_t i = 0; i < chunks; i++) {
		uint32_t type = rb_le32(&b), k = rb_le32(&b), total = rb_le32(&b);

		ck_assert_uint_le((at + k) * BLOCK, out_size);
		if (type == 0xcac1) {
			const uint8_t *data = rb_take(&b, (size_t)k * BLOCK);

			ck_assert_uint_eq(total, 12 + k * BLOCK);
			ck_assert_ptr_nonnull(data);
			memcpy(out + at * BLOCK, data, (size_t)k * BLOCK);
			wrote += k;
		} else if (type == 0xcac2) {
			const uint8_t *word = rb_take(&b, 4);

			ck_assert_uint_eq(total, 16);
			for (size_t j = 0; j < (size_t)k * BLOCK; j++)
				out[at * BLOCK + j] = word[j % 4];
			wrote += k;
		} else {
			ck_assert_uint_eq(type, 0xcac3);
			ck_assert_uint_eq(total, 12);
		}
		at += k;
	}
	ck_assert(!b.bad);
	ck_assert_uint_eq(b.pos, n);
	ck_assert_uint_eq(at, blocks);
	return wrote;
}

static uint8_t *bytes_of(const struct spans *s)
{
	uint8_t *p = malloc(s->bytes);

	spans_read(s, 0, p, s->bytes);
	return p;
}

/* All pieces laid over out, which holds `before` first; how many there were. */
static unsigned overlay(const struct sparse *s, uint64_t limit, uint8_t *out, size_t size)
{
	struct sparse_place at = {0};
	unsigned pieces = 0, counted;
	struct err e;

	ck_assert_int_eq(sparse_count_pieces(s, limit, &counted, &e), 0);
	while (!sparse_at_end(s, &at)) {
		struct spans piece = {0};

		ck_assert_msg(sparse_piece(s, limit, &at, &piece, &e) == 0, "%s", e.msg);
		ck_assert_uint_le(piece.bytes, limit);

		uint8_t *p = bytes_of(&piece);

		unsparse(p, piece.bytes, out, size);
		free(p);
		spans_done(&piece);
		pieces++;
	}
	ck_assert_uint_eq(pieces, counted);
	return pieces;
}

START_TEST(chunks_become_the_list_of_what_the_device_will_hold)
{
	struct sparse *s = NULL;
	struct err e;

	begin(10, 5);
	raw(2, 3);
	skip(3);
	fill(1, 0x11223344);
	fill(2, 0x11223344);
	fill(2, 7);
	ck_assert_msg(sparse_read("x.simg", file, w.len, &s, &e) == 0, "%s", e.msg);
	ck_assert(sparse_detect(file, w.len));
	ck_assert_uint_eq(sparse_unsparsed_bytes(s), 10 * BLOCK);
	ck_assert(s->has_skips && s->is_sparse);
	ck_assert_uint_eq(s->count, 4);
	ck_assert_int_eq(s->chunk[0].kind, SPARSE_RAW);
	ck_assert_ptr_eq(s->chunk[0].data, file + 40);
	ck_assert_uint_eq(s->chunk[2].block, 5);
	ck_assert_uint_eq(s->chunk[2].blocks, 3);
	ck_assert_uint_eq(s->chunk[2].fill, 0x11223344);
	sparse_free(s);
}
END_TEST

START_TEST(longer_headers_checksums_and_a_tail_are_read_over)
{
	struct sparse *s = NULL;
	struct err e;

	begin(3, 3);
	file[6] = 9;  /* minor version */
	file[8] = 32; /* file header */
	file[10] = 16;
	wb_le32(&w, 0);
	chunk(0xcac2, 1, 20);
	wb_le32(&w, 0);
	wb_le32(&w, 5);
	chunk(0xcac4, 0, 20);
	wb_le32(&w, 0);
	wb_le32(&w, crc_of_words(5, 1024));
	chunk(0xcac3, 2, 16);
	wb_le32(&w, 0);
	wb_le32(&w, 0); /* after the last chunk */
	ck_assert_msg(sparse_read("x.simg", file, w.len, &s, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(s->count, 2);
	ck_assert_uint_eq(s->chunk[0].fill, 5);
	ck_assert_ptr_nonnull(strstr(s->note, "4 bytes follow"));
	sparse_free(s);
}
END_TEST

START_TEST(a_broken_file_is_refused_with_the_offset_and_the_reason)
{
	begin(1, 1);
	w.len = 20;
	refused("offset 0x14", "file header");
	begin(1, 1);
	skip(1);
	file[4] = 2;
	refused("offset 0x4", "version 2");
	begin(1, 1);
	skip(1);
	file[12] = 2;
	file[13] = 0;
	refused("offset 0xc", "blocks of 2 bytes");
	begin(1, 1);
	chunk(0xcac5, 1, 12);
	refused("offset 0x1c", "unknown type 0xcac5");
	begin(1, 1);
	chunk(0xcac3, 1, 11);
	refused("offset 0x24", "12 expected");
	begin(2, 1);
	chunk(0xcac1, 2, 12 + BLOCK);
	refused("offset 0x24", "2 blocks");
	begin(4, 1);
	raw(4, 0);
	w.len -= 1;
	refused("offset 0x1c", "are left");
	begin(2, 2);
	skip(2);
	skip(1);
	refused("offset 0x2c", "block 3 of 2");
	begin(1, 2);
	skip(1);
	refused("offset 0x28", "before chunk 2 of 2");
	begin(1, 0xffffffff);
	skip(1);
	refused("offset 0x14", "4294967295 chunks");
	/* Blocks times their size passes 32 bits. */
	begin(0xffffffff, 1);
	chunk(0xcac1, 0x40000000, 12);
	refused("offset 0x24", "expected");
}
END_TEST

/* Raw, three blocks of a fill, two that are skipped, raw: with the sum after each. */
static void begin_summed(uint32_t checksum, uint32_t flip, unsigned in)
{
	uint32_t crc = 0;

	begin(7, 8);
	for (unsigned i = 0; i < 4; i++)
		file[24 + i] = (uint8_t)(checksum >> 8 * i);
	raw(1, 7);
	crc = crc_more(crc, file + w.len - BLOCK, BLOCK);
	crc_chunk(crc ^ (in == 0 ? flip : 0));
	fill(3, 0x01020304);
	crc = crc_words_more(crc, 0x01020304, 3 * BLOCK / 4);
	crc_chunk(crc ^ (in == 1 ? flip : 0));
	skip(2);
	crc = crc_words_more(crc, 0, 2 * BLOCK / 4);
	crc_chunk(crc ^ (in == 2 ? flip : 0));
	raw(1, 99);
	crc = crc_more(crc, file + w.len - BLOCK, BLOCK);
	crc_chunk(crc ^ (in == 3 ? flip : 0));
}

static uint32_t whole_sum(void)
{
	struct rbytes b = rbytes_of(file + w.len - 4, 4);

	return rb_le32(&b);
}

START_TEST(every_sum_over_the_unfolded_image_is_compared)
{
	static const char *const offsets[] = {"0x1028", "0x1048", "0x1064", "0x2080"};
	struct sparse *s = NULL;
	struct err e;

	begin_summed(0, 0, 9);
	ck_assert_msg(sparse_read("x", file, w.len, &s, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(s->note, "");
	sparse_free(s);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned bit = 0; bit < 32; bit += 31) {
			begin_summed(0, 1u << bit, i);
			refused(offsets[i], "checksum of a CRC chunk");
		}
}
END_TEST

START_TEST(the_sum_in_the_header_is_that_of_the_whole)
{
	struct sparse *s = NULL;
	struct err e;
	uint32_t sum;

	begin_summed(0, 0, 9);
	sum = whole_sum();
	begin_summed(sum, 0, 9);
	s = NULL;
	ck_assert_msg(sparse_read("x", file, w.len, &s, &e) == 0, "%s", e.msg);
	sparse_free(s);
	s = NULL;
	begin_summed(sum ^ 0x80, 0, 9);
	refused("offset 0x18", "the checksum in the header");
}
END_TEST

START_TEST(a_changed_byte_of_the_image_is_found_by_its_sum)
{
	for (size_t at = 28 + 12; at < 28 + 12 + BLOCK; at += 511) {
		begin_summed(0, 0, 9);
		file[at] ^= 4;
		refused("0x1028", "the file is damaged");
	}
}
END_TEST

START_TEST(the_sums_of_libsparses_own_writer_are_right_with_a_note)
{
	struct sparse *s = NULL;
	struct err e;
	uint32_t crc;

	begin(8, 4);
	raw(1, 7);
	crc = crc_more(0, file + w.len - BLOCK, BLOCK);
	fill(5, 0x11223344);
	skip(2);
	crc = crc_words_more(crc, 0x11223344, BLOCK / 4);
	crc_chunk(crc);
	ck_assert_msg(sparse_read("x", file, w.len, &s, &e) == 0, "%s", e.msg);
	ck_assert_ptr_nonnull(strstr(s->note, "as libsparse writes it"));
	sparse_free(s);
}
END_TEST

START_TEST(a_part_of_an_image_leaves_the_rest_as_it_is)
{
	uint8_t out[12 * BLOCK];
	struct sparse *s = NULL;
	struct err e;

	begin(12, 2);
	skip(3);
	raw(2, 9);
	ck_assert_msg(
		sparse_read("system.img_sparsechunk.1", file, w.len, &s, &e) == 0, "%s", e.msg);
	ck_assert(s->is_part && s->has_skips);
	ck_assert_uint_eq(sparse_unsparsed_bytes(s), 12 * BLOCK);
	ck_assert_msg(strstr(s->note, "make 5 of 12 blocks"), "%s", s->note);
	memset(out, 0xee, sizeof out);
	ck_assert_uint_eq(overlay(s, 2 * BLOCK, out, sizeof out), 2);
	ck_assert_mem_eq(out + 3 * BLOCK, file + 28 + 12 + 12, 2 * BLOCK);
	ck_assert_uint_eq(out[2 * BLOCK], 0xee);
	ck_assert_uint_eq(out[5 * BLOCK], 0xee);
	sparse_free(s);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	struct sparse *s = NULL;
	struct err e;

	begin(4, 3);
	raw(1, 1);
	fill(2, 9);
	skip(1);
	for (size_t n = 0; n < w.len; n++) {
		/* Of its own size, so that a sanitiser sees a read past the end. */
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, file, n);
		ck_assert_int_eq(sparse_read("x", copy, n, &s, &e), -ERR_IMAGE_INVALID);
		free(copy);
	}
}
END_TEST

START_TEST(pieces_of_any_limit_overlaid_are_the_raw_file)
{
	static const uint64_t limits[] = {
		BLOCK + 68, BLOCK + 80, 2 * BLOCK, 10000, 50000, 100000, 1 << 20};
	enum { BLOCKS = 100 };
	size_t n = BLOCKS * BLOCK - 1000; /* ends within a block */
	uint8_t *image = calloc(1, n), *out = malloc(BLOCKS * BLOCK);
	uint8_t *want = calloc(1, BLOCKS * BLOCK);
	struct sparse *s = NULL;
	struct err e;

	for (size_t i = 0; i < n; i++)
		image[i] = (i / BLOCK) % 7 < 4	 ? (uint8_t)(i * 2654435761u >> 11)
			   : (i / BLOCK) % 7 < 6 ? 0
						 : (uint8_t) "wxyz"[i % 4];
	memcpy(want, image, n);
	ck_assert_int_eq(sparse_of_raw("raw", image, n, NULL, &s, &e), 0);
	ck_assert_uint_eq(s->blocks, BLOCKS);
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		memset(out, 0xee, BLOCKS * BLOCK);

		unsigned pieces = overlay(s, limits[i], out, BLOCKS * BLOCK);

		ck_assert_mem_eq(out, want, BLOCKS * BLOCK);
		if (limits[i] == 1 << 20)
			ck_assert_uint_eq(pieces, 1);
	}
	sparse_free(s);
	free(image);
	free(want);
	free(out);
}
END_TEST

START_TEST(what_the_file_does_not_care_for_is_left_as_it_was)
{
	uint8_t out[12 * BLOCK];
	struct sparse *s = NULL;
	struct err e;

	begin(12, 5);
	skip(2);
	raw(4, 9);
	skip(1);
	fill(1, 0x01010101);
	skip(4);
	ck_assert_int_eq(sparse_read("x.simg", file, w.len, &s, &e), 0);
	for (uint64_t limit = 2 * BLOCK; limit < 8 * BLOCK; limit += BLOCK) {
		memset(out, 0xee, sizeof out);
		ck_assert_uint_ge(overlay(s, limit, out, sizeof out), 1);
		for (size_t i = 0; i < 12; i++) {
			bool kept = i < 2 || i == 6 || i > 7;

			ck_assert_msg((out[i * BLOCK] == 0xee) == kept, "block %zu", i);
		}
		ck_assert_mem_eq(out + 2 * BLOCK, file + 28 + 12 + 12, 4 * BLOCK);
	}
	sparse_free(s);
}
END_TEST

START_TEST(pieces_are_cut_where_libsparse_cuts_them)
{
	/* Seen on the wire with fastboot 29.0.6 and max-download-size 0x100000: 3 MiB of random
	 * bytes and 2 MiB of zeros. */
	static const uint64_t sizes[] = {0xff034, 0xff040, 0xff040, 0x3044};
	static const uint32_t chunks[] = {2, 3, 3, 3};
	size_t n = 5 << 20;
	uint8_t *image = calloc(1, n);
	struct sparse_place at = {0};
	struct sparse *s = NULL;
	struct err e;

	for (size_t i = 0; i < 3 << 20; i++)
		image[i] = (uint8_t)(i * 2654435761u >> 13);
	ck_assert_int_eq(sparse_of_raw("raw", image, n, NULL, &s, &e), 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct spans piece = {0};
		uint8_t head[28];

		ck_assert(!sparse_at_end(s, &at));
		ck_assert_int_eq(sparse_piece(s, 0x100000, &at, &piece, &e), 0);
		spans_read(&piece, 0, head, sizeof head);
		ck_assert_uint_eq(piece.bytes, sizes[i]);
		ck_assert_uint_eq(head[20], chunks[i]);
		spans_done(&piece);
	}
	ck_assert(sparse_at_end(s, &at));
	sparse_free(s);
	free(image);
}
END_TEST

START_TEST(a_limit_that_holds_no_block_is_refused_not_looped_over)
{
	uint8_t image[3 * BLOCK];
	struct sparse_place at = {0};
	struct spans piece = {0};
	struct sparse *s = NULL;
	struct err e;
	unsigned n;

	for (size_t i = 0; i < sizeof image; i++)
		image[i] = (uint8_t)(i * 7 / 3);
	ck_assert_int_eq(sparse_of_raw("raw", image, sizeof image, NULL, &s, &e), 0);
	for (uint64_t limit = 0; limit < BLOCK + 68; limit += 67) {
		ck_assert_int_eq(sparse_piece(s, limit, &at, &piece, &e), -ERR_INVALID);
		ck_assert_int_eq(sparse_count_pieces(s, limit, &n, &e), -ERR_INVALID);
	}
	ck_assert_uint_eq(piece.bytes, 0);
	sparse_free(s);
}
END_TEST

START_TEST(spans_give_the_bytes_of_any_place)
{
	static const char whole[] = "abcd\0\0\0XYZ";
	struct spans s = {0};
	struct err e;
	uint8_t got[16];
	const uint8_t *p;

	ck_assert_int_eq(spans_add(&s, (const uint8_t *)"abcd", 4, &e), 0);
	ck_assert_int_eq(spans_add(&s, NULL, 3, &e), 0);
	ck_assert_int_eq(spans_add_copy(&s, "XY", 2, &e), 0);
	ck_assert_int_eq(spans_add_copy(&s, "Z", 1, &e), 0);
	ck_assert_uint_eq(s.bytes, 10);
	ck_assert_uint_eq(s.count, 3);
	for (size_t from = 0; from < 10; from++)
		for (size_t n = 0; from + n <= 10; n++) {
			spans_read(&s, from, got, n);
			ck_assert_mem_eq(got, &whole[from], n);
		}
	ck_assert_uint_eq(spans_run(&s, 2, 100, &p), 2);
	ck_assert_mem_eq(p, "cd", 2);
	ck_assert_uint_eq(spans_run(&s, 5, 100, &p), 2);
	ck_assert_ptr_null(p);
	ck_assert_uint_eq(spans_run(&s, 10, 100, &p), 0);
	spans_done(&s);
}
END_TEST

static Suite *sparse_suite(void)
{
	Suite *s = suite_create("sparse");
	TCase *t = tcase_create("sparse");

	tcase_add_test(t, chunks_become_the_list_of_what_the_device_will_hold);
	tcase_add_test(t, longer_headers_checksums_and_a_tail_are_read_over);
	tcase_add_test(t, a_broken_file_is_refused_with_the_offset_and_the_reason);
	tcase_add_test(t, every_sum_over_the_unfolded_image_is_compared);
	tcase_add_test(t, the_sum_in_the_header_is_that_of_the_whole);
	tcase_add_test(t, a_changed_byte_of_the_image_is_found_by_its_sum);
	tcase_add_test(t, the_sums_of_libsparses_own_writer_are_right_with_a_note);
	tcase_add_test(t, a_part_of_an_image_leaves_the_rest_as_it_is);
	tcase_add_test(t, every_truncation_is_refused);
	tcase_add_test(t, pieces_of_any_limit_overlaid_are_the_raw_file);
	tcase_add_test(t, what_the_file_does_not_care_for_is_left_as_it_was);
	tcase_add_test(t, pieces_are_cut_where_libsparse_cuts_them);
	tcase_add_test(t, a_limit_that_holds_no_block_is_refused_not_looped_over);
	tcase_add_test(t, spans_give_the_bytes_of_any_place);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(sparse_suite)
