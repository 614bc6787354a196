/* SPDX-License-Identifier: Apache-2.0
 *
 * The virtual CMSIS-DAP probe at its USB side, down to the chip's memory. The frames are literal,
 * as the specifications have them.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "base/bytes.h"
#include "sim/device.h"

#define RAM	 0x20000000u
#define FLASH	 0x08000000u
#define FLASH_SR 0x4002200cu

/* Requests of DAP_Transfer. */
#define DP_READ(reg)  (0x02 | (reg))
#define DP_WRITE(reg) (reg)
#define AP_READ(reg)  (0x03 | (reg))
#define AP_WRITE(reg) (0x01 | (reg))
#define CSW	      0x0
#define TAR	      0x4
#define DRW	      0xc

enum { OK = 1, WAIT = 2, FAULT = 4, NONE = 7 };

static struct board_settings set;
static struct faults wire;
static struct own_faults own;
static struct device *d;
static const struct device_ops *kind;
static uint8_t said[512];

static void make(void)
{
	const struct device_config c = {.set = &set,
		.wire_faults = &wire,
		.faults = &own,
		.uid = "0123456789abcdef01234567",
		.socket = "b3",
		.fresh = true};
	struct err e = {0};

	kind = device_kind("cmsis-dap");
	ck_assert_ptr_nonnull(kind);
	settings_default(&set);
	own = (struct own_faults){.rows = kind->faults};
	ck_assert_msg(kind->new (&c, &d, &e) == 0, "%s", e.msg);
	d->ops = kind;
	kind->power_on(d, 1000);
}

static void fault(const char *spec)
{
	struct err e = {0};

	ck_assert_msg(own_faults_add(&own, spec, &e) == 0, "%s", e.msg);
}

static void drop(void)
{
	d = device_free(d);
}

/* One command, its answer in `said`; how long it is. */
static size_t ask(const void *command, size_t n)
{
	ssize_t r;

	ck_assert_int_eq(kind->gadget->out(d, 0x01, command, n, 2000), 0);
	r = kind->gadget->in(d, 0x01, said, sizeof said, 3000);
	ck_assert_int_gt(r, 0);
	return (size_t)r;
}

#define ASK(...) ask((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* The port is taken, and the pins are SWD's: ones, E79E with its lowest bit first, ones, zeros. */
static void select_swd(void)
{
	ASK(0x02, 1);
	ck_assert_uint_eq(said[1], 1);
	ASK(0x12, 136, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x9e, 0xe7, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0x00);
	ck_assert_uint_eq(said[1], 0);
}

/* One transfer of one register: its answer's byte. */
static unsigned put(uint8_t request, uint32_t v)
{
	uint8_t c[8] = {0x05, 0, 1, request};
	struct wbytes w = wbytes_of(c + 4, 4);

	wb_le32(&w, v);
	ck_assert_uint_eq(ask(c, sizeof c), 3);
	return said[2];
}

static unsigned get(uint8_t request, uint32_t *ret)
{
	size_t n = ASK(0x05, 0, 1, request);
	struct rbytes b = rbytes_of(said + 3, n - 3);

	ck_assert_uint_eq(n, said[2] == OK ? 7 : 3);
	if (said[2] == OK)
		*ret = rb_le32(&b);
	return said[2];
}

static void connect_swd(void)
{
	uint32_t id = 0;

	select_swd();
	ck_assert_uint_eq(get(DP_READ(0x0), &id), OK);
	ck_assert_uint_eq(id, 0x1ba01477);
	ck_assert_uint_eq(put(DP_WRITE(0x4), 0x50000000), OK);
	ck_assert_uint_eq(get(DP_READ(0x4), &id), OK);
	ck_assert_uint_eq(id >> 28, 0xf);
	/* words, address counts up */
	ck_assert_uint_eq(put(AP_WRITE(CSW), 0x23000012), OK);
}

START_TEST(it_says_what_it_is)
{
	struct gadget_identity id = {0};

	make();
	kind->gadget->identity(d, &id);
	ck_assert_ptr_nonnull(strstr(id.string[4], "CMSIS-DAP"));
	ck_assert_str_eq(id.string[3], "PROBE-b3");
	/* The vendor's interface, bulk out before bulk in. */
	ck_assert_mem_eq(id.config + 9, ((const uint8_t[]){9, 4, 0, 0, 2, 0xff, 0, 0, 4}), 9);
	ck_assert_uint_eq(id.config[18 + 2], 0x01);
	ck_assert_uint_eq(id.config[25 + 2], 0x81);
	ASK(0x00, 0x03);
	ck_assert_str_eq((const char *)said + 2, "PROBE-b3");
	ck_assert_uint_eq(said[1], strlen("PROBE-b3") + 1);
	ASK(0x00, 0xf0);
	ck_assert_mem_eq(said, ((const uint8_t[]){0x00, 1, 0x03}), 3);
	ASK(0x00, 0xfe);
	ck_assert_mem_eq(said, ((const uint8_t[]){0x00, 1, 4}), 3);
	ASK(0x00, 0xff);
	ck_assert_mem_eq(said, ((const uint8_t[]){0x00, 2, 0x00, 0x02}), 4);
	drop();
}
END_TEST

