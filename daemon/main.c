/* SPDX-License-Identifier: Apache-2.0
 *
 * provd: argv, signals and the main loop. Everything else is wired together here and lives in its
 * own room.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "api/api.h"
#include "base/harden.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/outfile.h"
#include "base/secret.h"
#include "base/util.h"
#include "daemon/line/check.h"
#include "daemon/line/webhooks.h"
#include "provd_config.h"

#define TICK_MS	    1000
#define ALIVE_US    (30 * US_PER_S)
#define LOOK_US	    (10 * US_PER_S)
#define FIXED_FDS   2
#define MAX_SOURCES 8
#define OWN_FDS	    64
#define STATION_FDS 32
#define PORT_FDS    2
#define HOSTS_MAX   32

struct options {
	const char *config;
	const char *port_file;
	bool check;
	bool make_token;
	bool check_upgrade;
	const char *make_certificate; /* NULL, or the folder */
	const char *host[HOSTS_MAX];  /* of it */
	size_t hosts;
	const char *role, *name; /* of make_token; name NULL: made up */
	enum log_format log_format;
	enum log_level log_level;
};

struct provd {
	struct options opt;
	struct config *config;
	struct fleet *fleet;
	struct api *api;
	int signal_fd, timer_fd;
	uint64_t watchdog_us, looked_us;
	bool alive; /* when it was looked at */
	bool stopping;
	uint64_t stop_deadline_us;
};

static void usage(FILE *out)
{
	fputs("usage: provd [--config FILE] [--check] [--check-upgrade]\n"
	      "             [--log-format auto|text|json|journal] [--port-file FILE]\n"
	      "             [--log-level error|warning|notice|info|debug]\n"
	      "             [--make-token [--role ROLE] [--name NAME]]\n"
	      "             [--make-certificate DIR [--host NAME]...] [--version] [--help]\n"
	      "\n"
	      "Provisions devices on the stations of FILE (default " PROVD_SYSCONFDIR
	      "/provd/provd.yaml).\n"
	      "  --check        print every mistake of the configuration with line and column, what "
	      "no USB\n"
	      "                 controller of this machine carries, and exit\n"
	      "  --check-upgrade  say what this version would do to the records, for how long and "
	      "with how\n"
	      "                 much disk, and exit; provd may run\n"
	      "  --make-token   print a new token of the API (ROLE: admin) and exit; provd must "
	      "not "
	      "run\n"
	      "  --make-certificate DIR  make a certificate and key for TLS, which is its own issuer, "
	      "and exit\n"
	      "  --port-file F  write the TCP port of the API to F once it serves (for listen: "
	      "HOST:0)\n"
	      "SIGTERM ends runs at a safe point, a second one at once; SIGHUP reads the stations "
	      "again.\n"
	      "See provd(8), provd.yaml(5).\n",
		out);
}

static int choice(const char *s, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], s))
			return i;
	return -1;
}

/* Where the text of an option goes; NULL for those that are more than a text. */
static const char **text_option(struct options *o, int c)
{
	return c == 'c'	  ? &o->config
	       : c == 'p' ? &o->port_file
	       : c == 'r' ? &o->role
	       : c == 'n' ? &o->name
	       : c == 'C' ? &o->make_certificate
			  : NULL;
}

