/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/bootimg.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

#define V3_PAGE_BYTES 4096u

static const struct {
	const char *magic;
	size_t len;
	uint64_t at;
	enum content content;
} magics[] = {
	{"\x3a\xff\x26\xed", 4, 0, CONTENT_SPARSE},
	{"ANDROID!", 8, 0, CONTENT_BOOT},
	{"VNDRBOOT", 8, 0, CONTENT_VENDOR_BOOT},
	{"AVB0", 4, 0, CONTENT_VBMETA},
	{"\xd7\xb7\xab\x1e", 4, 0, CONTENT_DTBO},
	{"\xd0\x0d\xfe\xed", 4, 0, CONTENT_DTB},
	{"\x1f\x8b", 2, 0, CONTENT_GZIP},
	{"\x02\x21\x4c\x18", 4, 0, CONTENT_LZ4},
	{"\x04\x22\x4d\x18", 4, 0, CONTENT_LZ4},
	{"\xfd"
	 "7zXZ",
		6, 0, CONTENT_XZ},
	{"hsqs", 4, 0, CONTENT_SQUASHFS},
	{"PK\x03\x04", 4, 0, CONTENT_ZIP},
	{"\x7f"
	 "ELF",
		4, 0, CONTENT_ELF},
	{"EFI PART", 8, 512, CONTENT_DISK},
	{"EFI PART", 8, 4096, CONTENT_DISK},
	/* Superblocks lie at 1024: ext4 has its magic at 56 within. */
	{"\x53\xef", 2, 1024 + 56, CONTENT_EXT4},
	{"\x10\x20\xf5\xf2", 4, 1024, CONTENT_F2FS},
	{"\xe2\xe1\xf5\xe0", 4, 1024, CONTENT_EROFS},
};

static const char *const names[] = {
	[CONTENT_UNKNOWN] = "nothing known",
	[CONTENT_SPARSE] = "an Android sparse image",
	[CONTENT_BOOT] = "an Android boot image",
	[CONTENT_VENDOR_BOOT] = "a vendor boot image",
	[CONTENT_VBMETA] = "a vbmeta image",
	[CONTENT_DTBO] = "a device tree overlay table",
	[CONTENT_DTB] = "a device tree",
	[CONTENT_GZIP] = "gzip data",
	[CONTENT_LZ4] = "lz4 data",
	[CONTENT_XZ] = "xz data",
	[CONTENT_EXT4] = "an ext4 file system",
	[CONTENT_F2FS] = "an F2FS file system",
	[CONTENT_EROFS] = "an EROFS file system",
	[CONTENT_SQUASHFS] = "a squashfs file system",
	[CONTENT_DISK] = "a whole disk with a partition table",
	[CONTENT_ZIP] = "a zip archive",
	[CONTENT_ELF] = "an ELF file",
};

enum content content_detect(const uint8_t *bytes, uint64_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if (n >= magics[i].at + magics[i].len &&
			!memcmp(bytes + magics[i].at, magics[i].magic, magics[i].len))
			return magics[i].content;
	return CONTENT_UNKNOWN;
}

const char *content_name(enum content c)
{
	return (size_t)c < ARRAY_LEN(names) ? names[c] : names[CONTENT_UNKNOWN];
}

static uint64_t pages(uint64_t n, uint32_t page)
{
	return (n + page - 1) / page * page;
}

/* Where the last of the parts ends; each begins on a page. */
static uint64_t end_of(uint32_t page, const uint32_t *parts, size_t n)
{
	uint64_t at = page, end = page;

	for (size_t i = 0; i < n; i++) {
		if (parts[i])
			end = at + parts[i];
		at += pages(parts[i], page);
	}
	return end;
}

/* Versions 0 to 2: kernel, ramdisk, second, page by page. */
static uint64_t old_need(struct rbytes b, struct bootimg *i)
{
	uint32_t parts[3];

	b.pos = 8;
	parts[0] = i->kernel_bytes = rb_le32(&b);
	rb_le32(&b);
	parts[1] = i->ramdisk_bytes = rb_le32(&b);
	rb_le32(&b);
	parts[2] = rb_le32(&b);
	rb_take(&b, 8);
	i->page_bytes = rb_le32(&b);
	if (b.bad || i->page_bytes < 512 || i->page_bytes > 65536 ||
		(i->page_bytes & (i->page_bytes - 1)))
		return 0;
	return end_of(i->page_bytes, parts, ARRAY_LEN(parts));
}

static uint64_t new_need(struct rbytes b, struct bootimg *i)
{
	uint32_t parts[2];

	b.pos = 8;
	parts[0] = i->kernel_bytes = rb_le32(&b);
	parts[1] = i->ramdisk_bytes = rb_le32(&b);
	i->page_bytes = V3_PAGE_BYTES;
	return b.bad ? 0 : end_of(V3_PAGE_BYTES, parts, ARRAY_LEN(parts));
}

int bootimg_check(
	const char *name, const uint8_t *bytes, uint64_t n, struct bootimg *ret, struct err *e)
{
	struct rbytes b = rbytes_of(bytes, (size_t)MIN(n, 64u));
	struct bootimg i = {0};

	/* Version 0 may hold the size of a device tree where later ones have their number. */
	b.pos = MIN((size_t)40, b.len);
	i.version = rb_le32(&b);
	if (i.version > 4)
		i.version = 0;
	i.need_bytes = i.version < 3 ? old_need(b, &i) : new_need(b, &i);
	if (i.need_bytes == 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"boot image %s: its header (version %u) makes no sense: pages of %u bytes",
			name, i.version, i.page_bytes);
	if (i.need_bytes > n)
		return err_set(e, ERR_IMAGE_INVALID,
			"boot image %s: its header (version %u) names %llu bytes, the file has %llu: is it cut off?",
			name, i.version, (unsigned long long)i.need_bytes, (unsigned long long)n);
	*ret = i;
	return 0;
}

bool avb_footer_present(const uint8_t *bytes, uint64_t n)
{
	return n >= AVB_FOOTER_BYTES && !memcmp(bytes + n - AVB_FOOTER_BYTES, "AVBf", 4);
}

static bool is_partition(const char *partition, const char *base)
{
	size_t n = strlen(base);

	return !strncmp(partition, base, n) && (!partition[n] || partition[n] == '_');
}

void content_warning(const char *partition, enum content c, char *ret, size_t size)
{
	static const struct {
		const char *base;
		enum content want;
	} rows[] = {
		{"boot", CONTENT_BOOT},
		{"init_boot", CONTENT_BOOT},
		{"recovery", CONTENT_BOOT},
		{"vendor_boot", CONTENT_VENDOR_BOOT},
		{"vbmeta", CONTENT_VBMETA},
		{"dtbo", CONTENT_DTBO},
	};

	*ret = 0;
	if (c == CONTENT_DISK || c == CONTENT_ZIP) {
		snprintf(ret, size, "partition %s gets %s", partition, content_name(c));
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (is_partition(partition, rows[i].base) && c != rows[i].want) {
			snprintf(ret, size, "partition %s gets %s, %s is usual", partition,
				content_name(c), content_name(rows[i].want));
			return;
		}
}
