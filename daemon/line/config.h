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
#include "daemon/line/shift.h"
#include "daemon/recipe/power_config.h"
#include "transports/links/http_allow.h"

#define CONFIG_ID_MAX 63

struct http_service;
struct instrument;
struct power_way;
struct printer;
struct reset_line;

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

/* The line of a GPIO chip that resets it. */
struct reset_config {
	bool has;
	char *chip;
	unsigned line;
	bool active_low;
};

/* How stations are switched on together. */
struct power_policy_config {
	uint64_t gap_us;
};

struct station_config {
	char *id;
	char *title;
	char *fixture; /* what it is made of: wear and calibration go with it; never NULL */
	uint64_t settle_us;
	unsigned quarantine_after; /* failures of one step in a row; 0: never */
	int start;		   /* as written: 0 plug, 1 manual */
	bool manual;		   /* a run begins on command, not when a unit is plugged */
	char **capability; /* what it can do besides using its ports, for `requires` of an order */
	size_t capabilities;
	char **instrument; /* what it measures with: their calibration has to hold as well */
	size_t instruments;
	struct power_config power;
	struct reset_config reset;
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

/* A label printer, by the name that recipes have. */
struct printer_config {
	char *name;
	char *address; /* HOST:PORT */
	int kind;      /* enum printer_kind */
	uint64_t answer_us;
	char *path, *ca; /* of IPP; ca NULL: the certificates of the system */
};

/* A measuring instrument, by the name that recipes have: see struct instrument. */
struct instrument_config {
	char *name;
	char *address;
	uint64_t answer_us;
	int proof; /* 0: by number, 1: by the bound `late` */
	uint64_t late_us;
	char *identity, *owner, *calibrated_until; /* NULL */
};

/* When the records get a checkpoint, who signs it, and who is told (daemon/line/notary.h). */
struct records_config {
	char *signer;	      /* name in `signers`; NULL: they are not signed */
	int64_t every_runs;   /* after so many runs, */
	uint64_t every_us;    /* or so much time with a run in it */
	char *service, *path; /* name in `services`, and the path below it; NULL: nobody is told */
};

enum interlock_policy { INTERLOCK_WARNS, INTERLOCK_BLOCKS };

/* What keeps a station from taking one more unit (daemon/line/interlock.h). */
struct golden_config {
	uint64_t every_us;		  /* 0: not by time */
	bool each_shift;		  /* since the shift began that it is; off without both */
	uint64_t warn_us;		  /* so long before it is due */
	const struct shift_config *shift; /* of the configuration, `shifts` of them */
	size_t shifts;
	char **units; /* serial numbers and chip ids of golden units, NULL-terminated */
	enum interlock_policy policy;
};

struct contacts_config {
	int64_t limit; /* 0: off */
	int64_t warn;  /* so many before it is due */
	enum interlock_policy policy;
};

struct calibration_config {
	bool on;
	uint64_t warn_us;
	enum interlock_policy policy;
};

struct yield_config {
	int64_t below; /* percent; 0: off */
	int64_t runs;  /* of so many of the newest ones */
	enum interlock_policy policy;
};

struct wear_config {
	int64_t endurance; /* erases of a region; 0: off */
	int64_t warn;	   /* so many before it is reached */
	enum interlock_policy policy;
};

struct interlocks_config {
	struct golden_config golden;
	struct contacts_config contacts;
	struct calibration_config calibration;
	struct yield_config yield;
	struct wear_config wear;
	uint64_t release_max_us; /* the longest time that a person may release one for */
};

/* What events may be sent to whoever asked for them (daemon/line/webhooks.h). */
struct webhooks_config {
	struct http_allow allow, clear; /* receivers; those that http:// may reach as well */
	char *ca;			/* PEM; NULL: those of the system */
	uint64_t timeout_us, give_up_us;
};

/* The folder that events are written to as files (daemon/line/spool.h). */
struct spool_config {
	char *dir;     /* absolute; NULL: none */
	json_t *types; /* array, see events_check_type(); owned */
	int format;    /* enum webhook_format: event or wsjf */
};

/* Where messages of IPC-CFX go (daemon/line/cfx.h). */
struct cfx_config {
	char *url;		    /* amqps://HOST[:PORT]; NULL: nowhere */
	char *handle;		    /* of the endpoints: "{station}" in it is a station's id */
	char *user, *password, *ca; /* password: name of a secret; ca: absolute path; NULL */
	/* Arrays, owned: target addresses; names of messages or their beginnings with a '*' (empty: all); stations
	 * (empty: all). */
	json_t *addresses, *types, *stations;
	/* Who answers ValidateUnitsRequest (daemon/line/route_cfx.h); address NULL: nobody, url NULL: as above, target
	 * NULL: as the address, reply NULL: over the same connection. */
	char *validate_url, *validate_address, *validate_target, *validate_reply;
	uint64_t heartbeat_us, timeout_us, give_up_us;
};

/* What reports of WATS have besides the run (daemon/line/wats_report.h); never NULL. */
struct wats_config {
	char *process_code, *process_name, *location;
};

/* How much may wait for one of those who are told (daemon/line/backlog.h); 0: any. */
struct outbox_config {
	int64_t stop_after, warn_after; /* messages */
	uint64_t stop_age_us, warn_age_us;
};

/* Which months of runs leave the database (daemon/line/archiver.h). */
/* What steps may attach to runs; bytes. */
struct attachments_config {
	uint64_t quota;	  /* all together, each content once */
	uint64_t run_max; /* of one run */
	uint64_t file_max;
};

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

/* One listener of the API. */
struct listen_config {
	char *host; /* numeric; NULL: path */
	uint16_t port;
	char *path;						  /* of a socket of AF_UNIX */
	enum { LISTEN_AS_TLS, LISTEN_HTTP, LISTEN_HTTPS } scheme; /* as it was written */
	bool tls;
};

/* Where a line for each request goes (api/access_log.h). */
enum access_log_to { ACCESS_LOG_OFF, ACCESS_LOG_JOURNAL, ACCESS_LOG_FILE };

/* `tls`: what the API shows, and which certificates it takes from clients. */
enum client_certificates {
	CLIENT_CERTIFICATES_OPTIONAL, /* one that comes must be good */
	CLIENT_CERTIFICATES_REQUIRED, /* nobody comes in without one, over TLS */
};
struct tls_config {
	char *certificate, *key; /* NULL: there is no TLS */
	char *client_ca, *client_crl;
	int client_certificates; /* enum client_certificates */
};

/* A row of `principals`. */
enum client_by { CLIENT_SUBJECT, CLIENT_SAN_DNS, CLIENT_SAN_URI, CLIENT_SAN_EMAIL, CLIENT_ACCOUNT };
struct client_config {
	enum client_by by;
	char *value; /* of the subject or name; the account */
	char *name;
	int role;	/* index in principal_roles */
	json_t *scopes; /* NULL: everything */
};
/* "viewer" to "admin", as in api/auth.h; NULL-terminated. */
extern const char *const principal_roles[];

struct config {
	int refs;   /* atomic */
	char *file; /* it was read from */
	char *state_dir;
	struct listen_config *listen;
	size_t listens;
	bool insecure; /* it may serve others than this machine, without TLS */
	struct tls_config tls;
	enum access_log_to access_log;
	char *access_log_file; /* of ACCESS_LOG_FILE, absolute */
	struct client_config
		*client; /* `principals`: who is known by a certificate, or an account */
	size_t clients;
	char *pam;	/* PAM service that looks at passwords; NULL: none are taken */
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
	struct shift_config *shift;
	size_t shifts;
	struct printer_config *printer;
	size_t printers;
	struct instrument_config *instrument;
	size_t instruments;
	struct records_config records;
	struct interlocks_config interlocks;
	struct webhooks_config webhooks;
	struct spool_config spool;
	char *plant; /* the service that is the plant; NULL: none */
	struct cfx_config cfx;
	struct wats_config wats;
	struct outbox_config outbox;
	struct archive_config archive;
	struct attachments_config attachments;
	struct power_policy_config power_policy;
	/* Of stations that do not say otherwise: */
	uint64_t settle_us;
	unsigned quarantine_after;
	struct station_config *station;
	size_t stations;
};

/* The rows of provd.yaml, of a station, of a port, of a service, of a printer, of a shift and of what is one mapping
 * (base/form.h): the manual and the schema are made of them. */
extern const struct form_row config_rows[], station_rows[], port_rows[], service_rows[],
	printer_rows[], instrument_rows[], shift_rows[], records_rows[], interlocks_rows[],
	webhooks_rows[], spool_rows[], cfx_rows[], wats_rows[], outbox_rows[], tls_rows[],
	client_rows[], archive_rows[], attachments_rows[], reset_rows[], power_policy_rows[];
/* What a principal of the API may name: an object of the lists stations, pools, recipes. */
extern const struct form_row scope_rows[];
/* v as such an object; every mistake goes to m. */
void config_check_scopes(const json_t *v, const char *pointer, struct mistakes *m);
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
/* The addresses of the API for people, as they are written. */
void config_listens(const struct config *c, struct strbuf *out);
/* Whether that host is this machine alone: by number, or the one name that always is (RFC 6761, 6.3). */
bool config_is_this_machine(const char *host);
const struct station_config *config_station(const struct config *c, const char *id);
/* Whether the station says that it can do that. */
bool station_can(const struct station_config *s, const char *capability);
bool station_config_equal(const struct station_config *a, const struct station_config *b);
const struct port_config *station_port(const struct station_config *s, const char *role);
/* The clear text of a secret: owned by the caller, who wipes it. */
int config_secret(const struct config *c, const char *name, char **ret, struct err *e);
/* Whether that name of a route_check is the endpoint of 'cfx': no service has it. */
bool config_asks_cfx(const struct config *c, const char *service);
/* A service with the text of its token, by its name; the caller ends it. -ERR_NOT_FOUND with the
 * nearest name. */
int config_service(
	const struct config *c, const char *name, struct http_service *ret, struct err *e);
/* A printer by its name. -ERR_NOT_FOUND with the nearest name. */
int config_printer(const struct config *c, const char *name, struct printer *ret, struct err *e);
/* An instrument by its name, without its queue. -ERR_NOT_FOUND with the nearest name. */
int config_instrument(
	const struct config *c, const char *name, struct instrument *ret, struct err *e);
/* How the unit of that station is switched, of the stations as they are now; what it borrows lives as long as s.
 * -ERR_NOT_FOUND where it does not say, -ERR_POWER_SWITCH where its hub is not plugged, -ERR_POWER_CONFLICT where the
 * place is another station's. Without the queue. */
int config_power(const struct config *c, const struct station_config *s, struct power_way *ret,
	struct err *e);
/* The line that resets the unit. -ERR_NOT_FOUND where there is none. */
int config_reset_line(const struct station_config *s, struct reset_line *ret, struct err *e);
/* {kind, place} for people, null without one; a new reference. */
json_t *config_power_json(const struct station_config *s);
