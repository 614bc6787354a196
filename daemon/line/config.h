/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: provd.yaml and the files of stations.d next to it. Read once at start and
 * again at SIGHUP; immutable and reference-counted. Every mistake is found at once, with file,
 * line, column.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/form.h"
#include "base/strbuf.h"
#include "daemon/keyd/keyd_config.h"

#define CONFIG_ID_MAX 63

struct http_service;
struct printer;

struct port_config {
	char *role;
	char *kind;  /* tty (default), usb, probe, tcp, udp */
	char **path; /* physical port paths: ID_PATH or the sysfs form 1-1.4.2; of the device or of
			one interface */
	size_t paths;
	int interface;	 /* -1: the first that appears */
	char *vid, *pid; /* what must be plugged there, lower-case hex; NULL: anything */
	char **also;	 /* "vvvv:pppp" that it may be as well: the unit in another of its lives */
	size_t alsos;
	char *address; /* fixed: tty:PATH, tcp:HOST:PORT or udp:HOST:PORT; NULL where it has paths
			*/
	uint32_t baud; /* 0: what the recipe says */
	bool optional; /* the station is complete without it */
};

struct station_config {
	char *id;
	char *title;
	uint64_t settle_us;
	unsigned quarantine_after; /* failures of one step in a row; 0: never */
	int start;		   /* as written: 0 plug, 1 manual */
	bool manual;		   /* a run begins on command, not when a unit is plugged */
	struct port_config *port;
	size_t ports;
};

struct secret_config {
	char *name;
	char *file; /* absolute */
};

/* A service that recipes may ask, by its name. */
struct service_config {
	char *name;
	char *url;	       /* no '/' at its end */
	char *ca, *cert, *key; /* absolute paths of PEM files, NULL: see struct http_service */
	char *token;	       /* name of a secret; NULL: none */
	int auth;	       /* enum http_auth */
	char *user, *scope;    /* see struct http_service; NULL */
	uint64_t timeout_us;
};

/* What a label printer understands. */
enum printer_kind {
	PRINTER_ZPL, /* ZPL II over a raw TCP port (transports/protocols/zpl) */
};

/* A label printer, by the name that recipes have. */
struct printer_config {
	char *name;
	char *address; /* HOST:PORT */
	enum printer_kind kind;
	uint64_t answer_us;
};

/* When the records get a checkpoint, who signs it, and who is told (daemon/line/notary.h). */
struct records_config {
	char *signer;	      /* name in `signers`; NULL: they are not signed */
	int64_t every_runs;   /* after so many runs, */
	uint64_t every_us;    /* or so much time with a run in it */
	char *service, *path; /* name in `services`, and the path below it; NULL: nobody is told */
};

/* Which months of runs leave the database (daemon/line/archiver.h). */
struct archive_config {
	char *dir;	     /* NULL: none */
	int64_t keep_months; /* closed ones that stay */
	uint64_t keep_bytes; /* the database may use; 0: any number */
};

/* The persons who may approve a recipe. */
enum approval {
	APPROVAL_AUTO,		/* a second person on a real line */
	APPROVAL_SECOND_PERSON, /* not the author */
	APPROVAL_ANY,
};

/* Whether foreign programs are confined (daemon/line/confine.h). */
enum tool_sandbox {
	TOOL_SANDBOX_AUTO, /* always on a real line; else where the kernel can */
	TOOL_SANDBOX_REQUIRED,
	TOOL_SANDBOX_OFF,
};

/* What carries a date waits for a clock that is synchronised (daemon/line/wall.h). */
enum clock_sync {
	CLOCK_SYNC_AUTO, /* required on a real line, and where the machine runs a time service */
	CLOCK_SYNC_REQUIRED,
	CLOCK_SYNC_IGNORED,
};

