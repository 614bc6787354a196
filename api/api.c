/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include "api/access_log.h"
#include "api/api_tls.h"
#include "api/event_topics.h"
#include "api/first_token.h"
#include "api/health.h"
#include "api/httpd_upload.h"
#include "api/metrics.h"
#include "api/router.h"
#include "api/station_texts.h"
#include "api/tls.h"
#include "api/tls_make.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "db/artifacts.h"

#define SWEEP_US (3600 * US_PER_S)

unsigned api_descriptors(void)
{
	return HTTPD_DESCRIPTORS;
}

int api_make_token(const char *state_dir, const char *role, const char *name,
	int (*keep)(void *data, const char *token, struct err *e), void *data, struct err *e)
{
	int which = role_from_str(role);

	if (which < 0)
		return err_set(e, ERR_INVALID,
			"unknown role '%s': viewer, operator, supervisor, engineer, mes or admin expected",
			role);
	if (name && auth_check_name(name, e) < 0)
		return -(int)e->code;
	return offline_token(state_dir, (enum role)which, name, keep, data, e);
}

/* What everybody can see is said: in the log, at /version, on every page. */
static void note_insecure(struct api *a)
{
	const char *address = httpd_clear_address(a->httpd);

	a->insecure = *address;
	if (a->insecure)
		log_warning(
			"insecure: the API is served on %s without TLS: whoever can read the network can read tokens and firmware",
			address);
}

/* A reload may change it. */
static void read_quota(struct api *a)
{
	struct config *c = fleet_config(a->fleet);

	__atomic_store_n(&a->quota.quota_bytes, c->artifact_quota_bytes, __ATOMIC_RELAXED);
	config_unref(c);
}

/* Without room for it, it is made once there is some: what needs no token is served. */
static int make_first_token(struct api *a, struct err *e)
{
	int r = first_token(a->auth, fleet_writer(a->fleet), a->keep_token, a->keep_data, e);

	if (r == -ERR_DISK_FULL) {
		log_error("there is no room for the first admin token yet: %s", e->msg);
		return 0;
	}
	a->keep_token = NULL;
	return r;
}

/* What an order's waiting requests ask for is another answer now; the counters of an order move without it. */
static bool changes_an_order(const struct feed_news *n)
{
	return n->job[0] && !strncmp(n->type, "job-", 4) && strcmp(n->type, "job-unit") != 0;
}

static bool is_durable(const void *data, const struct feed_news *n)
{
	return n->seq > 0;
}

static void wake(struct api *a, const struct feed_news *n)
{
	char topic[EVENT_TOPICS][WAIT_TOPIC_SIZE];
	const size_t topics = event_topics_of(n, topic);

	if (changes_an_order(n))
		httpd_wake(a->httpd, n->job);
	for (size_t i = 0; i < topics; i++)
		httpd_wake(a->httpd, topic[i]);
}

/* What is on disk is seen by who is carried out again. */
static void on_change(void *data)
{
	struct api *a = data;
	struct feed_sub *changes = __atomic_load_n(&a->changes, __ATOMIC_ACQUIRE);
	struct feed_item *item;
	int r = -1;

	while (changes && (r = feed_next(changes, &item)) > 0) {
		wake(a, &item->news);
		feed_item_unref(item);
	}
	if (r < 0)
		httpd_wake(a->httpd, NULL);
}

static int start_httpd(struct api *a, const struct config *c, int listen_fd, struct err *e)
{
	struct httpd_listen listen[HTTPD_LISTENS];
	struct httpd_options o = {.listen = listen,
		.listens = MIN(c->listens, ARRAY_LEN(listen)),
		.listen_fd = listen_fd,
		.tls = a->tls,
		.upload_dir = store_artifacts(fleet_store(a->fleet)),
		.local_only = !c->insecure};

	for (size_t i = 0; i < o.listens; i++)
		listen[i] = (struct httpd_listen){
			c->listen[i].host, c->listen[i].port, c->listen[i].path, c->listen[i].tls};
	int r = httpd_start(&o, &router_ops, a, &a->httpd, e);
	if (r == 0)
		__atomic_store_n(&a->changes,
			feed_subscribe(fleet_feed(a->fleet),
				&(struct feed_opts){is_durable, on_change, a}),
			__ATOMIC_RELEASE);
	return r;
}

static int load_auth(struct api *a, struct err *e)
{
	struct db *reader = readers_take(a->readers, e);
	int64_t stored = 0;
	int r = reader ? auth_new(reader, &a->auth, e) : -(int)e->code;

	/* Without it nothing is stored: damage holds the line. */
	if (r == 0 && artifacts_total(reader, &stored, e) < 0)
		r = e->code == ERR_RECORDS_DAMAGED ? 0 : -(int)e->code;
	readers_give(a->readers, reader);
	artifact_quota_add(&a->quota, (uint64_t)stored);
	return r;
}

/* Uploads that nobody went on with. */
static struct upload_parts sweep_parts(struct api *a)
{
	a->sweep_us = now_us() + SWEEP_US;
	return upload_sweep_parts(store_artifacts(fleet_store(a->fleet)), wall_ms() / 1000);
}

