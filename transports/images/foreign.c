/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/foreign.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "transports/images/foreign_impl.h"
#include "transports/images/opinion.h"

#define TEXT_MIN 8

struct magic {
	uint64_t at;
	const char *bytes;
	size_t len;
	struct foreign_kind is;
};

#define MAGIC(offset, text, name, hint, flags)      \
	{                                           \
		(offset), (text), sizeof(text) - 1, \
		{                                   \
			(name), (hint), (flags)     \
		}                                   \
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
	MAGIC(0, "\x06\x22\x4d\x18", "lizard data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
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
	MAGIC(0, "ttcf\0", "a font (a collection)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "\x93NUMPY", "a data set (NumPy)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x89HDF\r\n\x1a\n", "a data set (HDF5)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "PAR1", "a data set (Parquet)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "ARROW1\0\0", "a data set (Arrow)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x1bLua", "a compiled program of Lua", ADVICE_PROGRAM, 0),
	MAGIC(0, "\x1bLJ\2", "a compiled program of Lua", ADVICE_PROGRAM, 0),
	MAGIC(0, "Caml1999", "an object of OCaml", ADVICE_LINK, 0),
	MAGIC(0, "gpch", "a precompiled header", ADVICE_LINK, 0),
	MAGIC(0, "CPCH", "a precompiled header", ADVICE_LINK, 0),
	MAGIC(0, "rust\0\0\0", "an object of Rust", ADVICE_LINK, 0),
	MAGIC(0, "\xe2\x9c\xa8\x0e", "a module of Swift", ADVICE_LINK, 0),
	MAGIC(0, "\x03\x02\x23\x07", "a program of a graphics card (SPIR-V)", ADVICE_PROGRAM, 0),
	MAGIC(0, "MDMP", "a memory dump of Windows", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x1f\x9d\x90", "compressed data (compress)", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "VIMspell", "a dictionary of Vim", ADVICE_DOCUMENT, 0),
	MAGIC(0, "VIMsug", "a dictionary of Vim", ADVICE_DOCUMENT, 0),
	MAGIC(0, "glibc-ld.so.cache", "a cache of the loader of Linux", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x04\xfc\x02\xfc", "a cache of fonts", ADVICE_DOCUMENT, 0),
	MAGIC(0, "MIME-", "a database of MIME types", ADVICE_DOCUMENT, 0),
	MAGIC(0, "Obj\x01", "a data set (Avro)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "CDF\x01", "a data set (NetCDF)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "CDF\x02", "a data set (NetCDF)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x0e\x03\x13\x01", "a data set (HDF4)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "RDX2\n", "a data set (R)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "RDX3\n", "a data set (R)", ADVICE_DOCUMENT, 0),
	MAGIC(128, "DICM", "a picture (DICOM)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xff\x4f\xff\x51", "a picture (JPEG 2000)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xff\x06\0\0sNaPpY", "snappy data", ADVICE_UNPACK, MAY_BE_A_PARTITION),
	MAGIC(0, "\xfftOc\0\0\0\x02", "an index of git", ADVICE_TEXT, 0),
	MAGIC(0, "book\0\0\0\0mark", "an alias of macOS", ADVICE_TEXT, 0),
	MAGIC(0, "NIBArchive", "a window of macOS", ADVICE_DOCUMENT, 0),
	MAGIC(0, "oat\n", "a program of Android (OAT)", ADVICE_PROGRAM, 0),
	MAGIC(4, "SCCA", "a prefetch file of Windows", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "a notebook of OneNote", ADVICE_DOCUMENT, 0),
	MAGIC(0, "hibr\0", "the memory of a sleeping Windows", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x01\xfa\xce\x64", "an object of Haskell", ADVICE_LINK, 0),
	MAGIC(12, "\x62\x31\x05\0", "a database (Berkeley DB)", ADVICE_DOCUMENT, 0),
	MAGIC(12, "\x61\x15\x06\0", "a database (Berkeley DB)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "LPKSHHRH", "a journal of systemd", ADVICE_DOCUMENT, 0),
	MAGIC(0, "<<< Oracle VM", "a disk of a virtual machine (VDI)", ADVICE_DOCUMENT, 0),
	MAGIC(16, "\xde\xc0\xef\xbe", "a database (LMDB)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "Cr24", "an extension of a browser", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\0\x05\x16\x07\0\x02\0\0", "what macOS keeps next to a file (AppleDouble)",
		"give the file without '._' before its name", 0),
	MAGIC(0, "\0\x05\x16\0\0\x02\0\0", "a file with a wrapping of macOS (AppleSingle)",
		ADVICE_UNPACK, 0),
	MAGIC(0, "verity\0\0\1\0\0\0", "a hash tree of dm-verity", ADVICE_PROGRAM,
		MAY_BE_A_PARTITION | MAY_BE_A_DISK),
	MAGIC(0, "AVB0\0\0\0\1", "a vbmeta image (Android Verified Boot)", ADVICE_PROGRAM,
		MAY_BE_A_PARTITION | MAY_BE_A_DISK),
	MAGIC(0, "age-encryption.org/v1\n", "an encrypted file (age)", "decrypt it first", 0),
	MAGIC(0, "KSLPHHRH", "a database of udev", ADVICE_DOCUMENT, 0),
	MAGIC(0, "RHHHKSLP", "a catalogue of systemd", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xb0\x07\xf4\x57\0", "an index of kernel modules", ADVICE_DOCUMENT, 0),
	MAGIC(0, "PERFILE2", "a recording of perf", ADVICE_DOCUMENT, 0),
	MAGIC(0, "LOGG\x90\0\0\0", "a recording of a bus (BLF)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "MDF     ", "a recording of measurements (MDF)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "TDSm", "a recording of measurements (TDMS)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "RSRC\r\n\0\x03", "a program of LabVIEW", ADVICE_PROGRAM, 0),
	MAGIC(0, "\xac\xed\0\x05", "an object of Java", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x3c\xb8\x64\x18\xca\xef\x9c\x95", "a catalogue of messages (Qt)",
		ADVICE_DOCUMENT, 0),
	MAGIC(0, "zsync: ", "a recipe of a download (zsync)", "download the file itself", 0),
	MAGIC(0, "lmgg", "a trained model (GGML)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "tjgg", "a trained model (GGML)", ADVICE_DOCUMENT, MAY_BE_A_PARTITION),
	MAGIC(0, "GVariant", "resources of a program (GResource)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "ld.so-1.7.0", "a cache of the loader of Linux", ADVICE_DOCUMENT, 0),
	MAGIC(0, "YUV4MPEG2 ", "a film (YUV4MPEG2)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "DKIF\0\0\x20\0", "a film (IVF)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "DSD \x1c\0\0\0", "a sound (DSF)", ADVICE_DOCUMENT, 0),
	MAGIC(1080, "M.K.", "music (a module of a tracker)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xf7\x02\x01\x83\x92\xc0\x1c\x3b", "a document (DVI)", ADVICE_DOCUMENT, 0),
	MAGIC(0, ";ELC", "a compiled program of Emacs", ADVICE_PROGRAM, 0),
	MAGIC(0, "\xce\xca\xef\xbe\1\0\0\0", "resources of .NET", ADVICE_DOCUMENT, 0),
	MAGIC(0, "Microsoft Linker Database", "a database of a linker", ADVICE_LINK, 0),
	MAGIC(0, "RRD\0000", "a database of measurements (RRD)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\x3f\xd7\x6c\x17", "an index of Lucene", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\0\0\0\1Bud1", "what macOS keeps of a folder (.DS_Store)", ADVICE_TEXT, 0),
	MAGIC(0, "\xffWPC", "a document of WordPerfect", ADVICE_DOCUMENT, 0),
	MAGIC(0, "?_\3\0", "a help file of Windows", ADVICE_DOCUMENT, 0),
	MAGIC(0, "PAGEDUMP", "a memory dump of Windows", ADVICE_DOCUMENT, 0),
	MAGIC(0, "PAGEDU64", "a memory dump of Windows", ADVICE_DOCUMENT, 0),
	MAGIC(2, "\xda\x27\x14\0\0\0\0\0\2\0", "data of ICU", ADVICE_DOCUMENT, 0),
	MAGIC(0, "\xa2\xab\x0b\xf0", "an archive of classes of Java", ADVICE_PROGRAM, 0),
	MAGIC(0, "\1\0\4TZDB\0", "time zones of Java", ADVICE_DOCUMENT, 0),
	MAGIC(0, "XMLb", "XML text (compiled)", ADVICE_DOCUMENT, 0),
	MAGIC(0, "<SALEAE>", "a recording of signals (Saleae)", ADVICE_DOCUMENT, 0),
	MAGIC(25, "\x69\x57\x14\x8b\x0a\xbf\x05\x40", "a recording of signals (FST)",
		ADVICE_DOCUMENT, 0),
};

/* Of texts: what the first bytes say, in any case, after blanks and a byte order mark. */
static const struct {
	const char *begins;
	struct foreign_kind is;
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
	{"HTTP/1.", {"an answer of a web server, with its headers", ADVICE_PAGE}},
	{"-----begin ", {"a key or certificate (PEM)", ADVICE_TEXT}},
	{"#!", {"a script", ADVICE_TEXT}},
	{"diff --git", {"a patch", ADVICE_TEXT}},
};

static const struct foreign_kind plain_text = {"a text file", ADVICE_TEXT};
static const struct foreign_kind json_text = {"JSON text", ADVICE_PAGE};
static const struct foreign_kind verilog = {
	"a Verilog memory file", "convert it to Intel HEX (objcopy -O ihex)"};

bool foreign_is_text(const uint8_t *bytes, uint64_t n)
{
	size_t k = 0;

	for (uint64_t i = 0; i < n; i += k) {
		k = foreign_text_char(bytes + i, n - i);
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
static const struct foreign_kind *by_beginning(const uint8_t *s, uint64_t n)
{
	uint64_t at = skip_blanks(s, n);

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (begins_with(s + at, n - at, texts[i].begins))
			return &texts[i].is;
	return NULL;
}

static const struct foreign_kind *text_of(const uint8_t *s, uint64_t n)
{
	uint64_t at = skip_blanks(s, n);

	if (n < TEXT_MIN || !foreign_is_text(s, n))
		return NULL;
	if (at < n && s[at] == '@' && at + 1 < n && isxdigit(s[at + 1]))
		return &verilog;
	return at < n && (s[at] == '{' || s[at] == '[') ? &json_text : &plain_text;
}

static const struct foreign_kind *by_magic(const uint8_t *s, uint64_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		const struct magic *m = &magics[i];

		if (n >= m->at + m->len && !memcmp(s + m->at, m->bytes, m->len))
			return &m->is;
	}
	return NULL;
}

static bool concerns(const struct foreign_kind *k, enum foreign_use use)
{
	return use == FOREIGN_ADDRESSES ||
	       (use == FOREIGN_PARTITION && !(k->flags & MAY_BE_A_PARTITION)) ||
	       (use == FOREIGN_DEVICE && !(k->flags & MAY_BE_A_DISK));
}

/* -- what libmagic says -- */

/* What its descriptions of firmware and of file systems have in them, at the beginning of a word.
 */
static const char *const firmware_words[] = {
	"android boot",
	"android sparse",
	"bios",
	"bitstream",
	"boot",
	"cartridge",
	"cramfs",
	"cromfs",
	"device tree",
	"efi",
	"erofs",
	"esp-idf",
	"esp32",
	"ext2",
	"ext3",
	"ext4",
	"f2fs",
	"fat (",
	"file system",
	"filesystem",
	"firmware",
	"fit image",
	"fpga",
	"initrd",
	"jffs",
	"kernel",
	"loader",
	"mbr",
	"microcode",
	"rom",
	"romfs",
	"serial flash",
	"squashfs",
	"trx",
	"ubi",
	"ubifs",
	"uefi",
	"uimage",
	"xilinx",
	"yaffs",
};

/* Kinds of MIME types that are for people and their programs, wherever they are to be written. */
static const char *const never[] = {
	"application/gpx",
	"application/json",
	"application/mac-",
	"application/msword",
	"application/pdf",
	"application/pgp",
	"application/postscript",
	"application/vnd.",
	"application/x-archive",
	"application/x-bytecode",
	"application/x-dosexec",
	"application/x-gettext",
	"application/x-hdf",
	"application/x-java",
	"application/x-numpy",
	"application/x-ole",
	"application/x-sqlite",
	"application/x-terminfo",
	"audio/",
	"message/",
	"model/",
	"text/",
	"video/",
};

static bool begins_a_word(const char *text, const char *word)
{
	for (const char *at = text; (at = strcasestr(at, word)); at++)
		if (at == text || !isalnum((unsigned char)at[-1]))
			return true;
	return false;
}

static bool is_never(const char *mime)
{
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (!strncmp(mime, never[i], strlen(never[i])))
			return true;
	return false;
}

static bool is_of_a_picture(const char *mime)
{
	return !strncmp(mime, "image/", 6) || !strncmp(mime, "font/", 5);
}

static bool opinion_is_foreign(const struct opinion *o, enum foreign_use use)
{
	if (is_never(o->mime))
		return true;
	if (use == FOREIGN_PARTITION)
		return false;
	if (is_of_a_picture(o->mime))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(firmware_words); i++)
		if (begins_a_word(o->text, firmware_words[i]))
			return false;
	return true;
}

static int by_opinion(
	const uint8_t *s, uint64_t n, enum foreign_use use, struct foreign *ret, struct err *e)
{
	struct opinion o;

	int r = opinion_of(s, n, &o, e);

	if (r <= 0 || !opinion_is_foreign(&o, use))
		return MIN(r, 0);
	snprintf(ret->what, sizeof ret->what, "'%s' (libmagic: %s)", o.text, o.mime);
	ret->hint = ADVICE_DOCUMENT;
	ret->page = false;
	return 1;
}

int foreign_look(
	const uint8_t *bytes, uint64_t n, enum foreign_use use, struct foreign *ret, struct err *e)
{
	const struct foreign_kind *page = by_beginning(bytes, n);
	const struct foreign_kind *k = foreign_by_package(bytes, n);

	if (!k)
		k = page ? page : by_magic(bytes, n);
	if (!k)
		k = text_of(bytes, n);
	if (!k)
		k = foreign_by_structure(bytes, n);
	if (!k)
		return by_opinion(bytes, n, use, ret, e);
	if (!concerns(k, use))
		return 0;
	snprintf(ret->what, sizeof ret->what, "%s", k->what);
	ret->hint = k->hint;
	ret->page = page != NULL;
	return 1;
}
