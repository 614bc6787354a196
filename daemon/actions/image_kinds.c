/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actions/image_kinds.h"

#include "base/digest.h"
#include "base/strbuf.h"
#include "base/util.h"
#include "transports/images/avb.h"
#include "transports/images/bmap.h"
#include "transports/images/bootimg.h"
#include "transports/images/image.h"
#include "transports/images/nordic_init.h"
#include "transports/images/verity.h"

#define MANIFEST	   "manifest.json"
#define MANIFEST_MAX_BYTES (1u << 20)
#define INIT_MAX_BYTES	   65536u
#define NO_SUCH_FILE	   MANIFEST " names '%.80s', and the package has no such file"

static void note(json_t *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(json_t *to, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	json_array_append_new(json_object_get(to, "notes"), json_string(text));
}

/* --- Android Verified Boot --- */

int image_kinds_avb(const struct blob *b, json_t *to, struct err *e)
{
	struct avb a;
	int r = avb_read(b->path, b->data, b->size, &a, e);

	if (r < 0)
		return r;
	json_object_set_new(to, "avb",
		json_pack("{s:b, s:s, s:I, s:I, s:I, s:s, s:b, s:I, s:I, s:I, s:b, s:I, s:s}",
			"footer", a.has_footer, "partition", a.partition, "partition_bytes",
			(json_int_t)a.partition_bytes, "data_bytes", (json_int_t)a.data_bytes,
			"vbmeta_bytes", (json_int_t)a.vbmeta_bytes, "algorithm", a.algorithm,
			"signed", a.is_signed, "rollback_index", (json_int_t)a.rollback_index,
			"rollback_location", (json_int_t)a.rollback_location, "flags",
			(json_int_t)a.flags, "hash_tree", a.has_tree, "digests_compared",
			(json_int_t)a.digests_compared, "release", a.release));
	if (a.has_footer)
		note(to, "AVB footer: partition '%s' of %llu bytes, %llu of them its own data",
			a.partition, (unsigned long long)a.partition_bytes,
			(unsigned long long)a.data_bytes);
	note(to, "AVB vbmeta of %llu bytes: algorithm %s, rollback index %llu%s%s",
		(unsigned long long)a.vbmeta_bytes, a.algorithm,
		(unsigned long long)a.rollback_index,
		a.flags & AVB_FLAG_NO_VERITY ? ", verity disabled" : "",
		a.flags & AVB_FLAG_NO_VERIFICATION ? ", verification disabled" : "");
	return 0;
}

/* --- dm-verity --- */

int image_kinds_verity(const struct blob *b, uint64_t at, json_t *to, struct err *e)
{
	struct verity v;
	int r = verity_read(b->path, b->data, b->size, at, &v, e);
	uint64_t data_bytes;

	if (r < 0)
		return r;
	data_bytes = v.data_blocks * v.data_block_bytes;
	json_object_set_new(to, "verity",
		json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "at", (json_int_t)at, "uuid",
			v.uuid, "algorithm", v.algorithm, "data_bytes", (json_int_t)data_bytes,
			"data_block_bytes", (json_int_t)v.data_block_bytes, "hash_block_bytes",
			(json_int_t)v.hash_block_bytes, "tree_bytes", (json_int_t)v.tree_bytes,
			"salt_bytes", (json_int_t)v.salt_bytes));
	note(to,
		"dm-verity superblock at 0x%llx: a hash tree (%s) of %llu bytes of data; its root hash is not in it",
		(unsigned long long)at, v.algorithm, (unsigned long long)data_bytes);
	if (at == 0)
		json_object_set_new(to, "content", json_string("a hash tree of dm-verity"));
	return 0;
}

/* --- block maps --- */

