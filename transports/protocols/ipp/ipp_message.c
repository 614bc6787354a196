/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests and answers of IPP as bytes (RFC 8010, 3.1).
 */
#include "transports/protocols/ipp/ipp_impl.h"

#include "base/bytes.h"
#include "base/util.h"

#define VERSION_2_0    0x0200
#define NAME_MAX_BYTES 64

/* --- requests --- */

static void add_be16(struct strbuf *b, size_t v)
{
	uint8_t raw[2];
	struct wbytes w = wbytes_of(raw, sizeof raw);

	wb_be16(&w, (uint16_t)v);
	sb_add_n(b, raw, sizeof raw);
}

static void add_be32(struct strbuf *b, uint32_t v)
{
	uint8_t raw[4];
	struct wbytes w = wbytes_of(raw, sizeof raw);

	wb_be32(&w, v);
	sb_add_n(b, raw, sizeof raw);
}

void ipp_add_group(struct strbuf *b, enum ipp_tag group)
{
	char c = (char)group;

	sb_add_n(b, &c, 1);
}

static void add_name(struct strbuf *b, enum ipp_tag tag, const char *name)
{
	ipp_add_group(b, tag);
	add_be16(b, strlen(name));
	sb_add(b, name);
}

void ipp_add(struct strbuf *b, enum ipp_tag tag, const char *name, const char *value)
{
	add_name(b, tag, name);
	add_be16(b, strlen(value));
	sb_add(b, value);
}

void ipp_add_integer(struct strbuf *b, const char *name, uint32_t value)
{
	add_name(b, IPP_INTEGER, name);
	add_be16(b, 4);
	add_be32(b, value);
}

void ipp_begin(struct strbuf *b, enum ipp_operation op, uint32_t request, const char *uri)
{
	add_be16(b, VERSION_2_0);
	add_be16(b, op);
	add_be32(b, request);
	ipp_add_group(b, IPP_OPERATION_GROUP);
	ipp_add(b, IPP_CHARSET, "attributes-charset", "utf-8");
	ipp_add(b, IPP_LANGUAGE, "attributes-natural-language", "en");
	ipp_add(b, IPP_URI, "printer-uri", uri);
	ipp_add(b, IPP_NAME, "requesting-user-name", "provd");
}

/* --- answers --- */

struct value {
	uint8_t group, tag;
	char name[NAME_MAX_BYTES]; /* cut where it is longer: none that counts is */
	const uint8_t *p;
	size_t n;
};

struct reading {
	struct rbytes b;
	struct ipp_answer *a;
	const char *wanted; /* name of the job that is looked for */
	struct value v;
	int id, state; /* of the job whose attributes are read */
	bool named;    /* it has the wanted name */
};

/* What is not text becomes '?': it goes into messages. */
static void copy_text(char *to, size_t size, const struct value *v)
{
	size_t n = MIN(v->n, size - 1);

	for (size_t i = 0; i < n; i++)
		to[i] = v->p[i] >= ' ' && v->p[i] < 0x7f ? (char)v->p[i] : '?';
	to[n] = '\0';
}

/* A word that does not fit is left out: cut, it would be another one. */
static void add_word(char list[IPP_REASONS_BYTES], const struct value *v)
{
	size_t n = strlen(list);

	if (n + 1 + v->n >= IPP_REASONS_BYTES)
		return;
	if (n > 0)
		list[n++] = ' ';
	copy_text(list + n, IPP_REASONS_BYTES - n, v);
}

static int number(const struct value *v)
{
	struct rbytes b = rbytes_of(v->p, v->n);

	return v->n == 4 ? (int)rb_be32(&b) : 0;
}

static bool says(const struct value *v, const char *text)
{
	return v->n == strlen(text) && !memcmp(v->p, text, v->n);
}

static void take_printer(struct ipp_answer *a, const struct value *v)
{
	bool yes = v->n == 1 && v->p[0] == 1;

	if (!strcmp(v->name, "printer-state") && v->tag == IPP_ENUM)
		a->printer_state = number(v);
	else if (!strcmp(v->name, "printer-state-reasons"))
		add_word(a->printer_reasons, v);
	else if (!strcmp(v->name, "printer-is-accepting-jobs") && v->tag == IPP_BOOLEAN)
		a->accepts = yes, a->refuses_jobs = !yes;
	else if (!strcmp(v->name, "document-format-supported"))
		a->names_formats = true, a->takes_pdf |= says(v, "application/pdf");
}

static void take_job(struct reading *x)
{
	const struct value *v = &x->v;

	if (!strcmp(v->name, "job-id") && v->tag == IPP_INTEGER)
		x->id = number(v);
	else if (!strcmp(v->name, "job-state") && v->tag == IPP_ENUM)
		x->state = number(v);
	else if (!strcmp(v->name, "job-state-reasons"))
		add_word(x->a->job_reasons, v);
	else if (!strcmp(v->name, "job-name") && x->wanted)
		x->named |= says(v, x->wanted);
}

/* A group of attributes is over. */
static void end_group(struct reading *x)
{
	if (x->v.group == IPP_JOB_GROUP && (!x->wanted || x->named)) {
		x->a->job = x->id;
		x->a->job_state = x->state;
		x->a->found = x->named;
	}
	x->id = x->state = 0;
	x->named = false;
}

static void take(struct reading *x)
{
	if (x->v.group == IPP_OPERATION_GROUP && !strcmp(x->v.name, "status-message"))
		copy_text(x->a->message, sizeof x->a->message, &x->v);
	else if (x->v.group == IPP_PRINTER_GROUP)
		take_printer(x->a, &x->v);
	else if (x->v.group == IPP_JOB_GROUP)
		take_job(x);
}

/* The rest of a value after its tag. A name without a length is that of the value before. */
static void read_value(struct reading *x, uint8_t tag)
{
	size_t n = rb_be16(&x->b);
	const uint8_t *name = rb_take(&x->b, n);

	x->v.tag = tag;
	if (name && n > 0) {
		size_t kept = MIN(n, sizeof x->v.name - 1);

		memcpy(x->v.name, name, kept);
		x->v.name[kept] = '\0';
	}
	x->v.n = rb_be16(&x->b);
	x->v.p = rb_take(&x->b, x->v.n);
	if (!x->b.bad)
		take(x);
}

int ipp_answer_read(
	const void *bytes, size_t n, const char *name, struct ipp_answer *ret, struct err *e)
{
	struct ipp_answer a = {0};
	struct reading x = {.b = rbytes_of(bytes, n), .a = &a, .wanted = name};
	uint8_t tag = IPP_LAST_DELIMITER;

	rb_be16(&x.b);
	a.status = rb_be16(&x.b);
	a.request = rb_be32(&x.b);
	while (!x.b.bad && tag != IPP_END) {
		tag = rb_u8(&x.b);
		if (tag > IPP_LAST_DELIMITER) {
			read_value(&x, tag);
			continue;
		}
		end_group(&x);
		x.v = (struct value){.group = tag};
	}
	if (x.b.bad)
		return err_set(e, ERR_PROTOCOL,
			"its answer of %zu bytes ends in the middle: an answer of IPP expected (does it speak IPP there?)",
			n);
	*ret = a;
	return 0;
}
