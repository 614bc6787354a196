/* SPDX-License-Identifier: Apache-2.0
 *
 * What a receiver's answer means, and when it is tried again.
 */
#include "daemon/line/webhook_rules.h"

#include "base/util.h"
#include "tests/unit/unit.h"

START_TEST(an_answer_is_taken_gone_or_tried_again)
{
	static const int again[] = {
		0, 100, 301, 302, 307, 400, 401, 404, 408, 422, 425, 429, 500, 503};

	for (int status = 200; status < 300; status++)
		ck_assert_int_eq(webhook_judge(status), WEBHOOK_TAKEN);
	ck_assert_int_eq(webhook_judge(410), WEBHOOK_GONE);
	for (size_t i = 0; i < ARRAY_LEN(again); i++)
		ck_assert_int_eq(webhook_judge(again[i]), WEBHOOK_AGAIN);
}
END_TEST

START_TEST(an_event_is_tried_later_each_time_and_never_all_at_once)
{
	static const int64_t middle[] = {2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000,
		512000, 1024000, 2048000, 3600000, 3600000};

	for (size_t i = 0; i < ARRAY_LEN(middle); i++) {
		const int64_t n = (int64_t)i + 1;

		ck_assert_int_eq(webhook_again_ms(n, 0), middle[i] * 3 / 4);
		ck_assert_int_eq(webhook_again_ms(n, UINT16_MAX), middle[i] * 5 / 4);
	}
	ck_assert_int_eq(webhook_again_ms(INT64_MAX, 0), WEBHOOK_LATEST_MS * 3 / 4);
	ck_assert_int_eq(webhook_again_ms(0, 0), WEBHOOK_FIRST_MS * 3 / 4);
}
END_TEST

START_TEST(a_receiver_is_tried_as_late_as_it_asks_up_to_a_limit)
{
	ck_assert_int_eq(webhook_probe_ms(1, 0, 0), 750);
	ck_assert_int_eq(webhook_probe_ms(2, 0, UINT16_MAX), 2500);
	ck_assert_int_eq(webhook_probe_ms(40, 0, UINT16_MAX), WEBHOOK_PROBES_MS * 5 / 4);
	ck_assert_int_eq(webhook_probe_ms(1, 30000, 0), 30000);
	ck_assert_int_eq(webhook_probe_ms(40, 1000, 0), WEBHOOK_PROBES_MS * 3 / 4);
	ck_assert_int_eq(webhook_probe_ms(1, INT64_MAX, 0), WEBHOOK_ASKED_MS);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("webhook_rules");
	TCase *t = tcase_create("webhook_rules");

	tcase_add_test(t, an_answer_is_taken_gone_or_tried_again);
	tcase_add_test(t, an_event_is_tried_later_each_time_and_never_all_at_once);
	tcase_add_test(t, a_receiver_is_tried_as_late_as_it_asks_up_to_a_limit);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