int image_kinds_bmap(const struct blob *b, json_t *to, struct err *e)
{
	_cleanup_(bmap_freep) struct bmap *m = NULL;
	int r = bmap_read(b->path, b->data, b->size, &m, e);

	if (r < 0)
		return r;
	json_object_set_new(to, "content", json_string("a block map (bmap) of a disk's image"));
	json_object_set_new(to, "bmap",
		json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:b}", "version", m->version,
			"image_bytes", (json_int_t)m->image_bytes, "block_bytes",
			(json_int_t)m->block_bytes, "mapped_bytes",
			(json_int_t)(m->mapped * m->block_bytes), "ranges", (json_int_t)m->ranges,
			"checksum", m->checksum, "checksum_compared", m->own_compared));
	note(to,
		"block map %s: an image of %llu bytes in blocks of %llu, of which %zu ranges with %llu bytes hold anything",
		m->version, (unsigned long long)m->image_bytes, (unsigned long long)m->block_bytes,
		m->ranges, (unsigned long long)(m->mapped * m->block_bytes));
	if (!m->own_compared)
		note(to, "its checksums are '%s': only sha256 is compared", m->checksum);
	return 0;
}

/* --- DFU packages --- */

struct package {
	struct archive *a;
	const struct iotime *it;
	json_t *to, *images;
	struct err *e;
};

static int get(const struct package *p, const char *name, uint64_t max, struct blob **ret)
{
	if (!archive_has(p->a, name, NULL))
		return err_set(p->e, ERR_IMAGE_INVALID, NO_SUCH_FILE, name);
	return archive_get(p->a, name, max, p->it, ret, p->e);
}

/* The length that the packet says of an image of that type; 0: none. */
static uint64_t bytes_by(const struct nordic_init *i)
{
	return (uint64_t)i->sd_bytes + i->bl_bytes + i->app_bytes;
}

static int compare(const struct package *p, const char *file, struct blob *image, const char *dat,
	const struct nordic_init *i)
{
	uint8_t sum[SHA256_BYTES];

	if (bytes_by(i) && bytes_by(i) != image->size)
		return err_set(p->e, ERR_IMAGE_INVALID,
			"%s has %llu bytes, and its init packet %s says %llu: the package was put together of two",
			file, (unsigned long long)image->size, dat,
			(unsigned long long)bytes_by(i));
	sha256_of(image->data, image->size, sum);
	if (i->has_sha256 && memcmp(sum, i->sha256, sizeof sum) != 0)
		return err_set(p->e, ERR_IMAGE_INVALID,
			"%s has another SHA-256 than its init packet %s says: it is damaged, or the package was put together of two",
			file, dat);
	return 0;
}

static json_t *init_json(const struct nordic_init *i)
{
	json_t *list = json_array();

	for (size_t k = 0; k < i->sd_reqs; k++)
		json_array_append_new(list, json_sprintf("0x%02x", i->sd_req[k]));
	return json_pack("{s:s, s:o?, s:I, s:o, s:b, s:b, s:b}", "type", i->type, "version",
		i->has_version ? json_integer(i->version) : NULL, "hardware",
		(json_int_t)i->hardware, "sd_req", list, "signed", i->is_signed, "sha256",
		i->has_sha256, "debug", i->is_debug);
}

/* One of the manifest's members: {bin_file, dat_file}. */
static int add_nordic(const struct package *p, const char *type, const json_t *entry)
{
	const char *file = json_string_value(json_object_get(entry, "bin_file"));
	const char *dat = json_string_value(json_object_get(entry, "dat_file"));
	_cleanup_(blob_unrefp) struct blob *image = NULL;
	_cleanup_(blob_unrefp) struct blob *packet = NULL;
	struct nordic_init init;
	json_t *o;
	int r;

	if (!file || !dat)
		return err_set(p->e, ERR_IMAGE_INVALID,
			MANIFEST ": '%.40s' has no bin_file or no dat_file", type);
	r = get(p, file, IMAGE_MAX_BYTES, &image);
	if (r == 0)
		r = get(p, dat, INIT_MAX_BYTES, &packet);
	if (r < 0)
		return r;
	o = json_pack("{s:s, s:s, s:I, s:s}", "type", type, "file", file, "bytes",
		(json_int_t)image->size, "init", dat);
	json_array_append_new(p->images, o);
	if (nordic_init_read(dat, packet->data, packet->size, &init, NULL) < 0) {
		note(p->to,
			"%s: %s, %llu bytes; its init packet %s is of SDK 11 or before, and is not read",
			type, file, (unsigned long long)image->size, dat);
		return 0;
	}
	json_object_set_new(o, "packet", init_json(&init));
	note(p->to, "%s: %s, %llu bytes, for hardware %u, %s", type, file,
		(unsigned long long)image->size, init.hardware,
		init.is_signed ? "signed" : "not signed");
	return compare(p, file, image, dat, &init);
}

