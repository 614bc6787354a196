/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that are not firmware, or not what their name says, as they come to a line: each with what
 * is to be said of it. For the tests of the gate and of the actions that use it.
 */
#pragma once

#include <uchar.h>

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
	bool for_device;		/* and a device that takes whole files */
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

/* A zip archive of two empty members. */
static inline void make_dfu_package(struct strbuf *b)
{
	static const char *const names[] = {"app.dat", "manifest.json"};
	size_t at[2];
	size_t directory;

	for (size_t i = 0; i < 2; i++) {
		at[i] = b->len;
		sb_add_n(b, "PK\3\4\x0a\0\0\0\0\0\0\0\x21\0", 14);
		put_fill(b, 0, 12);
		put_le(b, strlen(names[i]), 4);
		sb_add(b, names[i]);
	}
	directory = b->len;
	for (size_t i = 0; i < 2; i++) {
		sb_add_n(b, "PK\1\2\x0a\0\x0a\0\0\0\0\0\0\0\x21\0", 16);
		put_fill(b, 0, 12);
		put_le(b, strlen(names[i]), 4);
		put_fill(b, 0, 10);
		put_le(b, at[i], 4);
		sb_add(b, names[i]);
	}
	put_le(b, 0x06054b50, 4);
	put_fill(b, 0, 4);
	put_le(b, 2, 2);
	put_le(b, 2, 2);
	put_le(b, b->len - 12 - directory, 4);
	put_le(b, directory, 4);
	put_le(b, 0, 2);
}

