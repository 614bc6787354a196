/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a configuration, shared by its parts: config.c (the file), config_stations.c,
 * config_outside.c. Each read function is that of a row of form.h, with the configuration to fill.
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

/* --- config_outside.c --- */

void config_read_secrets(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_services(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_printers(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_records(void *to, const json_t *v, const char *pointer, struct mistakes *m);
void config_read_archive(void *to, const json_t *v, const char *pointer, struct mistakes *m);
/* Where provd.yaml says nothing of them. */
void config_records_defaults(struct config *c, struct mistakes *m);
/* Once all is read. */
void config_check_services(const struct config *c, struct mistakes *m);
void config_check_records(const struct config *c, struct mistakes *m);