/* Of the nRF Connect SDK: {files: [{file, type, size}]}. */
static int add_file(const struct package *p, const json_t *entry)
{
	const char *file = json_string_value(json_object_get(entry, "file"));
	const char *type = json_string_value(json_object_get(entry, "type"));
	const json_t *size = json_object_get(entry, "size");
	uint64_t bytes = 0;

	if (!file)
		return err_set(
			p->e, ERR_IMAGE_INVALID, MANIFEST ": an entry of 'files' has no 'file'");
	if (!archive_has(p->a, file, &bytes))
		return err_set(p->e, ERR_IMAGE_INVALID, NO_SUCH_FILE, file);
	if (json_is_integer(size) && (uint64_t)json_integer_value(size) != bytes)
		return err_set(p->e, ERR_IMAGE_INVALID,
			"%s has %llu bytes, and " MANIFEST
			" says %lld: it is cut off, or of another build",
			file, (unsigned long long)bytes, (long long)json_integer_value(size));
	json_array_append_new(p->images, json_pack("{s:s, s:s, s:I}", "type", type ? type : "",
						 "file", file, "bytes", (json_int_t)bytes));
	note(p->to, "%s: %s, %llu bytes", type ? type : "image", file, (unsigned long long)bytes);
	return 0;
}

static int add_all(const struct package *p, const json_t *manifest, const char **ret_kind)
{
	const json_t *nordic = json_object_get(manifest, "manifest");
	const char *type;
	json_t *entry;
	size_t i;
	int r = 0;

	*ret_kind = json_is_object(nordic) ? "nordic" : "nrf-connect-sdk";
	json_object_foreach((json_t *)nordic, type, entry) {
		if (json_is_object(entry))
			r = add_nordic(p, type, entry);
		if (r < 0)
			return r;
	}
	json_array_foreach(json_object_get(manifest, "files"), i, entry) {
		r = add_file(p, entry);
		if (r < 0)
			return r;
	}
	return 0;
}

int image_kinds_package(struct archive *a, const struct iotime *it, json_t *to, struct err *e)
{
	struct package p = {.a = a, .it = it, .to = to, .images = json_array(), .e = e};
	_cleanup_(blob_unrefp) struct blob *text = NULL;
	json_t *manifest = NULL;
	const char *kind = "";
	json_error_t why;
	int r = 0;

	if (archive_has(a, MANIFEST, NULL))
		r = archive_get(a, MANIFEST, MANIFEST_MAX_BYTES, it, &text, e);
	if (r == 0 && text) {
		manifest = json_loadb((const char *)text->data, text->size, 0, &why);
		if (!manifest)
			r = err_set(
				e, ERR_IMAGE_INVALID, MANIFEST ", line %d: %s", why.line, why.text);
	}
	if (r == 0 && manifest)
		r = add_all(&p, manifest, &kind);
	if (r == 0 && json_array_size(p.images) > 0) {
		json_object_set_new(to, "content", json_string("a DFU package (zip)"));
		json_object_set_new(
			to, "package", json_pack("{s:s, s:O}", "kind", kind, "images", p.images));
	}
	json_decref(p.images);
	json_decref(manifest);
	return r;
}
