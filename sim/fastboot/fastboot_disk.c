/* SPDX-License-Identifier: Apache-2.0
 *
 * Partitions: one file each in the unit's directory, NAME.img, of the partition's size; what was
 * never written or was erased reads as zeros. Logical ones, the slot and the lock are remembered in
 * layout.json.
 */
#include "sim/fastboot/fastboot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/digest.h"

static int open_file(const struct fb *f, const char *name)
{
	_cleanup_(freep) char *path = f->dir ? xasprintf("%s/%s.img", f->dir, name) : NULL;

	return path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644)
		    : memfd_create(name, MFD_CLOEXEC);
}

static int add(struct fb *f, const char *name, uint64_t size, bool logical, struct err *e)
{
	struct fb_partition *p = &f->part[f->parts];

	if (f->parts == FB_PARTITIONS || strlen(name) >= sizeof p->name)
		return err_set(e, ERR_INVALID, "no room for partition '%s'", name);
	*p = (struct fb_partition){.size = size, .logical = logical};
	snprintf(p->name, sizeof p->name, "%s", name);
	p->fd = open_file(f, name);
	if (p->fd < 0 || ftruncate(p->fd, (off_t)size) < 0)
		return err_errno(e, ERR_IO, errno, "partition %s", name);
	f->parts++;
	return 0;
}

/* NAME:SIZE[:FLAGS] */
static int add_row(struct fb *f, char *row, struct err *e)
{
	char *name = strsep(&row, ":");
	const char *size_text = strsep(&row, ":");
	const char *flags = row ? row : "";
	unsigned long long size;
	int r = 0;

	if (!size_text || !parse_size(size_text, &size))
		return err_set(e, ERR_INVALID, "partitions: '%s' has no size", name);
	if (!f->slots || !strchr(flags, 's'))
		return add(f, name, size, strchr(flags, 'l') != NULL, e);
	for (unsigned i = 0; r == 0 && i < f->slots; i++) {
		_cleanup_(freep) char *with = xasprintf("%s_%c", name, (int)('a' + i));

		r = add(f, with, size, strchr(flags, 'l') != NULL, e);
	}
	return r;
}

static void restore(struct fb *f)
{
	_cleanup_(freep) char *path = xasprintf("%s/layout.json", f->dir);
	json_t *o = json_load_file(path, 0, NULL);
	const char *slot = json_string_value(json_object_get(o, "slot"));
	const char *name;
	json_t *v;

	if (slot)
		f->slot = *slot;
	if (o)
		f->locked = json_is_true(json_object_get(o, "locked"));
	json_object_foreach(json_object_get(o, "logical"), name, v) {
		struct fb_partition *p = fb_find_any(f, name);
		uint64_t size = (uint64_t)json_integer_value(v);

		if (p)
			p->size = size;
		else
			add(f, name, size, true, NULL);
	}
	json_decref(o);
}

int fb_disk_open(struct fb *f, bool fresh, struct err *e)
{
	_cleanup_(freep) char *text = xstrdup(settings_own(f->set, "partitions"));
	char *rest = text;
	char *row;
	int r = 0;

	while (r == 0 && (row = strsep(&rest, ",")))
		if (*row)
			r = add_row(f, row, e);
	if (r == 0 && f->dir && !fresh)
		restore(f);
	return r;
}

void fb_disk_close(struct fb *f)
{
	for (size_t i = 0; i < f->parts; i++)
		closep(&f->part[i].fd);
	f->parts = 0;
}

struct fb_partition *fb_find_any(struct fb *f, const char *name)
{
	for (size_t i = 0; i < f->parts; i++)
		if (!strcmp(f->part[i].name, name))
			return &f->part[i];
	return NULL;
}

struct fb_partition *fb_find(struct fb *f, const char *name)
{
	struct fb_partition *p = fb_find_any(f, name);

	return p && p->logical && f->mode != FB_FASTBOOTD ? NULL : p;
}

