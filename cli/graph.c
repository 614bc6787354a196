/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/graph.h"

#include <string.h>

#include "base/util.h"
#include "cli/printable.h"

/* Pixels; a character of the fixed font at 13 px is 7.8 wide. */
#define WIDTH	   640
#define MARGIN	   16
#define INDENT	   14 /* of a frame */
#define LINE	   18
#define GAP	   14 /* with the arrow */
#define CHAR_WIDTH 7.8

/* --- the tree --- */

enum node_kind { NODE_PHASE, NODE_PART, NODE_LOOP, NODE_STEP };

struct node {
	enum node_kind kind;
	const struct recipe_step *step; /* NODE_STEP */
	const struct frame *frame;	/* NODE_PART, NODE_LOOP: its first turn */
	const char *phase;		/* NODE_PHASE */
	unsigned turns;			/* NODE_LOOP */
	struct node *child, *last, *next;
	int height; /* in the picture */
};

static struct node *node_add(struct node *parent, enum node_kind kind)
{
	struct node *n = xcalloc(1, sizeof *n);

	n->kind = kind;
	if (parent->last)
		parent->last->next = n;
	else
		parent->child = n;
	parent->last = n;
	return n;
}

static void node_free(struct node *n)
{
	while (n) {
		struct node *next = n->next;

		node_free(n->child);
		free(n);
		n = next;
	}
}

/* The node of a frame below its parent's. NULL: a later turn, whose steps are those of the first. */
static struct node *node_of_frame(struct node *phase, const struct frame *f)
{
	struct node *parent = f->parent ? node_of_frame(phase, f->parent) : phase;
	struct node *last = parent ? parent->last : NULL;

	if (!parent)
		return NULL;
	if (last && last->frame &&
		(last->frame == f || (f->turn > 1 && !strcmp(last->frame->pointer, f->pointer)))) {
		if (f->turn > last->turns)
			last->turns = f->turn;
		return f->turn > 1 ? NULL : last;
	}
	if (f->turn > 1)
		return NULL;
	last = node_add(parent, f->turn ? NODE_LOOP : NODE_PART);
	last->frame = f;
	last->turns = f->turn;
	return last;
}

static struct node *tree_of(const struct recipe *r)
{
	struct node *root = xcalloc(1, sizeof *root);

	for (int p = PHASE_SETUP; p <= PHASE_TEARDOWN; p++) {
		struct node *phase;

		if (r->steps[p] == 0)
			continue;
		phase = node_add(root, NODE_PHASE);
		phase->phase = step_phase_str((enum step_phase)p);
		for (size_t i = 0; i < r->steps[p]; i++) {
			const struct recipe_step *s = &r->step[p][i];
			struct node *parent = s->frame ? node_of_frame(phase, s->frame) : phase;

			if (parent)
				node_add(parent, NODE_STEP)->step = s;
		}
	}
	return root;
}

/* --- what is said of a node --- */

/* An id without those of the parts that it is in, and without its place in a list: the frames around it say both. */
static char *own_id(const char *id, const struct frame *within)
{
	const char *prefix = frame_prefix(within);
	const char *own = !strncmp(id, prefix, strlen(prefix)) ? id + strlen(prefix) : id;

	return strndup(own, strcspn(own, "[."));
}

static void add_note(struct strbuf *b, const char *fmt, const char *text)
{
	if (b->len)
		sb_add(b, ", ");
	sb_addf(b, fmt, text);
}

/* "port console, 3 attempts, goes on where it fails"; owned by the caller. */
static char *notes_of(const struct recipe_step *s)
{
	const char *port = json_string_value(json_object_get(s->known, "port"));
	struct strbuf b = {0};
	_cleanup_(freep) char *attempts = xasprintf("%u", s->attempts);

	port = port ? frame_port(s->frame, port) : NULL;
	if (port)
		add_note(&b, "port %s", port);
	if (s->action->flags & ACTION_NEEDS_PERSON)
		add_note(&b, "%s", "a person answers");
	if (s->attempts > 1)
		add_note(&b, "%s attempts", attempts);
	if (s->continue_on_fail)
		add_note(&b, "%s", "goes on where it fails");
	if (s->later)
		add_note(&b, "%s", "later where the service is away");
	return sb_take(&b);
}

static char *title_of(const struct node *n)
{
	_cleanup_(freep) char *id = n->kind == NODE_STEP   ? own_id(n->step->id, n->step->frame)
				    : n->kind == NODE_PART ? own_id(n->frame->id, n->frame->parent)
							   : NULL;

	switch (n->kind) {
	case NODE_PHASE:
		return xstrdup(n->phase);
	case NODE_PART:
		return xasprintf("%s: part %s", id, n->frame->name);
	case NODE_LOOP:
		return xasprintf("for each of %u item%s", n->turns, n->turns == 1 ? "" : "s");
	case NODE_STEP:
		break;
	}
	return xasprintf("%s: %s", id, n->step->action->name);
}

static bool for_good(const struct node *n)
{
	return n->kind == NODE_STEP && n->step->action->flags & ACTION_IRREVERSIBLE;
}

/* The lines below the title; their number. Each is owned by the caller. */
static size_t lines_of(const struct node *n, char *ret[3])
{
	const char *when = n->kind == NODE_STEP ? n->step->when : n->frame ? n->frame->when : NULL;
	size_t lines = 0;

	if (for_good(n))
		ret[lines++] = xstrdup("cannot be undone");
	if (when)
		ret[lines++] = xasprintf("when %s", when);
	if (n->kind == NODE_STEP) {
		ret[lines] = notes_of(n->step);
		if (ret[lines][0])
			lines++;
		else
			free(ret[lines]);
	}
	return lines;
}