struct config {
	int refs;   /* atomic */
	char *file; /* it was read from */
	char *state_dir;
	char *listen_host;
	uint16_t listen_port;
	bool insecure;	/* it may serve others than this machine, without TLS */
	char **hotplug; /* "udev", "stream:/path" */
	size_t hotplugs;
	char *machine_id;	     /* file that names the machine, machine-id(5) */
	char *marks_file;	     /* high-water marks; NULL: provd.marks in state_dir */
	uint64_t disk_reserve_bytes; /* kept for the records when the disk is full */
	uint64_t events_keep_us;     /* how long events are kept; 0: for ever */
	enum clock_sync clock_sync;
	enum approval approval;
	enum tool_sandbox tool_sandbox;
	char **tool_writable; /* NULL-terminated: trees that foreign programs may write; NULL: none
			       */
	uint64_t artifact_quota_bytes;
	uint64_t artifact_max_bytes;
	uint64_t output_max_bytes;  /* of the files that the steps of one run write */
	uint64_t output_keep_us;    /* how long they are kept; 0: for ever */
	uint64_t run_log_max_bytes; /* of the log of one run */
	uint64_t run_log_lines;
	unsigned rate_limit;	/* API requests per second and principal; 0: none */
	uint64_t stop_grace_us; /* how long SIGTERM waits for a step to end before it cancels */
	struct secret_config *secret;
	size_t secrets;
	struct service_config *service;
	size_t services;
	struct keyd_config keys; /* what provd-keyd opens; provd never does */
	char *keyd_socket;	 /* NULL: provd starts one itself */
	struct printer_config *printer;
	size_t printers;
	struct records_config records;
	struct archive_config archive;
	/* Of stations that do not say otherwise: */
	uint64_t settle_us;
	unsigned quarantine_after;
	struct station_config *station;
	size_t stations;
};

/* The rows of provd.yaml, of a station, of a port, of a service, of a printer, of `records` and `archive` (base/form.h): the
 * manual and the schema are made of them. */
extern const struct form_row config_rows[], station_rows[], port_rows[], service_rows[],
	printer_rows[], records_rows[], archive_rows[];
/* The JSON Schema of provd.yaml, and of a file of stations.d; new references. */
json_t *config_schema(void);
json_t *config_stations_schema(void);

/* path: provd.yaml; stations.d is in the same folder. Mistakes go to `report` as file:line:column
 * lines; any gives -ERR_INVALID. */
int config_load(const char *path, struct strbuf *report, struct config **ret, struct err *e);
/* Real devices: what is lax for virtual boards is strict here. */
bool config_is_real_line(const struct config *c);
bool config_second_person(const struct config *c);
/* Whether what carries a date waits for a clock that is synchronised. */
bool config_needs_sync(const struct config *c, bool has_time_service);
struct config *config_ref(struct config *c);
struct config *config_unref(struct config *c);

/* One port of one station, as a snapshot says it. A value that holds a reference of the snapshot, so
 * that it says the same after a reload; end it with config_port_done(). */
struct config_port {
	struct config *config; /* NULL: none */
	const struct station_config *station;
	size_t port; /* index into the station's */
};
struct config_port config_port_of(struct config *c, const struct station_config *st, size_t port);
void config_port_done(struct config_port *p);
const struct port_config *config_port_row(const struct config_port *p);
/* Whether a numeric address is this machine's own alone. */
bool config_is_loopback(const char *host);
const struct station_config *config_station(const struct config *c, const char *id);
bool station_config_equal(const struct station_config *a, const struct station_config *b);
const struct port_config *station_port(const struct station_config *s, const char *role);
/* The clear text of a secret: owned by the caller, who wipes it. */
int config_secret(const struct config *c, const char *name, char **ret, struct err *e);
/* A service with the text of its token, by its name; the caller ends it. -ERR_NOT_FOUND with the
 * nearest name. */
int config_service(
	const struct config *c, const char *name, struct http_service *ret, struct err *e);
/* A printer by its name. -ERR_NOT_FOUND with the nearest name. */
int config_printer(const struct config *c, const char *name, struct printer *ret, struct err *e);
