/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may reach the API: listeners, their TLS, who is known by a certificate, and what a principal may
 * name.
 */
#include "daemon/line/config_impl.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "base/loopback.h"
#include "base/strbuf.h"
#include "base/util.h"

#define LISTENS_MAX 8
#define CLIENTS_MAX 1000

const char *const principal_roles[] = {
	"viewer", "operator", "supervisor", "engineer", "mes", "admin", NULL};

/* Borrowed from what was read, which its owner keeps. */
struct scopes_form {
	const json_t *stations, *pools, *recipes;
};

const struct form_row scope_rows[] = {
	{"stations", FORM_TEXTS, .low = 1, .high = 1000,
		.doc = "Ids of stations. Jobs, runs, prompts and events count as those of their station.",
		FORM_AT(struct scopes_form, stations)},
	{"pools", FORM_TEXTS, .low = 1, .high = 1000, .doc = "Ids of pools.",
		FORM_AT(struct scopes_form, pools)},
	{"recipes", FORM_TEXTS, .low = 1, .high = 1000,
		.doc = "Names of recipes, of every version. Jobs and runs count as those of their recipe.",
		FORM_AT(struct scopes_form, recipes)},
	{0},
};

void config_check_scopes(const json_t *v, const char *pointer, struct mistakes *m)
{
	struct scopes_form f = {0};

	if (!json_is_object(v) || json_object_size(v) == 0)
		mistakes_add(m, pointer,
			"'scopes' must be a mapping of the lists stations, pools and recipes, with one of them at least: without any limit it is left out");
	else
		form_read(scope_rows, v, pointer, "key", &f, m);
}

/* --- the access log --- */

void config_read_access_log(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	const char *s = json_is_string(v) ? json_string_value(v) : "";

	if (*s == '/') {
		c->access_log = ACCESS_LOG_FILE;
		c->access_log_file = xstrdup(s);
	} else if (!strcmp(s, "journal")) {
		c->access_log = ACCESS_LOG_JOURNAL;
	} else if (strcmp(s, "off") != 0) {
		mistakes_add(
			m, pointer, "'access_log' is off, journal, or the absolute path of a file");
	}
}

/* --- listeners --- */

static bool read_host_port(const char *s, struct listen_config *ret)
{
	const char *colon = strrchr(s, ':');
	unsigned long long port;

	if (!colon || colon == s || !parse_size(colon + 1, &port) || port > 65535)
		return false;
	ret->host = *s == '[' && colon[-1] == ']' ? strndup(s + 1, (size_t)(colon - s - 2))
						  : strndup(s, (size_t)(colon - s));
	ret->port = (uint16_t)port;
	return true;
}

