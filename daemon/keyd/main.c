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

#include "base/digest.h"
#include "base/harden.h"
#include "base/iotime.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/secret.h"
#include "base/thread.h"
#include "base/util.h"
#include "daemon/keyd/remember.h"
#include "daemon/keyd/serve.h"
#include "daemon/keyd/token.h"
#include "provd_config.h"

#define LOOK_MS 1000
/* One call of a token's module, so that who asked is told before its own patience ends (KEYD_ANSWER_US). */
#define HANG_US	      (15 * US_PER_S)
#define BACKLOG	      64
#define FAILED_STATUS 64 /* and up: of a child that could not start */

struct options {
	const char *config, *socket, *user, *state;
	bool check;
	pid_t parent; /* 0: not a child */
	int told;     /* how the start before failed, 0: not known */
};

static void usage(FILE *out)
{
	fputs("usage: provd-keyd [--config FILE] [--socket PATH] [--user NAME] [--state DIR]\n"
	      "                  [--check] [--child PID] [--told STATUS] [--version] [--help]\n"
	      "\n"
	      "Holds the private keys that FILE names (default " PROVD_SYSCONFDIR
	      "/provd/provd.yaml): issuers, masters, signers.\n"
	      "  --socket PATH  where provd asks; without it, the socket that systemd hands over\n"
	      "  --user NAME    the user that may ask as provd (the one that runs this)\n"
	      "  --check        open every key, print the issuers and what is wrong, and exit\n"
	      "  --state DIR    what is kept of refused PINs and of modules that failed (default: what systemd names)\n"
	      "  --child PID    end when that process, which started this, ends\n"
	      "  --told STATUS  say nothing where the start fails as the one before, which ended with STATUS\n"
	      "See provd-keyd(8), provd.yaml(5).\n",
		out);
}

/* 0: go on, else the exit status + 1. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"config", 1, NULL, 'c'}, {"socket", 1, NULL, 's'},
		{"user", 1, NULL, 'u'}, {"state", 1, NULL, 't'}, {"check", 0, NULL, 'k'},
		{"child", 1, NULL, 'd'}, {"told", 1, NULL, 'o'}, {"version", 0, NULL, 'v'},
		{"help", 0, NULL, 'h'}, {0}};
	int c;

	*o = (struct options){
		.config = PROVD_SYSCONFDIR "/provd/provd.yaml", .state = getenv("STATE_DIRECTORY")};
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
		else if (c == 't')
			o->state = optarg;
		else if (c == 'd')
			o->parent = (pid_t)strtol(optarg, NULL, 10);
		else if (c == 'o')
			o->told = (int)strtol(optarg, NULL, 10);
		else
			return usage(stderr), 3;
	}
	return optind < argc ? (usage(stderr), 3) : 0;
}

/* Nothing of this process goes to a core, to a debugger of its user, or to the swap. */
static void close_up(const struct options *o)
{
	const struct rlimit none = {0, 0};

	if (o->parent)
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

/* It may have ended before this process asked to be told of it. */
static int check_parent(const struct options *o, struct err *e)
{
	if (!o->parent || getppid() == o->parent)
		return 0;
	return err_set(e, ERR_SHUTDOWN,
		"process %d, which --child names, is not the one that started this, or has ended: nobody would ask",
		(int)o->parent);
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

static int open_keys(const struct options *o, struct keyd_config *c, struct keyring **ret,
	struct strbuf *report, struct err *e)
{
	int r = check_parent(o, e);

	if (r == 0)
		r = remember_open(o->state, e);
	if (r == 0)
		r = keyd_config_load(o->config, report, c, e);
	return r < 0 ? r : keyring_open(c, report, ret, e);
}

/* The exit status of a start that failed: of a child another one for another reason, so that who starts it
 * again and again has each said once. */
static int failed_start(const struct options *o, const struct strbuf *report, const struct err *e)
{
	_cleanup_(freep) char *all = xasprintf("%s%s", report->s ? report->s : "", e->msg);
	uint8_t digest[SHA256_BYTES];
	int status;

	sha256_of(all, strlen(all), digest);
	status = o->parent ? FAILED_STATUS + digest[0] % 128 : 1;
	if (status == o->told)
		return status;
	if (report->s)
		fputs(report->s, stderr);
	log_error("%s", e->msg);
	return status;
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

static void give_up(struct server *s, uint64_t since_us, const char *key)
{
	struct err e;

	err_set(&e, ERR_TOKEN_GONE,
		"the module of '%.160s' does not come back since %llu s: provd-keyd ends, to be started again",
		key, (unsigned long long)((now_us() - since_us) / US_PER_S));
	log_error("%s", e.msg);
	remember_failed_token(key);
	server_give_up(s, since_us, &e);
	_exit(4);
}

/* A crash in a module: who asked is told, and the key is left alone for a while. It is raised again with the
 * default action (SA_RESETHAND). */
static void on_crash(int signal)
{
	const char *key = token_in_call();

	if (key) {
		remember_failed_token(key);
		server_crashed();
	}
	raise(signal);
}

static void watch_crashes(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	const struct sigaction a = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_NODEFER};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &a, NULL);
}

/* Until a signal comes. A module that hangs cannot be stopped: the process ends, and is started
 * again. */
static int wait_for_end(struct server *server, struct unit_keys *keys)
{
	sigset_t set;
	struct pollfd p = {.events = POLLIN};
	const char *key = "";
	uint64_t since;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	p.fd = signalfd(-1, &set, SFD_CLOEXEC);
	for (;;) {
		if (poll(&p, 1, LOOK_MS) > 0)
			return 0;
		unit_keys_sweep(keys);
		since = token_busy_since_us(&key);
		if (since && now_us() - since > HANG_US)
			give_up(server, since, key);
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
	struct line_caller line = {.pid = o->parent};
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
	wait_for_end(s, keyring_unit_keys(k));
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
	struct strbuf report = {0};
	struct err e = {0};
	int status, r;

	secret_libraries_wipe();
	status = parse_options(argc, argv, &o);
	if (status)
		return status - 1;
	log_init(LOG_FORMAT_AUTO, LOG_LEVEL_INFO);
	close_up(&o);
	block_signals();
	watch_crashes();
	r = open_keys(&o, &config, &keys, &report, &e);
	if (r == 0)
		r = o.check ? print_keys(keys) : serve(&o, keys, &e);
	if (r < 0)
		r = failed_start(&o, &report, &e);
	sb_done(&report);
	keys = keyring_free(keys);
	keyd_config_done(&config);
	return r;
}
