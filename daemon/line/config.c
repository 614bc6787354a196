/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/config_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <sys/un.h>

#include "base/util.h"
#include "base/yaml.h"

DEFINE_CLEANUP(struct config, config_unref)
DEFINE_CLEANUP(struct yaml_doc, yaml_doc_free)

struct config *config_ref(struct config *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

struct config *config_unref(struct config *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return NULL;
	for (size_t i = 0; i < c->stations; i++)
		config_station_done(&c->station[i]);
	for (size_t i = 0; i < c->secrets; i++) {
		free(c->secret[i].name);
		free(c->secret[i].file);
	}
	for (size_t i = 0; i < c->services; i++) {
		free(c->service[i].name);
		form_done(service_rows, &c->service[i]);
	}
	for (size_t i = 0; i < c->printers; i++) {
		free(c->printer[i].name);
		form_done(printer_rows, &c->printer[i]);
	}
	config_free_texts(c->hotplug, c->hotplugs);
	for (size_t i = 0; i < c->shifts; i++) {
		free(c->shift[i].name);
		form_done(shift_rows, &c->shift[i]);
	}
	free(c->shift);
	free(c->service);
	free(c->file);
	free(c->access_log_file);
	keyd_config_done(&c->keys);
	form_done(records_rows, &c->records);
	config_interlocks_done(&c->interlocks);
	config_events_done(c);
	config_cfx_done(c);
	form_done(archive_rows, &c->archive);
	free(c->printer);
	for (size_t i = 0; i < c->instruments; i++) {
		free(c->instrument[i].name);
		form_done(instrument_rows, &c->instrument[i]);
	}
	free(c->instrument);
	free(c->secret);
	free(c->station);
	config_access_done(c);
	form_done(config_rows, c);
	free(c);
	return NULL;
}

/* --- the main file --- */

static void read_hotplug(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	size_t n = json_array_size(v);

	if (!json_is_array(v))
		mistakes_add(m, pointer, "'hotplug' must be a list such as [udev]");
	c->hotplug = xcalloc(n + 1, sizeof *c->hotplug);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(v, i));

		if (!s || (strcmp(s, "udev") != 0 && strncmp(s, "stream:/", 8) != 0))
			mistakes_add(m, pointer, "a source of events is udev or stream:/PATH");
		else
			c->hotplug[c->hotplugs++] = xstrdup(s);
	}
}

static void read_issuers(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_issuers(&((struct config *)to)->keys, v, pointer, m);
}

static void read_masters(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_masters(&((struct config *)to)->keys, v, pointer, m);
}

static void read_signers(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_signers(&((struct config *)to)->keys, v, pointer, m);
}

static void read_stores(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	keyd_read_stores(&((struct config *)to)->keys, v, pointer, m);
}

static const char *const clock_syncs[] = {[CLOCK_SYNC_AUTO] = "auto",
	[CLOCK_SYNC_REQUIRED] = "required",
	[CLOCK_SYNC_IGNORED] = "ignored",
	NULL};
static const char *const approvals[] = {[APPROVAL_AUTO] = "auto",
	[APPROVAL_SECOND_PERSON] = "second-person",
	[APPROVAL_ANY] = "any",
	NULL};
static const char *const sandboxes[] = {[TOOL_SANDBOX_AUTO] = "auto",
	[TOOL_SANDBOX_REQUIRED] = "required",
	[TOOL_SANDBOX_OFF] = "off",
	NULL};

/* The rows of a station come into it by config_schema(). */
#define STATIONS_SCHEMA "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/station\"}}"