int api_start(struct fleet *f, int listen_fd,
	int (*keep)(void *data, const char *token, struct err *e), void *data, struct api **ret,
	struct err *e)
{
	struct api *a = xcalloc(1, sizeof *a);
	struct config *c = fleet_config(f);
	int r;

	a->fleet = f;
	a->rate_limit = c->rate_limit;
	a->readers = fleet_readers(f);
	a->station_texts = station_texts_new(f);
	mutex_init(&a->health_lock);
	mutex_init(&a->openapi_lock);
	a->metrics = api_metrics_new();
	a->started_ms = wall_ms();
	r = access_log_new(c->access_log, c->access_log_file, &a->access_log, e);
	if (r == 0)
		r = load_auth(a, e);
	artifact_quota_add(&a->quota, sweep_parts(a).left);
	read_quota(a);
	a->keep_token = keep;
	a->keep_data = data;
	if (r == 0)
		r = api_tls_open(a, c, e);
	if (r == 0)
		r = make_first_token(a, e);
	if (r == 0)
		r = start_httpd(a, c, listen_fd, e);
	config_unref(c);
	if (r < 0) {
		api_stop(a);
		return r;
	}
	note_insecure(a);
	*ret = a;
	return 0;
}

void api_reload(struct api *a)
{
	struct config *c = fleet_config(a->fleet);

	struct err e;

	api_tls_reload(a, c);
	if (access_log_reopen(a->access_log, c->access_log, c->access_log_file, &e) < 0)
		log_error("%s: the access log stays where it was", e.msg);
	config_unref(c);
}

int api_check_tls(const struct config *c, struct err *e)
{
	const struct tls_files f = {
		c->tls.certificate, c->tls.key, c->tls.client_ca, c->tls.client_crl};
	struct tls *t = NULL;
	int r = f.certificate ? tls_new(&f, &t, e) : 0;

	tls_free(t);
	return r;
}

int api_make_certificate(const char *dir, const char *const *hosts, size_t n, struct err *e)
{
	return tls_make(dir, hosts, n, e);
}

uint16_t api_port(const struct api *a)
{
	return httpd_port(a->httpd);
}

struct uses {
	size_t count, tokens;
	struct session_row row[32];
	struct token_use token[32];
};

static int apply_uses(struct db *tx, void *data, struct err *e)
{
	const struct uses *u = data;
	int r = 0;

	for (size_t i = 0; i < u->count && r == 0; i++)
		r = sessions_touch(tx, u->row[i].hash, u->row[i].used_ms, e);
	for (size_t i = 0; i < u->tokens && r == 0; i++)
		r = tokens_touch(tx, u->token[i].id, u->token[i].used_ms, u->token[i].used_from, e);
	return r;
}

static void uses_stored(void *data, int result, const struct err *e)
{
	if (result < 0)
		log_warning(
			"the use of tokens and browser sessions could not be stored: %s", e->msg);
	free(data);
}

/* How long ago tokens and sessions were used is needed after a restart only: it is stored now and then. */
static void store_uses(struct api *a)
{
	struct uses *u = xcalloc(1, sizeof *u);
	struct err e;

	u->count = auth_tick(a->auth, u->row, ARRAY_LEN(u->row));
	u->tokens = auth_token_uses(a->auth, u->token, ARRAY_LEN(u->token));
	if (u->count == 0 && u->tokens == 0)
		free(u);
	else if (writer_later(fleet_writer(a->fleet), apply_uses, u, uses_stored, &e) < 0)
		uses_stored(u, -(int)e.code, &e);
}

void api_tick(struct api *a)
{
	struct err e;

	read_quota(a);
	api_tls_tick(a);
	store_uses(a);
	if (now_us() >= a->sweep_us)
		artifact_quota_give(&a->quota, sweep_parts(a).removed);
	if (a->keep_token && holds_check(fleet_holds(a->fleet), HOLD_STOPS_ORDERS, &e) == 0 &&
		make_first_token(a, &e) < 0)
		log_error("%s", e.msg);
	httpd_tick(a->httpd);
}

bool api_alive(struct api *a)
{
	struct err e;

	if (httpd_alive(a->httpd, now_us(), &e) == 0)
		return true;
	log_error("%s", e.msg);
	return false;
}

void api_beat(struct api *a, bool alive)
{
	health_beat(a, alive,
		alive ? "" : "a thread of provd hangs: its journal says which, and since when");
}

struct api *api_stop(struct api *a)
{
	if (!a)
		return NULL;
	feed_unsubscribe(a->changes);
	httpd_stop(a->httpd);
	access_log_free(a->access_log);
	metrics_free(a->metrics);
	tls_free(a->tls);
	auth_free(a->auth);
	station_texts_free(a->station_texts);
	free(a->openapi_text);
	mutex_done(&a->openapi_lock);
	mutex_done(&a->health_lock);
	free(a);
	return NULL;
}
