/* SPDX-License-Identifier: Apache-2.0
 *
 * Labels: what a template may say, every mistake at its place, GS1 check digits and separators, what
 * an element needs around it, and that no data get into a printer's commands. What scanners read of
 * the pictures is in tests/e2e/test_label.py.
 */
#include "transports/labels/label.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "transports/labels/gs1.h"
#include "transports/labels/symbol.h"

#define HEAD "label: t\nwidth: 40mm\nheight: 20mm\nelements:\n"

static struct label *read_label(const char *text)
{
	struct strbuf report = {0};
	struct label *l = NULL;
	struct err e = {0};

	ck_assert_msg(label_read("t.yaml", text, strlen(text), &report, &l, &e) == 0, "%s", e.msg);
	ck_assert_ptr_null(report.s);
	return l;
}

static int draw(const char *text, const char *serial, struct label_print *ret, struct err *e)
{
	_cleanup_(label_freep) struct label *l = read_label(text);
	struct label_value v = {"serial", serial};

	return label_draw(l, &v, serial ? 1 : 0, ret, e);
}

static void refused(const char *text, const char *serial, const char *says)
{
	struct label_print p = {0};
	struct err e = {0};

	ck_assert_msg(draw(text, serial, &p, &e) == -ERR_INVALID, "%s was taken", text);
	ck_assert_msg(strstr(e.msg, says), "'%s' does not say '%s'", e.msg, says);
	ck_assert_ptr_null(p.canvas);
}

