/* SPDX-License-Identifier: Apache-2.0
 *
 * An NVS partition of ESP-IDF, as its flash holds it before the first start (ESP-IDF Programming Guide, "Non-Volatile
 * Storage Library", Internals; format version 2). The integers are little-endian.
 *
 *	page, 4096 bytes    0  state: active 0xfffffffe, full 0xfffffffc, never used all 0xff
 *	                    4  number of the page, from 0; 8 version 0xfe; 28 CRC-32 of bytes 4 to 27
 *	                   32  bitmap, 2 bits an entry: 11 empty, 10 written, 00 erased
 *	                   64  126 entries of 32 bytes
 *	entry               0  namespace, 1 type, 2 span (entries), 3 chunk (0xff: none)
 *	                    4  CRC-32 of bytes 0 to 3 and 8 to 31
 *	                    8  key, 16 bytes with its NUL
 *	                   24  8 bytes: the value; of a string or chunk size u16, 0xffff, CRC-32 of its bytes, which are the
 *	                       next entries; of a blob's index size u32, chunks u8, first chunk u8, 0xffff
 *
 * The CRC-32 is that of zlib with 0xffffffff as its beginning. A namespace is an entry of namespace 0 whose value is its
 * number. A string lies in one page; a blob is cut into chunks where a page ends, and its index comes last. The last page
 * stays empty: the library needs one to tidy up. One writer, one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

#define NVS_PAGE_BYTES 4096
#define NVS_MIN_BYTES  (3 * NVS_PAGE_BYTES) /* ESP-IDF opens none that is smaller for writing */
#define NVS_MAX_BYTES  (4u << 20)
#define NVS_KEY_MAX    15   /* characters, of a namespace as well */
#define NVS_STRING_MAX 4000 /* bytes, its NUL counted */
#define NVS_BLOB_MAX   508000
#define NVS_NAMESPACES 254

/* The names of the types, NULL-terminated: u8 i8 u16 i16 u32 i32 u64 i64 string blob. */
extern const char *const nvs_types[];

struct nvs;

/* An empty partition of `bytes`, whole pages: -ERR_INVALID, -ERR_NO_MEMORY. */
int nvs_new(uint64_t bytes, struct nvs **ret, struct err *e);
struct nvs *nvs_free(struct nvs *n); /* wipes it; takes NULL */
DEFINE_CLEANUP(struct nvs, nvs_free)

struct nvs_value {
	const char *space; /* namespace */
	const char *key;
	const char *type; /* one of nvs_types */
	const uint8_t
		*bytes; /* of an integer little-endian, of its width; of a string without its NUL */
	size_t n;
};

/* Writes one value after those before. -ERR_VALUE_EMPTY for an empty name, string or blob; -ERR_VALUE_MALFORMED for a name
 * with other characters than printable ASCII, or a string with a NUL in it; -ERR_VALUE_TOO_LONG for a name of more than
 * 15, a string or blob that no page or partition holds; -ERR_PART_OVERLAP for a key that its namespace has;
 * -ERR_NVS_FULL; -ERR_INVALID for an integer of another width. After an error only nvs_free(). */
int nvs_put(struct nvs *n, const struct nvs_value *v, struct err *e);
/* The partition; borrowed. */
const uint8_t *nvs_bytes(const struct nvs *n);
/* Entries that are used, of those that may be. */
size_t nvs_used(const struct nvs *n, size_t *ret_most);
