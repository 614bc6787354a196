/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: every mistake with file, line and column.
 */
#include "daemon/line/config.h"

#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "tests/unit/unit.h"
#include "base/iotime.h"
#include "transports/links/amqp.h"
#include "transports/links/http.h"
#include "transports/links/instrument.h"
#include "transports/links/power.h"
#include "transports/links/printer.h"

static char dir[64];
static struct strbuf report;

static void setup(void)
{
	strcpy(dir, "/tmp/provd-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void drop(const char *name)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);

	remove(path);
}

static void teardown(void)
{
	drop("stations.d/a.yaml");
	drop("stations.d");
	drop("provd.yaml");
	rmdir(dir);
	sb_done(&report);
}

static void put(const char *name, const char *text)
{
	_cleanup_(freep) char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static int load(const char *stations, struct config **ret)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	_cleanup_(freep) char *sub = xasprintf("%s/stations.d", dir);
	_cleanup_(freep) char *main = xasprintf(
		"state_dir: %s\nlisten: 127.0.0.1:0\ninstruments: {psu: {address: 'tcp:127.0.0.1:5025'}}\n",
		dir);
	struct err e;

	mkdir(sub, 0755);
	put("provd.yaml", main);
	put("stations.d/a.yaml", stations);
	sb_clear(&report);
	return config_load(path, &report, ret, &e);
}

static void refuses(const char *stations, const char *place)
{
	struct config *c = NULL;

	ck_assert_msg(load(stations, &c) == -ERR_INVALID, "taken: %s", stations);
	ck_assert_msg(report.s && strstr(report.s, place), "no '%s' in: %s", place, report.s);
}

START_TEST(test_mistakes_have_file_line_and_column_all_at_once)
{
	refuses("stations:\n"
		"  - id: A1\n"
		"    titel: x\n"
		"    ports: {console: {pth: p1}}\n"
		"  - id: A1\n"
		"    settle: 5\n"
		"    ports: {console: {path: p2, vid: zz}}\n",
		"a.yaml:3:5: ");
	ck_assert_ptr_nonnull(strstr(report.s, "'title'"));
	ck_assert_ptr_nonnull(strstr(report.s, "a.yaml:4:23: "));
	ck_assert_ptr_nonnull(strstr(report.s, "a.yaml:5:5: "));
	ck_assert_ptr_nonnull(strstr(report.s, "a.yaml:6:13: "));
	ck_assert_ptr_nonnull(strstr(report.s, "a.yaml:7:38: "));
}
END_TEST

START_TEST(test_ids_of_other_lives_are_a_list_of_usb_ids)
{
	struct config *c = NULL;

	refuses("stations:\n  - {id: A, ports: {c: {path: p1, also: ['0483-df11']}}}\n", "'also'");
	refuses("stations:\n  - {id: A, ports: {c: {path: p1, also: '0483:df11'}}}\n", "'also'");
	ck_assert_int_eq(load("stations:\n  - {id: A, ports: {c: {path: p1, vid: '0483', also: "
			      "['0483:df11', '1209:0001']}, n: {udp: '10.0.0.1:5554'}}}\n",
				 &c),
		0);
	ck_assert_uint_eq(station_port(config_station(c, "A"), "c")->alsos, 2);
	ck_assert_str_eq(station_port(config_station(c, "A"), "c")->also[1], "1209:0001");
	ck_assert_str_eq(station_port(config_station(c, "A"), "n")->address, "udp:10.0.0.1:5554");
	config_unref(c);
}
END_TEST

START_TEST(test_two_stations_cannot_own_one_place)
{
	refuses("stations:\n  - {id: A, ports: {c: {path: p1}}}\n  - {id: B, ports: {c: {path: "
		"p1}}}\n",
		"p1");
	refuses("stations:\n  - {id: A, ports: {c: {tty: /dev/ttyS1}}}\n"
		"  - {id: B, ports: {c: {tty: /dev/ttyS1}}}\n",
		"ttyS1");
}
END_TEST

START_TEST(test_a_good_one_is_read_whole)
{
	struct config *c = NULL;

	ck_assert_msg(load("stations:\n  - {id: A, title: Bay, settle: 250ms, quarantine_after: 3, "
			   "start: manual,\n"
			   "     ports: {c: {path: [p1, p2], vid: '1209', pid: '0001'}, t: "
			   "{tcp: '10.0.0.1:4000'}}}\n",
			      &c) == 0,
		"%s", report.s);

	const struct station_config *s = config_station(c, "A");

	ck_assert_ptr_nonnull(s);
	ck_assert_uint_eq(s->settle_us, 250000);
	ck_assert_uint_eq(s->quarantine_after, 3);
	ck_assert(s->manual);
	ck_assert_uint_eq(s->ports, 2);
	ck_assert_uint_eq(station_port(s, "c")->paths, 2);
	ck_assert_str_eq(station_port(s, "t")->address, "tcp:10.0.0.1:4000");
	ck_assert_ptr_null(config_station(c, "B"));
	config_unref(c);
}
END_TEST

static int listens(const char *lines)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	_cleanup_(freep) char *text = xasprintf("state_dir: %s\n%sstations: []\n", dir, lines);
	struct config *c = NULL;
	struct err e;
	int r;

	put("provd.yaml", text);
	sb_clear(&report);
	r = config_load(path, &report, &c, &e);
	config_unref(c);
	return r;
}

