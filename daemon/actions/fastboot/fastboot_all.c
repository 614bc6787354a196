/* SPDX-License-Identifier: Apache-2.0
 *
 * fastboot.flashall: a factory package, from a zip or a directory.
 */
#include "daemon/actions/fastboot/fastboot_session.h"
#include "daemon/actions/image_args.h"

#include "transports/images/gate.h"
#include "transports/protocols/fastboot/fastboot_all.h"

#define FLASH_ALL	 "flash-all.sh"
#define SCRIPT_MAX_BYTES (256u * 1024)

static const char *const verifies[] = {"auto", "fetch", "none", NULL};

struct all {
	struct fastboot_step x;
	struct step_result *out;
	json_t *written, *order;
	unsigned images;
};

static int restart(void *data, const char *command, struct fastboot **f, const struct iotime *it,
	struct err *e)
{
	struct all *all = data;
	struct fastboot_step *x = &all->x;
	struct iotime within = iotime_within(it, args_duration_us(x->a, "wait"));
	int r = fastboot_step_leaving(x, e);

	if (r == 0)
		r = fastboot_command(x->f, command, fastboot_config(x->f)->command_us, it, NULL, e);
	if (r == 0)
		r = fastboot_step_back(x, &within, e);
	if (r == 0)
		*f = x->f;
	return r;
}

static void told(void *data, const struct fastboot_task *t, const char *target,
	const struct blob *image, const struct fastboot_flashed *flashed)
{
	static const char *const verbs[] = {
		[FASTBOOT_TASK_FLASH] = "flash",
		[FASTBOOT_TASK_ERASE] = "erase",
		[FASTBOOT_TASK_REBOOT] = "reboot",
		[FASTBOOT_TASK_UPDATE_SUPER] = "update-super",
	};
	struct all *all = data;

	json_array_append_new(all->order, json_sprintf("%s %s", verbs[t->kind], target));
	if (!flashed)
		return;
	json_array_append_new(all->written, fastboot_flashed_json(image, flashed));
	all->images++;
}

static struct fastboot_all_opts opts_of(const struct args *a)
{
	const char *v = args_str(a, "verify");

	return (struct fastboot_all_opts){
		.slot = args_str(a, "slot"),
		.wipe = args_bool(a, "wipe"),
		.partial = args_bool(a, "partial"),
		.force = args_bool(a, "force"),
		.declared = !strcmp(args_str(a, "format"), "bin"),
		.disable_verity = args_bool(a, "disable_verity"),
		.disable_verification = args_bool(a, "disable_verification"),
		.verify = !strcmp(v, "fetch")  ? FASTBOOT_VERIFY_FETCH
			  : !strcmp(v, "none") ? FASTBOOT_VERIFY_NONE
					       : FASTBOOT_VERIFY_AUTO,
	};
}

static int open_archive(struct step *s, const struct args *a, struct step_result *out,
	struct archive **ret, char sha256[SHA256_HEX], struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *zip = NULL;
	char name[STEP_NAME_BYTES];

	if (args_has(a, "package") == args_has(a, "dir"))
		return err_set(e, ERR_RECIPE_INVALID, "one of 'package' and 'dir' is needed");
	if (args_has(a, "dir"))
		return archive_open_dir(args_str(a, "dir"), ret, e);

	int r = s->ops->load_blob(s->env, args_str(a, "package"), &zip, e);

	if (r == 0)
		r = s->ops->name(s->env, args_str(a, "package"), name, e);
	if (r == 0 && !image_args_declared(a, name, NULL, FOREIGN_PARTITION, out))
		r = gate_name(name, IMAGE_ZIP, e);
	if (r == 0)
		r = archive_open_zip(zip, ret, e);
	if (r == 0)
		snprintf(sha256, SHA256_HEX, "%s", blob_sha256(zip));
	return r;
}

static int finish(struct all *all, struct err *e)
{
	struct fastboot_step *x = &all->x;
	struct iotime it = iotime_within(&x->s->it, args_duration_us(x->a, "wait"));
	json_t *facts = NULL;
	int r = 0;

	if (!args_bool(x->a, "reboot"))
		return 0;
	r = fastboot_step_leaving(x, e);
	if (r == 0)
		r = fastboot_command(
			x->f, "reboot", fastboot_config(x->f)->command_us, &x->s->it, NULL, e);
	if (r == 0)
		r = fastboot_step_away(x, &it, &facts, e);
	if (r < 0)
		return r;
	result_evidence(all->out, "left", json_true());
	if (facts)
		result_evidence(all->out, "device", facts);
	return 0;
}