/* 0: go on, else the exit status + 1. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"config", 1, NULL, 'c'}, {"check", 0, NULL, 'k'},
		{"check-upgrade", 0, NULL, 'u'}, {"log-format", 1, NULL, 'f'},
		{"log-level", 1, NULL, 'l'}, {"port-file", 1, NULL, 'p'},
		{"make-token", 0, NULL, 'm'}, {"role", 1, NULL, 'r'}, {"name", 1, NULL, 'n'},
		{"make-certificate", 1, NULL, 'C'}, {"host", 1, NULL, 'H'},
		{"version", 0, NULL, 'v'}, {"help", 0, NULL, 'h'}, {0}};
	static const char *const formats[] = {"auto", "text", "json", "journal"};
	static const char *const levels[] = {"error", "warning", "notice", "info", "debug"};
	int c;
	int n;

	*o = (struct options){.config = PROVD_SYSCONFDIR "/provd/provd.yaml",
		.role = "admin",
		.log_level = LOG_LEVEL_INFO};
	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		const char **text = text_option(o, c);

		if (text) {
			*text = optarg;
			continue;
		}
		switch (c) {
		case 'k':
			o->check = true;
			break;
		case 'u':
			o->check_upgrade = true;
			break;
		case 'm':
			o->make_token = true;
			break;
		case 'f':
			n = choice(optarg, formats, ARRAY_LEN(formats));
			if (n < 0)
				return usage(stderr), 3;
			o->log_format = (enum log_format)n;
			break;
		case 'l':
			n = choice(optarg, levels, ARRAY_LEN(levels));
			if (n < 0)
				return usage(stderr), 3;
			o->log_level = (enum log_level)n;
			break;
		case 'H':
			if (o->hosts == HOSTS_MAX)
				return usage(stderr), 3;
			o->host[o->hosts++] = optarg;
			break;
		case 'v':
			puts("provd " PROVD_VERSION);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			return usage(stderr), 3;
		}
	}
	if (optind < argc)
		return usage(stderr), 3;
	return 0;
}

static int load_config(const char *path, struct config **ret)
{
	struct strbuf report = {0};
	struct err e;
	int r = config_load(path, &report, ret, &e);

	if (report.s)
		fputs(report.s, stderr);
	sb_done(&report);
	return r;
}

/* The admin token of the first start goes to a file that only its owner reads: never into a log. It
 * is there, whole, before the token is valid. */
static int keep_token(void *data, const char *token, struct err *e)
{
	struct provd *p = data;
	_cleanup_(freep) char *path = xasprintf("%s/admin-token", p->config->state_dir);
	_cleanup_(outfile_done) struct outfile f = {.fd = -1};
	char digest[SHA256_HEX];
	int r = outfile_open(&f, path, e);

	if (r == 0 && fchmod(f.fd, 0600) < 0)
		r = err_errno(e, ERR_IO, errno, "%s", path);
	if (r == 0)
		r = outfile_add(&f, token, strlen(token), e);
	if (r == 0)
		r = outfile_add(&f, "\n", 1, e);
	if (r == 0)
		r = outfile_end(&f, digest, e);
	if (r == 0)
		r = outfile_commit(&f, e);
	if (r < 0)
		return err_prefix(e, "the admin token");
	log_notice("first start: the admin token is in %s; read it, then remove the file", path);
	return 0;
}

static int print_token(void *data, const char *token, struct err *e)
{
	return puts(token) < 0 || fflush(stdout) != 0
		       ? err_errno(e, ERR_IO, errno, "write the token to standard output")
		       : 0;
}

/* The exit status. */
static int make_token(struct provd *p)
{
	struct err e;

	if (api_make_token(p->config->state_dir, p->opt.role, p->opt.name, print_token, NULL, &e) ==
		0)
		return 0;
	fprintf(stderr, "provd: %s\n", e.msg);
	return 1;
}

/* The exit status: 2 for any mistake. */
static int check(const struct options *o)
{
	struct config *c = NULL;
	struct err e;
	int status = check_configuration(o->config);

	if (status != 0 || load_config(o->config, &c) < 0)
		return status ? status : 2;
	if (api_check_tls(c, &e) < 0) {
		fprintf(stderr, "%s: %s\n", o->config, e.msg);
		status = 2;
	}
	config_unref(c);
	return status;
}

/* What goes on in the copy is not said: it would read as if it went on in the database. */
static int say_upgrade(const struct provd *p)
{
	log_init(p->opt.log_format, LOG_LEVEL_ERROR);
	return check_upgrade(p->config->state_dir);
}

/* The exit status. Needs no configuration, which may not be there yet. */
static int make_certificate(const struct options *o)
{
	const char *dir = o->make_certificate;
	struct err e;

	if (api_make_certificate(dir, o->host, o->hosts, &e) < 0) {
		fprintf(stderr, "provd: %s\n", e.msg);
		return 1;
	}
	printf("%s/provd.crt and %s/provd.key are made: for provd.yaml\n"
	       "  tls: {certificate: %s/provd.crt, key: %s/provd.key}\n"
	       "and for clients\n"
	       "  provctl --cacert %s/provd.crt --url https://...\n",
		dir, dir, dir, dir, dir);
	return 0;
}

