/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/gate.h"

#include <string.h>

#include "transports/images/foreign.h"
#include "transports/images/image_impl.h"

/* What tools give such names to. ".mot", ".mcs" and ".a43" are the names of Motorola, Xilinx and
 * IAR; ".out" and ".axf" are those of linkers. */
static const struct {
	const char *suffix;
	enum image_format format;
} claims[] = {
	{"hex", IMAGE_IHEX},
	{"ihex", IMAGE_IHEX},
	{"ihx", IMAGE_IHEX},
	{"ihe", IMAGE_IHEX},
	{"h86", IMAGE_IHEX},
	{"mcs", IMAGE_IHEX},
	{"a43", IMAGE_IHEX},
	{"a90", IMAGE_IHEX},
	{"elf", IMAGE_ELF},
	{"axf", IMAGE_ELF},
	{"out", IMAGE_ELF},
	{"s19", IMAGE_SREC},
	{"s28", IMAGE_SREC},
	{"s37", IMAGE_SREC},
	{"s1", IMAGE_SREC},
	{"s2", IMAGE_SREC},
	{"s3", IMAGE_SREC},
	{"srec", IMAGE_SREC},
	{"mot", IMAGE_SREC},
	{"mhx", IMAGE_SREC},
	{"uf2", IMAGE_UF2},
	{"dfu", IMAGE_DFU},
};

enum image_format gate_name_claim(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *dot = strrchr(slash ? slash : name, '.');

	for (size_t i = 0; dot && i < ARRAY_LEN(claims); i++)
		if (!strcasecmp(dot + 1, claims[i].suffix))
			return claims[i].format;
	return IMAGE_ANY;
}

static int refuse(const char *name, const struct foreign *f, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID,
		"firmware file %s is %s, not firmware: %s ('format: bin' takes its bytes as they "
		"are)",
		name, f->what, f->hint);
}

static int disagree(const struct image *i, enum image_format claim, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID,
		"firmware file %s: its name says %s, its content is %s: give the right file, or "
		"declare 'format: %s'",
		i->path, image_format_name(claim), image_format_name(i->format),
		image_format_str(i->format));
}

/* Text with records may be anything with such a line in it: a page that shows them. */
static bool may_be_foreign(enum image_format f)
{
	return f == IMAGE_BIN || f == IMAGE_ZIP || f == IMAGE_IHEX || f == IMAGE_SREC ||
	       f == IMAGE_TITXT;
}

static const struct foreign *foreign_image(const struct image *i, const uint8_t *bytes, size_t n)
{
	const struct foreign *f =
		may_be_foreign(i->inner) ? foreign_of(bytes, n, FOREIGN_ADDRESSES) : NULL;

	/* Records are text, in whatever encoding: their readers say what is wrong with it. */
	if (f && i->inner != IMAGE_BIN && i->inner != IMAGE_ZIP && !foreign_is_page(f))
		return NULL;
	return f;
}

/* A device that takes files writes them as they are: text with records, or a container of blocks,
 * would lie in its memory as such. */
static int check_file_for_device(const struct image *i, struct err *e)
{
	if (i->inner == IMAGE_BIN || !image_format_is_firmware(i->inner))
		return 0;
	return err_set(e, ERR_IMAGE_INVALID,
		"firmware file %s is %s, and this device writes files as they are: give the raw "
		"binary, or declare 'format: %s' where the device reads that format itself",
		i->path, image_format_name(i->inner), image_format_str(i->inner));
}

int gate_image(
	struct image *i, const struct image_opts *o, const uint8_t *bytes, size_t n, struct err *e)
{
	enum image_format claim = gate_name_claim(i->path);
	const struct foreign *f;

	if (o->format == IMAGE_BIN)
		return 0;
	f = foreign_image(i, bytes, n);
	if (f && o->for_store && claim == IMAGE_ANY && i->inner == IMAGE_BIN) {
		image_note(i, "looks like %s: no step flashes it unless it declares 'format: bin'",
			f->what);
		f = NULL;
	}
	if (f)
		return refuse(i->path, f, e);
	if (o->format != IMAGE_ANY)
		return 0;
	if (o->as_is && check_file_for_device(i, e) < 0)
		return -ERR_IMAGE_INVALID;
	if (claim != IMAGE_ANY && claim != i->format && claim != i->inner)
		return disagree(i, claim, e);
	return 0;
}

int gate_partition(const char *name, const uint8_t *bytes, uint64_t n, bool declared, struct err *e)
{
	const struct foreign *f = declared ? NULL : foreign_of(bytes, n, FOREIGN_PARTITION);
	enum image_format format = declared ? IMAGE_BIN : image_detect(bytes, (size_t)n);

	/* Records of HEX and the like are text, and say more of themselves than that. */
	if (!(f && foreign_is_page(f)) && (format == IMAGE_IHEX || format == IMAGE_SREC ||
						  format == IMAGE_UF2 || format == IMAGE_TITXT))
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s is %s: a partition takes bytes, convert it first "
			"('format: bin' takes its bytes as they are)",
			name, image_format_name(format));
	return f ? refuse(name, f, e) : 0;
}
