/* SPDX-License-Identifier: Apache-2.0
 *
 * provd-keyd: holds the private keys of an installation, and nothing else. It has no network, no
 * state of provd, and answers the requests of daemon/keyd/wire.h on a Unix socket.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/harden.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/util.h"
#include "daemon/keyd/serve.h"
#include "daemon/keyd/token.h"
#include "provd_config.h"

#define LOOK_MS 1000
#define HANG_US (30 * US_PER_S) /* of one call of a token's module */
#define BACKLOG 64

struct options {
	const char *config, *socket, *user;
	bool check, child;
};

static void usage(FILE *out)
{
	fputs("usage: provd-keyd [--config FILE] [--socket PATH] [--user NAME] [--check]\n"
	      "                  [--child] [--version] [--help]\n"
	      "\n"
	      "Holds the private keys that FILE names (default " PROVD_SYSCONFDIR
	      "/provd/provd.yaml): issuers, masters, signers.\n"
	      "  --socket PATH  where provd asks; without it, the socket that systemd hands over\n"
	      "  --user NAME    the user that may ask as provd (the one that runs this)\n"
	      "  --check        open every key, print the issuers and what is wrong, and exit\n"
	      "  --child        end when the program that started this ends\n"
	      "See provd-keyd(8), provd.yaml(5).\n",
		out);
}

/* 0: go on, else the exit status + 1. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"config", 1, NULL, 'c'}, {"socket", 1, NULL, 's'},
		{"user", 1, NULL, 'u'}, {"check", 0, NULL, 'k'}, {"child", 0, NULL, 'd'},
		{"version", 0, NULL, 'v'}, {"help", 0, NULL, 'h'}, {0}};
	int c;

	*o = (struct options){.config = PROVD_SYSCONFDIR "/provd/provd.yaml"};
	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
		if (c == 'v')
			return puts("provd-keyd " PROVD_VERSION), 1;
		if (c == 'h')
			return usage(stdout), 1;
		if (c == 'c')
			o->config = optarg;
		else if (c == 's')
			o->socket = optarg;
		else if (c == 'u')
			o->user = optarg;
		else if (c == 'k')
			o->check = true;
		else if (c == 'd')
			o->child = true;
		else
			return usage(stderr), 3;
	}
	return optind < argc ? (usage(stderr), 3) : 0;
}

/* Nothing of this process goes to a core, to a debugger of its user, or to the swap. */
static void close_up(const struct options *o)
{
	const struct rlimit none = {0, 0};

	if (o->child)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	umask(0077);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		log_warning(
			"keys may go to the swap: %s; give LimitMEMLOCK=infinity, or have no swap",
			strerror(errno));
	if (!harden_memory())
		log_debug("this kernel cannot deny memory that is writable and executable");
}

static int find_user(const char *name, uid_t *ret, struct err *e)
{
	const struct passwd *p = name ? getpwnam(name) : NULL;

	*ret = p ? p->pw_uid : geteuid();
	return p || !name ? 0 : err_set(e, ERR_NOT_FOUND, "there is no user '%s'", name);
}

/* What an earlier one left; nothing else is taken away. */
static int clear_place(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_INVALID,
			"%s is not a socket: it is left as it is; give --socket a path of its own",
			path);
	unlink(path);
	return 0;
}

static int make_socket(const char *path, int *ret, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof a.sun_path)
		return err_set(e, ERR_INVALID, "the path %s is too long for a socket", path);
	if (clear_place(path, e) < 0)
		return -(int)e->code;
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 ||
		listen(fd, BACKLOG) < 0)
		return err_errno(e, ERR_IO, errno, "the socket %s", path);
	*ret = fd;
	return 0;
}

static int find_socket(const struct options *o, int *ret, struct err *e)
{
	if (o->socket)
		return make_socket(o->socket, ret, e);
	*ret = notify_listen_fd();
	if (*ret >= 0)
		return 0;
	return err_set(e, ERR_INVALID,
		"systemd handed over no socket, and there is no --socket: give one of the two");
}

static int open_keys(
	const struct options *o, struct keyd_config *c, struct keyring **ret, struct err *e)
{
	struct strbuf report = {0};
	int r = keyd_config_load(o->config, &report, c, e);

	if (r == 0)
		r = keyring_open(c, &report, ret, e);
	if (report.s)
		fputs(report.s, stderr);
	sb_done(&report);
	return r;
}

static int print_keys(struct keyring *k)
{
	unsigned closed = keyring_try(k); /* logs each */
	json_t *a = keyring_issuers(k);

	json_dumpf(a, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(a);
	return closed == 0 ? 0 : 1;
}

/* Until a signal comes. A module that hangs cannot be stopped: the process ends, and is started
 * again. */
static int wait_for_end(void)
{
	sigset_t set;
	struct pollfd p = {.events = POLLIN};
	uint64_t since;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	p.fd = signalfd(-1, &set, SFD_CLOEXEC);
	for (;;) {
		if (poll(&p, 1, LOOK_MS) > 0)
			return 0;
		since = token_busy_since_us();
		if (since && now_us() - since > HANG_US) {
			log_error(
				"a token's module does not come back since %llu s: ended, to be started again",
				(unsigned long long)((now_us() - since) / US_PER_S));
			_exit(4);
		}
	}
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void *try_keys(void *data)
{
	keyring_try(data);
	return NULL;
}

static int serve(const struct options *o, struct keyring *k, struct err *e)
{
	struct server *s;
	pthread_t opener;
	struct line_caller line = {.pid = o->child ? getppid() : 0};
	int fd = -1;
	int r = find_user(o->user, &line.uid, e);

	if (r == 0)
		r = find_socket(o, &fd, e);
	if (r == 0)
		r = server_start(fd, line, k, &s, e);
	if (r == 0)
		r = thread_start(&opener, "keyd-open", try_keys, k, e);
	if (r < 0)
		return r;
	log_notice("provd-keyd " PROVD_VERSION " holds the keys");
	notify_ready();
	wait_for_end();
	notify_stopping();
	server_stop(s);
	pthread_join(opener, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct options o;
	struct keyd_config config = {0};
	_cleanup_(keyring_freep) struct keyring *keys = NULL;
	struct err e = {0};
	int status, r;

	secret_libraries_wipe();
	status = parse_options(argc, argv, &o);
	if (status)
		return status - 1;
	log_init(LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
	close_up(&o);
	block_signals();
	r = open_keys(&o, &config, &keys, &e);
	if (r == 0)
		r = o.check ? print_keys(keys) : serve(&o, keys, &e);
	if (r < 0)
		log_error("%s", e.msg);
	keys = keyring_free(keys);
	keyd_config_done(&config);
	return r < 0 ? 1 : r;
}
