/* SPDX-License-Identifier: Apache-2.0 */
#include "api/first_token.h"

#include "base/secret.h"
#include "base/util.h"
#include "base/state_lock.h"
#include "db/audit.h"
#include "db/tokens.h"

struct made {
	struct token row;
	char text[TOKEN_TEXT_SIZE];
};

static void make(struct made *m, enum role role)
{
	char id[TOKEN_ID_SIZE];

	auth_make_token(m->text, id, m->row.secret_sha256);
	snprintf(m->row.id, sizeof m->row.id, "%s", id);
	snprintf(m->row.role, sizeof m->row.role, "%s", role_str(role));
}

/* A name that no other token had: that of its id. */
static void name_by_id(struct made *m, const char *prefix)
{
	snprintf(m->row.name, sizeof m->row.name, "%s %.8s", prefix, m->row.id);
}

static int apply_made(struct db *tx, void *data, struct err *e)
{
	static const struct audit_who provd = {.principal = "provd"};
	const struct made *m = data;
	int r = tokens_create(tx, &m->row, e);

	return r < 0 ? r : audit_add(tx, &provd, "token.create", m->row.id, NULL, e);
}

int first_token(struct auth *a, struct writer *w, token_keep_fn *keep, void *data, struct err *e)
{
	struct made m = {0};
	int r;

	if (auth_has_admin(a))
		return 0;
	make(&m, ROLE_ADMIN);
	snprintf(m.row.name, sizeof m.row.name, "first admin");
	r = keep(data, m.text, e);
	if (r == 0)
		r = writer_do(w, apply_made, &m, e);
	if (r == -ERR_CONFLICT) {
		/* There was one, and it was revoked. */
		name_by_id(&m, "first admin");
		r = writer_do(w, apply_made, &m, e);
	}
	if (r == 0)
		auth_add(a, &m.row);
	secret_wipe(m.text, sizeof m.text);
	return r;
}

static int write_made(struct db *d, struct made *m, struct err *e)
{
	int r = db_begin(d, e);

	if (r < 0)
		return r;
	r = apply_made(d, m, e);
	if (r == 0)
		r = db_commit(d, e);
	if (r < 0)
		db_rollback(d);
	return r;
}

int offline_token(const char *state_dir, enum role role, const char *name, token_keep_fn *keep,
	void *data, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.db", state_dir);
	_cleanup_(closep) int lock = -1;
	struct made m = {0};
	struct db *d = NULL;
	int r;

	if (access(path, F_OK) < 0)
		return err_set(e, ERR_NOT_FOUND,
			"%s has no records yet: start provd, whose first start makes a token",
			state_dir);
	r = state_lock(state_dir, &lock, e);
	if (r == -ERR_BUSY)
		return err_set(e, ERR_BUSY,
			"a provd works in %s: make the token with it (POST /api/v1/tokens, provctl token create)",
			state_dir);
	if (r == 0)
		r = db_open(path, &d, e);
	if (r < 0)
		return r;
	make(&m, role);
	if (name)
		snprintf(m.row.name, sizeof m.row.name, "%s", name);
	else
		name_by_id(&m, "made offline");
	r = keep(data, m.text, e);
	if (r == 0)
		r = write_made(d, &m, e);
	db_free(d);
	secret_wipe(m.text, sizeof m.text);
	return r;
}
