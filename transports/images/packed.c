/* SPDX-License-Identifier: Apache-2.0
 *
 * The one door to libarchive, and to zlib for gzip. The formats' marks: RFC 1952, section 2.3.1 (gzip); The .xz File Format
 * 1.0.4, 2.1.1.1; RFC 8878, 3.1.1 (zstd); bzip2's "BZh1".."BZh9"; POSIX ustar's magic at 257; PKWARE's APPNOTE, 4.3.7.
 */
#include "transports/images/packed.h"

#include <archive.h>
#include <archive_entry.h>
#include <dlfcn.h>
#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/strbuf.h"
#include "base/util.h"
#include "transports/images/archive.h"

#define LIBRARY	      "libarchive.so.13"
#define PIECE_BYTES   (256u * 1024)
#define LISTED_MAX    8 /* names in a sentence */
#define TAR_MARK_AT   257
#define INFLATE_GZIP  (16 + MAX_WBITS) /* zlib.h: gzip alone, its checksum compared */
#define ZSTD_CHECKSUM 0x04	       /* of the frame header descriptor */
#define XZ_CHECK_AT   7		       /* The .xz File Format 1.0.4, 2.1.1.2: the kind of check */

/* --- what it is --- */

static const char *const names[] = {[PACKING_NONE] = "",
	[PACKING_GZIP] = "gzip",
	[PACKING_XZ] = "xz",
	[PACKING_ZSTD] = "zstd",
	[PACKING_BZIP2] = "bzip2",
	[PACKING_TAR] = "tar",
	[PACKING_ZIP] = "zip"};

static bool starts(const uint8_t *p, uint64_t n, const char *mark, size_t len)
{
	return n >= len && !memcmp(p, mark, len);
}

enum packing packing_of(const void *bytes, uint64_t n)
{
	const uint8_t *p = bytes;

	if (starts(p, n, "\x1f\x8b\x08", 3))
		return PACKING_GZIP;
	if (starts(p, n, "\xfd\x37zXZ\0", 6))
		return PACKING_XZ;
	if (starts(p, n, "\x28\xb5\x2f\xfd", 4))
		return PACKING_ZSTD;
	if (starts(p, n, "BZh", 3) && n > 10 && p[3] >= '1' && p[3] <= '9' &&
		(!memcmp(p + 4, "\x31\x41\x59\x26\x53\x59", 6) ||
			!memcmp(p + 4, "\x17\x72\x45\x38\x50\x90", 6)))
		return PACKING_BZIP2;
	if (n > TAR_MARK_AT + 5 && !memcmp(p + TAR_MARK_AT, "ustar", 5))
		return PACKING_TAR;
	if (starts(p, n, "PK\3\4", 4))
		return PACKING_ZIP;
	return PACKING_NONE;
}

static const char *const endings[][5] = {[PACKING_GZIP] = {".gz", ".tgz"},
	[PACKING_XZ] = {".xz", ".txz"},
	[PACKING_ZSTD] = {".zst", ".zstd", ".tzst"},
	[PACKING_BZIP2] = {".bz2", ".tbz", ".tbz2"},
	[PACKING_TAR] = {".tar"},
	[PACKING_ZIP] = {".zip"}};

static bool ends_with(const char *name, const char *ending)
{
	const size_t n = strlen(name), k = strlen(ending);

	return n > k && !strcasecmp(name + n - k, ending);
}

bool packing_is_named(enum packing p, const char *name)
{
	for (size_t i = 0; p != PACKING_NONE && endings[p][i]; i++)
		if (ends_with(name, endings[p][i]))
			return true;
	return false;
}

static bool is_archive(enum packing p)
{
	return p == PACKING_TAR || p == PACKING_ZIP;
}

/* --- libarchive --- */

#define SYMBOLS(F)                                  \
	F(archive_read_new)                         \
	F(archive_read_free)                        \
	F(archive_read_support_filter_xz)           \
	F(archive_read_support_filter_zstd)         \
	F(archive_read_support_filter_bzip2)        \
	F(archive_read_support_format_raw)          \
	F(archive_read_support_format_tar)          \
	F(archive_read_support_format_zip_seekable) \
	F(archive_read_open_memory)                 \
	F(archive_read_next_header)                 \
	F(archive_read_data)                        \
	F(archive_entry_pathname)                   \
	F(archive_entry_filetype)                   \
	F(archive_entry_is_encrypted)               \
	F(archive_entry_hardlink)                   \
	F(archive_filter_code)                      \
	F(archive_filter_bytes)                     \
	F(archive_error_string)

struct library {
#define POINTER(name) __typeof__(&name) name;
	SYMBOLS(POINTER)
	locale_t utf8; /* a service has the locale C, in which a name beyond ASCII is an error */
	bool there;
};

