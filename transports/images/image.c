/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening of firmware files: the bytes are read once, digested, and given to the reader of their
 * format; and what is asked of an image afterwards.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "transports/images/gate.h"
#include "transports/images/image_impl.h"

/* NULL: no firmware of addresses. */
static image_reader_fn *const readers[] = {
	[IMAGE_BIN] = image_read_bin,
	[IMAGE_ELF] = image_read_elf,
	[IMAGE_IHEX] = image_read_ihex,
	[IMAGE_SREC] = image_read_srec,
	[IMAGE_UF2] = image_read_uf2,
	[IMAGE_TITXT] = image_read_titxt,
	[IMAGE_DFU] = image_read_dfuse,
	[IMAGE_ANY] = NULL,
};

static int too_large(const char *path, uint64_t n, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID,
		"firmware file %s has %llu bytes, more than %llu MiB (a raw binary holds the gaps between its parts: give the ELF or HEX file that it was made of)",
		path, (unsigned long long)n, IMAGE_MAX_BYTES >> 20);
}

static int check_size(const char *path, int fd, size_t *ret, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, errno, "firmware file %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IMAGE_INVALID, "firmware file %s: not a regular file", path);
	if (st.st_size == 0)
		return err_set(e, ERR_IMAGE_INVALID, "firmware file %s is empty", path);
	if ((uint64_t)st.st_size > IMAGE_MAX_BYTES)
		return too_large(path, (uint64_t)st.st_size, e);
	*ret = (size_t)st.st_size;
	return 0;
}

static int read_whole(const char *path, int fd, uint8_t *to, size_t n, struct err *e)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = read(fd, to + got, n - got);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return err_errno(e, ERR_IO, errno, "firmware file %s", path);
		if (k == 0)
			return err_set(e, ERR_IMAGE_INVALID,
				"firmware file %s shrank while it was read", path);
		got += (size_t)k;
	}
	return 0;
}

static int map_bytes(struct image *i, size_t n, struct err *e)
{
	i->map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (i->map == MAP_FAILED) {
		i->map = NULL;
		return err_errno(e, ERR_NO_MEMORY, errno, "firmware file %s", i->path);
	}
	i->map_len = n;
	return 0;
}

static int load(struct image *i, const char *path, struct err *e)
{
	size_t n = 0;
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "there is no firmware file %s", i->path);
	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "firmware file %s", i->path);

	int r = check_size(i->path, fd, &n, e);

	if (r == 0)
		r = map_bytes(i, n, e);
	return r < 0 ? r : read_whole(i->path, fd, i->map, n, e);
}

/* --- what it is --- */

static int check_wanted(const struct image *i, const struct image_opts *o, struct err *e)
{
	if (o->as_is && i->inner == IMAGE_DFU)
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s is a DfuSe container: it is for a device with addresses",
			i->path);
	if (o->format != IMAGE_ANY && o->format != i->format && o->format != i->inner)
		return err_set(e, ERR_IMAGE_INVALID, "firmware file %s is %s, not %s", i->path,
			image_format_name(i->format), image_format_name(o->format));
	if (o->as_is)
		return 0;
	if (!readers[i->inner])
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s is %s: it has no addresses to be flashed at", i->path,
			image_format_name(i->inner));
	if (i->placed && o->address != IMAGE_NO_ADDRESS && !o->address_is_default)
		return err_set(e, ERR_INVALID,
			"firmware file %s is %s, which says itself where it goes: leave the address 0x%08llx out",
			i->path, image_format_name(i->inner), (unsigned long long)o->address);
	return 0;
}

/* What a recipe declares to be raw is not looked into, unless it would say itself where it goes. */
static enum image_format content_of(const struct image_source *s)
{
	enum image_format f = image_detect(s->bytes, s->n);

	return s->opts->format == IMAGE_BIN && !readers[f] ? IMAGE_BIN : f;
}

/* A suffix that is wrong, of a file for a device that takes files: the published ones of HackRF
 * have such a suffix (findings/), and its owners send them as they are. A recipe that declares the
 * bytes takes the decision. */
