/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/foreign_impl.h"

#include <ctype.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "base/bytes.h"
#include "base/util.h"

/* Shorter ones may be a setting of the unit. */
#define SAME_BYTE_MIN 128
#define OLD_TEXT_MIN  64
#define HEADING_MIN   60
#define UPLOAD_MAX    256 /* a boundary has 70 characters at most (RFC 2046) */

size_t foreign_text_char(const uint8_t *s, uint64_t n)
{
	size_t more = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : 1;

	if (s[0] < 0x80)
		return isprint(s[0]) || (s[0] >= '\t' && s[0] <= '\r') || s[0] == 0x1b ||
		       s[0] == 0x1a;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n <= more)
		return 0;
	for (size_t i = 1; i <= more; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return more + 1;
}

/* A Linux kernel for ARM64 or RISC-V begins like a program of Windows, so that UEFI starts it, and
 * has its own magic at 56 (Documentation/arch/arm64/booting.rst). */
static bool is_kernel(const uint8_t *s, uint64_t n)
{
	return n >= 64 && (!memcmp(s + 56, "ARM\x64", 4) || !memcmp(s + 56, "RSC\x05", 4));
}

static bool is_dos_program(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 64u));
	uint16_t magic = rb_le16(&b);
	uint16_t last = rb_le16(&b);
	uint16_t pages = rb_le16(&b);

	rb_le16(&b);

	uint16_t paragraphs = rb_le16(&b);

	/* "MZ", bytes on the last page of 512, pages, relocations, paragraphs of the header. */
	return !b.bad && magic == 0x5a4d && last < 512 && pages > 0 && paragraphs > 0 &&
	       paragraphs * 16u <= pages * 512u && !is_kernel(s, n);
}

static bool is_bzip2(const uint8_t *s, uint64_t n)
{
	return n >= 10 && !memcmp(s, "BZh", 3) && s[3] >= '1' && s[3] <= '9' &&
	       (!memcmp(s + 4, "1AY&SY", 6) || !memcmp(s + 4, "\x17rE8P\x90", 6));
}

/* A header of one of the sizes there are, and pixels within the file; its size may be wrong. */
static bool is_bmp(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 18u));
	const uint8_t *magic = rb_take(&b, 2);
	uint32_t size = rb_le32(&b);
	uint32_t reserved = rb_le32(&b);
	uint32_t pixels = rb_le32(&b);
	uint32_t header = rb_le32(&b);

	return magic && !memcmp(magic, "BM", 2) && reserved == 0 && !b.bad &&
	       (size == n || (pixels >= 14 + header && pixels < n && header >= 12 &&
				     header <= 124 && header % 4 == 0));
}

/* A directory of tables, sorted by name, that lie within the file (OpenType 1.9, "Font file"). */
static bool is_font(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 12u + 16 * 128));
	uint32_t version = rb_be32(&b);
	uint16_t tables = rb_be16(&b);
	uint32_t last = 0;

	rb_take(&b, 6);
	if ((version != 0x00010000 && version != 0x74727565 && version != 0x4f54544f &&
		    version != 0x74797031) ||
		tables < 4 || tables > 128)
		return false;
	for (unsigned i = 0; i < tables; i++) {
		uint32_t tag = rb_be32(&b);
		uint64_t at, len;

		rb_take(&b, 4);
		at = rb_be32(&b);
		len = rb_be32(&b);
		if (b.bad || tag <= last || at < 12 + 16u * tables || at + len > n)
			return false;
		last = tag;
	}
	return true;
}

