/* SPDX-License-Identifier: Apache-2.0
 *
 * The dialogue with a label printer against provsim's: what its status says, what is sent when, and
 * what is known after each way that it can end.
 */
#include "transports/protocols/zpl/zpl.h"

#include <string.h>

#include "tests/unit/transports/sim_link.h"

#define FORMAT "^XA^PW320^LL160^FO0,0^GFA,2,2,1,FF,^FS^PQ1,0,1,Y^XZ\n"

static struct sim_link printer;
static struct zpl_report report;
static struct err e;

static void setup(void)
{
	sim_link_init(&printer, "printer", NULL);
	e = (struct err){0};
}

static void teardown(void)
{
	sim_link_done(&printer);
}

static int print(void)
{
	struct iotime it = {now_us() + 20 * US_PER_S, NULL};

	int r = zpl_ready(&printer.link, US_PER_S, &it, &report, &e);

	return r < 0 ? r
		     : zpl_print(&printer.link, FORMAT, strlen(FORMAT), US_PER_S, &it, &report, &e);
}

static json_int_t printed(void)
{
	json_t *o = json_object();
	json_int_t n;

	printer.device->ops->json(printer.device, true, o);
	n = json_integer_value(json_object_get(o, "labels"));
	json_decref(o);
	return n;
}

START_TEST(a_label_is_printed_by_the_printers_own_status)
{
	ck_assert_msg(print() == 0, "%s", e.msg);
	ck_assert(report.answers && report.printed);
	ck_assert_uint_eq(report.sent, strlen(FORMAT));
	ck_assert_int_eq(printed(), 1);
}
END_TEST

START_TEST(a_printer_that_is_not_ready_gets_nothing)
{
	static const struct {
		const char *fault, *says;
	} cases[] = {
		{"paper-out,count=0", "it has no paper: load labels; nothing was sent to it"},
		{"head-open,count=0", "its head is open: close it"},
		{"paused,count=0", "it is paused: press its pause key"},
		{"ribbon-out,count=0", "it has no ribbon"},
		{"garbage", "three lines of a host status expected"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		sim_link_fault(&printer, cases[i].fault);
		ck_assert_int_eq(print(), -ERR_PRINTER);
		ck_assert_msg(strstr(e.msg, cases[i].says), "%s", e.msg);
		ck_assert_uint_eq(report.sent, 0);
		ck_assert_int_eq(printed(), 0);
		printer.faults.n = 0;
	}
}
END_TEST

START_TEST(a_printer_that_does_not_answer_gets_the_label_all_the_same)
{
	sim_link_fault(&printer, "mute,count=0");
	ck_assert_msg(print() == 0, "%s", e.msg);
	ck_assert(!report.answers && !report.printed);
	ck_assert_uint_eq(report.sent, strlen(FORMAT));
	ck_assert_int_eq(printed(), 1);
}
END_TEST

START_TEST(paper_that_runs_out_keeps_the_label_in_the_printer)
{
	sim_link_fault(&printer, "runs-out");
	ck_assert_int_eq(print(), -ERR_PRINTER);
	ck_assert_msg(strstr(e.msg, "another print would be a second one"), "%s", e.msg);
	ck_assert_uint_eq(report.sent, strlen(FORMAT));
	ck_assert(!report.printed);
	ck_assert_int_eq(printed(), 0);
	printer.device->ops->clear_faults(printer.device);
	ck_assert_int_eq(printed(), 1);
}
END_TEST

START_TEST(a_connection_that_is_cut_leaves_it_open_whether_a_label_came_out)
{
	sim_link_fault(&printer, "cut=20");
	ck_assert_int_eq(print(), -ERR_PRINTER);
	ck_assert_msg(strstr(e.msg, "may have come out"), "%s", e.msg);
	ck_assert_uint_gt(report.sent, 0);
	ck_assert(!report.printed);
}
END_TEST

/* No status says so: what is printed twice is found by a scan alone (docs/labels.md). */
START_TEST(a_label_that_comes_out_twice_is_not_seen)
{
	sim_link_fault(&printer, "twice");
	ck_assert_msg(print() == 0, "%s", e.msg);
	ck_assert(report.printed);
	ck_assert_int_eq(printed(), 2);
	ck_assert_int_eq(print(), 0);
	ck_assert_int_eq(printed(), 3);
}
END_TEST

START_TEST(a_label_that_stays_in_the_buffer_is_no_success)
{
	struct iotime far = {now_us() + 20 * US_PER_S, NULL};

	ck_assert_int_eq(print(), 0);
	sim_link_fault(&printer, "stuck,count=0");
	ck_assert_int_eq(zpl_ready(&printer.link, US_PER_S, &far, &report, &e), 0);
	/* It never gets done: the deadline says so. */
	struct iotime it = {now_us() + 300 * US_PER_MS, NULL};

	ck_assert_int_eq(
		zpl_print(&printer.link, FORMAT, strlen(FORMAT), US_PER_S, &it, &report, &e),
		-ERR_PRINTER);
	ck_assert_msg(strstr(e.msg, "1 formats and 0 labels wait in the printer"), "%s", e.msg);
	ck_assert_uint_eq(report.status.formats, 1);
	ck_assert_int_eq(printed(), 1);
}
END_TEST

START_TEST(an_answer_that_is_older_than_the_label_does_not_say_that_it_came_out)
{
	struct iotime far = {now_us() + 20 * US_PER_S, NULL};

	/* Of the question before the label, once more after it. */
	sim_link_fault(&printer, "double,count=0");
	ck_assert_int_eq(zpl_ready(&printer.link, US_PER_S, &far, &report, &e), 0);
	sim_link_fault(&printer, "stuck,count=0");

	struct iotime it = {now_us() + 500 * US_PER_MS, NULL};

	ck_assert_int_eq(
		zpl_print(&printer.link, FORMAT, strlen(FORMAT), US_PER_S, &it, &report, &e),
		-ERR_PRINTER);
	ck_assert(!report.printed);
	ck_assert_int_eq(printed(), 0);
	printer.faults.n = 0;
	sim_link_fault(&printer, "double,count=0");
	ck_assert_msg(print() == 0, "%s", e.msg);
	ck_assert(report.printed);
}
END_TEST

START_TEST(a_label_of_another_unit_that_waits_in_the_printer_keeps_this_one_out)
{
	struct iotime it = {now_us() + 500 * US_PER_MS, NULL};

	sim_link_fault(&printer, "stuck,count=0");
	ck_assert_int_eq(link_write(&printer.link, FORMAT, strlen(FORMAT), &it, &e), 0);
	ck_assert_int_eq(zpl_ready(&printer.link, US_PER_S, &it, &report, &e), -ERR_PRINTER);
	ck_assert_ptr_nonnull(strstr(e.msg, "1 formats and 0 labels of others wait in it"));
	ck_assert_uint_eq(report.sent, 0);
	ck_assert_int_eq(printed(), 0);
	printer.faults.n = 0;
	ck_assert_msg(print() == 0, "%s", e.msg);
	ck_assert_int_eq(printed(), 2);
}
END_TEST

#define L1     \
	"\x02" \
	"030,%d,%d,1245,%03d,%d,0,%d,000,0,%d,%d\x03\r\n"
#define L2     \
	"\x02" \
	"000,0,%d,%d,0,2,4,0,%08d,1,000\x03\r\n"
#define L3     \
	"\x02" \
	"1234,0\x03\r\n"

static void status_of(const int v[10], struct zpl_status *ret)
{
	char text[256];

	snprintf(text, sizeof text, L1 L2 L3, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8],
		v[9]);
	ck_assert_msg(zpl_status_read(text, strlen(text), ret, &e) == 0, "%s", e.msg);
}

