/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/cfx_impl.h"

#include "base/digest.h"
#include "base/util.h"
#include "daemon/line/cfx_messages.h"
#include "daemon/line/config.h"
#include "daemon/line/services.h"
#include "db/writer.h"

/* By the address alone: a broker that moves is the same receiver. */
static void id_of(const char *address, char ret[DB_ID_SIZE])
{
	char hex[SHA256_HEX];

	sha256_hex_of(address, strlen(address), hex);
	snprintf(ret, DB_ID_SIZE, "cfx-%.16s", hex);
}

static struct target *find_target(struct cfx *c, const char *id)
{
	for (size_t i = 0; i < c->targets; i++)
		if (!strcmp(c->target[i]->row.id, id))
			return c->target[i];
	return NULL;
}

static const char *address_of(const struct config *config, const char *id)
{
	const json_t *v;
	char own[DB_ID_SIZE];
	size_t i;

	json_array_foreach(config->cfx.addresses, i, v) {
		id_of(json_string_value(v), own);
		if (!strcmp(own, id))
			return json_string_value(v);
	}
	return NULL;
}

struct owns {
	struct webhook_own own[WEBHOOKS_OWN_MAX];
	char *url[WEBHOOKS_OWN_MAX];
	size_t n;
};

static int apply_own(struct db *tx, void *data, struct err *e)
{
	const struct owns *o = data;

	return webhooks_own(tx, o->own, o->n, e);
}

/* The records know the addresses of this configuration. */
static int put_addresses(struct cfx *c, const struct config *config, struct err *e)
{
	const struct cfx_config *f = &config->cfx;
	json_t *events;
	struct owns o = {0};
	const json_t *v;
	size_t i;
	int r = f->url ? 1 : webhooks_has_own(c->db, e);

	if (r <= 0)
		return r;
	events = cfx_events(f->types);

	json_array_foreach(f->url ? f->addresses : NULL, i, v) {
		const char *address = json_string_value(v);

		o.url[o.n] = xasprintf("%s%s%s", f->url, *address == '/' ? "" : "/", address);
		id_of(address, o.own[o.n].id);
		o.own[o.n].url = o.url[o.n];
		o.own[o.n].types = events;
		o.own[o.n].stations = json_array_size(f->stations) ? f->stations : NULL;
		o.n++;
	}
	r = writer_do(c->line->writer, apply_own, &o, e);
	for (size_t k = 0; k < o.n; k++)
		free(o.url[k]);
	json_decref(events);
	return r;
}

void cfx_drop_targets(struct cfx *c)
{
	for (size_t i = c->targets; i-- > 0;) {
		struct target *t = c->target[i];

		if (t->there)
			continue;
		cfx_unlink(c, t);
		retries_done(&t->retries);
		free(t->address);
		free(t);
		c->target[i] = c->target[--c->targets];
	}
}

static void keep_target(struct cfx *c, const struct webhook *row, int64_t newest)
{
	const char *address = address_of(c->config, row->id);
	struct target *t = find_target(c, row->id);

	if (!address || (!t && c->targets == WEBHOOKS_OWN_MAX))
		return;
	if (!t) {
		t = c->target[c->targets++] = xcalloc(1, sizeof *t);
		t->address = xstrdup(address);
		t->retries.failures = row->failures;
	}
	t->row = *row;
	t->there = true;
	t->more |= row->seen < newest;
}

static int open_records(struct cfx *c, struct err *e)
{
	return c->db ? 0 : db_open_reader(c->db_path, &c->db, e);
}

/* Another configuration is another connection. */
static int look_at_config(struct cfx *c, struct err *e)
{
	struct config *now = c->line->config(c->line->line);
	int r;

	if (now == c->config) {
		config_unref(now);
		return 0;
	}
	r = open_records(c, e);
	if (r == 0)
		r = put_addresses(c, now, e);
	if (r < 0) {
		config_unref(now);
		return r;
	}
	cfx_disconnect(c);
	config_unref(c->config);
	c->config = now;
	c->failures = 0;
	c->connect_us = 0;
	return 0;
}

int cfx_look(struct cfx *c, struct err *e)
{
	struct webhook row[WEBHOOKS_MAX];
	int64_t newest = 0;
	size_t n = 0;
	int r = look_at_config(c, e);

	if (r == 0 && c->config->cfx.url)
		r = open_records(c, e);
	if (r == 0 && c->config->cfx.url)
		r = webhooks_newest(c->db, &newest, e);
	if (r == 0 && c->config->cfx.url)
		r = webhooks_enabled(c->db, true, row, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->targets; i++)
		c->target[i]->there = false;
	for (size_t i = 0; i < n; i++)
		keep_target(c, &row[i], newest);
	cfx_drop_targets(c);
	return 0;
}

static int apply_take(struct db *tx, void *data, struct err *e)
{
	struct cfx *c = data;
	int64_t waiting;
	int r = 0;

	for (size_t i = 0; i < c->targets && r == 0; i++)
		if (c->target[i]->more)
			r = webhooks_take(
				tx, c->target[i]->row.id, &c->target[i]->more, &waiting, e);
	return r;
}

int cfx_take(struct cfx *c, struct err *e)
{
	bool wants = false;

	for (size_t i = 0; i < c->targets; i++)
		wants |= c->target[i]->more;
	return wants ? writer_do(c->line->writer, apply_take, c, e) : 0;
}
