/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/batch.h"

#include <string.h>

#include "base/strbuf.h"
#include "plant/copy.h"
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
#define RUN_WITH(more)                                                                                    \
	"{\"record\":{\"seq\":5,\"timestamp\":\"2026-12-01T00:00:00Z\",\"type\":\"run-finished\","        \
	"\"run\":\"r1\"},\"told\":{\"report\":{\"id\":\"r1\",\"station\":\"A1\",\"kind\":\"production\"," \
	"\"outcome\":\"passed\",\"ended_at\":\"2026-12-01T00:00:01Z\",\"recipe\":{\"name\":\"r\","        \
	"\"version\":1}," more "}}}"
#define BATCH(records) "{\"fence\":7,\"after\":4,\"records\":[" records "]}"

static struct err e;

static int read_text(const char *text, struct batch *ret)
{
	return batch_read("H1", 5, text, strlen(text), ret, &e);
}

static char *rows_of(const struct batch *b, enum batch_table t, size_t skip)
{
	size_t bytes;
	const char *rows = batch_rows(b, t, skip, &bytes);

	return strndup(rows, bytes);
}

static void expect_rows(const struct batch *b, enum batch_table t, size_t skip, const char *want)
{
	char *rows = rows_of(b, t, skip);

	ck_assert_str_eq(rows, want);
	free(rows);
}

START_TEST(a_batch_becomes_rows)
{
	static const char run[] =
		"r1\tH1\t9\tA1\tproduction\t\\N\t\\N\tr\t1\t\\N\tu\tS\tpassed\t\\N"
		"\t\\N\t1796083201000\t{";
	struct batch b;
	json_t *values;
	char *rows;

	ck_assert_int_eq(read_text(BATCH(RECORD(5, "x", "null") "," RUN(9, "r1")), &b), 0);
	ck_assert_int_eq(b.fence, 7);
	ck_assert_int_eq(b.after, 4);
	ck_assert_int_eq(b.last, 9);
	ck_assert_uint_eq(b.n, 2);
	rows = rows_of(&b, BATCH_RECORDS, 0);
	ck_assert_msg(
		!strncmp(rows, "H1\t5\t1796083200000\tx\tA1\t\\N\t\\N\t\\N\t{\"job\":null,", 44),
		"%s", rows);
	ck_assert_str_eq(strrchr(rows, '\t'), "\t5\n");
	free(rows);
	rows = rows_of(&b, BATCH_RUNS, 0);
	ck_assert_msg(strstr(rows, run) == rows, "%s", rows);
	free(rows);
	expect_rows(&b, BATCH_MEASUREMENTS, 0, "r1\t1\t3\tv\t1.5\t\\N\t\\N\t\\N\t\\N\tpass\n");
	values = batch_values(&b, 0);
	ck_assert_uint_eq(json_array_size(values), 1);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_array_get(values, 0), "value")), "Sr1");
	json_decref(values);
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
	ck_assert_str_eq(a.record[0].digest, b.record[0].digest);
	batch_done(&a);
	batch_done(&b);
}
END_TEST

START_TEST(what_the_plant_has_is_left_out_with_all_that_belongs_to_it)
{
	struct batch b;
	json_t *values;
	char *rows;

	ck_assert_int_eq(read_text(BATCH(RUN(5, "r1") "," RUN(6, "r2")), &b), 0);
	ck_assert_uint_eq(batch_known(&b, 4), 0);
	ck_assert_uint_eq(batch_known(&b, 5), 1);
	ck_assert_uint_eq(batch_known(&b, 99), 2);
	rows = rows_of(&b, BATCH_RECORDS, 1);
	ck_assert_int_eq(strncmp(rows, "H1\t6\t", 5), 0);
	ck_assert_ptr_eq(strchr(rows, '\n'), rows + strlen(rows) - 1);
	free(rows);
	rows = rows_of(&b, BATCH_RUNS, 1);
	ck_assert_int_eq(strncmp(rows, "r2\tH1\t6\t", 8), 0);
	free(rows);
	expect_rows(&b, BATCH_MEASUREMENTS, 1, "r2\t1\t3\tv\t1.5\t\\N\t\\N\t\\N\t\\N\tpass\n");
	values = batch_values(&b, 1);
	ck_assert_uint_eq(json_array_size(values), 1);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_array_get(values, 0), "value")), "Sr2");
	json_decref(values);
	for (int t = 0; t < BATCH_TABLES; t++)
		expect_rows(&b, (enum batch_table)t, 2, "");
	batch_done(&b);
}
END_TEST

/* What would end a column or a row, or be read as NULL, is text. */
START_TEST(bytes_that_copy_knows_are_escaped)
{
	struct strbuf s = {0};
	struct batch b;
	char *rows;

	copy_text(&s, "a\tb\nc\rd\\N");
	copy_text(&s, "\\.");
	copy_text(&s, "");
	copy_text(&s, NULL);
	copy_int(&s, INT64_MIN);
	copy_end(&s);
	ck_assert_str_eq(s.s, "a\\tb\\nc\\rd\\\\N\t\\\\.\t\t\\N\t-9223372036854775808\n");
	sb_done(&s);
	ck_assert_int_eq(read_text(BATCH(RECORD(5, "t\\tx\\n\\\\", "null")), &b), 0);
	rows = rows_of(&b, BATCH_RECORDS, 0);
	ck_assert_ptr_nonnull(strstr(rows, "\tt\\tx\\n\\\\\tA1\t"));
	ck_assert_ptr_eq(strchr(rows, '\n'), rows + strlen(rows) - 1);
	free(rows);
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
	       "\"run\":\"r1\"},\"told\":null}"),
		ERR_UNPROCESSABLE, "in 'told'"},
	{BATCH(RUN_WITH("\"steps\":7")), ERR_UNPROCESSABLE, "steps of its run are a list"},
	{BATCH(RUN_WITH("\"steps\":[5]")), ERR_UNPROCESSABLE, "a step of its run is an object"},
	{BATCH(RUN_WITH("\"steps\":[{\"measurements\":7}]")), ERR_UNPROCESSABLE,
		"measurements are a list"},
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
	ck_assert_int_eq(batch_read("H1", 5, s.s, s.len, &b, &e), -ERR_TOO_LARGE);
	sb_done(&s);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("plant_batch");
	TCase *t = tcase_create("batch");

	tcase_add_test(t, a_batch_becomes_rows);
	tcase_add_test(t, the_same_record_has_the_same_digest_however_it_is_written);
	tcase_add_test(t, what_the_plant_has_is_left_out_with_all_that_belongs_to_it);
	tcase_add_test(t, bytes_that_copy_knows_are_escaped);
	tcase_add_loop_test(
		t, what_is_not_right_is_refused_whole, 0, (int)(sizeof wrong / sizeof *wrong));
	tcase_add_test(t, a_batch_has_an_end);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
