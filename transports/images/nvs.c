/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/nvs.h"

#include <errno.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/secret.h"

#define HEAD_BYTES   32
#define MAP_BYTES    32
#define ENTRY_BYTES  32
#define ENTRIES	     126
#define STATE_ACTIVE 0xfffffffeu
#define STATE_FULL   0xfffffffcu
#define VERSION_2    0xfe
#define NO_CHUNK     0xff
#define KEY_BYTES    16

enum { TYPE_STRING = 0x21, TYPE_CHUNK = 0x42, TYPE_INDEX = 0x48, TYPE_U8 = 0x01 };

static const struct type {
	const char *name;
	uint8_t code; /* of an integer the low half is its width */
} types[] = {{"u8", TYPE_U8}, {"i8", 0x11}, {"u16", 0x02}, {"i16", 0x12}, {"u32", 0x04},
	{"i32", 0x14}, {"u64", 0x08}, {"i64", 0x18}, {"string", TYPE_STRING}, {"blob", TYPE_CHUNK}};

const char *const nvs_types[] = {
	"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "string", "blob", NULL};

/* What is there already, so that no key comes twice. */
struct taken {
	uint8_t space; /* 0: it names a namespace */
	char key[KEY_BYTES];
};

struct nvs {
	uint8_t *bytes;
	size_t pages;
	size_t page, entry; /* where the next one goes */
	struct taken *taken;
	size_t count;
	uint8_t spaces;
};

/* One entry as its 32 bytes say it, but for the CRC. */
struct entry {
	uint8_t space, type, span, chunk;
	const char *key;
	uint8_t data[8];
};

static uint32_t crc(const uint8_t *p, size_t n, uint32_t begin)
{
	return (uint32_t)crc32(begin, p, (uInt)n);
}

static uint8_t *page_at(const struct nvs *n, size_t page)
{
	return n->bytes + page * NVS_PAGE_BYTES;
}

static void set_state(struct nvs *n, uint32_t state)
{
	struct wbytes w = wbytes_of(page_at(n, n->page), 4);

	wb_le32(&w, state);
}

static void begin_page(struct nvs *n, size_t page)
{
	uint8_t *p = page_at(n, page);
	struct wbytes w = wbytes_of(p, HEAD_BYTES);

	wb_le32(&w, STATE_ACTIVE);
	wb_le32(&w, (uint32_t)page);
	wb_u8(&w, VERSION_2);
	wb_fill(&w, 0xff, 19);
	wb_le32(&w, crc(p + 4, 24, 0xffffffff));
	n->page = page;
	n->entry = 0;
}

int nvs_new(uint64_t bytes, struct nvs **ret, struct err *e)
{
	_cleanup_(nvs_freep) struct nvs *n = xcalloc(1, sizeof *n);

	if (bytes % NVS_PAGE_BYTES || bytes < NVS_MIN_BYTES || bytes > NVS_MAX_BYTES)
		return err_set(e, ERR_INVALID,
			"an NVS partition of %llu bytes: a multiple of %d from %d to %u expected, as the partition table has it",
			(unsigned long long)bytes, NVS_PAGE_BYTES, NVS_MIN_BYTES, NVS_MAX_BYTES);
	n->bytes = malloc(bytes);
	n->taken = calloc(bytes / ENTRY_BYTES, sizeof *n->taken);
	n->pages = bytes / NVS_PAGE_BYTES;
	if (!n->bytes || !n->taken)
		return err_errno(e, ERR_NO_MEMORY, ENOMEM, "an NVS partition");
	memset(n->bytes, 0xff, bytes);
	begin_page(n, 0);
	*ret = steal_ptr(&n);
	return 0;
}

struct nvs *nvs_free(struct nvs *n)
{
	if (!n)
		return NULL;
	if (n->bytes)
		secret_wipe(n->bytes, n->pages * NVS_PAGE_BYTES);
	free(n->bytes);
	free(n->taken);
	free(n);
	return NULL;
}

const uint8_t *nvs_bytes(const struct nvs *n)
{
	return n->bytes;
}

size_t nvs_used(const struct nvs *n, size_t *ret_most)
{
	*ret_most = (n->pages - 1) * ENTRIES;
	return n->page * ENTRIES + n->entry;
}

/* --- entries --- */

static size_t room(const struct nvs *n)
{
	return ENTRIES - n->entry;
}

/* The last page is never begun. */
static int next_page(struct nvs *n, struct err *e)
{
	if (n->page + 2 >= n->pages)
		return err_set(e, ERR_NVS_FULL,
			"the NVS partition is full: %zu pages of %d bytes, of which one stays empty; give it more pages (nvs_size, and the partition table), or fewer values",
			n->pages, NVS_PAGE_BYTES);
	set_state(n, STATE_FULL);
	begin_page(n, n->page + 1);
	return 0;
}

static int need(struct nvs *n, size_t entries, struct err *e)
{
	return entries <= room(n) ? 0 : next_page(n, e);
}

static void mark_written(struct nvs *n, size_t entries)
{
	uint8_t *map = page_at(n, n->page) + HEAD_BYTES;

	for (size_t k = n->entry; k < n->entry + entries; k++)
		map[k / 4] &= (uint8_t) ~(1u << k % 4 * 2);
	n->entry += entries;
}

/* With the bytes that follow it; there is room for them. */
static void put_entry(struct nvs *n, const struct entry *x, const uint8_t *more, size_t more_n)
{
	uint8_t *p = page_at(n, n->page) + HEAD_BYTES + MAP_BYTES + n->entry * ENTRY_BYTES;
	struct wbytes w = wbytes_of(p, ENTRY_BYTES);
	uint32_t sum;

	wb_u8(&w, x->space);
	wb_u8(&w, x->type);
	wb_u8(&w, x->span);
	wb_u8(&w, x->chunk);
	wb_le32(&w, 0);
	wb_put(&w, x->key, strlen(x->key));
	wb_fill(&w, 0, KEY_BYTES - strlen(x->key));
	wb_put(&w, x->data, sizeof x->data);
	sum = crc(p + 8, ENTRY_BYTES - 8, crc(p, 4, 0xffffffff));
	w = wbytes_of(p + 4, 4);
	wb_le32(&w, sum);
	if (more_n)
		memcpy(p + ENTRY_BYTES, more, more_n);
	mark_written(n, x->span);
}

static size_t span_of(size_t bytes)
{
	return 1 + (bytes + ENTRY_BYTES - 1) / ENTRY_BYTES;
}

/* A string, or one chunk of a blob. */
static void put_long(struct nvs *n, struct entry *x, const uint8_t *p, size_t bytes)
{
	struct wbytes w = wbytes_of(x->data, sizeof x->data);

	x->span = (uint8_t)span_of(bytes);
	wb_le16(&w, (uint16_t)bytes);
	wb_le16(&w, 0xffff);
	wb_le32(&w, crc(p, bytes, 0xffffffff));
	put_entry(n, x, p, bytes);
}

static int put_string(struct nvs *n, struct entry *x, const struct nvs_value *v, struct err *e)
{
	uint8_t text[NVS_STRING_MAX] = {0};
	int r;

	if (v->n + 1 > NVS_STRING_MAX)
		return err_set(e, ERR_VALUE_TOO_LONG,
			"NVS '%s.%s': a string of %zu bytes, and a page holds %d with its NUL: make it a blob",
			v->space, v->key, v->n, NVS_STRING_MAX);
	if (memchr(v->bytes, 0, v->n))
		return err_set(e, ERR_VALUE_MALFORMED,
			"NVS '%s.%s': a string has a NUL in it: make it a blob", v->space, v->key);
	r = need(n, span_of(v->n + 1), e);
	if (r < 0)
		return r;
	memcpy(text, v->bytes, v->n);
	put_long(n, x, text, v->n + 1);
	secret_wipe(text, v->n);
	return 0;
}

static int put_blob(struct nvs *n, struct entry *x, const struct nvs_value *v, struct err *e)
{
	struct wbytes w = wbytes_of(x->data, sizeof x->data);
	uint8_t chunks = 0;
	int r = 0;

	if (v->n > NVS_BLOB_MAX)
		return err_set(e, ERR_VALUE_TOO_LONG,
			"NVS '%s.%s': a blob of %zu bytes, and %d are the most", v->space, v->key,
			v->n, NVS_BLOB_MAX);
	for (size_t at = 0; r == 0 && at < v->n;) {
		size_t here;

		r = need(n, 2, e);
		if (r < 0)
			return r;
		here = MIN(v->n - at, (room(n) - 1) * ENTRY_BYTES);
		x->chunk = chunks++;
		put_long(n, x, v->bytes + at, here);
		at += here;
	}
	r = need(n, 1, e);
	if (r < 0)
		return r;
	x->type = TYPE_INDEX;
	x->span = 1;
	x->chunk = NO_CHUNK;
	wb_le32(&w, (uint32_t)v->n);
	wb_u8(&w, chunks);
	wb_u8(&w, 0);
	wb_le16(&w, 0xffff);
	put_entry(n, x, NULL, 0);
	return 0;
}

static int put_integer(struct nvs *n, struct entry *x, const struct nvs_value *v, struct err *e)
{
	int r = need(n, 1, e);

	if (v->n != (x->type & 15u))
		return err_set(e, ERR_INVALID, "NVS '%s.%s': %zu bytes are no %s", v->space, v->key,
			v->n, v->type);
	if (r < 0)
		return r;
	x->span = 1;
	memset(x->data, 0xff, sizeof x->data);
	memcpy(x->data, v->bytes, v->n);
	put_entry(n, x, NULL, 0);
	return 0;
}

/* --- names --- */

static int check_name(const char *what, const char *name, struct err *e)
{
	if (!*name)
		return err_set(e, ERR_VALUE_EMPTY, "NVS: the name of a %s is empty", what);
	if (strlen(name) > NVS_KEY_MAX)
		return err_set(e, ERR_VALUE_TOO_LONG,
			"NVS: the %s '%.40s' has %zu characters, and %d are the most", what, name,
			strlen(name), NVS_KEY_MAX);
	for (const char *p = name; *p; p++)
		if (*p < 0x21 || *p > 0x7e)
			return err_set(e, ERR_VALUE_MALFORMED,
				"NVS: the %s '%s' has a character that is not printable ASCII at %zu",
				what, name, (size_t)(p - name) + 1);
	return 0;
}

static bool is_taken(const struct nvs *n, uint8_t space, const char *key)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->taken[i].space == space && !strcmp(n->taken[i].key, key))
			return true;
	return false;
}