/* The formatter would change the indentation of all rows with each new one. */
/* clang-format off */
const struct form_row config_rows[] = {
	{"state_dir", FORM_PATH,
		.doc = "Where the records are; by default the StateDirectory of systemd, else /var/lib/provd.",
		FORM_AT(struct config, state_dir)},
	{"listen", FORM_OWN, .read = config_read_listen,
		.schema =
			"{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"minItems\":1,\"maxItems\":8,\"items\":{\"type\":\"string\"}}]}",
		.doc = "HOST:PORT of the API, or a list of them; default 127.0.0.1:8620. With tls each is served over TLS; http://HOST:PORT is in the clear, unix:/PATH is a socket for users of this machine. A socket handed over by systemd counts instead. In the clear only this machine is served; without tls insecure can say otherwise."},
	{"insecure", FORM_BOOL, .def = "false",
		.doc = "true: the network is served without TLS, where whoever can read it can read tokens and firmware. It is logged at the start, and said at /version and on each page of the dashboard. false: then such an address is refused.",
		FORM_AT(struct config, insecure)},
	{"tls", FORM_OWN, .read = config_read_tls, .rows = tls_rows,
		.doc = "The certificate and key of the API. New files are taken without a restart."},
	{"access_log", FORM_OWN, .read = config_read_access_log,
		.schema = "{\"type\":\"string\",\"pattern\":\"^(off|journal|/.+)$\"}",
		.doc = "Where a line for each request of the API goes: off (the default), journal (the log of provd), or the path of a file, which SIGHUP opens again after it was moved away."},
	{"principals", FORM_OWN, .read = config_read_clients,
		.schema = "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/principal\"}}",
		.doc = "A list of those who are known by their client certificate (tls.client_ca), or by an account (pam): see below."},
	{"pam", FORM_TEXT, .low = 1, .high = 63,
		.doc = "PAM service, a file of /etc/pam.d, by which people log in to the dashboard with user name and password. By default tokens alone.",
		FORM_AT(struct config, pam)},
	{"hotplug", FORM_OWN, .read = read_hotplug,
		.schema =
			"{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^(udev|stream:/.+)$\"}}",
		.doc = "List of event sources: udev (default), stream:/PATH."},
	{"settle", FORM_DURATION, .def = "500ms",
		.doc = "How long all ports must have been there before a run begins. A unit that leaves for less has bounced.",
		FORM_AT(struct config, settle_us)},
	{"quarantine_after", FORM_INT, .low = 0, .high = 1000, .def = "3",
		.doc = "Failures of one step in a row that stop a station; 0 never.",
		FORM_AT(struct config, quarantine_after)},
	{"artifact_max", FORM_SIZE, .def = "8G", .doc = "The largest artifact.",
		FORM_AT(struct config, artifact_max_bytes)},
	{"artifact_quota", FORM_SIZE, .def = "16G",
		.doc = "All artifacts together, with what is being uploaded.",
		FORM_AT(struct config, artifact_quota_bytes)},
	{"output_max", FORM_SIZE, .def = "1G",
		.doc = "All files that the steps of one run write (a dump, a screenshot).",
		FORM_AT(struct config, output_max_bytes)},
	{"output_keep", FORM_DURATION, .def = "30d",
		.doc = "How long they are kept, from the beginning of the run; 0s for ever. Their digests stay on record.",
		FORM_AT(struct config, output_keep_us)},
	{"attachments", FORM_OWN, .read = config_read_attachments, .rows = attachments_rows,
		.doc = "How much steps may attach to runs (attach: true), which is kept for as long as the records are: a mapping of quota, run_max and file_max."},
	{"run_log_max", FORM_SIZE, .def = "1M",
		.doc = "Size of the log of one run. What a unit or a tool says beyond is counted, the last line says how many lines more there were, and the run is judged all the same.",
		FORM_AT(struct config, run_log_max_bytes)},
	{"run_log_lines", FORM_INT, .low = 100, .high = 10000000, .def = "20000",
		.doc = "Lines of the log of one run.",
		FORM_AT(struct config, run_log_lines)},
	{"marks_file", FORM_PATH,
		.doc = "The high-water marks, which know what was given out when a backup is restored; best on another disk than state_dir. By default provd.marks in state_dir.",
		FORM_AT(struct config, marks_file)},
	{"machine_id", FORM_PATH, .def = "/etc/machine-id",
		.doc = "A file whose first line names this machine, of 16 characters at least. A salted digest of it is in the high-water marks: records that were last written on another machine hold the line until a person agrees. Without such a file a copy on a second machine is not noticed, and the log says so.",
		FORM_AT(struct config, machine_id)},
	{"disk_reserve", FORM_SIZE, .def = "64M",
		.doc = "Space that is kept for the records when the disk is full; at most 1/16 of the file system.",
		FORM_AT(struct config, disk_reserve_bytes)},
	{"events_keep", FORM_DURATION, .def = "90d",
		.doc = "How long events are kept; 0s for ever. What an enabled webhook, an address of cfx or the spool folder has not got stays longer. Runs, units, serial numbers and the audit trail are kept for ever.",
		FORM_AT(struct config, events_keep_us)},
	{"clock_sync", FORM_CHOICE, .choices = clock_syncs, .def = "auto",
		.doc = "required: nothing that carries a date is given out before the clock is synchronised. auto: required on a real line (hotplug has udev), and where the machine runs a time service.",
		FORM_AT(struct config, clock_sync)},
	{"approval", FORM_CHOICE, .choices = approvals, .def = "auto",
		.doc = "The persons who may approve a recipe. second-person: anyone but its author. any: its author too. auto: second-person on a real line (hotplug has udev), else any.",
		FORM_AT(struct config, approval)},
	{"tool_sandbox", FORM_CHOICE, .choices = sandboxes, .def = "auto",
		.doc = "Foreign programs read the system but not the records, secrets and credentials, and write their own directory and devices alone (Landlock). auto: always on a real line (hotplug has udev), else where the kernel can.",
		FORM_AT(struct config, tool_sandbox)},
	{"tool_writable", FORM_PATHS,
		.doc = "Further trees that foreign programs may write.",
		FORM_AT(struct config, tool_writable)},
	{"stop_grace", FORM_DURATION, .def = "60s",
		.doc = "How long a step may still take after SIGTERM.",
		FORM_AT(struct config, stop_grace_us)},
	{"rate_limit", FORM_INT, .low = 0, .high = 1000000, .def = "1000",
		.doc = "Requests per second and token; 0 none.",
		FORM_AT(struct config, rate_limit)},
	{"secrets",
		FORM_OWN, .read = config_read_secrets, .schema = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":1,\"properties\":{\"file\":{\"type\":\"string\"},\"credential\":{\"type\":\"string\"}},\"additionalProperties\":false}}", .doc = "NAME: {file: /PATH} or NAME: {credential: NAME}. Read when a recipe asks for ${secrets.NAME}; masked everywhere."},
	{"keyd", FORM_PATH,
		.doc = "The socket of provd-keyd, which holds the private keys of issuers, masters and signers. Without it provd starts one as its child, which has the same user: for benches and virtual boards.",
		FORM_AT(struct config, keyd_socket)},
	{"profiles", FORM_PATH, .def = KEYD_PROFILES,
		.doc = "The folder of certificate profiles, which provd-keyd alone reads.",
		FORM_AT(struct config, keys.profiles)},
	{"issuers", FORM_OWN, .read = read_issuers, .each = issuer_rows,
		.doc = "NAME: a mapping of certificate, key, pin and profiles. Who issues certificates (key.certificate)."},
	{"masters", FORM_OWN, .read = read_masters, .each = master_rows,
		.doc = "NAME: a mapping of key and pin. What keys of units are derived from (key.derive)."},
	{"signers", FORM_OWN, .read = read_signers, .each = signer_rows,
		.doc = "NAME: a mapping of key, pin and public. What signs records of units."},
	{"stores", FORM_OWN, .read = read_stores, .each = store_rows,
		.doc = "NAME: a mapping of key and pin. Tokens in which keys of units are made (key.generate, in: token)."},
	{"records", FORM_OWN, .read = config_read_records, .rows = records_rows,
		.doc = "When the records of runs get a checkpoint, who signs it, and who is told."},
	{"interlocks", FORM_OWN, .read = config_read_interlocks, .rows = interlocks_rows,
		.doc = "What keeps a station from taking one more unit although nothing is broken yet: a mapping of golden, contacts, calibration, yield and wear."},
	{"archive", FORM_OWN, .read = config_read_archive, .rows = archive_rows,
		.doc = "Closed months of runs leave the database for files that anybody can verify (provctl record verify). Without it everything stays."},
	{"services", FORM_OWN, .read = config_read_services, .each = service_rows,
		.doc = "NAME: a mapping of url, ca, cert, key, token and timeout. What http.request and cloud.* may ask: a recipe names a service and a path below it, never an address."},
	{"outbox", FORM_OWN, .read = config_read_outbox, .rows = outbox_rows,
		.doc = "How much may wait for a service, a webhook, an address of cfx or the spool folder before no new unit begins. Without it: any."},
	{"webhooks", FORM_OWN, .read = config_read_webhooks, .rows = webhooks_rows,
		.doc = "Which receivers POST /webhooks may name, and how long they are tried. Without it: none."},
	{"spool", FORM_OWN, .read = config_read_spool, .rows = spool_rows,
		.doc = "A folder that events are written to, one file each. Without it: none."},
	{"plant", FORM_TEXT, .low = 1, .high = 64,
		.doc = "A name in 'services': the plant (provd-plant) that takes the records of this host, leases numbers to it, and gives it parts of orders. The token of the service is the one that the plant made for this host. Without it: none.",
		FORM_AT(struct config, plant)},
	{"cfx", FORM_OWN, .read = config_read_cfx, .rows = cfx_rows,
		.doc = "A broker that messages of IPC-CFX go to, over AMQP 1.0. Without it: none."},
	{"wats", FORM_OWN, .read = config_read_wats, .rows = wats_rows,
		.doc = "What reports for WATS (format: wsjf of a webhook or of spool) have besides the run."},
	{"printers", FORM_OWN, .read = config_read_printers, .each = printer_rows,
		.doc = "NAME: a mapping of address, kind and answer. Where unit.label may print: a recipe names a printer and never an address."},
	{"instruments", FORM_OWN, .read = config_read_instruments, .each = instrument_rows,
		.doc = "NAME: a mapping of address, identity, calibrated_until and others. What instrument.* and calibrate.* may ask: a recipe names an instrument and never an address."},
	{"power_policy", FORM_OWN, .read = config_read_power_policy, .rows = power_policy_rows,
		.doc = "How units are switched on that have their power from one hub, relay board or supply: a mapping of gap."},
	{"shifts", FORM_OWN, .read = config_read_shifts, .each = shift_rows,
		.doc = "NAME: a mapping of from, to and units, in the time zone of the host. What the page Shift of the dashboard and GET /reports/shift look at; without it: days."},
	{"stations", FORM_OWN, .read = config_read_stations, .schema = STATIONS_SCHEMA,
		.doc = "A list, here or in stations.d/*.yaml: see below."},
	{0},
};
/* clang-format on */

