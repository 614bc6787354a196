/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/fpga_file.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "transports/images/foreign.h"
#include "transports/images/fpga_impl.h"
#include "transports/images/image.h"
#include "transports/images/name_kinds.h"

#define LOOK_BYTES	4096u
#define STX		0x02
#define RBF_FF_MIN	32u
#define ANY_IDCODE_BITS 0x0fffffffu /* all but the version */

static const struct {
	const char *str, *name, *suffix;
	fpga_reader_fn *read;
} formats[] = {
	[FPGA_XILINX_BIT] = {"xilinx-bit", "a bitstream of Xilinx (.bit)", "bit",
		fpga_read_xilinx_bit},
	[FPGA_LATTICE_BIT] = {"lattice-bit", "a bitstream of Lattice (.bit)", "bit",
		fpga_read_lattice_bit},
	[FPGA_BIN] = {"bin", "a raw configuration (.bin)", "bin", NULL},
	[FPGA_MCS] = {"mcs", "an Intel HEX file (.mcs)", "mcs", NULL},
	[FPGA_SVF] = {"svf", "a Serial Vector Format file (.svf)", "svf", fpga_read_svf},
	[FPGA_JED] = {"jed", "a JEDEC file (.jed)", "jed", fpga_read_jed},
	[FPGA_RBF] = {"rbf", "a raw binary of Altera (.rbf)", "rbf", NULL},
	[FPGA_NO_FORMAT] = {"none", "no configuration of an FPGA", "", NULL},
};

const char *fpga_format_str(enum fpga_format f)
{
	return formats[f].str;
}

const char *fpga_format_name(enum fpga_format f)
{
	return formats[f].name;
}

int fpga_malformed(const char *name, uint64_t offset, struct err *e, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(e, ERR_IMAGE_INVALID, "configuration file %s, offset 0x%llx: %s", name,
		(unsigned long long)offset, text);
}

void fpga_text(char *ret, size_t size, const void *text, size_t n)
{
	const char *p = text;
	size_t k = 0;

	while (n > 0 && isspace((unsigned char)*p)) {
		p++;
		n--;
	}
	while (n > 0 && (isspace((unsigned char)p[n - 1]) || p[n - 1] == 0))
		n--;
	for (; k < n && k + 1 < size; k++)
		ret[k] = isprint((unsigned char)p[k]) ? p[k] : '?';
	ret[k] = 0;
}

static size_t find(const uint8_t *bytes, size_t n, const char *what, size_t len)
{
	const uint8_t *at = memmem(bytes, MIN(n, (size_t)LOOK_BYTES), what, len);

	return at ? (size_t)(at - bytes) : SIZE_MAX;
}

size_t fpga_find_sync(const uint8_t *bytes, size_t n)
{
	return find(bytes, n, "\xaa\x99\x55\x66", 4);
}

size_t fpga_find_preamble(const uint8_t *bytes, size_t n)
{
	size_t plain = find(bytes, n, "\xff\xff\xbd\xb3", 4);

	return plain != SIZE_MAX ? plain : find(bytes, n, "\xff\xff\xbf\xb3", 4);
}

/* --- which format --- */

static bool is_text(const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isprint(s[i]) && !isspace(s[i]))
			return false;
	return true;
}

static bool is_word(const uint8_t *s, size_t n, const char *word)
{
	size_t len = strlen(word);

	return n > len && !strncasecmp((const char *)s, word, len) &&
	       (isspace(s[len]) || s[len] == ';');
}

/* The first statement after blanks and comments. */
static bool is_svf(const uint8_t *s, size_t n)
{
	static const char *const begins[] = {"TRST", "ENDDR", "ENDIR", "STATE", "FREQUENCY", "HDR",
		"HIR", "TDR", "TIR", "SIR", "SDR", "RUNTEST", "PIOMAP"};
	size_t at = 0;

	n = MIN(n, (size_t)LOOK_BYTES);
	if (!is_text(s, n))
		return false;
	while (at < n && (isspace(s[at]) || s[at] == '!' ||
				 (s[at] == '/' && at + 1 < n && s[at + 1] == '/'))) {
		bool comment = !isspace(s[at]);

		while (comment && at < n && s[at] != '\n')
			at++;
		at += at < n;
	}
	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (is_word(s + at, n - at, begins[i]))
			return true;
	return false;
}

