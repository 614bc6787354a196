/* SPDX-License-Identifier: Apache-2.0
 *
 * Images and blobs that several stations use at once are opened once: one mapping for all. Keyed by
 * the file (device, inode, size, both times) and the options; an entry lives as long as someone
 * holds it, and the last few a while longer, so that the next unit finds it. Any thread; where two
 * threads ask for the same at once, one reads and the other waits.
 */
#pragma once

#include "base/iotime.h"
#include "transports/images/blob.h"
#include "transports/images/image.h"

struct image_cache;

struct image_cache *image_cache_new(void);
struct image_cache *image_cache_free(struct image_cache *c);
DEFINE_CLEANUP(struct image_cache, image_cache_free)
/* As image_open() and blob_open(); it bounds the wait for another reader. */
int image_cache_image(struct image_cache *c, const char *path, const struct image_opts *o,
	const struct iotime *it, struct image **ret, struct err *e);
/* What is in the file (images/packed.h): unpacked once for all. As packed_open_blob(). */
int image_cache_unpacked(struct image_cache *c, const char *path, const char *name,
	const char *member, const struct iotime *it, struct blob **ret, struct err *e);
int image_cache_blob(struct image_cache *c, const char *path, bool immutable,
	const struct iotime *it, struct blob **ret, struct err *e);
