/* SPDX-License-Identifier: Apache-2.0
 *
 * From a file to the pieces that are sent, and sending them.
 */
#include "transports/protocols/fastboot/fastboot_flash_impl.h"

#include <ctype.h>
#include <string.h>

#include "base/bytes.h"
#include "base/strbuf.h"

/* AOSP fastboot.cpp, RESPARSE_LIMIT. */
#define PIECE_MAX_BYTES (1ull << 30)

void fastboot_source_done(struct fastboot_source *s)
{
	spans_done(&s->whole);
	s->list = sparse_free(s->list);
}

static bool is_boot(const char *target)
{
	return !strncmp(target, "boot", 4) || !strncmp(target, "init_boot", 9) ||
	       !strncmp(target, "recovery", 8) || !strncmp(target, "vendor_boot", 11);
}

/* AOSP fastboot.cpp, copy_avb_footer: the footer of a shorter image goes to the end of the
 * partition, where the bootloader looks for it. */
static int with_footer_moved(struct fastboot_source *s, uint64_t partition, struct err *e)
{
	const struct blob *b = s->blob;
	uint64_t body = b->size - AVB_FOOTER_BYTES;
	int r = spans_add(&s->whole, b->data, body, e);

	if (r == 0)
		r = spans_add(&s->whole, NULL, partition - b->size, e);
	return r < 0 ? r : spans_add(&s->whole, b->data + body, AVB_FOOTER_BYTES, e);
}

static int with_flags(struct fastboot_source *s, uint32_t set, struct err *e)
{
	const struct blob *b = s->blob;
	struct rbytes old = rbytes_of(b->data + AVB_FLAGS_OFFSET, 4);
	uint8_t raw[4];
	struct wbytes w = wbytes_of(raw, sizeof raw);

	wb_be32(&w, rb_be32(&old) | set);

	int r = spans_add(&s->whole, b->data, AVB_FLAGS_OFFSET, e);

	if (r == 0)
		r = spans_add_copy(&s->whole, raw, sizeof raw, e);
	return r < 0 ? r
		     : spans_add(&s->whole, b->data + AVB_FLAGS_OFFSET + 4,
			       b->size - AVB_FLAGS_OFFSET - 4, e);
}

static uint32_t wanted_flags(const struct fastboot_flash_opts *o)
{
	return (o->disable_verity ? AVB_FLAG_NO_VERITY : 0) |
	       (o->disable_verification ? AVB_FLAG_NO_VERIFICATION : 0);
}

/* What will be sent if it fits one download. */
static int source_whole(struct fastboot_source *s, const struct fastboot_flash_opts *o,
	const struct fastboot_flashed *t, struct err *e)
{
	const struct blob *b = s->blob;
	uint32_t flags = wanted_flags(o);

	if (flags && (s->content != CONTENT_VBMETA || b->size < AVB_FLAGS_OFFSET + 4))
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is %s: verity and verification are flags of a vbmeta image", b->path,
			content_name(s->content));
	if (flags)
		return with_flags(s, flags, e);
	if (!o->keep_footer && is_boot(t->target) && t->partition_bytes > b->size && !s->list &&
		avb_footer_present(b->data, b->size)) {
		s->moved = true;
		return with_footer_moved(s, t->partition_bytes, e);
	}
	return spans_add(&s->whole, b->data, b->size, e);
}

int fastboot_source_new(struct fastboot *f, const struct blob *b,
	const struct fastboot_flash_opts *o, struct fastboot_flashed *t,
	struct fastboot_source *ret, struct err *e)
{
	struct bootimg boot;
	int r = 0;

	*ret = (struct fastboot_source){.blob = b};
	ret->content = content_detect(b->data, b->size);
	content_warning(o->partition, ret->content, t->note, sizeof t->note);
	if (ret->content == CONTENT_SPARSE && !o->no_sparse)
		r = sparse_read(b->path, b->data, b->size, &ret->list, e);
	else if (ret->content == CONTENT_BOOT)
		r = bootimg_check(b->path, b->data, b->size, &boot, e);
	if (r == 0 && ret->list) {
		t->image_bytes = sparse_unsparsed_bytes(ret->list);
		if (ret->list->note[0])
			snprintf(t->note, sizeof t->note, "%s", ret->list->note);
		else
			t->note[0] = 0; /* a sparse file says nothing of what it unfolds to */
	} else if (r == 0) {
		t->image_bytes = b->size;
	}
	if (r == 0 && t->note[0])
		teller_log(&f->tell, '#', "%s", t->note);
	return r;
}