START_TEST(each_field_of_a_status_is_read)
{
	struct zpl_status s;

	status_of((int[10]){0}, &s);
	ck_assert_ptr_null(zpl_status_trouble(&s));
	status_of((int[10]){[0] = 1}, &s);
	ck_assert(s.paper_out && zpl_status_trouble(&s));
	status_of((int[10]){[1] = 1}, &s);
	ck_assert(s.paused && zpl_status_trouble(&s));
	status_of((int[10]){[2] = 17, [9] = 1234}, &s);
	ck_assert_uint_eq(s.formats, 17);
	ck_assert_uint_eq(s.labels, 1234);
	ck_assert_ptr_null(zpl_status_trouble(&s));
	status_of((int[10]){[3] = 1}, &s);
	ck_assert(s.buffer_full && zpl_status_trouble(&s));
	status_of((int[10]){[4] = 1}, &s);
	ck_assert(s.partial && !zpl_status_trouble(&s));
	status_of((int[10]){[5] = 1}, &s);
	ck_assert(s.too_cold && zpl_status_trouble(&s));
	status_of((int[10]){[6] = 1}, &s);
	ck_assert(s.too_hot && zpl_status_trouble(&s));
	status_of((int[10]){[7] = 1, [0] = 1}, &s);
	ck_assert_ptr_nonnull(strstr(zpl_status_trouble(&s), "head is open"));
	status_of((int[10]){[8] = 1}, &s);
	ck_assert(s.ribbon_out && zpl_status_trouble(&s));
}
END_TEST

START_TEST(what_is_no_status_is_refused)
{
	static const char *const bad[] = {
		"",
		"\x02"
		"030,0,0\x03",
		"\x02"
		"030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n",
		"\x02"
		"030,x,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02"
		"000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n" L3,
		"\x02"
		"030,7,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02"
		"000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n" L3,
		"\x02"
		"030,0,0,1245,,0,0,0,000,0,0,0\x03\r\n\x02"
		"000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n" L3,
		"\x02"
		"030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n\x02"
		"000,0,0,0,0,2,4\x03\r\n" L3,
	};
	struct zpl_status s;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(zpl_status_read(bad[i], strlen(bad[i]), &s, &e) == -ERR_PROTOCOL,
			"'%s' was taken", bad[i]);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("zpl");
	TCase *t = tcase_create("zpl");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_label_is_printed_by_the_printers_own_status);
	tcase_add_test(t, a_printer_that_is_not_ready_gets_nothing);
	tcase_add_test(t, a_printer_that_does_not_answer_gets_the_label_all_the_same);
	tcase_add_test(t, paper_that_runs_out_keeps_the_label_in_the_printer);
	tcase_add_test(t, a_connection_that_is_cut_leaves_it_open_whether_a_label_came_out);
	tcase_add_test(t, a_label_that_comes_out_twice_is_not_seen);
	tcase_add_test(t, a_label_that_stays_in_the_buffer_is_no_success);
	tcase_add_test(t, an_answer_that_is_older_than_the_label_does_not_say_that_it_came_out);
	tcase_add_test(t, a_label_of_another_unit_that_waits_in_the_printer_keeps_this_one_out);
	tcase_add_test(t, each_field_of_a_status_is_read);
	tcase_add_test(t, what_is_no_status_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
