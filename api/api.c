/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include "api/embedded.h"
#include "api/router.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/util.h"
#include "base/yaml.h"
#include "db/tokens.h"

static int apply_token(struct db *tx, void *data, struct err *e)
{
	return tokens_create(tx, data, e);
}

/* The first start: there is no default password, so a token is made and told once. */
static int first_token(struct api *a, void (*told)(void *, const char *), void *data, struct err *e)
{
	struct token t = {.name = "first admin", .role = "admin"};
	char text[TOKEN_TEXT_SIZE];
	char id[TOKEN_ID_SIZE];
	int r;

	auth_make_token(text, id, t.secret_sha256);
	snprintf(t.id, sizeof t.id, "%s", id);
	r = writer_do(fleet_writer(a->fleet), apply_token, &t, e);
	if (r == 0) {
		auth_add(a->auth, t.id, t.name, ROLE_ADMIN, t.secret_sha256);
		told(data, text);
	}
	secret_wipe(text, sizeof text);
	return r;
}

/* The document is written as YAML, by people; it is served as JSON. */
static int load_openapi(struct api *a, struct err *e)
{
	struct yaml_doc *doc;
	int r = yaml_parse("openapi.yaml", (const char *)openapi_yaml, openapi_yaml_len, &doc, e);

	if (r < 0)
		return r;
	a->openapi_text = json_dumps(doc->root, JSON_COMPACT);
	yaml_doc_free(doc);
	return a->openapi_text ? 0 : err_set(e, ERR_NO_MEMORY, "openapi.yaml");
}

unsigned api_descriptors(void)
{
	return HTTPD_DESCRIPTORS;
}

int api_start(struct fleet *f, const struct api_options *o,
	void (*told)(void *data, const char *token), void *data, struct api **ret, struct err *e)
{
	struct api *a = xcalloc(1, sizeof *a);
	const struct httpd_options ho = {
		.host = o->host,
		.port = o->port,
		.listen_fd = o->listen_fd,
		.upload_dir = fleet_artifact_dir(f),
	};
	struct db *reader;
	int r;

	a->fleet = f;
	a->rate_limit = o->rate_limit;
	mutex_init(&a->reader_lock);
	mutex_init(&a->cache_lock);
	r = load_openapi(a, e);
	if (r == 0) {
		reader = api_reader(a, e);
		r = reader ? auth_new(reader, &a->auth, e) : -(int)e->code;
		api_reader_back(a, reader);
	}
	if (r == 0 && !auth_has_admin(a->auth))
		r = first_token(a, told, data, e);
	if (r == 0)
		r = httpd_start(&ho, &router_ops, a, &a->httpd, e);
	if (r < 0) {
		api_stop(a);
		return r;
	}
	*ret = a;
	return 0;
}

uint16_t api_port(const struct api *a)
{
	return httpd_port(a->httpd);
}

void api_tick(struct api *a)
{
	auth_tick(a->auth);
	httpd_tick(a->httpd);
}

bool api_alive(struct api *a)
{
	struct err e;

	if (httpd_alive(a->httpd, &e) == 0)
		return true;
	log_error("%s", e.msg);
	return false;
}

struct api *api_stop(struct api *a)
{
	if (!a)
		return NULL;
	httpd_stop(a->httpd);
	for (size_t i = 0; i < a->readers; i++)
		db_free(a->reader[i]);
	auth_free(a->auth);
	shared_body_unref(a->stations);
	free(a->openapi_text);
	mutex_done(&a->reader_lock);
	mutex_done(&a->cache_lock);
	free(a);
	return NULL;
}
