/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/image_write.h"

#include <errno.h>
#include <fcntl.h>

#include "base/bytes.h"

#define RECORD_BYTES 16u
#define BANK_BYTES   0x10000ull

enum record_type { RECORD_DATA = 0, RECORD_END = 1, RECORD_BANK = 4, RECORD_ENTRY = 5 };

static FILE *create(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f;

	if (fd < 0) {
		err_errno(e, errno == EEXIST ? ERR_CONFLICT : ERR_IO, errno, "create %s", path);
		return NULL;
	}
	f = fdopen(fd, "w");
	if (!f) {
		err_errno(e, ERR_IO, errno, "create %s", path);
		close(fd);
	}
	return f;
}

static int finish(FILE **f, const char *path, struct err *e)
{
	bool bad = ferror(*f) != 0;

	if (fclose(steal_ptr(f)) != 0 || bad)
		return err_errno(e, ERR_IO, errno ? errno : EIO, "write %s", path);
	return 0;
}

static void put_record(
	FILE *f, enum record_type type, uint16_t address, const uint8_t *p, uint8_t n)
{
	uint8_t raw[RECORD_BYTES + 5];
	struct wbytes w = wbytes_of(raw, sizeof raw);
	uint8_t sum = 0;

	wb_u8(&w, n);
	wb_be16(&w, address);
	wb_u8(&w, (uint8_t)type);
	wb_put(&w, p, n);
	for (size_t i = 0; i < w.len; i++)
		sum = (uint8_t)(sum + raw[i]);
	wb_u8(&w, (uint8_t)(0x100 - sum));
	fputc(':', f);
	for (size_t i = 0; i < w.len; i++)
		fprintf(f, "%02X", raw[i]);
	fputc('\n', f);
}

/* No record crosses a bank of 64 KiB: its address would wrap there. */
static void put_segment(FILE *f, const struct image_segment *s, uint64_t *bank)
{
	uint64_t at = s->address;
	uint64_t left = s->len;
	const uint8_t *p = s->data;

	while (left > 0) {
		uint64_t room = MIN(BANK_BYTES - at % BANK_BYTES, (uint64_t)RECORD_BYTES);
		uint8_t n = (uint8_t)MIN(room, left);

		if (at / BANK_BYTES != *bank) {
			uint8_t upper[2];
			struct wbytes w = wbytes_of(upper, sizeof upper);

			*bank = at / BANK_BYTES;
			wb_be16(&w, (uint16_t)*bank);
			put_record(f, RECORD_BANK, 0, upper, sizeof upper);
		}
		put_record(f, RECORD_DATA, (uint16_t)(at % BANK_BYTES), p, n);
		at += n;
		p += n;
		left -= n;
	}
}

static int check(const struct image *i, struct err *e)
{
	for (size_t k = 0; k < i->count; k++) {
		const struct image_segment *s = &i->segments[k];

		if (s->target != 0)
			return err_set(e, ERR_IMAGE_RANGE,
				"%s is for several memories (target %u): one file cannot hold it",
				i->path, s->target);
		if (s->len == 0 || s->address > UINT32_MAX || s->len - 1 > UINT32_MAX - s->address)
			return err_set(e, ERR_IMAGE_RANGE,
				"%s: 0x%llx and %llu bytes do not fit 32-bit addresses", i->path,
				(unsigned long long)s->address, (unsigned long long)s->len);
	}
	return 0;
}

static void put_all(FILE *f, const struct image *i)
{
	uint64_t bank = 0;

	for (size_t k = 0; k < i->count; k++)
		put_segment(f, &i->segments[k], &bank);
	if (i->has_entry && i->entry <= UINT32_MAX) {
		uint8_t entry[4];
		struct wbytes w = wbytes_of(entry, sizeof entry);

		wb_be32(&w, (uint32_t)i->entry);
		put_record(f, RECORD_ENTRY, 0, entry, sizeof entry);
	}
	put_record(f, RECORD_END, 0, NULL, 0);
}

static int refuse_secret(const struct image *i, struct err *e)
{
	return i->secret
		       ? err_set(e, ERR_UNSUPPORTED,
				 "%s holds a secret, and a foreign program would get it as a file on the disk: flash it by an action of provd's own",
				 i->path)
		       : 0;
}

int image_write_ihex(const struct image *i, const char *path, struct err *e)
{
	_cleanup_(fclosep) FILE *f = NULL;
	int r = refuse_secret(i, e);

	if (r == 0)
		r = check(i, e);
	if (r < 0)
		return r;
	f = create(path, e);
	if (!f)
		return e ? -(int)e->code : -ERR_IO;
	put_all(f, i);
	return finish(&f, path, e);
}

int image_text_ihex(const struct image *i, char **ret, size_t *ret_n, struct err *e)
{
	char *text = NULL;
	FILE *f;
	int r = check(i, e);

	if (r < 0)
		return r;
	f = open_memstream(&text, ret_n);
	if (!f)
		return err_errno(e, ERR_NO_MEMORY, ENOMEM, "%s as Intel HEX", i->path);
	put_all(f, i);
	if (fclose(f) != 0) {
		free(text);
		return err_errno(e, ERR_NO_MEMORY, ENOMEM, "%s as Intel HEX", i->path);
	}
	*ret = text;
	return 0;
}

int image_write_bin(
	const struct image *i, const struct image_segment *s, const char *path, struct err *e)
{
	_cleanup_(fclosep) FILE *f = NULL;
	int r = refuse_secret(i, e);

	if (r < 0)
		return r;
	f = create(path, e);
	if (!f)
		return e ? -(int)e->code : -ERR_IO;
	fwrite(s->data, 1, s->len, f);
	return finish(&f, path, e);
}