static void read_listener(
	struct config *c, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct listen_config *l = &c->listen[c->listens++];
	const char *s = json_string_value(v);
	bool http = s && !strncmp(s, "http://", 7);
	bool https = s && !strncmp(s, "https://", 8);

	l->scheme = http ? LISTEN_HTTP : https ? LISTEN_HTTPS : LISTEN_AS_TLS;
	if (s && !strncmp(s, "unix:/", 6)) {
		l->path = xstrdup(s + 5);
		if (strlen(l->path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
			mistakes_add(m, pointer,
				"the path of the socket '%s' is too long: at most %zu bytes expected",
				l->path, sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
	} else if (!s || !read_host_port(s + (http ? 7 : https ? 8 : 0), l)) {
		mistakes_add(m, pointer,
			"'listen' must be HOST:PORT such as 127.0.0.1:8620, http://HOST:PORT or unix:/PATH");
	}
}

void config_read_listen(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;

	if (n == 0 || n > LISTENS_MAX) {
		mistakes_add(
			m, pointer, "'listen' has %zu addresses: 1 to %d expected", n, LISTENS_MAX);
		return;
	}
	c->listen = xcalloc(n, sizeof *c->listen);
	if (!json_is_array(v)) {
		read_listener(c, v, pointer, m);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		read_listener(c, json_array_get(v, i), p, m);
	}
}

void config_listens(const struct config *c, struct strbuf *out)
{
	for (size_t i = 0; i < c->listens; i++) {
		const struct listen_config *l = &c->listen[i];
		const char *scheme = l->tls ? "https://" : c->tls.certificate ? "http://" : "";

		sb_add(out, i ? ", " : "");
		if (l->path)
			sb_addf(out, "unix:%s", l->path);
		else
			sb_addf(out, strchr(l->host, ':') ? "%s[%s]:%u" : "%s%s:%u", scheme,
				l->host, l->port);
	}
}

/* --- TLS --- */

static void read_place(char **to, const json_t *v, const char *pointer, struct mistakes *m)
{
	const char *s = json_string_value(v);

	if (!s)
		*to = config_place(v, pointer, m);
	else if (*s == '/')
		*to = xstrdup(s);
	else
		mistakes_add(m, pointer,
			"'%s' is not an absolute path: /PATH or {credential: NAME} expected", s);
}

#define READ_PLACE(field)                                                           \
	static void read_##field(                                                   \
		void *to, const json_t *v, const char *pointer, struct mistakes *m) \
	{                                                                           \
		read_place(&((struct tls_config *)to)->field, v, pointer, m);       \
	}
READ_PLACE(certificate)
READ_PLACE(key)
READ_PLACE(client_ca)
READ_PLACE(client_crl)

static const char *const client_certificates[] = {[CLIENT_CERTIFICATES_OPTIONAL] = "optional",
	[CLIENT_CERTIFICATES_REQUIRED] = "required",
	NULL};

#define PLACE_SCHEMA "{\"oneOf\":[{\"type\":\"string\",\"pattern\":\"^/\"},{\"type\":\"object\"}]}"

const struct form_row tls_rows[] = {
	{"certificate", FORM_OWN, .required = true, .read = read_certificate,
		.schema = PLACE_SCHEMA,
		.doc = "The certificate of the API, and those over it, in PEM: /PATH or {credential: NAME}."},
	{"key", FORM_OWN, .required = true, .read = read_key, .schema = PLACE_SCHEMA,
		.doc = "Its key, in PEM without a passphrase, which others cannot read (mode 0600 or 0640)."},
	{"client_ca", FORM_OWN, .read = read_client_ca, .schema = PLACE_SCHEMA,
		.doc = "The authorities that sign certificates of clients; clients are asked for one then."},
	{"client_crl", FORM_OWN, .read = read_client_crl, .schema = PLACE_SCHEMA,
		.doc = "Their lists of revoked certificates. Of each authority there must be one in date, or its certificates are refused."},
	{"client_certificates", FORM_CHOICE, .choices = client_certificates, .def = "optional",
		.doc = "required: over TLS nobody is answered without a good certificate, also not with a token. optional: one that comes must be good.",
		FORM_AT(struct tls_config, client_certificates)},
	{0},
};

void config_read_tls(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	_cleanup_(freep) char *p = pointer_key(pointer, "client_ca");

	if (!json_is_object(v)) {
		mistakes_add(m, pointer, "'tls' must be a mapping of certificate and key");
		return;
	}
	form_read(tls_rows, v, pointer, "key", &c->tls, m);
	if (!c->tls.client_ca &&
		(c->tls.client_crl || c->tls.client_certificates == CLIENT_CERTIFICATES_REQUIRED))
		mistakes_add(m, p,
			"'client_ca' is missing: without it no certificate of a client can be verified");
}

/* --- who is known by a certificate or an account --- */

struct client_form {
	char *name, *by[CLIENT_ACCOUNT + 1];
	int role;
	const json_t *scopes;
};

static void read_scopes(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	config_check_scopes(v, pointer, m);
	((struct client_form *)to)->scopes = v;
}

const struct form_row client_rows[] = {
	{"name", FORM_TEXT, .required = true, .low = 1, .high = 63,
		.doc = "Who it is in the records; no token has that name.",
		FORM_AT(struct client_form, name)},
	{"role", FORM_CHOICE, .required = true, .choices = principal_roles,
		.doc = "What it may do.", FORM_AT(struct client_form, role)},
	{"subject", FORM_TEXT, .low = 1,
		.doc = "The whole subject of the certificate, such as 'CN=mes,O=Example'. One of these five.",
		FORM_AT(struct client_form, by[CLIENT_SUBJECT])},
	{"san_dns", FORM_TEXT, .low = 1, .high = 255, .doc = "A DNS name in its subjectAltName.",
		FORM_AT(struct client_form, by[CLIENT_SAN_DNS])},
	{"san_uri", FORM_TEXT, .low = 1, .high = 255, .doc = "A URI there.",
		FORM_AT(struct client_form, by[CLIENT_SAN_URI])},
	{"san_email", FORM_TEXT, .low = 1, .high = 255, .doc = "A mail address there.",
		FORM_AT(struct client_form, by[CLIENT_SAN_EMAIL])},
	{"user", FORM_TEXT, .low = 1, .high = 255,
		.doc = "A person who logs in to the dashboard with the user name and password of an account ('pam').",
		FORM_AT(struct client_form, by[CLIENT_ACCOUNT])},
	{"scopes", FORM_OWN, .read = read_scopes, .rows = scope_rows,
		.doc = "What it may name, as of a token. By default everything."},
	{0},
};

static const struct client_config *same_client(
	const struct config *c, const struct client_config *k)
{
	for (size_t i = 0; i < c->clients; i++) {
		const struct client_config *other = &c->client[i];

		if (other != k && other->value && k->value && other->by == k->by &&
			!strcmp(other->value, k->value))
			return other;
	}
	return NULL;
}

static void read_client(struct config *c, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct client_config *k = &c->client[c->clients++];
	struct client_form f = {0};
	unsigned n = 0;

	if (json_is_object(v))
		form_read(client_rows, v, pointer, "key", &f, m);
	for (int i = CLIENT_SUBJECT; i <= CLIENT_ACCOUNT; i++) {
		if (!f.by[i])
			continue;
		n++;
		free(k->value);
		k->by = (enum client_by)i;
		k->value = xstrdup(f.by[i]);
	}
	k->role = f.role;
	k->scopes = f.scopes ? json_deep_copy(f.scopes) : NULL;
	k->name = xstrdup(f.name ? f.name : "");
	form_done(client_rows, &f);
	if (n != 1)
		mistakes_add(m, pointer,
			"a principal is known by one of subject, san_dns, san_uri, san_email and user: it has %u of them",
			n);
	else if (same_client(c, k))
		mistakes_add(m, pointer,
			"'%s' is known by '%s' already: one certificate or account is of one principal",
			same_client(c, k)->name, k->value);
}

void config_read_clients(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;
	size_t n = json_array_size(v);

	if (!json_is_array(v) || n > CLIENTS_MAX) {
		mistakes_add(m, pointer,
			"'principals' must be a list of at most %d mappings of name, role and subject",
			CLIENTS_MAX);
		return;
	}
	c->client = xcalloc(n + 1, sizeof *c->client);
	for (size_t i = 0; i < n; i++) {
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		read_client(c, json_array_get(v, i), p, m);
	}
}

/* --- once all is read --- */

/* Tokens and firmware would pass in the clear: 'insecure' has to allow that. */
static void check_listener(const struct config *c, const struct listen_config *l,
	const char *pointer, struct mistakes *m)
{
	if (l->scheme == LISTEN_HTTPS && !c->tls.certificate)
		mistakes_add(m, pointer,
			"https://%s has no certificate: 'tls' with certificate and key expected",
			l->host);
	if (l->path || l->tls || is_loopback(l->host))
		return;
	if (c->tls.certificate)
		mistakes_add(m, pointer,
			"'listen' is http://%s, and there is 'tls': where there is, this machine alone is served in the clear",
			l->host);
	if (c->tls.certificate || c->insecure)
		return;
	mistakes_add(m, pointer,
		"'listen' is %s, not this machine alone: tokens and firmware would pass through the network in the clear. Give 'tls' a certificate and key, listen on 127.0.0.1, or say 'insecure: true'",
		l->host);
}

/* What each of them is known by has to be looked at. */
static void check_principals(const struct config *c, struct mistakes *m)
{
	for (size_t i = 0; i < c->clients; i++) {
		_cleanup_(freep) char *p = pointer_index("/principals", i);

		if (c->client[i].by == CLIENT_ACCOUNT && !c->pam)
			mistakes_add(m, p,
				"'%s' logs in with a password: 'pam' is needed, the PAM service that looks at it",
				c->client[i].name);
		else if (c->client[i].by != CLIENT_ACCOUNT && !c->tls.client_ca)
			mistakes_add(m, p,
				"'%s' is known by a certificate: 'tls' with 'client_ca' expected",
				c->client[i].name);
	}
}

void config_check_access(struct config *c, struct mistakes *m)
{
	if (!c->listen) {
		c->listen = xcalloc(1, sizeof *c->listen);
		c->listen[c->listens++] =
			(struct listen_config){.host = xstrdup("127.0.0.1"), .port = 8620};
	}
	for (size_t i = 0; i < c->listens; i++) {
		struct listen_config *l = &c->listen[i];
		_cleanup_(freep) char *p =
			c->listens > 1 ? pointer_index("/listen", i) : xstrdup("/listen");

		l->tls = !l->path && c->tls.certificate && l->scheme != LISTEN_HTTP;
		if (l->host || l->path)
			check_listener(c, l, p, m);
	}
	check_principals(c, m);
}

void config_access_done(struct config *c)
{
	for (size_t i = 0; i < c->listens; i++) {
		free(c->listen[i].host);
		free(c->listen[i].path);
	}
	for (size_t i = 0; i < c->clients; i++) {
		free(c->client[i].value);
		free(c->client[i].name);
		json_decref(c->client[i].scopes);
	}
	free(c->listen);
	free(c->client);
	free(c->tls.certificate);
	free(c->tls.key);
	free(c->tls.client_ca);
	free(c->tls.client_crl);
}
