/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of units: which disk a port has, by a sysfs of the test's; who uses it; and images onto a disk that is memory.
 */
#include "transports/links/disk.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/strbuf.h"
#include "tests/unit/unit.h"
#include "transports/protocols/disk/disk_image.h"
#include "transports/protocols/disk/uf2_drive.h"

#define MIB (1u << 20)

static struct err e;
static struct iotime soon;
static char dir[64];

/* -- a sysfs -- */

static void put(const char *path, const char *text)
{
	_cleanup_(freep) char *whole = xasprintf("%s/%s", dir, path);
	_cleanup_(freep) char *parents = xasprintf("mkdir -p $(dirname '%s')", whole);
	FILE *f;

	ck_assert_int_eq(system(parents), 0);
	f = fopen(whole, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

static void put_in(const char *disk, const char *name, const char *text)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", disk, name);

	put(path, text);
}

/* A disk of a port, as the kernel lays it out. where: "usb1/1-1/1-1.4/1-1.4:1.0/host6/target6:0:0/6:0:0:0". */
static void add_disk(const char *name, const char *where, const char *sectors, const char *dev)
{
	_cleanup_(freep) char *disk = xasprintf("devices/pci0/%s/block/%s", where, name);
	_cleanup_(freep) char *target = xasprintf("../../devices/pci0/%s/block/%s", where, name);
	_cleanup_(freep) char *link = xasprintf("%s/class/block/%s", dir, name);

	put("class/block/.keep", "");
	put_in(disk, "size", sectors);
	put_in(disk, "dev", dev);
	put_in(disk, "diskseq", "12");
	put_in(disk, "queue/logical_block_size", "512");
	put_in(disk, "device/model", "UMS disk 0      ");
	ck_assert_int_eq(symlink(target, link), 0);
}

static void add_partition(const char *disk, const char *where, const char *name, const char *dev)
{
	_cleanup_(freep) char *path = xasprintf("devices/pci0/%s/block/%s/%s", where, disk, name);
	_cleanup_(freep) char *target = xasprintf("../../%s", path);
	_cleanup_(freep) char *link = xasprintf("%s/class/block/%s", dir, name);

	put_in(path, "partition", "1");
	put_in(path, "size", "100");
	put_in(path, "dev", dev);
	ck_assert_int_eq(symlink(target, link), 0);
}

#define UNIT  "usb1/1-1/1-1.4/1-1.4:1.0/host6/target6:0:0/6:0:0:0"
#define OTHER "usb1/1-1/1-1.4/1-1.4.2/1-1.4.2:1.0/host7/target7:0:0/7:0:0:0"
#define HOST  "0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0"

static void setup(void)
{
	soon = (struct iotime){now_us() + 60 * US_PER_S, NULL};
	snprintf(dir, sizeof dir, "/tmp/test_disk.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	_cleanup_(freep) char *clean = xasprintf("rm -rf '%s'", dir);

	ck_assert_int_eq(system(clean), 0);
}

START_TEST(a_disk_is_found_by_the_port_alone)
{
	struct disk_facts f;

	add_disk("sda", HOST, "1000000", "8:0");
	add_disk("sdb", UNIT, "15269888", "8:16");
	add_disk("sdc", OTHER, "2048", "8:32");
	add_partition("sdb", UNIT, "sdb1", "8:17");
	ck_assert_msg(disk_look(dir, "1-1.4", -1, &f, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(f.node, "/dev/sdb");
	ck_assert_str_eq(f.model, "UMS disk 0");
	ck_assert_uint_eq(f.bytes, 15269888ull * 512);
	ck_assert_uint_eq(f.seq, 12);
	ck_assert(f.dev == makedev(8, 16));
	/* A disk further out, and a disk of the host, are of no port in between. */
	ck_assert_int_eq(disk_look(dir, "1-1", -1, &f, &e), -ERR_NOT_FOUND);
	ck_assert_int_eq(disk_look(dir, "1-1.4.2", -1, &f, &e), 0);
	ck_assert_str_eq(f.node, "/dev/sdc");
	ck_assert_int_eq(disk_look(dir, "1-1.5", -1, &f, &e), -ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(e.msg, "usb:1-1.5"));
}
END_TEST

START_TEST(of_several_disks_the_recipe_says_which)
{
	struct disk_facts f;

	add_disk("sdb", UNIT, "1000", "8:16");
	add_disk("sdc", "usb1/1-1/1-1.4/1-1.4:1.0/host6/target6:0:0/6:0:0:1", "2000", "8:32");
	ck_assert_int_eq(disk_look(dir, "1-1.4", -1, &f, &e), -ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(e.msg, "'lun'"));
	ck_assert_int_eq(disk_look(dir, "1-1.4", 1, &f, &e), 0);
	ck_assert_str_eq(f.node, "/dev/sdc");
	ck_assert_int_eq(disk_look(dir, "1-1.4", 2, &f, &e), -ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_reader_without_a_card_is_no_disk)
{
	struct disk_facts f;

	add_disk("sdb", UNIT, "0", "8:16");
	ck_assert_int_eq(disk_look(dir, "1-1.4", -1, &f, &e), -ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(e.msg, "medium"));
}
END_TEST

START_TEST(what_the_machine_uses_is_refused)
{
	static const char root[] = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
	static const char part[] = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
				   "40 22 8:17 / /media/card rw - vfat /dev/sdb1 rw\n";
	static const char whole[] = "40 22 8:16 / /mnt rw - vfat /dev/sdb rw\n";
	struct disk_facts f;

	add_disk("sdb", UNIT, "1000", "8:16");
	add_partition("sdb", UNIT, "sdb1", "8:17");
	ck_assert_int_eq(disk_look(dir, "1-1.4", -1, &f, &e), 0);
	ck_assert_msg(disk_check_free(dir, &f, root, &e) == 0, "%s", e.msg);
	ck_assert_int_eq(disk_check_free(dir, &f, part, &e), -ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.msg, "/media/card"));
	ck_assert_int_eq(disk_check_free(dir, &f, whole, &e), -ERR_BUSY);
	put("devices/pci0/" UNIT "/block/sdb/sdb1/holders/dm-0", "");
	ck_assert_int_eq(disk_check_free(dir, &f, root, &e), -ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.msg, "dm-0"));
}
END_TEST

/* -- a disk of memory -- */

struct memory {
	uint8_t *cell;
	uint64_t bytes;
	unsigned writes, flushes, reads;
	unsigned gone_at; /* at that write it is another disk; 0: never */
	bool gone;
	int64_t weak; /* the byte that does not take what is written; -1 */
	struct cancel *fires;
};

static struct memory m;
static struct disk_port port;

static int read_cells(void *data, uint64_t offset, void *buf, size_t n, struct err *err)
{
	ck_assert(offset % port.sector_bytes == 0 && n % port.sector_bytes == 0);
	ck_assert_uint_eq((uintptr_t)buf % port.sector_bytes, 0);
	if (m.gone)
		return err_set(err, ERR_DEVICE_GONE, "gone");
	m.reads++;
	ck_assert_uint_le(offset + n, m.bytes);
	memcpy(buf, m.cell + offset, n);
	return 0;
}

static int write_cells(void *data, uint64_t offset, const void *buf, size_t n, struct err *err)
{
	ck_assert(offset % port.sector_bytes == 0 && n % port.sector_bytes == 0);
	m.writes++;
	if (m.fires && m.writes == 2)
		cancel_fire(m.fires, ERR_ABORTED);
	m.gone |= m.gone_at && m.writes >= m.gone_at;
	if (m.gone)
		return err_set(err, ERR_DEVICE_GONE, "gone");
	ck_assert_uint_le(offset + n, m.bytes);
	memcpy(m.cell + offset, buf, n);
	if (m.weak >= (int64_t)offset && m.weak < (int64_t)(offset + n))
		m.cell[m.weak] ^= 1;
	return 0;
}

static int flush_cells(void *data, struct err *err)
{
	m.flushes++;
	return 0;
}

static int same_disk(void *data, struct err *err)
{
	return m.gone ? err_set(err, ERR_DEVICE_GONE, "gone") : 0;
}

static void disk_of(uint64_t bytes, uint32_t sector)
{
	free(m.cell);
	m = (struct memory){.cell = malloc(bytes), .bytes = bytes, .weak = -1};
	memset(m.cell, 0xa5, bytes);
	port = (struct disk_port){
		&m, bytes, sector, read_cells, write_cells, flush_cells, same_disk};
}

static struct blob *blob_of(size_t n)
{
	struct blob *b = NULL;
	uint8_t *p;

	ck_assert_int_eq(blob_new("disk.img", n, &p, &b, &e), 0);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)((i * 2654435761u) >> 13);
	blob_seal(b);
	return b;
}

START_TEST(a_raw_image_is_written_and_read_back)
{
	static const uint32_t sectors[] = {512, 4096};

	for (int k = 0; k < 2; k++) {
		struct blob *b = blob_of(3 * MIB + 777);
		struct disk_image *i = NULL;
		struct disk_result res;

		disk_of(5 * MIB, sectors[k]);
		ck_assert_int_eq(disk_image_of("disk.img", b, NULL, &i, &e), 0);
		ck_assert_msg(disk_image_write(&port, i, NULL, &res, &soon, &e) == 0, "%s", e.msg);
		ck_assert_str_eq(res.sha256_read, blob_sha256(b));
		ck_assert_str_eq(res.sha256_written, blob_sha256(b));
		ck_assert_mem_eq(m.cell, b->data, b->size);
		/* What shares a sector with its end keeps its bytes. */
		ck_assert_uint_eq(m.cell[b->size], 0xa5);
		ck_assert_int_eq(
			memcmp(m.cell + b->size, m.cell + b->size + 1, 5 * MIB - b->size - 1), 0);
		ck_assert_uint_ge(m.flushes, 2);
		disk_image_free(i);
		blob_unref(b);
	}
}
END_TEST

START_TEST(an_interrupted_disk_has_no_beginning)
{
	static const uint8_t none[4096];
	struct blob *b = blob_of(4 * MIB);
	struct disk_image *i = NULL;
	struct disk_result res;

	ck_assert_int_eq(disk_image_of("disk.img", b, NULL, &i, &e), 0);
	for (unsigned at = 2; at <= 5; at++) {
		disk_of(4 * MIB, 512);
		m.gone_at = at;
		ck_assert_int_eq(
			disk_image_write(&port, i, NULL, &res, &soon, &e), -ERR_DEVICE_GONE);
		ck_assert_mem_eq(m.cell, none, sizeof none);
	}
	disk_image_free(i);
	blob_unref(b);
}
END_TEST

START_TEST(a_byte_that_is_otherwise_is_no_pass)
{
	struct blob *b = blob_of(3 * MIB);
	struct disk_image *i = NULL;
	struct disk_result res;

	ck_assert_int_eq(disk_image_of("disk.img", b, NULL, &i, &e), 0);
	disk_of(4 * MIB, 512);
	m.weak = 2 * MIB + 5;
	ck_assert_int_eq(disk_image_write(&port, i, NULL, &res, &soon, &e), -ERR_VERIFY_MISMATCH);
	ck_assert_ptr_nonnull(strstr(e.msg, "byte 2097157"));
	/* And verify alone writes nothing. */
	m.writes = 0;
	ck_assert_int_eq(disk_image_verify(&port, i, NULL, &res, &soon, &e), -ERR_VERIFY_MISMATCH);
	m.cell[2 * MIB + 5] ^= 1;
	ck_assert_msg(disk_image_verify(&port, i, NULL, &res, &soon, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(m.writes, 0);
	disk_image_free(i);
	blob_unref(b);
}
END_TEST

START_TEST(an_image_that_does_not_fit_writes_nothing)
{
	struct blob *b = blob_of(3 * MIB);
	struct disk_image *i = NULL;
	struct disk_result res;

	ck_assert_int_eq(disk_image_of("disk.img", b, NULL, &i, &e), 0);
	disk_of(3 * MIB - 512, 512);
	ck_assert_int_eq(disk_image_write(&port, i, NULL, &res, &soon, &e), -ERR_IMAGE_RANGE);
	ck_assert_uint_eq(m.writes, 0);
	disk_image_free(i);
	blob_unref(b);
}
END_TEST

START_TEST(a_cancel_ends_it_between_two_steps)
{
	struct blob *b = blob_of(8 * MIB);
	struct disk_image *i = NULL;
	struct disk_result res;
	struct cancel c;

	ck_assert_int_eq(cancel_init(&c, &e), 0);
	ck_assert_int_eq(disk_image_of("disk.img", b, NULL, &i, &e), 0);
	disk_of(8 * MIB, 512);
	m.fires = &c;
	soon.cancel = &c;
	ck_assert_int_eq(disk_image_write(&port, i, NULL, &res, &soon, &e), -ERR_ABORTED);
	ck_assert_uint_eq(m.writes, 2);
	cancel_done(&c);
	disk_image_free(i);
	blob_unref(b);
}
END_TEST

/* -- maps -- */

static struct bmap *map_of(const struct blob *b, bool sums, bool right)
{
	struct strbuf s = {0};
	struct bmap *map = NULL;
	char one[SHA256_HEX], two[SHA256_HEX];

	sha256_hex_of(b->data + 4096, 2 * 4096, one);
	sha256_hex_of(b->data + 10 * 4096, b->size - 10 * 4096, two);
	if (!right)
		two[0] = two[0] == '0' ? '1' : '0';
	sb_addf(&s,
		"<?xml version=\"1.0\" ?>\n<bmap version=\"%s\">\n<ImageSize> %llu </ImageSize>\n"
		"<BlockSize> 4096 </BlockSize>\n<BlocksCount> 12 </BlocksCount>\n"
		"<MappedBlocksCount> 4 </MappedBlocksCount>\n",
		sums ? "1.4" : "1.2", (unsigned long long)b->size);
	sb_add(&s, sums ? "<ChecksumType> sha256 </ChecksumType>\n<BlockMap>\n" : "<BlockMap>\n");
	if (sums)
		sb_addf(&s,
			"<Range chksum=\"%s\"> 1-2 </Range>\n<Range chksum=\"%s\"> 10-11 </Range>\n",
			one, two);
	else
		sb_add(&s, "<Range> 1-2 </Range>\n<Range> 10-11 </Range>\n");
	sb_add(&s, "</BlockMap>\n");
	if (sums)
		sb_addf(&s, "<BmapFileChecksum> %064d </BmapFileChecksum>\n", 0);
	sb_add(&s, "</bmap>\n");
	/* Its own checksum is that of itself with zeros in its place. */
	if (sums) {
		char own[SHA256_HEX];

		sha256_hex_of(s.s, s.len, own);
		memcpy(strstr(s.s, "<BmapFileChecksum> ") + 19, own, SHA256_HEX - 1);
	}
	ck_assert_msg(
		bmap_read("disk.bmap", (const uint8_t *)s.s, s.len, &map, &e) == 0, "%s", e.msg);
	sb_done(&s);
	return map;
}

START_TEST(a_block_map_leaves_alone_what_it_does_not_name)
{
	struct blob *b = blob_of(11 * 4096 + 100);
	struct bmap *map = map_of(b, true, true);
	struct disk_image *i = NULL;
	struct disk_result res;

	disk_of(MIB, 512);
	ck_assert_msg(disk_image_of("disk.img", b, map, &i, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->mapped, 3 * 4096 + 100);
	ck_assert_msg(disk_image_write(&port, i, NULL, &res, &soon, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(m.cell[0], 0xa5);
	ck_assert_mem_eq(m.cell + 4096, b->data + 4096, 2 * 4096);
	ck_assert_uint_eq(m.cell[3 * 4096], 0xa5);
	ck_assert_mem_eq(m.cell + 10 * 4096, b->data + 10 * 4096, 4096 + 100);
	disk_image_free(i);
	bmap_free(map);
	blob_unref(b);
}
END_TEST

START_TEST(a_map_that_is_not_of_the_image_is_refused)
{
	struct blob *b = blob_of(11 * 4096 + 100);
	struct bmap *wrong = map_of(b, true, false);
	struct bmap *bare = map_of(b, false, true);
	struct disk_image *i = NULL;

	ck_assert_int_eq(disk_image_of("disk.img", b, wrong, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_int_eq(disk_image_of("disk.img", b, bare, &i, &e), -ERR_IMAGE_INVALID);
	ck_assert_ptr_nonnull(strstr(e.msg, "SHA-256"));
	bmap_free(wrong);
	bmap_free(bare);
	blob_unref(b);
}
END_TEST

/* Two raw blocks, one that is left alone, one filled. */
START_TEST(a_sparse_image_is_spread_on_the_way)
{
	struct strbuf s = {0};
	struct blob *b = NULL;
	struct disk_image *i = NULL;
	struct disk_result res;
	uint8_t *p;
	uint8_t head[28 + 12] = {0x3a, 0xff, 0x26, 0xed, 1, 0, 0, 0, 28, 0, 12, 0, 0, 16, 0, 0, 4,
		0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xc1, 0xca, 0, 0, 2, 0, 0, 0, 12, 32, 0, 0};
	static const uint8_t skip[12] = {0xc3, 0xca, 0, 0, 1, 0, 0, 0, 12, 0, 0, 0};
	static const uint8_t fill[16] = {
		0xc2, 0xca, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 0x11, 0x22, 0x33, 0x44};

	sb_add_n(&s, head, sizeof head);
	for (int k = 0; k < 2 * 4096; k++)
		sb_add_n(&s, &(char){(char)(k * 7)}, 1);
	sb_add_n(&s, skip, sizeof skip);
	sb_add_n(&s, fill, sizeof fill);
	ck_assert_int_eq(blob_new("disk.simg", s.len, &p, &b, &e), 0);
	memcpy(p, s.s, s.len);
	blob_seal(b);
	disk_of(64 * 1024, 512);
	ck_assert_msg(disk_image_of("disk.simg", b, NULL, &i, &e) == 0, "%s", e.msg);
	ck_assert_uint_eq(i->bytes, 4 * 4096);
	ck_assert_msg(disk_image_write(&port, i, NULL, &res, &soon, &e) == 0, "%s", e.msg);
	for (int k = 0; k < 2 * 4096; k++)
		ck_assert_uint_eq(m.cell[k], (uint8_t)(k * 7));
	ck_assert_uint_eq(m.cell[2 * 4096], 0xa5);
	ck_assert_mem_eq(m.cell + 3 * 4096, "\x11\x22\x33\x44\x11", 5);
	ck_assert_uint_eq(m.cell[4 * 4096], 0xa5);
	disk_image_free(i);
	blob_unref(b);
	sb_done(&s);
}
END_TEST

static int collect(void *data, const uint8_t *bytes, size_t n, struct err *err)
{
	sb_add_n(data, bytes, n);
	return 0;
}

START_TEST(any_bytes_of_a_disk_are_read)
{
	struct strbuf s = {0};

	disk_of(4 * MIB, 4096);
	for (size_t i = 0; i < m.bytes; i++)
		m.cell[i] = (uint8_t)(i >> 7);
	ck_assert_int_eq(disk_copy_out(&port, 5001, 2 * MIB + 3, collect, &s, NULL, &soon, &e), 0);
	ck_assert_uint_eq(s.len, 2 * MIB + 3);
	ck_assert_mem_eq(s.s, m.cell + 5001, s.len);
	ck_assert_int_eq(disk_copy_out(&port, 4 * MIB - 1, 2, collect, &s, NULL, &soon, &e),
		-ERR_IMAGE_RANGE);
	sb_done(&s);
}
END_TEST

/* -- the drive of a UF2 bootloader -- */

/* A FAT16 of 512 sectors: the root directory in sector 5, data from 6 on. */
static void drive_of(const char *info)
{
	static const uint8_t boot[24] = {0xeb, 0x3c, 0x90, 'U', 'F', '2', ' ', 'U', 'F', '2', ' ',
		0, 2, 1, 1, 0, 2, 16, 0, 0, 2, 0xf8, 2, 0};

	disk_of(256 * 1024, 512);
	memset(m.cell, 0, m.bytes);
	memcpy(m.cell, boot, sizeof boot);
	m.cell[510] = 0x55;
	m.cell[511] = 0xaa;
	memcpy(m.cell + 5 * 512, "INFO_UF2TXT", 11);
	m.cell[5 * 512 + 26] = 2;
	m.cell[5 * 512 + 28] = (uint8_t)strlen(info);
	memcpy(m.cell + 6 * 512, info, strlen(info));
}

START_TEST(a_uf2_drive_says_its_board_and_takes_blocks_as_a_copied_file_does)
{
	struct blob *b = blob_of(130 * 1024);
	struct uf2_drive d;
	bool left = true;
	uint8_t before[6 * 512];

	drive_of("UF2 Bootloader v3\r\nModel: Feather\r\nBoard-ID: SAMD51-v0\r\n");
	memcpy(before, m.cell, sizeof before);
	ck_assert_msg(uf2_drive_look(&port, &d, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(d.board_id, "SAMD51-v0");
	ck_assert_str_eq(d.model, "Feather");
	ck_assert_uint_eq(d.data_at, 6 * 512);
	ck_assert_int_eq(uf2_drive_write(&port, &d, b->data, b->size, &left, NULL, &soon, &e), 0);
	ck_assert(!left);
	ck_assert_mem_eq(m.cell, before, sizeof before);
	ck_assert_mem_eq(m.cell + 6 * 512, b->data, b->size);
	/* With its last block, which comes alone, it may leave, and with no other. */
	m.writes = 0;
	m.gone_at = 4;
	ck_assert_int_eq(uf2_drive_write(&port, &d, b->data, b->size, &left, NULL, &soon, &e), 0);
	ck_assert(left);
	for (unsigned at = 1; at < 4; at++) {
		m.gone = false;
		m.writes = 0;
		m.gone_at = at;
		ck_assert_int_eq(
			uf2_drive_write(&port, &d, b->data, b->size, &left, NULL, &soon, &e),
			-ERR_DEVICE_GONE);
		ck_assert(!left);
	}
	blob_unref(b);
}
END_TEST

START_TEST(another_disk_is_no_uf2_drive)
{
	struct uf2_drive d;

	drive_of("");
	m.cell[5 * 512] = 'X';
	ck_assert_int_eq(uf2_drive_look(&port, &d, &e), -ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.msg, "INFO_UF2.TXT"));
	drive_of("");
	m.cell[510] = 0;
	ck_assert_int_eq(uf2_drive_look(&port, &d, &e), -ERR_UNSUPPORTED);
	drive_of("");
	m.cell[5 * 512 + 27] = 0xff; /* a cluster beyond the end */
	ck_assert_int_eq(uf2_drive_look(&port, &d, &e), -ERR_UNSUPPORTED);
	drive_of("");
	/* 1 + 129 * 65028 sectors are 4 GiB and 5 sectors: in 32 bits the root is in sector 5 as before. */
	m.cell[16] = 129;
	m.cell[22] = (uint8_t)65028;
	m.cell[23] = 65028 >> 8;
	ck_assert_int_eq(uf2_drive_look(&port, &d, &e), -ERR_UNSUPPORTED);
	ck_assert_uint_eq(m.writes, 0);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("disk");
	TCase *c = tcase_create("disk");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_disk_is_found_by_the_port_alone);
	tcase_add_test(c, of_several_disks_the_recipe_says_which);
	tcase_add_test(c, a_reader_without_a_card_is_no_disk);
	tcase_add_test(c, what_the_machine_uses_is_refused);
	tcase_add_test(c, a_raw_image_is_written_and_read_back);
	tcase_add_test(c, an_interrupted_disk_has_no_beginning);
	tcase_add_test(c, a_byte_that_is_otherwise_is_no_pass);
	tcase_add_test(c, an_image_that_does_not_fit_writes_nothing);
	tcase_add_test(c, a_cancel_ends_it_between_two_steps);
	tcase_add_test(c, a_block_map_leaves_alone_what_it_does_not_name);
	tcase_add_test(c, a_map_that_is_not_of_the_image_is_refused);
	tcase_add_test(c, a_sparse_image_is_spread_on_the_way);
	tcase_add_test(c, any_bytes_of_a_disk_are_read);
	tcase_add_test(c, a_uf2_drive_says_its_board_and_takes_blocks_as_a_copied_file_does);
	tcase_add_test(c, another_disk_is_no_uf2_drive);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(suite)
