/* SPDX-License-Identifier: Apache-2.0
 *
 * Packages and companions of firmware that are no firmware themselves: what goes to a bootloader of another kind, what comes next
 * to a disk's image, what Android's bootloader reads. They are looked for before the archive or text that they also are.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"
#include "transports/images/bmap.h"
#include "transports/images/bootimg.h"
#include "transports/images/foreign_impl.h"

#define END_BYTES   22u /* of a zip archive's end record, without its comment */
#define COMMENT_MAX 65535u
#define ENTRY_BYTES 46u /* of an entry of its directory, without its name */
#define ENTRIES_MAX 64u /* looked at: such packages have a handful */

static const struct foreign_kind block_map = {
	"a block map (bmap) of a disk's image", "give the image that it comes with", 0};
static const struct foreign_kind dfu_package = {"a DFU package (a zip archive with manifest.json)",
	"take the image out of it ('member: FILE')", 0};
static const struct foreign_kind avb_image = {
	"an image with an AVB footer (a partition of Android)", ADVICE_PROGRAM,
	MAY_BE_A_PARTITION | MAY_BE_A_DISK};

/* Where the directory of a zip archive begins (PKWARE, APPNOTE.TXT, 4.3.16); 0: it has none. */
static uint64_t directory_of(const uint8_t *p, uint64_t n)
{
	uint64_t least = n > END_BYTES + COMMENT_MAX ? n - END_BYTES - COMMENT_MAX : 0;

	if (n < END_BYTES || memcmp(p, "PK\3\4", 4) != 0)
		return 0;
	for (uint64_t at = n - END_BYTES + 1; at-- > least;) {
		struct rbytes b = rbytes_of(p + at, n - at);

		if (memcmp(p + at, "PK\5\6", 4) != 0)
			continue;
		b.pos = 16;
		return rb_le32(&b);
	}
	return 0;
}

/* A member of that name, in no folder. */
static bool has_member(const uint8_t *p, uint64_t n, const char *name)
{
	struct rbytes b = rbytes_of(p, n);

	b.pos = MIN(directory_of(p, n), n);
	for (unsigned k = 0; b.pos > 0 && k < ENTRIES_MAX; k++) {
		const uint8_t *entry = rb_take(&b, ENTRY_BYTES);
		struct rbytes lengths;
		size_t name_n;
		const uint8_t *s;

		if (!entry || memcmp(entry, "PK\1\2", 4) != 0)
			return false;
		lengths = rbytes_of(entry + 28, 6);
		name_n = rb_le16(&lengths);
		s = rb_take(&b, name_n);
		if (s && name_n == strlen(name) && !memcmp(s, name, name_n))
			return true;
		rb_take(&b, (size_t)rb_le16(&lengths) + rb_le16(&lengths));
	}
	return false;
}

const struct foreign_kind *foreign_by_package(const uint8_t *bytes, uint64_t n)
{
	if (bmap_is(bytes, n))
		return &block_map;
	if (has_member(bytes, n, "manifest.json"))
		return &dfu_package;
	return avb_footer_present(bytes, n) ? &avb_image : NULL;
}
