/* SPDX-License-Identifier: Apache-2.0 */
#include <expat.h>

#include "transports/protocols/gdb/gdb_impl.h"

struct parse {
	XML_Parser parser;
	struct gdb_map *map;
	struct gdb_region region;
	bool in_memory, in_block;
	char text[32]; /* of a property */
	size_t text_len;
	struct err *e;
	bool failed;
};

static void fail(struct parse *p, const char *why)
{
	if (p->failed)
		return;
	p->failed = true;
	err_set(p->e, ERR_PROTOCOL, "memory map of the GDB server, line %lu: %s",
		(unsigned long)XML_GetCurrentLineNumber(p->parser), why);
	XML_StopParser(p->parser, XML_FALSE);
}

static const char *attribute(const XML_Char **a, const char *name)
{
	for (; *a; a += 2)
		if (!strcmp(a[0], name))
			return a[1];
	return "";
}

static bool number(const char *s, uint64_t *ret)
{
	unsigned long long v;

	if (!parse_size(s, &v))
		return false;
	*ret = v;
	return true;
}

static void begin_memory(struct parse *p, const XML_Char **a)
{
	static const struct {
		const char *name;
		enum gdb_memory type;
	} types[] = {{"ram", GDB_RAM}, {"rom", GDB_ROM}, {"flash", GDB_FLASH}};
	bool known = false;

	p->region = (struct gdb_region){.type = GDB_RAM};
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(attribute(a, "type"), types[i].name)) {
			p->region.type = types[i].type;
			known = true;
		}
	if (!known)
		fail(p, "a memory that is neither ram, rom nor flash");
	else if (!number(attribute(a, "start"), &p->region.start) ||
		 !number(attribute(a, "length"), &p->region.length) || !p->region.length ||
		 p->region.start + (p->region.length - 1) < p->region.start)
		fail(p, "a memory without a start or length");
	p->in_memory = true;
}

static void on_start(void *data, const XML_Char *name, const XML_Char **a)
{
	struct parse *p = data;

	if (!strcmp(name, "memory"))
		begin_memory(p, a);
	p->in_block = p->in_memory && !strcmp(name, "property") &&
		      !strcmp(attribute(a, "name"), "blocksize");
	p->text_len = 0;
}

static void on_text(void *data, const XML_Char *s, int n)
{
	struct parse *p = data;

	for (int i = 0; p->in_block && i < n; i++)
		if (s[i] > ' ' && p->text_len + 1 < sizeof p->text)
			p->text[p->text_len++] = s[i];
	p->text[p->text_len] = 0;
}

static int by_start(const void *a, const void *b)
{
	const struct gdb_region *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void end_memory(struct parse *p)
{
	const struct gdb_region *r = &p->region;

	p->in_memory = false;
	if (r->type == GDB_FLASH && (!r->block || r->length % r->block))
		fail(p, "a flash whose blocks do not fill it");
	else if (p->map->count == GDB_REGIONS_MAX)
		fail(p, "too many memories");
	else
		p->map->region[p->map->count++] = *r;
}

static void on_end(void *data, const XML_Char *name)
{
	struct parse *p = data;

	if (p->in_block && !strcmp(name, "property") && !number(p->text, &p->region.block))
		fail(p, "a block size that is not a number");
	p->in_block = false;
	if (p->in_memory && !strcmp(name, "memory"))
		end_memory(p);
}

/* No entity is ever expanded: a document of a debug server declares none. */
static void on_entity(void *data, const XML_Char *name, int is_parameter, const XML_Char *value,
	int n, const XML_Char *base, const XML_Char *system, const XML_Char *public,
	const XML_Char *notation)
{
	fail(data, "an entity is declared");
}

static int check_flash(const struct gdb_map *m, struct err *e)
{
	for (size_t i = 0; i + 1 < m->count; i++)
		if (m->region[i].type == GDB_FLASH &&
			m->region[i].start + m->region[i].length > m->region[i + 1].start &&
			m->region[i + 1].type == GDB_FLASH)
			return err_set(e, ERR_PROTOCOL,
				"memory map of the GDB server: flash overlaps at 0x%llx",
				(unsigned long long)m->region[i + 1].start);
	return 0;
}

int gdb_map_parse(const char *xml, size_t n, struct gdb_map *ret, struct err *e)
{
	struct gdb_map *m = xcalloc(1, sizeof *m);
	struct parse p = {.parser = XML_ParserCreate(NULL), .map = m, .e = e};
	int r = 0;

	if (!p.parser)
		abort();
	XML_SetUserData(p.parser, &p);
	XML_SetElementHandler(p.parser, on_start, on_end);
	XML_SetCharacterDataHandler(p.parser, on_text);
	XML_SetEntityDeclHandler(p.parser, on_entity);
	if (XML_Parse(p.parser, xml, (int)n, XML_TRUE) != XML_STATUS_OK && !p.failed)
		r = err_set(e, ERR_PROTOCOL, "memory map of the GDB server, line %lu: %s",
			(unsigned long)XML_GetCurrentLineNumber(p.parser),
			XML_ErrorString(XML_GetErrorCode(p.parser)));
	XML_ParserFree(p.parser);
	if (p.failed)
		r = -ERR_PROTOCOL;
	if (r == 0) {
		qsort(m->region, m->count, sizeof *m->region, by_start);
		r = check_flash(m, e);
	}
	if (r == 0)
		*ret = *m;
	free(m);
	return r;
}

const struct gdb_region *gdb_map_find(const struct gdb_map *m, uint64_t address)
{
	const struct gdb_region *found = NULL;

	/* Flash wins where a server lays RAM over everything else. */
	for (size_t i = 0; i < m->count; i++) {
		const struct gdb_region *r = &m->region[i];

		if (address - r->start < r->length && address >= r->start &&
			(!found || r->type == GDB_FLASH))
			found = r;
	}
	return found;
}