static void take(struct nvs *n, uint8_t space, const char *key)
{
	struct taken *t = &n->taken[n->count++];

	t->space = space;
	snprintf(t->key, sizeof t->key, "%s", key);
}

/* Its number; the names of namespaces are taken in their order. */
static uint8_t find_space(const struct nvs *n, const char *name)
{
	uint8_t number = 0;

	for (size_t i = 0; i < n->count; i++) {
		number += n->taken[i].space == 0;
		if (n->taken[i].space == 0 && !strcmp(n->taken[i].key, name))
			return number;
	}
	return 0;
}

static int space_of(struct nvs *n, const char *name, uint8_t *ret, struct err *e)
{
	struct entry x = {.type = TYPE_U8, .span = 1, .chunk = NO_CHUNK, .key = name};
	int r = check_name("namespace", name, e);

	*ret = r < 0 ? 0 : find_space(n, name);
	if (r < 0 || *ret)
		return r;
	if (n->spaces == NVS_NAMESPACES)
		return err_set(e, ERR_NVS_FULL, "NVS: more than %d namespaces", NVS_NAMESPACES);
	r = need(n, 1, e);
	if (r < 0)
		return r;
	*ret = ++n->spaces;
	memset(x.data, 0xff, sizeof x.data);
	x.data[0] = *ret;
	put_entry(n, &x, NULL, 0);
	take(n, 0, name);
	return 0;
}

static const struct type *type_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

int nvs_put(struct nvs *n, const struct nvs_value *v, struct err *e)
{
	const struct type *t = type_of(v->type);
	struct entry x = {.chunk = NO_CHUNK, .key = v->key};
	int r = check_name("key", v->key, e);

	if (r == 0 && !t)
		r = err_set(e, ERR_INVALID, "NVS '%s.%s': there is no type '%.40s'", v->space,
			v->key, v->type);
	if (r == 0 && v->n == 0)
		r = err_set(e, ERR_VALUE_EMPTY,
			"NVS '%s.%s' has an empty value: nothing was made; look at where the value comes from",
			v->space, v->key);
	if (r == 0)
		r = space_of(n, v->space, &x.space, e);
	if (r < 0)
		return r;
	if (is_taken(n, x.space, v->key))
		return err_set(e, ERR_PART_OVERLAP,
			"NVS '%s.%s' comes twice: a key has one value in its namespace", v->space,
			v->key);
	x.type = t->code;
	take(n, x.space, v->key);
	if (t->code == TYPE_STRING)
		return put_string(n, &x, v, e);
	return t->code == TYPE_CHUNK ? put_blob(n, &x, v, e) : put_integer(n, &x, v, e);
}
