/* SPDX-License-Identifier: Apache-2.0
 *
 * The page about a unit: what a unit or a person said stays text, wherever it comes.
 */
#include "api/conformance.h"

#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

#define HOSTILE "</td></pre><script>alert('1')</script>\"&amp;<img src=x onerror=y>"
#define SAFE                                                                     \
	"&lt;/td&gt;&lt;/pre&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;" \
	"&quot;&amp;amp;&lt;img src=x onerror=y&gt;"

/* Every text of the facts is hostile. */
static json_t *hostile_facts(void)
{
	json_t *h = json_string(HOSTILE);
	json_t *report = json_pack("{s:O, s:O, s:O, s:{s:O, s:O, s:O}, s:O, s:O, s:O}",
		"serial_number", h, "model", h, "firmware_version", h, "recipe", "name", h,
		"version", h, "sha256", h, "station", h, "ended_at", h, "outcome", h);
	json_t *facts;

	json_object_set_new(report, "steps",
		json_pack("[{s:O, s:O, s:O, s:[{s:O, s:O, s:O, s:O, s:O, s:O}]}]", "id", h,
			"action", h, "outcome", h, "measurements", "name", h, "value", h, "unit", h,
			"low", h, "high", h, "verdict", h));
	facts = json_pack("{s:{s:O}, s:{s:o, s:O, s:[{s:O, s:O, s:O}], s:[{s:O, s:O, s:O}]}, s:O,"
			  " s:O, s:O}",
		"unit", "chip_id", h, "record", "report", report, "host", h, "values", "value", h,
		"slot", h, "kind", h, "certificates", "subject", h, "issuer", h, "sha256", h, "n",
		h, "sha256", h, "checkpoint", h);
	json_decref(h);
	return facts;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

START_TEST(every_text_is_escaped)
{
	json_t *facts = hostile_facts();
	_cleanup_(freep) char *page = conformance_page(facts);

	json_decref(facts);
	ck_assert_ptr_null(strstr(page, "<script"));
	ck_assert_ptr_null(strstr(page, "<img"));
	ck_assert_ptr_null(strstr(page, "alert('"));
	ck_assert_uint_eq(count(page, SAFE), 10 + 3 + 6 + 3 + 3 + 3);
	ck_assert_uint_eq(count(page, "<table>"), count(page, "</table>"));
	ck_assert_uint_eq(count(page, "<pre>"), count(page, "</pre>"));
}
END_TEST

START_TEST(what_is_not_known_is_left_out)
{
	json_t *facts = json_pack("{s:{}, s:{s:{s:s, s:n, s:[]}}}", "unit", "record", "report",
		"serial_number", "SN-1", "model", "steps");
	_cleanup_(freep) char *page = conformance_page(facts);

	json_decref(facts);
	ck_assert_ptr_nonnull(strstr(page, "SN-1"));
	ck_assert_ptr_null(strstr(page, "Model"));
	ck_assert_ptr_null(strstr(page, "Measurements"));
	ck_assert_ptr_null(strstr(page, "null"));
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("conformance");
	TCase *t = tcase_create("conformance");

	tcase_add_test(t, every_text_is_escaped);
	tcase_add_test(t, what_is_not_known_is_left_out);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
