/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are not firmware, or not what their name says, as they come to a line: each with what
 * is to be said of it. For the tests of the gate and of the actions that use it.
 */
#pragma once

#include "base/strbuf.h"
#include "base/util.h"
#include "tests/unit/transports/image_files.h"

struct foreign_file {
	const char *name; /* of the file */
	const char *says; /* in the sentence */
	const char *bytes;
	size_t n;
	void (*make)(struct strbuf *b); /* instead of bytes */
	bool for_partition;		/* a partition may hold it */
};

static inline void make_tar(struct strbuf *b)
{
	unsigned sum = 0;
	char digits[8];

	sb_add(b, "firmware.bin");
	put_fill(b, 0, 124 - b->len);
	sb_add(b, "00000000010");
	put_fill(b, 0, 148 - b->len);
	sb_add(b, "        ");
	sb_add(b, "0");
	put_fill(b, 0, 257 - b->len);
	sb_add_n(b, "ustar\00000", 8);
	put_fill(b, 0, 512 - b->len);
	for (size_t i = 0; i < 512; i++)
		sum += (uint8_t)b->s[i];
	snprintf(digits, sizeof digits, "%06o", sum);
	memcpy(b->s + 148, digits, 7);
	put_fill(b, 7, 512);
}

static inline void make_old_tar(struct strbuf *b)
{
	unsigned sum = 0;
	char digits[8];

	make_tar(b);
	memset(b->s + 257, 0, 8);
	memset(b->s + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		sum += (uint8_t)b->s[i];
	snprintf(digits, sizeof digits, "%06o", sum);
	memcpy(b->s + 148, digits, 7);
}

static inline void make_iso(struct strbuf *b)
{
	put_fill(b, 0, 0x8000);
	sb_add(b, "\x01");
	sb_add(b, "CD001");
	put_fill(b, 1, 2042);
}

/* A PE of the days of MS-DOS: header of 4 paragraphs, the PE header at 0x80. */
static inline void make_windows_program(struct strbuf *b)
{
	static const uint8_t dos[] = {'M', 'Z', 0x90, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0xff, 0xff};

	sb_add_n(b, dos, sizeof dos);
	put_fill(b, 0, 0x3c - b->len);
	put_le(b, 0x80, 4);
	put_fill(b, 0, 0x80 - b->len);
	sb_add_n(b, "PE\0\0\x64\x86", 6);
	put_fill(b, 0x5a, 600);
}

static inline void make_bmp(struct strbuf *b)
{
	sb_add(b, "BM");
	put_le(b, 154, 4);
	put_le(b, 0, 4);
	put_le(b, 54, 4);
	put_fill(b, 9, 140);
}

static inline void make_blank(struct strbuf *b)
{
	put_fill(b, 0xff, 4096);
}

static inline void make_pattern(struct strbuf *b)
{
	put_fill(b, 0xa5, 512);
}

static inline void make_utf16(struct strbuf *b)
{
	static const char text[] = "the firmware is on the other disk";

	sb_add_n(b, "\xff\xfe", 2);
	for (size_t i = 0; text[i]; i++) {
		sb_add_n(b, &text[i], 1);
		put_fill(b, 0, 1);
	}
}

/* A dynamically linked program: PT_INTERP. */
static inline void make_program(struct strbuf *b)
{
	static const struct elf_kind kind = {.wide = true, .machine = 40};
	static const struct part p = {0x400000, (const uint8_t *)"/lib64/ld-linux.so", 19};

	write_elf(b, &kind, &p, 1);
	b->s[64] = 3; /* p_type of the first program header */
}

/* An object file that was not linked. */
static inline void make_object(struct strbuf *b)
{
	static const struct elf_kind kind = {.type = 1};
	static const struct part p = {0, (const uint8_t *)"code", 4};

	write_elf(b, &kind, &p, 1);
}

static inline void make_cut_hex(struct strbuf *b)
{
	static const uint8_t data[32] = "half of it";
	static const struct part p = {0x08000000, data, 32};

	write_ihex(b, &p, 1, 16);
	b->len -= 20;
}

static inline void put_be(struct strbuf *b, uint64_t v, unsigned n)
{
	for (unsigned i = n; i-- > 0;)
		put_le(b, v >> 8 * i & 0xff, 1);
}

static inline void make_raw(struct strbuf *b)
{
	for (unsigned i = 0; i < 300; i++)
		put_le(b, i * 2654435761u, 4);
}

/* Four tables in the order of their names. */
static inline void make_font(struct strbuf *b)
{
	static const char *const tags[] = {"cmap", "glyf", "head", "loca"};

	put_be(b, 0x00010000, 4);
	put_be(b, 4, 2);
	put_be(b, 0x00400002, 4);
	put_be(b, 0, 2);
	for (unsigned i = 0; i < 4; i++) {
		sb_add(b, tags[i]);
		put_be(b, 0x12345678, 4);
		put_be(b, 76 + 16 * i, 4);
		put_be(b, 16, 4);
	}
	put_fill(b, 3, 64);
}

/* An entry without flags and numbers, with one string. */
static inline void make_terminfo(struct strbuf *b)
{
	static const uint16_t head[] = {0x011a, 14, 0, 0, 1, 4};

	for (unsigned i = 0; i < 6; i++)
		put_le(b, head[i], 2);
	sb_add_n(b, "vt|a terminal", 14);
	put_le(b, 0, 2);
	sb_add_n(b, "\x1b[m", 4);
}

static inline void make_ppu(struct strbuf *b)
{
	sb_add(b, "PPU207");
	put_fill(b, 0x14, 60);
}

/* SEQUENCE of a SEQUENCE and a BIT STRING, as in every certificate. */
static inline void make_der(struct strbuf *b)
{
	sb_add_n(b, "\x30\x82\x01\x08\x30\x82\x01\x00", 8);
	put_fill(b, 0x81, 256);
	sb_add_n(b, "\x03\x02\x00\x55", 4);
}

static inline void make_pgp(struct strbuf *b)
{
	sb_add_n(b, "\x99\x00\x06\x04\x5e\x11\x22\x33\x01", 9);
	sb_add_n(b, "\xb4\x04name", 6);
	sb_add_n(b, "\x89\x00\x04\x04\x13\x01\x08", 7);
}

static inline void make_pickle(struct strbuf *b)
{
	sb_add_n(b, "\x80\x04\x95\x0a\0\0\0\0\0\0\0", 11);
	sb_add_n(b, "]\x94(K\x01K\x02Ke.", 10);
}

static inline void make_coff(struct strbuf *b)
{
	put_le(b, 0x8664, 2);
	put_le(b, 1, 2);
	put_le(b, 0x5e112233, 4);
	put_le(b, 60, 4);
	put_le(b, 1, 4);
	put_le(b, 0, 4);
	sb_add_n(b, ".text\0\0\0", 8);
	put_fill(b, 0, 50);
}

static inline void omf_record(struct strbuf *b, uint8_t type, const char *body, size_t n)
{
	uint8_t sum = type;

	put_le(b, type, 1);
	put_le(b, n + 1, 2);
	sb_add_n(b, body, n);
	sum += (n + 1) & 0xff;
	for (size_t i = 0; i < n; i++)
		sum += (uint8_t)body[i];
	put_le(b, (uint8_t)-sum, 1);
}

static inline void make_omf(struct strbuf *b)
{
	omf_record(b, 0x80, "\4main", 5);
	omf_record(b, 0x96, "\4CODE", 5);
	omf_record(b, 0x98, "\x28\1\0\1\1\1", 6);
}

static inline void make_dbase(struct strbuf *b)
{
	sb_add_n(b, "\x03\x7a\x05\x11", 4);
	put_le(b, 5, 4);
	put_le(b, 65, 2);
	put_le(b, 20, 2);
	put_fill(b, 0, 52);
	sb_add(b, "\r");
	put_fill(b, 'a', 100);
	sb_add(b, "\x1a");
	b->s[70] = 0;
}

static inline void make_stl(struct strbuf *b)
{
	put_fill(b, 7, 80);
	put_le(b, 3, 4);
	for (unsigned i = 0; i < 150; i++)
		put_le(b, i, 1);
}

static inline void make_film(struct strbuf *b)
{
	put_be(b, 16, 4);
	sb_add_n(b, "ftypqt  \0\0\0\0", 12);
	put_be(b, 24, 4);
	sb_add(b, "mdat");
	put_fill(b, 9, 16);
}

static inline void make_riff(struct strbuf *b)
{
	sb_add(b, "RIFF");
	put_le(b, 40, 4);
	sb_add(b, "ACON");
	put_fill(b, 9, 36);
}

static inline void make_stream(struct strbuf *b)
{
	for (unsigned i = 0; i < 8; i++) {
		sb_add(b, "G");
		put_fill(b, i, 187);
	}
}

static inline void make_aac(struct strbuf *b)
{
	for (unsigned i = 0; i < 6; i++) {
		sb_add_n(b, "\xff\xf1\x50\x80\x02\x1f\xfc", 7);
		put_fill(b, i, 9);
	}
}

static inline void make_lzma(struct strbuf *b)
{
	sb_add_n(b, "\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0", 14);
	put_fill(b, 0x37, 40);
}

/* Stored, of 40 bytes. */
static inline void make_zlib(struct strbuf *b)
{
	sb_add_n(b, "\x78\x01\x01\x28\0\xd7\xff", 7);
	put_fill(b, 1, 40);
	put_be(b, 860u << 16 | 41u, 4);
}

static inline void make_utf32(struct strbuf *b)
{
	for (const char *s = "not found, try again"; *s; s++)
		put_be(b, (uint8_t)*s, 4);
}

static inline void make_utf16_without_mark(struct strbuf *b)
{
	for (const char *s = "The page is not here."; *s; s++)
		put_le(b, (uint8_t)*s, 2);
}

static inline void make_vhd(struct strbuf *b)
{
	put_fill(b, 5, 1024);
	sb_add(b, "conectix");
	put_fill(b, 6, 504);
}

static inline void make_icon(struct strbuf *b)
{
	put_le(b, 1 << 16, 4);
	put_le(b, 1, 2);
	put_le(b, 0x1010, 4);
	put_le(b, 0x00200001, 4);
	put_le(b, 64, 4);
	put_le(b, 22, 4);
	put_fill(b, 8, 64);
}

/* 128 KiB with one partition by MBR. */
static inline void make_disk(struct strbuf *b)
{
	put_fill(b, 0x33, 446);
	put_le(b, 0x00020080, 4);
	put_le(b, 0x0020030c, 4);
	put_le(b, 64, 4);
	put_le(b, 192, 4);
	put_fill(b, 0, 48);
	put_le(b, 0xaa55, 2);
	for (unsigned i = 0; i < 32640; i++)
		put_le(b, i * 2654435761u, 4);
}

/* With a byte that no text has. */
static inline void make_nearly_text(struct strbuf *b)
{
	for (unsigned i = 0; i < 5; i++)
		sb_add(b, "\x0cINFO  boot: step of the log \x1f done\r\n");
}

static inline void make_tiff(struct strbuf *b)
{
	sb_add_n(b, "II*\0\x08\0\0\0\2\0", 10);
	sb_add_n(b, "\0\1\4\0\1\0\0\0\x10\0\0\0", 12);
	sb_add_n(b, "\1\1\4\0\1\0\0\0\x10\0\0\0", 12);
	put_fill(b, 3, 40);
}

static inline void make_dicom(struct strbuf *b)
{
	put_fill(b, 0, 128);
	sb_add_n(b, "DICM\2\0\0\0UL\4\0", 12);
}

/* What a browser sends for a file. */
static inline void make_form(struct strbuf *b)
{
	sb_add(b, "------Boundary7MA4YWxk\r\nContent-Disposition: form-data; name=\"file\"; "
		  "filename=\"fw.bin\"\r\n\r\n");
	make_raw(b);
}

#define BYTES(text) .bytes = (text), .n = sizeof(text) - 1

static const struct foreign_file foreign_files[] = {
	{"fw.uf2", "a web page (HTML)",
		BYTES("<!DOCTYPE html>\n<html><body>Not Found</body></html>\n")},
	{"fw.hex", "a web page (HTML)", BYTES("\xef\xbb\xbf\r\n  <HTML>\n:00000001FF\n</HTML>\n")},
	{"fw.elf", "a web page (HTML)", BYTES("<html lang=\"fr\"><p>caf\xe9</p></html>")},
	{"fw.bin", "a text file", BYTES("404: Not Found")},
	{"fw.bin", "an answer of a web server",
		BYTES("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n\x00\x80\x00\x20\xc1\x01\x00\x08")},
	{"fw.bin", "an upload with its wrapping",
		BYTES("------WebKitFormBoundary7MA4YWxk\r\nContent-Disposition: form-data; name=\"f\"; filename=\"fw.bin\"\r\n\r\n\x00\x80\x00\x20\xc1\x01")},
	{"._fw.bin", "AppleDouble", BYTES("\0\x05\x16\x07\0\x02\0\0Mac OS X        \0\x02")},
	{"fw.bin", "AppleSingle", BYTES("\0\x05\x16\0\0\x02\0\0Mac OS X        \0\x02")},
	{"fw.bin", "(age)", BYTES("age-encryption.org/v1\n-> X25519 a\n\x80\x81\x82\0")},
	{"hwdb.bin", "a database of udev", BYTES("KSLPHHRH\xfc\0\0\0\0\0\0\0")},
	{"fw.bin", "a catalogue of systemd", BYTES("RHHHKSLP\0\0\0\0\0\0\0\0")},
	{"modules.dep.bin", "an index of kernel modules",
		BYTES("\xb0\x07\xf4\x57\0\x02\0\x01\x20\0\x04\x11")},
	{"fw.bin", "perf", BYTES("PERFILE2\x68\0\0\0\0\0\0\0")},
	{"fw.bin", "(BLF)", BYTES("LOGG\x90\0\0\0\x02\x04\0\0")},
	{"fw.bin", "(MDF)", BYTES("MDF     4.10    \0\0\0\0\x9a\x01\0\0")},
	{"fw.bin", "(TDMS)", BYTES("TDSm\x0e\0\0\0\x69\x12\0\0")},
	{"fw.bin", "LabVIEW", BYTES("RSRC\r\n\0\x03LVINLBVW\0\0\x10\0")},
	{"fw.bin", "an object of Java", BYTES("\xac\xed\0\x05sr\0\x04\0\0\0\0")},
	{"fw.bin", "(Qt)",
		BYTES("\x3c\xb8\x64\x18\xca\xef\x9c\x95\xcd\x21\x1c\xbf\x60\xa1\xbd\xdd")},
	{"fw.bin", "(zsync)", BYTES("zsync: 0.6.2\nFilename: fw.bin\n\n\x80\x81\0\x01")},
	{"fw.bin", "XML text",
		BYTES("<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>")},
	{"fw.bin", "JSON text", BYTES("{\"message\": \"Not Found\", \"status\": 404}\n")},
	{"fw.bin", "JSON text", BYTES("[\n  {\"id\": 1}\n]\n")},
	{"fw.bin", "git-lfs",
		BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")},
	{"fw.hex", "git-lfs",
		BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")},
	{"fw.bin", "git-annex", BYTES("/annex/objects/SHA256E-s1048576--aa.bin\n")},
	{"fw.bin", "PEM", BYTES("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")},
	{"fw.bin", "a script", BYTES("#!/bin/sh\nexec true\n")},
	{"fw.bin", "a text file",
		BYTES("Stra\xc3\x9f"
		      "e 1\n\ttwo\n")},
	{"fw.bin", "text in UTF-16", .make = make_utf16},
	{"fw.bin", "gzip", BYTES("\x1f\x8b\x08\0\0\0\0\0\0\3\1\2\3\4"), .for_partition = true},
	{"fw.bin", "xz data", BYTES("\xfd\x37zXZ\0\0\4\1\2\3\4"), .for_partition = true},
	{"fw.bin", "zstd", BYTES("\x28\xb5\x2f\xfd\1\2\3\4"), .for_partition = true},
	{"fw.bin", "bzip2", BYTES("BZh91AY&SY\1\2\3\4"), .for_partition = true},
	{"fw.bin", "lz4", BYTES("\x04\x22\x4d\x18\1\2\3\4"), .for_partition = true},
	{"fw.bin", "lzip", BYTES("LZIP\x01\x0c\1\2\3\4")},
	{"fw.bin", "a zip archive", BYTES("PK\3\4\x14\0\0\0\1\2\3\4")},
	{"fw.bin", "an empty zip archive", BYTES("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
	{"fw.bin", "7z archive", BYTES("7z\xbc\xaf\x27\x1c\0\4\1\2")},
	{"fw.bin", "rar archive", BYTES("Rar!\x1a\x07\x01\0\1\2\3")},
	{"fw.bin", "tar archive", .make = make_tar},
	{"fw.bin", "tar archive", .make = make_old_tar},
	{"fw.bin", "cpio", BYTES("070701\0\0\1\2\3\4\5"), .for_partition = true},
	{"libfw.a", "(ar)", BYTES("!<arch>\nfw.o/           0           \1\2")},
	{"fw.bin", "RPM", BYTES("\xed\xab\xee\xdb\3\0\0\0\1\2")},
	{"fw.bin", "ISO 9660", .make = make_iso, .for_partition = true},
	{"fw.bin", "qcow2", BYTES("QFI\xfb\0\0\0\3\1\2\3\4")},
	{"fw.bin", "a PDF document", BYTES("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj")},
	{"fw.bin", "Office", BYTES("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\1\2")},
	{"fw.bin", "PNG", BYTES("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), .for_partition = true},
	{"fw.bin", "JPEG", BYTES("\xff\xd8\xff\xe0\0\x10JFIF\0\1"), .for_partition = true},
	{"fw.bin", "GIF", BYTES("GIF89a\1\0\1\0\0\0\0"), .for_partition = true},
	{"fw.bin", "BMP", .make = make_bmp, .for_partition = true},
	{"fw.bin", "SQLite", BYTES("SQLite format 3\0\x10\0\1\1")},
	{"fw.bin", "Java or macOS", BYTES("\xca\xfe\xba\xbe\0\0\0\x34\1\2")},
	{"fw.bin", "macOS", BYTES("\xcf\xfa\xed\xfe\7\0\0\1\1\2")},
	{"fw.bin", "WebAssembly", BYTES("\0asm\1\0\0\0\1\2")},
	{"fw.bin", "LLVM", BYTES("BC\xc0\xde\x35\x14\0\0\5\0\0\0")},
	{"fw.bin", "module of Java", BYTES("JM\1\0PK\3\4\x14\0\1\2")},
	{"fw.bin", "gettext", BYTES("\xde\x12\x04\x95\0\0\0\0\1\0\0\0")},
	{"fw.bin", "OpenType", BYTES("OTTO\0\x0b\0\x80\0\3\0\x30"), .for_partition = true},
	{"fw.bin", "Python", BYTES("\xa7\r\r\n\0\0\0\0\1\2\3\4\5\6\7\10\xe3\0")},
	{"fw.bin", "8-bit encoding",
		BYTES("Datei nicht gefunden: ung\xfcltiger Schl\xfcssel f\xfcr "
		      "firmware.bin\r\nBitte "
		      "erneut anmelden\r\n")},
	{"fw.exe", "MS-DOS or Windows", .make = make_windows_program},
	{"fw.bin", "one byte repeated", .make = make_blank, .for_partition = true},
	{"fw.bin", "one byte repeated", .make = make_pattern, .for_partition = true},
	{"fw.bin", "a font", .make = make_font, .for_partition = true},
	{"fw.bin", "terminfo", .make = make_terminfo},
	{"fw.bin", "Free Pascal", .make = make_ppu},
	{"fw.bin", "(DER)", .make = make_der},
	{"fw.bin", "OpenPGP", .make = make_pgp},
	{"fw.bin", "pickle", .make = make_pickle},
	{"fw.bin", "(COFF)", .make = make_coff},
	{"fw.bin", "(OMF)", .make = make_omf},
	{"fw.bin", "dBase", .make = make_dbase},
	{"fw.bin", "STL", .make = make_stl},
	{"fw.bin", "a film", .make = make_film},
	{"fw.bin", "RIFF", .make = make_riff},
	{"fw.bin", "transport stream", .make = make_stream},
	{"fw.bin", "AAC", .make = make_aac},
	{"fw.bin", "lzma", .make = make_lzma, .for_partition = true},
	{"fw.bin", "zlib", .make = make_zlib, .for_partition = true},
	{"fw.bin", "UTF-32", .make = make_utf32},
	{"fw.bin", "UTF-16", .make = make_utf16_without_mark},
	{"fw.bin", "(VHD)", .make = make_vhd},
	{"fw.bin", "(TIFF)", .make = make_tiff, .for_partition = true},
	{"fw.bin", "an upload with its wrapping", .make = make_form},
	{"fw.bin", "a heading of words",
		BYTES("Measured on the second of May by Anna, in hall 2, with fixture 3\n\x80\0\1\2\3"),
		.for_partition = true},
	{"fw.bin", "(DICOM)", .make = make_dicom},
	{"fw.bin", "(icon)", .make = make_icon, .for_partition = true},
	{"fw.bin", "text", .make = make_nearly_text},
	{"fw.bin", "NumPy", BYTES("\x93NUMPY\1\0\x76\0{'descr': '<f8'}\n\0\1\2")},
	{"fw.bin", "Lua", BYTES("\x1bLuaT\0\x19\x93\r\n\x1a\n\4\10\10xV")},
	/* Known to libmagic alone. */
	{"fw.bin", "Blender3D", BYTES("BLENDER-v279REND\x48\0\0\0\x10\0\0\0\1\2\3\4"),
		.for_partition = true},
	{"fw.bin", "DjVu", BYTES("AT&TFORM\0\0\1\0DJVUINFO\0\0\0\x0a\1\2\3\4"),
		.for_partition = true},
	{"fw.bin", "pcap", BYTES("\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\1\0\0\0")},
};
#undef BYTES

/* Files of a firmware format that are broken, or whose name says another one: for actions that take
 * addresses. */
static const struct foreign_file wrong_files[] = {
	{"fw.hex", "its name says an Intel HEX file, its content is a raw binary",
		.make = make_raw},
	{"fw.IHX", "its name says an Intel HEX file", .make = make_raw},
	{"fw.elf", "its name says an ELF file, its content is a raw binary", .make = make_raw},
	{"fw.s19", "its name says a Motorola S-record file", .make = make_raw},
	{"fw.uf2", "its name says a UF2 file", .make = make_raw},
	{"fw.dfu", "its name says a DFU file", .make = make_raw},
	{"fw.hex", "cut off", .make = make_cut_hex},
	{"fw.bin", "Verilog", .bytes = "@08000000\n01 02 03 04\n", .n = 22},
	{"fw.txt", "cut off", .bytes = "@F000\n31 40 00 03\n", .n = 18},
	{"fw.s28", "cut off", .bytes = "s1040010AA41\n", .n = 13},
	{"fw.elf", "PT_INTERP", .make = make_program},
	{"fw.o", "not linked yet", .make = make_object},
};

/* The bytes of a row; sb_done() them. */
static inline struct strbuf foreign_bytes(const struct foreign_file *f)
{
	struct strbuf b = {0};

	if (f->make)
		f->make(&b);
	else
		sb_add_n(&b, f->bytes, f->n);
	return b;
}
