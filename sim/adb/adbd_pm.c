/* SPDX-License-Identifier: Apache-2.0
 *
 * Packages of a virtual phone: an APK is any file that begins as a ZIP does; its package's name is
 * what comes after "PKG:" in its first 4 KiB, else one made of its digest. It is kept as
 * /data/app/<name>/base.apk.
 */
#include "sim/adb/adbd.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/digest.h"

struct options {
	bool replace;
	uint64_t size; /* -S */
	const char *path, *package;
};

static struct options parse(int argc, char **argv)
{
	struct options o = {0};
	unsigned long long n;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "-S") && i + 1 < argc && parse_size(argv[i + 1], &n)) {
			o.size = n;
			i++;
		} else if (!strcmp(argv[i], "-r")) {
			o.replace = true;
		} else if (argv[i][0] != '-') {
			o.path = o.package = argv[i];
		}
	}
	return o;
}

static void name_of(const char *real, char *ret, size_t size)
{
	_cleanup_(fclosep) FILE *f = fopen(real, "re");
	char head[4097] = "";
	char hex[SHA256_HEX] = "";
	size_t n = f ? fread(head, 1, sizeof head - 1, f) : 0;
	const char *at = memmem(head, n, "PKG:", 4);
	size_t k = 0;

	while (at && k + 1 < size && (isalnum((unsigned char)at[4 + k]) || at[4 + k] == '.'))
		k++;
	sha256_file(real, hex, NULL);
	if (k)
		snprintf(ret, size, "%.*s", (int)k, at + 4);
	else
		snprintf(ret, size, "com.example.a%.8s", hex);
}

static bool is_zip(const char *real)
{
	_cleanup_(fclosep) FILE *f = fopen(real, "re");
	char head[2];

	return f && fread(head, 1, 2, f) == 2 && !memcmp(head, "PK", 2);
}

static int failure(struct adbd_run *r, const char *why)
{
	adbd_out(r, "Failure [%s]\n", why);
	return 1;
}

static int install(struct adbd_run *r, const char *real, bool replace)
{
	char name[128];
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *to = NULL;
	uint64_t room;

	if (adbd_hit(r->d, AF_INSTALL_FAIL))
		return failure(r, "INSTALL_FAILED_VERSION_DOWNGRADE");
	if (adbd_hit_arg(r->d, AF_DISK_FULL, &room))
		return failure(r, "INSTALL_FAILED_INSUFFICIENT_STORAGE");
	if (!is_zip(real))
		return failure(r, "INSTALL_PARSE_FAILED_NOT_APK");
	name_of(real, name, sizeof name);
	path = xasprintf("/data/app/%s/base.apk", name);
	to = adbd_path(r->d, path);
	if (access(to, F_OK) == 0 && !replace)
		return failure(r, "INSTALL_FAILED_ALREADY_EXISTS: Attempt to re-install");
	if (!adbd_hit(r->d, AF_INSTALL_LIE) && adbd_copy_file(real, to))
		return failure(r, "INSTALL_FAILED_INSUFFICIENT_STORAGE");
	adbd_out(r, "Success\n");
	return 0;
}

static int begin_streamed(struct adbd_run *r, const struct options *o)
{
	r->input_path = xasprintf("%s/install.tmp", r->d->dir);
	r->input = fopen(r->input_path, "we");
	if (!r->input)
		return failure(r, "INSTALL_FAILED_INTERNAL_ERROR");
	r->want = o->size;
	return 0;
}

int adbd_pm_streamed(struct adbd_run *r)
{
	struct options o = parse(r->argc, r->argv);
	int status;

	fclose(r->input);
	r->input = NULL;
	status = install(r, r->input_path, o.replace);
	unlink(r->input_path);
	free(r->input_path);
	r->input_path = NULL;
	return status;
}

static int do_install(struct adbd_run *r, int argc, char **argv)
{
	struct options o = parse(argc, argv);
	_cleanup_(freep) char *real = NULL;

	if (o.size)
		return begin_streamed(r, &o);
	if (!o.path)
		return failure(r, "INSTALL_FAILED_INVALID_URI");
	real = adbd_path(r->d, o.path);
	return install(r, real, o.replace);
}

static int do_uninstall(struct adbd_run *r, int argc, char **argv)
{
	struct options o = parse(argc, argv);
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *real = NULL;

	if (!o.package)
		return failure(r, "DELETE_FAILED_INTERNAL_ERROR");
	path = xasprintf("/data/app/%s", o.package);
	real = adbd_path(r->d, path);
	if (access(real, F_OK) < 0)
		return failure(r, "DELETE_FAILED_INTERNAL_ERROR");
	if (!adbd_hit(r->d, AF_INSTALL_LIE))
		adbd_remove_tree(real);
	adbd_out(r, "Success\n");
	return 0;
}

static int do_path(struct adbd_run *r, int argc, char **argv)
{
	struct options o = parse(argc, argv);
	_cleanup_(freep) char *path =
		xasprintf("/data/app/%s/base.apk", o.package ? o.package : "?");
	_cleanup_(freep) char *real = adbd_path(r->d, path);

	if (access(real, F_OK) < 0)
		return 1;
	adbd_out(r, "package:%s\n", path);
	return 0;
}

static int do_list(struct adbd_run *r, int argc, char **argv)
{
	_cleanup_(freep) char *real = adbd_path(r->d, "/data/app");
	struct dirent **list;
	int n = scandir(real, &list, NULL, alphasort);
	bool files = false;

	for (int i = 0; i < argc; i++)
		files |= !strcmp(argv[i], "-f");
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (name[0] != '.' && files)
			adbd_out(r, "package:/data/app/%s/base.apk=%s\n", name, name);
		else if (name[0] != '.')
			adbd_out(r, "package:%s\n", name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return 0;
}

/* pm VERB..., cmd package VERB... */
int adbd_pm(struct adbd_run *r, int argc, char **argv)
{
	static const struct {
		const char *verb;
		int (*run)(struct adbd_run *r, int argc, char **argv);
	} verbs[] = {
		{"install", do_install},
		{"list", do_list},
		{"path", do_path},
		{"uninstall", do_uninstall},
	};
	int skip = !strcmp(argv[0], "cmd") ? 2 : 1;

	if (skip == 2 && (argc < 3 || strcmp(argv[1], "package"))) {
		adbd_err(r, "cmd: Can't find service: %s\n", argc > 1 ? argv[1] : "");
		return 20;
	}
	for (size_t i = 0; argc > skip && i < ARRAY_LEN(verbs); i++)
		if (!strcmp(argv[skip], verbs[i].verb))
			return verbs[i].run(r, argc - skip - 1, argv + skip + 1);
	adbd_err(r, "Unknown command\n");
	return 1;
}