static char *head_of(const struct recipe *r)
{
	return xasprintf("%s, version %u%s%s", r->name, r->version, r->title ? ": " : "",
		r->title ? r->title : "");
}

static char *below_head(const struct recipe *r)
{
	return xasprintf("SHA-256 %s%s", r->sha256, r->open ? ", lists as by default" : "");
}

/* --- as text --- */

static void text_node(struct strbuf *b, const struct node *n, int depth)
{
	for (; n; n = n->next) {
		_cleanup_(freep) char *title = title_of(n);
		_cleanup_(freep) char *safe = printable(title);
		char *line[3];
		size_t lines = lines_of(n, line);

		sb_addf(b, "%*s%s", depth * 2, "", safe);
		for (size_t i = 0; i < lines; i++) {
			_cleanup_(freep) char *shown = printable(line[i]);

			sb_addf(b, "%s%s", i ? "; " : "   # ", shown);
			free(line[i]);
		}
		sb_add(b, "\n");
		text_node(b, n->child, depth + 1);
	}
}

void graph_text(const struct recipe *r, struct strbuf *out)
{
	struct node *root = tree_of(r);
	_cleanup_(freep) char *head = head_of(r);
	_cleanup_(freep) char *safe = printable(head);
	_cleanup_(freep) char *below = below_head(r);

	sb_addf(out, "%s\n%s\n", safe, below);
	text_node(out, root->child, 0);
	node_free(root);
}

/* --- as SVG --- */

static int measure(struct node *n)
{
	char *line[3];
	size_t lines = lines_of(n, line);

	for (size_t i = 0; i < lines; i++)
		free(line[i]);
	n->height = LINE * (int)(1 + lines) + 10;
	for (struct node *c = n->child; c; c = c->next)
		n->height += measure(c) + GAP;
	return n->height;
}

/* One line of text, cut where the box ends. */
static void svg_text(struct strbuf *b, int x, int y, int width, const char *class, const char *text)
{
	_cleanup_(freep) char *s = printable(text);
	const size_t room = (size_t)(width / CHAR_WIDTH);
	size_t chars = 0, end = 0;

	for (; s[end] && chars < room; chars++)
		do
			end++;
		while (((unsigned char)s[end] & 0xc0) == 0x80);
	sb_addf(b, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	sb_add_xml(b, s, end);
	sb_addf(b, "%s</text>\n", s[end] ? "…" : "");
}

static void svg_box(struct strbuf *b, const struct node *n, int x, int y, int width)
{
	static const char *const classes[] = {[NODE_PHASE] = "phase",
		[NODE_PART] = "part",
		[NODE_LOOP] = "loop",
		[NODE_STEP] = "step"};

	sb_addf(b, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\" class=\"%s\"/>\n",
		x, y, width, n->height, for_good(n) ? "good" : classes[n->kind]);
	if (for_good(n))
		sb_addf(b,
			"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\" class=\"good\"/>\n",
			x + 3, y + 3, width - 6, n->height - 6);
}

static void svg_nodes(struct strbuf *b, const struct node *n, int x, int y, int width)
{
	for (; n; n = n->next) {
		_cleanup_(freep) char *title = title_of(n);
		char *line[3];
		size_t lines = lines_of(n, line);
		int at = y + LINE;

		svg_box(b, n, x, y, width);
		svg_text(b, x + 10, at, width - 20, n->kind == NODE_STEP ? "title" : "name", title);
		for (size_t i = 0; i < lines; i++) {
			at += LINE;
			svg_text(b, x + 10, at, width - 20, "note", line[i]);
			free(line[i]);
		}
		svg_nodes(b, n->child, x + INDENT, at + 10, width - 2 * INDENT);
		if (n->next)
			sb_addf(b, "<path d=\"M%d %dv%d\" class=\"way\"/>\n", x + width / 2,
				y + n->height, GAP - 5);
		y += n->height + GAP;
	}
}

static const char style[] =
	"<style>text{font:13px monospace;fill:#111}.name{font-weight:bold}.title{font-weight:bold}.note{fill:#444}"
	"rect{fill:#fff;stroke:#555}.phase{fill:#f4f5f7}.part{fill:#eef4fb;stroke-dasharray:6 3}"
	".loop{fill:#f3eefb;stroke-dasharray:2 3}.good{stroke:#a30000;stroke-width:1.5}"
	".way{stroke:#333;fill:none;marker-end:url(#arrow)}</style>\n"
	"<defs><marker id=\"arrow\" viewBox=\"0 0 6 6\" refX=\"3\" refY=\"3\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\">"
	"<path d=\"M0 0L6 3L0 6z\"/></marker></defs>\n";

void graph_svg(const struct recipe *r, struct strbuf *out)
{
	struct node *root = tree_of(r);
	_cleanup_(freep) char *head = head_of(r);
	_cleanup_(freep) char *safe = printable(head);
	_cleanup_(freep) char *below = below_head(r);
	int height = MARGIN + 2 * LINE + 10;

	for (struct node *n = root->child; n; n = n->next)
		height += measure(n) + GAP;
	sb_addf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\" role=\"img\">\n<title>",
		WIDTH, height, WIDTH, height);
	sb_add_xml(out, safe, strlen(safe));
	sb_addf(out, "</title>\n%s<rect width=\"%d\" height=\"%d\" stroke=\"none\"/>\n", style,
		WIDTH, height);
	svg_text(out, MARGIN, MARGIN + 12, WIDTH - 2 * MARGIN, "name", head);
	svg_text(out, MARGIN, MARGIN + 12 + LINE, WIDTH - 2 * MARGIN, "note", below);
	svg_nodes(out, root->child, MARGIN, MARGIN + 2 * LINE + 4, WIDTH - 2 * MARGIN);
	sb_add(out, "</svg>\n");
	node_free(root);
}