static struct library lib;

static void load_library(void)
{
	void *h = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	lib.utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	lib.there = h && lib.utf8;
#define FIND(name)                                        \
	*(void **)&lib.name = h ? dlsym(h, #name) : NULL; \
	lib.there = lib.there && lib.name;
	SYMBOLS(FIND)
}

static int need_library(const char *name, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load_library);
	return lib.there
		       ? 0
		       : err_set(e, ERR_UNSUPPORTED,
				 "file %s is packed, and " LIBRARY
				 " is not installed on this machine: install the package libarchive13, or unpack the file first",
				 name);
}

/* --- one layer --- */

struct layer {
	const struct packed_opts *o;
	const uint8_t *bytes;
	uint64_t n;
	struct blob_growing *out;
};

static int damaged(const struct layer *l, const char *what, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID, "file %s is damaged or not whole: %s; fetch it again",
		l->o->name, what && *what ? what : "it ends too early");
}

static int add(struct layer *l, const uint8_t *p, size_t n, struct err *e)
{
	int r = iotime_check(&l->o->it, e);

	if (r < 0)
		return r;
	if (blob_growing_bytes(l->out) + n > l->o->max)
		return err_set(e, ERR_TOO_LARGE,
			"file %s unpacks to more than the %llu MiB that are taken", l->o->name,
			(unsigned long long)(l->o->max >> 20));
	return blob_growing_add(l->out, p, n, e);
}

/* All members of a gzip file, one after another (RFC 1952, 2.2); each with its checksum and length. */
static int inflate_members(struct layer *l, z_stream *z, uint8_t *piece, struct err *e)
{
	uint64_t at = 0;
	bool open = true;
	int r = 0;

	while (r == 0 && (open || at < l->n || z->avail_in)) {
		int code;

		if (z->avail_in == 0) {
			z->next_in = (uint8_t *)(uintptr_t)l->bytes + at;
			z->avail_in = (unsigned)MIN(l->n - at, (uint64_t)PIECE_BYTES);
			at += z->avail_in;
		}
		if (!open && inflateReset(z) != Z_OK)
			return damaged(l, NULL, e);
		open = true;
		z->next_out = piece;
		z->avail_out = PIECE_BYTES;
		code = inflate(z, Z_NO_FLUSH);
		if (code == Z_BUF_ERROR ||
			(code == Z_OK && z->avail_in == 0 && at == l->n && z->avail_out))
			return damaged(l, NULL, e);
		if (code != Z_OK && code != Z_STREAM_END)
			return damaged(l, z->msg, e);
		r = add(l, piece, PIECE_BYTES - z->avail_out, e);
		open = code != Z_STREAM_END;
	}
	return r;
}

static int gunzip(struct layer *l, struct err *e)
{
	_cleanup_(freep) uint8_t *piece = xcalloc(1, PIECE_BYTES);
	z_stream z = {0};
	int r;

	if (inflateInit2(&z, INFLATE_GZIP) != Z_OK)
		return err_set(e, ERR_NO_MEMORY, "file %s: zlib", l->o->name);
	r = inflate_members(l, &z, piece, e);
	inflateEnd(&z);
	return r;
}

/* Of what follows a stream and does not begin as one libarchive says nothing: of bzip2 it may be most of the firmware. */
static int check_whole(struct layer *l, struct archive *a, struct err *e)
{
	int64_t read = lib.archive_filter_bytes(a, -1);

	if (read >= 0 && (uint64_t)read == l->n)
		return 0;
	return damaged(l, "what follows its first part is not packed data", e);
}

static int copy_data(struct layer *l, struct archive *a, struct err *e)
{
	_cleanup_(freep) uint8_t *piece = xcalloc(1, PIECE_BYTES);
	int r = 0;

	while (r == 0) {
		ssize_t k = lib.archive_read_data(a, piece, PIECE_BYTES);

		/* A warning is no data that was proved. */
		if (k < 0)
			return damaged(l, lib.archive_error_string(a), e);
		if (k == 0)
			return 0;
		r = add(l, piece, (size_t)k, e);
	}
	return r;
}

