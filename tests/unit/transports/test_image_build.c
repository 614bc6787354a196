/* SPDX-License-Identifier: Apache-2.0
 *
 * Properties of all readers together: what any writer says comes back equal, with one digest; and
 * no damage of a file passes for another content where the format has a checksum.
 */
#include "tests/unit/transports/image_check.h"

#define ROUNDS	  150
#define PARTS_MAX 6
#define PART_MAX  700

static uint64_t rng = 0x2545f4914f6cdd1dull;

static uint64_t any(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % below;
}

struct parts {
	struct part p[PARTS_MAX];
	size_t n;
	uint8_t bytes[PARTS_MAX * PART_MAX];
};

/* In order, apart from each other, multiples of 4. */
static void make_parts(struct parts *x)
{
	uint64_t at = any(3) * 0x08000000 + 4 * any(0x8000);
	uint8_t *to = x->bytes;

	x->n = 1 + any(PARTS_MAX);
	for (size_t i = 0; i < sizeof x->bytes; i++)
		x->bytes[i] = (uint8_t)any(256);
	for (size_t i = 0; i < x->n; i++) {
		x->p[i] = (struct part){at, to, 4 + 4 * any(PART_MAX / 4)};
		to += x->p[i].len;
		at += x->p[i].len + 4 + 4 * any(any(2) ? 8 : 0x10000);
	}
}

static void shuffle(struct parts *x)
{
	for (size_t i = x->n; i > 1; i--) {
		size_t k = any(i);
		struct part p = x->p[k];

		x->p[k] = x->p[i - 1];
		x->p[i - 1] = p;
	}
}

static void check_parts(const struct parts *x, const struct image *i)
{
	ck_assert_uint_eq(i->count, x->n);
	for (size_t k = 0; k < x->n; k++) {
		ck_assert_uint_eq(i->segments[k].address, x->p[k].address);
		ck_assert_uint_eq(i->segments[k].len, x->p[k].len);
		ck_assert_mem_eq(i->segments[k].data, x->p[k].data, x->p[k].len);
	}
}

enum { IHEX, SREC, UF2, ELF32, ELF64, DFUSE, IHEX_DFU, WRITERS };

static void write_as(int w, struct strbuf *b, const struct parts *x)
{
	switch (w) {
	case IHEX:
		write_ihex(b, x->p, x->n, 1 + any(255));
		break;
	case SREC:
		write_srec(b, x->p, x->n, 1 + any(250));
		break;
	case UF2:
		write_uf2(b, (struct uf2_kind){0x2000, 7}, x->p, x->n, 4 + 4 * any(119));
		break;
	case ELF32:
	case ELF64:
		write_elf(b, &(struct elf_kind){.wide = w == ELF64, .big = any(2)}, x->p, x->n);
		break;
	case DFUSE:
		write_dfuse(b, x->p, x->n, 0, 16 * (uint32_t)any(2));
		break;
	default:
		write_ihex(b, x->p, x->n, 16);
		add_dfu_suffix(b, 1, 2, 3, 0x0100);
		break;
	}
}

START_TEST(what_is_written_in_any_format_and_order_comes_back_with_one_digest)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct parts x;
		struct parts mixed;
		char payload[SHA256_HEX] = "";

		make_parts(&x);
		mixed = x;
		shuffle(&mixed);
		for (int w = 0; w < WRITERS; w++) {
			struct strbuf b = {0};
			struct image *i;

			write_as(w, &b, &mixed);
			i = accepted(b.s, b.len);
			check_parts(&x, i);
			ck_assert(*payload == 0 || !strcmp(payload, i->payload));
			snprintf(payload, sizeof payload, "%s", i->payload);
			image_unref(i);
			sb_done(&b);
		}
	}
}
END_TEST

START_TEST(one_part_is_the_same_as_a_raw_binary)
{
	static const struct part p = {0x08010000, (const uint8_t *)"just\0the same", 13};
	struct strbuf b = {0};
	struct image *hex;
	struct image *bin = NULL;

	write_ihex(&b, &p, 1, 3);
	hex = accepted(b.s, b.len);
	ck_assert_int_eq(parse_with(p.data, p.len, &IMAGE_OPTS(p.address), &bin), 0);
	ck_assert_str_eq(hex->payload, bin->payload);
	image_unref(hex);
	image_unref(bin);
	sb_done(&b);
}
END_TEST

/* Formats that hold a checksum over everything that matters. */
static bool is_summed(int w)
{
	return w == IHEX || w == SREC || w == DFUSE || w == IHEX_DFU;
}

static void damaged(int w, const struct strbuf *b, const char *payload)
{
	struct image *i = NULL;

	if (parse_with(b->s, b->len, &IMAGE_OPTS_INSPECT, &i) < 0)
		ck_assert(e.msg[0]);
	else if (is_summed(w) && i->placed)
		ck_assert_msg(!strcmp(i->payload, payload), "damage passed as another content");
	image_unref(i);
}

START_TEST(a_file_cut_at_any_byte_or_with_any_byte_changed_is_never_taken_for_another)
{
	static const struct part p[] = {{0x08000000, (const uint8_t *)"0123456789ab", 12},
		{0x08000100, (const uint8_t *)"cdef", 4}};
	struct parts x = {.p = {p[0], p[1]}, .n = 2};

	for (int w = 0; w < WRITERS; w++) {
		struct strbuf b = {0};
		struct image *whole;
		size_t n;

		write_as(w, &b, &x);
		n = b.len;
		whole = accepted(b.s, n);
		for (b.len = 1; b.len < n; b.len++)
			damaged(w, &b, whole->payload);
		for (size_t at = 0; at < n; at++) {
			char was = b.s[at];

			/* The digit that says what an S-record is lies outside of its checksum.
			 */
			for (int bit = 0; bit < 8 && !(at && b.s[at - 1] == 'S'); bit++) {
				b.s[at] = (char)(was ^ 1 << bit);
				damaged(w, &b, whole->payload);
			}
			b.s[at] = was;
		}
		image_unref(whole);
		sb_done(&b);
	}
}
END_TEST

START_TEST(more_parts_than_there_may_be_are_refused)
{
	struct strbuf b = {0};

	for (uint32_t k = 0; k <= IMAGE_MAX_SEGMENTS; k++)
		srec_record(&b, '3', 4, 2 * k, (const uint8_t *)"x", 1);
	srec_record(&b, '7', 4, 0, NULL, 0);
	refused(b.s, b.len, ERR_IMAGE_INVALID, "more than 65536 separate parts");
	sb_done(&b);
}
END_TEST

static Suite *build_suite(void)
{
	Suite *s = suite_create("image_build");
	TCase *t = tcase_create("image_build");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_written_in_any_format_and_order_comes_back_with_one_digest);
	tcase_add_test(t, one_part_is_the_same_as_a_raw_binary);
	tcase_add_test(
		t, a_file_cut_at_any_byte_or_with_any_byte_changed_is_never_taken_for_another);
	tcase_add_test(t, more_parts_than_there_may_be_are_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(build_suite)
