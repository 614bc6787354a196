/* SPDX-License-Identifier: Apache-2.0
 *
 * Which station owns a device, with scripted events: told twice, removed late, lost, rebound.
 */
#include "daemon/line/binding.h"

#include <string.h>

#include "base/iotime.h"
#include "base/strbuf.h"
#include "base/thread.h"
#include "base/util.h"
#include "tests/unit/unit.h"

static char where1[] = "usb-0:1.1", where2[] = "usb-0:1.2", role[] = "c", kind[] = "tty",
	    vid[] = "1209", pid[] = "0001", id1[] = "A1", id2[] = "A2";
static char *path1 = where1, *path2 = where2;
static struct strbuf story;
static struct binding *binding;
static struct hotplug source;
static struct port_config port[2];
static struct station_config station[2];
static struct config config, moved;

static void present(
	void *data, const struct config_port *p, const struct device_facts *f, bool wrong)
{
	sb_addf(&story, "+%s%s%s ", p->station->id, f->node, wrong ? "!" : "");
}

static void absent(void *data, const struct config_port *p)
{
	sb_addf(&story, "-%s ", p->station->id);
}

static struct port_config port_at(char **path)
{
	return (struct port_config){.role = role,
		.kind = kind,
		.path = path,
		.paths = 1,
		.interface = -1,
		.vid = vid,
		.pid = pid};
}

static void setup(void)
{
	static const struct binding_sink sink = {NULL, present, absent};

	port[0] = port_at(&path1);
	port[1] = port_at(&path2);
	station[0] = (struct station_config){.id = id1, .title = id1, .port = &port[0], .ports = 1};
	station[1] = (struct station_config){.id = id2, .title = id2, .port = &port[1], .ports = 1};
	/* References of this test's own: neither is ever freed. */
	config = (struct config){.refs = 9, .station = station, .stations = 1};
	moved = (struct config){.refs = 9, .station = &station[1], .stations = 1};
	binding = binding_new(&sink);
	binding_set_config(binding, &config);
}

static void teardown(void)
{
	binding_free(binding);
	sb_done(&story);
}

static struct hotplug_event event_of(
	enum hotplug_kind k, const char *tty, const char *at, const char *with_pid, uint32_t devnum)
{
	struct hotplug_event ev = {
		.kind = k, .interface = 0, .devnum = devnum, .initialized_us = devnum};

	snprintf(ev.syspath, sizeof ev.syspath, "/devices/%s", tty);
	snprintf(ev.node, sizeof ev.node, "/dev/%s", tty);
	strcpy(ev.subsystem, "tty");
	snprintf(ev.id_path, sizeof ev.id_path, "%s:1.0", at);
	strcpy(ev.vid, "1209");
	strcpy(ev.pid, with_pid);
	return ev;
}

static void tell(
	enum hotplug_kind k, const char *tty, const char *at, const char *with_pid, uint32_t devnum)
{
	struct hotplug_event ev = event_of(k, tty, at, with_pid, devnum);

	binding_event(binding, &source, &ev);
}

static void tell_serial(enum hotplug_kind k, const char *tty, const char *at, const char *serial)
{
	struct hotplug_event ev = event_of(k, tty, at, pid, 1);

	strcpy(ev.serial, serial);
	binding_event(binding, &source, &ev);
}

static void scan(enum hotplug_kind k)
{
	const struct hotplug_event ev = {.kind = k};

	binding_event(binding, &source, &ev);
}

#define STORY(text) ck_assert_str_eq(story.s ? story.s : "", text)

START_TEST(test_a_device_told_twice_is_told_once)
{
	tell(HOTPLUG_PRESENT, "t1", where1, pid, 1);
	tell(HOTPLUG_PRESENT, "t1", where1, pid, 1);
	STORY("+A1tty:/dev/t1 ");
	tell(HOTPLUG_GONE, "t1", where1, pid, 1);
	tell(HOTPLUG_GONE, "t1", where1, pid, 1);
	STORY("+A1tty:/dev/t1 -A1 ");
}
END_TEST

