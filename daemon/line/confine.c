/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/line/confine.h"

#include "base/log.h"
#include "base/proc.h"
#include "base/sandbox.h"
#include "base/util.h"

/* The lists of one configuration. A program that is just starting reads the ones before: none is
 * freed before the end. */
struct lists {
	struct lists *older;
	struct sandbox_policy policy;
	char **hidden;
	char *visible[2];
};

struct confine {
	struct lists *newest;
	bool warned;
};

struct confine *confine_new(void)
{
	return xcalloc(1, sizeof(struct confine));
}

static void lists_free(struct lists *l)
{
	for (char **p = l->hidden; *p; p++)
		free(*p);
	free(l->hidden);
	free(l->visible[0]);
	free(l);
}

struct confine *confine_free(struct confine *c)
{
	if (!c)
		return NULL;
	proc_confine(NULL);
	while (c->newest) {
		struct lists *l = c->newest;

		c->newest = l->older;
		lists_free(l);
	}
	free(c);
	return NULL;
}

/* Two at most; the new count. */
static size_t hide_key(char **hidden, size_t n, const struct key_place *k)
{
	if (k->key && !key_place_is_token(k))
		hidden[n++] = xstrdup(k->key);
	if (k->pin_file)
		hidden[n++] = xstrdup(k->pin_file);
	return n;
}

static struct lists *lists_new(const struct config *c, const char *artifact_dir)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	struct lists *l = xcalloc(1, sizeof *l);
	size_t n = 0;

	l->hidden = xcalloc(c->secrets + c->services + 5 +
				    2 * (2 * c->keys.issuers + c->keys.masters + c->keys.signers +
						c->keys.stores),
		sizeof *l->hidden);
	l->hidden[n++] = xstrdup(c->state_dir);
	if (c->marks_file)
		l->hidden[n++] = xstrdup(c->marks_file);
	if (c->archive.dir)
		l->hidden[n++] = xstrdup(c->archive.dir);
	if (credentials)
		l->hidden[n++] = xstrdup(credentials);
	for (size_t i = 0; i < c->secrets; i++)
		l->hidden[n++] = xstrdup(c->secret[i].file);
	if (c->tls.key)
		l->hidden[n++] = xstrdup(c->tls.key);
	for (size_t i = 0; i < c->services; i++)
		if (c->service[i].key)
			l->hidden[n++] = xstrdup(c->service[i].key);
	for (size_t i = 0; i < c->keys.issuers; i++) {
		n = hide_key(l->hidden, n, &c->keys.issuer[i].place);
		if (c->keys.issuer[i].client_key)
			l->hidden[n++] = xstrdup(c->keys.issuer[i].client_key);
	}
	for (size_t i = 0; i < c->keys.masters; i++)
		n = hide_key(l->hidden, n, &c->keys.master[i].place);
	for (size_t i = 0; i < c->keys.signers; i++)
		n = hide_key(l->hidden, n, &c->keys.signer[i].place);
	for (size_t i = 0; i < c->keys.stores; i++)
		n = hide_key(l->hidden, n, &c->keys.store[i].place);
	l->visible[0] = xstrdup(artifact_dir);
	l->policy = (struct sandbox_policy){
		.hidden = (const char *const *)l->hidden,
		.visible = (const char *const *)l->visible,
		.writable = (const char *const *)c->tool_writable,
	};
	return l;
}

/* A row of virtual boards may do without; a real line says that it cannot, at each program. */
static bool may_go_without(const struct config *c)
{
	return c->tool_sandbox == TOOL_SANDBOX_OFF ||
	       (c->tool_sandbox == TOOL_SANDBOX_AUTO && !config_is_real_line(c) &&
		       !sandbox_supported());
}

void confine_apply(struct confine *c, const struct config *config, const char *artifact_dir)
{
	struct lists *l;

	if (may_go_without(config)) {
		if (!c->warned)
			log_warning(
				"foreign programs are not confined (tool_sandbox): they can read tokens and change records");
		c->warned = true;
		proc_confine(NULL);
		return;
	}
	l = lists_new(config, artifact_dir);
	l->older = c->newest;
	c->newest = l;
	proc_confine(&l->policy);
}