static bool is_meant_whole(const struct image_source *s)
{
	enum image_format f = image_detect(s->bytes, s->n - MIN(s->n, (size_t)DFU_SUFFIX_BYTES));

	return s->opts->as_is && s->opts->format == IMAGE_BIN && (f == IMAGE_BIN || !readers[f]);
}

/* Takes a DFU suffix off, and says what is left. */
static int recognise(struct image *i, struct image_source *s, struct err *e)
{
	size_t suffix = 0;
	int r = 0;

	i->declared = s->opts->format;
	i->format = content_of(s);
	i->inner = i->format;
	if (i->format == IMAGE_DFU) {
		r = image_dfu_suffix(i, s->bytes, s->n, &suffix, e);
		if (r < 0 && !is_meant_whole(s))
			return r;
		s->n -= suffix;
		i->inner = r < 0 ? IMAGE_BIN : content_of(s);
	}
	if (r < 0) {
		i->format = IMAGE_BIN;
		image_note(i, "its DFU suffix is wrong: it is sent as it is, with the suffix");
	}
	i->placed = i->inner != IMAGE_BIN;
	return gate_image(i, s->opts, s->bytes, s->n, e);
}

/* By its content and its name, as everything at the gate: gzip data that calls itself firmware.bin is refused there. */
static bool is_unpacked(const struct image *i, const struct image_opts *o)
{
	return o->member || (!o->as_is && !o->for_store && o->format != IMAGE_BIN &&
				    packing_is_named(packing_of(i->map, i->map_len), i->path));
}

/* The content takes the place of the file, also in what its name says. At most IMAGE_MAX_BYTES come out, which bounds the time. */
static int unpack(struct image *i, const struct image_opts *o, struct err *e)
{
	const struct packed_opts how = {.name = i->path,
		.member = o->member,
		.max = IMAGE_MAX_BYTES,
		.it = {NO_DEADLINE, NULL}};
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	_cleanup_(freep) char *file = NULL;
	int r = packed_open(i->map, i->map_len, &how, &b, e);

	if (r < 0)
		return r;
	i->packed = b->packed;
	image_unmap(i, i->map, i->map_len);
	r = map_bytes(i, b->size, e);
	if (r < 0)
		return r;
	memcpy(i->map, b->data, b->size);
	file = i->path;
	i->path = xasprintf("%s: %s", file, i->packed.name);
	snprintf(i->unpacked_sha256, sizeof i->unpacked_sha256, "%s", blob_sha256(b));
	if (i->packed.unproved)
		image_note(i,
			"packed without a checksum: nothing in the file shows whether it is damaged");
	return 0;
}

static void source_done(struct image_source *s)
{
	if (s->decoded && s->image->secret)
		secret_wipe(s->decoded, s->decoded_len);
	free(s->pieces);
	free(s->decoded);
}

static int parse(struct image *i, const struct image_opts *o, struct err *e)
{
	_cleanup_(source_done) struct image_source s = {.image = i, .opts = o};
	int r = 0;

	sha256_hex_of(i->map, i->map_len, i->sha256);
	if (is_unpacked(i, o))
		r = unpack(i, o, e);
	if (r < 0)
		return r;
	mprotect(i->map, i->map_len, PROT_READ);
	s.bytes = i->map;
	s.n = i->map_len;
	r = recognise(i, &s, e);
	if (r == 0)
		r = check_wanted(i, o, e);
	if (r == 0)
		r = o->as_is ? image_read_bin(&s, e) : readers[i->inner](&s, e);
	return r < 0 ? r : image_build(&s, e);
}

static struct image *image_of(const char *path, const struct image_opts *o)
{
	struct image *i = xcalloc(1, sizeof *i);

	i->refs = 1;
	i->path = xstrdup(o->name ? o->name : path);
	i->secret = o->secret;
	return i;
}

int image_open(const char *path, const struct image_opts *o, struct image **ret, struct err *e)
{
	_cleanup_(image_unrefp) struct image *i = image_of(path, o);
	int r = load(i, path, e);

	if (r == 0)
		r = parse(i, o, e);
	if (r == 0)
		*ret = steal_ptr(&i);
	return r;
}

