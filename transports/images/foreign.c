/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/foreign.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/util.h"

/* Shorter ones may be a setting of the unit. */
#define SAME_BYTE_MIN 128
#define TEXT_MIN      8
#define OLD_TEXT_MIN  64

enum { MAY_BE_A_PARTITION = 1 };

struct magic {
	uint64_t at;
	const char *bytes;
	size_t len;
	struct foreign is;
	unsigned flags;
};

#define ADVICE_PAGE	"download the file itself"
#define ADVICE_UNPACK	"unpack it first"
#define ADVICE_PROGRAM	"give the firmware that was built for the unit"
#define ADVICE_DOCUMENT "give the firmware file that belongs to it"
#define ADVICE_LINK	"link it first"
#define ADVICE_TEXT	"give the firmware file itself"

#define MAGIC(offset, text, name, hint, flags)                              \
	{                                                                   \
		(offset), (text), sizeof(text) - 1, {(name), (hint)}, flags \
	}

/* By what the formats say of themselves; those with fewer than 4 fixed bytes are checked further
 * below. */
static const struct magic magics[] = {
	MAGIC(0, "version https://git-lfs", "a pointer of git-lfs",
		"fetch the content (git lfs pull)", 0),
	MAGIC(0, "/annex/objects/", "a pointer of git-annex", "fetch the content (git annex get)",
		0),
	MAGIC(0, "# v2 git bundle", "a bundle of git", ADVICE_TEXT, 0),
	MAGIC(0, "\x1f\x8b\x08", "gzip data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "\xfd\x37zXZ\0", "xz data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "\x28\xb5\x2f\xfd", "zstd data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "\x04\x22\x4d\x18", "lz4 data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "\x02\x21\x4c\x18", "lz4 data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "\x89LZO\0\r\n\x1a\n", "lzop data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "LZIP\x01", "lzip data", ADVICE_UNPACK, 0),
	MAGIC(0, "PK\3\4", "a zip archive", ADVICE_UNPACK, 0),
	MAGIC(0, "PK\5\6", "an empty zip archive", ADVICE_TEXT, 0),
	MAGIC(0, "PK\7\x08", "a zip archive in parts", ADVICE_UNPACK, 0),
	MAGIC(0, "7z\xbc\xaf\x27\x1c", "a 7z archive", ADVICE_UNPACK, 0),
	MAGIC(0, "Rar!\x1a\x07", "a rar archive", ADVICE_UNPACK, 0),
	MAGIC(0, "MSCF\0\0\0\0", "a cabinet archive", ADVICE_UNPACK, 0),
	MAGIC(257, "ustar", "a tar archive", ADVICE_UNPACK, 0),
	MAGIC(0, "070701", "a cpio archive", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "070702", "a cpio archive", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "!<arch>\n", "a library or Debian package (ar)", ADVICE_LINK, 0),
	MAGIC(0, "\xed\xab\xee\xdb", "an RPM package", ADVICE_UNPACK, 0),
	MAGIC(0x8001, "CD001", "a CD image (ISO 9660)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "QFI\xfb", "a disk of a virtual machine (qcow2)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "KDMV", "a disk of a virtual machine (VMDK)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "vhdxfile", "a disk of a virtual machine (VHDX)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "%PDF-", "a PDF document", ADVICE_DOCUMENT, 0),
	MAGIC(0, "%!PS-Adobe", "a PostScript document", ADVICE_DOCUMENT, 0),
	MAGIC(0, "{\\rtf", "an RTF document", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Microsoft Office (OLE)",
		ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x89PNG\r\n\x1a\n", "a picture (PNG)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "\xff\xd8\xff\xe0", "a picture (JPEG)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "\xff\xd8\xff\xe1", "a picture (JPEG)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "\xff\xd8\xff\xdb", "a picture (JPEG)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "\xff\xd8\xff\xee", "a picture (JPEG)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "GIF87a", "a picture (GIF)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "GIF89a", "a picture (GIF)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(8, "WEBP", "a picture (WebP)", ADVICE_DOCUMENT, 0),
	MAGIC(8, "WAVEfmt ", "a sound (WAV)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "OggS\0", "a sound or film (Ogg)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "fLaC\0", "a sound (FLAC)", ADVICE_DOCUMENT, 0),
	MAGIC(4, "ftypisom", "a film (MP4)", ADVICE_DOCUMENT, 0),
	MAGIC(4, "ftypmp4", "a film (MP4)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x1a\x45\xdf\xa3", "a film (Matroska)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "SQLite format 3\0", "a database (SQLite)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xca\xfe\xba\xbe", "a program of Java or macOS", ADVICE_PROGRAM, 0),
	MAGIC(0, "\xcf\xfa\xed\xfe", "a program of macOS (Mach-O)", ADVICE_PROGRAM, 0),
	MAGIC(0, "\xce\xfa\xed\xfe", "a program of macOS (Mach-O)", ADVICE_PROGRAM, 0),
	MAGIC(0, "\0asm\1\0\0\0", "a WebAssembly program", ADVICE_PROGRAM, 0),
	MAGIC(0, "BC\xc0\xde", "bitcode of LLVM (an object of -flto)", ADVICE_LINK, 0),
	MAGIC(0, "\xde\xc0\x17\x0b", "bitcode of LLVM (an object of -flto)", ADVICE_LINK, 0),
	MAGIC(0, "JM\1\0PK\3\4", "a module of Java", ADVICE_PROGRAM, 0),
	MAGIC(0, "\xde\x12\x04\x95", "a catalogue of messages (gettext)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x95\x04\x12\xde", "a catalogue of messages (gettext)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "TZif", "a time zone", ADVICE_DOCUMENT, 0),
	MAGIC(0, "OTTO\0", "a font (OpenType)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "wOFF", "a font (WOFF)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "wOF2", "a font (WOFF)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "dex\n03", "a program of Android (DEX)", ADVICE_PROGRAM, 0),
	MAGIC(0, "Cr24", "an extension of a browser", ADVICE_DOCUMENT, 0),
};

/* Of texts: what the first bytes say, in any case, after blanks and a byte order mark. */
static const struct {
	const char *begins;
	struct foreign is;
} texts[] = {
	{"<!doctype html", {"a web page (HTML)", ADVICE_PAGE}},
	{"<html", {"a web page (HTML)", ADVICE_PAGE}},
	{"<head", {"a web page (HTML)", ADVICE_PAGE}},
	{"<body", {"a web page (HTML)", ADVICE_PAGE}},
	{"<!--", {"a web page or XML text", ADVICE_PAGE}},
	{"<script", {"a web page (HTML)", ADVICE_PAGE}},
	{"<?xml", {"XML text", ADVICE_PAGE}},
	{"<svg", {"a picture (SVG)", ADVICE_DOCUMENT}},
	{"<error", {"XML text", ADVICE_PAGE}},
	{"-----begin ", {"a key or certificate (PEM)", ADVICE_TEXT}},
	{"#!", {"a script", ADVICE_TEXT}},
	{"diff --git", {"a patch", ADVICE_TEXT}},
};

static const struct foreign plain_text = {"a text file", ADVICE_TEXT};
static const struct foreign json_text = {"JSON text", ADVICE_PAGE};
static const struct foreign verilog = {
	"a Verilog memory file", "convert it to Intel HEX (objcopy -O ihex)"};
static const struct foreign dos_program = {"a program of MS-DOS or Windows", ADVICE_PROGRAM};
static const struct foreign bzip2 = {"bzip2 data", ADVICE_UNPACK};
static const struct foreign bmp = {"a picture (BMP)", ADVICE_DOCUMENT};
static const struct foreign mp3 = {"a sound (MP3)", ADVICE_DOCUMENT};
static const struct foreign old_tar = {"a tar archive", ADVICE_UNPACK};
static const struct foreign utf16 = {"text in UTF-16", "save it as ASCII"};
static const struct foreign python = {"a compiled module of Python", ADVICE_PROGRAM};
static const struct foreign old_text = {"a text file in an 8-bit encoding", ADVICE_TEXT};
static const struct foreign same_byte = {
	"one byte repeated", "an empty memory is erased, not written"};

/* UTF-8 (RFC 3629): how many bytes the character at s has; 0: it is none. */
static size_t text_char(const uint8_t *s, uint64_t n)
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

bool foreign_is_text(const uint8_t *bytes, uint64_t n)
{
	size_t k = 0;

	for (uint64_t i = 0; i < n; i += k) {
		k = text_char(bytes + i, n - i);
		if (k == 0)
			return false;
	}
	return n > 0;
}

static bool begins_with(const uint8_t *s, uint64_t n, const char *text)
{
	size_t len = strlen(text);

	return n >= len && !strncasecmp((const char *)s, text, len);
}

static uint64_t skip_blanks(const uint8_t *s, uint64_t n)
{
	uint64_t at = n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3) ? 3 : 0;

	while (at < n && isspace(s[at]))
		at++;
	return at;
}

/* Pages are recognised although a byte of them is in another encoding than UTF-8. */
static const struct foreign *by_beginning(const uint8_t *s, uint64_t n)
{
	uint64_t at = skip_blanks(s, n);

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (begins_with(s + at, n - at, texts[i].begins))
			return &texts[i].is;
	return NULL;
}

bool foreign_is_page(const struct foreign *f)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (f == &texts[i].is)
			return true;
	return false;
}

static const struct foreign *text_of(const uint8_t *s, uint64_t n)
{
	uint64_t at = skip_blanks(s, n);

	if (n < TEXT_MIN || !foreign_is_text(s, n))
		return NULL;
	if (at < n && s[at] == '@' && at + 1 < n && isxdigit(s[at + 1]))
		return &verilog;
	return at < n && (s[at] == '{' || s[at] == '[') ? &json_text : &plain_text;
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

static bool is_bmp(const uint8_t *s, uint64_t n)
{
	struct rbytes b = rbytes_of(s, (size_t)MIN(n, 14u));
	const uint8_t *magic = rb_take(&b, 2);
	uint32_t size = rb_le32(&b);

	return magic && !memcmp(magic, "BM", 2) && rb_le32(&b) == 0 && size == n && !b.bad;
}

static bool is_mp3(const uint8_t *s, uint64_t n)
{
	return n >= 10 && !memcmp(s, "ID3", 3) && s[3] <= 4 && s[4] == 0 && !(s[5] & 0x0f) &&
	       !((s[6] | s[7] | s[8] | s[9]) & 0x80);
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

/* A byte order mark, and ASCII after it. */
static bool is_utf16(const uint8_t *s, uint64_t n)
{
	size_t low = n > 0 && s[0] == 0xff ? 0 : 1;
	uint64_t end = MIN(n, 64u);

	if (n < 4 || (memcmp(s, "\xff\xfe", 2) && memcmp(s, "\xfe\xff", 2)))
		return false;
	for (uint64_t i = 2; i + 1 < end; i += 2)
		if (s[i + 1 - low] || text_char(s + i + low, 1) != 1)
			return false;
	return true;
}

/* A number of the version, CR LF, and flags of which two are in use (PEP 552). */
static bool is_python(const uint8_t *s, uint64_t n)
{
	return n >= 16 && s[2] == '\r' && s[3] == '\n' && s[1] >= 0x0b && s[1] <= 0x0f &&
	       s[4] <= 3 && !s[5] && !s[6] && !s[7];
}

/* Latin-1, KOI8 and their like: not one control byte in the whole file, and mostly words. */
static bool is_old_text(const uint8_t *s, uint64_t n)
{
	uint64_t words = 0;
	uint64_t high = 0;

	if (n < OLD_TEXT_MIN)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		if (s[i] < 0x80 && text_char(s + i, 1) == 0)
			return false;
		words += isalpha(s[i]) || s[i] == ' ';
		high += s[i] >= 0x80;
	}
	return words + high > n / 2 && high < n / 2;
}

static bool is_same_byte(const uint8_t *s, uint64_t n)
{
	return n >= SAME_BYTE_MIN && !memcmp(s, s + 1, (size_t)(n - 1));
}

static const struct {
	bool (*is)(const uint8_t *s, uint64_t n);
	const struct foreign *what;
	unsigned flags;
} looks[] = {
	{is_dos_program, &dos_program, 0},
	{is_utf16, &utf16, 0},
	{is_bzip2, &bzip2, MAY_BE_A_PARTITION},
	{is_bmp, &bmp, MAY_BE_A_PARTITION},
	{is_mp3, &mp3, 0},
	{is_old_tar, &old_tar, 0},
	{is_python, &python, 0},
	{is_old_text, &old_text, 0},
	{is_same_byte, &same_byte, MAY_BE_A_PARTITION},
};

static bool concerns(unsigned flags, enum foreign_use use)
{
	return use == FOREIGN_ADDRESSES || !(flags & MAY_BE_A_PARTITION);
}

const struct foreign *foreign_of(const uint8_t *bytes, uint64_t n, enum foreign_use use)
{
	const struct foreign *f = by_beginning(bytes, n);

	for (size_t i = 0; !f && i < ARRAY_LEN(magics); i++) {
		const struct magic *m = &magics[i];

		if (concerns(m->flags, use) && n >= m->at + m->len &&
			!memcmp(bytes + m->at, m->bytes, m->len))
			f = &m->is;
	}
	for (size_t i = 0; !f && i < ARRAY_LEN(looks); i++)
		if (concerns(looks[i].flags, use) && looks[i].is(bytes, n))
			f = looks[i].what;
	return f ? f : text_of(bytes, n);
}
