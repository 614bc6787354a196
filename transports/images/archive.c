/* SPDX-License-Identifier: Apache-2.0
 *
 * The one door to libzip.
 */
#include "transports/images/archive.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zip.h>

#define STEP_BYTES (1u << 20)

struct archive {
	char *path;
	struct blob *blob; /* of a zip */
	zip_t *zip;	   /* NULL: a directory */
	char *folder;	   /* "NAME/" before each member; NULL: none */
	bool *whole;	   /* of each member: its checksum was compared */
};

int archive_open_zip(struct blob *b, struct archive **ret, struct err *e)
{
	_cleanup_(archive_closep) struct archive *a = xcalloc(1, sizeof *a);
	zip_error_t why;
	zip_source_t *source;

	a->path = xstrdup(b->path);
	a->blob = blob_ref(b);
	zip_error_init(&why);
	source = zip_source_buffer_create(b->data, b->size, 0, &why);
	if (source) {
		a->zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &why);
		if (!a->zip)
			zip_source_free(source);
	}
	if (!a->zip) {
		err_set(e, ERR_IMAGE_INVALID, "package %s: %s", b->path, zip_error_strerror(&why));
		zip_error_fini(&why);
		return -ERR_IMAGE_INVALID;
	}
	zip_error_fini(&why);
	a->whole = xcalloc(archive_members(a) + 1, sizeof *a->whole);
	*ret = steal_ptr(&a);
	return 0;
}

int archive_open_dir(const char *path, struct archive **ret, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "there is no directory %s", path);
	if (stat(path, &st) < 0)
		return err_errno(e, ERR_IO, errno, "directory %s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is not a directory", path);

	struct archive *a = xcalloc(1, sizeof *a);

	a->path = xstrdup(path);
	*ret = a;
	return 0;
}

struct archive *archive_close(struct archive *a)
{
	if (a) {
		if (a->zip)
			zip_discard(a->zip);
		blob_unref(a->blob);
		free(a->whole);
		free(a->folder);
		free(a->path);
		free(a);
	}
	return NULL;
}

const char *archive_path(const struct archive *a)
{
	return a->path;
}

static bool plain_name(const char *name)
{
	return *name && *name != '.' && !strpbrk(name, "/\\") && strlen(name) < 200;
}

bool archive_is_companion(const char *name)
{
	const char *slash = strrchr(name, '/');

	return !strncmp(name, "__MACOSX/", 9) || !strncmp(slash ? slash + 1 : name, "._", 2);
}

/* The first folder of a member that people put in; NULL: that member is in none. */
static char *first_folder(const struct archive *a)
{
	for (unsigned i = 0; i < archive_members(a); i++) {
		const char *name = zip_get_name(a->zip, i, 0);
		const char *slash = name ? strchr(name, '/') : NULL;

		if (name && archive_is_companion(name))
			continue;
		return slash ? xasprintf("%.*s", (int)(slash - name) + 1, name) : NULL;
	}
	return NULL;
}

void archive_enter(struct archive *a)
{
	char *folder = a->folder ? NULL : first_folder(a);

	for (unsigned i = 0; folder && i < archive_members(a); i++) {
		const char *name = zip_get_name(a->zip, i, 0);

		if (name && (archive_is_companion(name) || !strncmp(name, folder, strlen(folder))))
			continue;
		free(folder);
		folder = NULL;
	}
	if (folder)
		a->folder = folder;
}

/* In the archive; owned by the caller. */
static char *member_of(const struct archive *a, const char *name)
{
	return xasprintf("%s%s", a->folder ? a->folder : "", name);
}

bool archive_has(struct archive *a, const char *name, uint64_t *ret_bytes)
{
	uint64_t bytes;

	if (!plain_name(name))
		return false;
	if (a->zip) {
		_cleanup_(freep) char *member = member_of(a, name);
		zip_stat_t st;

		if (zip_stat(a->zip, member, 0, &st) < 0 || !(st.valid & ZIP_STAT_SIZE))
			return false;
		bytes = st.size;
	} else {
		_cleanup_(freep) char *path = xasprintf("%s/%s", a->path, name);
		struct stat st;

		if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			return false;
		bytes = (uint64_t)st.st_size;
	}
	if (ret_bytes)
		*ret_bytes = bytes;
	return true;
}