/* Of the time before "ustar" (UNIX V7): the header's sum is in it as octal digits. */
static bool is_old_tar(const uint8_t *s, uint64_t n)
{
	unsigned sum = 0;
	unsigned says = 0;

	if (n < 512 || !s[0])
		return false;
	for (size_t i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? ' ' : s[i];
	for (size_t i = 148; i < 156 && s[i] && (s[i] != ' ' || i == 148); i++) {
		if (s[i] == ' ')
			continue;
		if (s[i] < '0' || s[i] > '7')
			return false;
		says = says * 8 + (s[i] - '0');
	}
	return sum == says;
}

/* -- pictures, sounds, films: chunks and frames that follow each other -- */

/* Marker segments, each with its length (ITU T.81, B.1.1). */
static bool is_jpeg(const uint8_t *s, uint64_t n)
{
	uint64_t at = 2;

	if (n < 20 || s[0] != 0xff || s[1] != 0xd8)
		return false;
	for (unsigned k = 0; k < 2; k++) {
		if (at + 4 > n || s[at] != 0xff || s[at + 1] < 0xc0 || s[at + 1] == 0xff)
			return false;
		at += 2u + (s[at + 2] << 8 | s[at + 3]);
	}
	return true;
}

/* A directory of pictures, which come one after the other after it. */
static bool is_icon(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 22u));
	uint16_t zero = rb_le16(&b);
	uint16_t type = rb_le16(&b);
	uint16_t count = rb_le16(&b);
	const uint8_t *shape = rb_take(&b, 8);
	uint32_t size = rb_le32(&b);
	uint32_t at = rb_le32(&b);

	return !b.bad && zero == 0 && (type == 1 || type == 2) && count > 0 && shape &&
	       shape[3] == 0 && at == 6u + 16u * count && size > 0 && size <= n - MIN(n, at);
}

/* A directory of at most 200 entries within the file, sorted by their tags (TIFF 6.0, 2). */
static bool is_tiff(const uint8_t *s, uint64_t n)
{
	bool big = n > 8 && !memcmp(s, "MM\0*", 4);
	struct rbytes b;
	uint64_t at;
	unsigned last = 0;
	unsigned entries;

	if (n < 32 || (!big && memcmp(s, "II*\0", 4)))
		return false;
	b = rbytes_of(s + 4, 4);
	at = big ? rb_be32(&b) : rb_le32(&b);
	if (at < 8 || at > n - 14)
		return false;
	b = rbytes_of(s + at, (size_t)(n - at));
	entries = big ? rb_be16(&b) : rb_le16(&b);
	for (unsigned i = 0; i < entries && i < 4; i++) {
		unsigned tag = big ? rb_be16(&b) : rb_le16(&b);

		rb_take(&b, 10);
		if (b.bad || tag <= last)
			return false;
		last = tag;
	}
	return entries > 0 && entries <= 200;
}

/* Signature, version, and the length of what is unpacked (SWF 19, 2). */
static bool is_swf(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 8u));
	const uint8_t *head = rb_take(&b, 4);
	uint64_t len = rb_le32(&b);

	return head && !b.bad && !memcmp(head + 1, "WS", 2) && head[3] > 0 && head[3] < 64 &&
	       (head[0] == 'F' ? len == n
			       : (head[0] == 'C' || head[0] == 'Z') && len > n / 2 &&
					 len < 1u << 30);
}

/* The code 9994, the length in words, the version 1000 (ESRI shapefile, table 1). */
static bool is_shapefile(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 32u));
	uint32_t code = rb_be32(&b);

	rb_take(&b, 24);
	return code == 9994 && rb_le32(&b) == 1000 && !b.bad;
}

/* HEADER, BGNLIB: two records, each with its length (GDSII stream format). */
static bool is_gds(const uint8_t *s, uint64_t n)
{
	return n > 34 && !memcmp(s, "\0\6\0\2", 4) && !memcmp(s + 6, "\0\x1c\1\2", 4);
}

static bool is_lha(const uint8_t *s, uint64_t n)
{
	return n > 22 && s[2] == '-' && s[3] == 'l' && (s[4] == 'h' || s[4] == 'z') &&
	       (isdigit(s[5]) || s[5] == 's' || s[5] == 'd') && s[6] == '-';
}

static bool is_id3(const uint8_t *s, uint64_t n)
{
	return n >= 10 && !memcmp(s, "ID3", 3) && s[3] <= 4 && s[4] == 0 && !(s[5] & 0x0f) &&
	       !((s[6] | s[7] | s[8] | s[9]) & 0x80);
}

/* Bytes of the frame at s of MPEG-1 layer 3 (ISO 11172-3, 2.4.2.3) or AAC (ISO 13818-7, 6.2); 0
 * where there is none. */