static void read_version(struct fb *f, const char *partition, char *ret, size_t size)
{
	static const char mark[] = "VERSION=";
	struct fb_partition *p = fb_find_any(f, partition);
	char head[64] = "";

	if (p && pread(p->fd, head, sizeof head - 1, 0) > 0 &&
		!strncmp(head, mark, sizeof mark - 1))
		snprintf(ret, size, "%.31s", head + sizeof mark - 1);
}

void fb_disk_versions(struct fb *f)
{
	snprintf(f->bootloader, sizeof f->bootloader, "sim-1.2");
	snprintf(f->radio, sizeof f->radio, "radio-7");
	read_version(f, "bootloader", f->bootloader, sizeof f->bootloader);
	read_version(f, "radio", f->radio, sizeof f->radio);
}

bool fb_has_slot(const struct fb *f, const char *base)
{
	size_t n = strlen(base);

	for (size_t i = 0; f->slots && i < f->parts; i++)
		if (!strncmp(f->part[i].name, base, n) && !strcmp(f->part[i].name + n, "_a"))
			return true;
	return false;
}

void fb_keep(struct fb *f)
{
	json_t *logical = json_object();
	json_t *o;

	for (size_t i = 0; i < f->parts; i++)
		if (f->part[i].logical)
			json_object_set_new(logical, f->part[i].name,
				json_integer((json_int_t)f->part[i].size));
	o = json_pack("{s:s%, s:b, s:o}", "slot", &f->slot, (size_t)1, "locked", f->locked,
		"logical", logical);
	if (f->dir) {
		_cleanup_(freep) char *path = xasprintf("%s/layout.json", f->dir);

		if (json_dump_file(o, path, JSON_INDENT(1)) < 0)
			err_set(&f->device.error, ERR_IO, "%s", path);
	}
	json_decref(o);
}

const char *fb_erase(struct fb *f, struct fb_partition *p)
{
	if (ftruncate(p->fd, 0) < 0 || ftruncate(p->fd, (off_t)p->size) < 0)
		return "erase failed";
	return NULL;
}

static uint64_t super_used(const struct fb *f)
{
	uint64_t used = 0;

	for (size_t i = 0; i < f->parts; i++)
		used += f->part[i].logical ? f->part[i].size : 0;
	return used;
}

static bool super_holds(struct fb *f, uint64_t more)
{
	const struct fb_partition *super = fb_find_any(f, "super");

	return !super || super_used(f) + more <= super->size;
}

const char *fb_resize(struct fb *f, struct fb_partition *p, uint64_t size)
{
	if (size > p->size && !super_holds(f, size - p->size))
		return "Not enough space to resize partition";
	p->size = size;
	fb_keep(f);
	return ftruncate(p->fd, (off_t)size) < 0 ? "resize failed" : NULL;
}

const char *fb_create(struct fb *f, const char *name, uint64_t size)
{
	if (!super_holds(f, size))
		return "Not enough space for partition";
	if (!*name || strchr(name, '/') || add(f, name, size, true, NULL) < 0)
		return "Unable to create partition";
	fb_keep(f);
	return NULL;
}

const char *fb_delete(struct fb *f, struct fb_partition *p)
{
	if (f->dir) {
		_cleanup_(freep) char *path = xasprintf("%s/%s.img", f->dir, p->name);

		unlink(path);
	}
	close(p->fd);
	*p = f->part[--f->parts];
	fb_keep(f);
	return NULL;
}

static const char *put(struct fb_partition *p, const uint8_t *bytes, uint64_t n, uint64_t at)
{
	if (at > p->size || n > p->size - at)
		return "size too large";
	while (n > 0) {
		ssize_t k = pwrite(p->fd, bytes, (size_t)MIN(n, (uint64_t)1 << 30), (off_t)at);

		if (k <= 0)
			return "write failed";
		bytes += k;
		at += (uint64_t)k;
		n -= (uint64_t)k;
	}
	return NULL;
}

