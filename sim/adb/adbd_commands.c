/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of a virtual phone.
 */
#include "sim/adb/adbd.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/digest.h"

#define FILE_MAX (64u << 20)

static char *read_file(const char *real, size_t *ret_n)
{
	_cleanup_(fclosep) FILE *f = fopen(real, "re");
	struct strbuf b = {0};
	char buf[16384];
	size_t n;
	struct stat st;

	if (!f || fstat(fileno(f), &st) < 0)
		return NULL;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		return NULL;
	}
	while (b.len < FILE_MAX && (n = fread(buf, 1, sizeof buf, f)) > 0)
		sb_add_n(&b, buf, n);
	*ret_n = b.len;
	return sb_take(&b);
}

static int no_file(struct adbd_run *r, const char *cmd, const char *path)
{
	adbd_err(r, "%s: %s: %s\n", cmd, path, strerrordesc_np(errno));
	return 1;
}

static int cmd_echo(struct adbd_run *r, int argc, char **argv)
{
	bool newline = argc < 2 || strcmp(argv[1], "-n");

	for (int i = newline ? 1 : 2; i < argc; i++)
		adbd_out(r, "%s%s", argv[i], i + 1 < argc ? " " : "");
	if (newline)
		adbd_out(r, "\n");
	return 0;
}

static int cmd_cat(struct adbd_run *r, int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		_cleanup_(freep) char *real = adbd_path(r->d, argv[i]);
		size_t n = 0;
		_cleanup_(freep) char *text = read_file(real, &n);

		if (text)
			adbd_out_bytes(r, text, n);
		else
			status = no_file(r, "cat", argv[i]);
	}
	return status;
}

static int cmd_sha256sum(struct adbd_run *r, int argc, char **argv)
{
	int status = 0;

	for (int i = 1; i < argc; i++) {
		_cleanup_(freep) char *real = adbd_path(r->d, argv[i]);
		char hex[SHA256_HEX];

		if (access(real, R_OK) < 0 || sha256_file(real, hex, NULL) < 0) {
			status = no_file(r, "sha256sum", argv[i]);
			continue;
		}
		if (adbd_hit(r->d, AF_LYING_SHA))
			hex[0] = hex[0] == '0' ? '1' : '0';
		adbd_out(r, "%s  %s\n", hex, argv[i]);
	}
	return status;
}

static int cmd_chmod(struct adbd_run *r, int argc, char **argv)
{
	_cleanup_(freep) char *real = argc == 3 ? adbd_path(r->d, argv[2]) : NULL;

	if (!real || chmod(real, (mode_t)strtoul(argv[1], NULL, 8)) < 0)
		return no_file(r, "chmod", argc > 2 ? argv[2] : "");
	return 0;
}

static int cmd_ls(struct adbd_run *r, int argc, char **argv)
{
	const char *path = argc > 1 ? argv[argc - 1] : "/";
	_cleanup_(freep) char *real = adbd_path(r->d, path);
	struct stat st;
	struct dirent **list;
	int n;

	if (stat(real, &st) < 0)
		return no_file(r, "ls", path);
	if (!S_ISDIR(st.st_mode)) {
		adbd_out(r, "%s\n", path);
		return 0;
	}
	n = scandir(real, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.')
			adbd_out(r, "%s\n", list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return 0;
}

static int cmd_rm(struct adbd_run *r, int argc, char **argv)
{
	bool force = argc > 1 && argv[1][0] == '-' && strchr(argv[1], 'f');
	int status = 0;

	for (int i = 1; i < argc; i++) {
		_cleanup_(freep) char *real = NULL;

		if (argv[i][0] == '-')
			continue;
		real = adbd_path(r->d, argv[i]);
		errno = adbd_may_write(r->d, argv[i]);
		if (errno || (access(real, F_OK) < 0 && !force))
			status = no_file(r, "rm", argv[i]);
		else
			adbd_remove_tree(real);
	}
	return status;
}

static int cmd_mkdir(struct adbd_run *r, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		_cleanup_(freep) char *real = NULL;
		_cleanup_(freep) char *inner = NULL;

		if (argv[i][0] == '-')
			continue;
		real = adbd_path(r->d, argv[i]);
		inner = xasprintf("%s/x", real);
		errno = adbd_may_write(r->d, argv[i]);
		if (!errno)
			errno = adbd_make_parents(inner);
		if (errno)
			return no_file(r, "mkdir", argv[i]);
	}
	return 0;
}

/* --- properties --- */

static void property(struct adbd_run *r, const char *only, const char *name, const char *value)
{
	if (only && !strcmp(only, name))
		adbd_out(r, "%s\n", value);
	else if (!only)
		adbd_out(r, "[%s]: [%s]\n", name, value);
}

void adbd_getprops(struct adbd_run *r, const char *only)
{
	struct adbd *d = r->d;
	const struct {
		const char *name, *value;
	} rows[] = {
		{"ro.serialno", d->serial},
		{"ro.product.model", d->set->model},
		{"ro.product.device", "sim"},
		{"ro.build.type", adbd_setting(d, "adb-build")},
		{"ro.build.version.sdk", "29"},
		{"sys.boot_completed", r->now_us >= d->completed_at_us ? "1" : ""},
		{"service.adb.root", d->root ? "1" : "0"},
	};
	bool found = false;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		property(r, only, rows[i].name, rows[i].value);
		found |= only && !strcmp(only, rows[i].name);
	}
	if (only && !found)
		adbd_out(r, "\n");
}

