/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialogue with an instrument against provsim's: whose answer is whose, whatever comes late, twice or not at
 * all, and what an instrument's own errors are.
 */
#include "transports/protocols/scpi/scpi.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "tests/unit/transports/sim_link.h"

#define ANSWER_US (1000 * US_PER_MS)

static struct sim_link meter;
static struct scpi_turn turn;
static struct scpi *scpi;
static struct strbuf answer;
static struct err e;
static struct iotime it;

/* As the link of sim_link.h, with answers that come later than one waits for. */
static int read_in_time(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *when, struct err *why)
{
	struct sim_link *p = container_of(l, struct sim_link, link);
	uint64_t due = p->device->ops->due(p->device);

	if (p->at == p->len && due != SIM_NEVER && due > p->now + ANSWER_US) {
		p->now += ANSWER_US;
		return err_set(why, ERR_TIMEOUT, "deadline passed");
	}
	return sim_link_read(l, buf, size, ret_n, when, why);
}

static struct link_ops ops;

static void connect_by(enum scpi_proof proof)
{
	const struct scpi_opts o = {
		.answer_us = ANSWER_US, .proof = proof, .late_us = 1, .turn = &turn};

	scpi = scpi_free(scpi);
	it = (struct iotime){now_us() + 60 * US_PER_S, NULL};
	ck_assert_msg(scpi_new(&meter.link, &o, &it, &scpi, &e) == 0, "%s", e.msg);
}

static void set_up(void)
{
	sim_link_init(&meter, "meter", NULL);
	ops = sim_link_ops;
	ops.read = read_in_time;
	meter.link.ops = &ops;
	turn = (struct scpi_turn){0};
	e = (struct err){0};
	connect_by(SCPI_PROOF_ESE);
}

static void tear_down(void)
{
	scpi = scpi_free(scpi);
	sb_done(&answer);
	sim_link_done(&meter);
}

static int query(const char *text)
{
	return scpi_query(scpi, text, &it, &answer, &e);
}

static void set(double v)
{
	char text[40];

	snprintf(text, sizeof text, "VOLT %.3f", v);
	ck_assert_msg(scpi_command(scpi, text, &it, &e) == 0, "%s", e.msg);
}

static double reading(void)
{
	double v = -1;

	ck_assert_msg(query("MEAS:VOLT?") == 0, "%s", e.msg);
	ck_assert_msg(parse_number(answer.s + (*answer.s == '+'), &v), "%s", answer.s);
	return v;
}

START_TEST(a_question_has_its_answer_and_a_command_its_effect)
{
	set(1.5);
	ck_assert(fabs(reading() - 1.5) < 1e-9);
	ck_assert_int_eq(query("*IDN?"), 0);
	ck_assert_str_eq(answer.s, "Example,M1,42,1.0");
	/* Several questions of the recipe's own. */
	ck_assert_int_eq(query("VOLT?;:SOUR:VOLT?"), 0);
	ck_assert_str_eq(answer.s, "1.500000000E+00;1.500000000E+00");
}
END_TEST

START_TEST(an_answer_that_comes_late_is_never_the_next_ones)
{
	set(1.25);
	sim_link_fault(&meter, "late=1500");
	ck_assert_int_eq(query("MEAS:VOLT?"), -ERR_INSTRUMENT_LATE);
	ck_assert_msg(strstr(e.msg, "no answer to 'MEAS:VOLT?' in 1000 ms"), "%s", e.msg);
	set(2.5);
	ck_assert(fabs(reading() - 2.5) < 1e-9);
}
END_TEST

START_TEST(an_answer_that_comes_twice_is_one)
{
	set(1);
	sim_link_fault(&meter, "twice,count=0");
	for (int i = 1; i < 20; i++) {
		set(i);
		ck_assert(fabs(reading() - i) < 1e-9);
	}
}
END_TEST

START_TEST(what_comes_on_the_next_connection_is_not_believed_either)
{
	set(1.25);
	sim_link_fault(&meter, "late=1500");
	ck_assert_int_eq(query("MEAS:VOLT?"), -ERR_INSTRUMENT_LATE);
	connect_by(SCPI_PROOF_ESE);
	set(3);
	ck_assert(fabs(reading() - 3) < 1e-9);
}
END_TEST

START_TEST(an_error_of_the_instrument_has_its_number_and_text)
{
	ck_assert_int_eq(query("MEAS:FOO?"), -ERR_INSTRUMENT_ERROR);
	ck_assert_str_eq(e.msg, "'MEAS:FOO?' was refused with error -113, \"Undefined header\"");
	ck_assert_int_eq(scpi_command(scpi, "VOLT 5000", &it, &e), -ERR_INSTRUMENT_ERROR);
	ck_assert_str_eq(e.msg, "'VOLT 5000' was refused with error -222, \"Data out of range\"");
	/* It is not told again of the next one. */
	set(1);
}
END_TEST