int image_parse(const char *name, const void *bytes, size_t n, const struct image_opts *o,
	struct image **ret, struct err *e)
{
	_cleanup_(image_unrefp) struct image *i = image_of(name, o);
	int r = 0;

	if (n == 0)
		r = err_set(e, ERR_IMAGE_INVALID, "firmware file %s is empty", i->path);
	else if (n > IMAGE_MAX_BYTES)
		r = too_large(i->path, n, e);
	else
		r = map_bytes(i, n, e);
	if (r < 0)
		return r;
	memcpy(i->map, bytes, n);
	r = parse(i, o, e);
	if (r == 0)
		*ret = steal_ptr(&i);
	return r;
}

void image_unmap(const struct image *i, void *p, size_t n)
{
	if (!p)
		return;
	if (i->secret && mprotect(p, n, PROT_READ | PROT_WRITE) == 0)
		secret_wipe(p, n);
	munmap(p, n);
}

struct image *image_ref(struct image *i)
{
	__atomic_add_fetch(&i->refs, 1, __ATOMIC_RELAXED);
	return i;
}

struct image *image_unref(struct image *i)
{
	if (!i || __atomic_sub_fetch(&i->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	image_unmap(i, i->map, i->map_len);
	image_unmap(i, i->owned, i->owned_len);
	for (size_t k = 0; k < i->notes; k++)
		free(i->note[k]);
	free(i->segments);
	free(i->path);
	free(i);
	return NULL;
}

/* --- what is asked of it --- */

int image_check_range(const struct image *i, uint64_t base, uint64_t size, struct err *e)
{
	for (size_t k = 0; k < i->count; k++) {
		const struct image_segment *g = &i->segments[k];
		uint64_t outside = g->address;

		if (g->address >= base && g->address - base < size) {
			if (g->len <= size - (g->address - base))
				continue;
			outside = base + size;
		}
		return err_set(e, ERR_IMAGE_RANGE,
			"firmware file %s: 0x%08llx lies outside of 0x%08llx..0x%08llx", i->path,
			(unsigned long long)outside, (unsigned long long)base,
			(unsigned long long)(base + size - 1));
	}
	return 0;
}

size_t image_find(const struct image *i, uint8_t target, uint64_t address)
{
	size_t low = 0;
	size_t high = i->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct image_segment *g = &i->segments[mid];

		if (g->target < target || (g->target == target && g->address + g->len <= address))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint64_t image_read(const struct image *i, uint8_t target, uint64_t address, void *buf, size_t n)
{
	uint64_t got = 0;

	for (size_t k = image_find(i, target, address); k < i->count; k++) {
		const struct image_segment *g = &i->segments[k];
		uint64_t from = MAX(g->address, address);
		uint64_t to = MIN(g->address + g->len, address + n);

		if (g->target != target || from >= to)
			break;
		memcpy((uint8_t *)buf + (from - address), g->data + (from - g->address), to - from);
		got += to - from;
	}
	return got;
}

bool image_next(const struct image *i, uint8_t target, uint64_t from, uint64_t *ret)
{
	size_t k = image_find(i, target, from);

	if (k == i->count || i->segments[k].target != target)
		return false;
	*ret = MAX(i->segments[k].address, from);
	return true;
}

uint32_t image_chunk(const struct image *i, uint8_t target, uint64_t *at, uint32_t unit,
	uint32_t most, uint32_t page)
{
	uint64_t start;
	uint64_t n = 0;

	if (!image_next(i, target, *at, at))
		return 0;
	start = *at - *at % unit;
	if (page)
		most = (uint32_t)MIN((uint64_t)most, page - start % page);
	for (size_t k = image_find(i, target, *at); k < i->count && n < most; k++) {
		const struct image_segment *g = &i->segments[k];

		if (g->target != target || g->address >= start + n + unit)
			break;
		n = (g->address + g->len - start + unit - 1) / unit * unit;
	}
	*at = start;
	return (uint32_t)MIN(n, (uint64_t)most);
}
