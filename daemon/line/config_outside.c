/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies outside: services with their secrets, printers, and who is told of the records.
 */
#include "daemon/line/config_impl.h"

#include <errno.h>
#include <fcntl.h>

#include "base/loopback.h"
#include "base/regex.h"
#include "base/secret.h"
#include "base/timefmt.h"
#include "base/util.h"
#include "transports/links/http.h"
#include "transports/links/http_auth.h"
#include "transports/links/instrument.h"
#include "transports/links/printer.h"

#define MAX_SECRET_BYTES 65536

/* --- secrets and services --- */

struct secret_form {
	char *file, *credential;
};

static const struct form_row secret_rows[] = {
	{"file", FORM_TEXT, .doc = "Absolute path.", FORM_AT(struct secret_form, file)},
	{"credential", FORM_TEXT, .doc = "Name of a credential of the service.",
		FORM_AT(struct secret_form, credential)},
	{0},
};

char *config_place(const json_t *v, const char *pointer, struct mistakes *m)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct secret_form f = {0};
	char *place = NULL;

	if (json_is_object(v))
		form_read(secret_rows, v, pointer, "key", &f, m);
	if (!f.file == !f.credential || (f.file && *f.file != '/') ||
		(f.credential && strchr(f.credential, '/')))
		mistakes_add(
			m, pointer, "a secret is {file: /ABSOLUTE/PATH} or {credential: NAME}");
	else
		place = f.credential
				? xasprintf("%s/%s", dir ? dir : "/run/credentials/provd.service",
					  f.credential)
				: steal_ptr(&f.file);
	form_done(secret_rows, &f);
	return place;
}

static void read_secret(
	struct config *c, const char *name, const json_t *v, const char *p, struct mistakes *m)
{
	struct secret_config *s = &c->secret[c->secrets++];

	s->name = xstrdup(name);
	s->file = config_place(v, p, m);
}

void config_read_secrets(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'secrets' must be a mapping of names");
	c->secret = xcalloc(json_object_size(v) + 1, sizeof *c->secret);
	json_object_foreach((json_t *)v, name, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		read_secret(c, name, o, p, m);
	}
}

const struct form_row service_rows[] = {
	{"url", FORM_TEXT, .required = true, .low = 1, .high = 512,
		.doc = "https://HOST[:PORT][/PATH]; http:// is taken of this machine alone, or without a token.",
		FORM_AT(struct service_config, url)},
	{"ca", FORM_PATH,
		.doc = "Certificates that sign the service's, in the place of the system's.",
		FORM_AT(struct service_config, ca)},
	{"cert", FORM_PATH, .doc = "The certificate that provd shows; needs key.",
		FORM_AT(struct service_config, cert)},
	{"key", FORM_PATH, .doc = "The key of cert.", FORM_AT(struct service_config, key)},
	{"token", FORM_TEXT, .doc = "The name of a secret: by it provd says who it is.",
		FORM_AT(struct service_config, token)},
	{"auth", FORM_CHOICE, .choices = http_auth_names, .def = "bearer",
		.doc = "What is made of the token. basic: the password of user. sigv4 (AWS): the secret of the access key that user names. azure-dps: the key of an enrolment group, of which each registration has its own.",
		FORM_AT(struct service_config, auth)},
	{"user", FORM_TEXT, .doc = "Of basic and sigv4.", FORM_AT(struct service_config, user)},
	{"scope", FORM_TEXT, .doc = "Of sigv4: REGION/SERVICE, such as eu-central-1/iot.",
		FORM_AT(struct service_config, scope)},
	{"timeout", FORM_DURATION, .def = "15s", .low = 100000,
		.doc = "How long one request may take.",
		FORM_AT(struct service_config, timeout_us)},
	{0},
};

static const struct secret_config *find_secret(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->secrets; i++)
		if (!strcmp(c->secret[i].name, name))
			return &c->secret[i];
	return NULL;
}

bool config_has_secret(const struct config *c, const char *name)
{
	return find_secret(c, name) != NULL;
}

bool config_is_this_machine(const char *host)
{
	return !strcmp(host, "localhost") || is_loopback(host);
}

