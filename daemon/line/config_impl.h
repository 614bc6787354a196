/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a configuration, shared by its parts: config.c (the file), config_stations.c,
 * config_outside.c, config_interlocks.c, config_power.c, config_events.c, config_cfx.c. Each read function is that of a row of form.h, with the configuration to fill.
 */
#pragma once

#include "daemon/line/config.h"

/* --- config_stations.c --- */

void config_free_texts(char **list, size_t n);
void config_station_done(struct station_config *s);
/* Of a station, a service, a secret, a printer. */
bool config_is_name(const char *s);
/* s may be NULL. */
void config_check_host_port(
	const char *key, const char *s, const char *pointer, struct mistakes *m);
void config_read_stations(void *to, const json_t *v, const char *pointer, struct mistakes *m);

/* --- config_access.c --- */

void config_access_done(struct config *c);
void config_read_listen(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_tls(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_access_log(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_clients(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Once all is read: the default listener too. */
void config_check_access(struct config *c, struct mistakes *m);

/* --- config_outside.c --- */

/* The file of a secret: {file: /PATH} or {credential: NAME}; NULL with a mistake. Owned by the caller. */
char *config_place(const json_t *v, const char *pointer, struct mistakes *m);

void config_read_secrets(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_services(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_shifts(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_instruments(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_printers(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_records(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_attachments(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Where provd.yaml says nothing of them. */
void config_attachments_defaults(struct config *c, struct mistakes *m);
void config_read_archive(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Where provd.yaml says nothing of them. */
void config_records_defaults(struct config *c, struct mistakes *m);
bool config_has_secret(const struct config *c, const char *name);
/* Once all is read. */
void config_check_services(const struct config *c, struct mistakes *m);
void config_check_records(const struct config *c, struct mistakes *m);

/* --- config_interlocks.c --- */

void config_read_interlocks(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Where provd.yaml says nothing of them. */
void config_interlocks_defaults(struct config *c, struct mistakes *m);
/* After all of it was read: what an interlock needs of the rest. */
void config_check_interlocks(struct config *c, struct mistakes *m);
void config_interlocks_done(struct interlocks_config *i);

/* --- config_events.c --- */

void config_read_webhooks(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_outbox(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_spool(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Where provd.yaml says nothing of them; once all is read. */
void config_events_defaults(struct config *c, struct mistakes *m);
void config_events_done(struct config *c);

/* --- config_cfx.c --- */

void config_read_cfx(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_wats(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Once all is read. */
void config_check_cfx(const struct config *c, struct mistakes *m);
void config_cfx_defaults(struct config *c, struct mistakes *m);
void config_cfx_done(struct config *c);

/* --- config_power.c --- */

void config_read_power(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_reset(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_power_policy(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Where provd.yaml says nothing of it. */
void config_power_policy_defaults(struct config *c, struct mistakes *m);
/* The stations from `first` on, with each other and with those before. */
void config_check_power(const struct config *c, size_t first, struct mistakes *m);
/* The same, once 'instruments' is read: whether each supply is one of them. */
void config_check_supplies(const struct config *c, size_t first, struct mistakes *m);
bool config_power_equal(const struct station_config *a, const struct station_config *b);
void config_reset_done(struct reset_config *r);