START_TEST(the_network_is_served_without_tls_only_by_who_says_so)
{
	static const char *const open_[] = {"0.0.0.0:8620", "192.168.1.5:80", "'[::]:8620'",
		"'[2001:db8::1]:0'", "126.255.0.1:1", "128.0.0.1:1", "'[::ffff:10.0.0.1]:1'"};
	static const char *const local[] = {
		"127.0.0.1:0", "127.8.9.10:8620", "'[::1]:0'", "'[::ffff:127.0.0.1]:1'"};
	char lines[120];

	for (size_t i = 0; i < ARRAY_LEN(open_); i++) {
		snprintf(lines, sizeof lines, "listen: %s\n", open_[i]);
		ck_assert_msg(listens(lines) == -ERR_INVALID, "%s", open_[i]);
		ck_assert_ptr_nonnull(strstr(report.s, "provd.yaml:2:9: "));
		ck_assert_ptr_nonnull(strstr(report.s, "insecure: true"));
		snprintf(lines, sizeof lines, "listen: %s\ninsecure: true\n", open_[i]);
		ck_assert_msg(listens(lines) == 0, "%s: %s", open_[i], report.s);
		snprintf(lines, sizeof lines, "listen: %s\ninsecure: false\n", open_[i]);
		ck_assert_int_eq(listens(lines), -ERR_INVALID);
	}
	for (size_t i = 0; i < ARRAY_LEN(local); i++) {
		snprintf(lines, sizeof lines, "listen: %s\n", local[i]);
		ck_assert_msg(listens(lines) == 0, "%s: %s", local[i], report.s);
	}
}
END_TEST

#define TLS "tls: {certificate: /c.crt, key: /c.key, client_ca: /ca}\n"

/* Loaded; the caller ends it. */
static struct config *taken(const char *lines)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	_cleanup_(freep) char *text = xasprintf("state_dir: %s\n%sstations: []\n", dir, lines);
	struct config *c = NULL;
	struct err e;

	put("provd.yaml", text);
	sb_clear(&report);
	ck_assert_msg(config_load(path, &report, &c, &e) == 0, "%s: %s", lines, report.s);
	return c;
}

START_TEST(each_listener_is_in_the_clear_or_not_as_it_was_written)
{
	static const struct {
		const char *lines, *said;
	} good[] = {
		{"", "127.0.0.1:8620"},
		{"listen: [127.0.0.1:1, 'unix:/run/p.sock']\n", "127.0.0.1:1, unix:/run/p.sock"},
		{"listen: 0.0.0.0:8620\n" TLS, "https://0.0.0.0:8620"},
		{TLS "listen: ['https://[::]:2', 'http://127.0.0.1:3', 'unix:/s']\n",
			"https://[::]:2, http://127.0.0.1:3, unix:/s"},
	};
	static const struct {
		const char *lines, *said;
	} bad[] = {
		{TLS "listen: 'http://0.0.0.0:1'\n", "this machine alone"},
		{"insecure: true\n" TLS "listen: 'http://0.0.0.0:1'\n", "this machine alone"},
		{TLS "listen: [0.0.0.0:1, 'http://10.0.0.1:1']\n", "10.0.0.1"},
		{"listen: 'https://127.0.0.1:1'\n", "has no certificate"},
		{"listen: []\n", "1 to 8 expected"},
		{"listen: 'unix:relative'\n", "unix:/PATH"},
		{"listen: 8620\n", "HOST:PORT"},
		{"tls: {certificate: /c}\n", "'key'"},
		{"tls: {certificate: c, key: /k}\n", "absolute path"},
		{"tls: {certificate: /c, key: /k, client_crl: /r}\n", "'client_ca' is missing"},
		{"tls: {certificate: /c, key: /k, client_certificates: required}\n",
			"'client_ca' is missing"},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct config *c = taken(good[i].lines);
		struct strbuf said = {0};

		config_listens(c, &said);
		ck_assert_str_eq(said.s, good[i].said);
		sb_done(&said);
		config_unref(c);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(listens(bad[i].lines) == -ERR_INVALID, "%s", bad[i].lines);
		ck_assert_msg(
			strstr(report.s, bad[i].said) != NULL, "%s: %s", bad[i].lines, report.s);
	}
}
END_TEST

START_TEST(who_is_known_by_a_certificate_is_known_by_one_thing)
{
	static const struct {
		const char *row, *said;
	} bad[] = {
		{"{name: a, role: mes}", "it has 0 of them"},
		{"{name: a, role: mes, subject: CN=a, san_dns: a}", "it has 2 of them"},
		{"{name: a, role: boss, subject: CN=a}", "viewer"},
		{"{role: mes, subject: CN=a}", "'name'"},
		{"{name: a, role: mes, subject: CN=a, scopes: {}}", "'scopes'"},
		{"{name: a, role: mes, subject: CN=a, scopes: {station: [A]}}", "'stations'"},
		{"{name: a, role: mes, san_uri: 'urn:b'}", "'b' is known by 'urn:b'"},
	};
	struct config *c = taken(TLS "principals: [{name: mes, role: mes, subject: 'CN=m,O=E',"
				     " scopes: {pools: [sn]}}]\n");

	ck_assert_uint_eq(c->clients, 1);
	ck_assert_int_eq(c->client[0].by, CLIENT_SUBJECT);
	ck_assert_str_eq(c->client[0].value, "CN=m,O=E");
	ck_assert_str_eq(principal_roles[c->client[0].role], "mes");
	ck_assert_ptr_nonnull(json_object_get(c->client[0].scopes, "pools"));
	config_unref(c);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_(freep) char *lines =
			xasprintf(TLS "principals: [{name: b, role: mes, san_uri: 'urn:b'}, %s]\n",
				bad[i].row);

		ck_assert_msg(listens(lines) == -ERR_INVALID, "%s", bad[i].row);
		ck_assert_msg(
			strstr(report.s, bad[i].said) != NULL, "%s: %s", bad[i].row, report.s);
	}
	ck_assert_int_eq(listens("principals: [{name: b, role: mes, san_uri: b}]\n"), -ERR_INVALID);
}
END_TEST

