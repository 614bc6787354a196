/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scsi_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim/gadget.h"

#define CBW_BYTES    31
#define CSW_BYTES    13
#define CBW_MAGIC    0x43425355u
#define CSW_MAGIC    0x53425355u
#define DIRECTION_IN 0x80
#define REPLY_MAX    64

/* SPC-4, SBC-3: operation codes. */
enum {
	TEST_UNIT_READY = 0x00,
	REQUEST_SENSE = 0x03,
	INQUIRY = 0x12,
	MODE_SENSE_6 = 0x1a,
	START_STOP = 0x1b,
	PREVENT_REMOVAL = 0x1e,
	READ_CAPACITY_10 = 0x25,
	READ_10 = 0x28,
	WRITE_10 = 0x2a,
	SYNCHRONIZE_CACHE_10 = 0x35
};

/* Sense keys, with their additional codes. */
enum { NOT_READY = 2, MEDIUM_ERROR = 3, ILLEGAL_REQUEST = 5 };
#define NO_MEDIUM    0x3a
#define UNRECOVERED  0x11
#define BAD_OPCODE   0x20
#define OUT_OF_RANGE 0x21
#define CACHE_PAGE   0x08
#define WRITE_CACHE  0x04

struct scsi_disk {
	const struct scsi_disk_ops *ops;
	void *data;
	int fd;
	uint64_t bytes, writes, syncs;
	char model[17];
	/* The transport: */
	uint32_t tag, expected, residue;
	uint8_t status;
	bool owes_status;
	uint8_t sense, sense_code;
	uint8_t reply[REPLY_MAX];
	size_t reply_n;
	bool replies;
	uint64_t at;   /* of READ and WRITE */
	uint32_t left; /* bytes of the data phase */
	bool reads, writes_on, discards;
};

static int open_content(struct scsi_disk *d, const char *path, struct err *e)
{
	d->fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644)
		     : memfd_create("disk", MFD_CLOEXEC);
	if (d->fd < 0 || ftruncate(d->fd, (off_t)d->bytes) < 0)
		return err_errno(e, ERR_IO, errno, "%s", path ? path : "memory of a disk");
	return 0;
}

int scsi_disk_new(const char *path, uint64_t bytes, const char *model,
	const struct scsi_disk_ops *ops, void *data, struct scsi_disk **ret, struct err *e)
{
	_cleanup_(scsi_disk_freep) struct scsi_disk *d = xcalloc(1, sizeof *d);
	int r;

	d->ops = ops;
	d->data = data;
	d->bytes = bytes / SCSI_BLOCK * SCSI_BLOCK;
	snprintf(d->model, sizeof d->model, "%-16.16s", model);
	r = open_content(d, path, e);
	if (r == 0)
		*ret = steal_ptr(&d);
	return r;
}

struct scsi_disk *scsi_disk_free(struct scsi_disk *d)
{
	if (d) {
		if (d->fd >= 0)
			close(d->fd);
		free(d);
	}
	return NULL;
}

void scsi_disk_describe(
	struct wbytes *w, uint8_t interface, uint8_t ep_in, uint8_t ep_out, uint16_t packet)
{
	const uint8_t eps[] = {ep_in, ep_out};

	wb_put(w, (const uint8_t[]){9, 4, interface, 0, 2, 8, 6, 0x50, 0}, 9);
	for (int i = 0; i < 2; i++) {
		wb_put(w, (const uint8_t[]){7, 5, eps[i], 2}, 4);
		wb_le16(w, packet);
		wb_u8(w, 0);
	}
}

void scsi_disk_reset(struct scsi_disk *d)
{
	d->owes_status = d->replies = d->reads = d->writes_on = d->discards = false;
	d->left = 0;
}

int scsi_disk_control(struct scsi_disk *d, const uint8_t setup[8], uint8_t *data, size_t size)
{
	if (setup[0] == 0xa1 && setup[1] == 0xfe && size) { /* GET MAX LUN */
		data[0] = 0;
		return 1;
	}
	if (setup[0] == 0x21 && setup[1] == 0xff) { /* BULK-ONLY RESET */
		scsi_disk_reset(d);
		return 0;
	}
	return GADGET_STALL;
}

/* -- commands -- */

