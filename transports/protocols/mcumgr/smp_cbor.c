/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in a packet: the few kinds of CBOR (RFC 8949) that MCUmgr uses, by libcbor.
 */
#include "transports/protocols/mcumgr/smp_impl.h"

/* --- writing --- */

static void took(struct wbytes *w, size_t n)
{
	if (n == 0)
		w->bad = true;
	w->len += n;
}

static size_t room(const struct wbytes *w)
{
	return w->bad ? 0 : w->cap - w->len;
}

void smp_put_map(struct wbytes *w, size_t members)
{
	took(w, cbor_encode_map_start(members, w->p + w->len, room(w)));
}

void smp_put_text(struct wbytes *w, const char *text)
{
	size_t n = strlen(text);

	took(w, cbor_encode_string_start(n, w->p + w->len, room(w)));
	wb_put(w, text, n);
}

void smp_put_uint(struct wbytes *w, uint64_t v)
{
	took(w, cbor_encode_uint(v, w->p + w->len, room(w)));
}

void smp_put_bool(struct wbytes *w, bool v)
{
	took(w, cbor_encode_bool(v, w->p + w->len, room(w)));
}

void smp_put_bytes(struct wbytes *w, const uint8_t *p, size_t n)
{
	took(w, cbor_encode_bytestring_start(n, w->p + w->len, room(w)));
	wb_put(w, p, n);
}

size_t smp_bytes_head(size_t n)
{
	uint8_t head[9];

	return cbor_encode_bytestring_start(n, head, sizeof head);
}

/* --- reading --- */

struct count {
	size_t n; /* bytes in all */
	bool wrong;
};

/* libcbor allocates what a list says that it has: no list has more members than the packet has bytes. */
static void members(void *data, size_t size)
{
	struct count *c = data;

	c->wrong |= size > c->n;
}

static bool has_sane_sizes(const uint8_t *p, size_t n)
{
	struct cbor_callbacks calls = cbor_empty_callbacks;
	struct count c = {.n = n};

	calls.array_start = members;
	calls.map_start = members;
	for (size_t at = 0; at < n && !c.wrong;) {
		struct cbor_decoder_result r = cbor_stream_decode(p + at, n - at, &calls, &c);

		if (r.status != CBOR_DECODER_FINISHED || r.read == 0)
			return false;
		at += r.read;
	}
	return !c.wrong;
}

cbor_item_t *smp_parse(const uint8_t *p, size_t n)
{
	struct cbor_load_result r = {0};
	cbor_item_t *item;

	if (n == 0 || !has_sane_sizes(p, n))
		return NULL;
	item = cbor_load(p, n, &r);
	if (item && (r.error.code != CBOR_ERR_NONE || r.read != n || !cbor_isa_map(item)))
		cbor_decref(&item);
	return item;
}

static bool is_text(const cbor_item_t *i, const char *text)
{
	return i && cbor_isa_string(i) && cbor_string_is_definite(i) &&
	       cbor_string_length(i) == strlen(text) &&
	       !memcmp(cbor_string_handle(i), text, strlen(text));
}

const cbor_item_t *smp_get(const cbor_item_t *map, const char *name)
{
	const struct cbor_pair *pair;

	if (!map || !cbor_isa_map(map))
		return NULL;
	pair = cbor_map_handle(map);
	for (size_t i = 0; i < cbor_map_size(map); i++)
		if (is_text(pair[i].key, name))
			return pair[i].value;
	return NULL;
}

bool smp_get_uint(const cbor_item_t *map, const char *name, uint64_t *ret)
{
	const cbor_item_t *i = smp_get(map, name);

	if (!i || !cbor_isa_uint(i))
		return false;
	*ret = cbor_get_int(i);
	return true;
}

bool smp_get_int(const cbor_item_t *map, const char *name, int64_t *ret)
{
	const cbor_item_t *i = smp_get(map, name);
	uint64_t v;

	if (!i || !(cbor_isa_uint(i) || cbor_isa_negint(i)))
		return false;
	v = cbor_get_int(i);
	if (v > INT64_MAX)
		return false;
	*ret = cbor_isa_uint(i) ? (int64_t)v : -1 - (int64_t)v;
	return true;
}

bool smp_get_bool(const cbor_item_t *map, const char *name, bool *ret)
{
	const cbor_item_t *i = smp_get(map, name);

	if (!i || !cbor_is_bool(i))
		return false;
	*ret = cbor_get_bool(i);
	return true;
}

bool smp_get_text(const cbor_item_t *map, const char *name, char *ret, size_t size)
{
	const cbor_item_t *i = smp_get(map, name);
	size_t n;

	if (!i || !cbor_isa_string(i) || !cbor_string_is_definite(i))
		return false;
	n = MIN(cbor_string_length(i), size - 1);
	memcpy(ret, cbor_string_handle(i), n);
	ret[n] = 0;
	return true;
}

bool smp_get_bytes(
	const cbor_item_t *map, const char *name, uint8_t *ret, size_t size, size_t *ret_n)
{
	const cbor_item_t *i = smp_get(map, name);

	if (!i || !cbor_isa_bytestring(i) || !cbor_bytestring_is_definite(i) ||
		cbor_bytestring_length(i) > size)
		return false;
	*ret_n = cbor_bytestring_length(i);
	memcpy(ret, cbor_bytestring_handle(i), *ret_n);
	return true;
}