static uint64_t audio_frame(const uint8_t *s, uint64_t n)
{
	static const uint16_t kbit[] = {
		0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0};
	static const uint32_t hz[] = {44100, 48000, 32000, 0};

	if (n < 7 || s[0] != 0xff)
		return 0;
	if ((s[1] & 0xfe) == 0xfa && kbit[s[2] >> 4] && hz[s[2] >> 2 & 3])
		return 144000u * kbit[s[2] >> 4] / hz[s[2] >> 2 & 3] + (s[2] >> 1 & 1);
	if ((s[1] & 0xf6) == 0xf0 && (s[2] >> 2 & 15) < 13)
		return (uint64_t)(s[3] & 3) << 11 | (uint64_t)s[4] << 3 | s[5] >> 5;
	return 0;
}

static bool is_audio(const uint8_t *s, uint64_t n)
{
	uint64_t at = 0;

	for (unsigned frames = 0; frames < 5; frames++) {
		uint64_t len = at < n ? audio_frame(s + at, n - at) : 0;

		if (len < 8)
			return false;
		at += len;
	}
	return true;
}

static bool is_mp3(const uint8_t *s, uint64_t n)
{
	return is_id3(s, n) || is_audio(s, n);
}

/* Packets of 188 bytes (ISO 13818-1, 2.4.3.2), in files also of 192. */
static bool is_transport_stream(const uint8_t *s, uint64_t n)
{
	uint64_t step = n > 4 && s[4] == 0x47 ? 192 : 188;
	uint64_t at = step == 192 ? 4 : 0;

	for (unsigned i = 0; i < 8; i++, at += step)
		if (at >= n || s[at] != 0x47)
			return false;
	return true;
}

static bool is_name4(const uint8_t *s)
{
	for (unsigned i = 0; i < 4; i++)
		if (!isprint(s[i]) && s[i] != 0xa9)
			return false;
	return true;
}

/* One chunk as long as the file (EA IFF 85, and RIFF in the other byte order). */
static bool is_iff(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 12u));
	const uint8_t *id = rb_take(&b, 4);
	bool little = id && !memcmp(id, "RIFF", 4);
	uint32_t size = little ? rb_le32(&b) : rb_be32(&b);
	const uint8_t *type = rb_take(&b, 4);

	if (!id || !type ||
		(!little && memcmp(id, "FORM", 4) && memcmp(id, "RIFX", 4) &&
			memcmp(id, "FOR1", 4)))
		return false;
	return is_name4(type) && (uint64_t)size + 8 <= n && n - size - 8 < 4;
}

/* Boxes up to the end of the file (ISO 14496-12, 4.2): films, HEIF and AVIF pictures, JPEG 2000. */
static bool is_boxes(const uint8_t *s, uint64_t n)
{
	uint64_t at = 0;
	unsigned boxes = 0;

	while (n - at >= 8) {
		struct rbytes b = rbytes_of(s + at, (size_t)MIN(n - at, 16u));
		uint64_t size = rb_be32(&b);

		if (!is_name4(s + at + 4))
			return false;
		rb_take(&b, 4);
		if (size == 1)
			size = (uint64_t)rb_be32(&b) << 32, size |= rb_be32(&b);
		if (size == 0)
			size = n - at;
		if (b.bad || size < 8 || size > n - at)
			return false;
		at += size;
		boxes++;
	}
	return boxes >= 2 && at == n;
}

/* A heading of 80 bytes, the number of triangles, 50 bytes of each. */
static bool is_stl(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 84u));
	uint64_t count;

	rb_take(&b, 80);
	count = rb_le32(&b);
	return !b.bad && count > 0 && n == 84 + 50 * count;
}

/* -- keys -- */

/* Bytes of the length field at s in *ret_head, and what it says; false where it is not one (X.690,
 * 8.1.3). */
static bool der_length(const uint8_t *s, uint64_t n, uint64_t *ret_head, uint64_t *ret)
{
	uint64_t more = n && s[0] & 0x80 ? s[0] & 0x7f : 0;
	uint64_t v = n ? s[0] : 0;

	if (n <= more || more > 4 || (n && s[0] == 0x80))
		return false;
	for (uint64_t i = 1; i <= more; i++)
		v = i == 1 ? s[1] : v << 8 | s[i];
	*ret_head = 1 + more;
	*ret = v;
	return !more || v >= 0x80;
}

/* One SEQUENCE as long as the file that begins with another, a number or an object identifier, and
 * goes on with something that fits: certificates, keys, PKCS #7 and #12. */