START_TEST(what_it_has_not_and_what_is_cut_short_is_answered_by_ff)
{
	make();
	connect_swd();
	ck_assert_uint_eq(ASK(0x17, 1), 1);
	ck_assert_uint_eq(said[0], 0xff);
	ck_assert_uint_eq(ASK(0x05, 0, 1, AP_WRITE(DRW), 1, 2), 1);
	ck_assert_uint_eq(said[0], 0xff);
	ck_assert_uint_eq(ASK(0x12, 100, 0xff), 1);
	/* More words than an answer holds. */
	ck_assert_uint_eq(ASK(0x06, 0, 0xff, 0xff, AP_READ(DRW)), 1);
	ck_assert_uint_eq(said[0], 0xff);
	drop();
}
END_TEST

START_TEST(no_transfer_is_answered_before_the_pins_are_swd_s_and_the_id_was_read)
{
	uint32_t v = 0;

	make();
	ck_assert_uint_eq(get(DP_READ(0x0), &v), NONE);
	ASK(0x02, 1);
	ck_assert_uint_eq(get(DP_READ(0x0), &v), NONE);
	select_swd();
	ck_assert_uint_eq(get(DP_READ(0x4), &v), NONE);
	ck_assert_uint_eq(get(DP_READ(0x0), &v), OK);
	ck_assert_uint_eq(get(DP_READ(0x4), &v), OK);
	/* A line reset: the id comes first again. */
	ASK(0x12, 64, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00);
	ck_assert_uint_eq(get(DP_READ(0x4), &v), NONE);
	ck_assert_uint_eq(get(DP_READ(0x0), &v), OK);
	drop();
}
END_TEST

START_TEST(words_go_to_memory_and_come_back_one_by_one_and_in_blocks)
{
	uint32_t v = 0;

	make();
	connect_swd();
	ck_assert_uint_eq(put(AP_WRITE(TAR), RAM), OK);
	ck_assert_uint_eq(put(AP_WRITE(DRW), 0x11223344), OK);
	ASK(0x06, 0, 2, 0, AP_WRITE(DRW), 1, 0, 0, 0, 2, 0, 0, 0);
	ck_assert_mem_eq(said, ((const uint8_t[]){0x06, 2, 0, OK}), 4);
	ck_assert_uint_eq(put(AP_WRITE(TAR), RAM), OK);
	ck_assert_uint_eq(get(AP_READ(DRW), &v), OK);
	ck_assert_uint_eq(v, 0x11223344);
	ck_assert_uint_eq(ASK(0x06, 0, 2, 0, AP_READ(DRW)), 4 + 8);
	ck_assert_mem_eq(said, ((const uint8_t[]){0x06, 2, 0, OK, 1, 0, 0, 0, 2, 0, 0, 0}), 12);
	drop();
}
END_TEST

START_TEST(a_value_is_waited_for_under_its_mask)
{
	make();
	connect_swd();
	ck_assert_uint_eq(put(AP_WRITE(TAR), RAM), OK);
	ck_assert_uint_eq(put(AP_WRITE(DRW), 0xab), OK);
	ck_assert_uint_eq(put(AP_WRITE(CSW), 0x23000002), OK);
	ck_assert_uint_eq(put(AP_WRITE(TAR), RAM), OK);
	ck_assert_uint_eq(put(0x20, 0xf0), OK);
	ck_assert_uint_eq(put(AP_READ(DRW) | 0x10, 0xa0), OK);
	ck_assert_uint_eq(put(AP_READ(DRW) | 0x10, 0xb0), OK | 0x10);
	drop();
}
END_TEST

START_TEST(an_access_that_fails_is_sticky_until_it_is_aborted)
{
	uint32_t v = 0;

	make();
	connect_swd();
	ck_assert_uint_eq(put(AP_WRITE(TAR), RAM), OK);
	fault("bus");
	/* The write is acknowledged on the wire; the probe asks once more. */
	ck_assert_uint_eq(put(AP_WRITE(DRW), 1), FAULT);
	ck_assert_uint_eq(get(AP_READ(DRW), &v), FAULT);
	ck_assert_uint_eq(get(DP_READ(0x4), &v), OK);
	ck_assert_uint_eq(v & 0x20, 0x20);
	own.n = 0;
	ck_assert_uint_eq(get(AP_READ(DRW), &v), FAULT);
	ASK(0x08, 0, 0x1e, 0, 0, 0);
	ck_assert_uint_eq(said[1], 0);
	ck_assert_uint_eq(get(AP_READ(DRW), &v), OK);
	drop();
}
END_TEST

