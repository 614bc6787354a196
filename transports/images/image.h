/* SPDX-License-Identifier: Apache-2.0
 *
 * A firmware file as segments of bytes with addresses. Immutable once opened and shared between
 * workers by reference count. The bytes are a private read-only copy, taken in one pass with the
 * digest: a file that is rewritten or truncated later changes nothing here, and what is flashed is
 * what the digest says.
 *
 * Every format becomes the same model: segments sorted by address, without overlap, without a gap
 * filled. A file that breaks its format is refused with the offset (or line) and the reason; what
 * is merely odd is a note. Formats that hold no addresses (raw binaries, plain DFU files) need one
 * from the caller; those that hold them refuse another.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/util.h"

#define IMAGE_MAX_BYTES	   (64ull * 1024 * 1024)
#define IMAGE_MAX_SEGMENTS 65536
#define IMAGE_NO_ADDRESS   UINT64_MAX

enum image_format {
	IMAGE_BIN,
	IMAGE_ELF,
	IMAGE_IHEX,
	IMAGE_SREC,
	IMAGE_UF2,
	IMAGE_DFU, /* any payload with a DFU suffix, and DfuSe containers */
	IMAGE_SPARSE,
	IMAGE_BOOTIMG,
	IMAGE_ZIP,
	IMAGE_ANY /* of options alone: as the content says */
};

struct image_segment {
	uint64_t address;
	uint64_t len;
	const uint8_t *data; /* lives as long as the image */
	uint8_t target;	     /* DfuSe: the alternate setting; else 0 */
};

/* Where the file may go: what the caller knows of the target. */
struct image_opts {
	uint64_t address;	  /* of a format without addresses; IMAGE_NO_ADDRESS: none */
	enum image_format format; /* IMAGE_ANY, or what the content has to be */
	uint32_t uf2_family;	  /* of a UF2 file that holds several; 0: the only one */
	uint16_t elf_machine;	  /* e_machine that an ELF file must be for; 0: any */
};
#define IMAGE_OPTS(addr) ((struct image_opts){.address = (addr), .format = IMAGE_ANY})

#define IMAGE_NOTES_MAX 8

struct image {
	int refs; /* atomic; use image_ref and image_unref */
	enum image_format format;
	char *path;		  /* for messages */
	char sha256[SHA256_HEX];  /* of the file */
	char payload[SHA256_HEX]; /* of address (u64 LE), length (u64 LE) and bytes of each segment,
				     adjacent ones joined: equal for the same content in any format
				   */
	uint64_t bytes;		  /* of all segments */
	struct image_segment *segments; /* sorted by target and address, without overlap */
	size_t count;
	bool has_entry;
	uint64_t entry;
	bool has_dfu_ids;		       /* a DFU suffix: 0xffff fits any */
	uint16_t dfu_vid, dfu_pid, dfu_device; /* bcdDevice */
	char *note[IMAGE_NOTES_MAX];	       /* odd, but allowed: to be said in the record */
	size_t notes;
	void *map;
	size_t map_len;
	void *owned; /* bytes of decoded formats */
};

const char *image_format_name(enum image_format f);
/* "bin", "elf", "ihex", ...: as recipes write it; -1 if there is none of that name. */
int image_format_from_str(const char *s);
/* What the content of a file looks like; IMAGE_BIN where it looks like nothing known. */
enum image_format image_detect(const void *bytes, size_t n);

/* Reads and checks a file. -ERR_IMAGE_INVALID for an empty, malformed or over-long file, or another
 * format than asked for; -ERR_IMAGE_RANGE where it does not fit the address space, or spans far
 * more than it holds; -ERR_INVALID for a missing or superfluous address; -ERR_NOT_FOUND without
 * the file. Formats that are no firmware of addresses (sparse, boot images, archives) are refused:
 * see blob.h. */
int image_open(const char *path, const struct image_opts *o, struct image **ret, struct err *e);
/* The same from memory (tests, fuzzers); bytes are copied. */
int image_parse(const char *name, const void *bytes, size_t n, const struct image_opts *o,
	struct image **ret, struct err *e);
struct image *image_ref(struct image *i);
struct image *image_unref(struct image *i); /* takes NULL, returns NULL */
DEFINE_CLEANUP(struct image, image_unref)

/* 0 where every segment lies in [base, base + size): else -ERR_IMAGE_RANGE, naming the first byte
 * outside. */
int image_check_range(const struct image *i, uint64_t base, uint64_t size, struct err *e);
/* Copies [address, address + n) of the image over buf, which holds what the target keeps there
 * (the erased value, or what was read): how pages and write units are filled. Returns how many
 * bytes came from the image. */
uint64_t image_read(const struct image *i, uint8_t target, uint64_t address, void *buf, size_t n);
/* The next address at or above `from` that the image holds, false where there is none. */
bool image_next(const struct image *i, uint8_t target, uint64_t from, uint64_t *ret);
