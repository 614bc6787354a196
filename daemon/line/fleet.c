/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/attachments.h"
#include "daemon/line/archiver.h"
#include "daemon/line/fleet.h"

#include "base/iotime.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/thread.h"
#include "base/tree.h"
#include "base/util.h"
#include "daemon/line/authority.h"
#include "daemon/line/backlog.h"
#include "daemon/line/cfx.h"
#include "daemon/line/confine.h"
#include "daemon/line/keys.h"
#include "daemon/line/meters.h"
#include "daemon/line/notary.h"
#include "daemon/line/outbox.h"
#include "daemon/line/outputs.h"
#include "daemon/line/plant.h"
#include "daemon/line/services.h"
#include "daemon/line/spool.h"
#include "daemon/line/webhooks.h"
#include "db/db.h"
#include "db/attachments.h"
#include "db/readers.h"
#include "db/writer.h"
#include "transports/links/link_queue.h"
#include "transports/images/cache.h"

#define FEED_RING	4096
#define RESCAN_EVERY_US (30 * US_PER_S)

struct fleet {
	struct mutex lock; /* of config and the list of stations */
	struct config *config;
	struct station **station;
	size_t stations;
	bool reload_pending;

	struct binding *binding;
	struct hotplug **source;
	size_t sources;
	uint64_t rescan_us;

	struct line_services services; /* what the stations see of all this */
	struct store *store;
	struct confine *confine;
	struct outputs_sweep *sweep;
	struct outbox *outbox;	   /* NULL: not started */
	struct webhooks *webhooks; /* the same */
	struct cfx *cfx;	   /* the same */
	struct backlog *backlog;   /* the same */
	struct spool *spool;	   /* the same */
	struct plant *plant;	   /* the same */
	struct notary *notary;	   /* the same */
	struct archiver *archiver; /* the same */
	uint64_t views_version;	   /* atomic */
	bool stopping;
};

/* --- what is published of the record --- */

static void on_committed(void *data, const struct db_event *ev, size_t n)
{
	struct fleet *f = data;

	for (size_t i = 0; i < n; i++) {
		char at[RFC3339_SIZE];
		json_t *body = json_loads(ev[i].data, 0, NULL);
		json_t *o = json_pack("{s:I, s:s, s:s, s:s?, s:s?, s:s?, s:s?, s:o}", "seq",
			(json_int_t)ev[i].seq, "at", rfc3339(ev[i].at, at), "type", ev[i].type,
			"station", ev[i].station, "job", ev[i].job, "run", ev[i].run, "serial",
			ev[i].serial, "data", body ? body : json_object());
		char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

		if (text)
			feed_publish(f->services.feed,
				&(struct feed_news){ev[i].seq, ev[i].type, ev[i].station, ev[i].job,
					ev[i].run, ev[i].serial},
				text);
		free(text);
		json_decref(o);
	}
}

/* --- what the stations may call --- */

static void wake_stations(void *line)
{
	fleet_wake_stations(line);
}

static void views_changed(void *line)
{
	struct fleet *f = line;

	__atomic_add_fetch(&f->views_version, 1, __ATOMIC_ACQ_REL);
}

static struct config *present_config(void *line)
{
	return fleet_config(line);
}

/* A hold began or ended: stations that wait for work look again, and pages show why. */
static void on_hold(void *data)
{
	views_changed(data);
	wake_stations(data);
}

/* --- plug events --- */

static struct station *find_locked(struct fleet *f, const char *id) REQUIRES(f->lock)
{
	for (size_t i = 0; i < f->stations; i++)
		if (!strcmp(station_id(f->station[i]), id))
			return f->station[i];
	return NULL;
}

/* Only the main thread removes stations, so that it may use what it found without the lock. */
static struct station *find_main(struct fleet *f, const char *id)
{
	mutex_lock(&f->lock);
	struct station *s = find_locked(f, id);
	mutex_unlock(&f->lock);
	return s;
}

/* The station that has that port. A reload may have put another of that name in its place, whose
 * ports are others. */
static struct station *station_at(struct fleet *f, const struct config_port *p)
{
	struct station *s = find_main(f, p->station->id);
	const struct station_config *now = s ? station_configured(s) : NULL;

	return now && p->port < now->ports &&
			       !strcmp(now->port[p->port].role, config_port_row(p)->role)
		       ? s
		       : NULL;
}

static void on_present(
	void *data, const struct config_port *port, const struct device_facts *facts, bool wrong)
{
	struct station *s = station_at(data, port);

	if (s)
		station_present(s, port->port, facts, wrong);
}

