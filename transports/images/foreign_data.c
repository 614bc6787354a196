/* SPDX-License-Identifier: Apache-2.0
 *
 * What programs of a PC keep for themselves: trained models, caches, databases, and what a vendor's
 * own tool takes apart before it loads it (bitstreams with a header, objects of TI's compilers).
 */
#include "transports/images/foreign_impl.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

#define ADVICE_MODEL	 "where the unit's memory is to hold the model itself, declare it"
#define ADVICE_BITSTREAM "flash the .bin that the same tool writes, or load it by fpga.load"
#define FIELD_MAX	 30 /* numbers of fields of a model of ONNX */
#define MMDB_TAIL	 (128u * 1024)
#define JEDEC_HEADING	 4096u

/* -- trained models -- */

/* "GGUF", a version, counts of tensors and of pairs, in either byte order (ggml, docs/gguf.md). */
static bool is_gguf(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 24u));
	const uint8_t *magic = rb_take(&b, 4);
	const uint8_t *version = rb_take(&b, 4);

	return n >= 24 && magic && version && !memcmp(magic, "GGUF", 4) &&
	       ((version[0] >= 1 && version[0] < 16 && !version[1] && !version[3]) ||
		       (version[3] >= 1 && version[3] < 16 && !version[2] && !version[0]));
}

/* "TFL3" after the offset of a table, which lies in the file and begins with a distance to its own
 * description (FlatBuffers, internals). */
static bool is_tflite(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 8u));
	uint32_t root = rb_le32(&b);

	return n >= 32 && !memcmp(s + 4, "TFL3", 4) && root >= 8 && root <= n - 4;
}

/* The length of a text of JSON, the text, and the numbers after it (safetensors, "Format"). */
static bool is_safetensors(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 8u));
	uint64_t len = rb_le64(&b);
	uint64_t end;

	if (b.bad || len < 2 || len > n - 8 || s[8] != '{')
		return false;
	for (end = 8 + len; s[end - 1] == ' '; end--)
		;
	return s[end - 1] == '}' && foreign_is_text(s + 8, end - 8);
}

/* One number of protobuf: seven bits a byte, the last without the eighth. */
static bool varint(const uint8_t *s, uint64_t n, uint64_t *at, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && *at < n; shift += 7) {
		uint8_t b = s[(*at)++];

		*ret |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

/* Fields of ModelProto up to the end of the file, with a graph and the sets of operators
 * (onnx.proto: 7 and 8). Numbers are those of versions; everything else has a length. */
static bool is_onnx(const uint8_t *s, uint64_t n)
{
	uint64_t at = 0;
	uint32_t seen = 0;

	if (n < 16 || s[0] != 0x08 || s[1] == 0 || s[1] > 0x40)
		return false;
	while (at < n) {
		uint64_t key, value;

		if (!varint(s, n, &at, &key) || !varint(s, n, &at, &value) || key >> 3 == 0 ||
			key >> 3 >= FIELD_MAX || ((key & 7) != 0 && (key & 7) != 2))
			return false;
		if ((key & 7) == 2 && value > n - at)
			return false;
		at += (key & 7) == 2 ? value : 0;
		seen |= 1u << (key >> 3);
	}
	return (seen >> 7 & 3) == 3;
}

/* -- caches -- */

/* Versions, and ten offsets of lists that lie in the file (shared-mime-info, 2.13). */
static bool is_mime_cache(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 40u));
	uint16_t major = rb_be16(&b);
	uint16_t minor = rb_be16(&b);

	if (major != 1 || minor < 1 || minor > 2)
		return false;
	for (unsigned i = 0; i < 9; i++) {
		uint32_t at = rb_be32(&b);

		if (b.bad || at < 40 || at >= n || at % 4)
			return false;
	}
	return true;
}

/* Whether the list at `at` has as many offsets as it says, each within the file. */
static bool has_offsets(const uint8_t *s, uint64_t n, uint64_t at, uint32_t most)
{
	struct rbytes b = rbytes_of(s + at, (size_t)(n - at));
	uint32_t count = rb_be32(&b);

	if (count == 0 || count > most)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t to = rb_be32(&b);

		if (b.bad || (to != UINT32_MAX && (to < 12 || to >= n)))
			return false;
	}
	return true;
}

/* Version 1.0, a table of hashes and a list of folders (GTK, docs/iconcache.txt). */
static bool is_icon_cache(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 12u));
	uint32_t version = rb_be32(&b);
	uint32_t hash = rb_be32(&b);
	uint32_t folders = rb_be32(&b);

	return !b.bad && version == 0x00010000 && hash >= 12 && folders >= 12 && n >= 20 &&
	       hash <= n - 4 && folders <= n - 4 && hash != folders &&
	       has_offsets(s, n, folders, 4096) && has_offsets(s, n, hash, 1u << 20);
}

