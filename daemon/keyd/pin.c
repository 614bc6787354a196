/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "base/util.h"

#define PIN_MAX 256

char *pin_path(const struct key_place *place)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (place->pin_file)
		return xstrdup(place->pin_file);
	return place->pin_credential
		       ? xasprintf("%s/%s", dir ? dir : "/run/credentials/provd-keyd.service",
				 place->pin_credential)
		       : NULL;
}

/* Nobody but its owner (or provd-keyd's group) may have read it. */
static int open_pin(const char *path, int *ret, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_set(e, ERR_TOKEN_PIN, "the PIN in %s: %s", path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & 0007)) {
		*ret = fd;
		return 0;
	}
	close(fd);
	return err_set(e, ERR_TOKEN_PIN,
		"the PIN in %s may be read by everyone, or is not a file: chmod 0600 it, and change the PIN if others could read it",
		path);
}

int pin_read(const struct key_place *place, char **ret, struct err *e)
{
	_cleanup_(freep) char *path = pin_path(place);
	_cleanup_(closep) int fd = -1;
	char buf[PIN_MAX + 2];
	ssize_t n;
	int r;

	*ret = NULL;
	if (!path)
		return 0;
	r = open_pin(path, &fd, e);
	if (r < 0)
		return r;
	n = read(fd, buf, sizeof buf - 1);
	if (n < 0)
		return err_set(e, ERR_TOKEN_PIN, "the PIN in %s: %s", path, strerror(errno));
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	/* One that is cut would be a wrong one, which costs a try. */
	if (buf[0] && strlen(buf) <= PIN_MAX)
		*ret = xstrdup(buf);
	secret_wipe(buf, sizeof buf);
	return *ret ? 0
		    : err_set(e, ERR_TOKEN_PIN, "%s has no PIN of 1 to %d bytes in its first line",
			      path, PIN_MAX);
}

void pin_free(char *pin)
{
	if (pin)
		secret_wipe(pin, strlen(pin));
	free(pin);
}
