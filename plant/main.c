/* SPDX-License-Identifier: Apache-2.0
 *
 * provd-plant: argv, signals and the start of everything. The records are PostgreSQL's, so that this program keeps
 * nothing: it may be killed at any time, and several may serve one database.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "api/tls.h"
#include "base/harden.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/secret.h"
#include "base/util.h"
#include "plant/audit.h"
#include "plant/router.h"
#include "plant/schema.h"
#include "provd_config.h"

#define CONNECTIONS   8
#define START_US      (60 * US_PER_S)
#define FIRST_WAIT_US (500 * US_PER_MS)
#define LOOK_US	      (2 * US_PER_S)

struct options {
	const char *database, *certificate, *key, *port_file, *token_name;
	int make_token; /* enum plant_role, -1: none */
	bool insecure;
	struct httpd_listen listen;
	char host[64];
};

struct program {
	struct options opt;
	struct plant plant;
	struct tls *tls;
	int signal_fd, timer_fd;
	bool stopping;
};

static void usage(FILE *out)
{
	fputs("usage: provd-plant --database DSN [--listen HOST:PORT | --listen /PATH] [--port-file FILE]\n"
	      "                   [--certificate FILE --key FILE] [--insecure]\n"
	      "       provd-plant --database DSN --make-token admin|viewer [--name NAME]\n"
	      "       provd-plant --version | --help\n"
	      "\n"
	      "Takes the records of many hosts of provd into PostgreSQL, leases them numbers, and shares\n"
	      "orders out over them.\n"
	      "  --database DSN   as libpq has it: 'host=/run/postgresql dbname=plant'; a password\n"
	      "                   belongs in a file (PGPASSFILE), since others see the arguments\n"
	      "  --listen         where it serves (127.0.0.1:8630); a numeric address and a port, or\n"
	      "                   the absolute path of a socket\n"
	      "  --certificate, --key  PEM files: it serves over TLS\n"
	      "  --insecure       serve other machines without TLS all the same\n"
	      "  --port-file F    write the TCP port to F once it serves (for HOST:0)\n"
	      "  --make-token     print a new token of that role, and exit\n"
	      "See provd-plant(8).\n",
		out);
}

static bool read_listen(struct options *o, const char *s)
{
	const char *colon = strrchr(s, ':');
	char *end = NULL;
	unsigned long port;

	if (*s == '/') {
		o->listen = (struct httpd_listen){.path = s};
		return true;
	}
	port = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || colon == s || end == colon + 1 || *end || port > 65535 ||
		(size_t)(colon - s) >= sizeof o->host)
		return false;
	snprintf(o->host, sizeof o->host, "%.*s", (int)(colon - s), s);
	if (*o->host == '[' && o->host[strlen(o->host) - 1] == ']') {
		o->host[strlen(o->host) - 1] = 0;
		memmove(o->host, o->host + 1, strlen(o->host));
	}
	o->listen = (struct httpd_listen){.host = o->host, .port = (uint16_t)port};
	return true;
}

static bool read_role(struct options *o, const char *s)
{
	o->make_token = !strcmp(s, "admin")    ? PLANT_ADMIN
			: !strcmp(s, "viewer") ? PLANT_VIEWER
					       : -1;
	return o->make_token >= 0;
}

static const char **text_option(struct options *o, int c)
{
	return c == 'd'	  ? &o->database
	       : c == 'C' ? &o->certificate
	       : c == 'K' ? &o->key
	       : c == 'p' ? &o->port_file
	       : c == 'n' ? &o->token_name
			  : NULL;
}

/* 0: go on, else the exit status + 1. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"database", 1, NULL, 'd'}, {"listen", 1, NULL, 'l'},
		{"port-file", 1, NULL, 'p'}, {"certificate", 1, NULL, 'C'}, {"key", 1, NULL, 'K'},
		{"insecure", 0, NULL, 'i'}, {"make-token", 1, NULL, 'm'}, {"name", 1, NULL, 'n'},
		{"version", 0, NULL, 'v'}, {"help", 0, NULL, 'h'}, {0}};
	bool ok = true;
	int c;

	*o = (struct options){.make_token = -1, .token_name = "made on the command line"};
	read_listen(o, "127.0.0.1:8630");
	while (ok && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		const char **text = text_option(o, c);

		if (c == 'v')
			return puts("provd-plant " PROVD_VERSION), 1;
		if (c == 'h')
			return usage(stdout), 1;
		if (text)
			*text = optarg;
		else if (c == 'i')
			o->insecure = true;
		else
			ok = c == 'l' ? read_listen(o, optarg) : c == 'm' && read_role(o, optarg);
	}
	if (!ok || optind < argc || !o->database || !o->certificate != !o->key)
		return usage(stderr), 3;
	return 0;
}

/* --- a token --- */

static int apply_token(struct pg *tx, void *data, const struct iotime *it, struct err *e)
{
	const struct options *o = data;
	char text[TOKEN_TEXT_BYTES];
	int r = tokens_make(tx, (enum plant_role)o->make_token, o->token_name, NULL, text, it, e);

	if (r == 0)
		r = audit(tx, "command line", "token-add", o->token_name, "", it, e);
	/* Its text is with its owner before it is valid. */
	if (r == 0 && (puts(text) < 0 || fflush(stdout) != 0))
		r = err_errno(e, ERR_IO, errno, "write the token to standard output");
	secret_wipe(text, sizeof text);
	return r;
}

