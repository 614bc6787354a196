/* SPDX-License-Identifier: Apache-2.0
 *
 * The YAML subset: what people mean comes through as JSON with its place, what they do not mean is
 * refused with line and column.
 */
#include "base/yaml.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/unit/unit.h"

DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

static struct yaml_doc *parse(const char *text)
{
	struct yaml_doc *d = NULL;
	struct err e = {0};
	int r = yaml_parse("t.yaml", text, strlen(text), &d, &e);

	ck_assert_msg(r == 0, "%s", e.msg);
	return d;
}

static void check_json(const char *text, const char *want)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *d = parse(text);
	_cleanup_(freep) char *got =
		json_dumps(d->root, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	ck_assert_str_eq(got, want);
}

static void check_refused(const char *text, size_t len, const char *want)
{
	struct yaml_doc *d = NULL;
	struct err e = {0};

	ck_assert_int_eq(yaml_parse("t.yaml", text, len, &d, &e), -ERR_INVALID);
	ck_assert_ptr_null(d);
	ck_assert_msg(strstr(e.msg, want), "'%s' is not in '%s'", want, e.msg);
}

static const struct {
	const char *yaml, *json;
} plain[] = {
	{"null", "null"},
	{"~", "null"},
	{"true", "true"},
	{"False", "false"},
	{"0", "0"},
	{"-17", "-17"},
	{"+17", "17"},
	{"0x1F", "31"},
	{"0o17", "15"},
	{"9223372036854775807", "9223372036854775807"},
	{"1.5", "1.5"},
	{"-.5", "-0.5"},
	{"1e3", "1000.0"},
	{"5.", "5.0"},
	{"no", "\"no\""},
	{"on", "\"on\""},
	{"yes", "\"yes\""},
	{"12:30", "\"12:30\""},
	{"1_000", "\"1_000\""},
	{"60s", "\"60s\""},
	{"64K", "\"64K\""},
	{"0xZZ", "\"0xZZ\""},
	{"1.2.3", "\"1.2.3\""},
	{"2026-11-22", "\"2026-11-22\""},
	{"'1.10'", "\"1.10\""},
	{"\"0001\"", "\"0001\""},
	{"'true'", "\"true\""},
	{"''", "\"\""},
	{"|\n  a\n  b\n", "\"a\\nb\\n\""},
	{"[1, two, 3.0]", "[1,\"two\",3.0]"},
	{"{b: 1, a: {c: []}}", "{\"a\":{\"c\":[]},\"b\":1}"},
	{"a:\nb: ~\n", "{\"a\":null,\"b\":null}"},
	{"\xef\xbb\xbf"
	 "a: \xc3\xa4\n",
		"{\"a\":\"\xc3\xa4\"}"},
};

START_TEST(scalars_follow_the_core_schema)
{
	check_json(plain[_i].yaml, plain[_i].json);
}
END_TEST

static const struct {
	const char *yaml, *want;
} refused[] = {
	{"a: &x 1\n", "t.yaml:1:4: anchors (&x)"},
	{"a: *x\n", "t.yaml:1:4: aliases (*x)"},
	{"a: !!str 1\n", "t.yaml:1:4: tags (tag:yaml.org,2002:str)"},
	{"a: ! 1\n", "tags"},
	{"a:\n  <<: {b: 1}\n", "t.yaml:2:3: merge keys"},
	{"a: 1\nb: 2\na: 3\n", "t.yaml:3:1: the key 'a' is here twice"},
	{"a: 1\n---\nb: 2\n", "only one document"},
	{"1: x\n", "the key '1' is not text"},
	{"true: x\n", "the key 'true' is not text"},
	{"? [a]\n: x\n", "a key must be text"},
	{"", "the file is empty"},
	{"# only a comment\n", "the file is empty"},
	{"a: [1, 2\n", "t.yaml:2:1:"},
	{"a: b: c\n", "t.yaml:1:5:"},
	{"\ta: 1\n", "t.yaml:1:"},
	{"a: 99999999999999999999\n", "does not fit 64 bits"},
	{"a: 0012\n", "leading zeros"},
	{"a: .inf\n", "not a value here"},
	{"a: -.Inf\n", "not a value here"},
	{"a: 1e999\n", "out of range"},
	{"a: \"x\\0y\"\n", "NUL"},
	{"\"x\\0y\": 1\n", "NUL"},
	{"a: \xff\xfe\n", "t.yaml:1:"},
};

START_TEST(what_nobody_means_is_refused_with_its_place)
{
	check_refused(refused[_i].yaml, strlen(refused[_i].yaml), refused[_i].want);
}
END_TEST

