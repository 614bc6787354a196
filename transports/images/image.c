/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/image.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define ADDRESS_END (1ull << 32)

static const char *const format_names[] = {
	[IMAGE_BIN] = "a raw binary",
	[IMAGE_ELF] = "an ELF file",
	[IMAGE_IHEX] = "an Intel HEX file",
	[IMAGE_SREC] = "a Motorola S-record file",
	[IMAGE_UF2] = "a UF2 file",
	[IMAGE_DFU] = "a DFU file",
	[IMAGE_SPARSE] = "an Android sparse image",
	[IMAGE_BOOTIMG] = "an Android boot image",
	[IMAGE_ZIP] = "a zip archive",
	[IMAGE_ANY] = "any file",
};

const char *image_format_name(enum image_format f)
{
	return format_names[f];
}

/* How many of the characters at s are hexadecimal digits. */
static size_t hex_run(const uint8_t *s, size_t n)
{
	size_t i = 0;

	while (i < n && isxdigit(s[i]))
		i++;
	return i;
}

/* The shortest record of each has length, address, type or checksum: 10 digits in Intel HEX
 * (":00000001FF"), 8 in S-records ("S9030000FC"). */
static bool is_ihex(const uint8_t *s, size_t n)
{
	return n > 10 && s[0] == ':' && hex_run(s + 1, n - 1) >= 10;
}

static bool is_srec(const uint8_t *s, size_t n)
{
	return n > 9 && s[0] == 'S' && isdigit(s[1]) && hex_run(s + 2, n - 2) >= 8;
}

/* DFU 1.1, B: the file ends with bcdDFU, "UFD", the suffix length (16) and a CRC of 4 bytes. */
static bool has_dfu_suffix(const uint8_t *s, size_t n)
{
	return n >= 16 && !memcmp(s + n - 8, "UFD", 3) && s[n - 5] == 16;
}

static const struct {
	const char *magic;
	size_t len;
	enum image_format format;
} magics[] = {
	{"\x7f"
	 "ELF",
		4, IMAGE_ELF},
	{"UF2\n", 4, IMAGE_UF2},
	{"DfuSe", 5, IMAGE_DFU},
	{"\x3a\xff\x26\xed", 4, IMAGE_SPARSE},
	{"ANDROID!", 8, IMAGE_BOOTIMG},
	{"VNDRBOOT", 8, IMAGE_BOOTIMG},
	{"PK\x03\x04", 4, IMAGE_ZIP},
};

enum image_format image_detect(const void *bytes, size_t n)
{
	const uint8_t *s = bytes;
	size_t blank = 0;

	for (size_t i = 0; i < ARRAY_LEN(magics); i++)
		if (n >= magics[i].len && !memcmp(s, magics[i].magic, magics[i].len))
			return magics[i].format;
	if (has_dfu_suffix(s, n))
		return IMAGE_DFU;
	while (blank < n && isspace(s[blank]))
		blank++;
	if (is_ihex(s + blank, n - blank))
		return IMAGE_IHEX;
	if (is_srec(s + blank, n - blank))
		return IMAGE_SREC;
	return IMAGE_BIN;
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
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s has %lld bytes, more than %llu MiB", path,
			(long long)st.st_size, IMAGE_MAX_BYTES >> 20);
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

static int load(struct image *i, struct err *e)
{
	size_t n = 0;
	_cleanup_(closep) int fd = open(i->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "there is no firmware file %s", i->path);
	if (fd < 0)
		return err_errno(e, ERR_IO, errno, "firmware file %s", i->path);

	int r = check_size(i->path, fd, &n, e);

	if (r < 0)
		return r;
	i->map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (i->map == MAP_FAILED) {
		i->map = NULL;
		return err_errno(e, ERR_NO_MEMORY, errno, "firmware file %s", i->path);
	}
	i->map_len = n;
	r = read_whole(i->path, fd, i->map, n, e);
	if (r < 0)
		return r;
	mprotect(i->map, n, PROT_READ);
	sha256_hex_of(i->map, n, i->sha256);
	return 0;
}

static int check_bin(const struct image *i, uint64_t address, struct err *e)
{
	enum image_format f = image_detect(i->map, i->map_len);

	if (f != IMAGE_BIN)
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s is %s, not a raw binary: convert it (objcopy -O binary)",
			i->path, image_format_name(f));
	if (address >= ADDRESS_END || i->map_len > ADDRESS_END - address)
		return err_set(e, ERR_IMAGE_RANGE,
			"firmware file %s: %zu bytes at 0x%08llx end above the address space",
			i->path, i->map_len, (unsigned long long)address);
	return 0;
}

int image_open(const char *path, const struct image_opts *o, struct image **ret, struct err *e)
{
	uint64_t address = o->address;

	if (address == IMAGE_NO_ADDRESS)
		return err_set(
			e, ERR_INVALID, "firmware file %s: a raw binary needs an address", path);

	_cleanup_(image_unrefp) struct image *i = xcalloc(1, sizeof *i);

	i->refs = 1;
	i->path = xstrdup(path);

	int r = load(i, e);

	if (r == 0)
		r = check_bin(i, address, e);
	if (r < 0)
		return r;
	i->format = IMAGE_BIN;
	i->bytes = i->map_len;
	i->count = 1;
	i->segments = xcalloc(1, sizeof *i->segments);
	i->segments[0] = (struct image_segment){address, i->map_len, i->map, 0};
	*ret = steal_ptr(&i);
	return 0;
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
	if (i->map)
		munmap(i->map, i->map_len);
	free(i->segments);
	free(i->path);
	free(i);
	return NULL;
}