static bool is_this_machine(const char *url)
{
	const char *host = url + strlen("http://");
	size_t n = strcspn(host, "/");
	size_t port = n;
	_cleanup_(freep) char *name = NULL;

	while (port > 0 && host[port - 1] >= '0' && host[port - 1] <= '9')
		port--;
	if (port > 0 && port < n && host[port - 1] == ':')
		n = port - 1;
	name = *host == '[' && n > 2 ? strndup(host + 1, n - 2) : strndup(host, n);
	return config_is_this_machine(name);
}

static void check_auth(const struct service_config *s, const char *p, struct mistakes *m)
{
	const struct http_service as = {
		.url = s->url, .auth = (enum http_auth)s->auth, .user = s->user, .scope = s->scope};
	struct err e;

	if (s->auth != HTTP_AUTH_BEARER && !s->token)
		mistakes_add(m, p, "service '%s' has the auth kind %s, which needs a 'token'",
			s->name, http_auth_names[s->auth]);
	if (s->url && http_url_check(s->url, NULL) == 0 && http_auth_check(&as, &e) < 0)
		mistakes_add(m, p, "service '%s': %s", s->name, e.msg);
}

static void check_service(
	const struct config *c, struct service_config *s, const char *p, struct mistakes *m)
{
	size_t n = s->url ? strlen(s->url) : 0;
	struct err e;

	if (n > 0 && s->url[n - 1] == '/')
		s->url[n - 1] = '\0';
	if (s->url && http_url_check(s->url, &e) < 0)
		mistakes_add(m, p, "%s", e.msg);
	else if (s->url && s->token && http_url_clear(s->url) && !is_this_machine(s->url))
		mistakes_add(m, p,
			"service '%s' would send its token in the clear to %s: https:// expected",
			s->name, s->url);
	if (!s->cert != !s->key)
		mistakes_add(
			m, p, "service '%s' needs 'cert' and 'key' together, or neither", s->name);
	check_auth(s, p, m);
	if (s->token && !find_secret(c, s->token))
		mistakes_add(m, p,
			"service '%s' names the token '%s', and 'secrets' has no such name",
			s->name, s->token);
}

void config_read_services(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'services' must be a mapping of names");
	c->service = xcalloc(json_object_size(v) + 1, sizeof *c->service);
	json_object_foreach((json_t *)v, name, o) {
		struct service_config *s = &c->service[c->services++];
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		s->name = xstrdup(name);
		if (!config_is_name(name))
			mistakes_add(m, p, "a service's name has letters, digits, - _ and .");
		if (json_is_object(o))
			form_read(service_rows, o, p, "key", s, m);
		else
			mistakes_add(m, p, "a service is a mapping such as {url: 'https://HOST'}");
	}
}

static void check_plant(const struct config *c, struct mistakes *m)
{
	const struct service_config *s = NULL;

	for (size_t i = 0; c->plant && i < c->services; i++)
		if (!strcmp(c->service[i].name, c->plant))
			s = &c->service[i];
	if (c->plant && !s)
		mistakes_add(
			m, "/plant", "'plant' is '%s', and 'services' has no such name", c->plant);
	else if (s && !s->token)
		mistakes_add(m, "/plant",
			"the service '%s' is the plant and has no 'token': the one that the plant made for this host",
			c->plant);
}

/* Once all keys are read: a token is the name of a secret, wherever that is written. */
void config_check_services(const struct config *c, struct mistakes *m)
{
	for (size_t i = 0; i < c->services; i++) {
		_cleanup_(freep) char *p = pointer_key("/services", c->service[i].name);

		check_service(c, &c->service[i], p, m);
	}
	check_plant(c, m);
}

/* --- records, printers --- */

const struct form_row records_rows[] = {
	{"signer", FORM_TEXT, .low = 1, .high = 64,
		.doc = "A name in 'signers' with signs: checkpoints. Without it checkpoints are not signed.",
		FORM_AT(struct records_config, signer)},
	{"every_runs", FORM_INT, .low = 1, .high = 1000000, .def = "100",
		.doc = "A checkpoint after so many runs,",
		FORM_AT(struct records_config, every_runs)},
	{"every", FORM_DURATION, .def = "10m", .low = 1000000,
		.doc = "or after so much time in which a run ended; and at each stop.",
		FORM_AT(struct records_config, every_us)},
	{"service", FORM_TEXT, .low = 1, .high = 64,
		.doc = "A name in 'services': each checkpoint goes there by the outbox (POST, text/plain), so that what it holds cannot be written again here.",
		FORM_AT(struct records_config, service)},
	{"path", FORM_TEXT, .low = 1, .high = 256, .def = "/checkpoints",
		.doc = "Where, below the address of the service.",
		FORM_AT(struct records_config, path)},
	{0},
};

