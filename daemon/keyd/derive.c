/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/derive.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/secret.h"
#include "daemon/keyd/token.h"

#define MASTER_BYTES 32
#define BLOCK	     16
#define FIXED_MAX    (4 + 64 + 1 + 256 + 4)

struct master {
	struct token_key *token; /* NULL: the key is here */
	uint8_t key[MASTER_BYTES];
};

static int wrong_file(const char *path, struct err *e)
{
	return err_set(e, ERR_INVALID,
		"the master %s is not a file of 64 hex digits that its owner alone may read", path);
}

static int read_master(struct master *m, const char *path, struct err *e)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char hex[2 * MASTER_BYTES + 2];
	struct stat st;
	ssize_t n = fd < 0 ? -1 : read(fd, hex, sizeof hex - 1);
	bool ok;

	if (n < 0)
		return err_errno(e, ERR_IO, errno, "the master %s", path);
	hex[n] = '\0';
	hex[strcspn(hex, "\r\n")] = '\0';
	ok = fstat(fd, &st) == 0 && !(st.st_mode & 0007) && strlen(hex) == 2 * MASTER_BYTES &&
	     hex_parse(hex, m->key, MASTER_BYTES);
	secret_wipe(hex, sizeof hex);
	return ok ? 0 : wrong_file(path, e);
}

int master_open(const struct key_place *place, struct master **ret, struct err *e)
{
	_cleanup_(master_freep) struct master *m = xcalloc(1, sizeof *m);
	int r = key_place_is_token(place) ? token_key_open(place, TOKEN_SECRET, &m->token, e)
					  : read_master(m, place->key, e);

	if (r < 0)
		return r;
	*ret = steal_ptr(&m);
	return 0;
}

struct master *master_free(struct master *m)
{
	if (!m)
		return NULL;
	token_key_free(m->token);
	secret_wipe(m, sizeof *m);
	free(m);
	return NULL;
}

static int cmac_here(
	const struct master *m, const void *message, size_t n, uint8_t ret[BLOCK], struct err *e)
{
	char cipher[] = "AES-256-CBC";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
		OSSL_PARAM_construct_end()};
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *c = mac ? EVP_MAC_CTX_new(mac) : NULL;
	size_t size = 0;
	bool ok = c && EVP_MAC_init(c, m->key, sizeof m->key, params) == 1 &&
		  EVP_MAC_update(c, message, n) == 1 && EVP_MAC_final(c, ret, &size, BLOCK) == 1 &&
		  size == BLOCK;

	EVP_MAC_CTX_free(c);
	EVP_MAC_free(mac);
	ERR_clear_error();
	return ok ? 0 : err_set(e, ERR_INTERNAL, "OpenSSL made no CMAC");
}

int master_derive(struct master *m, const char *label, const void *context, size_t context_n,
	uint8_t *ret, size_t n, struct err *e)
{
	uint8_t data[FIXED_MAX], block[BLOCK];
	int r = 0;

	if (n < BLOCK || n > DERIVED_MAX)
		return err_set(e, ERR_INVALID,
			"a key of %zu bytes was asked for, 16 to %d expected", n, DERIVED_MAX);
	for (size_t at = 0; r == 0 && at < n; at += BLOCK) {
		struct wbytes b = wbytes_of(data, sizeof data);

		wb_be32(&b, (uint32_t)(at / BLOCK + 1));
		wb_put(&b, label, strlen(label));
		wb_u8(&b, 0);
		wb_put(&b, context, context_n);
		wb_be32(&b, (uint32_t)n * 8);
		if (b.bad)
			return err_set(e, ERR_INVALID, "label and context are too long");
		r = m->token ? token_cmac(m->token, data, b.len, block, e)
			     : cmac_here(m, data, b.len, block, e);
		if (r == 0)
			memcpy(ret + at, block, MIN(n - at, (size_t)BLOCK));
	}
	secret_wipe(block, sizeof block);
	return r;
}
