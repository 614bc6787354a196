/* SPDX-License-Identifier: Apache-2.0
 *
 * The file system of a drive of a UF2 bootloader: the input is the disk, and FF after its end. What is found lies on the disk, and what is
 * written into the data area alone.
 */
#include "tests/fuzz/fuzz.h"

#include "transports/protocols/disk/uf2_drive.h"

#define DISK_BYTES (1u << 20)

struct disk {
	const uint8_t *bytes;
	size_t n;
	uint64_t low;
};

static int in(void *data, uint64_t offset, void *buf, size_t n, struct err *e)
{
	const struct disk *d = data;

	if (offset % 512 || n % 512)
		abort();
	if (offset > DISK_BYTES || n > DISK_BYTES - offset)
		return err_set(e, ERR_IO, "beyond the end");
	memset(buf, 0xff, n);
	if (offset < d->n)
		memcpy(buf, d->bytes + offset, MIN(n, d->n - offset));
	return 0;
}

static int out(void *data, uint64_t offset, const void *buf, size_t n, struct err *e)
{
	const struct disk *d = data;

	if (offset < d->low || offset > DISK_BYTES || n > DISK_BYTES - offset)
		abort();
	return 0;
}

static int fine(void *data, struct err *e)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const uint8_t blocks[4 * 512];
	struct disk d = {bytes, n, 0};
	const struct disk_port port = {&d, DISK_BYTES, 512, in, out, fine, fine};
	struct iotime it = {NO_DEADLINE, NULL};
	struct uf2_drive drive;
	struct err e = {0};
	bool left;
	int r = uf2_drive_look(&port, &drive, &e);

	if (r == 0) {
		if (strlen(drive.board_id) >= UF2_INFO_BYTES || drive.data_at < 512 ||
			drive.data_at + drive.data_bytes > DISK_BYTES)
			abort();
		d.low = drive.data_at;
		r = uf2_drive_write(&port, &drive, blocks, sizeof blocks, &left, NULL, &it, &e);
	}
	if (r < 0 && !e.msg[0])
		abort();
	return 0;
}
