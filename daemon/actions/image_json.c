/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/image_json.h"

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
	if (i->has_dfu_ids)
		json_object_set_new(o, "dfu",
			json_pack("{s:o, s:o, s:o}", "vid", hex(i->dfu_vid, 4), "pid",
				hex(i->dfu_pid, 4), "device", hex(i->dfu_device, 4)));
	return o;
}
