/* SPDX-License-Identifier: Apache-2.0
 *
 * image.compose: from the arguments of a step to the image that the next step loads, what is on record of it, and the code of
 * each thing that can be wrong, before anything is made.
 */
#include <fcntl.h>
#include <unistd.h>

#include "daemon/recipe/made.h"
#include "tests/unit/actions/action_rig.h"
#include "tests/unit/transports/nvs_reader.h"

static struct rig rig;
static struct made *made;
static struct step_env_ops ops;
static char dir[64];

static int env_made(void *env, const char *step, const char *name, struct blob *b, bool secret,
	char ret[STEP_NAME_BYTES], struct err *e)
{
	return made_put(made, step, name, b, secret, ret, e);
}

static void set_up(void)
{
	snprintf(dir, sizeof dir, "/tmp/test_compose.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	rig.secrets = secret_set_new();
	ops = rig_ops;
	ops.made = env_made;
	rig.ops = &ops;
	made = made_new(rig.secrets);
}

static void tear_down(void)
{
	_cleanup_(freep) char *cmd = xasprintf("rm -r %s", dir);

	ck_assert_int_eq(system(cmd), 0);
	made = made_free(made);
	rig_done(&rig);
}

static void write_file(const char *name, const void *p, size_t n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
	close(fd);
}

static void write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

static struct blob *composed(const char *with)
{
	struct blob *b = NULL;
	int r = rig_run(&rig, "image.compose", with);

	ck_assert_msg(r == 0, "%s: %s", with, rig.e.msg);
	ck_assert_msg(made_load_blob(made, rig_text(rig.out.outputs, "image"), &b, &rig.e) == 0,
		"%s", rig.e.msg);
	return b;
}

#define NVS                                                                                      \
	"'nvs_size':'0x3000','nvs':{'sn':{'namespace':'unit','type':'string','value':'SN0001'}," \
	"'gain':{'namespace':'cal','key':'g','type':'i32','value':'1.0023','scale':10000},"      \
	"'psk':{'namespace':'wifi','type':'string','value':'correct horse'}}"

/* Single quotes stand for double ones: easier on the eye in C. */
static const char *json(const char *text)
{
	static char buf[8192];

	snprintf(buf, sizeof buf, "%s", text);
	for (char *p = buf; *p; p++)
		if (*p == '\'')
			*p = '"';
	return buf;
}

static const json_t *part(const char *name)
{
	json_t *o;
	size_t i;

	json_array_foreach(json_object_get(rig.out.evidence, "parts"), i, o)
		if (!strcmp(rig_text(o, "name"), name))
			return o;
	return NULL;
}

START_TEST(values_of_the_unit_become_an_nvs_partition)
{
	struct nvs_reading got = {0};
	struct blob *b = composed(json("{" NVS "}"));

	ck_assert_uint_eq(b->size, 0x3000);
	nvs_read(b->data, b->size, &got);
	ck_assert_str_eq((const char *)nvs_found(&got, "unit", "sn")->value, "SN0001");
	ck_assert_uint_eq(nvs_u32(nvs_found(&got, "cal", "g")->value), 10023);
	ck_assert_ptr_nonnull(nvs_found(&got, "wifi", "psk"));
	ck_assert_str_eq(rig_text(part("nvs"), "sha256"), blob_sha256(b));
	ck_assert_str_eq(
		rig_text(json_object_get(rig.out.evidence, "image"), "sha256"), blob_sha256(b));
	ck_assert_int_eq(json_integer_value(json_object_get(
				 json_object_get(rig.out.evidence, "nvs"), "entries")),
		3 + 2 + 1 + 2);
	nvs_read_done(&got);
	blob_unref(b);
}
END_TEST

/* A short secret could be found out from a digest of what it is in. */
START_TEST(no_digest_of_an_image_with_a_secret_is_on_record)
{
	struct blob *b;
	struct image *i = NULL;
	_cleanup_(freep) char *shown = NULL;
	_cleanup_(freep) char *masked = NULL;

	ck_assert_int_eq(secret_set_add(rig.secrets, "correct horse", &rig.e), 0);
	b = composed(json(
		"{" NVS ",'size':'0x4000','patch':{'id':{'at':'0x3000','type':'u8','value':1}}}"));
	shown = json_dumps(rig.out.evidence, JSON_COMPACT);
	ck_assert_ptr_null(strstr(shown, blob_sha256(b)));
	ck_assert_ptr_null(strstr(shown, "correct horse"));
	ck_assert_str_ne(rig_text(part("nvs"), "sha256_salted"), "");
	ck_assert_str_eq(rig_text(part("nvs"), "sha256"), "");
	ck_assert_str_ne(rig_text(part("id"), "sha256"), "");
	ck_assert_ptr_null(json_object_get(rig.out.outputs, "sha256"));
	/* What the flash step says of it is masked as well. */
	ck_assert_int_eq(
		made_load_image(made, "made:the-step", &IMAGE_OPTS(0x9000), &i, &rig.e), 0);
	ck_assert(i->secret);
	masked = secret_mask(rig.secrets, i->payload);
	ck_assert_str_eq(masked, SECRET_MASK);
	ck_assert(secret_found(rig.secrets, i->sha256));
	ck_assert_str_eq(i->sha256, blob_sha256(b));
	image_unref(i);
	blob_unref(b);
}
END_TEST

/* Who knows the sum and the firmware tries all passcodes in a second. */
START_TEST(no_digest_of_a_sum_over_a_secret_is_on_record)
{
	struct blob *b;

	ck_assert_int_eq(secret_set_add(rig.secrets, "482913", &rig.e), 0);
	b = composed(
		json("{'size':64,'patch':{'pin':{'at':0,'type':'text','value':'482913','width':8}},"
		     "'crc':{'outer':{'kind':'crc-16/arc','from':16,'to':31,'at':48},"
		     "'inner':{'kind':'crc-32/iso-hdlc','from':0,'to':15,'at':16},"
		     "'other':{'kind':'crc-32/iso-hdlc','from':32,'to':47,'at':56}}}"));
	ck_assert_str_eq(rig_text(part("inner"), "sha256"), "");
	ck_assert_str_ne(rig_text(part("inner"), "sha256_salted"), "");
	/* A sum over that sum as well. */
	ck_assert_str_eq(rig_text(part("outer"), "sha256"), "");
	ck_assert_str_ne(rig_text(part("outer"), "sha256_salted"), "");
	ck_assert_str_ne(rig_text(part("other"), "sha256"), "");
	blob_unref(b);
}
END_TEST

START_TEST(a_layout_is_filled_with_values)
{
	struct blob *b;
	static const uint8_t want[] =
		"SN0001\0\0\xac\xde\x48\x00\x12\x34\xff\xff\x27\x27\x00\x00\x07";

	write_text("cfg.csv", "name,offset,width,type,value,order,scale\n"
			      "serial,0,8,text,{serial},,\n"
			      "mac,8,,mac,{mac},,\n"
			      "gain,16,4,u32,{gain},little,10000\n"
			      "rev,0x14,,u8,7,,\n");
	b = composed(json(
		"{'layout':'cfg.csv','values':{'serial':'SN0001','mac':'ac-de-48-00-12-34','gain':1.0023}}"));
	ck_assert_uint_eq(b->size, sizeof want - 1);
	ck_assert_mem_eq(b->data, want, b->size);
	ck_assert_int_eq(json_integer_value(json_object_get(rig.out.evidence, "part_count")), 4);
	ck_assert_str_eq(rig_text(part("gain"), "at"), "0x00000010");
	blob_unref(b);
}
END_TEST

/* A number of the recipe, or of a measurement, is what its text says. */
START_TEST(a_number_is_scaled_as_it_is_written)
{
	struct blob *b = composed(json(
		"{'size':2,'patch':{'offset':{'at':0,'type':'i16','value':-0.285,'scale':100}}}"));

	ck_assert_mem_eq(b->data, "\xe3\xff", 2);
	blob_unref(b);
}
END_TEST

START_TEST(a_base_gets_patches_and_sums)
{
	uint8_t base[256];
	struct blob *b;
	uint32_t sum;

	for (unsigned i = 0; i < sizeof base; i++)
		base[i] = (uint8_t)(i * 7 + 0xa5);
	write_file("base.bin", base, sizeof base);
	b = composed(json(
		"{'base':'base.bin','address':'0x8000','size':'0x200',"
		"'patch':{'sn':{'at':'0x8010','type':'text','value':'SN0001','width':16,'pad':32},"
		"'mac':{'at':'0x8020','type':'mac','value':'AC:DE:48:00:12:34'}},"
		"'crc':{'sum':{'kind':'crc-32/iso-hdlc','from':'0x8000','to':'0x80ff','at':'0x8100'}}}"));
	ck_assert_uint_eq(b->size, 0x200);
	ck_assert_mem_eq(b->data + 0x10, "SN0001          ", 16);
	ck_assert_mem_eq(b->data + 0x20, "\xac\xde\x48\x00\x12\x34\xaf", 7);
	/* The usual CRC-32, by the test's own reckoning. */
	sum = ~nvs_crc(0xffffffff, b->data, 256);
	ck_assert_uint_eq(nvs_u32(b->data + 0x100), sum);
	ck_assert_uint_eq(b->data[0x104], 0xff);
	ck_assert_str_eq(rig_text(json_object_get(rig.out.evidence, "base"), "name"), "base.bin");
	ck_assert_str_eq(rig_text(part("sum"), "sum"), "crc-32/iso-hdlc");
	blob_unref(b);
}
END_TEST

START_TEST(espressifs_own_list_of_values_is_taken)
{
	struct nvs_reading got = {0};
	struct blob *b;

	write_text("nvs.csv",
		"key,type,encoding,value\nwifi,namespace,,\nssid,data,string,{ssid}\nch,data,u8,11\n"
		"cal,namespace,,\ntable,data,hex2bin,00ff\nraw,data,binary,abc\nb64,data,base64,AAEC\n");
	b = composed(json("{'nvs_csv':'nvs.csv','nvs_size':'0x3000','values':{'ssid':'plant'}}"));
	nvs_read(b->data, b->size, &got);
	ck_assert_str_eq((const char *)nvs_found(&got, "wifi", "ssid")->value, "plant");
	ck_assert_mem_eq(nvs_found(&got, "cal", "table")->value, "\0\xff", 2);
	ck_assert_mem_eq(nvs_found(&got, "cal", "raw")->value, "abc", 3);
	ck_assert_mem_eq(nvs_found(&got, "cal", "b64")->value, "\0\1\2", 3);
	nvs_read_done(&got);
	blob_unref(b);
}
END_TEST

START_TEST(a_step_that_is_tried_again_replaces_its_image)
{
	struct blob *a = composed(json("{'size':4,'patch':{'x':{'at':0,'type':'u8','value':1}}}"));
	struct blob *b = composed(json("{'size':4,'patch':{'x':{'at':0,'type':'u8','value':2}}}"));

	ck_assert_uint_eq(a->data[0], 1);
	ck_assert_uint_eq(b->data[0], 2);
	blob_unref(a);
	blob_unref(b);
}
END_TEST

START_TEST(another_run_does_not_have_it)
{
	struct made *other = made_new(NULL);
	struct blob *b = composed(json("{'size':4,'patch':{'x':{'at':0,'type':'u8','value':1}}}"));
	struct blob *none = NULL;
	char name[STEP_NAME_BYTES];

	ck_assert_int_eq(made_load_blob(other, "made:the-step", &none, &rig.e), -ERR_NOT_FOUND);
	ck_assert_msg(strstr(rig.e.msg, "no step 'the-step' of this run"), "%s", rig.e.msg);
	ck_assert_int_eq(made_load_blob(NULL, "made:the-step", &none, &rig.e), -ERR_NOT_FOUND);
	ck_assert_int_eq(made_name(made, "made:the-step", name, &rig.e), 0);
	ck_assert_str_eq(name, "the-step.bin");
	ck_assert_int_eq(made_path(made, "made:the-step", &rig.e), -ERR_UNSUPPORTED);
	ck_assert_msg(strstr(rig.e.msg, "in memory alone"), "%s", rig.e.msg);
	blob_unref(b);
	made_free(other);
}
END_TEST

START_TEST(a_file_is_written_where_it_is_asked_for)
{
	struct blob *b = composed(
		json("{'size':4,'patch':{'x':{'at':0,'type':'u8','value':1}},'file':'out.bin'}"));
	struct blob *again = NULL;

	ck_assert_int_eq(blob_open("out.bin", BLOB_COPIED, &again, &rig.e), 0);
	ck_assert_str_eq(blob_sha256(again), blob_sha256(b));
	blob_unref(again);
	blob_unref(b);
}
END_TEST

/* A table that cannot be read is seen before the first step of the run. */
START_TEST(tables_are_looked_at_before_the_first_step)
{
	static const struct {
		const char *with;
		enum err_code code;
	} all[] = {{"{'layout':'no.csv'}", ERR_NOT_FOUND}, {"{'layout':'cut.csv'}", ERR_INVALID},
		{"{'nvs_csv':'cut.csv','nvs_size':'0x3000'}", ERR_INVALID},
		{"{'layout':'whole.csv'}", 0}};
	const struct action *a = action_find("image.compose");

	write_text("cut.csv", "name,offset,type,value\nf,0,u8\n");
	write_text("whole.csv", "name,offset,type,value\nf,0,u8,{later}\n");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		json_t *o = json_loads(json(all[i].with), 0, NULL);
		struct args *args = args_literal(a->args, o);
		struct step s = {.id = "look", .action = a, .ops = &ops, .env = &rig};

		ck_assert_msg(a->preflight(&s, args, &rig.e) == -(int)all[i].code, "%s: %s",
			all[i].with, rig.e.msg);
		args_free(args);
		json_decref(o);
	}
}
END_TEST