static int cmd_getprop(struct adbd_run *r, int argc, char **argv)
{
	adbd_getprops(r, argc > 1 ? argv[1] : NULL);
	return 0;
}

static int cmd_id(struct adbd_run *r, int argc, char **argv)
{
	bool bare = argc > 1 && !strcmp(argv[1], "-u");

	if (bare)
		adbd_out(r, "%d\n", r->d->root ? 0 : 2000);
	else
		adbd_out(r, "%s\n",
			r->d->root ? "uid=0(root) gid=0(root)" : "uid=2000(shell) gid=2000(shell)");
	return 0;
}

static int cmd_true(struct adbd_run *r, int argc, char **argv)
{
	return 0;
}

static int cmd_false(struct adbd_run *r, int argc, char **argv)
{
	return 1;
}

static int cmd_sleep(struct adbd_run *r, int argc, char **argv)
{
	double s = 0;

	if (argc > 1)
		parse_number(argv[1], &s);
	r->wait_us = r->now_us + (uint64_t)(s * 1e6);
	return 0;
}

/* N bytes of x, for tests of much output. */
static int cmd_yes(struct adbd_run *r, int argc, char **argv)
{
	unsigned long long n = 0;
	char line[64];

	if (argc > 1)
		parse_size(argv[1], &n);
	memset(line, 'x', sizeof line);
	line[sizeof line - 1] = '\n';
	for (; n > 0; n -= MIN(n, sizeof line))
		adbd_out_bytes(r, line, MIN(n, sizeof line));
	return 0;
}

static int cmd_logcat(struct adbd_run *r, int argc, char **argv)
{
	bool clear = false;
	bool dump = false;

	for (int i = 1; i < argc; i++) {
		clear |= !strcmp(argv[i], "-c");
		dump |= !strcmp(argv[i], "-d");
	}
	if (clear) {
		sb_clear(&r->d->log);
	} else {
		adbd_out(r, "--------- beginning of main\n");
		adbd_out_bytes(r, r->d->log.s ? r->d->log.s : "", r->d->log.len);
		if (!dump)
			r->wait_us = r->now_us + 3600 * US_PER_S;
	}
	return 0;
}

static int cmd_log(struct adbd_run *r, int argc, char **argv)
{
	adbd_logf(r->d, "%s", argc > 1 ? argv[argc - 1] : "");
	return 0;
}

/* --- the screen --- */

static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t c = 0xffffffff;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
	}
	return ~c;
}

static void put_chunk(struct wbytes *w, const char *type, const uint8_t *p, size_t n)
{
	size_t from = w->len + 4;

	wb_be32(w, (uint32_t)n);
	wb_put(w, type, 4);
	wb_put(w, p, n);
	wb_be32(w, crc32_of(w->p + from, n + 4));
}

/* A grey picture of 16 by 9: one stored block of deflate (RFC 1951, 3.2.4). */
static size_t make_png(uint8_t *out, size_t size)
{
	static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
	struct wbytes w = wbytes_of(out, size);
	uint8_t head[13];
	uint8_t data[256];
	uint8_t rows[17 * 9];
	struct wbytes h = wbytes_of(head, sizeof head);
	struct wbytes z = wbytes_of(data, sizeof data);
	uint32_t a = 1;
	uint32_t b = 0;

	memset(rows, 0, sizeof rows); /* filter byte and 16 samples each */
	for (size_t i = 0; i < sizeof rows; i++) {
		rows[i] = i % 17 ? (uint8_t)(i * 3) : 0;
		a = (a + rows[i]) % 65521;
		b = (b + a) % 65521;
	}
	wb_be32(&h, 16);
	wb_be32(&h, 9);
	wb_put(&h, "\x08\x00\x00\x00\x00", 5);
	wb_put(&z, "\x78\x01\x01", 3);
	wb_le16(&z, sizeof rows);
	wb_le16(&z, (uint16_t) ~sizeof rows);
	wb_put(&z, rows, sizeof rows);
	wb_be32(&z, b << 16 | a);
	wb_put(&w, magic, sizeof magic);
	put_chunk(&w, "IHDR", head, h.len);
	put_chunk(&w, "IDAT", data, z.len);
	put_chunk(&w, "IEND", NULL, 0);
	return w.len;
}