static void on_absent(void *data, const struct config_port *port)
{
	struct station *s = station_at(data, port);

	if (s)
		station_absent(s, port->port);
}

static void on_event(void *data, const struct hotplug *source, const struct hotplug_event *ev)
{
	binding_event(((struct fleet *)data)->binding, source, ev);
}

static int add_source(struct fleet *f, const char *text, struct err *e)
{
	const struct hotplug_sink sink = {on_event, f};
	struct hotplug *h;
	int r = !strcmp(text, "udev") ? hotplug_udev_new(&sink, &h, e)
				      : hotplug_stream_new(text + strlen("stream:"), &sink, &h, e);

	if (r < 0)
		return r;
	f->source[f->sources++] = h;
	r = h->ops->start(h, e);
	return r < 0 ? err_prefix(e, "events of %s", text) : 0;
}

/* --- open and close --- */

/* Programs that outlived a killed provd, and what they worked in. */
static int sweep_tools(struct fleet *f, struct err *e)
{
	char mark[64];
	unsigned n;
	int r = proc_mark_of(f->config->state_dir, mark, e);

	if (r < 0)
		return r;
	n = proc_sweep(mark);
	if (n > 0)
		log_warning("%u program%s of the provd before this one still ran: ended", n,
			n == 1 ? "" : "s");
	tree_clear(store_scratch(f->store));
	proc_mark(mark);
	confine_apply(f->confine, f->config, store_artifacts(f->store));
	return 0;
}

/* Enumerations have numbers, which begin again when the kernel does. */
static void read_boot(char ret[UUID_SIZE])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (file && fgets(ret, UUID_SIZE, file))
		ret[strcspn(ret, "\n")] = 0;
	if (file)
		fclose(file);
}

/* What is known once the directory is open: the records and the store follow. */
static int make_services(struct fleet *f, struct err *e)
{
	struct line_services *v = &f->services;

	v->holds = holds_new(on_hold, f);
	v->orders = orders_new();
	v->images = image_cache_new();
	v->instruments = link_queue_new();
	v->powers = link_queue_new();
	v->binding = f->binding;
	v->meters = meters_new();
	read_boot(v->boot);
	v->line = f;
	v->wake = wake_stations;
	v->views_changed = views_changed;
	v->config = present_config;
	return feed_new(FEED_RING, &v->feed, e);
}

static int open_records(struct fleet *f, struct err *e)
{
	const struct records_opts o = {.config = f->config,
		.holds = f->services.holds,
		.committed = on_committed,
		.data = f};

	int r;

	store_sweep_uploads(f->store);
	r = records_open(&o, &f->services.records, e);
	if (r < 0)
		return r;
	f->services.store = f->store;
	f->services.writer = records_writer(f->services.records);
	f->services.readers = readers_new(records_path(f->services.records));
	f->sweep = outputs_sweep_new(store_output(f->store));
	return attachments_new(store_attachments(f->store), &f->services.attachments, e);
}

static int is_attached(void *data, const char *sha256)
{
	return attachments_named(data, sha256, NULL);
}

/* Not while the database may be an older one. */
static void sweep_artifacts(struct fleet *f)
{
	struct db *d = NULL;

	if (holds_has(f->services.holds, HOLD_LINEAGE) ||
		db_open_reader(fleet_db_path(f), &d, NULL) < 0)
		return;
	store_sweep_artifacts(f->store, d);
	attachments_sweep(f->services.attachments, 0, is_attached, d);
	db_free(d);
}

