/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/fastboot/fastboot_all.h"

#include <string.h>

#include "transports/images/gate.h"
#include "transports/protocols/fastboot/fastboot_impl.h"

#define TEXT_MAX_BYTES (256u * 1024)
#define SUPER_EMPTY    "super_empty.img"

/* The usual images (AOSP fastboot.cpp, images[]): the boot-critical first, then, in fastbootd where
 * there is a super_empty.img, the rest. */
static const struct usual {
	const char *partition, *file;
	bool critical, required, other;
} usual[] = {
	{"boot", "boot.img", true, true, false},
	{"dtbo", "dtbo.img", true, false, false},
	{"dts", "dt.img", true, false, false},
	{"init_boot", "init_boot.img", true, false, false},
	{"pvmfw", "pvmfw.img", true, false, false},
	{"recovery", "recovery.img", true, false, false},
	{"vbmeta", "vbmeta.img", true, false, false},
	{"vbmeta_system", "vbmeta_system.img", true, false, false},
	{"vbmeta_vendor", "vbmeta_vendor.img", true, false, false},
	{"vendor_boot", "vendor_boot.img", true, false, false},
	{"vendor_kernel_boot", "vendor_kernel_boot.img", true, false, false},
	{"odm", "odm.img", false, false, false},
	{"odm_dlkm", "odm_dlkm.img", false, false, false},
	{"product", "product.img", false, false, false},
	{"system", "system.img", false, true, false},
	{"system_dlkm", "system_dlkm.img", false, false, false},
	{"system_ext", "system_ext.img", false, false, false},
	{"system", "system_other.img", false, false, true},
	{"vendor", "vendor.img", false, false, false},
	{"vendor_dlkm", "vendor_dlkm.img", false, false, false},
};

static const char *const wiped[] = {"userdata", "cache", "metadata"};

void fastboot_package_done(struct fastboot_package *p)
{
	fastboot_rules_done(&p->rules);
	fastboot_tasks_done(&p->tasks);
}

static bool add_usual(
	struct fastboot_package *p, bool critical, const struct fastboot_all_opts *o, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
		const struct usual *u = &usual[i];
		struct fastboot_task *t;

		if (u->critical != critical)
			continue;
		if (!archive_has(p->archive, u->file, NULL)) {
			if (u->required && !o->partial) {
				err_set(e, ERR_IMAGE_INVALID,
					"package %s holds no %s (see 'partial')",
					archive_path(p->archive), u->file);
				return false;
			}
			continue;
		}
		t = fastboot_tasks_add(&p->tasks, FASTBOOT_TASK_FLASH, u->partition, u->file);
		t->slot_other = u->other;
		t->apply_vbmeta = !strncmp(u->partition, "vbmeta", 6);
	}
	return true;
}

static int usual_tasks(struct fastboot_package *p, const struct fastboot_all_opts *o, struct err *e)
{
	if (!add_usual(p, true, o, e))
		return -ERR_IMAGE_INVALID;
	if (archive_has(p->archive, SUPER_EMPTY, NULL))
		fastboot_tasks_add(&p->tasks, FASTBOOT_TASK_UPDATE_SUPER, NULL, NULL);
	if (!add_usual(p, false, o, e))
		return -ERR_IMAGE_INVALID;
	if (p->tasks.count == 0)
		return err_set(e, ERR_IMAGE_INVALID, "package %s holds no image that is known",
			archive_path(p->archive));
	for (size_t i = 0; i < ARRAY_LEN(wiped); i++)
		fastboot_tasks_add(&p->tasks, FASTBOOT_TASK_ERASE, wiped[i], NULL)->if_wipe = true;
	return 0;
}

/* A text of the package; *ret stays NULL where there is none. */
static int get_text(struct archive *a, const char *name, const struct iotime *it, struct blob **ret,
	struct err *e)
{
	return archive_has(a, name, NULL) ? archive_get(a, name, TEXT_MAX_BYTES, it, ret, e) : 0;
}

/* Unpacked once to be looked at and once to be sent: a package may be larger than any disk or
 * memory that could keep it. */