START_TEST(wait_and_silence_are_told_as_they_are)
{
	uint32_t v = 0;

	make();
	connect_swd();
	ASK(0x04, 0, 3, 0, 0, 0);
	fault("wait");
	ck_assert_uint_eq(get(AP_READ(DRW), &v), WAIT);
	ck_assert_uint_eq(get(DP_READ(0x4), &v), OK);
	fault("no-target");
	ck_assert_uint_eq(get(DP_READ(0x0), &v), NONE);
	drop();
}
END_TEST

START_TEST(a_locked_chip_keeps_its_flash)
{
	uint32_t v = 0;

	make();
	connect_swd();
	fault("locked");
	ck_assert_uint_eq(put(AP_WRITE(TAR), FLASH), OK);
	ck_assert_uint_eq(get(AP_READ(DRW), &v), FAULT);
	ASK(0x08, 0, 0x1e, 0, 0, 0);
	/* A half-word into it is refused: SR says so. */
	ck_assert_uint_eq(put(AP_WRITE(CSW), 0x23000001), OK);
	ck_assert_uint_eq(put(AP_WRITE(DRW), 0x1234), OK);
	ck_assert_uint_eq(put(AP_WRITE(CSW), 0x23000002), OK);
	ck_assert_uint_eq(put(AP_WRITE(TAR), FLASH_SR), OK);
	ck_assert_uint_eq(get(AP_READ(DRW), &v), OK);
	ck_assert_uint_eq(v, 0x10);
	drop();
}
END_TEST

START_TEST(commands_wait_where_no_answer_is_fetched)
{
	const uint8_t c[] = {0x00, 0xfe};

	make();
	ck_assert_int_eq(kind->gadget->in(d, 0x01, said, sizeof said, 1), GADGET_NAK);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(kind->gadget->out(d, 0x01, c, sizeof c, 1), 0);
	ck_assert_int_eq(kind->gadget->out(d, 0x01, c, sizeof c, 1), GADGET_NAK);
	ck_assert_int_eq(kind->gadget->in(d, 0x01, said, sizeof said, 1), 3);
	ck_assert_int_eq(kind->gadget->out(d, 0x01, c, sizeof c, 1), 0);
	drop();
}
END_TEST

/* Test-Logic-Reset, Run-Test/Idle, then Shift-DR: 32 bits of IDCODE. */
START_TEST(the_same_chip_answers_over_jtag)
{
	make();
	ASK(0x02, 2);
	ck_assert_uint_eq(said[1], 2);
	ASK(0x12, 8, 0x1f); /* TMS: five ones, three zeros */
	ck_assert_uint_eq(ASK(0x14, 3, 0x41, 0, 0x02, 0, 0xa0, 0, 0, 0, 0), 2 + 4);
	ck_assert_mem_eq(said, ((const uint8_t[]){0x14, 0, 0x77, 0x04, 0xa0, 0x3b}), 6);
	drop();
}
END_TEST

START_TEST(it_is_pulled_out_at_the_access_that_the_fault_names)
{
	uint32_t v = 0;

	make();
	fault("vanish=3");
	connect_swd();
	ck_assert_int_eq(d->wish, WISH_NONE);
	ck_assert_uint_eq(get(AP_READ(DRW), &v), OK);
	ck_assert_int_eq(d->wish, WISH_NONE);
	ck_assert_uint_eq(get(AP_READ(DRW), &v), OK);
	ck_assert_int_eq(d->wish, WISH_UNPLUG);
	drop();
}
END_TEST

static Suite *cmsisdap_suite(void)
{
	Suite *s = suite_create("cmsisdap");
	TCase *t = tcase_create("cmsisdap");

	tcase_add_test(t, it_says_what_it_is);
	tcase_add_test(t, what_it_has_not_and_what_is_cut_short_is_answered_by_ff);
	tcase_add_test(t, no_transfer_is_answered_before_the_pins_are_swd_s_and_the_id_was_read);
	tcase_add_test(t, words_go_to_memory_and_come_back_one_by_one_and_in_blocks);
	tcase_add_test(t, a_value_is_waited_for_under_its_mask);
	tcase_add_test(t, an_access_that_fails_is_sticky_until_it_is_aborted);
	tcase_add_test(t, wait_and_silence_are_told_as_they_are);
	tcase_add_test(t, a_locked_chip_keeps_its_flash);
	tcase_add_test(t, commands_wait_where_no_answer_is_fetched);
	tcase_add_test(t, the_same_chip_answers_over_jtag);
	tcase_add_test(t, it_is_pulled_out_at_the_access_that_the_fault_names);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(cmsisdap_suite)