static bool is_der(const uint8_t *s, uint64_t n)
{
	uint64_t head, size, inner_head, inner;

	if (n < 32 || s[0] != 0x30 || !der_length(s + 1, n - 1, &head, &size) ||
		1 + head + size != n)
		return false;
	s += 1 + head;
	if ((s[0] != 0x30 && s[0] != 0x02 && s[0] != 0x06) ||
		!der_length(s + 1, size - 1, &inner_head, &inner) || inner == 0)
		return false;
	inner += 1 + inner_head;
	if (inner >= size)
		return inner == size;
	s += inner;
	return size - inner >= 2 && (s[0] == 0x30 || (s[0] & 0xe0) == 0xa0 || s[0] < 0x0d) &&
	       der_length(s + 1, size - inner - 1, &inner_head, &size);
}

/* Bytes of the packet at s with a length of its own (RFC 4880, 4.2); 0: none. */
static uint64_t pgp_packet(const uint8_t *s, uint64_t n, unsigned *ret_tag, unsigned *ret_version)
{
	bool fresh = n > 1 && (s[0] & 0xc0) == 0xc0;
	uint64_t head = 2;
	uint64_t size = n > 1 ? s[1] : 0;

	if (n < 6 || !(s[0] & 0x80) || (!fresh && (s[0] & 3) == 3))
		return 0;
	*ret_tag = fresh ? s[0] & 0x3f : s[0] >> 2 & 15;
	if (fresh ? size >= 192 && size < 224 : (s[0] & 3) == 1) {
		head = 3;
		size = fresh ? ((size - 192) << 8) + s[2] + 192 : size << 8 | s[2];
	} else if (fresh ? size == 255 : (s[0] & 3) == 2) {
		const uint8_t *at = s + (fresh ? 2 : 1);

		head = fresh ? 6 : 5;
		size = (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
	} else if (fresh && size >= 224) {
		return 0;
	}
	if (size == 0 || head + size > n)
		return 0;
	*ret_version = s[head];
	return head + size;
}

/* Packets up to the end of the file, the first of a kind that begins a message or a key. */
static bool is_pgp(const uint8_t *s, uint64_t n)
{
	static const uint32_t begins = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5 | 1u << 6;
	uint64_t at = 0;
	unsigned packets = 0;

	while (at < n) {
		unsigned tag = 0;
		unsigned version = 0;
		uint64_t len = pgp_packet(s + at, n - at, &tag, &version);

		if (len == 0 || tag == 0 || tag > 20 || (at == 0 && tag > 6) ||
			(at == 0 && !(begins >> tag & 1)) ||
			(tag <= 7 && (version < 2 || version > 6)))
			return false;
		at += len;
		packets++;
	}
	return packets >= 2 && at == n;
}

/* -- objects of compilers -- */

/* A number of the version, CR LF, and flags of which two are in use (PEP 552). */
static bool is_python(const uint8_t *s, uint64_t n)
{
	return n >= 16 && s[2] == '\r' && s[3] == '\n' && s[1] >= 0x0b && s[1] <= 0x0f &&
	       s[4] <= 3 && !s[5] && !s[6] && !s[7];
}

/* PROTO, a version, and for 4 and later a frame; "." ends it (pickletools). */
static bool is_pickle(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 11u));

	if (n < 12 || s[0] != 0x80 || s[1] < 2 || s[1] > 5 || s[n - 1] != '.')
		return false;
	if (s[1] < 4)
		return strchr("}])(cXKJMN\x8a", s[2]) != NULL;
	rb_take(&b, 3);
	return s[2] == 0x95 && rb_le64(&b) <= n - 11;
}

/* "PPU" and a version of three digits (Free Pascal, compiler/ppu.pas). */
static bool is_ppu(const uint8_t *s, uint64_t n)
{
	return n >= 32 && !memcmp(s, "PPU", 3) && isdigit(s[3]) && isdigit(s[4]) && isdigit(s[5]);
}

/* An object of COFF that was not linked: no optional header, sections and symbols within the file,
 * a name of the first section (PE format, 3.3). */