static void fail(struct scsi_disk *d, uint8_t sense, uint8_t code)
{
	d->status = 1;
	d->sense = sense;
	d->sense_code = code;
}

static struct wbytes reply_of(struct scsi_disk *d)
{
	memset(d->reply, 0, sizeof d->reply);
	d->replies = true;
	return wbytes_of(d->reply, sizeof d->reply);
}

static void inquiry(struct scsi_disk *d)
{
	struct wbytes w = reply_of(d);

	wb_put(&w, (const uint8_t[]){0, 0x80, 4, 2, 31, 0, 0, 0}, 8);
	wb_put(&w, "provsim ", 8);
	wb_put(&w, d->model, 16);
	wb_put(&w, "1.0 ", 4);
	d->reply_n = w.len;
}

static void request_sense(struct scsi_disk *d)
{
	struct wbytes w = reply_of(d);

	wb_put(&w,
		(const uint8_t[]){0x70, 0, d->sense, 0, 0, 0, 0, 10, 0, 0, 0, 0, d->sense_code, 0,
			0, 0, 0, 0},
		18);
	d->reply_n = w.len;
	d->sense = d->sense_code = 0;
}

/* With a write cache, so that a host that wants to be sure has to have it written out. */
static void mode_sense(struct scsi_disk *d)
{
	struct wbytes w = reply_of(d);

	wb_put(&w, (const uint8_t[]){23, 0, 0, 0, CACHE_PAGE, 0x12, WRITE_CACHE}, 7);
	wb_fill(&w, 0, 17);
	d->reply_n = w.len;
}

static void read_capacity(struct scsi_disk *d)
{
	struct wbytes w = reply_of(d);

	wb_be32(&w, (uint32_t)(d->bytes / SCSI_BLOCK - 1));
	wb_be32(&w, SCSI_BLOCK);
	d->reply_n = w.len;
}

static void begin_data(struct scsi_disk *d, const uint8_t cb[16], bool in)
{
	struct rbytes b = rbytes_of(cb + 2, 7);
	uint64_t at = (uint64_t)rb_be32(&b) * SCSI_BLOCK;
	uint32_t n = (rb_u8(&b), rb_be16(&b) * SCSI_BLOCK);

	if (at > d->bytes || n > d->bytes - at) {
		fail(d, ILLEGAL_REQUEST, OUT_OF_RANGE);
		return;
	}
	d->at = at;
	d->left = MIN(n, d->expected);
	d->reads = in && d->left;
	d->writes_on = !in && d->left;
	d->writes += !in;
}

static void carry_out(struct scsi_disk *d, const uint8_t cb[16])
{
	bool asks_medium = cb[0] != INQUIRY && cb[0] != REQUEST_SENSE;

	if (asks_medium && !d->bytes) {
		fail(d, NOT_READY, NO_MEDIUM);
		return;
	}
	switch (cb[0]) {
	case TEST_UNIT_READY:
	case START_STOP:
	case PREVENT_REMOVAL:
		break;
	case SYNCHRONIZE_CACHE_10:
		d->syncs++;
		break;
	case INQUIRY:
		if (cb[1] & 1)
			fail(d, ILLEGAL_REQUEST, 0x24); /* no vital product data */
		else
			inquiry(d);
		break;
	case REQUEST_SENSE:
		request_sense(d);
		break;
	case MODE_SENSE_6:
		mode_sense(d);
		break;
	case READ_CAPACITY_10:
		read_capacity(d);
		break;
	case READ_10:
	case WRITE_10:
		begin_data(d, cb, cb[0] == READ_10);
		break;
	default:
		fail(d, ILLEGAL_REQUEST, BAD_OPCODE);
		break;
	}
}