void config_read_records(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(records_rows, v, pointer, "key", &c->records, m);
	else
		mistakes_add(m, pointer, "'records' is a mapping such as {signer: NAME}");
}

const struct form_row attachments_rows[] = {
	{"quota", FORM_SIZE, .def = "20G",
		.doc = "All attachments together, the same bytes counted once.",
		FORM_AT(struct attachments_config, quota)},
	{"run_max", FORM_SIZE, .def = "256M", .doc = "All attachments of one run.",
		FORM_AT(struct attachments_config, run_max)},
	{"file_max", FORM_SIZE, .def = "64M", .doc = "One attachment.",
		FORM_AT(struct attachments_config, file_max)},
	{0},
};

void config_read_attachments(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(attachments_rows, v, pointer, "key", &c->attachments, m);
	else
		mistakes_add(m, pointer, "'attachments' is a mapping such as {quota: 20G}");
}

void config_attachments_defaults(struct config *c, struct mistakes *m)
{
	json_t *none = json_object();

	form_read(attachments_rows, none, "/attachments", "key", &c->attachments, m);
	json_decref(none);
}

const struct form_row archive_rows[] = {
	{"dir", FORM_PATH, .required = true,
		.doc = "The folder of the archives, best on another disk; provd's user writes to it.",
		FORM_AT(struct archive_config, dir)},
	{"keep_months", FORM_INT, .low = 0, .high = 1200, .def = "12",
		.doc = "So many closed months stay in the database.",
		FORM_AT(struct archive_config, keep_months)},
	{"keep_bytes", FORM_SIZE,
		.doc = "Where the database uses more than this, the oldest closed months go earlier.",
		FORM_AT(struct archive_config, keep_bytes)},
	{0},
};

void config_read_archive(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(archive_rows, v, pointer, "key", &c->archive, m);
	else
		mistakes_add(
			m, pointer, "'archive' is a mapping such as {dir: /var/lib/provd/archive}");
}

/* Where provd.yaml says nothing of them. */
void config_records_defaults(struct config *c, struct mistakes *m)
{
	json_t *none = json_object();

	form_done(records_rows, &c->records);
	c->records = (struct records_config){0};
	form_read(records_rows, none, "/records", "key", &c->records, m);
	json_decref(none);
}

static bool has_service(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->services; i++)
		if (!strcmp(c->service[i].name, name))
			return true;
	return false;
}

static void check_records_signer(const struct config *c, struct mistakes *m)
{
	for (size_t i = 0; i < c->keys.signers; i++)
		if (!strcmp(c->keys.signer[i].name, c->records.signer)) {
			if (c->keys.signer[i].signs != SIGNS_CHECKPOINTS)
				mistakes_add(m, "/records/signer",
					"the signer '%s' signs documents: one with signs: checkpoints expected",
					c->records.signer);
			return;
		}
	mistakes_add(m, "/records/signer", "'signers' has no such name as '%s'", c->records.signer);
}

/* Once all keys are read. */
void config_check_records(const struct config *c, struct mistakes *m)
{
	struct err e;

	if (c->records.signer)
		check_records_signer(c, m);
	if (c->records.service && !has_service(c, c->records.service))
		mistakes_add(m, "/records/service", "'services' has no such name as '%s'",
			c->records.service);
	if (c->records.path && http_path_check(c->records.path, &e) < 0)
		mistakes_add(m, "/records/path", "%s", e.msg);
}

static const char *const printer_kinds[] = {
	[PRINTER_ZPL] = "zpl", [PRINTER_IPP] = "ipp", [PRINTER_IPPS] = "ipps", NULL};