START_TEST(errors_that_others_left_are_not_blamed_on_this_one)
{
	meter.device->ops->input(meter.device, "FOO\nBAR 1\n", 10, meter.now);
	connect_by(SCPI_PROOF_ESE);
	set(1);
}
END_TEST

START_TEST(an_answer_that_is_lost_or_cut_is_late_and_the_next_one_is_right)
{
	static const char *const faults[] = {"lost", "cut"};

	set(4);
	sim_link_fault(&meter, faults[_i]);
	ck_assert_int_eq(query("MEAS:VOLT?"), -ERR_INSTRUMENT_LATE);
	ck_assert(fabs(reading() - 4) < 1e-9);
}
END_TEST

START_TEST(what_is_no_single_message_is_not_sent)
{
	static const char *const wrong[] = {"", "VOLT 1", "MEAS:VOLT?\nVOLT 7", "MEAS\tVOLT?"};

	set(2);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert_msg(query(wrong[i]) == -ERR_INVALID, "'%s'", wrong[i]);
	ck_assert_int_eq(scpi_command(scpi, "VOLT?", &it, &e), -ERR_INVALID);
	ck_assert(fabs(reading() - 2) < 1e-9);
}
END_TEST

START_TEST(without_numbers_a_missing_answer_is_waited_out)
{
	connect_by(SCPI_PROOF_LATE);
	set(1.25);
	sim_link_fault(&meter, "late=1500");
	ck_assert_int_eq(query("MEAS:VOLT?"), -ERR_INSTRUMENT_LATE);
	/* By the bound that is vouched for it has come, and was dropped. */
	set(2.5);
	ck_assert(fabs(reading() - 2.5) < 1e-9);
	ck_assert_uint_eq(turn.clear_us, 0);
	ck_assert_int_eq(query("MEAS:FOO?"), -ERR_INSTRUMENT_ERROR);
}
END_TEST

/* 10,000 points, of which every tenth has a fault, and is asked again where there was no answer. */
START_TEST(a_sweep_with_faults_keeps_its_values_and_order)
{
	static const char *const faults[] = {"late=1500", "lost", "twice", "cut", "twice"};
	unsigned again = 0;

	for (unsigned i = 0; i < 10000; i++) {
		double v = i * 0.05 - 250;
		int r = -1;

		set(v);
		if (i % 10 == 7)
			sim_link_fault(&meter, faults[i / 10 % ARRAY_LEN(faults)]);
		for (int tries = 0; r < 0 && tries < 3; tries++) {
			r = query("MEAS:VOLT?");
			again += r < 0;
		}
		ck_assert_msg(r == 0, "point %u: %s", i, e.msg);
		ck_assert_msg(fabs(strtod(answer.s, NULL) - v) < 1e-6, "point %u: %s, %g expected",
			i, answer.s, v);
	}
	ck_assert_uint_gt(again, 400);
}
END_TEST

START_TEST(identities_have_four_fields)
{
	struct scpi_identity id;

	ck_assert_int_eq(scpi_identity_read("Keysight,34461A,MY5,1.0,2", &id, &e), 0);
	ck_assert_str_eq(id.serial, "MY5");
	ck_assert_str_eq(id.firmware, "1.0,2");
	ck_assert_int_eq(scpi_identity_read("a,b,c", &id, &e), -ERR_INSTRUMENT);
	ck_assert_int_eq(scpi_identity_read("", &id, &e), -ERR_INSTRUMENT);
}
END_TEST

static bool disturbed;

/* The last character of each answer arrives as NUL. */
static int read_disturbed(struct link *l, void *buf, size_t size, size_t *ret_n,
	const struct iotime *when, struct err *why)
{
	int r = sim_link_read(l, buf, size, ret_n, when, why);
	char *b = buf;

	for (size_t i = 1; disturbed && r == 0 && i < *ret_n; i++)
		if (b[i] == '\n')
			b[i - 1] = '\0';
	return r;
}

static int query_block(const char *text, bool *ret_block)
{
	return scpi_query_block(scpi, text, &it, &answer, ret_block, &e);
}

static void assert_wave(void)
{
	ck_assert_uint_eq(answer.len, 512);
	for (int i = 0; i < 256; i++)
		ck_assert_int_eq((unsigned char)answer.s[256 + i], i);
}