static int unpack(zip_file_t *from, const char *label, uint8_t *to, uint64_t n,
	const struct iotime *it, struct err *e)
{
	uint8_t one_more;
	uint64_t got = 0;

	while (got < n) {
		int r = iotime_check(it, e);

		if (r < 0)
			return r;

		zip_int64_t k = zip_fread(from, to + got, MIN(n - got, (uint64_t)STEP_BYTES));

		if (k <= 0)
			return err_set(e, ERR_IMAGE_INVALID, "%s: damaged at byte %llu of %llu: %s",
				label, (unsigned long long)got, (unsigned long long)n,
				k < 0 ? zip_file_strerror(from) : "it ends there");
		got += (uint64_t)k;
	}
	/* The checksum is compared at the end. */
	zip_int64_t k = zip_fread(from, &one_more, 1);

	if (k < 0)
		return err_set(
			e, ERR_IMAGE_INVALID, "%s: damaged: %s", label, zip_file_strerror(from));
	if (k > 0)
		return err_set(e, ERR_IMAGE_INVALID, "%s: longer than the %llu bytes it says",
			label, (unsigned long long)n);
	return 0;
}

static int get_zipped(struct archive *a, const char *name, const char *label, uint64_t bytes,
	const struct iotime *it, struct blob **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	uint8_t *to = NULL;
	int r = blob_new(label, bytes, &to, &b, e);

	if (r < 0)
		return r;

	zip_file_t *from = zip_fopen(a->zip, name, 0);

	if (!from)
		return err_set(e, ERR_IMAGE_INVALID, "%s: %s", label, zip_strerror(a->zip));
	r = unpack(from, label, to, bytes, it, e);
	zip_fclose(from);
	if (r == 0)
		a->whole[zip_name_locate(a->zip, name, 0)] = true;
	if (r < 0)
		return r;
	blob_seal(b);
	*ret = steal_ptr(&b);
	return 0;
}

unsigned archive_members(const struct archive *a)
{
	return a->zip ? (unsigned)zip_get_num_entries(a->zip, 0) : 0;
}

static int check_member(
	struct archive *a, zip_uint64_t index, uint8_t *buf, const struct iotime *it, struct err *e)
{
	zip_file_t *from = zip_fopen_index(a->zip, index, 0);
	const char *name = zip_get_name(a->zip, index, 0);
	zip_int64_t k = 1;
	int r = 0;

	if (!from)
		return err_set(e, ERR_IMAGE_INVALID, "package %s, member %.100s: %s", a->path,
			name ? name : "?", zip_strerror(a->zip));
	while (r == 0 && k > 0) {
		r = iotime_check(it, e);
		if (r == 0)
			k = zip_fread(from, buf, STEP_BYTES);
	}
	if (r == 0 && k < 0)
		r = err_set(e, ERR_IMAGE_INVALID, "package %s, member %.100s is damaged: %s",
			a->path, name ? name : "?", zip_file_strerror(from));
	zip_fclose(from);
	return r;
}

int archive_check(struct archive *a, const struct iotime *it, struct err *e)
{
	zip_int64_t members = a->zip ? zip_get_num_entries(a->zip, 0) : 0;
	_cleanup_(freep) uint8_t *buf = malloc(STEP_BYTES);
	int r = buf ? 0 : err_set(e, ERR_NO_MEMORY, "package %s", a->path);

	if (r == 0 && a->zip && members == 0)
		r = err_set(e, ERR_IMAGE_INVALID, "package %s holds no files", a->path);
	for (zip_int64_t i = 0; r == 0 && i < members; i++)
		if (!a->whole[i])
			r = check_member(a, (zip_uint64_t)i, buf, it, e);
	return r;
}

int archive_get(struct archive *a, const char *name, uint64_t max, const struct iotime *it,
	struct blob **ret, struct err *e)
{
	_cleanup_(freep) char *label = xasprintf("%s/%s", a->path, name);
	uint64_t bytes = 0;

	if (!plain_name(name))
		return err_set(e, ERR_INVALID, "package %s: '%.80s' is not a plain name of a file",
			a->path, name);
	if (!archive_has(a, name, &bytes))
		return err_set(e, ERR_NOT_FOUND, "package %s holds no %s", a->path, name);
	if (bytes > max)
		return err_set(e, ERR_TOO_LARGE, "%s has %llu bytes, more than %llu", label,
			(unsigned long long)bytes, (unsigned long long)max);
	if (!a->zip)
		return blob_open(label, BLOB_COPIED, ret, e);

	_cleanup_(freep) char *member = member_of(a, name);

	return get_zipped(a, member, label, bytes, it, ret, e);
}