int fastboot_image_check(const struct blob *b, uint64_t *ret, struct err *e)
{
	_cleanup_(sparse_freep) struct sparse *list = NULL;
	enum content content = content_detect(b->data, b->size);
	struct bootimg boot;
	int r = 0;

	if (content == CONTENT_SPARSE)
		r = sparse_read(b->path, b->data, b->size, &list, e);
	else if (content == CONTENT_BOOT)
		r = bootimg_check(b->path, b->data, b->size, &boot, e);
	if (r == 0)
		*ret = list ? sparse_unsparsed_bytes(list) : b->size;
	return r;
}

/* -- what the device says before -- */

/* Bootloaders take these names too: the table itself, the boot areas of an eMMC
 * (U-Boot, doc/android/fastboot.rst). */
static bool is_special(const char *target)
{
	static const char *const names[] = {"gpt", "mbr", "partition", "bootloader"};
	const char *p = target;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(target, names[i]))
			return true;
	if (strncmp(p, "mmc", 3) != 0 || !isdigit((unsigned char)p[3]))
		return false;
	for (p += 3; isdigit((unsigned char)*p);)
		p++;
	return !strncmp(p, "boot", 4);
}

bool fastboot_refusal_is_unknown_partition(const char *words, const char *target)
{
	static const char *const says[] = {
		"find", "found", "exist", "no such", "no partition", "unknown", "invalid", "open"};
	struct strbuf text = {0};
	bool is = false;

	/* "Unknown variable partition-size:x" names the question, and no partition. */
	for (const char *p = words; *p;) {
		size_t skip = !strncasecmp(p, "partition-", 10)	    ? strcspn(p, ": ")
			      : !strncmp(p, target, strlen(target)) ? strlen(target)
								    : 0;

		if (!skip)
			sb_addf(&text, "%c", tolower((unsigned char)*p));
		p += skip ? skip : 1;
	}
	if (text.s && strstr(text.s, "partition") && !strstr(text.s, "variable"))
		for (size_t i = 0; i < ARRAY_LEN(says); i++)
			is |= strstr(text.s, says[i]) != NULL;
	sb_done(&text);
	return is;
}

/* A device that has no such variable refuses it for every name; one that has it says what is wrong
 * with this name, and a second question about the partition confirms it. */
static int check_listed(
	struct fastboot *f, const char *target, const struct iotime *it, struct err *e)
{
	char words[sizeof f->refusal];
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	char name[FASTBOOT_NAME_MAX + 48];
	int r;

	snprintf(words, sizeof words, "%s", f->refusal);
	if (!fastboot_refusal_is_unknown_partition(words, target))
		return 0;
	snprintf(name, sizeof name, "partition-type:%s", target);
	r = fastboot_getvar(f, name, v, it, e);
	if (r != -ERR_NOT_FOUND)
		return r;
	return err_set(e, ERR_NOT_FOUND,
		"the device knows no partition '%s' (it says: %s): nothing was sent ('unlisted: true' sends it all the same)",
		target, words);
}

int fastboot_partition_size(struct fastboot *f, const char *target, bool unlisted, uint64_t *ret,
	const struct iotime *it, struct err *e)
{
	char name[FASTBOOT_NAME_MAX + 48];
	int r;

	snprintf(name, sizeof name, "partition-size:%s", target);
	r = fastboot_getvar_hex(f, name, ret, it, e);
	if (r == 0 && f->refusal[0] && !unlisted && !is_special(target))
		r = check_listed(f, target, it, e);
	return r;
}

static int look_at_target(struct fastboot *f, struct fastboot_flashed *t,
	const struct fastboot_flash_opts *o, const struct iotime *it, struct err *e)
{
	char name[FASTBOOT_NAME_MAX + 48];
	int r = fastboot_target(f, o->partition, o->slot, t->target, it, e);

	if (r == 0)
		r = fastboot_getvar_size(f, "max-download-size", &t->max_download, it, e);
	if (r < 0)
		return r;
	snprintf(name, sizeof name, "is-logical:%s", t->target);
	r = fastboot_getvar_yes(f, name, &t->logical, it, e);
	/* Nothing is changed on answers that belong to other questions. */
	if (r == 0)
		r = fastboot_sync(f, it, e);
	if (r == 0 && t->logical) {
		snprintf(name, sizeof name, "resize-logical-partition:%s:%llu", t->target,
			(unsigned long long)t->image_bytes);
		r = fastboot_command(f, name, f->c.flash_us, it, NULL, e);
		t->resized = r == 0;
	}
	if (r < 0)
		return r;
	return fastboot_partition_size(f, t->target, o->unlisted, &t->partition_bytes, it, e);
}

