/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "base/strbuf.h"
#include "transports/images/image_write.h"
#include "transports/tools/openocd_impl.h"
#include "transports/tools/openocd_job.h"

void openocd_files_remove(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	for (struct dirent *ent; d && (ent = readdir(d));)
		if (ent->d_name[0] == 'i' || ent->d_name[0] == 'o')
			unlinkat(dirfd(d), ent->d_name, 0);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

/* OpenOCD skips with a warning what lies in no flash bank, programs the rest, and then verifies the
 * file against whatever is there. So the banks are asked for before the erase (User's Guide 0.12.0,
 * 12.3: flash list; its size is 0 until the bank was probed, which needs a halted target). A bank
 * whose size stays unknown is left to the warning. */
static const char banks_head[] =
	"set provd_i 0\n"
	"foreach provd_b [flash list] { catch {flash probe $provd_i}; incr provd_i }\n"
	"proc provd_in_flash {at n} {\n"
	"	set end [expr {$at + $n}]\n"
	"	while {$at < $end} {\n"
	"		set next $at\n"
	"		foreach b [flash list] {\n"
	"			set base [dict get $b base]\n"
	"			set size [dict get $b size]\n"
	"			if {$at < $base} continue\n"
	"			if {$size == 0} { set next $end }\n"
	"			if {$at < $base + $size && $next < $base + $size} {\n"
	"				set next [expr {$base + $size}]\n"
	"			}\n"
	"		}\n"
	"		if {$next == $at} {\n"
	"			set why [format {provd: no flash bank holds 0x%08x} $at]\n"
	"			echo $why\n"
	"			error $why\n"
	"		}\n"
	"		set at $next\n"
	"	}\n"
	"}\n";

static int write_banks_script(const struct openocd_run *x, struct err *e)
{
	struct tool_dir d = {0};
	struct strbuf b = {0};
	int r;

	sb_add(&b, banks_head);
	for (size_t i = 0; i < x->job->images; i++)
		for (size_t k = 0; k < x->job->image[i]->count; k++)
			sb_addf(&b, "provd_in_flash %llu %llu\n",
				(unsigned long long)x->job->image[i]->segments[k].address,
				(unsigned long long)x->job->image[i]->segments[k].len);
	snprintf(d.path, sizeof d.path, "%s", x->spec.dir);
	r = tool_dir_write(&d, OPENOCD_BANKS_FILE, b.s, b.len, NULL, e);
	sb_done(&b);
	return r;
}

int openocd_files_write(struct openocd_run *x, struct err *e)
{
	struct sha256 *d = sha256_new();
	uint8_t sum[SHA256_BYTES];
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->job->images; i++) {
		const struct image *image = x->job->image[i];
		_cleanup_(freep) char *path = xasprintf("%s/i%zu.hex", x->spec.dir, i);

		for (size_t k = 0; k < image->count; k++)
			sha256_add(d, image->segments[k].data, image->segments[k].len);
		x->result->image_bytes += image->bytes;
		r = image_write_ihex(image, path, e);
	}
	sha256_end(d, sum);
	sha256_free(d);
	hex_of(sum, sizeof sum, x->result->sha256_image);
	if (r == 0 && x->job->images)
		r = write_banks_script(x, e);
	return r;
}

/* --- what it read --- */

static int read_file(
	const struct openocd_run *x, size_t file, uint8_t *buf, uint64_t n, struct err *e)
{
	_cleanup_(freep) char *path = xasprintf("%s/o%zu.bin", x->spec.dir, file);
	_cleanup_(fclosep) FILE *f = fopen(path, "re");

	if (!f)
		return err_set(e, ERR_NO_EVIDENCE, "OpenOCD wrote no file of what it read");
	if (fread(buf, 1, n, f) != n || fgetc(f) != EOF)
		return err_set(e, ERR_NO_EVIDENCE,
			"OpenOCD's file of what it read does not hold %llu bytes",
			(unsigned long long)n);
	return 0;
}

static int compare_segment(const struct openocd_run *x, const struct image_segment *s, size_t file,
	struct sha256 *d, struct err *e)
{
	_cleanup_(freep) uint8_t *buf = malloc(s->len);
	int r;

	if (!buf)
		return err_set(
			e, ERR_NO_MEMORY, "%llu bytes to read back", (unsigned long long)s->len);
	r = read_file(x, file, buf, s->len, e);
	if (r < 0)
		return r;
	sha256_add(d, buf, s->len);
	for (uint64_t i = 0; i < s->len; i++)
		if (buf[i] != s->data[i])
			return err_set(e, ERR_VERIFY_MISMATCH,
				"0x%08llx holds 0x%02x, 0x%02x was written",
				(unsigned long long)(s->address + i), buf[i], s->data[i]);
	return 0;
}

static int compare_images(struct openocd_run *x, struct err *e)
{
	struct sha256 *d = sha256_new();
	uint8_t sum[SHA256_BYTES];
	size_t file = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < x->job->images; i++)
		for (size_t k = 0; r == 0 && k < x->job->image[i]->count; k++)
			r = compare_segment(x, &x->job->image[i]->segments[k], file++, d, e);
	sha256_end(d, sum);
	sha256_free(d);
	if (r == 0)
		hex_of(sum, sizeof sum, x->result->sha256_read);
	return r;
}

static int take_range(struct openocd_run *x, struct err *e)
{
	uint8_t *buf = malloc(x->job->size);
	int r;

	if (!buf)
		return err_set(
			e, ERR_NO_MEMORY, "%llu bytes to read", (unsigned long long)x->job->size);
	x->result->read = buf;
	r = read_file(x, 0, buf, x->job->size, e);
	if (r < 0)
		return r;
	sha256_hex_of(buf, x->job->size, x->result->sha256_read);
	for (uint64_t i = 0; x->job->kind == OPENOCD_ERASE && i < x->job->size; i++)
		if (buf[i] != x->job->erased)
			return err_set(e, ERR_VERIFY_MISMATCH,
				"0x%08llx holds 0x%02x after the erase, 0x%02x expected",
				(unsigned long long)(x->job->address + i), buf[i], x->job->erased);
	return 0;
}

int openocd_files_take(struct openocd_run *x, struct err *e)
{
	if (x->job->kind == OPENOCD_DUMP || x->job->kind == OPENOCD_ERASE)
		return take_range(x, e);
	return x->job->read_back ? compare_images(x, e) : 0;
}
