/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet: all stations, the jobs, the record and the feed of one provd. The API's view of the
 * line. Calls marked "main" come from the main thread, all others from any.
 */
#pragma once

#include <jansson.h>

#include "daemon/line/binding.h"
#include "daemon/line/config.h"
#include "daemon/line/feed.h"
#include "daemon/line/orders.h"
#include "daemon/line/records.h"
#include "daemon/line/station.h"
#include "daemon/line/store.h"

struct fleet;
struct meters;

/* Opens the database, recovers what a crash left open, loads the jobs. main. */
int fleet_new(struct config *c, struct fleet **ret, struct err *e);
/* Stations and event sources begin. main. */
int fleet_start(struct fleet *f, struct err *e);
/* Stations of the new configuration are added, idle ones that changed are replaced, those that are
 * gone are ended when they are idle; running ones stay as they are until they are. main. */
void fleet_reload(struct fleet *f, struct config *c);
/* Asks every station to end. main. */
void fleet_stop(struct fleet *f, bool now);
bool fleet_stopped(struct fleet *f);
struct fleet *fleet_free(struct fleet *f);

/* The event sources, for the main loop. main. */
size_t fleet_source_count(struct fleet *f);
int fleet_source_fd(struct fleet *f, size_t i);
void fleet_source_dispatch(struct fleet *f, size_t i);
/* Every second: sources, pending reloads, ends of sleeping stations. main. */
void fleet_tick(struct fleet *f);
/* Whether writer and workers have shown life within limit_us. main. */
bool fleet_alive(struct fleet *f, uint64_t limit_us);

struct config *fleet_config(struct fleet *f); /* a reference */
struct writer *fleet_writer(struct fleet *f);
/* Read-only connections, for all readers. */
struct readers *fleet_readers(struct fleet *f);
/* The database and what it can be relied on for; what keeps the line from working. */
struct records *fleet_records(struct fleet *f);
struct holds *fleet_holds(struct fleet *f);
struct feed *fleet_feed(struct fleet *f);
struct orders *fleet_orders(struct fleet *f);
struct meters *fleet_meters(struct fleet *f);
const char *fleet_db_path(struct fleet *f);
const struct store *fleet_store(struct fleet *f);
void fleet_wake_stations(struct fleet *f);
/* A person said something that the interlocks look at. Any thread. */
void fleet_interlocks_changed(struct fleet *f);
void fleet_abort_job(struct fleet *f, const char *job_id);
/* Services that were away are asked again now (daemon/line/outbox.h). */
void fleet_poke_outbox(struct fleet *f);
/* Webhooks were changed, or a person wants one sent now (daemon/line/webhooks.h, cfx.h). */
void fleet_poke_webhooks(struct fleet *f);
/* A checkpoint of the records now, where the newest does not cover them all (daemon/line/notary.h). It waits
 * for the signature. Any thread. */
int fleet_checkpoint(struct fleet *f, struct err *e);

json_t *fleet_stations_json(struct fleet *f);
/* Rises with every change of any station's view. */
uint64_t fleet_views_version(struct fleet *f);
/* NULL if there is none of that id. */
json_t *fleet_station_json(struct fleet *f, const char *id);
json_t *fleet_ports_json(struct fleet *f);
/* A record signed by a signer of provd.yaml: its signature in base64, and the public key (PEM), owned by
 * the caller. It waits for the key process. who: for its log. */
int fleet_sign(struct fleet *f, const char *signer, const char *who, const void *record, size_t n,
	char **ret_signature, char **ret_public, struct err *e);
/* Who issues certificates, as the key process says; a new reference. An empty list where provd.yaml
 * names no key. It waits for the answer. */
int fleet_issuers(struct fleet *f, json_t **ret, struct err *e);
int fleet_command(struct fleet *f, const char *station, enum station_command c, const char *by,
	struct err *e);
int fleet_answer(struct fleet *f, const char *station, const char *prompt_id, const char *answer,
	const char *by, struct err *e);
struct fleet_summary {
	size_t stations;
	unsigned in[STATION_STATE_COUNT]; /* of them in each state */
};
void fleet_summary(struct fleet *f, struct fleet_summary *ret);
