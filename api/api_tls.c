/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api_tls.h"

#include "api/account.h"
#include "api/tls.h"
#include "base/log.h"
#include "base/util.h"

_Static_assert((int)TLS_SUBJECT == CLIENT_SUBJECT && (int)TLS_SAN_DNS == CLIENT_SAN_DNS &&
		       (int)TLS_SAN_URI == CLIENT_SAN_URI && (int)TLS_SAN_EMAIL == CLIENT_SAN_EMAIL,
	"the configuration and the API name them in one order");

static struct tls_files files_of(const struct config *c)
{
	return (struct tls_files){
		c->tls.certificate, c->tls.key, c->tls.client_ca, c->tls.client_crl};
}

static int set_clients(struct api *a, const struct config *c, struct err *e)
{
	struct auth_client *list = xcalloc(c->clients + 1, sizeof *list);
	int r;

	for (size_t i = 0; i < c->clients; i++) {
		const struct client_config *k = &c->client[i];

		list[i] = (struct auth_client){.account = k->by == CLIENT_ACCOUNT,
			.by = k->by == CLIENT_ACCOUNT ? TLS_SUBJECT : (enum tls_name)k->by,
			.value = k->value,
			.name = k->name,
			.role = (enum role)k->role,
			.scopes = k->scopes};
	}
	r = auth_set_clients(a->auth, list, c->clients, e);
	free(list);
	return r;
}

static void set_required(struct api *a, const struct config *c)
{
	__atomic_store_n(&a->client_required,
		c->tls.client_certificates == CLIENT_CERTIFICATES_REQUIRED, __ATOMIC_RELAXED);
}

/* Its time is said at the start, too. */
static void log_warnings(struct api *a)
{
	json_t *list = api_tls_warnings(a);
	json_t *o;
	size_t i;

	json_array_foreach(list, i, o)
		log_warning("%s", json_string_value(json_object_get(o, "message")));
	json_decref(list);
}

int api_tls_open(struct api *a, const struct config *c, struct err *e)
{
	const struct tls_files f = files_of(c);
	int r = f.certificate ? tls_new(&f, &a->tls, e) : 0;

	if (r == 0 && c->pam && !account_possible())
		return err_set(e, ERR_INVALID,
			"'pam' of provd.yaml: this provd was built without PAM: install libpam0g-dev and build it again, or take it out");
	if (r == 0)
		r = set_clients(a, c, e);
	if (r < 0)
		return r;
	set_required(a, c);
	log_warnings(a);
	return 0;
}

/* --- exchanges --- */

static int apply_event(struct db *tx, void *data, struct err *e)
{
	return db_event(tx, "tls-certificate", NULL, NULL, NULL, NULL, json_incref(data), e);
}

static void event_stored(void *data, int result, const struct err *e)
{
	if (result < 0)
		log_error("the exchange of the API's certificate has no event: %s", e->msg);
	json_decref(data);
}

/* Whether new files were taken, and what is shown from now on. */
static void tell_exchange(struct api *a, int r, const struct err *why)
{
	struct tls_state state;
	char ends[RFC3339_SIZE];
	struct err e;
	json_t *data;

	tls_state(a->tls, &state);
	rfc3339(state.ends_s * 1000, ends);
	if (r > 0)
		log_notice("TLS: new files taken: the API shows '%s', valid until %s",
			state.subject, ends);
	else
		log_error("TLS: new files are not taken, the ones before stay: %s", why->msg);
	data = json_pack("{s:b, s:s, s:s, s:s}", "taken", r > 0, "subject", state.subject,
		"not_after", ends, "problem", r > 0 ? "" : why->msg);
	if (writer_submit(fleet_writer(a->fleet), apply_event, data, event_stored, &e) < 0)
		event_stored(data, -(int)e.code, &e);
}

void api_tls_reload(struct api *a, const struct config *c)
{
	const struct tls_files f = files_of(c);
	struct err e;
	int r;

	/* Who is taken away is out, whatever becomes of the rest. */
	if (set_clients(a, c, &e) < 0)
		log_error("%s: the principals before stay", e.msg);
	if (!a->tls != !f.certificate) {
		log_error(
			"'tls' of provd.yaml was %s: that needs a restart, until then it is as before",
			a->tls ? "taken away" : "added");
		return;
	}
	if (!a->tls)
		return;
	set_required(a, c);
	r = tls_reload(a->tls, &f, &e);
	auth_clients_changed(a->auth);
	tell_exchange(a, r, &e);
}

void api_tls_tick(struct api *a)
{
	struct err e;
	int r = a->tls ? tls_look(a->tls, &e) : 0;

	if (r == 0)
		return;
	if (r > 0)
		auth_clients_changed(a->auth);
	tell_exchange(a, r, &e);
}

/* --- what is shown of it --- */

static void add_warning(json_t *list, const char *code, const char *text)
{
	json_array_append_new(list, json_pack("{s:s, s:s}", "code", code, "message", text));
}

/* A sentence with the time at which something ends, where that is near or over. */
static void add_end(json_t *list, const char *code, int64_t ends_s, int64_t warn_s,
	const char *what, const char *todo)
{
	int64_t left_s = ends_s - wall_ms() / 1000;
	_cleanup_(freep) char *text = NULL;
	char ends[RFC3339_SIZE];

	if (!ends_s || left_s >= warn_s)
		return;
	text = xasprintf("%s %s %s: %s", what, left_s < 0 ? "has ended" : "ends",
		rfc3339(ends_s * 1000, ends), todo);
	add_warning(list, code, text);
}

/* Everybody reads them: without the places of files, which are in the log. */
json_t *api_tls_warnings(struct api *a)
{
	json_t *list = json_array();
	struct tls_state state;

	if (!a->tls)
		return list;
	tls_state(a->tls, &state);
	add_end(list, "tls-certificate-ends", state.ends_s, TLS_WARN_S,
		"the certificate of the API",
		"put a new one and its key in the place of the files");
	add_end(list, "tls-lists-end", state.lists_end_s, TLS_WARN_LISTS_S,
		"a list of revoked client certificates",
		"without a new one its authority's certificates are refused");
	if (state.problem[0])
		add_warning(list, "tls-files-not-taken",
			"there are newer files of TLS that cannot be taken: the log and the event tls-certificate say why");
	return list;
}