START_TEST(test_a_late_remove_of_an_older_one_is_ignored)
{
	tell(HOTPLUG_PRESENT, "t1", where1, pid, 1);
	tell(HOTPLUG_PRESENT, "t1", where1, pid, 2);
	sb_clear(&story);
	tell(HOTPLUG_GONE, "t1", where1, pid, 1);
	STORY("");
	tell(HOTPLUG_GONE, "t1", where1, pid, 2);
	STORY("-A1 ");
}
END_TEST

START_TEST(test_what_a_rescan_does_not_find_is_gone)
{
	tell(HOTPLUG_PRESENT, "t1", where1, pid, 1);
	sb_clear(&story);
	scan(HOTPLUG_SCAN_BEGIN);
	tell(HOTPLUG_PRESENT, "t1", where1, pid, 1);
	scan(HOTPLUG_SCAN_DONE);
	STORY("");
	scan(HOTPLUG_SCAN_BEGIN);
	scan(HOTPLUG_SCAN_DONE);
	STORY("-A1 ");
}
END_TEST

START_TEST(test_another_device_on_a_known_port_is_wrong)
{
	tell(HOTPLUG_PRESENT, "t1", where1, "beef", 1);
	STORY("+A1tty:/dev/t1! ");
}
END_TEST

START_TEST(test_an_unbound_port_comes_with_the_lines_that_would_bind_it)
{
	tell(HOTPLUG_PRESENT, "t2", where2, pid, 1);
	STORY("");

	json_t *ports = binding_ports(binding);
	const char *yaml = json_string_value(json_object_get(json_array_get(ports, 0), "yaml"));

	ck_assert_ptr_nonnull(yaml);
	ck_assert_ptr_nonnull(strstr(yaml, where2));
	json_decref(ports);
	/* With those lines, a reload tells it. */
	binding_set_config(binding, &moved);
	STORY("+A2tty:/dev/t2 ");
	binding_set_config(binding, &config);
	STORY("+A2tty:/dev/t2 -A2 ");
}
END_TEST

/* A copy of the one station, in a snapshot of its own. */
START_TEST(a_bound_port_holds_the_snapshot_that_it_is_of_and_no_older_one)
{
	struct station_config again = station[0];
	struct config same = {.refs = 9, .station = &again, .stations = 1};

	tell(HOTPLUG_PRESENT, "t1", where1, pid, 1);
	ck_assert_int_eq(config.refs, 9 + 2);
	binding_set_config(binding, &same);
	STORY("+A1tty:/dev/t1 ");
	ck_assert_int_eq(config.refs, 9);
	ck_assert_int_eq(same.refs, 9 + 2);
	binding_set_config(binding, &moved);
	STORY("+A1tty:/dev/t1 -A1 ");
	ck_assert_int_eq(same.refs, 9);
	binding_set_config(binding, &config);
	STORY("+A1tty:/dev/t1 -A1 +A1tty:/dev/t1 ");
	tell(HOTPLUG_GONE, "t1", where1, pid, 1);
	ck_assert_int_eq(config.refs, 9 + 1);
}
END_TEST

/* A boot ROM has ids of its own: the port names them next to the unit's. */
START_TEST(a_unit_in_another_of_its_lives_is_the_right_one)
{
	static char rom[] = "1209:beef";
	static char *also = rom;

	port[0].also = &also;
	port[0].alsos = 1;
	tell(HOTPLUG_PRESENT, "ttyACM0", where1, "beef", 1);
	tell(HOTPLUG_GONE, "ttyACM0", where1, "beef", 1);
	tell(HOTPLUG_PRESENT, "ttyACM0", where1, "dead", 2);
	ck_assert_str_eq(story.s, "+A1tty:/dev/ttyACM0 -A1 +A1tty:/dev/ttyACM0! ");
}
END_TEST

