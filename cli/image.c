/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in a firmware file, as the daemon would say when it is uploaded.
 */
#include "base/util.h"
#include "cli/provctl.h"
#include "daemon/actions/image_json.h"
#include "transports/images/bmap.h"
#include "transports/images/bootimg.h"
#include "transports/images/gate.h"

/* What the readers of firmware take is theirs; the rest, and what is larger than any
 * microcontroller, is described as a file for a partition or as a package. */
static bool is_blob(const struct blob *b, const struct image_opts *o)
{
	enum image_format f = image_detect(b->data, (size_t)b->size);

	if (o->format != IMAGE_ANY)
		return false;
	if (!image_format_is_firmware(f))
		return true;
	return f == IMAGE_BIN &&
	       (blob_has_kind(b) || (b->size > IMAGE_MAX_BYTES &&
					    content_detect(b->data, b->size) != CONTENT_UNKNOWN));
}

/* 1 with *ret, 0 where it is firmware. */
static int blob_info(const char *path, const struct image_opts *o, json_t **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	const struct iotime forever = {UINT64_MAX, NULL};
	int r = blob_open(path, BLOB_COPIED, &b, e);

	if (r < 0)
		return r;
	if (!is_blob(b, o))
		return 0;
	r = gate_name(path, image_detect(b->data, (size_t)b->size), e);
	if (r == 0)
		r = blob_json(b, &forever, ret, e);
	if (r < 0)
		return r;
	json_object_set_new(*ret, "file", json_string(path));
	json_object_set_new(*ret, "sha256", json_string(blob_sha256(b)));
	return 1;
}

static json_t *info_of(const char *path, const struct image_opts *o, struct err *e)
{
	_cleanup_(image_unrefp) struct image *i = NULL;
	json_t *info = NULL;
	int r = o->member ? 0 : blob_info(path, o, &info, e);

	if (r != 0)
		return r < 0 ? NULL : info;
	if (image_open(path, o, &i, e) < 0)
		return NULL;
	info = image_json(i);
	json_object_set_new(info, "file", json_string(path));
	json_object_set_new(info, "sha256", json_string(i->sha256));
	return info;
}

/* A disk's image by the block map that it comes with. */
static int compare_bmap(const char *path, const char *map_path, json_t *info, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *image = NULL;
	_cleanup_(blob_unrefp) struct blob *text = NULL;
	_cleanup_(bmap_freep) struct bmap *m = NULL;
	int r = blob_open(map_path, BLOB_COPIED, &text, e);

	if (r == 0)
		r = bmap_read(map_path, text->data, text->size, &m, e);
	if (r == 0)
		r = blob_open(path, BLOB_COPIED, &image, e);
	if (r == 0)
		r = bmap_compare(m, path, image->data, image->size, e);
	if (r < 0)
		return r;
	json_object_set_new(info, "bmap_ranges", json_integer((json_int_t)m->ranges));
	json_array_append_new(json_object_get(info, "notes"),
		json_sprintf("its block map fits: %zu ranges with %s", m->ranges,
			m->own_compared ? "the right SHA-256" : "no SHA-256 to compare"));
	return 0;
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "-";
}

static void print_segments(const json_t *info)
{
	json_int_t count = json_integer_value(json_object_get(info, "segment_count"));
	json_t *list = json_object_get(info, "segments");
	json_t *g;
	size_t i;

	json_array_foreach(list, i, g) {
		printf("segment  %s  %8lld bytes", text(g, "address"),
			(long long)json_integer_value(json_object_get(g, "length")));
		if (json_object_get(g, "target"))
			printf("  target %lld",
				(long long)json_integer_value(json_object_get(g, "target")));
		puts("");
	}
	if ((size_t)count > json_array_size(list))
		printf("         and %lld more\n",
			(long long)count - (long long)json_array_size(list));
}

static void print_notes(const json_t *info)
{
	json_t *note;
	size_t i;

	json_array_foreach(json_object_get(info, "notes"), i, note)
		printf("note     %s\n", json_string_value(note));
}