static bool is_jed(const uint8_t *s, size_t n)
{
	const uint8_t *stx = memchr(s, STX, MIN(n, (size_t)LOOK_BYTES));
	size_t head;

	if (!stx || !is_text(s, (size_t)(stx - s)))
		return false;
	head = (size_t)(stx - s) + 1;
	return memchr(stx, '*', MIN(n - head + 1, (size_t)LOOK_BYTES)) &&
	       is_text(stx + 1, MIN(n - head, (size_t)8));
}

static bool is_rbf(const uint8_t *s, size_t n)
{
	size_t at = 0;

	while (at < n && at < LOOK_BYTES && s[at] == 0xff)
		at++;
	return at >= RBF_FF_MIN && at < n && s[at] == 0x6a;
}

enum fpga_format fpga_file_detect(const uint8_t *bytes, size_t n)
{
	static const char xilinx[] = "\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01"
				     "a";

	if (n >= sizeof xilinx - 1 && !memcmp(bytes, xilinx, sizeof xilinx - 1))
		return FPGA_XILINX_BIT;
	if (n >= 6 && (!memcmp(bytes, "\xff\x00", 2) || !memcmp(bytes, "LSCC\xff\x00", 6)))
		return FPGA_LATTICE_BIT;
	if (image_detect(bytes, n) == IMAGE_IHEX)
		return FPGA_MCS;
	if (is_svf(bytes, n))
		return FPGA_SVF;
	if (is_jed(bytes, n))
		return FPGA_JED;
	if (fpga_find_sync(bytes, n) != SIZE_MAX || fpga_find_preamble(bytes, n) != SIZE_MAX)
		return FPGA_BIN;
	return is_rbf(bytes, n) ? FPGA_RBF : FPGA_NO_FORMAT;
}

/* --- reading --- */

static int refuse_name(const char *name, const char *says, const char *is, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID,
		"configuration file %s: its name says %s, its content is %s: give the right file",
		name, says, is);
}

/* A name that claims one of the formats, or something else (images/name_kinds.h). */
static int check_name(const char *name, enum fpga_format is, const char *content, struct err *e)
{
	const char *dot = strrchr(name, '.');
	const struct name_kind *k = name_kind_of(name);

	for (size_t i = 0; dot && i < FPGA_NO_FORMAT; i++)
		if (!strcasecmp(dot + 1, formats[i].suffix) && is != FPGA_NO_FORMAT &&
			!strcmp(formats[i].suffix, formats[is].suffix))
			return 0;
	for (size_t i = 0; dot && i < FPGA_NO_FORMAT; i++)
		if (!strcasecmp(dot + 1, formats[i].suffix))
			return refuse_name(name, formats[i].name, content, e);
	if (!k || (is == FPGA_MCS && k->format == IMAGE_IHEX))
		return 0;
	return refuse_name(name, k->what ? k->what : image_format_name(k->format), content, e);
}

static int refuse_other(const char *name, const uint8_t *bytes, size_t n, struct err *e)
{
	enum image_format i = image_detect(bytes, n);
	bool known = i != IMAGE_BIN && i != IMAGE_ZIP;
	struct foreign f;
	int r = known ? 0 : foreign_look(bytes, n, FOREIGN_ADDRESSES, &f, e);
	const char *content = r > 0 ? f.what : image_format_name(i);

	if (r == 0)
		r = check_name(name, FPGA_NO_FORMAT, content, e);
	if (r < 0)
		return r;
	return err_set(e, ERR_IMAGE_INVALID,
		"configuration file %s is %s, of no FPGA that is known: a .bit, .bin, .mcs, .svf, .jed or .rbf expected",
		name, content);
}

static int read_raw(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	ret->data = bytes;
	ret->len = n;
	if (fpga_find_sync(bytes, n) != SIZE_MAX)
		return fpga_read_packets(name, bytes, n, ret, e);
	return fpga_find_preamble(bytes, n) != SIZE_MAX ? fpga_read_commands(name, bytes, n, ret, e)
							: 0;
}