START_TEST(a_serial_that_came_up_elsewhere_is_found)
{
	char path[64];
	uint64_t begin = now_us();

	ck_assert(!binding_moved(binding, "S1", where1, begin, path, sizeof path));
	tell_serial(HOTPLUG_PRESENT, "ttyACM3", where2, "S1");
	ck_assert(binding_moved(binding, "S1", where1, begin, path, sizeof path));
	ck_assert_str_eq(path, where2);
	/* On its own port, under another serial, or before: it did not move. */
	ck_assert(!binding_moved(binding, "S1", where2, begin, path, sizeof path));
	ck_assert(!binding_moved(binding, "S2", where1, begin, path, sizeof path));
	ck_assert(!binding_moved(binding, "S1", where1, now_us() + 1, path, sizeof path));
}
END_TEST

/* --- reloads under viewers --- */

static char *written_config(const char *dir, unsigned n)
{
	char *file = xasprintf("%s/provd.yaml", dir);
	FILE *f = fopen(file, "we");

	ck_assert_ptr_nonnull(f);
	/* The role changes too, and with it the length of what a view copies. */
	fprintf(f, "stations:\n  - {id: A1, ports: {%s%u: {path: %s, vid: '1209', pid: '%04u'}}}\n",
		n % 2 ? "console-of-another-name-" : "c", n % 7, where1, n % 5);
	ck_assert_int_eq(fclose(f), 0);
	return file;
}

static void reload(const char *dir, unsigned n)
{
	_cleanup_(freep) char *file = written_config(dir, n);
	struct strbuf report = {0};
	struct config *c;
	struct err e;

	ck_assert_msg(config_load(file, &report, &c, &e) == 0, "%s", report.s ? report.s : e.msg);
	binding_set_config(binding, c);
	config_unref(c);
	sb_done(&report);
}

struct viewer {
	pthread_t thread;
	int stop;  /* atomic */
	int looks; /* atomic */
	int bad;   /* a bound port without its role */
};

static void *view(void *arg)
{
	struct viewer *v = arg;

	while (!__atomic_load_n(&v->stop, __ATOMIC_ACQUIRE)) {
		json_t *ports = binding_ports(binding);
		const json_t *o = json_array_get(ports, 0);
		const char *at = json_string_value(json_object_get(o, "port"));

		if (json_object_get(o, "station") && (!at || *at != 'c'))
			v->bad++;
		json_decref(ports);
		__atomic_add_fetch(&v->looks, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* The configuration that a viewer would look into is freed by the reload: the sanitizers see it. */
START_TEST(the_list_of_ports_may_be_asked_for_while_the_configuration_changes)
{
	char dir[] = "/tmp/provd-binding-XXXXXX";
	_cleanup_(freep) char *file = NULL;
	struct viewer v[2] = {0};
	struct err e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	tell(HOTPLUG_PRESENT, "t1", where1, pid, 1);
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		ck_assert_int_eq(thread_start(&v[i].thread, "viewer", view, &v[i], &e), 0);
	/* Until both have looked often enough to have met a reload. */
	while (n < 200 || __atomic_load_n(&v[0].looks, __ATOMIC_ACQUIRE) < 200 ||
		__atomic_load_n(&v[1].looks, __ATOMIC_ACQUIRE) < 200)
		reload(dir, n++);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		__atomic_store_n(&v[i].stop, 1, __ATOMIC_RELEASE);
		pthread_join(v[i].thread, NULL);
		ck_assert_int_eq(v[i].bad, 0);
	}
	file = xasprintf("%s/provd.yaml", dir);
	unlink(file);
	rmdir(dir);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("binding");
	TCase *t = tcase_create("binding");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_a_device_told_twice_is_told_once);
	tcase_add_test(t, test_a_late_remove_of_an_older_one_is_ignored);
	tcase_add_test(t, test_what_a_rescan_does_not_find_is_gone);
	tcase_add_test(t, test_another_device_on_a_known_port_is_wrong);
	tcase_add_test(t, test_an_unbound_port_comes_with_the_lines_that_would_bind_it);
	tcase_add_test(t, a_bound_port_holds_the_snapshot_that_it_is_of_and_no_older_one);
	tcase_add_test(t, a_unit_in_another_of_its_lives_is_the_right_one);
	tcase_add_test(t, a_serial_that_came_up_elsewhere_is_found);
	tcase_add_test(t, the_list_of_ports_may_be_asked_for_while_the_configuration_changes);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