/* --- the start --- */

/* A database that comes up later than this program is waited for. */
static int migrate(struct program *p, struct err *e)
{
	const uint64_t deadline = now_us() + START_US;
	const struct iotime it = {deadline, &p->plant.stop};
	bool said = false;
	int r;

	while ((r = schema_migrate(p->plant.pool, &it, e)) == -ERR_SERVICE_DOWN &&
		now_us() < deadline && iotime_sleep(FIRST_WAIT_US, &it, NULL) == 0) {
		if (!said)
			log_warning("%s; it is waited for", e->msg);
		said = true;
	}
	return r;
}

static int open_tls(struct program *p, struct err *e)
{
	const struct tls_files f = {p->opt.certificate, p->opt.key, NULL, NULL};

	return p->opt.certificate ? tls_new(&f, &p->tls, e) : 0;
}

static int serve(struct program *p, struct err *e)
{
	struct httpd_options o = {.listen = &p->opt.listen,
		.listens = 1,
		.listen_fd = -1,
		.tls = p->tls,
		.upload_dir = "/nonexistent",
		.local_only = !p->opt.insecure};

	p->opt.listen.tls = p->tls != NULL;
	return httpd_start(&o, &plant_ops, &p->plant, &p->plant.httpd, e);
}

static int write_port_file(const struct program *p, struct err *e)
{
	FILE *f = p->opt.port_file ? fopen(p->opt.port_file, "we") : NULL;

	if (!p->opt.port_file)
		return 0;
	if (!f)
		return err_errno(e, ERR_IO, errno, "%s", p->opt.port_file);
	fprintf(f, "%u\n", httpd_port(p->plant.httpd));
	return fclose(f) == 0 ? 0 : err_errno(e, ERR_IO, errno, "%s", p->opt.port_file);
}

static int make_fds(struct program *p, struct err *e)
{
	const struct itimerspec every = {{1, 0}, {1, 0}};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	p->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return p->signal_fd < 0 || p->timer_fd < 0 ||
			       timerfd_settime(p->timer_fd, 0, &every, NULL) < 0
		       ? err_errno(e, ERR_IO, errno, "signals and timers")
		       : 0;
}

/* A token that another program on this database made is known here a second later. */
static void look_at_tokens(struct program *p)
{
	const struct iotime it = {now_us() + LOOK_US, &p->plant.stop};
	struct err e = {0};

	if (door_wants_look(p->plant.door) && door_look(p->plant.door, p->plant.pool, &it, &e) < 0)
		log_warning("tokens: %s", e.msg);
}

static void tick(struct program *p)
{
	uint64_t ticks;
	struct err e;

	if (read(p->timer_fd, &ticks, sizeof ticks) != sizeof ticks)
		return;
	look_at_tokens(p);
	httpd_tick(p->plant.httpd);
	if (p->tls && tls_look(p->tls, &e) < 0)
		log_error("%s", e.msg);
	if (httpd_alive(p->plant.httpd, now_us(), &e) == 0)
		notify_watchdog();
	else
		log_error("%s", e.msg);
}

static void run(struct program *p)
{
	struct pollfd fds[] = {
		{.fd = p->signal_fd, .events = POLLIN}, {.fd = p->timer_fd, .events = POLLIN}};
	struct signalfd_siginfo si;

	while (!p->stopping) {
		if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
			return;
		if (read(p->signal_fd, &si, sizeof si) == sizeof si)
			p->stopping = true;
		tick(p);
	}
	log_notice("stopping");
	notify_stopping();
	cancel_fire(&p->plant.stop, ERR_SHUTDOWN);
}

static int work(struct program *p, struct err *e)
{
	int r = pool_new(p->opt.database, CONNECTIONS, &p->plant.pool, e);

	if (r == 0)
		r = migrate(p, e);
	if (r == 0 && p->opt.make_token >= 0) {
		const struct iotime it = {now_us() + START_US, &p->plant.stop};

		return pool_do(p->plant.pool, apply_token, &p->opt, &it, e);
	}
	if (r == 0)
		r = door_look(p->plant.door, p->plant.pool,
			&(struct iotime){now_us() + START_US, &p->plant.stop}, e);
	if (r == 0)
		r = make_fds(p, e);
	if (r == 0)
		r = open_tls(p, e);
	if (r == 0)
		r = serve(p, e);
	if (r == 0)
		r = write_port_file(p, e);
	if (r == 0) {
		log_notice("provd-plant " PROVD_VERSION " serves");
		notify_ready();
		run(p);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct program p = {.signal_fd = -1, .timer_fd = -1};
	struct err e = {0};
	int r;

	secret_libraries_wipe();
	r = parse_options(argc, argv, &p.opt);
	if (r)
		return r - 1;
	log_init(LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
	p.plant.door = door_new();
	r = cancel_init(&p.plant.stop, &e);
	if (r == 0) {
		r = work(&p, &e);
		if (p.plant.httpd)
			httpd_stop(p.plant.httpd);
		pool_free(p.plant.pool);
		tls_free(p.tls);
		cancel_done(&p.plant.stop);
	}
	door_free(p.plant.door);
	if (r < 0)
		log_error("%s", e.msg);
	return r < 0;
}
