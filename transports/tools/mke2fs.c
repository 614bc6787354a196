/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/tools/mke2fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/util.h"

#define IMAGE "ext4.img"

/* The super block and the fields of it that are looked at. */
#define SUPER_AT	1024
#define SUPER_BYTES	1024
#define BLOCKS_LOW_AT	0x04
#define LOG_BLOCK_AT	0x18 /* of a block's KiB */
#define MAGIC_AT	0x38
#define INCOMPAT_AT	0x60
#define BLOCKS_HIGH_AT	0x150
#define MAGIC		0xef53
#define INCOMPAT_EXTENT 0x40 /* what makes it ext4 */

const struct tool_rule mke2fs_rules[] = {
	{"No space left on device|Disk quota exceeded", ERR_DISK_FULL,
		"there is no room for the file system's image"},
	{"[Pp]ermission denied|Operation not permitted", ERR_ACCESS, NULL},
	{NULL, ERR_NONE, NULL},
};

/* It lives in a directory that few have in their PATH. */
static const char *find(void)
{
	static const char *const places[] = {"/usr/sbin/mke2fs", "/sbin/mke2fs"};
	_cleanup_(freep) char *file = proc_find("mke2fs");

	for (size_t i = 0; !file && i < ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return "mke2fs";
}

static uint32_t field(const uint8_t *super, size_t at)
{
	struct rbytes b = rbytes_of(super + at, SUPER_BYTES - at);

	return rb_le32(&b);
}

int mke2fs_check(const char *path, uint64_t bytes, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t super[SUPER_BYTES];
	struct stat st;
	uint64_t blocks;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_NO_EVIDENCE, errno, "mke2fs left no file %s", path);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != bytes)
		return err_set(e, ERR_NO_EVIDENCE,
			"mke2fs left a file of %lld bytes, %llu expected", (long long)st.st_size,
			(unsigned long long)bytes);
	if (pread(fd, super, sizeof super, SUPER_AT) != sizeof super ||
		(field(super, MAGIC_AT) & 0xffff) != MAGIC ||
		!(field(super, INCOMPAT_AT) & INCOMPAT_EXTENT))
		return err_set(e, ERR_NO_EVIDENCE, "what mke2fs made has no super block of ext4");
	blocks = (uint64_t)field(super, BLOCKS_HIGH_AT) << 32 | field(super, BLOCKS_LOW_AT);
	if (field(super, LOG_BLOCK_AT) != 2 || blocks != bytes / MKE2FS_BLOCK)
		return err_set(e, ERR_NO_EVIDENCE,
			"what mke2fs made says that it has %llu blocks of %u KiB, %llu of 4 expected",
			(unsigned long long)blocks, 1u << MIN(field(super, LOG_BLOCK_AT), 20u),
			(unsigned long long)(bytes / MKE2FS_BLOCK));
	return 0;
}

static int make_file(const struct tool_dir *d, uint64_t bytes, char ret_path[600], struct err *e)
{
	int r = tool_dir_write(d, IMAGE, "", 0, ret_path, e);

	if (r == 0 && truncate(ret_path, (off_t)bytes) < 0)
		r = err_errno(e, ERR_IO, errno, "%s", ret_path);
	return r;
}

int mke2fs_ext4(const char *program, const struct tool_dir *d, uint64_t bytes,
	const struct teller *tell, struct tool_outcome *ret, char ret_path[600],
	const struct iotime *it, struct err *e)
{
	static const struct tool_marker success[] = {
		{"^Creating filesystem with (\\d+) 4k blocks", 1},
		{"^Writing superblocks and filesystem accounting information: *done$", 1},
		{NULL, 0}};
	static const struct tool_phase phases[] = {{"^Creating filesystem", "make"}, {NULL, NULL}};
	_cleanup_(freep) char *blocks =
		xasprintf("%llu", (unsigned long long)(bytes / MKE2FS_BLOCK));
	const char *const argv[] = {program ? program : find(), "-F", "-t", "ext4", "-b", "4096",
		"-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", IMAGE, blocks, NULL};
	const struct tool_spec spec = {.name = "mke2fs",
		.argv = argv,
		.dir = d->path,
		.success = success,
		.rules = mke2fs_rules,
		.phases = phases,
		.version = "^mke2fs (\\d\\S*)",
		.complaint = "^mke2fs: ",
		.tell = *tell};
	int r;

	*ret = (struct tool_outcome){0};
	r = make_file(d, bytes, ret_path, e);
	if (r == 0)
		r = tool_run(&spec, ret, it, e);
	return r < 0 ? r : mke2fs_check(ret_path, bytes, e);
}