/* The socket of a provd-keyd that provd starts is in state_dir. */
static void check_keyd(const struct config *c, struct mistakes *m)
{
	const size_t max = sizeof((struct sockaddr_un *)NULL)->sun_path - sizeof "/keyd.sock";

	if (!c->keyd_socket && keyd_config_any(&c->keys) && strlen(c->state_dir) > max)
		mistakes_add(m, "/state_dir",
			"'state_dir' has %zu bytes, and at most %zu leave room for the socket of provd-keyd in it: name a shorter one, or a socket elsewhere by 'keyd'",
			strlen(c->state_dir), max);
}

static void load_main(struct config *c, const json_t *root, struct mistakes *m)
{
	const char *dir = getenv("STATE_DIRECTORY");

	if (!json_is_object(root) && !json_is_null(root))
		mistakes_add(m, "", "the configuration must be a mapping");
	form_read(config_rows, root, "", "key", c, m);
	if (!c->state_dir)
		c->state_dir = xstrdup(dir ? dir : "/var/lib/provd");
	if (!c->hotplug) {
		c->hotplug = xcalloc(2, sizeof *c->hotplug);
		c->hotplug[c->hotplugs++] = xstrdup("udev");
	}
	if (!c->records.every_runs)
		config_records_defaults(c, m);
	if (!c->interlocks.release_max_us)
		config_interlocks_defaults(c, m);
	if (!json_object_get(root, "attachments"))
		config_attachments_defaults(c, m);
	if (!json_object_get(root, "power_policy"))
		config_power_policy_defaults(c, m);
	config_events_defaults(c, m);
	config_cfx_defaults(c, m);
	config_check_cfx(c, m);
	config_check_access(c, m);
	config_check_services(c, m);
	check_keyd(c, m);
	config_check_records(c, m);
	config_check_interlocks(c, m);
	config_check_supplies(c, 0, m);
}