START_TEST(every_mistake_of_a_template_is_found_at_its_place)
{
	static const char text[] = "label: t\n"
				   "width: 40\n"
				   "height: 900mm\n"
				   "dpy: '203'\n"
				   "elements:\n"
				   "  - text: {x: 1mm, y: 1mm, dat: a}\n"
				   "  - barcod: {x: 1mm}\n"
				   "  - barcode: {kind: qrr, x: 1mm, y: 0.0001mm, data: a}\n";
	static const char *const lines[] = {
		"t.yaml:2:8: 'width' must be a length such as 50mm or 0.5mm\n",
		"t.yaml:3:9: 'height' is 900mm: from 5mm to 500mm expected\n",
		"t.yaml:4:1: unknown key 'dpy', did you mean 'dpi'?\n",
		"t.yaml:6:28: unknown key 'dat', did you mean 'data'?\n",
		"'data' is missing\n",
		"unknown element 'barcod', did you mean 'barcode'?\n",
		"'kind' is 'qrr': one of datamatrix, qr, code128, gs1-128, gs1-datamatrix expected, did you mean 'qr'?\n",
		"'y' must be a length such as 50mm or 0.5mm\n",
	};
	struct strbuf report = {0};
	struct label *l = NULL;
	struct err e = {0};

	ck_assert_int_eq(label_read("t.yaml", text, strlen(text), &report, &l, &e), -ERR_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		ck_assert_msg(strstr(report.s, lines[i]), "%s: %s", lines[i], report.s);
	ck_assert_msg(strstr(e.msg, "'width' must be a length"), "%s", e.msg);
	ck_assert_msg(strstr(e.msg, "further mistakes"), "%s", e.msg);
	sb_done(&report);
}
END_TEST

START_TEST(what_can_be_seen_without_values_is_refused_without_them)
{
	static const struct {
		const char *element, *says;
	} cases[] = {
		{"  - text: {x: 1mm, y: 19mm, size: 2mm, data: a}\n", "the label is 40 mm x 20 mm"},
		{"  - line: {x: 30mm, y: 1mm, length: 11mm}\n", "it reaches 41 mm"},
		{"  - line: {x: 1mm, y: 10mm, length: 11mm, direction: down}\n",
			"it reaches 1.3 mm x 21 mm"},
		{"  - box: {x: 1mm, y: 1mm, width: 40mm, height: 5mm}\n", "it reaches 41 mm"},
		{"  - text: {x: 1mm, y: 1mm, size: 0.6mm, data: a}\n", "7 dots (0.876 mm) or more"},
		{"  - barcode: {kind: qr, x: 5mm, y: 5mm, module: 0.06mm, data: a}\n",
			"less than one dot of 203 dpi"},
		{"  - text: {x: 1mm, y: 1mm, data: 'a ${serial'}\n",
			"'${serial' is no place for a value"},
		{"  - text: {x: 1mm, y: 1mm, data: '${}'}\n", "is no place for a value"},
		{"  - text: {x: 1mm, y: 1mm, data: 'gr\xc3\xbcn'}\n",
			"not printable ASCII at position 3"},
		{"  - barcode: {kind: gs1-128, x: 5mm, y: 5mm, data: '01${gtin}'}\n",
			"does not begin with an Application Identifier"},
		{"  - barcode: {kind: gs1-128, x: 5mm, y: 5mm, data: '(10)(21)a'}\n",
			"(10) has no value"},
		{"  - {text: {x: 1mm, y: 1mm, data: a}, line: {x: 1mm, y: 1mm, length: 1mm}}\n",
			"a mapping of one word"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(freep) char *text = xasprintf(HEAD "%s", cases[i].element);
		struct label *l = NULL;
		struct err e = {0};

		ck_assert_msg(label_read("t", text, strlen(text), NULL, &l, &e) == -ERR_INVALID,
			"%s was taken", text);
		ck_assert_msg(strstr(e.msg, cases[i].says), "'%s' does not say '%s'", e.msg,
			cases[i].says);
	}
}
END_TEST

START_TEST(values_and_places_have_to_go_together)
{
	struct label_value two[] = {{"serial", "1"}, {"mac", "2"}};
	_cleanup_(label_freep) struct label *l =
		read_label(HEAD "  - text: {x: 1mm, y: 1mm, data: '${serial}'}\n");
	struct label_print p = {0};
	struct err e = {0};

	refused(HEAD "  - text: {x: 1mm, y: 1mm, data: '${serail}'}\n", "1",
		"label 't', /elements/0/text: there is no value for ${serail}, did you mean 'serial'?");
	ck_assert_int_eq(label_draw(l, two, 2, &p, &e), -ERR_INVALID);
	ck_assert_msg(strstr(e.msg, "has no place for the value 'mac'"), "%s", e.msg);
	refused(HEAD "  - text: {x: 1mm, y: 1mm, data: 'a ${serial}'}\n", "",
		"the value 'serial' is empty");
	refused(HEAD "  - text: {x: 1mm, y: 1mm, data: 'a ${serial}'}\n", "a\nb",
		"not printable ASCII at position 2");
}
END_TEST

START_TEST(a_value_is_never_looked_at_again)
{
	static const char text[] = HEAD
		"  - barcode: {kind: qr, x: 3mm, y: 3mm, module: 0.25mm, data: '$${serial} ${serial}'}\n";
	struct label_print p = {0};
	struct err e = {0};

	ck_assert_msg(draw(text, "${serial} $${", &p, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(p.barcode, "${serial} ${serial} $${");
	label_print_done(&p);
}
END_TEST

START_TEST(an_element_that_its_data_make_too_large_is_refused)
{
	refused(HEAD "  - text: {x: 1mm, y: 1mm, size: 4mm, data: '${serial}'}\n",
		"123456789012345678901234567890",
		"label 't', /elements/0/text (${serial}): its text reaches");
	refused(HEAD "  - barcode: {kind: code128, x: 5mm, y: 1mm, data: '${serial}'}\n",
		"abcdefghijklmnop", "with the white that it needs it reaches");
	refused(HEAD "  - barcode: {kind: code128, x: 1mm, y: 1mm, data: '${serial}'}\n", "1",
		"it needs 5 mm of white at its left");
	refused(HEAD "  - barcode: {kind: qr, x: 3mm, y: 1mm, data: '${serial}'}\n", "1",
		"2 mm above it");
}
END_TEST

START_TEST(nothing_lies_in_the_white_of_a_barcode)
{
	refused(HEAD "  - barcode: {kind: qr, x: 5mm, y: 5mm, module: 0.25mm, data: '${serial}'}\n"
		     "  - text: {x: 5mm, y: 2.5mm, data: a}\n",
		"1", "/elements/0/barcode (${serial}): another element lies on it or in the white");
	refused(HEAD "  - barcode: {kind: datamatrix, x: 5mm, y: 5mm, data: '${serial}'}\n"
		     "  - barcode: {kind: datamatrix, x: 10.5mm, y: 5mm, data: '${serial}'}\n",
		"1", "/elements/1/barcode (${serial}): another element lies on it");
	refused(HEAD
		"  - barcode: {kind: datamatrix, x: 5mm, y: 2mm, data: '${serial}', readable: true}\n"
		"  - barcode: {kind: datamatrix, x: 5mm, y: 9mm, data: '${serial}'}\n",
		"1", "/elements/1/barcode (${serial}): another element lies on it");
}
END_TEST

START_TEST(check_digits_of_gs1_are_known)
{
	/* GS1 General Specifications: GTIN-14 09521234543213 and 10614141000415, and an SSCC. */
	ck_assert_int_eq(gs1_check_digit("0952123454321"), '3');
	ck_assert_int_eq(gs1_check_digit("1061414100041"), '5');
	ck_assert_int_eq(gs1_check_digit("34012345123456789"), '5');
	ck_assert_uint_eq(gs1_key_digits("21"), 0);
}
END_TEST

#define GS1_ELEMENT(more) HEAD "  - barcode: {kind: gs1-datamatrix, x: 3mm, y: 3mm, " more "}\n"

START_TEST(a_check_digit_is_computed_or_checked)
{
	struct label_print p = {0};
	struct err e = {0};

	ck_assert_int_eq(draw(GS1_ELEMENT("check_digit: compute, data: '(01)${serial}(21)A'"),
				 "0952123454321", &p, &e),
		0);
	ck_assert_str_eq(p.barcode, "(01)09521234543213(21)A");
	label_print_done(&p);
	ck_assert_int_eq(
		draw(GS1_ELEMENT("data: '(01)${serial}(21)A'"), "09521234543213", &p, &e), 0);
	ck_assert_str_eq(p.barcode, "(01)09521234543213(21)A");
	label_print_done(&p);
	refused(GS1_ELEMENT("data: '(01)${serial}(21)A'"), "09521234543214",
		"check digit is 4 and should be 3");
	refused(GS1_ELEMENT("data: '(01)${serial}(21)A'"), "0952123454321", "14 digits expected");
	refused(GS1_ELEMENT("check_digit: compute, data: '(00)${serial}'"), "34012345123456789x",
		"17 digits expected, without the check digit");
	ck_assert_int_eq(draw(GS1_ELEMENT("check_digit: compute, data: '(00)${serial}'"),
				 "34012345123456789", &p, &e),
		0);
	ck_assert_str_eq(p.barcode, "(00)340123451234567895");
	label_print_done(&p);
}
END_TEST

START_TEST(a_value_brings_no_application_identifier)
{
	refused(GS1_ELEMENT("data: '(21)${serial}'"), "1(10)2", "no brackets or parentheses");
	refused(GS1_ELEMENT("data: '(21)${serial}'"), "1[10]2", "no brackets or parentheses");
}
END_TEST

START_TEST(what_a_symbol_cannot_hold_is_refused_in_words)
{
	refused(GS1_ELEMENT("data: '(21)${serial}'"), "123456789012345678901",
		"gs1-datamatrix cannot hold");
	refused(GS1_ELEMENT("data: '(11)${serial}'"), "261399", "gs1-datamatrix cannot hold");
	refused(GS1_ELEMENT("data: '(09)${serial}'"), "1", "gs1-datamatrix cannot hold");
	refused(GS1_ELEMENT("data: '(21)${serial}'"), "a~b", "gs1-datamatrix cannot hold");
}
END_TEST

/* Small letters stay small: zint's Code 39 would print capitals, and is not among the kinds. */
START_TEST(each_kind_makes_the_symbol_of_its_name)
{
	static const struct {
		enum symbol_kind kind;
		const char *data;
		unsigned width, height;
	} cases[] = {
		{SYMBOL_DATAMATRIX, "SN-ab12", 14, 14},
		{SYMBOL_DATAMATRIX, "SN-ab12-4711-xyz", 18, 18}, /* not 8 x 32 */
		{SYMBOL_QR, "SN-ab12", 21, 21},
		{SYMBOL_CODE128, "SN-ab12", 112, 1}, /* start, 7 characters, check, stop */
		{SYMBOL_GS1_128, "[01]09521234543213", 134, 1},
		{SYMBOL_GS1_DATAMATRIX, "[01]09521234543213[21]A", 16, 16},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(canvas_freep) struct canvas *c = NULL;
		struct err e = {0};

		ck_assert_msg(
			symbol_encode(cases[i].kind, cases[i].data, &c, &e) == 0, "%s", e.msg);
		ck_assert_msg(c->width == cases[i].width && c->height == cases[i].height,
			"%s: %u x %u", cases[i].data, c->width, c->height);
	}
}
END_TEST

START_TEST(a_scanner_sends_gs_after_a_value_of_variable_length)
{
	static const struct {
		const char *text, *scanned;
	} cases[] = {
		{"(01)09521234543213(21)A", "010952123454321321A"},
		{"(10)LOT(21)A", "10LOT\x1d"
				 "21A"},
		{"(21)A(01)09521234543213(11)260101", "21A\x1d"
						      "0109521234543213"
						      "11260101"},
		{"(8020)A", "8020A"},
		{"(21)A(b)", "21A(b)"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(freep) char *got = NULL;
		struct err e = {0};

		ck_assert_msg(gs1_scanned(cases[i].text, &got, &e) == 0, "%s", e.msg);
		ck_assert_str_eq(got, cases[i].scanned);
	}
}
END_TEST

START_TEST(a_scan_is_compared_with_what_the_label_says)
{
	static const char gs1[] = "(10)LOT(21)A";
	static const struct {
		const char *scanned, *expected, *separator, *aim, *says; /* says NULL: equal */
	} cases[] = {
		{"SN-1", "SN-1", NULL, "", NULL},
		{"]C0SN-1", "SN-1", NULL, "]C0", NULL},
		{"]C0SN-1", "]C0SN-1", NULL, "", NULL},
		{"sn-1", "SN-1", NULL, "", "'sn-1' was scanned, 'SN-1' expected"},
		{"SN-12", "SN-1", NULL, "", "'SN-12' was scanned"},
		{"]d210LOT\x1d"
		 "21A",
			gs1, NULL, "]d2", NULL},
		{"]C110LOT\x1d"
		 "21A",
			gs1, NULL, "]C1", NULL},
		{"10LOT\x1d"
		 "21A",
			gs1, NULL, "", NULL},
		{"\x1d"
		 "10LOT\x1d"
		 "21A\x1d",
			gs1, NULL, "", NULL},
		{"10LOT|21A", gs1, "|", "", NULL},
		{"10LOT{GS}21A", gs1, "{GS}", "", NULL},
		{"10LOT21A", gs1, NULL, "", "the GS between its fields is missing"},
		{"10LOT|21A", gs1, NULL, "", "'10LOT|21A' was scanned"},
		{"10LOT\x1d"
		 "21B",
			gs1, NULL, "", "10LOT\\x1d21B' was scanned, '(10)LOT(21)A'"},
		{"10LO\x1d"
		 "T21A",
			gs1, NULL, "", "was scanned"},
		{"]d110LOT\x1d"
		 "21A",
			gs1, NULL, "]d1", "one of GS1 expected"},
		{"", gs1, NULL, "", "'' was scanned"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char aim[AIM_BYTES];
		struct err e = {0};
		int r = code_equals(
			cases[i].scanned, cases[i].expected, cases[i].separator, aim, &e);

		ck_assert_msg(r == (cases[i].says ? -ERR_READ_BACK_MISMATCH : 0), "%zu: %d %s", i,
			r, e.msg);
		ck_assert_str_eq(aim, cases[i].aim);
		if (cases[i].says)
			ck_assert_msg(strstr(e.msg, cases[i].says), "%s", e.msg);
	}
}
END_TEST

START_TEST(no_data_are_in_the_printers_commands)
{
	static const char text[] =
		HEAD "  - text: {x: 1mm, y: 1mm, data: '${serial}'}\n"
		     "  - barcode: {kind: qr, x: 5mm, y: 6mm, module: 0.25mm, data: '${serial}'}\n";
	static const char end[] = "^FS^PQ2,0,1,Y^XZ\n";
	static const char head[] = "^XA^PW320^LL160^LH0,0^PON^PMN^LRN^FO0,0^GFA,6400,6400,40,";
	struct label_print p = {0};
	struct strbuf out = {0};
	struct err e = {0};
	size_t body;

	ck_assert_msg(draw(text, "^XZ~JR_5E^FS", &p, &e) == 0, "%s", e.msg);
	label_zpl(&p, 2, &out);
	ck_assert_msg(!strncmp(out.s, head, strlen(head)), "%.80s", out.s);
	body = strspn(out.s + strlen(head), "0123456789ABCDEF,:");
	ck_assert_str_eq(out.s + strlen(head) + body, end);
	sb_done(&out);
	label_print_done(&p);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("label");
	TCase *t = tcase_create("label");

	tcase_add_test(t, every_mistake_of_a_template_is_found_at_its_place);
	tcase_add_test(t, what_can_be_seen_without_values_is_refused_without_them);
	tcase_add_test(t, values_and_places_have_to_go_together);
	tcase_add_test(t, a_value_is_never_looked_at_again);
	tcase_add_test(t, an_element_that_its_data_make_too_large_is_refused);
	tcase_add_test(t, nothing_lies_in_the_white_of_a_barcode);
	tcase_add_test(t, check_digits_of_gs1_are_known);
	tcase_add_test(t, a_check_digit_is_computed_or_checked);
	tcase_add_test(t, a_value_brings_no_application_identifier);
	tcase_add_test(t, what_a_symbol_cannot_hold_is_refused_in_words);
	tcase_add_test(t, each_kind_makes_the_symbol_of_its_name);
	tcase_add_test(t, a_scanner_sends_gs_after_a_value_of_variable_length);
	tcase_add_test(t, a_scan_is_compared_with_what_the_label_says);
	tcase_add_test(t, no_data_are_in_the_printers_commands);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
