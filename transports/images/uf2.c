/* SPDX-License-Identifier: Apache-2.0
 *
 * UF2 (github.com/microsoft/uf2, README.md): blocks of 512 bytes, each with its place in flash and
 * its number. Blocks of several families may share a file: each family is numbered by itself, or
 * all blocks of the file in one row; either proves that nothing is missing. Blocks that are not for
 * the main flash, and files of a container, are passed over: they may have numbers in that row or
 * not.
 *
 * A file for a RP2350 may begin with a block that only keeps its boot ROM from an error (RP2350
 * datasheet, erratum E10): of the absolute family, block 0 of 2, filled with EF, or marked by an
 * extension tag. No bootloader writes it.
 */
#include "base/bytes.h"
#include "base/strbuf.h"
#include "transports/images/image_impl.h"

#define BLOCK	     512
#define MAGIC_0	     0x0a324655
#define MAGIC_1	     0x9e5d5157
#define MAGIC_END    0x0ab16f30
#define DATA_MAX     476
#define MD5_BYTES    24 /* at the end of the data, with FLAG_MD5 */
#define FAMILIES_MAX 32

#define FLAG_NOT_MAIN 0x00000001
#define FLAG_FILE     0x00001000
#define FLAG_FAMILY   0x00002000
#define FLAG_MD5      0x00004000
#define FLAG_TAGS     0x00008000

/* pico-sdk, boot/uf2.h. */
#define FAMILY_ABSOLUTE	 0xe48bff57
#define ABSOLUTE_BLOCKS	 2
#define ABSOLUTE_FILL	 0xef
#define TAG_IGNORE_BLOCK 0x9957e304 /* type and size as they lie in the data */

struct family {
	uint32_t id; /* 0: the blocks say none */
	uint32_t blocks;
	uint32_t first_block; /* in the file */
	uint32_t seen;
	uint32_t *at; /* by number: its block in the file, from 1; 0: not seen */
};

struct uf2 {
	struct image_source *s;
	struct family family[FAMILIES_MAX];
	size_t families;
	size_t skipped; /* not for the main flash */
	size_t files;	/* of a container */
	size_t ignored; /* for the boot ROM of a RP2350 alone */
};

enum kind { FLASH, NOT_MAIN, OF_FILE, IGNORED };

struct block {
	uint32_t flags, address, size, number, blocks, family;
	const uint8_t *data;
};

static int parse(struct uf2 *x, size_t at, struct block *ret, struct err *e)
{
	struct rbytes b = rbytes_of(x->s->bytes + at, BLOCK);
	uint32_t magic_0 = rb_le32(&b);
	uint32_t magic_1 = rb_le32(&b);
	struct block k = {.flags = rb_le32(&b)};
	struct rbytes end = rbytes_of(x->s->bytes + at + BLOCK - 4, 4);

	k.address = rb_le32(&b);
	k.size = rb_le32(&b);
	k.number = rb_le32(&b);
	k.blocks = rb_le32(&b);
	k.family = rb_le32(&b);
	k.data = x->s->bytes + at + b.pos;
	if (!(k.flags & FLAG_FAMILY))
		k.family = 0;
	if (magic_0 != MAGIC_0 || magic_1 != MAGIC_1 || rb_le32(&end) != MAGIC_END)
		return image_malformed(x->s, at, e, "there is no UF2 block here");
	*ret = k;
	return 0;
}

static bool is_filled(const struct block *k)
{
	for (uint32_t i = 0; i < k->size; i++)
		if (k->data[i] != ABSOLUTE_FILL)
			return false;
	return true;
}

/* The first tag lies right after the payload. */
static bool is_tagged(const struct block *k)
{
	struct rbytes tag;

	if (!(k->flags & FLAG_TAGS) || k->size > DATA_MAX - 4)
		return false;
	tag = rbytes_of(k->data + k->size, 4);
	return rb_le32(&tag) == TAG_IGNORE_BLOCK;
}