/* Opens the reader for one packing alone, so that nothing is taken for what it was not recognised as. */
static int open_reader(struct layer *l, enum packing p, struct archive **ret, struct err *e)
{
	struct archive *a;
	int r = need_library(l->o->name, e);

	if (r < 0)
		return r;
	a = lib.archive_read_new();
	if (!a)
		return err_set(e, ERR_NO_MEMORY, "file %s: libarchive", l->o->name);
	r = p == PACKING_XZ	 ? lib.archive_read_support_filter_xz(a)
	    : p == PACKING_ZSTD	 ? lib.archive_read_support_filter_zstd(a)
	    : p == PACKING_BZIP2 ? lib.archive_read_support_filter_bzip2(a)
				 : ARCHIVE_OK;
	if (r == ARCHIVE_OK)
		r = p == PACKING_TAR   ? lib.archive_read_support_format_tar(a)
		    : p == PACKING_ZIP ? lib.archive_read_support_format_zip_seekable(a)
				       : lib.archive_read_support_format_raw(a);
	if (r == ARCHIVE_OK)
		r = lib.archive_read_open_memory(a, l->bytes, (size_t)l->n);
	if (r != ARCHIVE_OK) {
		r = damaged(l, lib.archive_error_string(a), e);
		lib.archive_read_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

static int filter_of(enum packing p)
{
	return p == PACKING_XZ	   ? ARCHIVE_FILTER_XZ
	       : p == PACKING_ZSTD ? ARCHIVE_FILTER_ZSTD
				   : ARCHIVE_FILTER_BZIP2;
}

static int decompress(struct layer *l, enum packing p, struct err *e)
{
	struct archive_entry *entry;
	struct archive *a;
	int r;

	if (p == PACKING_GZIP)
		return gunzip(l, e);
	r = open_reader(l, p, &a, e);
	if (r < 0)
		return r;
	if (lib.archive_read_next_header(a, &entry) != ARCHIVE_OK)
		r = damaged(l, lib.archive_error_string(a), e);
	/* What its filter does not know it would hand on as it is. */
	else if (lib.archive_filter_code(a, 0) != filter_of(p))
		r = damaged(l, NULL, e);
	else
		r = copy_data(l, a, e);
	if (r == 0)
		r = check_whole(l, a, e);
	lib.archive_read_free(a);
	return r;
}

/* --- the members of an archive --- */

struct search {
	const char *wanted; /* NULL: the only one */
	unsigned files;
	unsigned found;
	char name[PACKED_NAME_BYTES]; /* of the found one */
	struct strbuf list;
};

/* As records show it: a name need not be UTF-8. */
static int note_name(const struct layer *l, struct search *s, const char *name, struct err *e)
{
	_cleanup_(sb_done) struct strbuf shown = {0};

	sb_add_escaped(&shown, name, strlen(name));
	if (shown.len >= sizeof s->name)
		return err_set(e, ERR_IMAGE_INVALID,
			"file %s: the name of its member has more than %zu characters", l->o->name,
			sizeof s->name - 1);
	snprintf(s->name, sizeof s->name, "%s", shown.len ? shown.s : "");
	return 0;
}

static int take_member(struct layer *l, struct archive *a, struct archive_entry *entry,
	struct search *s, struct err *e)
{
	const char *name = lib.archive_entry_pathname(entry);
	int r;

	if (!name || lib.archive_entry_filetype(entry) != S_IFREG ||
		(!s->wanted && archive_is_companion(name)))
		return 0;
	s->files++;
	if (s->files <= LISTED_MAX) {
		sb_add(&s->list, s->files > 1 ? ", " : "");
		sb_add_escaped(&s->list, name, MIN(strlen(name), (size_t)PACKED_NAME_BYTES));
	}
	if (s->wanted && strcmp(name, s->wanted) != 0 &&
		(strncmp(name, "./", 2) != 0 || strcmp(name + 2, s->wanted) != 0))
		return 0;
	if (++s->found > 1)
		return 0; /* told apart below */
	if (lib.archive_entry_is_encrypted(entry))
		return err_set(e, ERR_IMAGE_INVALID,
			"file %s: its member is encrypted: give one that is not", l->o->name);
	if (lib.archive_entry_hardlink(entry))
		return err_set(e, ERR_IMAGE_INVALID,
			"file %s: its member is a link to another one: name that one", l->o->name);
	r = note_name(l, s, name, e);
	return r < 0 ? r : copy_data(l, a, e);
}

static int judge_search(const struct layer *l, const struct search *s, struct err *e)
{
	const char *more = s->files > LISTED_MAX ? ", ..." : "";

	if (s->files == 0)
		return err_set(e, ERR_IMAGE_INVALID, "file %s is an archive without a file in it",
			l->o->name);
	if (s->wanted && s->found == 0)
		return err_set(e, ERR_NOT_FOUND, "file %s has no member %s: it has %s%s",
			l->o->name, s->wanted, s->list.s, more);
	if (s->wanted && s->found > 1)
		return err_set(e, ERR_IMAGE_INVALID,
			"file %s has the member %s %u times: which one is meant is not known",
			l->o->name, s->wanted, s->found);
	if (!s->wanted && s->files > 1)
		return err_set(e, ERR_IMAGE_INVALID,
			"file %s is an archive of %u files: 'member' has to name one of %s%s",
			l->o->name, s->files, s->list.s, more);
	return 0;
}

static int read_members(struct layer *l, struct archive *a, struct search *s, struct err *e)
{
	struct archive_entry *entry;
	int code = ARCHIVE_OK, r = 0;

	while (r == 0 && (code = lib.archive_read_next_header(a, &entry)) == ARCHIVE_OK) {
		r = iotime_check(&l->o->it, e);
		if (r == 0)
			r = take_member(l, a, entry, s, e);
	}
	if (r < 0)
		return r;
	return code == ARCHIVE_EOF ? judge_search(l, s, e)
				   : damaged(l, lib.archive_error_string(a), e);
}

/* To the end of the archive: a second member of the name, and damage further on, are seen. */
static int find_member(
	struct layer *l, enum packing p, char ret_name[PACKED_NAME_BYTES], struct err *e)
{
	struct search s = {.wanted = l->o->member};
	struct archive *a;
	locale_t before;
	int r = open_reader(l, p, &a, e);

	if (r < 0)
		return r;
	before = uselocale(lib.utf8);
	r = read_members(l, a, &s, e);
	uselocale(before);
	lib.archive_read_free(a);
	memcpy(ret_name, s.name, PACKED_NAME_BYTES);
	sb_done(&s.list);
	return r;
}

/* --- all layers --- */

/* firmware.hex.xz is firmware.hex. */
static void strip_ending(const char *name, enum packing p, char ret[PACKED_NAME_BYTES])
{
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	size_t n = strlen(base);

	for (size_t i = 0; p != PACKING_NONE && endings[p][i]; i++)
		if (ends_with(base, endings[p][i])) {
			n -= strlen(endings[p][i]);
			break;
		}
	snprintf(ret, PACKED_NAME_BYTES, "%.*s", (int)MIN(n, (size_t)PACKED_NAME_BYTES - 1), base);
}

/* Of xz: none, or one of a kind that liblzma passes over (2.1.1.2: CRC32, CRC64 and SHA-256 are what there is). */
static bool has_no_checksum(enum packing p, const struct layer *l)
{
	if (p == PACKING_ZSTD)
		return l->n > 4 && !(l->bytes[4] & ZSTD_CHECKSUM);
	if (p == PACKING_XZ)
		return l->n > XZ_CHECK_AT && l->bytes[XZ_CHECK_AT] != 0x01 &&
		       l->bytes[XZ_CHECK_AT] != 0x04 && l->bytes[XZ_CHECK_AT] != 0x0a;
	return false;
}

static void note_layer(struct packed_facts *f, enum packing p)
{
	size_t n = strlen(f->how);

	snprintf(f->how + n, sizeof f->how - n, "%s%s", n ? ", " : "", names[p]);
}

/* What l has becomes what is in it; *held, NULL at first, holds that. */
static int unpack_layer(
	struct layer *l, enum packing p, struct blob **held, struct packed_facts *f, struct err *e)
{
	struct blob *out = NULL;
	int r;

	l->out = blob_growing_new(l->o->name);
	f->unproved |= has_no_checksum(p, l);
	note_layer(f, p);
	r = is_archive(p) ? find_member(l, p, f->name, e) : decompress(l, p, e);
	if (r == 0)
		r = blob_growing_end(&l->out, &out, e);
	blob_growing_free(l->out);
	if (r < 0)
		return r;
	blob_unref(*held);
	*held = out;
	l->bytes = out->data;
	l->n = out->size;
	return 0;
}

int packed_open(const void *bytes, uint64_t n, const struct packed_opts *o, struct blob **ret,
	struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *held = NULL;
	struct layer l = {.o = o, .bytes = bytes, .n = n};
	enum packing p = packing_of(bytes, n);
	struct packed_facts f = {0};
	int r = 0;

	strip_ending(o->name, p, f.name);
	if (p != PACKING_NONE && !is_archive(p)) {
		r = unpack_layer(&l, p, &held, &f, e);
		p = r == 0 ? packing_of(l.bytes, l.n) : PACKING_NONE;
	}
	if (r == 0 && is_archive(p))
		r = unpack_layer(&l, p, &held, &f, e);
	else if (r == 0 && o->member)
		r = err_set(e, ERR_IMAGE_INVALID,
			"file %s is not a tar or zip archive: leave 'member' %s out", o->name,
			o->member);
	if (r < 0)
		return r;
	if (held)
		held->packed = f;
	*ret = steal_ptr(&held);
	return 0;
}

int packed_open_blob(struct blob **b, const struct packed_opts *o, struct err *e)
{
	struct blob *out = NULL;
	int r = packed_open((*b)->data, (*b)->size, o, &out, e);

	if (r < 0 || !out)
		return r;
	snprintf(out->packed.file_sha256, sizeof out->packed.file_sha256, "%s", blob_sha256(*b));
	blob_unref(*b);
	*b = out;
	return 0;
}