const struct form_row printer_rows[] = {
	{"address", FORM_TEXT, .required = true, .low = 1, .high = LINK_ADDRESS_BYTES - 5,
		.doc = "HOST:PORT; the raw port of most printers is 9100, that of IPP 631.",
		FORM_AT(struct printer_config, address)},
	{"kind", FORM_CHOICE, .choices = printer_kinds, .def = "zpl",
		.doc = "What it understands: ZPL II, or PDF over IPP (a queue of CUPS, or the printer itself), in the clear or over TLS.",
		FORM_AT(struct printer_config, kind)},
	{"path", FORM_TEXT, .low = 1, .high = PRINTER_PATH_BYTES - 1, .def = "/ipp/print",
		.doc = "Of IPP: where the printer is at its address; of a queue of CUPS /printers/NAME.",
		FORM_AT(struct printer_config, path)},
	{"ca", FORM_PATH,
		.doc = "Of ipps: a file of certificates (PEM), of which one has signed the printer's. Without it: those of the system.",
		FORM_AT(struct printer_config, ca)},
	{"answer", FORM_DURATION, .def = "2s", .low = 100000,
		.doc = "How long its answer to a question for its status may take; a printer that gives none gets the label after that.",
		FORM_AT(struct printer_config, answer_us)},
	{0},
};

static void read_printer(
	struct config *c, const char *name, const json_t *o, const char *p, struct mistakes *m)
{
	struct printer_config *printer = &c->printer[c->printers++];
	struct err e;

	printer->name = xstrdup(name);
	if (!config_is_name(name))
		mistakes_add(m, p, "a printer's name has letters, digits, - _ and .");
	if (json_is_object(o))
		form_read(printer_rows, o, p, "key", printer, m);
	else
		mistakes_add(m, p, "a printer is a mapping such as {address: 'HOST:9100'}");
	config_check_host_port("address", printer->address, p, m);
	if (printer->path && http_path_check(printer->path, &e) < 0)
		mistakes_add(m, p, "'path': %s", e.msg);
	if (printer->ca && strlen(printer->ca) >= PRINTER_PATH_BYTES)
		mistakes_add(m, p, "'ca' is longer than %d bytes", PRINTER_PATH_BYTES - 1);
}

void config_read_printers(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'printers' must be a mapping of names");
	c->printer = xcalloc(json_object_size(v) + 1, sizeof *c->printer);
	json_object_foreach((json_t *)v, name, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		read_printer(c, name, o, p, m);
	}
}

/* --- instruments --- */

static const char *const proofs[] = {"number", "late", NULL};

const struct form_row instrument_rows[] = {
	{"address", FORM_TEXT, .required = true, .low = 1, .high = LINK_ADDRESS_BYTES - 1,
		.doc = "tcp:HOST:PORT (a raw socket: 5025 of most), vxi11:HOST (or HOST:PORT, which asks no portmapper; /inst0), hislip:HOST (port 4880; /hislip0), usbtmc:VVVV:PPPP/SERIAL, usbtmc:PORT (1-1.4), or tty:/dev/NAME@BAUD. One that several stations use is given to one at a time, in the order in which they ask.",
		FORM_AT(struct instrument_config, address)},
	{"answer", FORM_DURATION, .def = "5s", .low = 1000, .doc = "How long an answer may take.",
		FORM_AT(struct instrument_config, answer_us)},
	{"proof", FORM_CHOICE, .choices = proofs, .def = "number",
		.doc = "How an answer that comes late is told from the next one's. number: each question sets *ESE and reads it back in the same message. late: for an instrument that takes one command in a message; after an answer that is missing nothing is asked until 'late'.",
		FORM_AT(struct instrument_config, proof)},
	{"late", FORM_DURATION, .low = 1000,
		.doc = "Of proof late: no answer comes later than this after its question.",
		FORM_AT(struct instrument_config, late_us)},
	{"identity", FORM_TEXT, .low = 1, .high = INSTRUMENT_IDENTITY_BYTES - 1,
		.doc = "A pattern that the answer to *IDN? has to fit: another instrument at this address is not used.",
		FORM_AT(struct instrument_config, identity)},
	{"owner", FORM_TEXT, .low = 1, .high = INSTRUMENT_OWNER_BYTES - 1,
		.doc = "Who looks after it: named in messages and in the record.",
		FORM_AT(struct instrument_config, owner)},
	{"calibrated_until", FORM_TEXT, .low = 10, .high = 10,
		.doc = "The last day on which its calibration holds: '2027-03-31'. After it nothing is measured with it.",
		FORM_AT(struct instrument_config, calibrated_until)},
	{0},
};

static bool is_day(const char *text)
{
	_cleanup_(freep) char *whole = xasprintf("%sT00:00:00Z", text);
	int64_t ms;

	return strlen(text) == 10 && rfc3339_parse(whole, &ms) == 0;
}

