/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks for a stream, and who does not.
 */
#include "api/accept.h"

#include "base/util.h"
#include "tests/unit/unit.h"

static const struct {
	const char *accept;
	bool asks;
} rows[] = {
	{NULL, false},
	{"", false},
	{"text/event-stream", true},
	{"Text/Event-Stream", true},
	{"application/json, text/event-stream", true},
	{"application/json,text/event-stream;q=0.5", true},
	{"text/event-stream ; charset=utf-8", true},
	{"text/event-stream;q=0", false},
	{"text/event-stream; q=0.000, application/json", false},
	{"text/event-stream;q=0, text/event-stream", true},
	{"text/event-stream;x=\"a,b;q=0\"", true},
	{"*/*", false},
	{"text/*", false},
	{"text/event-streams", false},
	{"x-text/event-stream", false},
	{"application/json;x=\"text/event-stream\"", false},
	{",, ,text/event-stream", true},
	{"text/event-stream;x=\"\\", true},
};

START_TEST(a_type_is_asked_for_by_its_name_alone)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(accept_names(rows[i].accept, "text/event-stream") == rows[i].asks,
			"'%s'", rows[i].accept ? rows[i].accept : "(none)");
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("accept");
	TCase *t = tcase_create("accept");

	tcase_add_test(t, a_type_is_asked_for_by_its_name_alone);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
