/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of the groups OS and image (Zephyr, "SMP groups" 0 and 1).
 */
#include "transports/protocols/mcumgr/smp_impl.h"

#define UPLOAD_HEAD \
	96 /* of the CBOR around the data of the first block: names, length, offset, SHA-256 */
#define BODY_MAX (SMP_PACKET_MAX - SMP_HEAD_BYTES)
#define TEXT_MAX 128

/* --- OS --- */

int smp_echo(struct smp *s, const char *text, const struct iotime *it, struct err *e)
{
	_cleanup_(smp_item_freep) cbor_item_t *map = NULL;
	uint8_t body[TEXT_MAX + 8];
	struct wbytes w = wbytes_of(body, sizeof body);
	struct smp_ask a = {SMP_WRITE, SMP_GROUP_OS, SMP_OS_ECHO, body, .what = "echo"};
	char got[TEXT_MAX + 1] = "";
	int r;

	if (strlen(text) > TEXT_MAX)
		return err_set(e, ERR_INVALID, "a text of more than %d bytes", TEXT_MAX);
	smp_put_map(&w, 1);
	smp_put_text(&w, "d");
	smp_put_text(&w, text);
	a.n = w.len;
	r = smp_request(s, &a, &map, it, e);
	if (r == 0 && (!smp_get_text(map, "r", got, sizeof got) || strcmp(got, text) != 0))
		r = err_set(e, ERR_UNEXPECTED_REPLY,
			"%s: the unit gave another text back than '%s'", s->link->address, text);
	return r;
}

int smp_reset(struct smp *s, const struct iotime *it, struct err *e)
{
	_cleanup_(smp_item_freep) cbor_item_t *map = NULL;
	const struct smp_ask a = {
		SMP_WRITE, SMP_GROUP_OS, SMP_OS_RESET, .once = true, .what = "reset"};
	int r = smp_request(s, &a, &map, it, e);

	/* It may be gone before its answer is. */
	return r == -ERR_TIMEOUT ? iotime_check(it, e) : r;
}

/* How long a packet may be for this unit. */
static int find_mtu(struct smp *s, const struct iotime *it, struct err *e)
{
	_cleanup_(smp_item_freep) cbor_item_t *map = NULL;
	const struct smp_ask a = {SMP_READ, SMP_GROUP_OS, SMP_OS_PARAMS, .what = "its parameters"};
	uint64_t size = SMP_MTU_DEFAULT;
	int r;

	if (s->mtu)
		return 0;
	s->mtu = s->o.mtu;
	if (s->mtu)
		return 0;
	r = smp_request(s, &a, &map, it, e);
	/* Old ones do not have it. */
	if (r < 0 && r != -ERR_UNSUPPORTED && r != -ERR_DEVICE_REFUSED)
		return r;
	if (r == 0)
		smp_get_uint(map, "buf_size", &size);
	s->mtu = (uint32_t)MAX(MIN(size, (uint64_t)SMP_PACKET_MAX), (uint64_t)SMP_MTU_MIN);
	return 0;
}

/* --- images --- */

static bool read_image(const cbor_item_t *map, struct smp_image *i)
{
	uint64_t image = 0;
	uint64_t slot = 0;

	*i = (struct smp_image){0};
	if (!smp_get_uint(map, "slot", &slot) ||
		!smp_get_text(map, "version", i->version, sizeof i->version))
		return false;
	smp_get_uint(map, "image", &image);
	if (image > UINT16_MAX || slot > UINT16_MAX)
		return false;
	i->image = (unsigned)image;
	i->slot = (unsigned)slot;
	smp_get_bytes(map, "hash", i->hash, sizeof i->hash, &i->hash_bytes);
	smp_get_bool(map, "bootable", &i->bootable);
	smp_get_bool(map, "pending", &i->pending);
	smp_get_bool(map, "confirmed", &i->confirmed);
	smp_get_bool(map, "active", &i->active);
	smp_get_bool(map, "permanent", &i->permanent);
	return true;
}

static int read_images(
	const struct smp *s, const cbor_item_t *map, struct smp_images *ret, struct err *e)
{
	const cbor_item_t *list = smp_get(map, "images");
	struct smp_images l = {0};

	if (!list || !cbor_isa_array(list) || cbor_array_size(list) > SMP_IMAGES_MAX)
		return err_set(e, ERR_PROTOCOL, "%s: the list of images has none, or more than %d",
			s->link->address, SMP_IMAGES_MAX);
	for (size_t i = 0; i < cbor_array_size(list); i++)
		if (!read_image(cbor_array_handle(list)[i], &l.list[l.n++]))
			return err_set(e, ERR_PROTOCOL,
				"%s: image %zu of the list has no slot or no version",
				s->link->address, i);
	*ret = l;
	return 0;
}

int smp_list(struct smp *s, struct smp_images *ret, const struct iotime *it, struct err *e)
{
	_cleanup_(smp_item_freep) cbor_item_t *map = NULL;
	const struct smp_ask a = {
		SMP_READ, SMP_GROUP_IMAGE, SMP_IMAGE_STATE, .what = "the list of images"};
	int r = smp_request(s, &a, &map, it, e);

	return r < 0 ? r : read_images(s, map, ret, e);
}

