/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/images/gate.h"

#include <stdio.h>
#include <string.h>

#include "transports/images/image_impl.h"
#include "transports/images/name_kinds.h"

#define TAKE_AS_IS "'format: bin' takes its bytes as they are"

enum image_format gate_name_claim(const char *name)
{
	const struct name_kind *k = name_kind_of(name);

	return k ? k->format : IMAGE_ANY;
}

static const char *claim_name(const struct name_kind *k)
{
	return k->what ? k->what : image_format_name(k->format);
}

static bool is_records(enum image_format f)
{
	return f == IMAGE_IHEX || f == IMAGE_SREC || f == IMAGE_TITXT;
}

/* ".txt" is also the name of HEX files and S-records that someone could look at. */
static bool agrees(const struct name_kind *k, enum image_format f)
{
	return k->format == f || (k->format == IMAGE_TITXT && is_records(f));
}

static int refuse(const char *name, const struct foreign *f, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID,
		"firmware file %s is %s, not firmware: %s (" TAKE_AS_IS ")", name, f->what,
		f->hint);
}

static int refuse_name(const char *name, const struct name_kind *k, const char *content,
	const char *format, struct err *e)
{
	return err_set(e, ERR_IMAGE_INVALID,
		"firmware file %s: its name says %s, its content is %s: give the right file, or declare 'format: %s'",
		name, claim_name(k), content, format);
}

int gate_objection(const char *name, const uint8_t *bytes, uint64_t n, enum foreign_use use,
	char ret[GATE_WHY_BYTES], struct err *e)
{
	const struct name_kind *k = name_kind_of(name);
	struct foreign f;
	int r = foreign_look(bytes, n, use, &f, e);

	if (r > 0)
		snprintf(ret, GATE_WHY_BYTES, "looks like %s", f.what);
	if (r != 0 || !k || (use == FOREIGN_PARTITION && k->for_partition))
		return r;
	if (agrees(k, image_detect(bytes, (size_t)n)))
		return 0;
	snprintf(ret, GATE_WHY_BYTES, "its name says %s", claim_name(k));
	return 1;
}

/* Text with records may be anything with such a line in it: a page that shows them. */
static bool may_be_foreign(enum image_format f)
{
	return f == IMAGE_BIN || f == IMAGE_ZIP || is_records(f);
}

static int look(const struct image *i, const struct image_opts *o, const uint8_t *bytes, size_t n,
	struct foreign *ret, struct err *e)
{
	int r = may_be_foreign(i->inner)
			? foreign_look(
				  bytes, n, o->as_is ? FOREIGN_DEVICE : FOREIGN_ADDRESSES, ret, e)
			: 0;

	/* Records are text, in whatever encoding: their readers say what is wrong with it. */
	return r > 0 && is_records(i->inner) && !ret->page ? 0 : r;
}

/* A device that takes files writes them as they are: text with records, or a container of blocks,
 * would lie in its memory as such. */
static int check_file_for_device(const struct image *i, struct err *e)
{
	if (i->inner == IMAGE_BIN || !image_format_is_firmware(i->inner))
		return 0;
	return err_set(e, ERR_IMAGE_INVALID,
		"firmware file %s is %s, and this device writes files as they are: give the raw binary, or declare 'format: %s' where the device reads that format itself",
		i->path, image_format_name(i->inner), image_format_str(i->inner));
}

/* A stored file may have other uses: a page to push, a table of a test. Not where its name calls it
 * firmware. */
static bool is_only_stored(
	const struct image *i, const struct image_opts *o, const struct name_kind *k)
{
	return o->for_store &&
	       (k ? k->format == IMAGE_ANY || k->format == IMAGE_TITXT : i->inner == IMAGE_BIN);
}

static int check_name(
	struct image *i, const struct image_opts *o, const struct name_kind *k, struct err *e)
{
	if (!k || agrees(k, i->format) || agrees(k, i->inner))
		return 0;
	if (!is_only_stored(i, o, k))
		return refuse_name(
			i->path, k, image_format_name(i->format), image_format_str(i->format), e);
	image_note(i, "its name says %s: no step flashes it unless it declares 'format: bin'",
		claim_name(k));
	return 0;
}

int gate_image(
	struct image *i, const struct image_opts *o, const uint8_t *bytes, size_t n, struct err *e)
{
	const struct name_kind *k = name_kind_of(i->path);
	struct foreign f;
	int r;

	if (o->format == IMAGE_BIN)
		return 0;
	r = look(i, o, bytes, n, &f, e);
	if (r < 0)
		return r;
	if (r > 0 && !is_only_stored(i, o, k))
		return refuse(i->path, &f, e);
	if (r > 0) {
		image_note(i, "looks like %s: no step flashes it unless it declares 'format: bin'",
			f.what);
		return 0;
	}
	if (o->format != IMAGE_ANY)
		return 0;
	if (o->as_is && check_file_for_device(i, e) < 0)
		return -ERR_IMAGE_INVALID;
	return check_name(i, o, k, e);
}

/* Records, and what is in blocks or has a suffix, would lie in the partition as such. */
static bool is_to_be_converted(enum image_format f)
{
	return is_records(f) || f == IMAGE_UF2 || f == IMAGE_DFU;
}

int gate_partition(const char *name, const uint8_t *bytes, uint64_t n, struct err *e)
{
	enum image_format format = image_detect(bytes, (size_t)n);
	struct foreign f = {.page = false};
	int r = foreign_look(bytes, n, FOREIGN_PARTITION, &f, e);

	if (r < 0)
		return r;
	/* Records are text, and say more of themselves than that. */
	if (!f.page && is_to_be_converted(format))
		return err_set(e, ERR_IMAGE_INVALID,
			"firmware file %s is %s: a partition takes bytes, convert it first (" TAKE_AS_IS
			")",
			name, image_format_name(format));
	return r > 0 ? refuse(name, &f, e) : gate_name(name, format, e);
}

int gate_name(const char *name, enum image_format content, struct err *e)
{
	const struct name_kind *k = name_kind_of(name);

	return k && !k->for_partition && !agrees(k, content)
		       ? refuse_name(name, k, image_format_name(content), "bin", e)
		       : 0;
}