/* Each with its code, and nothing is made. */
START_TEST(what_is_wrong_has_its_code)
{
	static const struct {
		const char *with;
		enum err_code code;
		const char *says;
	} all[] = {
#define PATCH(text) "{'size':16,'patch':{" text "}}"
		{PATCH("'a':{'at':0,'type':'u32','value':1},'b':{'at':3,'type':'u8','value':1}"),
			ERR_PART_OVERLAP, "'a' (0x0, 4 bytes) and 'b'"},
		{PATCH("'a':{'at':13,'type':'u32','value':1}"), ERR_PART_OUTSIDE,
			"'a' (0xd, 4 bytes)"},
		{PATCH("'a':{'at':0,'type':'u8','value':256}"), ERR_VALUE_RANGE,
			"'a' does not fit its type u8"},
		{PATCH("'a':{'at':0,'type':'text','value':'12345','width':4}"), ERR_VALUE_TOO_LONG,
			"'a' has 5 bytes"},
		{PATCH("'a':{'at':0,'type':'text','value':''}"), ERR_VALUE_EMPTY,
			"'a' has an empty value"},
		{PATCH("'a':{'at':0,'type':'mac','value':'00:11'}"), ERR_VALUE_MALFORMED,
			"AC:DE:48"},
		{PATCH("'a':{'at':0,'type':'text','value':12}"), ERR_VALUE_MALFORMED,
			"put quotes around it"},
		{PATCH("'a':{'at':'x','type':'u8','value':1}"), ERR_INVALID, "'at' is 'x'"},
		{PATCH("'a':{'at':0,'type':'u8','value':1,'order':'middle'}"), ERR_INVALID,
			"little or big"},
		{"{'size':16}", ERR_RECIPE_INVALID, "nothing is put into the image"},
		{"{'patch':{'a':{'at':0,'type':'u8','value':1}}}", ERR_RECIPE_INVALID,
			"how large the image is"},
		{"{'nvs':{'a':{'namespace':'n','type':'u8','value':1}}}", ERR_RECIPE_INVALID,
			"needs 'nvs_size'"},
		{"{'nvs_size':'0x2000','nvs':{'a':{'namespace':'n','type':'u8','value':1}}}",
			ERR_INVALID, "a multiple of 4096"},
		{"{'nvs_size':'0x3000','nvs':{'a':{'namespace':'n','key':'k','type':'u8','value':1},"
		 "'b':{'namespace':'n','key':'k','type':'u8','value':2}}}",
			ERR_PART_OVERLAP, "'n.k' comes twice"},
		{"{'nvs_size':'0x3000','nvs':{'a':{'namespace':'n','type':'u8','value':300}}}",
			ERR_VALUE_RANGE, "'a'"},
		{"{'nvs_size':'0x3000','nvs':{'a':{'namespace':'n','type':'string','value':''}}}",
			ERR_VALUE_EMPTY, "'a'"},
		{"{'nvs_size':'0x3000','nvs_at':'0x100','size':'0x3000','nvs':{'a':{'namespace':'n','type':'u8','value':1}}}",
			ERR_PART_OUTSIDE, "'nvs'"},
		{"{'size':16,'crc':{'s':{'kind':'crc-32/none','from':0,'to':3,'at':8}}}",
			ERR_INVALID, "no kind"},
		{"{'size':16,'crc':{'s':{'kind':'crc-16/arc','from':8,'to':3,'at':8}}}",
			ERR_INVALID, "'to' (0x3)"},
		{"{'layout':'no.csv','values':{'a':'1','b':'2'}}", ERR_NOT_FOUND, "no.csv"},
		{"{'layout':'a.csv','values':{'a':'1','b':'2'}}", ERR_INVALID, "'values' has 'b'"},
		{"{'layout':'a.csv'}", ERR_INVALID, "wants the value {a}"},
		{"{'layout':'a.csv','values':{'a':''}}", ERR_VALUE_EMPTY, "'f' has an empty value"},
		{"{'layout':'inside.csv','values':{'a':'1'}}", ERR_INVALID,
			"'f' is 'SN-{a}': a cell is {NAME} alone"},
		{"{'layout':'wide.csv'}", ERR_INVALID, "give it a width"},
		{"{'layout':'cut.csv'}", ERR_INVALID, "the column 'value' is empty"},
		{"{'layout':'text.csv','values':{'a':12}}", ERR_VALUE_MALFORMED,
			"put quotes around it"},
		{"{'nvs_csv':'nvs.csv','nvs_size':'0x3000','values':{'a':1.5}}",
			ERR_VALUE_MALFORMED, "put quotes around it"},
		{"{'base':'none.bin','patch':{'a':{'at':0,'type':'u8','value':1}}}", ERR_NOT_FOUND,
			"none.bin"},
		{"{'base':'a.csv','patch':{'a':{'at':0,'type':'u8','value':1}}}", ERR_IMAGE_INVALID,
			"a.csv"},
	};

	write_text("a.csv", "name,offset,type,value\nf,0,u8,{a}\n");
	write_text("text.csv", "name,offset,width,type,value\nf,0,4,text,{a}\n");
	write_text("nvs.csv", "key,type,encoding,value\nn,namespace,,\nk,data,string,{a}\n");
	write_text("inside.csv", "name,offset,width,type,value\nf,0,8,text,SN-{a}\n");
	write_text("wide.csv", "name,offset,type,value\nf,0,text,abc\n");
	write_text("cut.csv", "name,offset,type,value\nf,0,u8\n");
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct blob *none = NULL;

		rig_refused(&rig, "image.compose", json(all[i].with), all[i].code, all[i].says);
		ck_assert_int_lt(made_load_blob(made, "made:the-step", &none, NULL), 0);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("compose_action");
	TCase *t = tcase_create("compose_action");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, values_of_the_unit_become_an_nvs_partition);
	tcase_add_test(t, no_digest_of_an_image_with_a_secret_is_on_record);
	tcase_add_test(t, no_digest_of_a_sum_over_a_secret_is_on_record);
	tcase_add_test(t, a_layout_is_filled_with_values);
	tcase_add_test(t, a_number_is_scaled_as_it_is_written);
	tcase_add_test(t, a_base_gets_patches_and_sums);
	tcase_add_test(t, espressifs_own_list_of_values_is_taken);
	tcase_add_test(t, a_step_that_is_tried_again_replaces_its_image);
	tcase_add_test(t, another_run_does_not_have_it);
	tcase_add_test(t, a_file_is_written_where_it_is_asked_for);
	tcase_add_test(t, tables_are_looked_at_before_the_first_step);
	tcase_add_test(t, what_is_wrong_has_its_code);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
