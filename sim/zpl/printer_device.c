/* SPDX-License-Identifier: Apache-2.0
 *
 * A label printer of ZPL II as a device of the row: it takes formats from ^XA to ^XZ, prints each at
 * once, and answers ~HS (Zebra, ZPL II Programming Guide). What it printed is what it was sent: a file
 * for each label in the unit's directory, label-1.zpl and so on. A format waits while it cannot print.
 */
#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "base/strbuf.h"
#include "sim/device_rows.h"

#define FORMAT_MAX (4u << 20)
#define COPIES_MAX 100

enum printer_fault {
	PAPER_OUT,
	HEAD_OPEN,
	PAUSED,
	RIBBON_OUT,
	RUNS_OUT,
	MUTE,
	GARBAGE,
	CUT,
	CUT_AFTER,
	TWICE,
	STUCK,
	DOUBLE
};

static const struct own_fault fault_rows[] = {
	[PAPER_OUT] = {"paper-out", "it has no paper (count=0: until the faults are cleared)", 0},
	[HEAD_OPEN] = {"head-open", "its head is open", 0},
	[PAUSED] = {"paused", "it is paused", 0},
	[RIBBON_OUT] = {"ribbon-out", "it has no ribbon", 0},
	[RUNS_OUT] = {"runs-out", "its paper runs out when the next label comes", 0},
	[MUTE] = {"mute", "a question for its status is not answered", 0},
	[GARBAGE] = {"garbage", "it answers something else than a status", 0},
	[CUT] = {"cut", "the connection is cut after N bytes of a format", 100},
	[CUT_AFTER] = {"cut-after", "the connection is cut once a label came out", 0},
	[TWICE] = {"twice", "a label comes out twice", 0},
	[STUCK] = {"stuck", "a format stays in its buffer, and no status says why", 0},
	[DOUBLE] = {"double", "an answer comes twice, the second time after the next bytes", 0},
	{0},
};

struct printer_sim {
	struct device device;
	struct own_faults *faults;
	char *dir;	       /* NULL: nothing is kept */
	struct strbuf format;  /* what came of the one that is being sent */
	struct strbuf waiting; /* whole ones that could not be printed */
	unsigned formats;      /* of them */
	unsigned labels;       /* printed */
	char last[SHA256_HEX]; /* of the label printed last */
	struct strbuf answer;
	size_t answered;
	struct strbuf late; /* an answer that comes once more */
	bool out;	    /* of paper, by runs-out */
};

static struct printer_sim *of(struct device *d)
{
	return container_of(d, struct printer_sim, device);
}

static const struct printer_sim *of_const(const struct device *d)
{
	return (const struct printer_sim *)((const char *)d - offsetof(struct printer_sim, device));
}

static int printer_new(const struct device_config *c, struct device **ret, struct err *e)
{
	struct printer_sim *p = xcalloc(1, sizeof *p);

	p->faults = c->faults;
	p->dir = c->dir ? xstrdup(c->dir) : NULL;
	*ret = &p->device;
	return 0;
}

static void printer_free(struct device *d)
{
	struct printer_sim *p = of(d);

	sb_done(&p->format);
	sb_done(&p->waiting);
	sb_done(&p->answer);
	sb_done(&p->late);
	free(p->dir);
	free(p);
}

static bool is(const struct printer_sim *p, enum printer_fault f)
{
	return own_fault_set(p->faults, f, NULL);
}

static bool can_print(const struct printer_sim *p)
{
	return !p->out && !is(p, PAPER_OUT) && !is(p, HEAD_OPEN) && !is(p, PAUSED) &&
	       !is(p, RIBBON_OUT) && !is(p, STUCK);
}

/* --- printing --- */

static void keep(struct printer_sim *p, const char *format, size_t n)
{
	_cleanup_(freep) char *path =
		p->dir ? xasprintf("%s/label-%u.zpl", p->dir, p->labels + 1) : NULL;
	FILE *f = path ? fopen(path, "we") : NULL;

	p->labels++;
	sha256_hex_of(format, n, p->last);
	if (!path)
		return;
	if ((!f || fwrite(format, 1, n, f) < n) && p->device.error.code == ERR_NONE)
		err_errno(&p->device.error, ERR_IO, errno, "%s", path);
	if (f && fclose(f) != 0 && p->device.error.code == ERR_NONE)
		err_errno(&p->device.error, ERR_IO, errno, "%s", path);
}

static unsigned copies_of(const char *format)
{
	const char *pq = strstr(format, "^PQ");
	unsigned long n = pq ? strtoul(pq + 3, NULL, 10) : 1;

	return (unsigned)MIN(n, (unsigned long)COPIES_MAX);
}

/* One whole format, from ^XA to ^XZ. */
static void print(struct printer_sim *p, const char *format, size_t n)
{
	_cleanup_(freep) char *text = strndup(format, n);
	unsigned copies = copies_of(text);

	if (own_fault_hit(p->faults, TWICE, NULL))
		copies *= 2;
	for (unsigned i = 0; i < copies; i++)
		keep(p, format, n);
}

static void print_waiting(struct printer_sim *p)
{
	const char *at = p->waiting.s;

	for (; p->formats > 0; p->formats--) {
		const char *end = strstr(at, "^XZ") + 3;

		print(p, at, (size_t)(end - at));
		at = end;
	}
	sb_clear(&p->waiting);
}