START_TEST(a_state_dir_has_room_for_the_socket_of_its_keyd)
{
	static const char keys[] = "signers: {records: {key: /etc/records.key}}\n";
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	struct err e;

	for (size_t i = 0; i < 4; i++) {
		/* 97 and the 10 of the name are the most that an address of a socket takes. */
		_cleanup_(freep) char *text =
			xasprintf("state_dir: /%0*d\n%s%sstations: []\n", i == 0 ? 96 : 97, 0,
				i == 2 ? "" : keys, i == 3 ? "keyd: /run/keyd.sock\n" : "");
		struct config *c = NULL;
		int r;

		put("provd.yaml", text);
		sb_clear(&report);
		r = config_load(path, &report, &c, &e);
		config_unref(c);
		ck_assert_msg(r == (i == 1 ? -ERR_INVALID : 0), "%zu: %s", i, report.s);
	}
	put("provd.yaml", "");
}
END_TEST

START_TEST(checkpoints_name_a_signer_of_theirs_and_a_service_that_is_there)
{
	static const struct {
		const char *text, *says; /* NULL: it is right */
	} cases[] = {
		{"records: {}\n", NULL},
		{"signers: {log: {key: /k, signs: checkpoints}}\nrecords: {signer: log, every: 1h}\n",
			NULL},
		{"services: {s: {url: 'http://127.0.0.1:1'}}\nrecords: {service: s, path: /a/b}\n",
			NULL},
		{"signers: {log: {key: /k}}\nrecords: {signer: log}\n", "signs: checkpoints"},
		{"records: {signer: log}\n", "no such name as 'log'"},
		{"records: {service: s}\n", "no such name as 's'"},
		{"records: {path: a}\n", "provd.yaml"},
		{"records: 3\n", "a mapping"},
		{"records: {every_runs: 0}\n", "every_runs"},
		{"signers: {log: {key: /k, signs: all}}\n", "signs"},
	};
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	_cleanup_(freep) char *text = xasprintf("state_dir: /s\n%s", cases[_i].text);
	struct config *c = NULL;
	struct err e;
	int r;

	put("provd.yaml", text);
	sb_clear(&report);
	r = config_load(path, &report, &c, &e);
	ck_assert_msg(r == (cases[_i].says ? -ERR_INVALID : 0), "%s: %s", text, report.s);
	if (cases[_i].says)
		ck_assert_msg(strstr(report.s, cases[_i].says) != NULL, "%s", report.s);
	else
		ck_assert(c->records.every_runs == 100 && !strncmp(c->records.path, "/", 1));
	config_unref(c);
	put("provd.yaml", "");
}
END_TEST

START_TEST(an_archive_has_a_folder)
{
	static const struct {
		const char *text, *says; /* NULL: it is right */
	} cases[] = {
		{"archive: {dir: /a}\n", NULL},
		{"archive: {dir: /a, keep_months: 0, keep_bytes: 20G}\n", NULL},
		{"archive: {}\n", "dir"},
		{"archive: {dir: a}\n", "absolute"},
		{"archive: {dir: /a, keep_months: -1}\n", "keep_months"},
		{"archive: {dir: /a, keep: 1}\n", "keep"},
		{"archive: /a\n", "a mapping"},
	};
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	struct err e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(freep) char *text = xasprintf("state_dir: /s\n%s", cases[i].text);
		struct config *c = NULL;
		int r;

		put("provd.yaml", text);
		sb_clear(&report);
		r = config_load(path, &report, &c, &e);
		ck_assert_msg(r == (cases[i].says ? -ERR_INVALID : 0), "%s: %s", text, report.s);
		if (cases[i].says)
			ck_assert_msg(strstr(report.s, cases[i].says) != NULL, "%s", report.s);
		else
			ck_assert_int_eq(c->archive.keep_months, i == 0 ? 12 : 0);
		config_unref(c);
	}
	put("provd.yaml", "");
}
END_TEST

static int load_main(const char *more, struct config **ret)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	_cleanup_(freep) char *text = xasprintf("state_dir: %s\n%s", dir, more);
	struct err e;

	put("provd.yaml", text);
	sb_clear(&report);
	return config_load(path, &report, ret, &e);
}

START_TEST(what_runs_leave_has_limits)
{
	static const char *const bad[] = {"output_max: lots\n", "output_keep: 3\n",
		"run_log_max: -1\n", "run_log_lines: 5\n", "run_log_lines: many\n"};
	struct config *c = NULL;

	ck_assert_int_eq(load_main("", &c), 0);
	ck_assert_uint_eq(c->output_max_bytes, 1u << 30);
	ck_assert_uint_eq(c->output_keep_us, 30ull * 24 * 3600 * 1000000);
	ck_assert_uint_eq(c->run_log_max_bytes, 1u << 20);
	ck_assert_uint_eq(c->run_log_lines, 20000);
	config_unref(c);
	ck_assert_int_eq(load_main("output_max: 5M\noutput_keep: 0s\nrun_log_max: 64K\n"
				   "run_log_lines: 100\n",
				 &c),
		0);
	ck_assert_uint_eq(c->output_max_bytes, 5u << 20);
	ck_assert_uint_eq(c->output_keep_us, 0);
	ck_assert_uint_eq(c->run_log_max_bytes, 64u << 10);
	ck_assert_uint_eq(c->run_log_lines, 100);
	config_unref(c);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(load_main(bad[i], &c) < 0, "%s is taken", bad[i]);
}
END_TEST