/* A bootloader is flashed by the bootloader: an attempt that broke off may have left the device in fastbootd. */
static int to_bootloader(struct all *all, struct err *e)
{
	const struct iotime *it = &all->x.s->it;
	struct fastboot *f = NULL;
	bool userspace = false;
	int r = fastboot_getvar_yes(all->x.f, "is-userspace", &userspace, it, e);

	if (r < 0 || !userspace)
		return r;
	r = restart(all, "reboot-bootloader", &f, it, e);
	if (r == 0)
		json_array_append_new(all->order, json_string("reboot bootloader"));
	return r;
}

/* What flash-all.sh of a factory image does before the package, checked as a whole with it, and then done: the rules that
 * ask for the new bootloader or radio are met only after that. */
static int run_before(struct all *all, struct fastboot_package *before,
	const struct fastboot_package *p, const struct fastboot_all_opts *o, struct err *e)
{
	static const char *const later[] = {"version-bootloader", "version-baseband", NULL};
	const struct fastboot_all_hooks h = {all, restart, told};
	const struct iotime *it = &all->x.s->it;
	struct fastboot_all_opts now = *o;
	int r;

	now.later = later;
	r = to_bootloader(all, e);
	if (r == 0)
		r = fastboot_package_check(all->x.f, p, &now, it, e);
	now.slot = NULL;
	if (r == 0)
		r = fastboot_package_check(all->x.f, before, &now, it, e);
	if (r == 0)
		r = fastboot_package_run(all->x.f, before, &now, &h, it, e);
	if (r < 0)
		err_prefix(e, "before the package");
	return r;
}

/* before: NULL for a package that is no factory image. */
static int flash_package(struct all *all, struct fastboot_package *before,
	const struct fastboot_package *p, const struct fastboot_all_opts *o, struct err *e)
{
	const struct fastboot_all_hooks h = {all, restart, told};
	struct step *s = all->x.s;
	int r = fastboot_step_open(&all->x, s, all->x.a, e);

	if (r == 0)
		r = fastboot_step_unlocked(&all->x, all->out, e);
	if (r == 0 && before)
		r = run_before(all, before, p, o, e);
	if (r == 0)
		r = fastboot_package_check(all->x.f, p, o, &s->it, e);
	if (r == 0)
		r = fastboot_package_run(all->x.f, p, o, &h, &s->it, e);
	if (r == 0)
		result_evidence(all->out, "requirements", json_integer((json_int_t)p->rules.count));
	return r < 0 ? r : finish(all, e);
}

static int run_package(struct all *all, struct archive *archive, struct fastboot_package *before,
	const struct fastboot_all_opts *o, struct err *e)
{
	struct fastboot_package p;
	int r = fastboot_package_open(archive, o, &all->x.s->it, &p, e);

	if (r < 0)
		return r;
	r = flash_package(all, before, &p, o, e);
	fastboot_package_done(&p);
	return r;
}

/* The package in it, which `update` of its script names. */
static int open_inner(struct archive *outer, const char *name, const struct iotime *it,
	struct archive **ret, struct err *e)
{
	_cleanup_(blob_unrefp) struct blob *zip = NULL;
	int r;

	if (!archive_has(outer, name, NULL))
		return err_set(e, ERR_IMAGE_INVALID,
			"package %s holds no %s, which " FLASH_ALL " names", archive_path(outer),
			name);
	r = archive_get(outer, name, BLOB_MAX_BYTES, it, &zip, e);

	return r < 0 ? r : archive_open_zip(zip, ret, e);
}

static int run_factory(struct all *all, struct archive *outer, struct fastboot_all_opts *o,
	const struct fastboot_factory *script, struct fastboot_tasks *tasks, struct err *e)
{
	_cleanup_(archive_closep) struct archive *inner = NULL;
	const struct iotime *it = &all->x.s->it;
	struct fastboot_package before;
	int r = fastboot_package_before(outer, tasks, o, it, &before, e);

	if (r < 0)
		return r;
	o->wipe |= script->wipe;
	r = open_inner(outer, script->package, it, &inner, e);
	if (r == 0)
		r = archive_check(outer, it, e);
	if (r == 0)
		r = run_package(all, inner, &before, o, e);
	if (r == 0)
		result_evidence(all->out, "factory", json_string(script->package));
	fastboot_package_done(&before);
	return r;
}