int fleet_new(struct config *c, struct fleet **ret, struct err *e)
{
	struct fleet *f = xcalloc(1, sizeof *f);
	const struct binding_sink sink = {f, on_present, on_absent};
	int r;

	mutex_init(&f->lock);
	f->config = config_ref(c);
	f->confine = confine_new();
	f->binding = binding_new(&sink);
	f->services.keys = keys_new(c);
	r = make_services(f, e);
	if (r == 0)
		r = store_open(c->state_dir, &f->store, e);
	if (r == 0)
		r = sweep_tools(f, e);
	if (r == 0)
		r = open_records(f, e);
	if (r == 0)
		sweep_artifacts(f);
	if (r < 0) {
		fleet_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

static void add_station(struct fleet *f, struct config *c, const struct station_config *cfg)
{
	struct station *s;
	struct err e;

	if (station_new(&f->services, c, cfg, &s, &e) < 0) {
		log_error("%s", e.msg);
		return;
	}
	mutex_lock(&f->lock);

	struct station **grown = reallocarray(f->station, f->stations + 1, sizeof *grown);

	if (!grown)
		abort();
	f->station = grown;
	grown[f->stations++] = s;
	mutex_unlock(&f->lock);
	views_changed(f);
}

int fleet_start(struct fleet *f, struct err *e)
{
	int r = 0;

	keys_tick(f->services.keys);
	r = plant_prepare(&f->services, fleet_db_path(f), e);
	if (r < 0)
		return err_prefix(e, "the plant");
	for (size_t i = 0; i < f->config->stations; i++)
		add_station(f, f->config, &f->config->station[i]);
	if (f->stations != f->config->stations)
		return err_set(e, ERR_NO_MEMORY, "not every station could be started");
	binding_set_config(f->binding, f->config);
	f->source = xcalloc(f->config->hotplugs, sizeof *f->source);
	f->rescan_us = now_us() + RESCAN_EVERY_US;
	records_check(f->services.records);
	r = outbox_start(&f->services, fleet_db_path(f), &f->outbox, e);
	if (r == 0)
		r = webhooks_start(&f->services, fleet_db_path(f), &f->webhooks, e);
	if (r == 0)
		r = cfx_start(&f->services, fleet_db_path(f), &f->cfx, e);
	if (r == 0)
		r = spool_start(&f->services, fleet_db_path(f), &f->spool, e);
	if (r == 0)
		r = plant_start(&f->services, fleet_db_path(f), &f->plant, e);
	if (r == 0)
		r = backlog_start(&f->services, fleet_db_path(f), &f->backlog, e);
	if (r == 0)
		r = notary_start(&f->services, fleet_db_path(f), &f->notary, e);
	if (r == 0)
		r = archiver_start(&f->services, fleet_db_path(f), &f->archiver, e);
	for (size_t i = 0; i < f->config->hotplugs && r == 0; i++)
		r = add_source(f, f->config->hotplug[i], e);
	return r;
}

static void remove_station(struct fleet *f, struct station *s)
{
	mutex_lock(&f->lock);
	for (size_t i = 0; i < f->stations; i++) {
		if (f->station[i] == s) {
			memmove(f->station + i, f->station + i + 1,
				(f->stations - i - 1) * sizeof *f->station);
			f->stations--;
			break;
		}
	}
	mutex_unlock(&f->lock);
	station_stop(s, true);
	station_free(s);
	views_changed(f);
}

/* Ends what is no longer configured as it runs, where it is idle; true if something still runs. */
static bool retire_stations(struct fleet *f)
{
	bool waiting = false;

	for (size_t i = f->stations; i-- > 0;) {
		struct station *s = f->station[i];
		const struct station_config *now = config_station(f->config, station_id(s));

		if (now && station_config_equal(now, station_configured(s)))
			continue;
		if (station_idle(s))
			remove_station(f, s);
		else
			waiting = true;
	}
	return waiting;
}

static void apply_config(struct fleet *f)
{
	f->reload_pending = retire_stations(f);
	for (size_t i = 0; i < f->config->stations; i++)
		if (!find_main(f, f->config->station[i].id))
			add_station(f, f->config, &f->config->station[i]);
	/* While an old station runs, its ports stay bound to it. */
	if (!f->reload_pending)
		binding_set_config(f->binding, f->config);
}

void fleet_reload(struct fleet *f, struct config *c)
{
	struct config *old;

	mutex_lock(&f->lock);
	old = f->config;
	f->config = config_ref(c);
	mutex_unlock(&f->lock);
	confine_apply(f->confine, c, store_artifacts(f->store));
	apply_config(f);
	fleet_interlocks_changed(f);
	config_unref(old);
	records_check(f->services.records);
	cfx_poke(f->cfx);
}

void fleet_stop(struct fleet *f, bool now)
{
	f->stopping = true;
	for (size_t i = 0; i < f->stations; i++)
		station_stop(f->station[i], now);
}

bool fleet_stopped(struct fleet *f)
{
	for (size_t i = 0; i < f->stations; i++)
		if (!station_ended(f->station[i]))
			return false;
	return true;
}

struct fleet *fleet_free(struct fleet *f)
{
	if (!f)
		return NULL;
	for (size_t i = 0; i < f->stations; i++)
		station_stop(f->station[i], true);
	for (size_t i = 0; i < f->stations; i++)
		station_free(f->station[i]);
	for (size_t i = 0; i < f->sources; i++)
		hotplug_free(f->source[i]);
	archiver_free(f->archiver);
	outbox_free(f->outbox);
	webhooks_free(f->webhooks);
	cfx_free(f->cfx);
	spool_free(f->spool);
	plant_free(f->plant);
	backlog_free(f->backlog);
	notary_free(f->notary);
	readers_free(f->services.readers);
	keys_free(f->services.keys);
	records_free(f->services.records);
	holds_free(f->services.holds);
	confine_free(f->confine);
	binding_free(f->binding);
	orders_free(f->services.orders);
	feed_free(f->services.feed);
	config_unref(f->config);
	mutex_done(&f->lock);
	free(f->station);
	free(f->source);
	outputs_sweep_free(f->sweep);
	attachments_free(f->services.attachments);
	store_free(f->store);
	image_cache_free(f->services.images);
	link_queue_free(f->services.instruments);
	link_queue_free(f->services.powers);
	meters_free(f->services.meters);
	free(f);
	return NULL;
}

/* --- the main loop's part --- */

size_t fleet_source_count(struct fleet *f)
{
	return f->sources;
}

int fleet_source_fd(struct fleet *f, size_t i)
{
	return f->source[i]->ops->fd(f->source[i]);
}

void fleet_source_dispatch(struct fleet *f, size_t i)
{
	struct err e;

	if (f->source[i]->ops->dispatch(f->source[i], &e) < 0)
		log_error("events of %s: %s", f->source[i]->ops->name, e.msg);
}

static bool run_is_open(void *data, const char *run)
{
	const struct fleet *f = data;

	for (size_t i = 0; i < f->stations; i++)
		if (station_runs(f->station[i], run))
			return true;
	return false;
}

/* By a clock that cannot be believed nothing is too old. */
static void sweep_outputs(struct fleet *f)
{
	int64_t keep_ms = (int64_t)(f->config->output_keep_us / 1000);

	if (keep_ms > 0 && wall_check(records_wall(f->services.records), NULL) == 0)
		outputs_sweep_step(f->sweep, wall_ms() - keep_ms, run_is_open, f);
}

/* What an archive took, and what a full store refused. */
static void sweep_attachments(struct fleet *f)
{
	struct db *d = holds_has(f->services.holds, HOLD_LINEAGE)
			       ? NULL
			       : readers_take(f->services.readers, NULL);

	if (d)
		attachments_sweep(f->services.attachments, ATTACHMENTS_STRAY_S, is_attached, d);
	readers_give(f->services.readers, d);
}

/* Nor is the time of an order over. */
static void end_expired(struct fleet *f)
{
	if (!holds_has(f->services.holds, HOLD_LINEAGE) &&
		wall_check(records_wall(f->services.records), NULL) == 0)
		orders_tick(f->services.orders, f->services.writer);
}

void fleet_tick(struct fleet *f)
{
	uint64_t now = now_us();
	struct err e;

	for (size_t i = 0; i < f->sources; i++)
		fleet_source_dispatch(f, i);
	if (now >= f->rescan_us) {
		f->rescan_us = now + RESCAN_EVERY_US;
		for (size_t i = 0; i < f->sources; i++)
			if (f->source[i]->ops->rescan(f->source[i], &e) < 0)
				log_error("events of %s: %s", f->source[i]->ops->name, e.msg);
	}
	keys_tick(f->services.keys);
	records_tick(f->services.records, f->config);
	end_expired(f);
	sweep_outputs(f);
	sweep_attachments(f);
	if (f->reload_pending && !f->stopping)
		apply_config(f);
}

bool fleet_alive(struct fleet *f, uint64_t limit_us)
{
	uint64_t now = now_us();
	bool alive = now < writer_tick_us(fleet_writer(f)) + limit_us;

	for (size_t i = 0; i < f->stations; i++) {
		uint64_t tick = station_tick_us(f->station[i]);

		/* When it shows life again: the end of a nap, or of the step. */
		if (tick < now && now - tick > limit_us) {
			log_error("station %s has not moved for %llu s: its thread hangs",
				station_id(f->station[i]),
				(unsigned long long)((now - tick) / US_PER_S));
			alive = false;
		}
	}
	return alive;
}

/* --- for everyone --- */

struct config *fleet_config(struct fleet *f)
{
	mutex_lock(&f->lock);
	struct config *c = config_ref(f->config);
	mutex_unlock(&f->lock);
	return c;
}

struct writer *fleet_writer(struct fleet *f)
{
	return f->services.writer;
}

struct readers *fleet_readers(struct fleet *f)
{
	return f->services.readers;
}

struct records *fleet_records(struct fleet *f)
{
	return f->services.records;
}

struct holds *fleet_holds(struct fleet *f)
{
	return f->services.holds;
}

struct feed *fleet_feed(struct fleet *f)
{
	return f->services.feed;
}

struct orders *fleet_orders(struct fleet *f)
{
	return f->services.orders;
}

struct meters *fleet_meters(struct fleet *f)
{
	return f->services.meters;
}

const char *fleet_db_path(struct fleet *f)
{
	return records_path(f->services.records);
}

const struct store *fleet_store(struct fleet *f)
{
	return f->store;
}

void fleet_wake_stations(struct fleet *f)
{
	mutex_lock(&f->lock);
	for (size_t i = 0; i < f->stations; i++)
		station_wake(f->station[i]);
	mutex_unlock(&f->lock);
}

void fleet_interlocks_changed(struct fleet *f)
{
	mutex_lock(&f->lock);
	for (size_t i = 0; i < f->stations; i++)
		station_interlocks_stale(f->station[i]);
	mutex_unlock(&f->lock);
}

void fleet_abort_job(struct fleet *f, const char *job_id)
{
	mutex_lock(&f->lock);
	for (size_t i = 0; i < f->stations; i++)
		station_abort_job(f->station[i], job_id);
	mutex_unlock(&f->lock);
}

void fleet_poke_outbox(struct fleet *f)
{
	outbox_poke(f->outbox);
}

void fleet_poke_webhooks(struct fleet *f)
{
	webhooks_poke(f->webhooks);
	cfx_poke(f->cfx);
}

uint64_t fleet_views_version(struct fleet *f)
{
	return __atomic_load_n(&f->views_version, __ATOMIC_ACQUIRE);
}

json_t *fleet_stations_json(struct fleet *f)
{
	json_t *list = json_array();

	mutex_lock(&f->lock);
	for (size_t i = 0; i < f->stations; i++)
		json_array_append_new(list, station_json(f->station[i]));
	mutex_unlock(&f->lock);
	return list;
}

json_t *fleet_station_json(struct fleet *f, const char *id)
{
	mutex_lock(&f->lock);

	struct station *s = find_locked(f, id);
	json_t *o = s ? station_json(s) : NULL;

	mutex_unlock(&f->lock);
	return o;
}

json_t *fleet_ports_json(struct fleet *f)
{
	return binding_ports(f->binding);
}

int fleet_command(
	struct fleet *f, const char *station, enum station_command c, const char *by, struct err *e)
{
	mutex_lock(&f->lock);

	struct station *s = find_locked(f, station);
	int r = s ? station_command(s, c, by, e)
		  : err_set(e, ERR_NOT_FOUND, "there is no station '%s'", station);

	mutex_unlock(&f->lock);
	return r;
}

int fleet_answer(struct fleet *f, const char *station, const char *prompt_id, const char *answer,
	const char *by, struct err *e)
{
	mutex_lock(&f->lock);

	struct station *s = find_locked(f, station);
	int r = s ? station_answer(s, prompt_id, answer, by, e)
		  : err_set(e, ERR_NOT_FOUND, "there is no station '%s'", station);

	mutex_unlock(&f->lock);
	return r;
}

void fleet_summary(struct fleet *f, struct fleet_summary *ret)
{
	*ret = (struct fleet_summary){0};
	mutex_lock(&f->lock);
	for (size_t i = 0; i < f->stations; i++)
		ret->in[station_state(f->station[i])]++;
	ret->stations = f->stations;
	mutex_unlock(&f->lock);
}

int fleet_issuers(struct fleet *f, json_t **ret, struct err *e)
{
	struct config *c;
	int r = 0;

	*ret = json_array();
	if (f->services.keys)
		r = keys_issuers(f->services.keys, ret, e);
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
		return r;
	}
	c = fleet_config(f);
	for (size_t i = 0; i < c->keys.issuers; i++)
		if (c->keys.issuer[i].kind != ISSUER_LOCAL)
			json_array_append_new(*ret, authority_json(&c->keys.issuer[i]));
	config_unref(c);
	return 0;
}

int fleet_sign(struct fleet *f, const char *signer, const char *who, const void *record, size_t n,
	char **ret_signature, char **ret_public, struct err *e)
{
	return keys_sign(f->services.keys, signer, who, record, n, ret_signature, ret_public, e);
}

int fleet_checkpoint(struct fleet *f, struct err *e)
{
	return f->notary ? notary_make(f->notary, e)
			 : err_set(e, ERR_CONFLICT, "the line has not started yet");
}