static void print_blob(const json_t *info)
{
	static const char *const numbers[][2] = {{"size_bytes", "bytes"},
		{"partition_bytes", "unfolded"}, {"chunks", "chunks"}, {"version", "version"},
		{"members", "members"}};

	printf("file     %s\nformat   %s (%s)\nsha256   %s\n", text(info, "file"),
		text(info, "format"), text(info, "content"), text(info, "sha256"));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const json_t *v = json_object_get(info, numbers[i][0]);

		if (v)
			printf("%-8s %lld\n", numbers[i][1], (long long)json_integer_value(v));
	}
	print_notes(info);
}

static void print_info(const json_t *info)
{
	const json_t *dfu = json_object_get(info, "dfu");
	const json_t *packed = json_object_get(info, "packed");

	printf("file     %s\nformat   %s", text(info, "file"), text(info, "format"));
	if (strcmp(text(info, "format"), text(info, "inner")))
		printf(" (%s)", text(info, "inner"));
	if (packed)
		printf("\npacked   %s: %s", text(packed, "how"), text(packed, "name"));
	printf("\nsha256   %s\npayload  %s\nbytes    %lld\n", text(info, "sha256"),
		text(info, "payload_sha256"),
		(long long)json_integer_value(json_object_get(info, "bytes")));
	if (json_is_true(json_object_get(info, "placed")))
		print_segments(info);
	if (json_string_value(json_object_get(info, "entry")))
		printf("entry    %s\n", text(info, "entry"));
	if (dfu)
		printf("dfu      vid %s pid %s device %s\n", text(dfu, "vid"), text(dfu, "pid"),
			text(dfu, "device"));
	print_notes(info);
}

static bool number(const char *s, unsigned long long most, unsigned long long *ret)
{
	return parse_size(s, ret) && *ret <= most;
}

static int image_info(struct ctl *c, int argc, char **argv)
{
	const char *address = NULL;
	const char *format = NULL;
	const char *family = NULL;
	const char *board = NULL;
	const char *overlap = NULL;
	const char *member = NULL;
	const char *bmap = NULL;
	const struct option_row rows[] = {{"address", &address, NULL}, {"format", &format, NULL},
		{"uf2-family", &family, NULL}, {"board", &board, NULL}, {"overlap", &overlap, NULL},
		{"member", &member, NULL}, {"bmap", &bmap, NULL}, {0}};
	struct image_opts o = IMAGE_OPTS_INSPECT;
	unsigned long long v;
	json_t *info;
	char *path;
	struct err e;
	int f = IMAGE_ANY;

	if (ctl_options(argc, argv, rows, &path, 1) != 1)
		return ctl_usage(
			"image info FILE [--format F] [--address A] [--uf2-family ID] [--board ID] [--overlap last] [--member NAME] [--bmap FILE]");
	if (format && (f = image_format_from_str(format)) < 0)
		return ctl_usage("there is no format '%s'", format);
	o.format = (enum image_format)f;
	if (address) {
		if (!number(address, UINT32_MAX, &v))
			return ctl_usage("'%s' is not an address", address);
		o.address = v;
	}
	if (family) {
		if (!number(family, UINT32_MAX, &v))
			return ctl_usage("'%s' is not a family", family);
		o.uf2_family = (uint32_t)v;
	}
	if (board) {
		if (!number(board, UINT16_MAX, &v))
			return ctl_usage("'%s' is not a board", board);
		o.hex_board = (uint16_t)v;
	}
	if (overlap && strcmp(overlap, "last") != 0 && strcmp(overlap, "refuse") != 0)
		return ctl_usage("--overlap is 'refuse' or 'last', not '%s'", overlap);
	o.last_wins = overlap && !strcmp(overlap, "last");
	o.member = member;
	info = info_of(path, &o, &e);
	if (info && bmap && compare_bmap(path, bmap, info, &e) < 0) {
		json_decref(info);
		info = NULL;
	}
	if (!info)
		return ctl_fail(&e);
	if (c->json)
		print_json(info);
	else if (json_object_get(info, "content"))
		print_blob(info);
	else
		print_info(info);
	json_decref(info);
	return 0;
}

const struct command commands_image[] = {
	{"image info",
		"FILE [--format F] [--address A] [--uf2-family ID] [--board ID] [--overlap last] [--member NAME] [--bmap FILE]",
		"What is in a firmware file", image_info},
	{0},
};