static enum kind kind_of(const struct block *k)
{
	if (k->flags & FLAG_NOT_MAIN)
		return NOT_MAIN;
	if (k->flags & FLAG_FILE)
		return OF_FILE;
	if (k->family == FAMILY_ABSOLUTE && k->number == 0 && k->blocks == ABSOLUTE_BLOCKS &&
		k->size > 0 && k->size <= DATA_MAX && (is_filled(k) || is_tagged(k)))
		return IGNORED;
	return FLASH;
}

static int check(struct uf2 *x, size_t at, const struct block *k, struct err *e)
{
	uint32_t room = k->flags & FLAG_MD5 ? DATA_MAX - MD5_BYTES : DATA_MAX;

	if (k->size == 0 || k->size > room || k->size % 4)
		return image_malformed(x->s, at, e,
			"a payload of %u bytes: at most %u, a multiple of 4", k->size, room);
	if (k->address % 4)
		return image_malformed(
			x->s, at, e, "the address 0x%08x is not a multiple of 4", k->address);
	if (k->number >= k->blocks)
		return image_malformed(x->s, at, e, "block number %u of %u", k->number, k->blocks);
	if (k->blocks > x->s->n / BLOCK)
		return image_malformed(x->s, at, e,
			"the block says %u blocks, the file holds %zu: it is cut off", k->blocks,
			x->s->n / BLOCK);
	return 0;
}

static int family_of(
	struct uf2 *x, size_t at, const struct block *k, size_t *ret_index, struct err *e)
{
	struct family *f = x->family;

	while (f < x->family + x->families && f->id != k->family)
		f++;
	if (f == x->family + FAMILIES_MAX)
		return image_malformed(x->s, at, e, "more than %d families", FAMILIES_MAX);
	if (f == x->family + x->families) {
		*f = (struct family){.id = k->family,
			.blocks = k->blocks,
			.first_block = (uint32_t)(at / BLOCK),
			.at = calloc(k->blocks, sizeof *f->at)};
		if (!f->at)
			return err_set(e, ERR_NO_MEMORY, "firmware file %s", x->s->image->path);
		x->families++;
	}
	if (f->blocks != k->blocks)
		return image_malformed(x->s, at, e,
			"the block says %u blocks, those before it said %u", k->blocks, f->blocks);
	*ret_index = (size_t)(f - x->family);
	return 0;
}

static int count(struct uf2 *x, size_t at, struct family *f, const struct block *k, struct err *e)
{
	uint32_t *seen_at = &f->at[k->number];
	size_t before = ((size_t)*seen_at - 1) * BLOCK;

	if (*seen_at == 0) {
		*seen_at = (uint32_t)(at / BLOCK) + 1;
		f->seen++;
		return 0;
	}
	if (memcmp(x->s->bytes + before, x->s->bytes + at, BLOCK))
		return image_malformed(x->s, at, e,
			"block number %u again, another one than at offset 0x%zx", k->number,
			before);
	return 0;
}

static int survey_block(struct uf2 *x, size_t at, struct err *e)
{
	struct block k;
	size_t f = 0;
	int r = parse(x, at, &k, e);

	if (r < 0)
		return r;
	switch (kind_of(&k)) {
	case NOT_MAIN:
		x->skipped++;
		return 0;
	case OF_FILE:
		x->files++;
		return 0;
	case IGNORED:
		x->ignored++;
		return 0;
	case FLASH:
		break;
	}
	r = check(x, at, &k, e);
	if (r == 0)
		r = family_of(x, at, &k, &f, e);
	return r < 0 ? r : count(x, at, &x->family[f], &k, e);
}

static bool is_whole(const struct uf2 *x)
{
	for (size_t i = 0; i < x->families; i++)
		if (x->family[i].seen != x->family[i].blocks)
			return false;
	return true;
}