static inline void make_verity(struct strbuf *b)
{
	sb_add_n(b, "verity\0\0\1\0\0\0\1\0\0\0", 16);
	put_fill(b, 0x5a, 16);
	sb_add(b, "sha256");
	put_fill(b, 0, 512 - 38);
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

static inline void make_avb(struct strbuf *b)
{
	make_raw(b);
	sb_add_n(b, "AVBf\0\0\0\1", 8);
	put_fill(b, 0, 56);
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

static inline void put_wide(struct strbuf *b, const char16_t *text, bool big)
{
	for (; *text; text++)
		big ? put_be(b, *text, 2) : put_le(b, *text, 2);
}

static inline void make_wide_japanese(struct strbuf *b)
{
	put_wide(b,
		u"エラーが発生しました。もう一度やり直してください。装置の電源を切ってください。",
		false);
}

static inline void make_wide_russian(struct strbuf *b)
{
	put_wide(b, u"Прошивка не найдена. Повторите попытку.\n", true);
}

static inline void make_wide_korean(struct strbuf *b)
{
	put_wide(b, u"파일을 찾을 수 없습니다. 관리자에게 문의하십시오. 다시 하세요.\n", false);
}

static inline void make_wide_chinese(struct strbuf *b)
{
	put_wide(b, u"找不到文件，请联系管理员。固件更新需要几分钟时间，请不要断开电源。\n", true);
}

static inline void make_gguf(struct strbuf *b)
{
	sb_add(b, "GGUF");
	put_le(b, 3, 4);
	put_le(b, 2, 8);
	put_le(b, 1, 8);
	make_raw(b);
}

static inline void make_tflite(struct strbuf *b)
{
	put_le(b, 28, 4);
	sb_add(b, "TFL3");
	make_raw(b);
}

static inline void make_safetensors(struct strbuf *b)
{
	static const char head[] =
		"{\"w\":{\"dtype\":\"U8\",\"shape\":[1200],\"data_offsets\":[0,1200]}}  ";

	put_le(b, sizeof head - 1, 8);
	sb_add(b, head);
	make_raw(b);
}

/* ir_version, producer, a graph with a name, the set of operators. */
static inline void make_onnx(struct strbuf *b)
{
	sb_add_n(b, "\x08\x08\x12\x04test\x3a\x8a\x01\x12\x01g", 14);
	put_fill(b, 0x9c, 135);
	sb_add_n(b, "\x42\x04\x0a\0\x10\x11", 6);
}

static inline void make_mime_cache(struct strbuf *b)
{
	put_be(b, 0x00010002, 4);
	for (unsigned i = 0; i < 9; i++)
		put_be(b, 40 + 4 * i, 4);
	put_fill(b, 0, 80);
}

/* A table of one hash without an icon, a list of one folder. */
static inline void make_icon_cache(struct strbuf *b)
{
	put_be(b, 0x00010000, 4);
	put_be(b, 12, 4);
	put_be(b, 20, 4);
	put_be(b, 1, 4);
	put_be(b, UINT32_MAX, 4);
	put_be(b, 1, 4);
	put_be(b, 28, 4);
	sb_add_n(b, "48x48/apps", 11);
}

static inline void make_gconv_cache(struct strbuf *b)
{
	static const uint16_t head[] = {16, 64, 3, 76, 96};

	put_le(b, 0x20010324, 4);
	for (unsigned i = 0; i < 5; i++)
		put_le(b, head[i], 2);
	put_fill(b, 7, 100);
}

static inline void make_leveldb(struct strbuf *b)
{
	make_raw(b);
	sb_add_n(b, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
}

static inline void make_maxmind(struct strbuf *b)
{
	make_raw(b);
	sb_add_n(b, "\xab\xcd\xefMaxMind.com\xe9\x4b", 16);
}

static inline void make_orc(struct strbuf *b)
{
	sb_add(b, "ORC");
	make_raw(b);
	sb_add_n(b, "ORC\x17", 4);
}

static inline void make_window_dump(struct strbuf *b)
{
	static const uint32_t head[] = {107, 7, 2, 24, 16, 16};

	for (unsigned i = 0; i < 6; i++)
		put_be(b, head[i], 4);
	make_raw(b);
}

static inline void make_quartus(struct strbuf *b)
{
	sb_add_n(b, "POF\0\0\0\1\0\5\0\0\0\1\0\x22\0\0\0", 18);
	sb_add_n(b, "Quartus Prime Programmer Version 18", 36);
	make_raw(b);
}

static inline void make_jedec(struct strbuf *b)
{
	sb_add(b, "\x02 Lattice ispLEVER\r\nNOTE DEVICE NAME: LC4032*\r\nQP48*QF5632*\r\nF0*\r\n");
	sb_add(b, "L0000 0110101*\r\nC1234*\r\n\x03"
		  "A0B1");
}

static inline void make_ti_coff(struct strbuf *b)
{
	put_le(b, 0xc2, 2);
	put_le(b, 1, 2);
	put_le(b, 0x5e112233, 4);
	put_le(b, 70, 4);
	put_le(b, 0, 4);
	put_le(b, 0, 2);
	put_le(b, 0x0107, 2);
	put_le(b, 0x9d, 2);
	sb_add_n(b, ".text\0\0\0", 8);
	put_fill(b, 0, 60);
	make_raw(b);
}

static inline void make_ppm(struct strbuf *b)
{
	sb_add(b, "P6\n# by a scanner\n20 20\n255\n");
	make_raw(b);
}

static inline void make_pbm(struct strbuf *b)
{
	sb_add(b, "P4 18 400\n");
	make_raw(b);
}

static inline void make_pcx(struct strbuf *b)
{
	put_le(b, 0x0801050a, 4);
	put_le(b, 0, 4);
	put_le(b, 0x000f000f, 4);
	put_fill(b, 0, 53);
	put_le(b, 3, 1);
	put_le(b, 16, 2);
	put_fill(b, 0, 60);
	make_raw(b);
}

static inline void make_sgi(struct strbuf *b)
{
	put_be(b, 0x01da0101, 4);
	put_be(b, 3, 2);
	put_be(b, 0x00100010, 4);
	put_be(b, 3, 2);
	put_fill(b, 0, 500);
	make_raw(b);
}

/* A delimiter, parameters of the sequence and of pictures, a slice. */
static inline void make_h264(struct strbuf *b)
{
	sb_add_n(b, "\0\0\0\1\x09\xf0\0\0\0\1\x67\x64\0\x1f\xac\xd9\x40\x50", 18);
	sb_add_n(b, "\0\0\0\1\x68\xeb\xec\xb2\x2c\0\0\1\x65\x88\x84", 15);
	make_raw(b);
}

static inline void make_h265(struct strbuf *b)
{
	sb_add_n(b, "\0\0\0\1\x40\1\x0c\1\xff\xff\1\x60\0\0\3\0\x90", 17);
	sb_add_n(b, "\0\0\0\1\x42\1\1\1\x60\0\0\3\0\x90", 14);
	sb_add_n(b, "\0\0\0\1\x44\1\xc1\x72\xb4\x62\x40\0\0\1\x26\1", 16);
	make_raw(b);
}

static inline void make_mpeg_program(struct strbuf *b)
{
	sb_add_n(b, "\0\0\1\xba\x44\0\4\0\4\1\1\x89\xc3\xf8\0\0\1\xbb\0\x0c", 20);
	make_raw(b);
}

static inline void make_mpeg1_program(struct strbuf *b)
{
	sb_add_n(b, "\0\0\1\xba\x21\0\1\0\1\x80\x1b\x91\0\0\1\xbb\0\x0c", 18);
	make_raw(b);
}

static inline void make_mpeg_video(struct strbuf *b)
{
	sb_add_n(b, "\0\0\1\xb3\x16\0\xf0\xc4\2\x85\x23\xa0\0\0\1\xb8\0\x08", 18);
	make_raw(b);
}

static inline void make_ac3(struct strbuf *b)
{
	for (unsigned i = 0; i < 4; i++) {
		sb_add_n(b, "\x0b\x77\x12\x34\x04\x40", 6);
		put_fill(b, i, 192 - 6);
	}
}

/* What a person would read, in ten encodings. */
static const char sjis[] =
	"\203G\203\211\201[\202\252\224\255\220\266\202\265\202\334\202\265\202\275\201B\202\340\202\244\210\352\223x\202\342\202\350\222\274\202\265\202\304\202\255\202\276\202\263\202\242\201B\n\221\225\222u\202\314\223d\214\271\202\360\220\330\202\301\202\304\202\255\202\276\202\263\202\242\201B\n";
static const char euc_jp[] =
	"\245\250\245\351\241\274\244\254\310\257\300\270\244\267\244\336\244\267\244\277\241\243\244\342\244\246\260\354\305\331\244\344\244\352\304\276\244\267\244\306\244\257\244\300\244\265\244\244\241\243\n\301\365\303\326\244\316\305\305\270\273\244\362\300\332\244\303\244\306\244\257\244\300\244\265\244\244\241\243\n";
static const char gbk[] =
	"\325\322\262\273\265\275\316\304\274\376\243\254\307\353\301\252\317\265\271\334\300\355\324\261\241\243\n\271\314\274\376\270\374\320\302\320\350\322\252\274\270\267\326\326\323\312\261\274\344\241\243\n";
static const char euc_kr[] =
	"\306\304\300\317\300\273 \303\243\300\273 \274\366 \276\370\275\300\264\317\264\331. \260\374\270\256\300\332\277\241\260\324 \271\256\300\307\307\317\275\312\275\303\277\300.\n";
static const char big5[] =
	"\275\320\245\375\303\366\263\254\263]\263\306\271q\267\275\241C\247\344\244\243\250\354\300\311\256\327\241A\275\320\301p\265\270\272\336\262z\255\373\241C\n";
static const char koi8[] =
	"\360\322\317\333\311\327\313\301 \316\305 \316\301\312\304\305\316\301. \357\302\322\301\324\311\324\305\323\330 \313 \301\304\315\311\316\311\323\324\322\301\324\317\322\325, \320\317\326\301\314\325\312\323\324\301.\n\360\317\327\324\317\322\311\324\305 \320\317\320\331\324\313\325.\n";
static const char page_866[] =
	"\217\340\256\350\250\242\252\240 \255\245 \255\240\251\244\245\255\240. \216\241\340\240\342\250\342\245\341\354 \252 \240\244\254\250\255\250\341\342\340\240\342\256\340\343, \257\256\246\240\253\343\251\341\342\240.\n\217\256\242\342\256\340\250\342\245 \257\256\257\353\342\252\343.\n";
static const char iso_5[] =
	"\277\340\336\350\330\322\332\320 \335\325 \335\320\331\324\325\335\320. \276\321\340\320\342\330\342\325\341\354 \332 \320\324\334\330\335\330\341\342\340\320\342\336\340\343, \337\336\326\320\333\343\331\341\342\320.\n\277\336\322\342\336\340\330\342\325 \337\336\337\353\342\332\343.\n";
static const char ebcdic[] =
	"\343\210\205@\206\211\223\205@\246\201\242@\225\226\243@\206\226\244\225\204@\226\225@\243\210\211\242@\242\250\242\243\205\224k@\201\242\222@\243\210\205@\226\227\205\231\201\243\226\231K";

#define BYTES(text) .bytes = (text), .n = sizeof(text) - 1
#define TEXT(array) .bytes = (array), .n = sizeof(array) - 1

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
	{"fw.bin", "a DFU package", .make = make_dfu_package},
	{"fw.bin", "a block map (bmap)",
		BYTES("<?xml version=\"1.0\" ?>\n<!-- x -->\n<bmap version=\"2.0\">\n</bmap>\n")},
	{"fw.bin", "an AVB footer", .make = make_avb, .for_partition = true, .for_device = true},
	{"fw.bin", "a vbmeta image", BYTES("AVB0\0\0\0\1\0\0\0\0\0\0\1\x40"), .for_partition = true,
		.for_device = true},
	{"fw.bin", "a hash tree of dm-verity", .make = make_verity, .for_partition = true,
		.for_device = true},
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
	{"fw.bin", "Shift-JIS", TEXT(sjis)},
	{"fw.bin", "EUC", TEXT(euc_jp)},
	{"fw.bin", "GBK", TEXT(gbk)},
	{"fw.bin", "EUC", TEXT(euc_kr)},
	{"fw.bin", "Big5", TEXT(big5)},
	/* Windows-1251 */
	{"fw.bin", "8-bit encoding",
		BYTES("\317\360\356\370\350\342\352\340 \355\345 \355\340\351\344\345\355\340. \316\341\360\340\362\350\362\345\361\374 \352 \340\344\354\350\355\350\361\362\360\340\362\356\360\363, \357\356\346\340\353\363\351\361\362\340.\n\317\356\342\362\356\360\350\362\345 \357\356\357\373\362\352\363.\n")},
	{"fw.bin", "8-bit encoding", TEXT(koi8)},
	{"fw.bin", "8-bit encoding", TEXT(page_866)},
	{"fw.bin", "8-bit encoding", TEXT(iso_5)},
	{"fw.bin", "EBCDIC", TEXT(ebcdic)},
	{"fw.bin", "a few letters", BYTES("404\n")},
	{"fw.bin", "a few letters", BYTES("OK\r\n")},
	{"fw.bin", "a few letters", BYTES("null")},
	{"fw.bin", "a few letters", BYTES("{}")},
	{"fw.bin", "UTF-16", .make = make_wide_japanese},
	{"fw.bin", "UTF-16", .make = make_wide_russian},
	{"fw.bin", "UTF-16", .make = make_wide_korean},
	{"fw.bin", "UTF-16", .make = make_wide_chinese},
	{"fw.bin", "(GGUF)", .make = make_gguf, .for_partition = true},
	{"fw.bin", "TensorFlow Lite", .make = make_tflite, .for_partition = true},
	{"fw.bin", "safetensors", .make = make_safetensors, .for_partition = true},
	{"fw.bin", "ONNX", .make = make_onnx, .for_partition = true},
	{"fw.bin", "MIME types", .make = make_mime_cache},
	{"fw.bin", "(GTK)", .make = make_icon_cache},
	{"fw.bin", "(gconv)", .make = make_gconv_cache},
	{"fw.bin", "LevelDB", .make = make_leveldb},
	{"fw.bin", "MaxMind", .make = make_maxmind},
	{"fw.bin", "(ORC)", .make = make_orc},
	{"fw.bin", "(XWD)", .make = make_window_dump},
	{"fw.bin", ".pof", .make = make_quartus},
	{"fw.bin", "JEDEC", .make = make_jedec},
	{"fw.bin", "TI's compilers", .make = make_ti_coff},
	{"fw.bin", "Netpbm", .make = make_ppm, .for_partition = true},
	{"fw.bin", "Netpbm", .make = make_pbm, .for_partition = true},
	{"fw.bin", "(PCX)", .make = make_pcx, .for_partition = true},
	{"fw.bin", "(SGI)", .make = make_sgi, .for_partition = true},
	{"fw.bin", "H.264", .make = make_h264},
	{"fw.bin", "H.265", .make = make_h265},
	{"fw.bin", "program stream", .make = make_mpeg_program},
	{"fw.bin", "program stream", .make = make_mpeg1_program},
	{"fw.bin", "MPEG video", .make = make_mpeg_video},
	{"fw.bin", "Dolby Digital", .make = make_ac3},
	{"fw.bin", "data set (R)", BYTES("X\n\0\0\0\3\0\4\2\1\0\3\5\0\0\0\0\5UTF-8")},
	{"fw.bin", "GResource", BYTES("GVariant\0\0\0\0\0\0\0\0\x18\0\0\0\xc8\0\0\0")},
	{"fw.bin", "loader of Linux", BYTES("ld.so-1.7.0\0\x10\0\0\0\1\2\3\4")},
	{"fw.bin", "(IVF)", BYTES("DKIF\0\0\x20\0VP80\x40\1\xf0\0\1\2\3\4")},
	{"fw.bin", "memory dump of Windows", BYTES("MDMP\x93\xa7\0\0\x0d\0\0\0\x20\0\0\0\1\2\3")},
	{"fw.bin", "GGML", BYTES("tjgg\3\0\0\0\0\x7d\0\0\0\x10\0\0"), .for_partition = true},
	{"fw.bin", "(DVI)", BYTES("\xf7\2\1\x83\x92\xc0\x1c\x3b\0\0\0\0\3\xe8\x1b")},
	{"fw.bin", "of .NET", BYTES("\xce\xca\xef\xbe\1\0\0\0\x91\0\0\0lSys")},
	{"fw.bin", "(RRD)", BYTES("RRD\0000003\0\x2f\x25\xc0\xc7\x43\x2b\x1f\x5b")},
	{"icudtl.dat", "data of ICU", BYTES("\x90\0\xda\x27\x14\0\0\0\0\0\2\0\x43mnD\1\0\0")},
	{"classes.jsa", "classes of Java", BYTES("\xa2\xab\x0b\xf0\xe2\xaa\x52\xbc\x0b\0\0")},
	{"tzdb.dat", "zones of Java",
		BYTES("\1\0\4TZDB\0\1\0\5"
		      "2025a\2\x5b")},
	{"fw.bin", "XML text", BYTES("XMLb\x08\0\0\0\xeb\xaa\x94\x23\x9a\x31\xf7\x9f")},
	{"fw.bin", "(.pak)", BYTES("\5\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0\0\0\2\0\x1c\0\0\0\1\2\3\4")},
	{".DS_Store", ".DS_Store", BYTES("\0\0\0\1Bud1\0\0\x10\0\0\0\x08\0")},
	/* Known to libmagic alone. */
	{"fw.bin", "Blender3D", BYTES("BLENDER-v279REND\x48\0\0\0\x10\0\0\0\1\2\3\4"),
		.for_partition = true},
	{"fw.bin", "DjVu", BYTES("AT&TFORM\0\0\1\0DJVUINFO\0\0\0\x0a\1\2\3\4"),
		.for_partition = true},
	{"fw.bin", "pcap", BYTES("\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\1\0\0\0")},
};
#undef BYTES
#undef TEXT

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
	{"top.bit", "its name says a configuration of an FPGA", .make = make_raw},
	{"top.jed", "its name says a configuration of an FPGA", .make = make_raw},
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
