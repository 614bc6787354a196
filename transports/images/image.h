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
#include "transports/images/format.h"
#include "transports/images/packed.h"

#define IMAGE_MAX_BYTES	   (64ull * 1024 * 1024)
#define IMAGE_MAX_SEGMENTS 65536
#define IMAGE_NO_ADDRESS   UINT64_MAX

struct image_segment {
	uint64_t address;
	uint64_t len;
	const uint8_t *data; /* lives as long as the image */
	uint8_t target;	     /* DfuSe: the alternate setting; else 0 */
};

/* Where the file may go: what the caller knows of the target. */
struct image_opts {
	uint64_t address;	 /* of a format without addresses; IMAGE_NO_ADDRESS: none */
	bool address_is_default; /* what the file says itself replaces `address` */
	/* IMAGE_ANY, or what the recipe declares: the content has to be that (of a DFU file also
	 * what it holds). IMAGE_BIN: the bytes as they are, whatever else than a format with
	 * addresses they look like; IMAGE_ELF: also one with the marks of an operating system. */
	enum image_format format;
	uint32_t uf2_family;  /* of a UF2 file that holds several; 0: the only one */
	uint16_t hex_board;   /* of a universal HEX file that holds several; 0: the only one */
	bool last_wins;	      /* of different bytes for one address the later ones count */
	uint16_t elf_machine; /* e_machine that an ELF file must be for; 0: any */
	/* No target is known, the file alone is judged: no address is needed, and of several UF2
	 * families the first one is shown. */
	bool inspect;
	/* It is stored, not flashed: what a step may declare to be meant (what the gate refuses,
	 * where its name does not call it firmware; marks of a system; different bytes for one
	 * address) is a note. */
	bool for_store;
	/* The file's bytes whatever they are, without a DFU suffix: for a device that takes files,
	 * not addresses. */
	bool as_is;
	/* It holds a secret: its bytes are overwritten at its end, and no foreign program gets them as a file. */
	bool secret;
	const char *name;   /* the file's name in messages; NULL: its path */
	const char *member; /* of an archive: which file of it; NULL: the only one */
};
#define IMAGE_OPTS(addr) ((struct image_opts){.address = (addr), .format = IMAGE_ANY})
#define IMAGE_OPTS_INSPECT \
	((struct image_opts){.address = IMAGE_NO_ADDRESS, .format = IMAGE_ANY, .inspect = true})

#define IMAGE_NOTES_MAX 8

struct image {
	int refs; /* atomic; use image_ref and image_unref */
	enum image_format format;
	enum image_format inner; /* of a DFU file: the format of what its suffix ends, IMAGE_DFU of
				    a DfuSe container; else as format */
	enum image_format declared; /* what the recipe said that it is; IMAGE_ANY: nothing */
	bool placed;		    /* the file itself says where it goes */
	bool secret;		    /* of the options */
	char *path;		    /* for messages */
	char sha256[SHA256_HEX];    /* of the file, packed as it came */
	struct packed_facts packed; /* what was unpacked (images/packed.h), but for file_sha256 */
	char unpacked_sha256[SHA256_HEX];
	/* Of address (u64 LE), length (u64 LE) and bytes of each segment: equal for the same
	 * content in any format. Before segments of another target than 0 comes its number (u8).
	 */
	char payload[SHA256_HEX];
	uint64_t bytes; /* of all segments */
	/* Sorted by target and address, without overlap, adjacent ones joined. */
	struct image_segment *segments;
	size_t count;
	bool has_entry;
	uint64_t entry;
	uint32_t uf2_family; /* of UF2: the one that was read; 0: its blocks say none */
	bool has_dfu_ids;    /* a DFU suffix: 0xffff fits any */
	uint16_t dfu_vid, dfu_pid, dfu_device; /* bcdDevice */
	char *note[IMAGE_NOTES_MAX];	       /* odd, but allowed: to be said in the record */
	size_t notes;
	void *map; /* the file; NULL where no segment lies in it */
	size_t map_len;
	void *owned; /* bytes of decoded formats */
	size_t owned_len;
};

/* What the content of a file looks like, by its first bytes and, for a DFU suffix, its last; a file
 * of text with a HEX record or S-record in its first lines is taken for one, so that what comes
 * before the record is refused and never flashed. IMAGE_BIN where it looks like nothing known. */
enum image_format image_detect(const void *bytes, size_t n);

/* Reads and checks a file, at the gate first (images/gate.h); one that is packed is unpacked before (images/packed.h, whose errors
 * come as well), unless its bytes are wanted as they are or the store alone asks. -ERR_IMAGE_INVALID for an empty,
 * malformed or over-long file, another format than asked for, or what is surely not firmware;
 * -ERR_IMAGE_RANGE where it does not fit the address space; -ERR_INVALID for a missing or
 * superfluous address; -ERR_NOT_FOUND without the file. Formats that are not firmware of addresses
 * (sparse, boot images, archives) are refused: see blob.h.
 *
 * A wide span is not an error where the format has addresses: nothing is ever put into a gap, and
 * whether a segment is allowed to be there only the target's memory map can say (a nRF51's UICR is
 * 256 MiB above its flash). It is a note. Where gaps are bytes of the file, the limit of
 * IMAGE_MAX_BYTES holds. */
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
/* What to write in one piece at or above *at: sets *at to its address, aligned down to `unit`, and
 * returns its bytes, a multiple of unit, at most `most` (one as well) and never across a multiple
 * of `page` (0: anywhere); 0 where the image holds nothing more. Every unit of it holds some of the
 * image: fill with what the target keeps there, then image_read(). */
uint32_t image_chunk(const struct image *i, uint8_t target, uint64_t *at, uint32_t unit,
	uint32_t most, uint32_t page);