START_TEST(depth_is_capped_exactly)
{
	char text[2 * YAML_MAX_DEPTH + 3] = "";

	memset(text, '[', YAML_MAX_DEPTH);
	memset(text + YAML_MAX_DEPTH, ']', YAML_MAX_DEPTH);

	struct yaml_doc *d = parse(text);

	yaml_doc_free(d);
	memset(text, '[', YAML_MAX_DEPTH + 1);
	memset(text + YAML_MAX_DEPTH + 1, ']', YAML_MAX_DEPTH + 1);
	check_refused(text, strlen(text), "more than 32 levels");
}
END_TEST

START_TEST(size_is_capped)
{
	_cleanup_(freep) char *text = malloc(YAML_MAX_BYTES + 1);

	memset(text, ' ', YAML_MAX_BYTES + 1);
	check_refused(text, YAML_MAX_BYTES + 1, "larger than");
}
END_TEST

START_TEST(long_keys_over_many_leaves_do_not_eat_memory)
{
	struct strbuf b = {0};
	char key[201];

	memset(key, 'k', 200);
	key[200] = 0;
	for (int i = 0; i < 20; i++)
		sb_addf(&b, "{%s: ", key);
	sb_add(&b, "[1");
	for (int i = 0; i < 100000; i++)
		sb_add(&b, ",1");
	sb_add(&b, "]");
	for (int i = 0; i < 20; i++)
		sb_add(&b, "}");
	check_refused(b.s, b.len, "too many values under long keys");
	sb_done(&b);
}
END_TEST

START_TEST(every_value_has_its_line_and_column)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *d = parse("recipe: x\n"
							     "steps:\n"
							     "  - id: a\n"
							     "    with: {port: console}\n"
							     "odd/na~me: 1\n");
	const struct yaml_place *p = yaml_where(d, "/steps/0/with/port");

	ck_assert_uint_eq(p->line, 4);
	ck_assert_uint_eq(p->column, 18);
	ck_assert_uint_eq(p->key_line, 4);
	ck_assert_uint_eq(p->key_column, 12);
	p = yaml_where(d, "/odd~1na~0me");
	ck_assert_uint_eq(p->line, 5);
	ck_assert_uint_eq(p->key_column, 1);
	p = yaml_where(d, "/steps/0/timeout"); /* absent: the step itself */
	ck_assert_str_eq(p->pointer, "/steps/0");
	ck_assert_uint_eq(p->line, 3);
	ck_assert_str_eq(yaml_where(d, "/nowhere")->pointer, "");
	ck_assert_str_eq(yaml_where(d, "")->pointer, "");
}
END_TEST

START_TEST(a_file_is_read_and_a_missing_one_named)
{
	char path[] = "/tmp/test_yaml_XXXXXX";
	int fd = mkstemp(path);
	struct yaml_doc *d = NULL;
	struct err e = {0};

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "a: 1\n", 5), 5);
	close(fd);
	ck_assert_int_eq(yaml_load(path, &d, &e), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(d->root, "a")), 1);
	yaml_doc_free(d);
	unlink(path);
	ck_assert_int_eq(yaml_load(path, &d, &e), -ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(e.msg, path));
}
END_TEST

/* A small mutation fuzz with a fixed seed: nothing may crash or leak, whatever the bytes. */
START_TEST(damaged_text_never_crashes)
{
	static const char seed[] = "a: &x {b: [1, 'two', \"th\\x41ree\"]}\n? c\n: |\n  d\n- *x\n";
	uint32_t s = 12345;

	for (int round = 0; round < 20000; round++) {
		char text[sizeof seed];

		memcpy(text, seed, sizeof seed);
		for (int k = 0; k < 4; k++) {
			s = s * 1664525u + 1013904223u;
			text[(s >> 8) % (sizeof seed - 1)] = (char)(s >> 24);
		}

		struct yaml_doc *d = NULL;

		if (yaml_parse("f", text, sizeof seed - 1, &d, NULL) == 0)
			yaml_doc_free(d);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("yaml");
	TCase *t = tcase_create("yaml");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, scalars_follow_the_core_schema, 0, ARRAY_LEN(plain));
	tcase_add_loop_test(t, what_nobody_means_is_refused_with_its_place, 0, ARRAY_LEN(refused));
	tcase_add_test(t, depth_is_capped_exactly);
	tcase_add_test(t, size_is_capped);
	tcase_add_test(t, long_keys_over_many_leaves_do_not_eat_memory);
	tcase_add_test(t, every_value_has_its_line_and_column);
	tcase_add_test(t, a_file_is_read_and_a_missing_one_named);
	tcase_add_test(t, damaged_text_never_crashes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
