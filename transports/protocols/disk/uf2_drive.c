/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/disk/uf2_drive.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define SECTOR	    512u
#define ALIGN	    4096u
#define STEP_BYTES  (64u * 1024)
#define ENTRY_BYTES 32u
#define ROOT_MAX    (64u * 1024) /* 2048 entries */

/* Microsoft FAT specification, section 3: the fields of a FAT12 or FAT16 volume that lead to its files. */
struct volume {
	uint32_t cluster_bytes, root_bytes;
	uint64_t root_at, data_at, bytes;
};

static int no_drive(const char *why, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "the disk is not a drive of a UF2 bootloader: %s", why);
}

static int read_volume(
	const uint8_t sector[SECTOR], uint64_t disk, struct volume *ret, struct err *e)
{
	struct rbytes b = rbytes_of(sector + 11, 25);
	uint16_t bytes = rb_le16(&b);
	uint8_t cluster = rb_u8(&b);
	uint16_t reserved = rb_le16(&b);
	uint8_t fats = rb_u8(&b);
	uint16_t entries = rb_le16(&b), small = rb_le16(&b);
	uint16_t fat = (rb_u8(&b), rb_le16(&b));
	uint32_t large = (rb_le32(&b), rb_le32(&b), rb_le32(&b));
	uint32_t sectors = small ? small : large;

	if (sector[510] != 0x55 || sector[511] != 0xaa || bytes != SECTOR || !cluster || !entries ||
		!fats)
		return no_drive("it has no FAT12 or FAT16 file system", e);
	ret->cluster_bytes = cluster * SECTOR;
	ret->root_at = (reserved + (uint64_t)fats * fat) * SECTOR;
	ret->root_bytes = (entries * ENTRY_BYTES + SECTOR - 1) / SECTOR * SECTOR;
	ret->data_at = ret->root_at + ret->root_bytes;
	ret->bytes = MIN((uint64_t)sectors * SECTOR, disk);
	if (ret->root_bytes > ROOT_MAX || ret->data_at + SECTOR > ret->bytes)
		return no_drive("its file system makes no sense", e);
	return 0;
}

/* The first sector of INFO_UF2.TXT. */
static int find_info(const uint8_t *root, const struct volume *v, uint64_t *ret_at, uint32_t *ret_n,
	struct err *e)
{
	for (uint32_t at = 0; at + ENTRY_BYTES <= v->root_bytes && root[at]; at += ENTRY_BYTES) {
		struct rbytes b = rbytes_of(root + at + 26, 6);
		uint16_t cluster = rb_le16(&b);
		uint32_t size = rb_le32(&b);

		if (memcmp(root + at, "INFO_UF2TXT", 11) != 0 || cluster < 2)
			continue;
		*ret_at = v->data_at + (uint64_t)(cluster - 2) * v->cluster_bytes;
		*ret_n = MIN(size, SECTOR);
		return *ret_at + SECTOR <= v->bytes
			       ? 0
			       : no_drive("INFO_UF2.TXT lies beyond its end", e);
	}
	return no_drive("it has no INFO_UF2.TXT", e);
}

/* "Board-ID: SAMD21G18A-Zero-v0" */
static void take_line(const char *text, const char *key, char ret[UF2_INFO_BYTES])
{
	const char *at = strstr(text, key);
	size_t n;

	ret[0] = '\0';
	if (!at || (at != text && at[-1] != '\n'))
		return;
	at += strlen(key);
	at += strspn(at, " ");
	n = MIN(strcspn(at, "\r\n"), (size_t)UF2_INFO_BYTES - 1);
	for (size_t i = 0; i < n; i++)
		ret[i] = at[i] >= ' ' && at[i] < 127 ? at[i] : '?';
	ret[n] = '\0';
}

static int look(const struct disk_port *p, uint8_t *buf, struct uf2_drive *ret, struct err *e)
{
	struct volume v = {0};
	char text[SECTOR + 1] = "";
	uint64_t at = 0;
	uint32_t n = 0;
	int r = p->read(p->data, 0, buf, SECTOR, e);

	if (r == 0)
		r = read_volume(buf, p->bytes, &v, e);
	if (r == 0)
		r = p->read(p->data, v.root_at, buf, v.root_bytes, e);
	if (r == 0)
		r = find_info(buf, &v, &at, &n, e);
	if (r == 0)
		r = p->read(p->data, at, buf, SECTOR, e);
	if (r < 0)
		return r;
	memcpy(text, buf, n);
	take_line(text, "Board-ID:", ret->board_id);
	take_line(text, "Model:", ret->model);
	ret->data_at = v.data_at;
	ret->data_bytes = v.bytes - v.data_at;
	return 0;
}

int uf2_drive_look(const struct disk_port *p, struct uf2_drive *ret, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = aligned_alloc(ALIGN, ROOT_MAX);
	struct uf2_drive d = {0};
	int r;

	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes", ROOT_MAX);
	if (p->sector_bytes != SECTOR || p->bytes < SECTOR)
		return no_drive("its sectors are not of 512 bytes", e);
	r = look(p, buf, &d, e);
	if (r == 0)
		*ret = d;
	return r;
}

int uf2_drive_write(const struct disk_port *p, const struct uf2_drive *d, const uint8_t *bytes,
	uint64_t n, bool *ret_left, const struct teller *tell, const struct iotime *it,
	struct err *e)
{
	_cleanup_(freep) uint8_t *buf = aligned_alloc(ALIGN, STEP_BYTES);
	int r = 0;

	*ret_left = false;
	if (!buf)
		return err_set(e, ERR_NO_MEMORY, "%u bytes", STEP_BYTES);
	if (n % SECTOR || n > d->data_bytes)
		return err_set(e, ERR_IMAGE_RANGE,
			"%llu bytes of blocks: the drive holds %llu, in blocks of %u",
			(unsigned long long)n, (unsigned long long)d->data_bytes, SECTOR);
	for (uint64_t at = 0; r == 0 && at < n;) {
		/* The last block by itself: a board that leaves in the middle of others has not got all. */
		uint64_t left = n - at > SECTOR ? n - at - SECTOR : SECTOR;
		size_t k = (size_t)MIN(left, (uint64_t)STEP_BYTES);

		r = iotime_check(it, e);
		if (r < 0)
			return r;
		memcpy(buf, bytes + at, k);
		r = p->write(p->data, d->data_at + at, buf, k, e);
		at += k;
		/* With its last block it may leave before the command ends. */
		*ret_left = r == -ERR_DEVICE_GONE && at == n;
		teller_progress(tell, "write", at, n);
	}
	if (r == 0) {
		r = p->flush(p->data, e);
		*ret_left = r == -ERR_DEVICE_GONE;
	}
	if (*ret_left)
		return 0;
	return r;
}