static bool is_coff(const uint8_t *s, uint64_t n)
{
	static const uint16_t machines[] = {0x014c, 0x8664, 0xaa64, 0x01c0, 0x01c2, 0x01c4, 0x5032};
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 20u));
	uint16_t machine = rb_le16(&b);
	uint64_t sections = rb_le16(&b);
	uint64_t symbols_at, symbols;
	bool known = false;

	rb_le32(&b);
	symbols_at = rb_le32(&b);
	symbols = rb_le32(&b);
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		known |= machine == machines[i];
	return known && sections > 0 && rb_le16(&b) == 0 && !b.bad && n >= 20 + 40 * sections &&
	       (s[20] == '.' || s[20] == '_' || s[20] == '/') && symbols_at + 18 * symbols <= n &&
	       (symbols_at == 0) == (symbols == 0);
}

/* Records of Intel's object format, each with its sum: of 8086 compilers, and of 8051 ones. */
static bool is_omf(const uint8_t *s, uint64_t n)
{
	uint64_t at = 0;
	unsigned records = 0;

	if (n < 16 || (s[0] != 0x80 && s[0] != 0x02))
		return false;
	while (records < 4 && n - at >= 4) {
		uint64_t len = 3u + (s[at + 1] | s[at + 2] << 8);
		uint8_t sum = 0;

		if (len < 4 || len > n - at)
			return false;
		for (uint64_t i = 0; i < len; i++)
			sum += s[at + i];
		if (sum != 0)
			return false;
		at += len;
		records++;
	}
	return records == 4 || (records >= 3 && at == n);
}

/* term(5): the magic number, and five sizes that end where the file does, or its extensions begin.
 */
static bool is_terminfo(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 12u));
	uint16_t magic = rb_le16(&b);
	uint64_t names = rb_le16(&b);
	uint64_t flags = rb_le16(&b);
	uint64_t numbers = rb_le16(&b);
	uint64_t strings = rb_le16(&b);
	uint64_t text = rb_le16(&b);
	uint64_t end = 12 + names + flags;

	if (b.bad || (magic != 0x011a && magic != 0x021e) || names == 0 || names > 512 ||
		flags > 64 || end > n || s[11 + names] != 0 || !isprint(s[12]))
		return false;
	end += end & 1;
	end += numbers * (magic == 0x011a ? 2 : 4) + strings * 2 + text;
	return end <= n && n - end < 4096;
}

/* -- databases and disks -- */

/* A date, records of one size after a header that ends with CR (dBase III and later). */
static bool is_dbase(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 12u));
	const uint8_t *head = rb_take(&b, 4);
	uint64_t count = rb_le32(&b);
	uint64_t header = rb_le16(&b);
	uint64_t record = rb_le16(&b);
	uint64_t end = header + count * record;

	return head && !b.bad && strchr("\x03\x30\x31\x43\x63\x83\x8b\xcb\xf5", head[0]) &&
	       head[0] && head[2] >= 1 && head[2] <= 12 && head[3] >= 1 && head[3] <= 31 &&
	       header >= 65 && header <= n && record > 1 && (n == end || n == end + 1);
}

/* One entry of a table of partitions that is not empty: 1; -1: it is not an entry. */
static int partition_entry(const uint8_t *s, uint64_t n)
{
	static const uint8_t none[16];
	struct rbytes b = rbytes_of(s, 16);
	const uint8_t *head = rb_take(&b, 8);
	uint64_t first = rb_le32(&b);
	uint64_t sectors = rb_le32(&b);

	if (!memcmp(s, none, 16))
		return 0;
	return head && !(head[0] & 0x7f) && head[4] && first > 0 && sectors > 0 && first < n / 512
		       ? 1
		       : -1;
}

/* A disk with partitions by MBR or GPT, the first of which begins within the file. */
static bool is_disk(const uint8_t *s, uint64_t n)
{
	int entries = 0;

	if (n < 64u * 1024)
		return false;
	if (!memcmp(s + 512, "EFI PART", 8) || !memcmp(s + 4096, "EFI PART", 8))
		return true;
	if (s[510] != 0x55 || s[511] != 0xaa)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		int k = partition_entry(s + 446 + i * 16, n);

		if (k < 0)
			return false;
		entries += k;
	}
	return entries > 0;
}

/* -- compressed streams without a magic -- */