static int write_port_file(const struct provd *p, struct err *e)
{
	FILE *f = p->opt.port_file ? fopen(p->opt.port_file, "we") : NULL;

	if (!p->opt.port_file)
		return 0;
	if (!f)
		return err_errno(e, ERR_IO, errno, "%s", p->opt.port_file);
	fprintf(f, "%u\n", api_port(p->api));
	return fclose(f) == 0 ? 0 : err_errno(e, ERR_IO, errno, "%s", p->opt.port_file);
}

static int make_fds(struct provd *p, struct err *e)
{
	const struct itimerspec every = {{TICK_MS / 1000, TICK_MS % 1000 * 1000000},
		{TICK_MS / 1000, TICK_MS % 1000 * 1000000}};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (p->signal_fd < 0 || p->timer_fd < 0 ||
		timerfd_settime(p->timer_fd, 0, &every, NULL) < 0)
		return err_errno(e, ERR_IO, errno, "signals and timers");
	return 0;
}

/* Descriptors that this configuration may need at one time: those of the API, of each station
 * (wake-ups, the pipes of a tool, files and images of a step) and of each of its ports, and of webhooks
 * where they may go anywhere. */
static rlim_t descriptors_needed(const struct config *c)
{
	const bool webhooks = c->webhooks.allow.names > 0 || c->webhooks.allow.nets > 0;
	rlim_t n = OWN_FDS + api_descriptors() + (webhooks ? WEBHOOKS_DESCRIPTORS : 0);

	for (size_t i = 0; i < c->stations; i++)
		n += STATION_FDS + PORT_FDS * c->station[i].ports;
	return n;
}

/* At 3 a.m. a station would fail to open its port: a limit that is too low is seen at the start. */
static int raise_descriptors(const struct config *c, struct err *e)
{
	const rlim_t need = descriptors_needed(c);
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return err_errno(e, ERR_IO, errno, "limit of open files");
	if (now.rlim_max < need)
		return err_set(e, ERR_INVALID,
			"%zu stations and the API need %llu open files, the limit is %llu: raise it (ulimit -Hn, or LimitNOFILE= of the unit)",
			c->stations, (unsigned long long)need, (unsigned long long)now.rlim_max);
	if (now.rlim_cur >= need)
		return 0;
	now.rlim_cur = need;
	return setrlimit(RLIMIT_NOFILE, &now) < 0
		       ? err_errno(e, ERR_IO, errno, "limit of open files")
		       : 0;
}

static void reload(struct provd *p)
{
	struct config *c;
	struct err e;

	notify_reloading();
	if (load_config(p->opt.config, &c) < 0) {
		log_error("%s has mistakes: the old configuration stays", p->opt.config);
	} else if (raise_descriptors(c, &e) < 0) {
		log_error("%s: the old configuration stays", e.msg);
		config_unref(c);
	} else {
		log_notice("stations read again from %s", p->opt.config);
		fleet_reload(p->fleet, c);
		api_reload(p->api);
		config_unref(p->config);
		p->config = c;
	}
	notify_ready();
}

static void on_signal(struct provd *p)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof si) == sizeof si) {
		if (si.ssi_signo == SIGHUP) {
			if (!p->stopping)
				reload(p);
			continue;
		}
		log_notice(p->stopping ? "stopping now"
				       : "stopping: runs end after their current step");
		notify_stopping();
		fleet_stop(p->fleet, p->stopping);
		if (!p->stopping)
			p->stop_deadline_us = now_us() + p->config->stop_grace_us;
		p->stopping = true;
	}
}

static void tell_status(struct provd *p)
{
	struct fleet_summary s;

	fleet_summary(p->fleet, &s);
	notify_status("%s%zu stations: %u running, %u ready, %u in fault or quarantine",
		p->stopping ? "stopping; " : "", s.stations, s.in[STATION_RUNNING],
		s.in[STATION_READY], s.in[STATION_FAULT] + s.in[STATION_QUARANTINED]);
}

/* The watchdog is fed only while main, writer, every worker and the API come round; /livez says the same. */
static void look_alive(struct provd *p, uint64_t now)
{
	uint64_t every = p->watchdog_us ? MIN(p->watchdog_us / 3, LOOK_US) : LOOK_US;

	if (now - p->looked_us >= every) {
		p->alive = fleet_alive(p->fleet, ALIVE_US) && api_alive(p->api);
		p->looked_us = now;
		if (p->alive && p->watchdog_us)
			notify_watchdog();
	}
	api_beat(p->api, p->alive);
}