static const struct form_row file_rows[] = {
	{"stations", FORM_OWN, .read = config_read_stations, .doc = "The stations of this file.",
		.schema = STATIONS_SCHEMA},
	{0},
};

static void load_station_file(struct config *c, const json_t *root, struct mistakes *m)
{
	const size_t first = c->stations;

	if (!json_object_get(root, "stations"))
		mistakes_add(m, "", "a file of stations.d must have 'stations: [...]'");
	form_read(file_rows, root, "", "key", c, m);
	config_check_supplies(c, first, m);
}

/* One file; returns whether it had mistakes. */
static bool load_file(struct config *c, const char *path,
	void (*load)(struct config *, const json_t *, struct mistakes *), struct strbuf *report)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *doc = NULL;
	struct mistakes m = {0};
	struct err e;
	bool bad;

	if (yaml_load(path, &doc, &e) < 0) {
		sb_addf(report, "%s\n", e.msg);
		return true;
	}
	load(c, doc->root, &m);
	mistakes_print(&m, path, doc, report);
	bad = m.count > 0;
	mistakes_done(&m);
	return bad;
}

int config_load(const char *path, struct strbuf *report, struct config **ret, struct err *e)
{
	_cleanup_(config_unrefp) struct config *c = xcalloc(1, sizeof *c);
	_cleanup_(freep) char *copy = xstrdup(path);
	_cleanup_(freep) char *pattern = xasprintf("%s/stations.d/*.yaml", dirname(copy));
	glob_t g = {0};
	bool bad;

	c->refs = 1;
	c->file = xstrdup(path);
	bad = load_file(c, path, load_main, report);
	if (glob(pattern, 0, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			bad |= load_file(c, g.gl_pathv[i], load_station_file, report);
	globfree(&g);
	if (bad)
		return err_set(e, ERR_INVALID, "the configuration has mistakes");
	*ret = steal_ptr(&c);
	return 0;
}

static json_t *schema_of(const struct form_row *rows, const char *title)
{
	json_t *o = form_schema(rows);
	json_t *station = form_schema(station_rows);
	json_t *port = form_schema(port_rows);
	json_t *ports = json_object_get(json_object_get(station, "properties"), "ports");

	json_object_set_new(
		ports, "additionalProperties", json_pack("{s:s}", "$ref", "#/$defs/port"));
	json_object_set_new(station, "required", json_pack("[s, s]", "id", "ports"));
	json_object_set_new(
		o, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(o, "title", json_string(title));
	json_object_set_new(o, "$defs", json_pack("{s:o, s:o}", "station", station, "port", port));
	return o;
}

json_t *config_schema(void)
{
	json_t *o = schema_of(config_rows, "provd.yaml");
	json_t *defs = json_object_get(o, "$defs");

	json_object_set_new(defs, "principal", form_schema(client_rows));
	return o;
}

json_t *config_stations_schema(void)
{
	json_t *o = schema_of(file_rows, "stations.d/*.yaml");

	json_object_set_new(o, "required", json_pack("[s]", "stations"));
	return o;
}

bool config_is_real_line(const struct config *c)
{
	for (size_t i = 0; i < c->hotplugs; i++)
		if (!strcmp(c->hotplug[i], "udev"))
			return true;
	return false;
}

bool config_second_person(const struct config *c)
{
	return c->approval == APPROVAL_SECOND_PERSON ||
	       (c->approval == APPROVAL_AUTO && config_is_real_line(c));
}

bool config_needs_sync(const struct config *c, bool has_time_service)
{
	return c->clock_sync == CLOCK_SYNC_REQUIRED ||
	       (c->clock_sync == CLOCK_SYNC_AUTO && (has_time_service || config_is_real_line(c)));
}