/* The date 2001-03-24, five offsets and sizes of which each part follows the one before (glibc,
 * iconv/gconv_int.h). */
static bool is_gconv_cache(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 14u));
	uint32_t magic = rb_le32(&b);
	uint16_t strings = rb_le16(&b);
	uint16_t hash = rb_le16(&b);
	uint16_t size = rb_le16(&b);
	uint16_t modules = rb_le16(&b);
	uint16_t others = rb_le16(&b);

	return !b.bad && magic == 0x20010324 && strings >= 14 && strings < 32 && strings < hash &&
	       size > 0 && hash + 4u * size <= modules && modules <= others && others <= n;
}

/* Version 5, counts of resources and of second names, a table of that size, and the first resource
 * where it ends (Chromium, tools/grit/grit/format/data_pack.py). */
static bool is_pak(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 18u));
	uint32_t version = rb_le32(&b);
	uint32_t encoding = rb_le32(&b);
	uint32_t resources = rb_le16(&b);
	uint32_t aliases = rb_le16(&b);

	rb_le16(&b);
	return version == 5 && encoding <= 2 && resources > 0 &&
	       rb_le32(&b) == 12 + 6 * (resources + 1) + 4 * aliases && !b.bad;
}

/* -- databases: their marks are at the end -- */

static bool ends_in(const uint8_t *s, uint64_t n, const char *magic)
{
	return n >= 64 && !memcmp(s + n - 8, magic, 8);
}

static bool is_table_of_keys(const uint8_t *s, uint64_t n)
{
	return ends_in(s, n, "\x57\xfb\x80\x8b\x24\x75\x47\xdb") ||
	       ends_in(s, n, "\xf7\xcf\xf4\x85\xb7\x41\xe2\x88");
}

static bool is_maxmind(const uint8_t *s, uint64_t n)
{
	static const char mark[] = "\xab\xcd\xefMaxMind.com";
	uint64_t tail = MIN(n, (uint64_t)MMDB_TAIL);

	return n > 64 && memmem(s + n - tail, (size_t)tail, mark, sizeof mark - 1) != NULL;
}

/* "ORC" at both ends, and the length of what is before the last one (ORC v1, "File tail"). */
static bool is_orc(const uint8_t *s, uint64_t n)
{
	return n > 16 && !memcmp(s, "ORC", 3) && !memcmp(s + n - 4, "ORC", 3) && s[n - 1] > 3 &&
	       s[n - 1] < n - 4;
}

/* "X" and a line end, the version of its format, and of R itself (R internals, 1.8). */
static bool is_rds(const uint8_t *s, uint64_t n)
{
	return n > 16 && !memcmp(s, "X\n\0\0\0", 5) && (s[5] == 2 || s[5] == 3) && s[6] == 0 &&
	       s[7] >= 2 && s[7] < 16 && s[10] == 0 && s[11] >= 2 && s[11] < 16;
}

/* A header of 100 bytes or more, version 7, a format, depth and size of
 * pixels (X.org, XWDFile.h). */
static bool is_window_dump(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 24u));
	uint32_t header = rb_be32(&b);
	uint32_t version = rb_be32(&b);
	uint32_t format = rb_be32(&b);
	uint32_t depth = rb_be32(&b);
	uint32_t width = rb_be32(&b);
	uint32_t height = rb_be32(&b);

	return !b.bad && header >= 100 && header < 4096 && version == 7 && format <= 2 &&
	       depth > 0 && depth <= 32 && width > 0 && width < 65536 && height > 0 &&
	       height < 65536 && n > header;
}

/* -- what a vendor's tool unpacks -- */

/* A field of nine bytes, then fields 'a' to 'e': the design, the part, the date (Xilinx .bit: AR
 * 7891). The configuration itself begins after them: it is what a .bin holds. */
static bool is_xilinx(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, (uint64_t)4096));

	rb_take(&b, rb_be16(&b));
	if (rb_be16(&b) != 1)
		return false;
	for (uint8_t field = 'a'; field < 'e'; field++) {
		const uint8_t *text;
		uint16_t len;

		if (rb_u8(&b) != field)
			return false;
		len = rb_be16(&b);
		text = rb_take(&b, len);
		if (!text || len < 2 || text[len - 1] != 0)
			return false;
	}
	return rb_u8(&b) == 'e' && !b.bad;
}