static const char *put_fill(struct fb_partition *p, const uint8_t word[4], uint64_t n, uint64_t at)
{
	uint8_t block[4096];
	const char *why = NULL;

	for (size_t i = 0; i < sizeof block; i++)
		block[i] = word[i % 4];
	while (!why && n > 0) {
		uint64_t k = MIN(n, (uint64_t)sizeof block);

		why = put(p, block, k, at);
		at += k;
		n -= k;
	}
	return why;
}

/* A sparse image, chunk by chunk. */
static const char *put_sparse(struct fb_partition *p, const uint8_t *bytes, size_t n)
{
	struct rbytes b = rbytes_of(bytes, n);
	const char *why = NULL;
	uint64_t at = 0;

	rb_le32(&b);

	uint16_t major = rb_le16(&b);

	rb_le16(&b);

	uint16_t head = rb_le16(&b), chunk_head = rb_le16(&b);
	uint32_t block = rb_le32(&b), blocks = rb_le32(&b), chunks = rb_le32(&b);

	if (b.bad || major != 1 || head < 28 || chunk_head < 12 || !block || block % 4)
		return "Invalid sparse file format at header magic";
	if ((uint64_t)blocks * block > p->size)
		return "size too large";
	rb_take(&b, head - 24u);
	for (uint32_t i = 0; !why && i < chunks; i++) {
		uint16_t type = rb_le16(&b);

		rb_le16(&b);

		uint32_t k = rb_le32(&b), total = rb_le32(&b);

		rb_take(&b, chunk_head - 12u);
		if (b.bad || total < chunk_head)
			return "Bogus chunk size";

		uint64_t out = (uint64_t)k * block;
		const uint8_t *data = rb_take(&b, total - chunk_head);

		if (!data)
			return "Truncated sparse file";
		if (type == 0xcac1 && total - chunk_head == out)
			why = put(p, data, out, at);
		else if (type == 0xcac2 && total - chunk_head == 4)
			why = put_fill(p, data, out, at);
		else if (type != 0xcac3 && type != 0xcac4)
			why = "Bogus chunk size or type";
		at += type == 0xcac4 ? 0 : out;
	}
	if (!why && at != (uint64_t)blocks * block)
		why = "sparse image write failure";
	return why;
}

const char *fb_flash(struct fb *f, struct fb_partition *p, const uint8_t *bytes, size_t n)
{
	bool sparse = n >= 28 && !memcmp(bytes, "\x3a\xff\x26\xed", 4) && !f->custom;
	const char *why = sparse ? put_sparse(p, bytes, n) : put(p, bytes, n, 0);
	double at = 0;
	uint8_t byte;

	if (why || !own_fault_set(f->faults, FB_ROT, &at))
		return why;
	if (pread(p->fd, &byte, 1, (off_t)at) == 1) {
		byte ^= 0x10;
		own_fault_hit(f->faults, FB_ROT, NULL);
		if (pwrite(p->fd, &byte, 1, (off_t)at) != 1)
			return "write failed";
	}
	return NULL;
}

json_t *fb_disk_json(struct fb *f, bool digests)
{
	json_t *o = json_object();

	for (size_t i = 0; i < f->parts; i++) {
		const struct fb_partition *p = &f->part[i];
		json_t *row =
			json_pack("{s:I, s:b}", "size", (json_int_t)p->size, "logical", p->logical);
		void *map = digests && p->size
				    ? mmap(NULL, p->size, PROT_READ, MAP_SHARED, p->fd, 0)
				    : MAP_FAILED;
		char hex[SHA256_HEX];

		if (map != MAP_FAILED) {
			json_object_set_new(
				row, "sha256", json_string(sha256_hex_of(map, p->size, hex)));
			munmap(map, p->size);
		}
		json_object_set_new(o, p->name, row);
	}
	return o;
}