static int cmd_screencap(struct adbd_run *r, int argc, char **argv)
{
	uint8_t png[512];
	size_t n = make_png(png, sizeof png);
	const char *path = argc > 1 && argv[argc - 1][0] == '/' ? argv[argc - 1] : NULL;

	if (adbd_hit(r->d, AF_BROKEN_PNG))
		n -= 20;
	if (!path) {
		adbd_out_bytes(r, png, n);
		return 0;
	}
	errno = adbd_may_write(r->d, path);
	if (!errno)
		errno = adbd_write_file(r->d, path, png, n);
	return errno ? no_file(r, "screencap", path) : 0;
}

/* ftyp and mdat as it goes, moov when it has to end, as the real one does. */
static int cmd_screenrecord(struct adbd_run *r, int argc, char **argv)
{
	uint8_t mp4[128];
	struct wbytes w = wbytes_of(mp4, sizeof mp4);
	const char *path = argv[argc - 1];
	double limit = 180;

	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "--time-limit"))
			parse_number(argv[i + 1], &limit);
	wb_be32(&w, 16);
	wb_put(&w, "ftypmp42\0\0\0\0", 12);
	wb_be32(&w, 40);
	wb_put(&w, "mdat", 4);
	wb_fill(&w, 0x5a, 32);
	if (!adbd_hit(r->d, AF_BROKEN_MP4)) {
		wb_be32(&w, 16);
		wb_put(&w, "moov\0\0\0\0\0\0\0\0", 12);
	}
	errno = argc > 1 ? adbd_may_write(r->d, path) : EINVAL;
	if (!errno)
		errno = adbd_write_file(r->d, path, mp4, w.len);
	if (errno)
		return no_file(r, "screenrecord", path);
	r->wait_us = r->now_us + (uint64_t)(limit * 1e6);
	return 0;
}

static int cmd_reboot(struct adbd_run *r, int argc, char **argv)
{
	adbd_restart(r->d, ADBD_DEVICE, true, r->now_us);
	return 0;
}

static int cmd_remount(struct adbd_run *r, int argc, char **argv)
{
	if (!r->d->root) {
		adbd_err(r, "Not running as root. Try \"adb root\" first.\n");
		return 1;
	}
	r->d->remounted = true;
	adbd_out(r, "remount succeeded\n");
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct adbd_run *r, int argc, char **argv);
} commands[] = {
	{"cat", cmd_cat},
	{"chmod", cmd_chmod},
	{"cmd", adbd_pm},
	{"echo", cmd_echo},
	{"export", cmd_true},
	{"false", cmd_false},
	{"getprop", cmd_getprop},
	{"id", cmd_id},
	{"log", cmd_log},
	{"logcat", cmd_logcat},
	{"ls", cmd_ls},
	{"mkdir", cmd_mkdir},
	{"pm", adbd_pm},
	{"reboot", cmd_reboot},
	{"remount", cmd_remount},
	{"rm", cmd_rm},
	{"screencap", cmd_screencap},
	{"screenrecord", cmd_screenrecord},
	{"sha256sum", cmd_sha256sum},
	{"sleep", cmd_sleep},
	{"sync", cmd_true},
	{"true", cmd_true},
	{"yes", cmd_yes},
};

int adbd_command(struct adbd_run *r, int argc, char **argv)
{
	bool known;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		known = !strcmp(commands[i].name, argv[0]);
		/* What a phone before Android 6 does not have. */
		if (known && !strcmp(argv[0], "sha256sum") &&
			!strcmp(adbd_setting(r->d, "adb-sha256sum"), "0"))
			known = false;
		if (known && !strcmp(argv[0], "screencap") &&
			!strcmp(adbd_setting(r->d, "adb-screencap"), "0"))
			known = false;
		if (known && !strcmp(argv[0], "chmod") &&
			!strcmp(adbd_setting(r->d, "adb-chmod"), "ignored"))
			return 0;
		if (known)
			return commands[i].run(r, argc, argv);
	}
	adbd_err(r, "/system/bin/sh: %s: inaccessible or not found\n", argv[0]);
	return 127;
}