/* "SOF" or "POF", a version and a count, and a first part that lies within the file (Intel
 * Quartus). */
static bool is_quartus(const uint8_t *s, uint64_t n)
{
	return n > 32 && (!memcmp(s, "SOF\0", 4) || !memcmp(s, "POF\0", 4)) &&
	       (memmem(s + 4, (size_t)MIN(n - 4, 256u), "Quartus", 7) ||
		       memmem(s + 4, (size_t)MIN(n - 4, 256u), "MAX+plus", 8));
}

/* Text with the number of fuses, after a heading and the byte that begins the
 * map (JEDEC JESD3-C). */
static bool is_jedec(const uint8_t *s, uint64_t n)
{
	uint64_t begins = 0;

	for (uint64_t i = 0; i + 3 < n && i < JEDEC_HEADING; i++) {
		if (s[i] == 2)
			begins++;
		else if (foreign_text_char(s + i, n - i) == 0)
			return false;
		if (begins == 1 && !memcmp(s + i, "QF", 2) && isdigit(s[i + 2]) &&
			(s[i - 1] == '*' || s[i - 1] == '\n'))
			return true;
	}
	return false;
}

/* COFF of TI: a version, sections within the file, a target there is, a name (TI SPRAAO8). */
static bool is_ti_coff(const uint8_t *s, uint64_t n)
{
	static const uint16_t targets[] = {0x97, 0x98, 0x99, 0x9c, 0x9d, 0xa0, 0xa1};
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 24u));
	uint16_t version = rb_le16(&b);
	uint64_t sections = rb_le16(&b);
	uint32_t symbols, optional, target;
	bool known = false;

	rb_le32(&b);
	symbols = rb_le32(&b);
	rb_le32(&b);
	optional = rb_le16(&b);
	rb_le16(&b);
	target = rb_le16(&b);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++)
		known |= target == targets[i];
	if (b.bad || !known || (version != 0xc1 && version != 0xc2) || sections == 0 ||
		(optional != 0 && optional != 28) || symbols > n ||
		n < 22 + optional + 48 * sections)
		return false;
	s += 22 + optional;
	return s[0] == '.' || s[0] == '_' || !memcmp(s, "\0\0\0\0", 4);
}

static const struct foreign_row rows[] = {
	{is_gguf, {"a trained model (GGUF)", ADVICE_MODEL, MAY_BE_A_PARTITION}},
	{is_tflite, {"a trained model (TensorFlow Lite)", ADVICE_MODEL, MAY_BE_A_PARTITION}},
	{is_safetensors, {"a trained model (safetensors)", ADVICE_MODEL, MAY_BE_A_PARTITION}},
	{is_onnx, {"a trained model (ONNX)", ADVICE_MODEL, MAY_BE_A_PARTITION}},
	{is_mime_cache, {"a cache of MIME types", ADVICE_DOCUMENT, 0}},
	{is_icon_cache, {"a cache of icons (GTK)", ADVICE_DOCUMENT, 0}},
	{is_gconv_cache, {"a cache of encodings (gconv)", ADVICE_DOCUMENT, 0}},
	{is_pak, {"resources of a browser (.pak)", ADVICE_DOCUMENT, 0}},
	{is_table_of_keys, {"a table of a database (LevelDB or RocksDB)", ADVICE_DOCUMENT, 0}},
	{is_maxmind, {"a database of addresses (MaxMind)", ADVICE_DOCUMENT, 0}},
	{is_orc, {"a data set (ORC)", ADVICE_DOCUMENT, 0}},
	{is_rds, {"a data set (R)", ADVICE_DOCUMENT, 0}},
	{is_window_dump, {"a picture of a window (XWD)", ADVICE_DOCUMENT, 0}},
	/* U-Boot's "fpga loadb" takes one out of a partition or a file. */
	{is_xilinx, {"a bitstream of Xilinx with a header (.bit)", ADVICE_BITSTREAM,
			    MAY_BE_A_PARTITION | MAY_BE_A_DISK}},
	{is_quartus, {"a bitstream for Intel's programmer (.sof or .pof)", ADVICE_BITSTREAM, 0}},
	{is_jedec, {"a map of fuses (JEDEC)", "use the tool of the device", 0}},
	{is_ti_coff, {"an object of TI's compilers (COFF)",
			     "convert it to Intel HEX (hex2000 and its like)", 0}},
};

const struct foreign_kind *foreign_by_data(const uint8_t *bytes, uint64_t n)
{
	return foreign_first(rows, ARRAY_LEN(rows), bytes, n);
}
