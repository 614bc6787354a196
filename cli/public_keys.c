/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/public_keys.h"

#include <errno.h>

#include "base/strbuf.h"
#include "base/util.h"

#define FILE_MAX_BYTES (256u * 1024 * 1024)

char *ctl_read_file(const char *path, size_t *ret_n, struct err *e)
{
	_cleanup_(fclosep) FILE *f = !strcmp(path, "-") ? fdopen(dup(0), "re") : fopen(path, "re");
	struct strbuf b = {0};
	char buf[65536];
	size_t n;

	if (!f) {
		err_errno(e, ERR_IO, errno, "%s", path);
		return NULL;
	}
	while ((n = fread(buf, 1, sizeof buf, f)) > 0 && b.len <= FILE_MAX_BYTES)
		sb_add_n(&b, buf, n);
	if (ferror(f) || b.len > FILE_MAX_BYTES) {
		err_set(e, ERR_IO, "%s cannot be read, or has more than %u bytes", path,
			FILE_MAX_BYTES);
		sb_done(&b);
		return NULL;
	}
	*ret_n = b.len;
	return sb_take(&b);
}

int public_keys_read(const char *path, struct public_keys *ret, struct err *e)
{
	static const char begin[] = "-----BEGIN ";
	size_t n;
	_cleanup_(freep) char *text = ctl_read_file(path, &n, e);
	int r = text ? 0 : -(int)e->code;

	for (char *p = text ? strstr(text, begin) : NULL; r == 0 && p;) {
		char *next = strstr(p + 1, begin);
		_cleanup_(freep) char *one = strndup(p, next ? (size_t)(next - p) : strlen(p));

		if (ret->n == PUBLIC_KEYS_MAX)
			return err_set(
				e, ERR_INVALID, "%s has more than %d keys", path, PUBLIC_KEYS_MAX);
		r = x509_key_read(one, &ret->key[ret->n], e);
		ret->n += r == 0;
		p = next;
	}
	if (r == 0 && ret->n == 0)
		r = err_set(e, ERR_INVALID, "%s holds no public key (PEM)", path);
	return r < 0 ? err_prefix(e, "--key") : 0;
}

void public_keys_done(struct public_keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		x509_key_done(&k->key[i]);
}