/* By number and without: every value of a byte is in it, NL and NUL among them. */
START_TEST(a_block_holds_any_byte)
{
	bool block = false;

	connect_by(_i ? SCPI_PROOF_LATE : SCPI_PROOF_ESE);
	ck_assert_msg(query_block("WAV:DATA?", &block) == 0, "%s", e.msg);
	ck_assert(block);
	assert_wave();
	/* In the time of a line it is none, and the next question has its own answer. */
	ck_assert_msg(query_block("*IDN?", &block) == 0, "%s", e.msg);
	ck_assert(!block);
	ck_assert_str_eq(answer.s, "Example,M1,42,1.0");
	set(2);
	ck_assert(fabs(reading() - 2) < 1e-9);
}
END_TEST

START_TEST(a_block_that_is_cut_or_has_no_length_is_none)
{
	bool block = false;

	sim_link_fault(&meter, "cut");
	ck_assert_int_eq(query_block("WAV:DATA?", &block), -ERR_INSTRUMENT);
	ck_assert_msg(strstr(e.msg, "its block of 512 bytes is cut: 511 of them came") != NULL,
		"%s", e.msg);
	connect_by(SCPI_PROOF_ESE);
	sim_link_fault(&meter, "garbage");
	ck_assert_int_lt(query_block("WAV:DATA?", &block), 0);
	ck_assert_msg(strstr(e.msg, "does not say its length ('#0')") != NULL, "%s", e.msg);
}
END_TEST

START_TEST(a_block_that_comes_twice_is_one)
{
	bool block = false;

	sim_link_fault(&meter, "twice,count=0");
	for (int i = 0; i < 3; i++) {
		ck_assert_msg(query_block("WAV:DATA?", &block) == 0, "%s", e.msg);
		assert_wave();
		ck_assert_int_eq(query("*IDN?"), 0);
		ck_assert_str_eq(answer.s, "Example,M1,42,1.0");
	}
}
END_TEST

START_TEST(a_nul_does_not_end_a_number)
{
	connect_by(_i ? SCPI_PROOF_LATE : SCPI_PROOF_ESE);
	set(100);
	ops.read = read_disturbed;
	disturbed = true;
	/* "1.000000000E+02" without its last digit is 1. */
	ck_assert_int_eq(query("MEAS:VOLT?"), -ERR_INSTRUMENT);
	ck_assert_msg(strstr(e.msg, "has a NUL at position"), "%s", e.msg);
	disturbed = false;
}
END_TEST

START_TEST(what_is_cut_or_is_no_text_is_text_all_the_same)
{
	struct scpi_identity id;
	char idn[200] = "";
	char said[SCPI_FIELD_BYTES];
	long code = 0;
	json_t *j;

	/* The e with its accent lies across the end of the field. */
	memset(idn, 'a', SCPI_FIELD_BYTES - 2);
	strcat(idn, "\u00e9,M1,S1,1.0");
	ck_assert_int_eq(scpi_identity_read(idn, &id, &e), 0);
	ck_assert_uint_eq(strlen(id.maker), SCPI_FIELD_BYTES - 2);
	j = json_string(id.maker);
	ck_assert_ptr_nonnull(j);
	json_decref(j);
	ck_assert_int_eq(scpi_identity_read("\xff\x01", &id, &e), -ERR_INSTRUMENT);
	ck_assert_msg(strstr(e.msg, "'\\xff\\x01'"), "%s", e.msg);
	ck_assert_int_eq(scpi_error_read(idn, &code, said, &e), -ERR_INSTRUMENT);
	j = json_string(e.msg);
	ck_assert_ptr_nonnull(j);
	json_decref(j);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("scpi");
	TCase *t = tcase_create("scpi");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_question_has_its_answer_and_a_command_its_effect);
	tcase_add_test(t, an_answer_that_comes_late_is_never_the_next_ones);
	tcase_add_test(t, an_answer_that_comes_twice_is_one);
	tcase_add_test(t, what_comes_on_the_next_connection_is_not_believed_either);
	tcase_add_test(t, an_error_of_the_instrument_has_its_number_and_text);
	tcase_add_test(t, errors_that_others_left_are_not_blamed_on_this_one);
	tcase_add_loop_test(
		t, an_answer_that_is_lost_or_cut_is_late_and_the_next_one_is_right, 0, 2);
	tcase_add_test(t, what_is_no_single_message_is_not_sent);
	tcase_add_test(t, without_numbers_a_missing_answer_is_waited_out);
	tcase_add_test(t, a_sweep_with_faults_keeps_its_values_and_order);
	tcase_add_test(t, identities_have_four_fields);
	tcase_add_loop_test(t, a_block_holds_any_byte, 0, 2);
	tcase_add_test(t, a_block_that_is_cut_or_has_no_length_is_none);
	tcase_add_test(t, a_block_that_comes_twice_is_one);
	tcase_add_loop_test(t, a_nul_does_not_end_a_number, 0, 2);
	tcase_add_test(t, what_is_cut_or_is_no_text_is_text_all_the_same);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
