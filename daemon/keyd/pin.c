/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyd/pin.h"

#include <errno.h>
#include <fcntl.h>

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

int pin_read(const struct key_place *place, char **ret, struct err *e)
{
	_cleanup_(freep) char *path = pin_path(place);
	_cleanup_(closep) int fd = -1;
	char buf[PIN_MAX + 1];
	ssize_t n;

	*ret = NULL;
	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);
	if (n < 0)
		return err_errno(e, ERR_IO, errno, "the PIN in %s", path);
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	if (buf[0])
		*ret = xstrdup(buf);
	secret_wipe(buf, sizeof buf);
	return *ret ? 0 : err_set(e, ERR_TOKEN_PIN, "%s has no PIN in its first line", path);
}

void pin_free(char *pin)
{
	if (pin)
		secret_wipe(pin, strlen(pin));
	free(pin);
}
