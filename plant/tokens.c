/* SPDX-License-Identifier: Apache-2.0 */
#include "plant/tokens.h"

#include <string.h>

#include "base/secret.h"
#include "base/timefmt.h"

#define BEGINS "pvp_"

const char *const plant_role_names[] = {"viewer", "admin", "host", NULL};

bool tokens_is_text(const char *text)
{
	return text && !strncmp(text, BEGINS, strlen(BEGINS)) &&
	       is_sha256_hex(text + strlen(BEGINS));
}

static void digest_of(const char *text, char ret[SHA256_HEX])
{
	sha256_hex_of(text, strlen(text), ret);
}

int tokens_make(struct pg *tx, enum plant_role role, const char *name, const char *host,
	char ret[TOKEN_TEXT_BYTES], const struct iotime *it, struct err *e)
{
	static const char sql[] = "INSERT INTO tokens (secret_sha256, name, role, host, created_at)"
				  " VALUES ($1, $2, $3, $4, $5)";
	uint8_t raw[32];
	char hex[2 * sizeof raw + 1], digest[SHA256_HEX];
	int r;

	random_bytes(raw, sizeof raw);
	snprintf(ret, TOKEN_TEXT_BYTES, BEGINS "%s", hex_of(raw, sizeof raw, hex));
	secret_wipe(raw, sizeof raw);
	secret_wipe(hex, sizeof hex);
	digest_of(ret, digest);
	r = pg_run(tx, &PG(sql, digest, name, plant_role_names[role], host, PG_INT(wall_ms())), 1,
		NULL, it, e);
	if (r < 0)
		secret_wipe(ret, TOKEN_TEXT_BYTES);
	return r;
}

static int read_who(const struct pg_rows *rows, struct who *ret, struct err *e)
{
	const char *role = pg_text(rows, 0, 0);
	const char *host = pg_text(rows, 0, 2);

	*ret = (struct who){.role = PLANT_ROLES};
	for (int i = 0; i < PLANT_ROLES; i++)
		if (!strcmp(plant_role_names[i], role))
			ret->role = (enum plant_role)i;
	snprintf(ret->name, sizeof ret->name, "%s", pg_text(rows, 0, 1));
	snprintf(ret->host, sizeof ret->host, "%s", host ? host : "");
	return ret->role == PLANT_ROLES
		       ? err_set(e, ERR_INTERNAL, "a token has the role '%s', which nobody knows",
				 role)
		       : 0;
}

int tokens_find(
	struct pool *p, const char *text, struct who *ret, const struct iotime *it, struct err *e)
{
	static const char sql[] = "SELECT role, name, host FROM tokens WHERE secret_sha256 = $1"
				  " AND revoked_at IS NULL";
	char digest[SHA256_HEX];
	struct pg_rows *rows = NULL;
	int r;

	digest_of(text, digest);
	r = pool_read(p, &PG(sql, digest), &rows, it, e);
	if (r == 0 && pg_count(rows) == 0)
		r = err_set(e, ERR_UNAUTHORIZED, "the plant knows no such token");
	if (r == 0)
		r = read_who(rows, ret, e);
	pg_rows_free(rows);
	return r;
}