START_TEST(what_carries_a_date_waits_for_the_clock_on_a_real_line)
{
	static const struct {
		const char *hotplug, *sync;
		bool service, needed;
	} cases[] = {
		{"[udev]", "auto", false, true},
		{"['stream:/x']", "auto", false, false},
		{"['stream:/x']", "auto", true, true},
		{"['stream:/x']", "required", false, true},
		{"[udev]", "ignored", true, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
		_cleanup_(freep) char *text =
			xasprintf("hotplug: %s\nclock_sync: %s\n", cases[i].hotplug, cases[i].sync);
		struct config *c = NULL;
		struct err e;

		put("provd.yaml", text);
		ck_assert_int_eq(config_load(path, &report, &c, &e), 0);
		ck_assert_int_eq(config_needs_sync(c, cases[i].service), cases[i].needed);
		config_unref(c);
	}
}
END_TEST

static const char *const services_good[] = {
	"services: {c: {url: 'https://cloud.example/api/', token: key}}\n",
	"services: {c: {url: 'http://127.0.0.1:8080', token: key}}\n",
	"services: {c: {url: 'http://[::1]:8080/x', token: key}}\n",
	"services: {c: {url: 'http://localhost/x', token: key}}\n",
	"services: {c: {url: 'http://mes.example', timeout: 2s}}\n",
	"services: {c: {url: 'https://x', ca: /a, cert: /b, key: /c}}\n",
};
static const struct {
	const char *lines, *said;
} services_bad[] = {
	{"services: [a]\n", "must be a mapping of names"},
	{"services: {c: https://x}\n", "a service is a mapping"},
	{"services: {c: {token: key}}\n", "url"},
	{"services: {c: {url: 'ftp://x'}}\n", "not an address of a service"},
	{"services: {c: {url: 'https://u:p@x'}}\n", "not an address of a service"},
	{"services: {c: {url: 'http://cloud.example', token: key}}\n", "in the clear"},
	{"services: {c: {url: 'http://127.0.0.1.example', token: key}}\n", "in the clear"},
	{"services: {c: {url: 'https://x', token: kay}}\n", "no such name"},
	{"services: {c: {url: 'https://x', cert: /a}}\n", "together"},
	{"services: {c: {url: 'https://x', ca: a}}\n", "ca"},
	{"services: {c: {url: 'https://x', tokn: key}}\n", "did you mean 'token'"},
	{"services: {'a b': {url: 'https://x'}}\n", "letters, digits"},
};

static const struct {
	const char *lines, *said;
} printers_bad[] = {
	{"printers: [a]\n", "must be a mapping of names"},
	{"printers: {c: '10.0.0.1:9100'}\n", "a printer is a mapping"},
	{"printers: {c: {kind: zpl}}\n", "'address' is missing"},
	{"printers: {c: {address: '10.0.0.1'}}\n", "must be HOST:PORT"},
	{"printers: {c: {address: 'p:9100', kind: epl}}\n", "one of zpl, ipp, ipps expected"},
	{"printers: {c: {address: 'p:631', kind: ipp, path: 'ipp/../x'}}\n", "'path': "},
	{"printers: {c: {address: 'p:9100', answr: 1s}}\n", "did you mean 'answer'"},
	{"printers: {'a b': {address: 'p:9100'}}\n", "letters, digits"},
};

static const struct {
	const char *lines, *said;
} instruments_bad[] = {
	{"instruments: [a]\n", "must be a mapping of names"},
	{"instruments: {m: 'tcp:10.0.0.1:5025'}\n", "an instrument is a mapping"},
	{"instruments: {m: {owner: lab}}\n", "'address' is missing"},
	{"instruments: {m: {address: '10.0.0.1:5025'}}\n",
		"tcp:HOST:PORT, vxi11:HOST, hislip:HOST or tty:/dev/NAME expected"},
	{"instruments: {m: {address: 'tcp:m:5025', proof: late}}\n", "belong together"},
	{"instruments: {m: {address: 'tcp:m:5025', late: 1s}}\n", "belong together"},
	{"instruments: {m: {address: 'tcp:m:5025', identity: '('}}\n", "'identity': "},
	{"instruments: {m: {address: 'tcp:m:5025', calibrated_until: '2026-13-1'}}\n",
		"'calibrated_until'"},
	{"instruments: {m: {address: 'tcp:m:5025', calibrated_until: '2026-02-31'}}\n",
		"a day such as"},
	{"instruments: {m: {address: 'tcp:m:5025', adress: x}}\n", "unknown key 'adress'"},
};

static const struct {
	const char *lines, *said;
} shifts_bad[] = {
	{"shifts: [a]\n", "must be a mapping of names"},
	{"shifts: {early: '06:00'}\n", "a shift is a mapping"},
	{"shifts: {early: {from: '06:00'}}\n", "'to' is missing"},
	{"shifts: {early: {from: '06:60', to: '14:00'}}\n", "'from' is '06:60': a time of the day"},
	{"interlocks: {golden: {units: [G]}}\n", "'golden' needs 'every', or 'each_shift: true'"},
	{"interlocks: {golden: {each_shift: true, units: [G]}}\n", "there are no 'shifts'"},
	{"interlocks: {wear: {warn: 3}}\n", "'endurance' is missing"},
	{"shifts: {early: {from: '06:00', to: '24:00'}}\n", "'to' is '24:00': a time of the day"},
	{"shifts: {early: {from: '06:00', to: '14:00', unit: 1}}\n", "did you mean 'units'"},
	{"shifts: {'a b': {from: '06:00', to: '14:00'}}\n", "letters, digits"},
};

#define CFX(more) "cfx: {url: 'amqps://b', handle: 'a.b.{station}'" more "}\n"
static const struct {
	const char *lines, *said;
} told_bad[] = {
	{"cfx: amqps://b\n", "'cfx' is a mapping"},
	{CFX(""), "'address' is missing"},
	{CFX(", address: ''"), "a target address of the broker"},
	{CFX(", address: []"), "a target address of the broker"},
	{CFX(", address: [x, 'a b']"), "'a b' is not what is expected"},
	{CFX(", address: x, user: me"), "'user' and 'password' together"},
	{CFX(", address: x, user: me, password: kay"), "'secrets' has no such name"},
	{CFX(", address: x, types: [CFX.Production.WorkStart]"),
		"a list of messages that provd sends"},
	{CFX(", address: x, stations: A1"), "a list of stations"},
	{CFX(", address: x, adress: y"), "did you mean 'address'"},
	{"cfx: {url: 'amqp://broker', handle: a.b.c, address: x, user: me, password: key}\n",
		"in the clear"},
	{"cfx: {url: 'amqps://b/queue', handle: a.b.c, address: x}\n", "is not a url of AMQP"},
	{"cfx: {url: 'amqps://b', handle: provd.A1, address: x}\n", "is no CFX handle"},
	{"spool: {dir: /x, format: csv}\n", "one of event"},
	{"spool: {dir: /x, format: wsjf, types: [job-created]}\n", "only run-finished has"},
	{"wats: [10]\n", "'wats' is a mapping"},
};

#define POWERED(power) "stations:\n  - {id: A1, ports: {dut: {path: 1-8.2}}, power: " power "}\n"
#define TWO(a, b)                                                              \
	"stations:\n  - {id: A1, ports: {dut: {path: 1-8.2}}, power: " a "}\n" \
	"  - {id: A2, ports: {dut: {path: 1-8.3}}, power: " b "}\n"

static const struct {
	const char *stations, *said;
} power_bad[] = {
	{POWERED("hub"), "'power' is a mapping"},
	{POWERED("{role: dut}"), "'kind' is missing"},
	{POWERED("{kind: hub}"), "needs 'role', or 'hub' and 'port'"},
	{POWERED("{kind: hub, hub: 1-8}"), "needs 'role', or 'hub' and 'port'"},
	{POWERED("{kind: hub, hub: 1-8, port: 2, role: dut}"), "needs 'role', or 'hub' and 'port'"},
	{POWERED("{kind: hub, role: dust}"), "the role 'dust', which is bound to no USB port"},
	{POWERED("{kind: hub, role: dut, roles: [dut, console]}"),
		"has 'console', and its ports do not"},
	{POWERED("{kind: hub, role: dut, serial: AB1CD}"),
		"'serial' is not a key of power of kind hub"},
	{POWERED("{kind: hid_relay}"), "needs 'channel', from 1 to 8"},
	{POWERED("{kind: hid_relay, channel: 9}"), "needs 'channel', from 1 to 8"},
	{POWERED("{kind: hid_relay, channel: 1, serial: AB}"), "'serial'"},
	{POWERED("{kind: gpio, line: 3}"), "needs 'chip'"},
	{POWERED("{kind: serial_relay, address: 'tty:/dev/x', on: '01'}"), "needs 'off'"},
	{POWERED("{kind: serial_relay, address: 'tcp:x:1', on: '01', off: '00'}"),
		"tty:/dev/NAME@BAUD expected"},
	{POWERED("{kind: serial_relay, address: 'tty:/dev/x', on: '0', off: '00'}"), "'on': '0'"},
	{POWERED("{kind: serial_relay, address: 'tty:/dev/x', on: '01', off: '00', query: 'ff'}"),
		"belong together"},
	{POWERED("{kind: scpi, channel: 1}"), "needs 'instrument'"},
	{POWERED("{kind: program, run_on: [a]}"), "needs 'run_off'"},
	{POWERED("{kind: program, run_on: a, run_off: [b]}"), "a list of 1 to 32 texts"},
	{POWERED("{kind: hubs}"), "one of hub"},
	{TWO("{kind: hub, role: dut}", "{kind: hub, hub: 1-8, port: 2}"),
		"stations 'A1' and 'A2' both have their power from port 2 of hub 1-8"},
	{TWO("{kind: hid_relay, serial: AB1CD, channel: 1}",
		 "{kind: hid_relay, serial: AB1CD, channel: 1}"),
		"both have their power from channel 1 of USB relay AB1CD"},
	/* What is silently passed over switches something else, or says what is not so. */
	{POWERED("{kind: gpio, chip: gpiochip0}"), "needs 'line'"},
	{POWERED("{kind: hub, role: dut, port: 3}"), "needs 'role', or 'hub' and 'port'"},
	{POWERED("{kind: hub, role: dut, hub: 1-9}"), "needs 'role', or 'hub' and 'port'"},
	{POWERED("{kind: hub, role: dut, channel: 3}"), "'channel' is not a key"},
	{POWERED("{kind: hid_relay, channel: 1, active_low: true}"), "'active_low' is not a key"},
	{POWERED("{kind: program, run_on: [a], run_off: [b], answer: 2s}"),
		"'answer' is not a key"},
	{POWERED("{kind: program, run_on: [a, x], run_off: [a, x]}"), "are the same program"},
	{POWERED("{kind: scpi, instrument: psu, on: 'OUTP ON', off: 'OUTP ON'}"),
		"are the same command"},
	{POWERED("{kind: serial_relay, address: 'tty:/dev/x', on: 'a0 01', off: 'A001'}"),
		"'on' and 'off' are the same bytes"},
	{POWERED("{kind: serial_relay, address: 'tty:/dev/x', on: '01', off: '00', query: 'ff', answers_on: '31', answers_off: '3130'}"),
		"begins with the other"},
	{POWERED("{kind: serial_relay, address: 'tty:/dev/x', on: '01', off: '00', query: 'ff', answers_on: '31', answers_off: '31'}"),
		"begins with the other"},
	{POWERED("{kind: scpi, instrument: nothing}"),
		"a.yaml:2:50: station 'A1': 'power' names the instrument 'nothing', which 'instruments' of provd.yaml does not have"},
	{"stations:\n  - {id: A1, ports: {dut: {path: 1-8.2}, uart: {tty: /dev/ttyS0}}, power: {kind: hub, role: dut, roles: [uart]}}\n",
		"which is at the fixed address tty:/dev/ttyS0"},
	{TWO("{kind: hid_relay, serial: AB1CD, channel: 1}", "{kind: hid_relay, channel: 1}"),
		"a.yaml:3:50: stations 'A1' and 'A2' both have their power from channel 1 of USB relay"},
	{TWO("{kind: serial_relay, address: 'tty:/dev/x', on: 'a0 01', off: '00'}",
		 "{kind: serial_relay, address: 'tty:/dev/x@9600', on: 'A001', off: '00'}"),
		"both have their power from relay"},
	{TWO("{kind: scpi, instrument: psu}", "{kind: scpi, instrument: psu, channel: 1}"),
		"both have their power from output 1 of supply psu"},
	{TWO("{kind: program, run_on: [a, x], run_off: [b]}",
		 "{kind: program, run_on: [a, x], run_off: [c]}"),
		"both have their power from program a x"},
	{"stations:\n  - {id: A1, ports: {dut: {path: 1-8.2}}, reset: {chip: c, line: 3}}\n"
	 "  - {id: A2, ports: {dut: {path: 1-8.3}}, reset: {chip: c, line: 3}}\n",
		"stations 'A1' and 'A2' are both reset by line 3 of c"},
	{"stations:\n  - {id: A1, ports: {dut: {path: 1-8.2}}, reset: {chip: c, line: 3}}\n"
	 "  - {id: A2, ports: {dut: {path: 1-8.3}}, power: {kind: gpio, chip: c, line: 3}}\n",
		"station 'A1' is reset by line 3 of c, which is the power of station 'A2'"},
	{"stations:\n  - {id: A1, ports: {dut: {path: 1-8.2}}, reset: {line: 3}}\n",
		"'chip' is missing"},
};

START_TEST(test_power_that_cannot_be_switched)
{
	refuses(power_bad[_i].stations, power_bad[_i].said);
}
END_TEST

START_TEST(test_power_of_a_station)
{
	struct config *c = NULL;
	struct power_way w;
	struct err e;

	ck_assert_msg(load(TWO("{kind: hid_relay, serial: AB1CD, channel: 1, roles: [dut]}",
				   "{kind: scpi, instrument: psu, channel: 3}"),
			      &c) == 0,
		"%s", report.s);
	ck_assert_int_eq(config_power(c, config_station(c, "A1"), &w, &e), 0);
	ck_assert_int_eq(w.kind, POWER_HID_RELAY);
	ck_assert_str_eq(w.serial, "AB1CD");
	ck_assert_str_eq(w.role[0], "dut");
	ck_assert_ptr_null(w.role[1]);
	ck_assert_uint_eq(w.gap_us, 200000); /* where provd.yaml says nothing */
	ck_assert_int_eq(config_power(c, config_station(c, "A2"), &w, &e), 0);
	ck_assert_str_eq(w.say_on, "OUTP ON,(@3)");
	ck_assert_str_eq(w.say_query, "OUTP? (@3)");
	ck_assert(!station_config_equal(config_station(c, "A1"), config_station(c, "A2")));
	config_unref(c);
	ck_assert_int_eq(load("stations:\n  - {id: A1, ports: {dut: {path: 1-8.2}}}\n", &c), 0);
	ck_assert_int_eq(config_power(c, config_station(c, "A1"), &w, &e), -ERR_NOT_FOUND);
	config_unref(c);
}
END_TEST

START_TEST(test_a_change_of_power_is_seen_at_a_reload)
{
	struct config *a = NULL, *b = NULL;

	ck_assert_int_eq(
		load(POWERED("{kind: program, run_on: [x, '1'], run_off: [x, '0']}"), &a), 0);
	ck_assert_int_eq(
		load(POWERED("{kind: program, run_on: [x, '1'], run_off: [x, '2']}"), &b), 0);
	ck_assert(station_config_equal(&a->station[0], &a->station[0]));
	ck_assert(!station_config_equal(&a->station[0], &b->station[0]));
	config_unref(a);
	config_unref(b);
}
END_TEST

/* services comes before secrets: the order of keys is the author's. */
static int load_services(const char *lines, struct config **ret)
{
	_cleanup_(freep) char *path = xasprintf("%s/provd.yaml", dir);
	_cleanup_(freep) char *text =
		xasprintf("state_dir: %s\n%ssecrets: {key: {file: %s/provd.yaml}}\nstations: []\n",
			dir, lines, dir);
	struct err e;

	put("provd.yaml", text);
	sb_clear(&report);
	return config_load(path, &report, ret, &e);
}

START_TEST(a_service_has_an_address_and_a_token_that_is_a_secret)
{
	struct config *c = NULL;

	ck_assert_msg(
		load_services(services_good[_i], &c) == 0, "%s%s", services_good[_i], report.s);
	ck_assert_uint_eq(c->services, 1);
	config_unref(c);
}
END_TEST

START_TEST(a_printer_has_a_name_and_an_address)
{
	struct config *c = NULL;
	struct printer p;
	struct err e;

	ck_assert_msg(
		load_services("printers: {plates: {address: 'lp1:9100', answer: 1s}}\n", &c) == 0,
		"%s", report.s);
	ck_assert_int_eq(config_printer(c, "plates", &p, &e), 0);
	ck_assert_str_eq(p.address, "tcp:lp1:9100");
	ck_assert_uint_eq(p.answer_us, US_PER_S);
	ck_assert_int_eq(p.kind, PRINTER_ZPL);
	ck_assert_int_eq(config_printer(c, "plate", &p, &e), -ERR_NOT_FOUND);
	ck_assert_str_eq(e.msg, "provd.yaml names no printer 'plate', did you mean 'plates'?");
	config_unref(c);
}
END_TEST

START_TEST(a_printer_of_ipp_has_a_path_and_perhaps_certificates)
{
	struct config *c = NULL;
	struct printer p;

	ck_assert_msg(
		load_services(
			"printers: {q: {address: 'lp1:631', kind: ipps, path: /printers/q, ca: /c.pem}}\n",
			&c) == 0,
		"%s", report.s);
	ck_assert_int_eq(config_printer(c, "q", &p, NULL), 0);
	ck_assert_int_eq(p.kind, PRINTER_IPPS);
	ck_assert_str_eq(p.path, "/printers/q");
	ck_assert_str_eq(p.ca, "/c.pem");
	config_unref(c);
}
END_TEST

START_TEST(a_printer_that_is_none_is_refused_at_its_place)
{
	struct config *c = NULL;

	ck_assert_int_eq(load_services(printers_bad[_i].lines, &c), -ERR_INVALID);
	ck_assert_msg(strstr(report.s, printers_bad[_i].said), "%s", report.s);
}
END_TEST

START_TEST(an_instrument_has_a_name_an_address_and_what_is_known_of_it)
{
	struct config *c = NULL;
	struct instrument i;
	struct err e;

	ck_assert_msg(
		load_services(
			"instruments: {m: {address: 'tcp:m:5025', owner: lab, calibrated_until: '2027-03-31'}}\n",
			&c) == 0,
		"%s", report.s);
	ck_assert_int_eq(config_instrument(c, "m", &i, &e), 0);
	ck_assert_str_eq(i.address, "tcp:m:5025");
	ck_assert_str_eq(i.owner, "lab");
	ck_assert_str_eq(i.calibrated_until, "2027-03-31");
	ck_assert_uint_eq(i.answer_us, 5 * US_PER_S);
	ck_assert_uint_eq(i.late_us, 0);
	ck_assert_int_eq(config_instrument(c, "mm", &i, &e), -ERR_NOT_FOUND);
	ck_assert_str_eq(e.msg, "provd.yaml names no instrument 'mm', did you mean 'm'?");
	config_unref(c);
}
END_TEST

START_TEST(an_instrument_that_is_none_is_refused_at_its_place)
{
	struct config *c = NULL;

	ck_assert_int_eq(load_services(instruments_bad[_i].lines, &c), -ERR_INVALID);
	ck_assert_msg(strstr(report.s, instruments_bad[_i].said), "%s", report.s);
}
END_TEST

START_TEST(a_shift_has_a_name_its_times_and_what_it_is_to_make)
{
	struct config *c = NULL;

	ck_assert_msg(load_services("shifts: {night: {from: '22:00', to: '06:00', units: 300}}\n",
			      &c) == 0,
		"%s", report.s);
	ck_assert_uint_eq(c->shifts, 1);
	ck_assert_str_eq(c->shift[0].name, "night");
	ck_assert_int_eq(c->shift[0].from_min, 22 * 60);
	ck_assert_int_eq(c->shift[0].to_min, 6 * 60);
	ck_assert_int_eq(c->shift[0].units, 300);
	config_unref(c);
}
END_TEST

START_TEST(a_shift_that_is_none_is_refused_at_its_place)
{
	struct config *c = NULL;

	ck_assert_int_eq(load_services(shifts_bad[_i].lines, &c), -ERR_INVALID);
	ck_assert_msg(strstr(report.s, shifts_bad[_i].said), "%s", report.s);
}
END_TEST

START_TEST(a_broker_has_addresses_and_an_endpoint_for_each_station)
{
	struct config *c = NULL;

	if (!amqp_built())
		return;
	ck_assert_msg(
		load_services("cfx: {url: 'amqp://localhost', handle: 'a.b.{station}', address: x,"
			      " user: me, password: key, stations: [A1], heartbeat: 5m}\n",
			&c) == 0,
		"%s", report.s);
	ck_assert_str_eq(json_string_value(json_array_get(c->cfx.addresses, 0)), "x");
	ck_assert_uint_eq(json_array_size(c->cfx.types), 0);
	ck_assert_uint_eq(c->cfx.heartbeat_us, 300 * US_PER_S);
	ck_assert_uint_eq(c->cfx.timeout_us, 15 * US_PER_S);
	ck_assert_str_eq(c->wats.process_code, "10");
	config_unref(c);
	ck_assert_msg(load_services("spool: {dir: /x, format: wsjf}\n", &c) == 0, "%s", report.s);
	ck_assert_str_eq(json_string_value(json_array_get(c->spool.types, 0)), "run-finished");
	config_unref(c);
}
END_TEST

START_TEST(where_nothing_can_be_told_is_refused_at_its_place)
{
	struct config *c = NULL;

	ck_assert_msg(load_services(told_bad[_i].lines, &c) == -ERR_INVALID, "taken: %s",
		told_bad[_i].lines);
	ck_assert_msg(strstr(report.s, told_bad[_i].said) && strstr(report.s, "provd.yaml:2:"),
		"%s", report.s);
}
END_TEST

START_TEST(a_service_that_is_none_is_refused_at_its_place)
{
	struct config *c = NULL;

	ck_assert_msg(load_services(services_bad[_i].lines, &c) == -ERR_INVALID, "taken: %s",
		services_bad[_i].lines);
	ck_assert_msg(strstr(report.s, services_bad[_i].said) && strstr(report.s, "provd.yaml:2:"),
		"%s", report.s);
}
END_TEST

START_TEST(a_service_is_given_out_whole_with_the_text_of_its_token)
{
	struct http_service got;
	struct config *c = NULL;
	struct err e;

	ck_assert_int_eq(load_services(services_good[0], &c), 0);
	ck_assert_msg(config_service(c, "c", &got, &e) == 0, "%s", e.msg);
	ck_assert_str_eq(got.url, "https://cloud.example/api");
	ck_assert_int_eq(strncmp(got.token, "state_dir: ", 11), 0); /* what is in the file */
	ck_assert_uint_eq(got.timeout_us, 15 * US_PER_S);
	http_service_done(&got);
	ck_assert_int_eq(config_service(c, "d", &got, &e), -ERR_NOT_FOUND);
	config_unref(c);
	ck_assert_int_eq(load_services("services: {cloud: {url: 'https://x'}}\n", &c), 0);
	ck_assert_int_eq(config_service(c, "clout", &got, &e), -ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(e.msg, "did you mean 'cloud'?"));
	config_unref(c);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_mistakes_have_file_line_and_column_all_at_once);
	tcase_add_test(t, test_ids_of_other_lives_are_a_list_of_usb_ids);
	tcase_add_test(t, test_two_stations_cannot_own_one_place);
	tcase_add_test(t, test_a_good_one_is_read_whole);
	tcase_add_test(t, the_network_is_served_without_tls_only_by_who_says_so);
	tcase_add_test(t, what_runs_leave_has_limits);
	tcase_add_test(t, an_archive_has_a_folder);
	tcase_add_loop_test(t, a_service_has_an_address_and_a_token_that_is_a_secret, 0,
		(int)ARRAY_LEN(services_good));
	tcase_add_test(t, a_printer_has_a_name_and_an_address);
	tcase_add_test(t, an_instrument_has_a_name_an_address_and_what_is_known_of_it);
	tcase_add_loop_test(t, an_instrument_that_is_none_is_refused_at_its_place, 0,
		ARRAY_LEN(instruments_bad));
	tcase_add_test(t, a_printer_of_ipp_has_a_path_and_perhaps_certificates);
	tcase_add_loop_test(
		t, a_printer_that_is_none_is_refused_at_its_place, 0, (int)ARRAY_LEN(printers_bad));
	tcase_add_test(t, a_shift_has_a_name_its_times_and_what_it_is_to_make);
	tcase_add_loop_test(
		t, a_shift_that_is_none_is_refused_at_its_place, 0, ARRAY_LEN(shifts_bad));
	tcase_add_test(t, a_broker_has_addresses_and_an_endpoint_for_each_station);
	tcase_add_loop_test(
		t, where_nothing_can_be_told_is_refused_at_its_place, 0, ARRAY_LEN(told_bad));
	tcase_add_loop_test(
		t, a_service_that_is_none_is_refused_at_its_place, 0, (int)ARRAY_LEN(services_bad));
	tcase_add_test(t, a_service_is_given_out_whole_with_the_text_of_its_token);
	tcase_add_test(t, each_listener_is_in_the_clear_or_not_as_it_was_written);
	tcase_add_test(t, who_is_known_by_a_certificate_is_known_by_one_thing);
	tcase_add_test(t, a_state_dir_has_room_for_the_socket_of_its_keyd);
	tcase_add_loop_test(
		t, checkpoints_name_a_signer_of_theirs_and_a_service_that_is_there, 0, 10);
	tcase_add_test(t, what_carries_a_date_waits_for_the_clock_on_a_real_line);
	tcase_add_loop_test(t, test_power_that_cannot_be_switched, 0, (int)ARRAY_LEN(power_bad));
	tcase_add_test(t, test_power_of_a_station);
	tcase_add_test(t, test_a_change_of_power_is_seen_at_a_reload);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(suite)