static void format_done(struct printer_sim *p)
{
	if (own_fault_hit(p->faults, RUNS_OUT, NULL))
		p->out = true;
	if (can_print(p)) {
		print(p, p->format.s, p->format.len);
	} else {
		sb_add_n(&p->waiting, p->format.s, p->format.len);
		p->formats++;
	}
	sb_clear(&p->format);
	if (own_fault_hit(p->faults, CUT_AFTER, NULL))
		p->device.wish = WISH_HANGUP;
}

/* --- what comes --- */

static void status(struct printer_sim *p)
{
	if (own_fault_hit(p->faults, MUTE, NULL))
		return;
	if (own_fault_hit(p->faults, GARBAGE, NULL)) {
		sb_add(&p->answer, "HTTP/1.1 400 Bad Request\r\n\r\n\x03\x03\x03");
		return;
	}
	size_t before = p->answer.len;

	/* A printer without a fault prints what it kept. */
	if (can_print(p))
		print_waiting(p);
	sb_addf(&p->answer,
		"\x02"
		"030,%d,%d,1245,%03u,0,0,0,000,0,0,0\x03\r\n",
		p->out || is(p, PAPER_OUT), is(p, PAUSED), p->formats);
	sb_addf(&p->answer,
		"\x02"
		"000,0,%d,%d,0,2,4,0,%08u,1,000\x03\r\n",
		is(p, HEAD_OPEN), is(p, RIBBON_OUT), 0u);
	sb_add(&p->answer, "\x02"
			   "1234,0\x03\r\n");
	if (own_fault_hit(p->faults, DOUBLE, NULL))
		sb_add_n(&p->late, p->answer.s + before, p->answer.len - before);
}

static bool ends_with(const struct strbuf *b, const char *s)
{
	size_t n = strlen(s);

	return b->len >= n && !memcmp(b->s + b->len - n, s, n);
}

/* Outside of a format only ~HS and the beginning of a format mean something here. */
static void take(struct printer_sim *p, char c)
{
	bool within = p->format.len >= 3 && !memcmp(p->format.s, "^XA", 3);
	double after = 0;

	if (!within && c != '^' && c != '~' && p->format.len == 0)
		return;
	sb_add_n(&p->format, &c, 1);
	if (within && own_fault_set(p->faults, CUT, &after) && p->format.len >= after) {
		own_fault_hit(p->faults, CUT, NULL);
		sb_clear(&p->format);
		p->device.wish = WISH_HANGUP;
	} else if (within && ends_with(&p->format, "^XZ")) {
		format_done(p);
	} else if (!within && ends_with(&p->format, "~HS")) {
		sb_clear(&p->format);
		status(p);
	} else if ((!within && p->format.len > 3) || p->format.len > FORMAT_MAX) {
		sb_clear(&p->format);
	}
}

static size_t printer_room(const struct device *d)
{
	return 65536;
}

static void printer_input(struct device *d, const void *bytes, size_t n, uint64_t now_us)
{
	struct printer_sim *p = of(d);

	sb_add_n(&p->answer, p->late.s, p->late.len);
	sb_clear(&p->late);
	for (size_t i = 0; i < n && d->wish == WISH_NONE; i++)
		take(p, ((const char *)bytes)[i]);
}

static size_t printer_output(struct device *d, void *buf, size_t size, uint64_t now_us)
{
	struct printer_sim *p = of(d);
	size_t n = MIN(size, p->answer.len - p->answered);

	if (n > 0)
		memcpy(buf, p->answer.s + p->answered, n);
	p->answered += n;
	if (p->answered == p->answer.len) {
		sb_clear(&p->answer);
		p->answered = 0;
	}
	return n;
}

static uint64_t printer_due(const struct device *d)
{
	const struct printer_sim *p = of_const(d);

	return p->answer.len > p->answered ? 0 : NEVER;
}

/* Half a format is forgotten with its connection. */
static void printer_closed(struct device *d, uint64_t now_us)
{
	struct printer_sim *p = of(d);

	sb_clear(&p->format);
	sb_clear(&p->answer);
	sb_clear(&p->late);
	p->answered = 0;
}

static void printer_power_on(struct device *d, uint64_t now_us)
{
}

static void printer_power_off(struct device *d)
{
	struct printer_sim *p = of(d);

	printer_closed(d, 0);
	sb_clear(&p->waiting);
	p->formats = 0;
}

static const char *printer_state(const struct device *d)
{
	return can_print(of_const(d)) ? "ready" : "waiting";
}

static void printer_json(struct device *d, bool whole, json_t *o)
{
	struct printer_sim *p = of(d);

	json_object_set_new(o, "labels", json_integer(p->labels));
	json_object_set_new(o, "formats", json_integer(p->formats));
	json_object_set_new(o, "last_sha256", json_string(p->last));
}

/* Paper is loaded: what waited comes out. */
static void printer_clear_faults(struct device *d)
{
	struct printer_sim *p = of(d);

	p->out = false;
	if (can_print(p))
		print_waiting(p);
}

const struct device_ops printer_device = {
	.name = "printer",
	.help = "a label printer of ZPL II (--link tcp): label-N.zpl in the unit's directory",
	.faults = fault_rows,
	.new = printer_new,
	.free = printer_free,
	.power_on = printer_power_on,
	.power_off = printer_power_off,
	.closed = printer_closed,
	.room = printer_room,
	.input = printer_input,
	.output = printer_output,
	.due = printer_due,
	.state = printer_state,
	.json = printer_json,
	.clear_faults = printer_clear_faults,
};