static int check_fit(const struct fastboot_flashed *t, const char *path, struct err *e)
{
	if (!t->partition_bytes || t->image_bytes <= t->partition_bytes)
		return 0;
	return err_set(e, ERR_IMAGE_RANGE,
		"%s makes %llu bytes, partition %s has %llu: nothing was written", path,
		(unsigned long long)t->image_bytes, t->target,
		(unsigned long long)t->partition_bytes);
}

/* -- sending -- */

struct sending {
	struct fastboot *f;
	struct fastboot_flashed *t;
	struct sha256 *sum; /* NULL: what is sent is the file as it is */
	unsigned pieces;    /* in all */
	const struct spans *piece;
};

/* Of the piece that was sent, while the device writes it. */
static void add_digest(void *data)
{
	static const uint8_t zeros[65536];
	const struct sending *sending = data;
	const struct spans *s = sending->piece;

	for (uint64_t at = 0; at < s->bytes;) {
		const uint8_t *p = NULL;
		uint64_t n = spans_run(s, at, 1u << 20, &p);

		if (!p)
			n = MIN(n, sizeof zeros);
		sha256_add(sending->sum, p ? p : zeros, (size_t)n);
		at += n;
	}
}

/* One download and its flash. touched: from here on a failure leaves the partition damaged. */
static int send_piece(struct sending *s, const struct spans *piece, bool *touched,
	const struct iotime *it, struct err *e)
{
	char command[FASTBOOT_NAME_MAX + 8];
	int r = fastboot_download(s->f, piece, it, e);

	if (r < 0)
		return r;
	s->t->bytes += piece->bytes;
	s->f->sent_before += piece->bytes;
	teller_progress(&s->f->tell, "flash", s->t->pieces, s->pieces);
	snprintf(command, sizeof command, "flash:%s", s->t->target);

	unsigned before = s->f->commands;

	s->piece = piece;
	r = fastboot_command_meanwhile(
		s->f, command, s->f->c.flash_us, s->sum ? add_digest : NULL, s, it, NULL, e);
	*touched |= s->f->commands != before;
	if (r == 0)
		s->t->pieces++;
	return r;
}

static int damaged(const struct sending *s, int r, bool touched, struct err *e)
{
	bool unknown = s->t->pieces == 0 &&
		       fastboot_refusal_is_unknown_partition(s->f->refusal, s->t->target);

	if (touched && !unknown)
		err_prefix(e,
			"partition %s is damaged (piece %u of %u failed; flash all of it again)",
			s->t->target, s->t->pieces + 1, s->pieces);
	return r;
}

/* Bytes of one download, 0: the whole file goes at once. */
static uint64_t piece_limit(
	const struct fastboot_flash_opts *o, const struct fastboot_flashed *t, uint64_t whole)
{
	uint64_t limit = o->limit ? o->limit : t->max_download ? t->max_download : UINT32_MAX;

	return whole <= limit && !o->sparse ? 0 : MIN(limit, PIECE_MAX_BYTES);
}

static int list_of(struct fastboot_source *s, const struct iotime *it, struct err *e)
{
	if (s->list)
		return 0;
	if (s->whole.count != 1)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: an image with a moved AVB footer or changed flags cannot be split",
			s->blob->path);
	return sparse_of_raw(s->blob->path, s->blob->data, s->blob->size, it, &s->list, e);
}

static int send_pieces(struct sending *s, struct fastboot_source *src, uint64_t limit,
	const struct iotime *it, struct err *e)
{
	struct sparse_place at = {0};
	bool touched = false;
	int r = list_of(src, it, e);

	if (r == 0)
		r = sparse_count_pieces(src->list, limit, &s->pieces, e);
	while (r == 0 && !sparse_at_end(src->list, &at)) {
		struct spans piece = {0};

		r = sparse_piece(src->list, limit, &at, &piece, e);
		if (r == 0 && s->f->send_total == 0)
			s->f->send_total = src->blob->size;
		if (r == 0) {
			teller_log(&s->f->tell, '#', "piece %u of %u: %llu bytes", s->t->pieces + 1,
				s->pieces, (unsigned long long)piece.bytes);
			r = send_piece(s, &piece, &touched, it, e);
		}
		spans_done(&piece);
	}
	return r < 0 ? damaged(s, r, touched, e) : 0;
}