/* A factory image is what has flash-all.sh and, for android-info.txt, a package in it. */
static int run_archive(struct all *all, struct archive *archive, struct err *e)
{
	struct fastboot_all_opts o = opts_of(all->x.a);
	_cleanup_(blob_unrefp) struct blob *text = NULL;
	_cleanup_(fastboot_factory_done) struct fastboot_factory script = {0};
	int r;

	if (o.declared)
		result_evidence(all->out, "declared", json_string("bin"));
	archive_enter(archive);
	if (archive_has(archive, "android-info.txt", NULL) ||
		!archive_has(archive, FLASH_ALL, NULL))
		return run_package(all, archive, NULL, &o, e);
	r = archive_get(archive, FLASH_ALL, SCRIPT_MAX_BYTES, &all->x.s->it, &text, e);
	if (r == 0)
		r = fastboot_factory_parse((const char *)text->data, text->size, &script, e);
	return r < 0 ? r : run_factory(all, archive, &o, &script, &script.before, e);
}

static int flashall_run(
	struct step *s, const struct args *a, struct step_result *out, struct err *e)
{
	_cleanup_(archive_closep) struct archive *archive = NULL;
	struct all all = {.x = {.s = s, .a = a, .port = args_str(a, "port")},
		.out = out,
		.written = json_array(),
		.order = json_array()};
	char sha256[SHA256_HEX] = "";
	int r = open_archive(s, a, out, &archive, sha256, e);

	if (r == 0)
		r = run_archive(&all, archive, e);
	fastboot_step_done(&all.x);
	if (r == 0) {
		result_evidence(out, "written", json_incref(all.written));
		result_evidence(out, "order", json_incref(all.order));
		if (*sha256)
			result_evidence(out, "package_sha256", json_string(sha256));
		result_output(out, "images", json_integer(all.images));
	}
	json_decref(all.written);
	json_decref(all.order);
	return r;
}

static const struct action_arg flashall_args[] = {
	ARG_ROWS_FASTBOOT,
	{.name = "package",
		.type = ARG_IMAGE,
		.doc = "a zip that holds android-info.txt and the images; or a factory image: a zip of flash-all.sh, bootloader, radio and that zip"},
	ARG_ROW_BLOB_FORMAT,
	{.name = "dir",
		.type = ARG_STRING,
		.bench = true,
		.doc = "or, on a bench, a directory that holds them"},
	ARG_ROW_SLOT("make this slot the active one first; where not given: as it is"),
	{.name = "wipe",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "erase userdata, cache and metadata, where the device has them; where flash-all.sh says -w they always are"},
	{.name = "partial",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "a package without boot.img or system.img is fine"},
	{.name = "force",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "go on where a requirement is not met"},
	{.name = "verify",
		.type = ARG_CHOICE,
		.def = "auto",
		.choices = verifies,
		.doc = "of each image, as in fastboot.flash"},
	{.name = "disable_verity",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "set that flag in the vbmeta images"},
	{.name = "disable_verification",
		.type = ARG_BOOL,
		.def = "false",
		.doc = "set that flag in the vbmeta images"},
	{.name = "reboot", .type = ARG_BOOL, .def = "true", .doc = "restart it at the end"},
	{.name = "wait",
		.type = ARG_DURATION,
		.def = "60s",
		.doc = "for the device at each restart"},
	{.name = "flash_timeout",
		.type = ARG_DURATION,
		.def = "300s",
		.doc = "of silence after flash, erase or resize"},
	ARG_ROW_DOWNLOAD_TIMEOUT,
	ARG_ROW_ALLOW_LOCKED,
	{0},
};

static const struct action_output flashall_outputs[] = {{"images", "how many were written"}, {0}};

const struct action action_fastboot_flashall = {
	.name = "fastboot.flashall",
	.doc = "Checks a factory package's requirements and flashes all of it, in its order; of a factory image as flash-all.sh does.",
	.flags = ACTION_NEEDS_EVIDENCE | ACTION_WRITES_FLASH | ACTION_REENUMERATES |
		 ACTION_SAFE_TO_RETRY,
	.args = flashall_args,
	.outputs = flashall_outputs,
	.default_timeout_us = 3600 * US_PER_S,
	.run = flashall_run,
};
