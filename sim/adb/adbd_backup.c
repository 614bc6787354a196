/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups of a virtual phone: "ANDROID BACKUP", version 5, neither compressed nor encrypted, and a
 * tar (ustar) of its packages. Nobody has to confirm, unless the fault `deny` is set.
 */
#include "sim/adb/adbd.h"

#include <dirent.h>
#include <sys/stat.h>

#define BLOCK 512u

static const char head[] = "ANDROID BACKUP\n5\n0\nnone\n";

static void put_padded(struct adbd_queue *q, const void *p, size_t n)
{
	static const uint8_t zeros[BLOCK];

	adbd_put(q, p, n);
	adbd_put(q, zeros, (BLOCK - n % BLOCK) % BLOCK);
}

/* POSIX.1-1988 ustar: name, mode, uid, gid, size, mtime, checksum, type. */
static void put_member(struct adbd_queue *q, const char *name, const char *bytes, size_t n)
{
	char h[BLOCK] = "";
	unsigned sum = 0;

	snprintf(h, 100, "%s", name);
	memcpy(h + 100, "0000600\0000001750\0000001750\000", 24);
	snprintf(h + 124, 12, "%011o", (unsigned)n);
	memcpy(h + 136, "00000000000\000        0", 21);
	memcpy(h + 257, "ustar\00000", 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)h[i];
	snprintf(h + 148, 8, "%06o", sum & 0777777);
	put_padded(q, h, BLOCK);
	put_padded(q, bytes, n);
}

static void put_packages(struct adbd *d, struct adbd_queue *q)
{
	_cleanup_(freep) char *apps = adbd_path(d, "/data/app");
	struct dirent **list;
	int n = scandir(apps, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		_cleanup_(freep) char *real = xasprintf("%s/%s/base.apk", apps, list[i]->d_name);
		_cleanup_(freep) char *name = xasprintf("apps/%s/a/base.apk", list[i]->d_name);
		FILE *f = list[i]->d_name[0] != '.' ? fopen(real, "re") : NULL;
		struct strbuf b = {0};
		char buf[4096];
		size_t k;

		free(list[i]);
		if (!f)
			continue;
		while ((k = fread(buf, 1, sizeof buf, f)) > 0)
			sb_add_n(&b, buf, k);
		fclose(f);
		put_member(q, name, b.s ? b.s : "", b.len);
		sb_done(&b);
	}
	if (n >= 0)
		free(list);
}

static bool backup_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	static const uint8_t end[2 * BLOCK];

	adbd_logf(s->d, "backup '%s'", arg);
	s->ended = true;
	if (adbd_hit(s->d, AF_DENY))
		return true;
	adbd_put(&s->out, head, strlen(head));
	put_packages(s->d, &s->out);
	adbd_put(&s->out, end, sizeof end);
	if (adbd_hit(s->d, AF_SHORT_BACKUP))
		s->out.len -= MIN(adbd_queued(&s->out), (size_t)700);
	return true;
}

const struct adbd_service adbd_service_backup = {.prefix = "backup:", .open = backup_open};

/* --- restore --- */

struct restore {
	struct adbd_queue in;
	bool begun;
};

static bool restore_open(struct adbd_stream *s, const char *arg, uint64_t now_us)
{
	if (adbd_hit(s->d, AF_DENY)) {
		s->ended = true;
		return true;
	}
	s->state = xcalloc(1, sizeof(struct restore));
	return true;
}

static void put_back(struct adbd *d, const char *name, const uint8_t *p, size_t n)
{
	char package[100];
	_cleanup_(freep) char *path = NULL;

	if (sscanf(name, "apps/%99[A-Za-z0-9.]/", package) != 1)
		return;
	path = xasprintf("/data/app/%s/base.apk", package);
	adbd_write_file(d, path, p, n);
}

/* One member, or the end; false: not all of it is here. */
static bool take_member(struct adbd_stream *s)
{
	struct restore *t = s->state;
	const uint8_t *p = t->in.p + t->in.at;
	char name[101] = "";
	unsigned size;
	size_t whole;

	if (adbd_queued(&t->in) < BLOCK)
		return false;
	if (p[0] == 0) {
		s->ended = true;
		return false;
	}
	memcpy(name, p, 100);
	size = (unsigned)strtoul((const char *)p + 124, NULL, 8);
	whole = BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
	if (adbd_queued(&t->in) < whole)
		return false;
	put_back(s->d, name, p + BLOCK, size);
	adbd_take(&t->in, whole);
	return true;
}

static void restore_input(struct adbd_stream *s, const uint8_t *p, size_t n, uint64_t now_us)
{
	struct restore *t = s->state;

	if (!t)
		return;
	adbd_put(&t->in, p, n);
	if (!t->begun && adbd_queued(&t->in) >= strlen(head)) {
		if (memcmp(t->in.p, head, strlen(head)) != 0)
			s->ended = true;
		adbd_take(&t->in, strlen(head));
		t->begun = true;
	}
	while (t->begun && !s->ended && take_member(s))
		;
}

static void restore_done(struct adbd_stream *s)
{
	struct restore *t = s->state;

	if (t)
		adbd_queue_done(&t->in);
	free(t);
}

const struct adbd_service adbd_service_restore = {
	.prefix = "restore:",
	.open = restore_open,
	.input = restore_input,
	.done = restore_done,
};