/* Whether the blocks of all kinds have their numbers in one row, each once. */
static bool one_row(const struct uf2 *x)
{
	uint32_t blocks = x->families ? x->family[0].blocks : 0;
	_cleanup_(freep) uint8_t *seen = calloc(blocks + 1u, 1);
	uint32_t count = 0;
	struct err ignored;

	for (size_t at = 0; seen && at < x->s->n; at += BLOCK) {
		struct block k;

		if (parse((struct uf2 *)x, at, &k, &ignored) < 0)
			return false;
		if (kind_of(&k) == IGNORED)
			continue;
		if (k.blocks != blocks || k.number >= blocks || seen[k.number])
			return false;
		seen[k.number] = 1;
		count++;
	}
	return seen && count == blocks;
}

static int survey(struct uf2 *x, struct err *e)
{
	for (size_t at = 0; at < x->s->n; at += BLOCK) {
		int r = survey_block(x, at, e);

		if (r < 0)
			return r;
	}
	if (is_whole(x) || one_row(x))
		return 0;
	for (struct family *f = x->family; f < x->family + x->families; f++)
		if (f->seen != f->blocks)
			return image_malformed(x->s, (uint64_t)f->first_block * BLOCK, e,
				"%u of %u blocks of family 0x%08x are there: the file is cut off",
				f->seen, f->blocks, f->id);
	return 0;
}

static int say_which(const struct uf2 *x, struct err *e)
{
	uint32_t want = x->s->opts->uf2_family;
	struct strbuf all = {0};
	int r;

	for (size_t i = 0; i < x->families; i++)
		sb_addf(&all, "%s0x%08x", i ? ", " : "", x->family[i].id);
	if (want)
		r = image_malformed(
			x->s, 28, e, "holds nothing for family 0x%08x; it holds %s", want, all.s);
	else
		r = err_set(e, ERR_INVALID,
			"firmware file %s holds %zu families, %s: say which ('family')",
			x->s->image->path, x->families, all.s);
	sb_done(&all);
	return r;
}

static int choose(struct uf2 *x, uint32_t *ret_id, struct err *e)
{
	uint32_t want = x->s->opts->uf2_family;

	if (x->families == 0)
		return image_malformed(x->s, 0, e, "holds nothing for the main flash");
	for (size_t i = 0; want && i < x->families; i++) {
		if (x->family[i].id == want) {
			*ret_id = want;
			return 0;
		}
	}
	if (want || (x->families > 1 && !x->s->opts->inspect))
		return say_which(x, e);
	if (x->families > 1)
		image_note(x->s->image, "holds %zu families; this is the first, 0x%08x",
			x->families, x->family[0].id);
	*ret_id = x->family[0].id;
	return 0;
}

static int add(struct uf2 *x, uint32_t family, struct err *e)
{
	for (size_t at = 0; at < x->s->n; at += BLOCK) {
		struct block k;
		int r = parse(x, at, &k, e);

		if (r == 0 && kind_of(&k) == FLASH && k.family == family)
			r = image_add(x->s, 0, k.address, k.data, k.size, at, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int image_read_uf2(struct image_source *s, struct err *e)
{
	struct uf2 x = {.s = s};
	uint32_t family = 0;
	int r = 0;

	s->limit = 1ull << 32;
	s->same_twice = true;
	if (s->n % BLOCK)
		return image_malformed(s, s->n / BLOCK * BLOCK, e,
			"%zu bytes after the last block of %d: the file is cut off", s->n % BLOCK,
			BLOCK);
	r = survey(&x, e);
	if (r == 0)
		r = choose(&x, &family, e);
	s->image->uf2_family = family;
	if (r == 0)
		r = add(&x, family, e);
	if (x.skipped)
		image_note(s->image, "%zu blocks are not for the main flash: left out", x.skipped);
	if (x.files)
		image_note(s->image, "%zu blocks are of files in a container: left out", x.files);
	if (x.ignored)
		image_note(s->image,
			"%zu blocks are for the boot ROM of a RP2350 alone (erratum E10): left out",
			x.ignored);
	for (size_t i = 0; i < x.families; i++)
		free(x.family[i].at);
	return r;
}
