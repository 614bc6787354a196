/* SPDX-License-Identifier: Apache-2.0
 *
 * MCUmgr's Simple Management Protocol over a serial console (Zephyr, "SMP Protocol Specification" and "SMP Transport
 * Specification"). One object per device, on the worker that owns the link.
 *
 *	packet	op and version, flags, length(2), group(2), sequence, command, CBOR		big-endian
 *	lines	06 09 base64(length(2) packet.. ) LF, then 04 14 base64(..) LF, the last with CRC-16 (XMODEM) of the packet
 *
 * Other lines on the console are passed over. A request has a sequence number and its answer the same: an answer with another
 * one, of an earlier request or doubled, is passed over too. So a request may be sent again, where doing it twice is doing it
 * once: reads, a block of an upload (the unit says the offset that it wants next), the choice of an image. A reset is sent once.
 *
 * What is believed is the list of images, asked for afterwards. The list says the hash that a slot's trailer has; that the
 * code agrees with it MCUboot looks at before it starts the image. So an upload is proved by a reset, after which the image
 * of that hash is the active one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/teller.h"
#include "base/util.h"
#include "transports/links/link.h"

#define SMP_LINE_BYTES	  127 /* of one line, with marker and LF */
#define SMP_PACKET_MAX	  4096
#define SMP_MTU_DEFAULT	  256 /* bytes of a packet that every server takes */
#define SMP_MTU_MIN	  128
#define SMP_IMAGES_MAX	  16
#define SMP_HASH_MAX	  64
#define SMP_VERSION_BYTES 32

struct smp_opts {
	unsigned version;   /* 1 or 2: how errors are told */
	unsigned attempts;  /* at a request that is not answered */
	uint64_t answer_us; /* for an answer, in addition to its time on the wire */
	uint64_t
		erase_us; /* for that to the first block of an upload, before which the slot is erased */
	uint32_t
		mtu; /* 0: what the unit says that it takes, or SMP_MTU_DEFAULT where it does not */
};
#define SMP_OPTS_DEFAULT                   \
	((struct smp_opts){.version = 2,   \
		.attempts = 3,             \
		.answer_us = 2 * US_PER_S, \
		.erase_us = 60 * US_PER_S})

struct smp_image {
	unsigned image, slot;
	char version[SMP_VERSION_BYTES];
	uint8_t hash[SMP_HASH_MAX];
	size_t hash_bytes; /* 0: it does not say */
	bool bootable, pending, confirmed, active, permanent;
};

struct smp_images {
	struct smp_image list[SMP_IMAGES_MAX];
	size_t n;
};

struct smp;

/* Copies opts and tell, borrows the link. */
struct smp *smp_new(struct link *l, const struct smp_opts *o, const struct teller *tell);
/* The link lives: where an answer is missing, its turn is lost (links/link.h). */
struct smp *smp_free(struct smp *s);
DEFINE_CLEANUP(struct smp, smp_free)

/* Everything below: -ERR_TIMEOUT without an answer, -ERR_PROTOCOL where it is not one, -ERR_DEVICE_REFUSED with the unit's
 * reason, -ERR_UNSUPPORTED where the unit does not have the command. */

/* The unit gives the text back: -ERR_UNEXPECTED_REPLY where it gives another. */
int smp_echo(struct smp *s, const char *text, const struct iotime *it, struct err *e);
int smp_list(struct smp *s, struct smp_images *ret, const struct iotime *it, struct err *e);
/* The image of that hash is to be started at the next reset, for a test or (confirm) for good; of the running one confirm
 * keeps it. ret is the list then. */
int smp_select(struct smp *s, const uint8_t *hash, size_t n, bool confirm, struct smp_images *ret,
	const struct iotime *it, struct err *e);
/* 0 says that the unit acknowledged, or did not answer any more: look whether it came back. */
int smp_reset(struct smp *s, const struct iotime *it, struct err *e);

struct smp_upload {
	unsigned image; /* of a unit with several */
	bool upgrade;	/* the unit refuses a version that is not higher */
	const char *name;
	const uint8_t *data;
	uint32_t bytes;
};
struct smp_uploaded {
	uint32_t resumed_at;	/* where the unit had an earlier upload of the same file; 0: none */
	uint32_t blocks, again; /* of them sent a second time, or where the unit went back */
};
/* 0 where the unit has taken the last byte. What it took counts by smp_list(). */
int smp_upload(struct smp *s, const struct smp_upload *u, struct smp_uploaded *ret,
	const struct iotime *it, struct err *e);

/* NULL: none of that hash. */
const struct smp_image *smp_find(const struct smp_images *l, const uint8_t *hash, size_t n);
const struct smp_image *smp_active(const struct smp_images *l, unsigned image);