static bool is_instrument_address(const char *a)
{
	return (!strncmp(a, "tcp:", 4) && strrchr(a, ':') > a + 4) || !strncmp(a, "tty:/", 5) ||
	       (!strncmp(a, "vxi11:", 6) && a[6]) || (!strncmp(a, "hislip:", 7) && a[7]) ||
	       (!strncmp(a, "usbtmc:", 7) && a[7]);
}

static void check_instrument(const struct instrument_config *i, const char *p, struct mistakes *m)
{
	struct regex *x = NULL;
	struct err e;

	if (i->address && !is_instrument_address(i->address))
		mistakes_add(m, p,
			"'address' is '%s': tcp:HOST:PORT, vxi11:HOST, hislip:HOST or tty:/dev/NAME expected",
			i->address);
	if ((i->proof == 1) != (i->late_us > 0))
		mistakes_add(m, p, "'proof: late' and 'late' belong together");
	if (i->identity && regex_new(i->identity, &x, &e) < 0)
		mistakes_add(m, p, "'identity': %s", e.msg);
	regex_free(x);
	if (i->calibrated_until && !is_day(i->calibrated_until))
		mistakes_add(m, p,
			"'calibrated_until' is '%s': a day such as '2027-03-31' expected",
			i->calibrated_until);
}

void config_read_instruments(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'instruments' must be a mapping of names");
	c->instrument = xcalloc(json_object_size(v) + 1, sizeof *c->instrument);
	json_object_foreach((json_t *)v, name, o) {
		struct instrument_config *i = &c->instrument[c->instruments++];
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		i->name = xstrdup(name);
		if (!config_is_name(name))
			mistakes_add(m, p, "an instrument's name has letters, digits, - _ and .");
		if (json_is_object(o))
			form_read(instrument_rows, o, p, "key", i, m);
		else
			mistakes_add(m, p,
				"an instrument is a mapping such as {address: 'tcp:HOST:5025'}");
		check_instrument(i, p, m);
	}
}

/* --- shifts --- */

const struct form_row shift_rows[] = {
	{"from", FORM_TEXT, .required = true, .low = 5, .high = 5,
		.doc = "When it begins: '06:00'.", FORM_AT(struct shift_config, from)},
	{"to", FORM_TEXT, .required = true, .low = 5, .high = 5,
		.doc = "When it ends; no later than from: on the next day.",
		FORM_AT(struct shift_config, to)},
	{"units", FORM_INT, .low = 0, .high = 10000000, .def = "0",
		.doc = "How many units it is to make. 0: what the orders need.",
		FORM_AT(struct shift_config, units)},
	{0},
};

static int read_time(const char *key, const char *text, const char *pointer, struct mistakes *m)
{
	int minutes = text ? shift_minutes(text) : 0;

	if (minutes < 0)
		mistakes_add(m, pointer, "'%s' is '%s': a time of the day such as '06:00' expected",
			key, text);
	return minutes;
}

static void read_shift(
	struct config *c, const char *name, const json_t *o, const char *p, struct mistakes *m)
{
	struct shift_config *shift = &c->shift[c->shifts++];

	shift->name = xstrdup(name);
	if (!config_is_name(name))
		mistakes_add(m, p, "a shift's name has letters, digits, - _ and .");
	if (json_is_object(o))
		form_read(shift_rows, o, p, "key", shift, m);
	else
		mistakes_add(m, p, "a shift is a mapping such as {from: '06:00', to: '14:00'}");
	shift->from_min = read_time("from", shift->from, p, m);
	shift->to_min = read_time("to", shift->to, p, m);
}

void config_read_shifts(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *name;
	json_t *o;

	if (!json_is_object(v))
		mistakes_add(m, pointer, "'shifts' must be a mapping of names");
	c->shift = xcalloc(json_object_size(v) + 1, sizeof *c->shift);
	json_object_foreach((json_t *)v, name, o) {
		_cleanup_(freep) char *p = pointer_key(pointer, name);

		read_shift(c, name, o, p, m);
	}
}

/* --- what is asked for by name --- */