static int send_whole(
	struct sending *s, struct fastboot_source *src, const struct iotime *it, struct err *e)
{
	bool touched = false;

	s->pieces = 1;
	s->f->send_total = src->whole.bytes;

	int r = send_piece(s, &src->whole, &touched, it, e);

	return r < 0 ? damaged(s, r, touched, e) : 0;
}

static void end_digest(struct sending *s, const struct blob *b)
{
	uint8_t raw[SHA256_BYTES];

	if (!s->sum) {
		strcpy(s->t->sha256, blob_sha256(b));
		return;
	}
	sha256_end(s->sum, raw);
	hex_of(raw, sizeof raw, s->t->sha256);
}

static int send_image(struct fastboot *f, struct fastboot_source *src,
	const struct fastboot_flash_opts *o, struct fastboot_flashed *t, const struct iotime *it,
	struct err *e)
{
	struct sending s = {.f = f, .t = t};
	uint64_t limit = piece_limit(o, t, src->whole.bytes);
	int r;

	if (limit && o->no_sparse)
		return err_set(e, ERR_IMAGE_RANGE,
			"%s has %llu bytes, the device takes %llu at once and no sparse images",
			src->blob->path, (unsigned long long)src->whole.bytes,
			(unsigned long long)limit);
	if (limit || src->whole.count != 1)
		s.sum = sha256_new();
	f->sent_before = f->send_total = 0;
	r = limit ? send_pieces(&s, src, limit, it, e) : send_whole(&s, src, it, e);
	f->sent_before = f->send_total = 0;
	if (r == 0)
		end_digest(&s, src->blob);
	sha256_free(s.sum);
	return r;
}

static int erase_target(
	struct fastboot *f, const char *target, const struct iotime *it, struct err *e)
{
	char command[FASTBOOT_NAME_MAX + 8];

	teller_progress(&f->tell, "erase", 0, 1);
	snprintf(command, sizeof command, "erase:%s", target);
	return fastboot_command(f, command, f->c.flash_us, it, NULL, e);
}

int fastboot_erase(struct fastboot *f, const char *partition, const char *slot,
	const struct iotime *it, char ret_target[FASTBOOT_NAME_MAX], struct err *e)
{
	int r = fastboot_target(f, partition, slot, ret_target, it, e);

	if (r == 0)
		r = erase_target(f, ret_target, it, e);
	return r < 0 ? r : fastboot_sync(f, it, e);
}

static int write_it(struct fastboot *f, struct fastboot_source *src,
	const struct fastboot_flash_opts *o, struct fastboot_flashed *t, const struct iotime *it,
	struct err *e)
{
	int r = o->erase ? erase_target(f, t->target, it, e) : 0;

	if (r < 0)
		return r;
	r = send_image(f, src, o, t, it, e);
	if (r < 0 && o->erase && t->pieces == 0)
		err_prefix(e, "partition %s was erased", t->target);
	return r < 0 ? r : fastboot_sync(f, it, e);
}

int fastboot_flash(struct fastboot *f, const struct blob *image,
	const struct fastboot_flash_opts *o, const struct iotime *it, struct fastboot_flashed *ret,
	struct err *e)
{
	_cleanup_(fastboot_source_done) struct fastboot_source src = {0};
	struct fastboot_flashed t = {0};
	int r = fastboot_source_new(f, image, o, &t, &src, e);

	if (r == 0)
		r = look_at_target(f, &t, o, it, e);
	if (r == 0)
		r = check_fit(&t, image->path, e);
	if (r == 0)
		r = source_whole(&src, o, &t, e);
	if (r == 0 && o->skip_equal)
		r = fastboot_is_there(f, &src, &t, it, e);
	if (r == 0 && !t.skipped)
		r = write_it(f, &src, o, &t, it, e);
	if (r == 0 && !t.skipped)
		r = fastboot_read_back(f, &src, o, &t, it, e);
	if (r == 0)
		*ret = t;
	return r;
}