static void on_tick(struct provd *p)
{
	uint64_t ticks;
	uint64_t now = now_us();

	if (read(p->timer_fd, &ticks, sizeof ticks) != sizeof ticks)
		return;
	fleet_tick(p->fleet);
	api_tick(p->api);
	tell_status(p);
	if (p->stopping && now >= p->stop_deadline_us) {
		fleet_stop(p->fleet, true);
		p->stop_deadline_us = NO_DEADLINE;
	}
	look_alive(p, now);
}

static void loop(struct provd *p)
{
	while (!p->stopping || !fleet_stopped(p->fleet)) {
		struct pollfd fds[FIXED_FDS + MAX_SOURCES] = {
			{.fd = p->signal_fd, .events = POLLIN},
			{.fd = p->timer_fd, .events = POLLIN}};
		size_t n = MIN(fleet_source_count(p->fleet), (size_t)MAX_SOURCES);

		for (size_t i = 0; i < n; i++)
			fds[FIXED_FDS + i] = (struct pollfd){
				.fd = fleet_source_fd(p->fleet, i), .events = POLLIN};
		if (poll(fds, FIXED_FDS + n, p->stopping ? 50 : -1) < 0 && errno != EINTR) {
			log_error("poll: %s", strerrordesc_np(errno));
			return;
		}
		for (size_t i = 0; i < n; i++)
			if (fds[FIXED_FDS + i].revents)
				fleet_source_dispatch(p->fleet, i);
		if (fds[0].revents)
			on_signal(p);
		if (fds[1].revents)
			on_tick(p);
	}
}

static int start(struct provd *p, struct err *e)
{
	int r = raise_descriptors(p->config, e);

	if (r == 0)
		r = make_fds(p, e);
	if (r == 0)
		r = fleet_new(p->config, &p->fleet, e);
	if (r == 0)
		r = api_start(p->fleet, notify_listen_fd(), keep_token, p, &p->api, e);
	if (r == 0)
		r = fleet_start(p->fleet, e);
	if (r == 0)
		r = write_port_file(p, e);
	return r;
}

static void log_start(const struct provd *p, uint64_t begun_us)
{
	struct strbuf where = {0};

	config_listens(p->config, &where);
	log_notice("provd " PROVD_VERSION " serves %s (port %u), %zu stations, ready after %llu ms",
		where.s, api_port(p->api), p->config->stations,
		(unsigned long long)((now_us() - begun_us) / US_PER_MS));
	sb_done(&where);
}

int main(int argc, char **argv)
{
	struct provd p = {.signal_fd = -1, .timer_fd = -1};
	const struct rlimit no_core = {0, 0};
	uint64_t begun = now_us();
	struct err e = {0};
	int r;

	secret_libraries_wipe();
	r = parse_options(argc, argv, &p.opt);

	if (r != 0)
		return r - 1;
	if (p.opt.make_certificate)
		return make_certificate(&p.opt);
	if (p.opt.check)
		return check(&p.opt);
	if (load_config(p.opt.config, &p.config) < 0)
		return 2;
	if (p.opt.make_token || p.opt.check_upgrade) {
		r = p.opt.check_upgrade ? say_upgrade(&p) : make_token(&p);
		config_unref(p.config);
		return r;
	}
	log_init(p.opt.log_format, p.opt.log_level);
	/* Secrets pass through memory: no core dump holds them. */
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_DUMPABLE, 0);
	if (!harden_memory())
		log_debug("this kernel cannot forbid code in writable memory: %s",
			strerrordesc_np(errno));
	r = start(&p, &e);
	if (r == 0) {
		p.watchdog_us = notify_watchdog_us();
		log_start(&p, begun);
		notify_ready();
		loop(&p);
		records_tell_head(fleet_records(p.fleet));
		log_notice("stopped");
	} else {
		log_error("%s", e.msg);
		if (r == -ERR_RECORDS_DAMAGED)
			log_error(
				"the records in %s are damaged, or its provd.db is not of the same time as its provd.db-wal: restore a backup, with no file of the old database next to it (operator.md)",
				p.config->state_dir);
	}
	/* Handlers use the fleet: they end first. */
	api_stop(p.api);
	fleet_free(p.fleet);
	config_unref(p.config);
	if (p.signal_fd >= 0)
		close(p.signal_fd);
	if (p.timer_fd >= 0)
		close(p.timer_fd);
	return r == 0 ? 0 : 1;
}
