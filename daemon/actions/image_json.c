/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/image_json.h"

#include "daemon/actions/image_kinds.h"
#include "transports/images/archive.h"
#include "transports/images/avb.h"
#include "transports/images/bmap.h"
#include "transports/images/bootimg.h"
#include "transports/images/sparse.h"
#include "transports/images/verity.h"

static json_t *hex(uint64_t v, int digits)
{
	return json_sprintf("0x%0*llx", digits, (unsigned long long)v);
}

static json_t *segments_json(const struct image *i)
{
	json_t *list = json_array();

	for (size_t k = 0; k < MIN(i->count, (size_t)IMAGE_JSON_SEGMENTS); k++) {
		const struct image_segment *g = &i->segments[k];
		json_t *o = json_pack(
			"{s:o, s:I}", "address", hex(g->address, 8), "length", (json_int_t)g->len);

		if (g->target)
			json_object_set_new(o, "target", json_integer(g->target));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *image_json(const struct image *i)
{
	json_t *notes = json_array();
	json_t *o;

	for (size_t k = 0; k < i->notes; k++)
		json_array_append_new(notes, json_string(i->note[k]));
	o = json_pack("{s:s, s:s, s:I, s:s, s:b, s:I, s:o, s:o?, s:o}", "format",
		image_format_str(i->format), "inner", image_format_str(i->inner), "bytes",
		(json_int_t)i->bytes, "payload_sha256", i->payload, "placed", i->placed,
		"segment_count", (json_int_t)i->count, "segments", segments_json(i), "entry",
		i->has_entry ? hex(i->entry, 8) : NULL, "notes", notes);
	if (i->declared != IMAGE_ANY)
		json_object_set_new(o, "declared", json_string(image_format_str(i->declared)));
	if (i->packed.how[0])
		json_object_set_new(o, "packed",
			json_pack("{s:s, s:s, s:s}", "how", i->packed.how, "name", i->packed.name,
				"sha256", i->unpacked_sha256));
	if (i->has_dfu_ids)
		json_object_set_new(o, "dfu",
			json_pack("{s:o, s:o, s:o}", "vid", hex(i->dfu_vid, 4), "pid",
				hex(i->dfu_pid, 4), "device", hex(i->dfu_device, 4)));
	return o;
}

/* --- files without addresses --- */

static void add_note(json_t *to, const char *note)
{
	if (note[0])
		json_array_append_new(json_object_get(to, "notes"), json_string(note));
}

static int look_at_sparse(const struct blob *b, json_t *to, struct err *e)
{
	_cleanup_(sparse_freep) struct sparse *s = NULL;
	int r = sparse_read(b->path, b->data, b->size, &s, e);

	if (r < 0)
		return r;
	json_object_set_new(
		to, "partition_bytes", json_integer((json_int_t)sparse_unsparsed_bytes(s)));
	json_object_set_new(to, "chunks", json_integer((json_int_t)s->count));
	add_note(to, s->note);
	return 0;
}

static int look_at_boot(const struct blob *b, json_t *to, struct err *e)
{
	struct bootimg boot;
	int r = bootimg_check(b->path, b->data, b->size, &boot, e);

	if (r < 0)
		return r;
	json_object_set_new(to, "version", json_integer(boot.version));
	return 0;
}

static int look_at_zip(struct blob *b, const struct iotime *it, json_t *to, struct err *e)
{
	_cleanup_(archive_closep) struct archive *a = NULL;
	int r = archive_open_zip(b, &a, e);

	if (r == 0)
		r = image_kinds_package(a, it, to, e);
	if (r == 0)
		r = archive_check(a, it, e);
	if (r == 0)
		json_object_set_new(to, "members", json_integer(archive_members(a)));
	return r;
}

bool blob_has_kind(const struct blob *b)
{
	uint64_t at;

	return avb_is(b->data, b->size) || verity_find(b->data, b->size, &at) ||
	       bmap_is(b->data, b->size);
}

/* What may be there besides what the file is. */
static int look_for_more(const struct blob *b, json_t *to, struct err *e)
{
	uint64_t at;
	int r = 0;

	if (avb_is(b->data, b->size))
		r = image_kinds_avb(b, to, e);
	if (r == 0 && verity_find(b->data, b->size, &at))
		r = image_kinds_verity(b, at, to, e);
	if (r == 0 && bmap_is(b->data, b->size))
		r = image_kinds_bmap(b, to, e);
	return r;
}

int blob_json(struct blob *b, const struct iotime *it, json_t **ret, struct err *e)
{
	enum content content = content_detect(b->data, b->size);
	json_t *o = json_pack("{s:s, s:s, s:I, s:[]}", "format",
		image_format_str(image_detect(b->data, (size_t)b->size)), "content",
		content == CONTENT_UNKNOWN ? "raw bytes" : content_name(content), "size_bytes",
		(json_int_t)b->size, "notes");
	int r = 0;

	if (content == CONTENT_SPARSE)
		r = look_at_sparse(b, o, e);
	else if (content == CONTENT_BOOT)
		r = look_at_boot(b, o, e);
	else if (content == CONTENT_ZIP)
		r = look_at_zip(b, it, o, e);
	if (r == 0)
		r = look_for_more(b, o, e);
	if (r < 0) {
		json_decref(o);
		return r;
	}
	*ret = o;
	return 0;
}