static int check_file(struct fastboot_package *p, struct fastboot_task *t, const char *file,
	const struct fastboot_all_opts *o, const struct iotime *it, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	int r = archive_get(p->archive, file, BLOB_MAX_BYTES, it, &b, e);

	if (r == 0 && !o->declared)
		r = gate_partition(b->path, b->data, b->size, e);
	if (r == 0)
		r = fastboot_image_check(b, &t->image_bytes, e);
	if (r == 0)
		snprintf(t->sha256, sizeof t->sha256, "%s", blob_sha256(b));
	return r;
}

/* A directory may have changed since. */
static int get_checked(struct archive *a, const struct fastboot_task *t, const char *file,
	const struct iotime *it, struct blob **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *b = NULL;
	int r = archive_get(a, file, BLOB_MAX_BYTES, it, &b, e);

	if (r < 0)
		return r;
	if (strcmp(blob_sha256(b), t->sha256) != 0)
		return err_set(e, ERR_IMAGE_INVALID,
			"%s is another file than the one that was checked: sha256 %.16s..., %.16s... expected",
			b->path, blob_sha256(b), t->sha256);
	*ret = steal_ptr(&b);
	return 0;
}

static int check_files(struct fastboot_package *p, const struct fastboot_all_opts *o,
	const struct iotime *it, struct err *e)
{
	for (size_t i = 0; i < p->tasks.count; i++) {
		struct fastboot_task *t = &p->tasks.list[i];
		const char *file = t->kind == FASTBOOT_TASK_UPDATE_SUPER ? SUPER_EMPTY : t->file;

		if (file && !archive_has(p->archive, file, NULL))
			return err_set(e, ERR_IMAGE_INVALID, "package %s holds no %s, it is needed",
				archive_path(p->archive), file);

		int r = file ? check_file(p, t, file, o, it, e) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int make_tasks(struct fastboot_package *p, const struct fastboot_all_opts *o,
	const struct iotime *it, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *text = NULL;
	int r = get_text(p->archive, "fastboot-info.txt", it, &text, e);

	if (r < 0)
		return r;
	p->from_info = text != NULL;
	return text ? fastboot_tasks_parse((const char *)text->data, text->size, &p->tasks, e)
		    : usual_tasks(p, o, e);
}

int fastboot_package_open(struct archive *a, const struct fastboot_all_opts *o,
	const struct iotime *it, struct fastboot_package *ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *text = NULL;
	struct fastboot_package p = {.archive = a};
	int r = get_text(a, "android-info.txt", it, &text, e);

	if (r == 0 && !text)
		r = err_set(e, ERR_IMAGE_INVALID, "package %s holds no android-info.txt",
			archive_path(a));
	if (r == 0)
		r = fastboot_rules_parse((const char *)text->data, text->size, &p.rules, e);
	if (r == 0)
		r = make_tasks(&p, o, it, e);
	if (r == 0)
		r = check_files(&p, o, it, e);
	/* What no task needs may still say that the download broke off. */
	if (r == 0)
		r = archive_check(a, it, e);
	if (r < 0) {
		fastboot_package_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

int fastboot_package_before(struct archive *a, struct fastboot_tasks *tasks,
	const struct fastboot_all_opts *o, const struct iotime *it, struct fastboot_package *ret,
	struct err *e)
{
	struct fastboot_package p = {.archive = a, .tasks = *tasks};
	int r;

	*tasks = (struct fastboot_tasks){0};
	r = check_files(&p, o, it, e);
	if (r < 0)
		fastboot_package_done(&p);
	else
		*ret = p;
	return r;
}

/* -- requirements -- */

static bool is_later(const struct fastboot_all_opts *o, const char *name)
{
	for (const char *const *l = o->later; l && *l; l++)
		if (!strcmp(*l, name))
			return true;
	return false;
}

static int not_met(const struct fastboot_rule *rule, const char *value, struct err *e)
{
	return err_set(e, ERR_PREFLIGHT, "the device's %s is '%s', the package %s '%s'", rule->name,
		value, rule->reject ? "rejects" : "requires", rule->values);
}

static int check_partition(struct fastboot *f, const struct fastboot_rule *rule,
	const struct iotime *it, struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	_cleanup_(freep) char *name = xasprintf("has-slot:%s", rule->values);
	int r = fastboot_getvar(f, name, v, it, e);

	if (r < 0 && r != -ERR_NOT_FOUND)
		return r;
	if (!strcmp(v, "yes") || !strcmp(v, "no"))
		return 0;
	return err_set(e, ERR_PREFLIGHT, "the device has no partition '%s', the package needs it",
		rule->values);
}

static int check_rule(struct fastboot *f, const struct fastboot_rule *rule, const char *product,
	const struct iotime *it, struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "";

	if (rule->product && strcmp(rule->product, product) != 0)
		return 0;
	if (!strcmp(rule->name, "partition-exists"))
		return check_partition(f, rule, it, e);

	int r = fastboot_getvar(f, rule->name, v, it, e);

	if (r == -ERR_NOT_FOUND)
		return err_set(e, ERR_PREFLIGHT,
			"the device does not say its %s, the package %s '%s'", rule->name,
			rule->reject ? "rejects" : "requires", rule->values);
	if (r < 0)
		return r;
	return fastboot_rule_matches(rule, v) == rule->reject ? not_met(rule, v, e) : 0;
}

static int check_room(struct fastboot *f, const struct fastboot_task *t,
	const struct fastboot_all_opts *o, const struct iotime *it, struct err *e)
{
	char target[FASTBOOT_NAME_MAX], name[FASTBOOT_NAME_MAX + 16];
	bool logical = false;
	uint64_t room = 0;
	int r = fastboot_target(f, t->partition, NULL, target, it, e);

	/* The slot that is to become the active one is made it later. */
	if (r == -ERR_UNSUPPORTED && o->slot)
		return 0;
	if (r < 0)
		return r;
	snprintf(name, sizeof name, "is-logical:%s", target);
	r = fastboot_getvar_yes(f, name, &logical, it, e);
	if (r < 0 || logical)
		return r;
	r = fastboot_partition_size(f, target, false, &room, it, e);
	if (r == 0 && room && t->image_bytes > room)
		r = err_set(e, ERR_IMAGE_RANGE,
			"%s makes %llu bytes, partition %s has %llu: nothing was written", t->file,
			(unsigned long long)t->image_bytes, target, (unsigned long long)room);
	return r;
}

/* What is flashed as the device is now; the image for the slot that is not active may be of a
 * device with one slot. */
static int check_partitions(struct fastboot *f, const struct fastboot_package *p,
	const struct fastboot_all_opts *o, const struct iotime *it, struct err *e)
{
	for (size_t i = 0; i < p->tasks.count; i++) {
		const struct fastboot_task *t = &p->tasks.list[i];
		int r = 0;

		if (t->kind == FASTBOOT_TASK_REBOOT && !strcmp(t->target, "bootloader"))
			continue; /* into what it is in */
		if (t->kind == FASTBOOT_TASK_REBOOT || t->kind == FASTBOOT_TASK_UPDATE_SUPER)
			break;
		if (t->kind == FASTBOOT_TASK_FLASH && !t->slot_other)
			r = check_room(f, t, o, it, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int fastboot_package_check(struct fastboot *f, const struct fastboot_package *p,
	const struct fastboot_all_opts *o, const struct iotime *it, struct err *e)
{
	char product[FASTBOOT_REPLY_MAX + 1] = "";
	int r = fastboot_getvar(f, "product", product, it, e);

	if (r == -ERR_NOT_FOUND)
		r = 0;
	if (p->rules.note[0])
		teller_log(&f->tell, '#', "%s", p->rules.note);
	for (size_t i = 0; r == 0 && i < p->rules.count; i++) {
		struct err why = {0};

		if (is_later(o, p->rules.list[i].name))
			continue;
		r = check_rule(f, &p->rules.list[i], product, it, &why);
		if (r == -ERR_PREFLIGHT && o->force) {
			teller_log(&f->tell, '#', "%s (forced)", why.msg);
			r = 0;
		} else if (r < 0 && e) {
			*e = why;
		}
	}
	return r < 0 ? r : check_partitions(f, p, o, it, e);
}

/* -- carrying it out -- */

struct run {
	struct fastboot *f; /* of now */
	const struct fastboot_package *p;
	const struct fastboot_all_opts *o;
	const struct fastboot_all_hooks *h;
	const struct iotime *it;
};

static void told(struct run *x, const struct fastboot_task *t, const char *target,
	const struct blob *image, const struct fastboot_flashed *flashed)
{
	if (x->h->told)
		x->h->told(x->h->data, t, target, image, flashed);
}

static int has_other_slot(struct run *x, bool *ret, struct err *e)
{
	uint64_t count = 0;
	int r = fastboot_getvar_size(x->f, "slot-count", &count, x->it, e);

	*ret = count > 1;
	return r;
}

static int do_flash(struct run *x, const struct fastboot_task *t, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *image = NULL;
	struct fastboot_flashed done = {0};
	bool other = true;
	struct fastboot_flash_opts o = {
		.partition = t->partition,
		.slot = t->slot_other ? "other" : NULL,
		.verify = x->o->verify,
		.disable_verity = t->apply_vbmeta && x->o->disable_verity,
		.disable_verification = t->apply_vbmeta && x->o->disable_verification,
	};
	int r = t->slot_other ? has_other_slot(x, &other, e) : 0;

	if (r < 0 || !other)
		return r;
	r = get_checked(x->p->archive, t, t->file, x->it, &image, e);
	if (r == 0)
		r = fastboot_flash(x->f, image, &o, x->it, &done, e);
	if (r == 0)
		told(x, t, done.target, image, &done);
	return r;
}

/* Only what the device has: a partition whose type it does not know is not wiped. */
static int do_erase(struct run *x, const struct fastboot_task *t, struct err *e)
{
	_cleanup_(freep) char *name = xasprintf("partition-type:%s", t->partition);
	char v[FASTBOOT_REPLY_MAX + 1] = "";
	char target[FASTBOOT_NAME_MAX] = "";
	int r = t->if_wipe ? fastboot_getvar(x->f, name, v, x->it, e) : 0;

	if (r == -ERR_NOT_FOUND)
		return 0;
	if (r == 0)
		r = fastboot_erase(x->f, t->partition, NULL, x->it, target, e);
	if (r == 0)
		told(x, t, target, NULL, NULL);
	return r;
}

static int to_userspace(struct run *x, struct err *e)
{
	bool userspace = false;
	int r = fastboot_getvar_yes(x->f, "is-userspace", &userspace, x->it, e);

	if (r < 0 || userspace)
		return r;
	r = x->h->restart(x->h->data, "reboot-fastboot", &x->f, x->it, e);
	if (r == 0)
		r = fastboot_getvar_yes(x->f, "is-userspace", &userspace, x->it, e);
	if (r == 0 && !userspace)
		r = err_set(e, ERR_UNEXPECTED_REPLY,
			"after reboot-fastboot the device is not in fastbootd (is-userspace)");
	return r;
}

static int do_reboot(struct run *x, const struct fastboot_task *t, struct err *e)
{
	_cleanup_(freep) char *command = xasprintf("reboot%s%s", *t->target ? "-" : "", t->target);
	int r;

	if (!strcmp(t->target, "fastboot"))
		r = to_userspace(x, e);
	else if (!strcmp(t->target, "bootloader"))
		r = x->h->restart(x->h->data, command, &x->f, x->it, e);
	else
		r = err_set(e, ERR_UNSUPPORTED,
			"'%s' in the middle of a package: nothing could follow it", command);
	if (r == 0)
		told(x, t, t->target, NULL, NULL);
	return r;
}

/* Each logical partition that follows gives its room back first, so that they all find room. */
static int empty_logical(struct run *x, const struct fastboot_task *from, struct err *e)
{
	const struct fastboot_task *end = x->p->tasks.list + x->p->tasks.count;
	int r = 0;

	for (const struct fastboot_task *t = from; r == 0 && t < end; t++) {
		char target[FASTBOOT_NAME_MAX], command[FASTBOOT_NAME_MAX + 40];
		bool logical = false;

		if (t->kind != FASTBOOT_TASK_FLASH)
			continue;
		r = fastboot_target(
			x->f, t->partition, t->slot_other ? "other" : NULL, target, x->it, e);
		if (r < 0)
			break;
		snprintf(command, sizeof command, "is-logical:%s", target);
		r = fastboot_getvar_yes(x->f, command, &logical, x->it, e);
		if (r < 0 || !logical)
			continue;
		snprintf(command, sizeof command, "resize-logical-partition:%s:0", target);
		r = fastboot_command(x->f, command, x->f->c.flash_us, x->it, NULL, e);
	}
	return r;
}

static int do_update_super(struct run *x, const struct fastboot_task *t, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *image = NULL;
	char name[FASTBOOT_REPLY_MAX + 1] = "super";
	struct spans bytes = {0};
	int r = get_checked(x->p->archive, t, SUPER_EMPTY, x->it, &image, e);

	if (r < 0)
		return r;
	if (!image)
		return err_set(e, ERR_INTERNAL, SUPER_EMPTY " was read as nothing");
	r = to_userspace(x, e);
	if (r == 0)
		r = fastboot_getvar(x->f, "super-partition-name", name, x->it, e);
	if (r == -ERR_NOT_FOUND)
		r = 0;
	if (r == 0)
		r = spans_add(&bytes, image->data, image->size, e);
	if (r == 0)
		r = fastboot_download(x->f, &bytes, x->it, e);
	spans_done(&bytes);
	if (r < 0)
		return r;

	_cleanup_(freep) char *command =
		xasprintf("update-super:%s%s", name, x->o->wipe ? ":wipe" : "");

	r = fastboot_command(x->f, command, x->f->c.flash_us, x->it, NULL, e);
	if (r == 0)
		told(x, t, name, NULL, NULL);
	return r < 0 ? r : empty_logical(x, t + 1, e);
}

static int do_task(struct run *x, const struct fastboot_task *t, struct err *e)
{
	switch (t->kind) {
	case FASTBOOT_TASK_FLASH:
		return do_flash(x, t, e);
	case FASTBOOT_TASK_ERASE:
		return do_erase(x, t, e);
	case FASTBOOT_TASK_REBOOT:
		return do_reboot(x, t, e);
	case FASTBOOT_TASK_UPDATE_SUPER:
		return do_update_super(x, t, e);
	}
	return err_set(e, ERR_INTERNAL, "task of kind %d", (int)t->kind);
}

static const char *task_name(const struct fastboot_task *t)
{
	switch (t->kind) {
	case FASTBOOT_TASK_FLASH:
		return "flash";
	case FASTBOOT_TASK_ERASE:
		return "erase";
	case FASTBOOT_TASK_REBOOT:
		return "reboot";
	case FASTBOOT_TASK_UPDATE_SUPER:
		break;
	}
	return "update-super";
}

static int cancel_snapshot(struct run *x, struct err *e)
{
	char v[FASTBOOT_REPLY_MAX + 1] = "none";
	int r = fastboot_getvar(x->f, "snapshot-update-status", v, x->it, e);

	if (r == -ERR_NOT_FOUND || (r == 0 && !strcmp(v, "none")))
		return 0;
	return r < 0 ? r
		     : fastboot_command(
			       x->f, "snapshot-update:cancel", x->f->c.flash_us, x->it, NULL, e);
}

static int activate(struct run *x, struct err *e)
{
	char command[32];

	if (!x->o->slot || !*x->o->slot)
		return 0;
	snprintf(command, sizeof command, "set_active:%.8s", x->o->slot);
	return fastboot_command(x->f, command, x->f->c.command_us, x->it, NULL, e);
}

int fastboot_package_run(struct fastboot *f, const struct fastboot_package *p,
	const struct fastboot_all_opts *o, const struct fastboot_all_hooks *h,
	const struct iotime *it, struct err *e)
{
	struct run x = {f, p, o, h, it};
	int r = activate(&x, e);

	if (r == 0)
		r = cancel_snapshot(&x, e);
	for (size_t i = 0; r == 0 && i < p->tasks.count; i++) {
		const struct fastboot_task *t = &p->tasks.list[i];

		if (t->if_wipe && !o->wipe)
			continue;
		r = do_task(&x, t, e);
		if (r < 0)
			err_prefix(e, "task %zu of %zu (%s %s)", i + 1, p->tasks.count,
				task_name(t),
				t->partition ? t->partition
				: t->target  ? t->target
					     : "");
	}
	return r;
}
