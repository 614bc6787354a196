/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/batch.h"

#include <string.h>

#include "base/strbuf.h"
#include "tests/unit/unit.h"

#define RECORD(seq, type, more)                                                                 \
	"{\"record\":{\"seq\":" #seq ",\"timestamp\":\"2026-12-01T00:00:00Z\",\"type\":\"" type \
	"\","                                                                                   \
	"\"station\":\"A1\",\"job\":null,\"run\":" more "}}"
#define TOLD(id)                                                                                        \
	",\"told\":{\"reference\":null,\"values\":[{\"kind\":\"serial\",\"slot\":\"\",\"value\":\"S" id \
	"\"}],\"report\":{\"id\":\"" id                                                                 \
	"\",\"station\":\"A1\",\"kind\":\"production\",\"outcome\":"                                    \
	"\"passed\",\"ended_at\":\"2026-12-01T00:00:01Z\",\"unit\":\"u\",\"serial_number\":\"S\","      \
	"\"recipe\":{\"name\":\"r\",\"version\":1},\"steps\":[{\"n\":3,\"measurements\":[{\"name\":"    \
	"\"v\",\"value\":1.5,\"verdict\":\"pass\"}]}]}}"
#define RUN(seq, id)                                                                     \
	"{\"record\":{\"seq\":" #seq ",\"timestamp\":\"2026-12-01T00:00:00Z\",\"type\":" \
	"\"run-finished\",\"run\":\"" id "\"}" TOLD(id) "}"
#define BATCH(records) "{\"fence\":7,\"after\":4,\"records\":[" records "]}"

static struct err e;

static int read_text(const char *text, struct batch *ret)
{
	return batch_read(text, strlen(text), ret, &e);
}

START_TEST(a_batch_becomes_rows)
{
	struct batch b;

	ck_assert_int_eq(read_text(BATCH(RECORD(5, "x", "null") "," RUN(9, "r1")), &b), 0);
	ck_assert_int_eq(b.fence, 7);
	ck_assert_int_eq(b.after, 4);
	ck_assert_int_eq(b.last, 9);
	ck_assert_uint_eq(json_array_size(b.records), 2);
	ck_assert_uint_eq(json_array_size(b.runs), 1);
	ck_assert_uint_eq(json_array_size(b.values), 1);

	const json_t *m = json_array_get(b.measurements, 0);

	ck_assert_str_eq(json_string_value(json_object_get(m, "run")), "r1");
	ck_assert_int_eq(json_integer_value(json_object_get(m, "step")), 3);
	ck_assert(json_real_value(json_object_get(m, "value")) == 1.5);
	batch_done(&b);
}
END_TEST

START_TEST(the_same_record_has_the_same_digest_however_it_is_written)
{
	static const char one[] = BATCH("{\"record\":{\"seq\":5,\"type\":\"x\",\"timestamp\":"
					"\"2026-12-01T00:00:00Z\"}}");
	static const char other[] = BATCH("{ \"record\": {\"timestamp\":\"2026-12-01T00:00:00Z\","
					  "\"type\":\"\\u0078\", \"seq\":5}}");
	struct batch a, b;

	ck_assert_int_eq(read_text(one, &a), 0);
	ck_assert_int_eq(read_text(other, &b), 0);
	ck_assert(json_equal(json_object_get(json_array_get(a.records, 0), "digest"),
		json_object_get(json_array_get(b.records, 0), "digest")));
	batch_done(&a);
	batch_done(&b);
}
END_TEST

START_TEST(what_the_plant_has_is_taken_out_with_all_that_belongs_to_it)
{
	json_t *had = json_array();
	struct batch b;

	ck_assert_int_eq(read_text(BATCH(RUN(5, "r1") "," RUN(6, "r2")), &b), 0);
	batch_skip(&b, 5, had);
	ck_assert_uint_eq(json_array_size(had), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(had, 0), "seq")), 5);
	ck_assert_uint_eq(json_array_size(b.records), 1);
	ck_assert_uint_eq(json_array_size(b.runs), 1);
	ck_assert_uint_eq(json_array_size(b.measurements), 1);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_array_get(b.values, 0), "value")), "Sr2");
	/* Once more: what was taken out stays in the list. */
	batch_skip(&b, 6, had);
	ck_assert_uint_eq(json_array_size(had), 2);
	ck_assert_uint_eq(json_array_size(b.records), 0);
	json_decref(had);
	batch_done(&b);
}
END_TEST

static const struct {
	const char *text;
	enum err_code code;
	const char *says;
} wrong[] = {
	{"", ERR_INVALID, "an object of fence, after and records"},
	{"[]", ERR_INVALID, "one of them is not there"},
	{"{\"fence\":1,\"after\":-1,\"records\":[]}", ERR_INVALID, "one of them"},
	{"{\"fence\":1,\"fence\":1,\"after\":1,\"records\":[]}", ERR_INVALID, "duplicate"},
	{BATCH("5"), ERR_UNPROCESSABLE, "record 1 of the batch"},
	{BATCH(RECORD(5, "x", "null") ",{}"), ERR_UNPROCESSABLE, "record 2 of the batch"},
	{BATCH(RECORD(4, "x", "null")), ERR_UNPROCESSABLE, "is not larger"},
	{BATCH(RECORD(5, "x", "null") "," RECORD(5, "x", "null")), ERR_UNPROCESSABLE, "record 2"},
	{BATCH(RECORD(5, "", "null")), ERR_UNPROCESSABLE, "'type'"},
	{BATCH(RECORD(5, "x", "5")), ERR_UNPROCESSABLE, "texts or null"},
	{BATCH(RECORD(5, "run-finished", "\"r\"")), ERR_UNPROCESSABLE, "in 'told'"},
	{BATCH("{\"record\":{\"seq\":5,\"timestamp\":\"2026-12-01T00:00:00Z\",\"type\":\"run-finished\","
	       "\"run\":\"other\"}" TOLD("r1") "}"),
		ERR_UNPROCESSABLE, "not that of its run"},
};

START_TEST(what_is_not_right_is_refused_whole)
{
	struct batch b;

	ck_assert_int_eq(read_text(wrong[_i].text, &b), -(int)wrong[_i].code);
	ck_assert_msg(strstr(e.msg, wrong[_i].says), "%s", e.msg);
}
END_TEST

START_TEST(a_batch_has_an_end)
{
	struct strbuf s = {0};
	struct batch b;

	sb_add(&s, "{\"fence\":1,\"after\":0,\"records\":[");
	for (int i = 0; i <= BATCH_RECORDS_MAX; i++)
		sb_add(&s, i ? ",1" : "1");
	sb_add(&s, "]}");
	ck_assert_int_eq(batch_read(s.s, s.len, &b, &e), -ERR_TOO_LARGE);
	sb_done(&s);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("plant_batch");
	TCase *t = tcase_create("batch");

	tcase_add_test(t, a_batch_becomes_rows);
	tcase_add_test(t, the_same_record_has_the_same_digest_however_it_is_written);
	tcase_add_test(t, what_the_plant_has_is_taken_out_with_all_that_belongs_to_it);
	tcase_add_loop_test(
		t, what_is_not_right_is_refused_whole, 0, (int)(sizeof wrong / sizeof *wrong));
	tcase_add_test(t, a_batch_has_an_end);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