static int read_mcs(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	struct image_opts o = IMAGE_OPTS(IMAGE_NO_ADDRESS);
	struct image *i = NULL;
	int r = image_parse(name, bytes, n, &o, &i, e);

	if (r < 0)
		return r;
	if (i->count != 1 || i->segments[0].address != 0)
		r = err_set(e, ERR_IMAGE_INVALID,
			"configuration file %s has %zu parts, the first at 0x%llx: one from 0 on expected",
			name, i->count, (unsigned long long)i->segments[0].address);
	if (r == 0) {
		ret->owned = xcalloc(1, i->segments[0].len);
		memcpy(ret->owned, i->segments[0].data, i->segments[0].len);
		r = read_raw(name, ret->owned, i->segments[0].len, ret, e);
	}
	image_unref(i);
	return r;
}

int fpga_file_read(
	const char *name, const uint8_t *bytes, size_t n, struct fpga_file *ret, struct err *e)
{
	enum fpga_format f = fpga_file_detect(bytes, n);
	int r;

	*ret = (struct fpga_file){.format = f, .data = bytes, .len = n};
	if (f == FPGA_NO_FORMAT)
		return refuse_other(name, bytes, n, e);
	r = check_name(name, f, formats[f].name, e);
	if (r < 0)
		return r;
	if (formats[f].read)
		return formats[f].read(name, bytes, n, ret, e);
	return f == FPGA_MCS ? read_mcs(name, bytes, n, ret, e) : read_raw(name, bytes, n, ret, e);
}

void fpga_file_done(struct fpga_file *f)
{
	free(f->owned);
	*f = (struct fpga_file){0};
}

/* --- for which part --- */

static int other_part(
	const char *name, const char *is_for, const struct fpga_part *p, struct err *e)
{
	return err_set(e, ERR_IMAGE_PART,
		"configuration file %s is for %s, the recipe says %s (IDCODE 0x%08x): nothing was loaded",
		name, is_for, p->name, p->idcode);
}

static int check_idcode(const char *name, uint32_t idcode, const struct fpga_part *p, struct err *e)
{
	const char *known = fpga_part_name(idcode);
	char text[64];

	if (fpga_part_has(p, idcode))
		return 0;
	snprintf(text, sizeof text, "IDCODE 0x%08x%s%s%s", idcode, known ? " (" : "",
		known ? known : "", known ? ")" : "");
	return other_part(name, text, p, e);
}

/* 1: an IDCODE was compared; 0: none was. */
static int check_svf(
	const char *name, const struct fpga_file *f, const struct fpga_part *p, struct err *e)
{
	int seen = 0;

	for (size_t i = 0; i < f->checks; i++) {
		const struct fpga_svf_check *c = &f->check[i];

		if (c->ir != p->ir_idcode || c->ir_bits != p->ir_bits ||
			(c->mask & ANY_IDCODE_BITS) != ANY_IDCODE_BITS)
			continue;
		if ((c->value ^ p->idcode) & p->idcode_mask & c->mask)
			return check_idcode(name, c->value, p, e);
		seen = 1;
	}
	return seen;
}

int fpga_file_check(const char *name, const struct fpga_file *f, const struct fpga_part *p,
	bool declared, struct err *e)
{
	struct fpga_part named;
	int r;

	if (f->part[0] && fpga_part_find(f->part, &named, NULL) == 0 &&
		strcmp(named.name, p->name) != 0)
		return other_part(name, f->part, p, e);
	if (f->has_idcode)
		return check_idcode(name, f->idcode, p, e);
	r = f->format == FPGA_SVF ? check_svf(name, f, p, e) : 0;
	if (r < 0)
		return r;
	if (r > 0 || declared || (f->part[0] && fpga_part_find(f->part, &named, NULL) == 0))
		return 0;
	return err_set(e, ERR_IMAGE_PART,
		"configuration file %s (%s) does not say which part it is for%s%s: give one that does, or say 'part_known: true' where another record says it",
		name, fpga_format_name(f->format), f->part[0] ? " in a way that is known: " : "",
		f->part);
}