static bool is_lzma(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 14u));
	const uint8_t *props = rb_take(&b, 1);
	uint32_t dict = rb_le32(&b);
	uint64_t size = rb_le64(&b);
	const uint8_t *first = rb_take(&b, 1);
	uint32_t half = dict & (dict - 1);

	return props && first && *props == 0x5d && dict >= 4096 && dict <= 1u << 30 &&
	       (half & (half - 1)) == 0 && *first == 0 &&
	       (size == UINT64_MAX || (size > n / 2 && size < 1ull << 38));
}

/* A stream that unpacks: to its end and sum, or as far as was looked. */
static bool is_zlib(const uint8_t *s, uint64_t n)
{
	uInt len = (uInt)MIN(n, 64u * 1024);
	uint8_t out[16384];
	z_stream z = {.next_in = s, .avail_in = len};
	int r = Z_OK;

	if (n < 32 || (s[0] & 0x0f) != 8 || s[0] >> 4 > 7 || (s[0] << 8 | s[1]) % 31 ||
		(s[1] & 0x20) || inflateInit(&z) != Z_OK)
		return false;
	while (r == Z_OK && (z.avail_in || !z.avail_out)) {
		z.next_out = out;
		z.avail_out = sizeof out;
		r = inflate(&z, Z_NO_FLUSH);
	}
	inflateEnd(&z);
	return r == Z_STREAM_END ? n - z.total_in < 64 : r != Z_DATA_ERROR && n > len;
}

static bool is_same_byte(const uint8_t *s, uint64_t n)
{
	return n >= SAME_BYTE_MIN && !memcmp(s, s + 1, (size_t)(n - 1));
}

/* Latin-1, KOI8 and their like: not one control byte in the whole file, and mostly words. */
static bool is_old_text(const uint8_t *s, uint64_t n)
{
	uint64_t words = 0;
	uint64_t high = 0;

	if (n < OLD_TEXT_MIN)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		if (s[i] < 0x80 && foreign_text_char(s + i, 1) == 0)
			return false;
		words += isalpha(s[i]) || s[i] == ' ';
		high += s[i] >= 0x80;
	}
	return words + high > n / 2 && high < n / 2;
}

/* Text with a few bytes that are none: marks of pages, codes of a printer or terminal, letters of
 * other encodings. Machine code has zeros. */
static bool is_mostly_text(const uint8_t *s, uint64_t n)
{
	uint64_t plain = 0;

	if (n < OLD_TEXT_MIN || memchr(s, 0, (size_t)n))
		return false;
	for (uint64_t i = 0; i < n; i++)
		plain += isprint(s[i]) || (s[i] >= '\t' && s[i] <= '\r');
	return plain > n / 4 * 3;
}

/* A heading in words, as sciences and uploads by a browser begin. Strings of a program that come
 * first are shorter, or have no words. */
static bool is_headed(const uint8_t *s, uint64_t n)
{
	unsigned blanks = 0;
	uint64_t i;

	for (i = 0; i < n && i < HEADING_MIN; i++) {
		if (!isprint(s[i]) && !isspace(s[i]))
			return false;
		blanks += isspace(s[i]) != 0;
	}
	return i == HEADING_MIN && blanks >= 4;
}

/* What a browser or curl sends: the parts that a server should have taken apart. */
static bool is_upload(const uint8_t *s, uint64_t n)
{
	static const char part[] = "\r\nContent-Disposition: form-data";

	return n > 2 && !memcmp(s, "--", 2) &&
	       memmem(s, (size_t)MIN(n, (uint64_t)UPLOAD_MAX), part, sizeof part - 1);
}

/* What ends a file (fixed VHD and DMG disks, Targa pictures). */
static bool ends_with(const uint8_t *s, uint64_t n, uint64_t back, const char *magic, size_t len)
{
	return n > back && !memcmp(s + n - back, magic, len);
}

static bool is_vhd(const uint8_t *s, uint64_t n)
{
	return ends_with(s, n, 512, "conectix", 8);
}

static bool is_dmg(const uint8_t *s, uint64_t n)
{
	return ends_with(s, n, 512, "koly\0\0\0\4", 8);
}

static bool is_targa(const uint8_t *s, uint64_t n)
{
	return ends_with(s, n, 18, "TRUEVISION-XFILE.", 18);
}