static int command(struct scsi_disk *d, const uint8_t *p, size_t n)
{
	struct rbytes b = rbytes_of(p, n);
	uint32_t magic = rb_le32(&b);
	uint8_t flags;

	d->tag = rb_le32(&b);
	d->expected = d->residue = rb_le32(&b);
	flags = rb_u8(&b);
	rb_le16(&b); /* LUN, length of the command */

	const uint8_t *cb = rb_take(&b, 16);

	if (n != CBW_BYTES || magic != CBW_MAGIC || !cb)
		return GADGET_STALL;
	d->status = 0;
	d->replies = d->reads = d->writes_on = d->discards = false;
	carry_out(d, cb);
	/* What the host sends of a command that was refused. */
	if (!(flags & DIRECTION_IN) && d->expected && !d->writes_on) {
		d->discards = true;
		d->left = d->expected;
	}
	/* What it waits for, and gets as an empty packet. */
	if (flags & DIRECTION_IN && d->expected && !d->replies && !d->reads) {
		d->replies = true;
		d->reply_n = 0;
	}
	d->owes_status = true;
	return 0;
}

/* -- data -- */

static void write_some(struct scsi_disk *d, const uint8_t *p, size_t n)
{
	_cleanup_(freep) uint8_t *copy = malloc(n);

	if (!copy)
		abort();
	memcpy(copy, p, n);
	if (d->ops && d->ops->writes && !d->ops->writes(d->data, d->at, copy, n))
		return;
	if (pwrite(d->fd, copy, n, (off_t)d->at) != (ssize_t)n)
		fail(d, MEDIUM_ERROR, UNRECOVERED);
}

int scsi_disk_out(struct scsi_disk *d, const uint8_t *p, size_t n)
{
	size_t k = MIN(n, (size_t)d->left);

	if (!d->writes_on && !d->discards)
		return d->owes_status ? GADGET_NAK : command(d, p, n);
	if (d->writes_on && k)
		write_some(d, p, k);
	d->at += k;
	d->left -= (uint32_t)k;
	d->residue -= d->writes_on ? (uint32_t)k : 0;
	if (!d->left)
		d->writes_on = d->discards = false;
	return 0;
}

static ssize_t read_some(struct scsi_disk *d, uint8_t *buf, size_t size)
{
	size_t n = MIN(size, (size_t)d->left);

	memset(buf, 0, n);
	if (scsi_disk_read(d, d->at, buf, n) < 0 ||
		(d->ops && d->ops->reads && !d->ops->reads(d->data, d->at, buf, n))) {
		fail(d, MEDIUM_ERROR, UNRECOVERED);
		d->left = 0;
		d->reads = false;
		return 0;
	}
	d->at += n;
	d->left -= (uint32_t)n;
	d->residue -= (uint32_t)n;
	d->reads = d->left > 0;
	return (ssize_t)n;
}

ssize_t scsi_disk_in(struct scsi_disk *d, uint8_t *buf, size_t size)
{
	struct wbytes w = wbytes_of(buf, size);

	if (d->reads)
		return read_some(d, buf, size);
	if (d->replies) {
		size_t n = MIN(MIN(size, d->reply_n), (size_t)d->expected);

		memcpy(buf, d->reply, n);
		d->residue -= (uint32_t)n;
		d->replies = false;
		return (ssize_t)n;
	}
	if (!d->owes_status || d->writes_on || d->discards)
		return GADGET_NAK;
	wb_le32(&w, CSW_MAGIC);
	wb_le32(&w, d->tag);
	wb_le32(&w, d->residue);
	wb_u8(&w, d->status);
	d->owes_status = false;
	return (ssize_t)w.len;
}

/* -- for its owner -- */

uint64_t scsi_disk_bytes(const struct scsi_disk *d)
{
	return d->bytes;
}

void scsi_disk_resize(struct scsi_disk *d, uint64_t bytes)
{
	d->bytes = bytes / SCSI_BLOCK * SCSI_BLOCK;
	if (ftruncate(d->fd, (off_t)d->bytes) < 0)
		d->bytes = 0;
}

int scsi_disk_read(struct scsi_disk *d, uint64_t offset, void *buf, size_t n)
{
	return pread(d->fd, buf, n, (off_t)offset) == (ssize_t)n ? 0 : -1;
}

void scsi_disk_put(struct scsi_disk *d, uint64_t offset, const void *bytes, size_t n)
{
	if (pwrite(d->fd, bytes, n, (off_t)offset) != (ssize_t)n)
		d->bytes = 0;
}

uint64_t scsi_disk_writes(const struct scsi_disk *d)
{
	return d->writes;
}

uint64_t scsi_disk_syncs(const struct scsi_disk *d)
{
	return d->syncs;
}
