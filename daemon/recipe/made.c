/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/recipe/made.h"

#include "base/util.h"
#include "transports/images/packed.h"

#define PREFIX "made:"

struct one {
	char *step, *name;
	struct blob *blob;
	bool secret;
};

struct made {
	struct secret_set *secrets;
	struct one *list;
	size_t count;
};

struct made *made_new(struct secret_set *secrets)
{
	struct made *m = xcalloc(1, sizeof *m);

	m->secrets = secrets;
	return m;
}

static void one_done(struct one *o)
{
	blob_unref(o->blob);
	free(o->step);
	free(o->name);
}

struct made *made_free(struct made *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->count; i++)
		one_done(&m->list[i]);
	free(m->list);
	free(m);
	return NULL;
}

static struct one *find_step(const struct made *m, const char *step)
{
	for (size_t i = 0; m && i < m->count; i++)
		if (!strcmp(m->list[i].step, step))
			return &m->list[i];
	return NULL;
}

static struct one *place_for(struct made *m, const char *step)
{
	struct one *o = find_step(m, step);

	if (o) {
		one_done(o);
		return o;
	}
	m->list = reallocarray(m->list, m->count + 1, sizeof *m->list);
	if (!m->list)
		abort();
	return &m->list[m->count++];
}

static int hide(const struct made *m, const char *digest, struct err *e)
{
	return m->secrets ? secret_set_add(m->secrets, digest, e) : 0;
}

int made_put(struct made *m, const char *step, const char *name, struct blob *b, bool secret,
	char ret[STEP_NAME_BYTES], struct err *e)
{
	int r = secret ? hide(m, blob_sha256(b), e) : 0;

	if (r < 0)
		return r;
	*place_for(m, step) = (struct one){xstrdup(step), xstrdup(name), blob_ref(b), secret};
	snprintf(ret, STEP_NAME_BYTES, PREFIX "%s", step);
	return 0;
}

bool made_is(const char *ref)
{
	return !strncmp(ref, PREFIX, strlen(PREFIX));
}

static int find(const struct made *m, const char *ref, const struct one **ret, struct err *e)
{
	*ret = find_step(m, ref + strlen(PREFIX));
	return *ret ? 0
		    : err_set(e, ERR_NOT_FOUND,
			      "no step '%.60s' of this run has made an image: let it come before, and give its output",
			      ref + strlen(PREFIX));
}

int made_name(const struct made *m, const char *ref, char ret[STEP_NAME_BYTES], struct err *e)
{
	const struct one *o;
	int r = find(m, ref, &o, e);

	if (r == 0)
		snprintf(ret, STEP_NAME_BYTES, "%s", o->name);
	return r;
}

int made_load_image(const struct made *m, const char *ref, const struct image_opts *o,
	struct image **ret, struct err *e)
{
	struct image_opts own = *o;
	_cleanup_(image_unrefp) struct image *i = NULL;
	const struct one *from;
	int r = find(m, ref, &from, e);

	if (r < 0)
		return r;
	own.name = from->name;
	own.secret = from->secret;
	r = image_parse(from->name, from->blob->data, from->blob->size, &own, &i, e);
	if (r == 0 && from->secret)
		r = hide(m, i->payload, e);
	if (r == 0)
		*ret = steal_ptr(&i);
	return r;
}

int made_load_blob(const struct made *m, const char *ref, struct blob **ret, struct err *e)
{
	const struct one *o;
	int r = find(m, ref, &o, e);

	if (r == 0)
		*ret = blob_ref(o->blob);
	return r;
}

int made_load_unpacked(const struct made *m, const char *ref, const char *member,
	const struct iotime *it, struct blob **ret, struct err *e)
{
	const struct one *o;
	int r = find(m, ref, &o, e);

	if (r < 0)
		return r;
	/* What is unpacked may lie in a file on the disk. */
	if (packing_of(o->blob->data, o->blob->size) != PACKING_NONE || member)
		return err_set(e, ERR_UNSUPPORTED,
			"%s was made for this unit and is not unpacked: leave 'unpack' and 'member' out",
			o->name);
	*ret = blob_ref(o->blob);
	return 0;
}

int made_path(const struct made *m, const char *ref, struct err *e)
{
	const struct one *o;
	int r = find(m, ref, &o, e);

	return r < 0 ? r
		     : err_set(e, ERR_UNSUPPORTED,
			       "%s was made for this unit and is in memory alone, and a foreign program wants a file: flash it by an action of provd's own",
			       o->name);
}