static int read_secret_file(const struct secret_config *s, char **ret, struct err *e)
{
	_cleanup_(closep) int fd = open(s->file, O_RDONLY | O_CLOEXEC);
	char buf[MAX_SECRET_BYTES];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

	if (n < 0)
		return err_errno(e, ERR_IO, errno, "secret '%s'", s->name);
	while (n > 0 && (buf[n - 1] == '\n' || buf[n - 1] == '\r'))
		n--;
	buf[n] = 0;
	*ret = xstrdup(buf);
	secret_wipe(buf, sizeof buf);
	return 0;
}

int config_secret(const struct config *c, const char *name, char **ret, struct err *e)
{
	const struct secret_config *s = find_secret(c, name);

	return s ? read_secret_file(s, ret, e)
		 : err_set(e, ERR_NOT_FOUND, "provd.yaml names no secret '%s'", name);
}

static const struct service_config *find_service(
	const struct config *c, const char *name, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(c->services + 1, sizeof *names);
	const char *near;

	for (size_t i = 0; i < c->services; i++) {
		if (!strcmp(c->service[i].name, name))
			return &c->service[i];
		names[i] = c->service[i].name;
	}
	near = nearest_name(name, names);
	err_set(e, ERR_NOT_FOUND, "provd.yaml names no service '%s'%s%s%s", name,
		near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

static const struct printer_config *find_printer(
	const struct config *c, const char *name, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(c->printers + 1, sizeof *names);
	const char *near;

	for (size_t i = 0; i < c->printers; i++) {
		if (!strcmp(c->printer[i].name, name))
			return &c->printer[i];
		names[i] = c->printer[i].name;
	}
	near = nearest_name(name, names);
	err_set(e, ERR_NOT_FOUND, "provd.yaml names no printer '%s'%s%s%s", name,
		near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

int config_printer(const struct config *c, const char *name, struct printer *ret, struct err *e)
{
	const struct printer_config *p = find_printer(c, name, e);

	if (!p)
		return -ERR_NOT_FOUND;
	*ret = (struct printer){.answer_us = p->answer_us, .kind = (enum printer_kind)p->kind};
	snprintf(ret->address, sizeof ret->address, "tcp:%s", p->address);
	snprintf(ret->path, sizeof ret->path, "%s", p->path);
	snprintf(ret->ca, sizeof ret->ca, "%s", p->ca ? p->ca : "");
	return 0;
}

static const struct instrument_config *find_instrument(
	const struct config *c, const char *name, struct err *e)
{
	_cleanup_(freep) const char **names = xcalloc(c->instruments + 1, sizeof *names);
	const char *near;

	for (size_t i = 0; i < c->instruments; i++) {
		if (!strcmp(c->instrument[i].name, name))
			return &c->instrument[i];
		names[i] = c->instrument[i].name;
	}
	near = nearest_name(name, names);
	err_set(e, ERR_NOT_FOUND, "provd.yaml names no instrument '%s'%s%s%s", name,
		near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

int config_instrument(
	const struct config *c, const char *name, struct instrument *ret, struct err *e)
{
	const struct instrument_config *i = find_instrument(c, name, e);

	if (!i)
		return -ERR_NOT_FOUND;
	*ret = (struct instrument){.answer_us = i->answer_us, .late_us = i->late_us};
	snprintf(ret->address, sizeof ret->address, "%s", i->address);
	snprintf(ret->identity, sizeof ret->identity, "%s", i->identity ? i->identity : "");
	snprintf(ret->owner, sizeof ret->owner, "%s", i->owner ? i->owner : "");
	snprintf(ret->calibrated_until, sizeof ret->calibrated_until, "%s",
		i->calibrated_until ? i->calibrated_until : "");
	return 0;
}

static char *copy_of(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

int config_service(
	const struct config *c, const char *name, struct http_service *ret, struct err *e)
{
	const struct service_config *s = find_service(c, name, e);
	char *token = NULL;
	int r = 0;

	if (!s)
		return -ERR_NOT_FOUND;
	if (s->token)
		r = config_secret(c, s->token, &token, e);
	if (r < 0)
		return r;
	*ret = (struct http_service){
		.url = xstrdup(s->url),
		.ca = copy_of(s->ca),
		.cert = copy_of(s->cert),
		.key = copy_of(s->key),
		.token = token,
		.auth = (enum http_auth)s->auth,
		.user = copy_of(s->user),
		.scope = copy_of(s->scope),
		.timeout_us = s->timeout_us,
	};
	return 0;
}