int smp_select(struct smp *s, const uint8_t *hash, size_t n, bool confirm, struct smp_images *ret,
	const struct iotime *it, struct err *e)
{
	_cleanup_(smp_item_freep) cbor_item_t *map = NULL;
	uint8_t body[SMP_HASH_MAX + 32];
	struct wbytes w = wbytes_of(body, sizeof body);
	struct smp_ask a = {SMP_WRITE, SMP_GROUP_IMAGE, SMP_IMAGE_STATE, body,
		.what = confirm ? "to keep the image" : "to test the image"};
	int r;

	smp_put_map(&w, 2);
	smp_put_text(&w, "hash");
	smp_put_bytes(&w, hash, n);
	smp_put_text(&w, "confirm");
	smp_put_bool(&w, confirm);
	a.n = w.len;
	r = smp_request(s, &a, &map, it, e);
	/* What it answers is as good as the list, and the list is asked for all the same: it is the proof. */
	return r < 0 ? r : smp_list(s, ret, it, e);
}

const struct smp_image *smp_find(const struct smp_images *l, const uint8_t *hash, size_t n)
{
	for (size_t i = 0; i < l->n; i++)
		if (n && l->list[i].hash_bytes == n && !memcmp(l->list[i].hash, hash, n))
			return &l->list[i];
	return NULL;
}

const struct smp_image *smp_active(const struct smp_images *l, unsigned image)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].active && l->list[i].image == image)
			return &l->list[i];
	return NULL;
}

/* --- upload --- */

static size_t put_block(struct wbytes *w, const struct smp_upload *u, uint32_t at, size_t n)
{
	uint8_t sum[SHA256_BYTES];

	smp_put_map(w, at ? 2 : 4 + (u->image != 0) + u->upgrade);
	if (at == 0) {
		/* All of it again, whenever the unit wants the beginning. */
		sha256_of(u->data, u->bytes, sum);
		if (u->image) {
			smp_put_text(w, "image");
			smp_put_uint(w, u->image);
		}
		smp_put_text(w, "len");
		smp_put_uint(w, u->bytes);
		smp_put_text(w, "sha");
		smp_put_bytes(w, sum, sizeof sum);
		if (u->upgrade) {
			smp_put_text(w, "upgrade");
			smp_put_bool(w, true);
		}
	}
	smp_put_text(w, "off");
	smp_put_uint(w, at);
	smp_put_text(w, "data");
	smp_put_bytes(w, u->data + at, n);
	return w->len;
}

/* One block from *at on; *at becomes what the unit wants next. */
static int send_block(struct smp *s, const struct smp_upload *u, uint32_t *at,
	const struct iotime *it, struct err *e)
{
	_cleanup_(smp_item_freep) cbor_item_t *map = NULL;
	uint8_t body[BODY_MAX];
	struct wbytes w = wbytes_of(body, sizeof body);
	size_t room = s->mtu - SMP_HEAD_BYTES - UPLOAD_HEAD;
	struct smp_ask a = {SMP_WRITE, SMP_GROUP_IMAGE, SMP_IMAGE_UPLOAD, body,
		.budget_us = *at ? 0 : s->o.erase_us, .what = "a block of the image"};
	uint64_t next = 0;
	bool match = true;
	int r;

	a.n = put_block(&w, u, *at, MIN(room, (size_t)(u->bytes - *at)));
	r = smp_request(s, &a, &map, it, e);
	if (r < 0)
		return err_prefix(e, "%s at %u of %u", u->name, *at, u->bytes);
	if (!smp_get_uint(map, "off", &next) || next > u->bytes)
		return err_set(e, ERR_PROTOCOL,
			"%s: after %u of %u bytes the unit wants the one at %llu", s->link->address,
			*at, u->bytes, (unsigned long long)next);
	smp_get_bool(map, "match", &match);
	if (!match)
		return err_set(e, ERR_VERIFY_MISMATCH,
			"%s: the unit says that %s does not have its SHA-256 there",
			s->link->address, u->name);
	*at = (uint32_t)next;
	return 0;
}

int smp_upload(struct smp *s, const struct smp_upload *u, struct smp_uploaded *ret,
	const struct iotime *it, struct err *e)
{
	struct smp_uploaded res = {0};
	uint32_t at = 0;
	uint32_t most;
	int r = find_mtu(s, it, e);

	if (r < 0)
		return r;
	/* A unit that goes back again and again makes no way. */
	most = 2 * (u->bytes / (s->mtu - SMP_HEAD_BYTES - UPLOAD_HEAD) + 1) + 16;
	while (at < u->bytes) {
		uint32_t before = at;

		if (res.blocks++ == most)
			return err_set(e, ERR_DEVICE_REFUSED,
				"%s: after %u blocks the unit wants %s from %u on again",
				s->link->address, most, u->name, at);
		r = send_block(s, u, &at, it, e);
		if (r < 0)
			return r;
		if (before == 0 && res.blocks == 1 && at > s->mtu)
			res.resumed_at = at;
		res.again += at <= before;
		teller_progress(&s->tell, "write", at, u->bytes);
	}
	*ret = res;
	return 0;
}
