/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/graph.h"

#include <expat.h>
#include <string.h>

#include "base/util.h"
#include "tests/unit/unit.h"

static const char plain[] =
	"recipe: lamp\n"
	"version: 2\n"
	"title: 'A <lamp> & \"more\"'\n"
	"ports: {console: {kind: tty}}\n"
	"setup:\n"
	"  - {id: ready, action: operator.prompt, with: {text: 'Ready?'}}\n"
	"steps:\n"
	"  - id: rail\n"
	"    for_each: [3V3, 5V, 12V]\n"
	"    action: console.command\n"
	"    with: {port: console, send: 'rail ${item}', expect: '^OK$'}\n"
	"    retry: {attempts: 3}\n"
	"  - for_each: [a, b]\n"
	"    steps:\n"
	"      - {id: set, action: console.command, with: {port: console, send: 'set ${item}', expect: '^OK$'}}\n"
	"      - {id: get, action: console.command, with: {port: console, send: 'get ${item}', expect: '^OK$'}}\n"
	"  - id: lock\n"
	"    action: otp.lock\n"
	"    with: {port: console, field: serial, map: '${artifacts.fields}', irreversible: yes-i-mean-it}\n"
	"    when: \"${params.lock} == 'yes'\"\n"
	"artifacts: {fields: fields.yaml}\n"
	"params: {lock: {type: string, default: 'yes'}}\n";

static struct recipe *load(const char *text)
{
	struct strbuf report = {0};
	struct recipe *r = NULL;
	struct err e;

	if (recipe_load("lamp.yaml", text, strlen(text), &report, &r, &e) < 0)
		ck_abort_msg("%s", report.s);
	sb_done(&report);
	return r;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

START_TEST(an_outline_has_each_step_once_and_its_loop_around_it)
{
	static const char want[] =
		"lamp, version 2: A <lamp> & \"more\"\n"
		"SHA-256 %s\n"
		"setup\n"
		"  ready: operator.prompt   # a person answers\n"
		"steps\n"
		"  for each of 3 items\n"
		"    rail: console.command   # port console, 3 attempts\n"
		"  for each of 2 items\n"
		"    set: console.command   # port console\n"
		"    get: console.command   # port console\n"
		"  lock: otp.lock   # cannot be undone; when ${params.lock} == 'yes'; port console\n";
	struct recipe *r = load(plain);
	struct strbuf b = {0};

	_cleanup_(freep) char *all = NULL;

	graph_text(r, &b);
	all = xasprintf(want, r->sha256);
	ck_assert_str_eq(b.s, all);
	sb_done(&b);
	recipe_unref(r);
}
END_TEST

/* What a reader of XML sees of it. */
struct seen {
	size_t texts, boxes;
	bool title;
};

static void XMLCALL start(void *data, const char *name, const char **attributes)
{
	struct seen *s = data;

	s->texts += !strcmp(name, "text");
	s->boxes += !strcmp(name, "rect");
}

static void XMLCALL chars(void *data, const char *text, int n)
{
	struct seen *s = data;

	s->title |= n == 1 && *text == '<'; /* expat gives what was an entity by itself */
}

START_TEST(a_picture_is_xml_and_its_text_is_text)
{
	struct recipe *r = load(plain);
	struct strbuf b = {0}, again = {0};
	struct seen s = {0};
	XML_Parser p = XML_ParserCreate(NULL);

	graph_svg(r, &b);
	graph_svg(r, &again);
	ck_assert_str_eq(b.s, again.s);
	XML_SetElementHandler(p, start, NULL);
	XML_SetCharacterDataHandler(p, chars);
	XML_SetUserData(p, &s);
	ck_assert_int_eq(XML_Parse(p, b.s, (int)b.len, 1), XML_STATUS_OK);
	ck_assert(s.title);
	/* The ground, two phases, two loops, five steps, and the second border of what is for good. */
	ck_assert_uint_eq(s.boxes, 1 + 2 + 2 + 5 + 1);
	ck_assert_uint_eq(count(b.s, "cannot be undone"), 1);
	ck_assert_ptr_null(strstr(b.s, "<lamp>"));
	XML_ParserFree(p);
	sb_done(&b);
	sb_done(&again);
	recipe_unref(r);
}
END_TEST

/* A title of 200 characters, some of several bytes, one that turns the direction of writing: cut between characters. */
START_TEST(long_and_odd_text_is_cut_between_characters)
{
	struct strbuf text = {0}, b = {0};
	XML_Parser p = XML_ParserCreate(NULL);
	struct recipe *r;

	sb_add(&text, "recipe: long\nversion: 1\ntitle: \"\\u202e");
	for (int i = 0; i < 60; i++)
		sb_add(&text, "\xe6\xb5\x8b");
	sb_add(&text, "\"\nsteps:\n  - {id: a, action: operator.prompt, with: {text: b}}\n");
	r = load(text.s);
	graph_svg(r, &b);
	ck_assert_int_eq(XML_Parse(p, b.s, (int)b.len, 1), XML_STATUS_OK);
	ck_assert(is_utf8(b.s, b.len));
	ck_assert_ptr_nonnull(strstr(b.s, "\\u202e"));
	ck_assert_ptr_nonnull(strstr(b.s, "\xe2\x80\xa6</text>"));
	XML_ParserFree(p);
	sb_done(&text);
	sb_done(&b);
	recipe_unref(r);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("graph");
	TCase *t = tcase_create("graph");

	tcase_add_test(t, an_outline_has_each_step_once_and_its_loop_around_it);
	tcase_add_test(t, a_picture_is_xml_and_its_text_is_text);
	tcase_add_test(t, long_and_odd_text_is_cut_between_characters);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