static const struct foreign_row looks[] = {
	{is_dos_program, {"a program of MS-DOS or Windows", ADVICE_PROGRAM, 0}},
	{is_upload, {"an upload with its wrapping (multipart/form-data)", ADVICE_PAGE, 0}},
	{is_bzip2, {"bzip2 data", ADVICE_UNPACK, MAY_BE_A_PARTITION}},
	{is_zlib, {"zlib data", ADVICE_UNPACK, MAY_BE_A_PARTITION}},
	{is_lzma, {"lzma data", ADVICE_UNPACK, MAY_BE_A_PARTITION}},
	{is_bmp, {"a picture (BMP)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_jpeg, {"a picture (JPEG)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_tiff, {"a picture (TIFF)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_swf, {"a film (Flash)", ADVICE_DOCUMENT, 0}},
	{is_shapefile, {"a map (shapefile)", ADVICE_DOCUMENT, 0}},
	{is_gds, {"a layout of a chip (GDSII)", ADVICE_DOCUMENT, 0}},
	{is_lha, {"an archive (LHA)", ADVICE_UNPACK, 0}},
	{is_icon, {"a picture (icon)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_targa, {"a picture (Targa)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_font, {"a font (TrueType or OpenType)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION}},
	{is_mp3, {"a sound (MP3 or AAC)", ADVICE_DOCUMENT, 0}},
	{is_transport_stream, {"a film (MPEG transport stream)", ADVICE_DOCUMENT, 0}},
	{is_iff, {"a file of chunks (RIFF or IFF: a sound, picture or film)", ADVICE_DOCUMENT, 0}},
	{is_boxes, {"a film or picture (MP4 and its like)", ADVICE_DOCUMENT, 0}},
	{is_stl, {"a 3D model (STL)", ADVICE_DOCUMENT, 0}},
	{is_old_tar, {"a tar archive", ADVICE_UNPACK, 0}},
	{is_python, {"a compiled module of Python", ADVICE_PROGRAM, 0}},
	{is_pickle, {"data of Python (pickle)", ADVICE_DOCUMENT, 0}},
	{is_ppu, {"a compiled unit of Free Pascal", ADVICE_LINK, 0}},
	{is_coff, {"an object file (COFF)", ADVICE_LINK, 0}},
	{is_omf, {"an object file (OMF)", "convert it to Intel HEX", 0}},
	{is_terminfo, {"a compiled description of a terminal (terminfo)", ADVICE_DOCUMENT, 0}},
	{is_der, {"a key or certificate (DER)", ADVICE_TEXT, 0}},
	{is_pgp, {"a key or message of OpenPGP", ADVICE_TEXT, 0}},
	{is_dbase, {"a database (dBase)", ADVICE_DOCUMENT, 0}},
	{is_vhd, {"a disk of a virtual machine (VHD)", ADVICE_DOCUMENT, 0}},
	{is_dmg, {"a disk image of macOS (DMG)", ADVICE_DOCUMENT, 0}},
	{is_disk, {"an image of a whole disk, with a table of partitions",
			  "give the image of the one memory", MAY_BE_A_PARTITION | MAY_BE_A_DISK}},
	{is_old_text, {"a text file in an 8-bit encoding", ADVICE_TEXT, 0}},
	{is_mostly_text, {"a text file with bytes that are not text", ADVICE_TEXT, 0}},
	{is_headed,
		{"a file that begins with a heading of words", ADVICE_TEXT, MAY_BE_A_PARTITION}},
	{is_same_byte, {"one byte repeated", "an empty memory is erased, not written",
			       MAY_BE_A_PARTITION}},
};

const struct foreign_kind *foreign_first(
	const struct foreign_row *row, size_t rows, const uint8_t *bytes, uint64_t n)
{
	for (size_t i = 0; i < rows; i++)
		if (row[i].is(bytes, n))
			return &row[i].kind;
	return NULL;
}

const struct foreign_kind *foreign_by_structure(const uint8_t *bytes, uint64_t n)
{
	const struct foreign_kind *k = foreign_by_data(bytes, n);

	if (!k)
		k = foreign_by_media(bytes, n);
	if (!k)
		k = foreign_by_text(bytes, n);
	return k ? k : foreign_first(looks, ARRAY_LEN(looks), bytes, n);
}
