/* SPDX-License-Identifier: Apache-2.0
 *
 * What is open on the roles of one run, the claim of a port whose device may leave and come back,
 * and the proof that the same unit came back. Once, for a station and for a bench: a source says
 * where devices come from. Used by one thread, that of the run.
 *
 *	link(), usb()      open on first use; the next call gets the same
 *	the link breaks    refused from then on: what opens again may be another unit
 *	expect_replug()    claimed: its absence is expected, and what was there is noted
 *	wait()             a device is there (claimed: it was away) -> closed, proved, usable
 */
#pragma once

#include "daemon/recipe/env.h"
#include "daemon/recipe/recipe.h"

#define ROLE_PORTS_MAX 32

/* From expect_replug() until the device is back. */
struct role_claim {
	uint64_t since_us;
	bool other_serial;	    /* it may come back under another USB serial number */
	struct device_facts before; /* what was there, as the source's claim() left it */
};

/* Where the devices of roles come from. src is the source's own, i the number of a role. */
struct role_source_ops {
	/* What is said of a broken link, after "port ROLE: ". */
	const char *link_broke;
	/* A claim ends with the wait for it, also where nothing came back. Otherwise it lasts until
	 * a device is back. */
	bool wait_ends_claim;

	/* REQUIRED. The number of a role, below ROLE_PORTS_MAX. -ERR_PORT_UNBOUND where the source
	 * has no such role. */
	int (*index)(void *src, const char *role, struct err *e);
	/* REQUIRED. The address of a role whose device comes and goes unseen: a link there is back
	 * when it can be opened. NULL where the source sees it: then facts() has the node. Lives
	 * until the next call of opened() or claim(). */
	const char *(*fixed)(void *src, int i);
	/* REQUIRED. What is known of the device, as step_env_ops.facts. */
	int (*facts)(void *src, int i, struct device_facts *ret, struct err *e);
	/* REQUIRED. Whether that node may be opened as a USB device (usb) or as a link: 0, or
	 * -ERR_PORT_UNBOUND. A source may leave it to the opening to refuse. */
	int (*fits)(void *src, int i, const char *node, bool usb, struct err *e);
	/* OPTIONAL. Changes line settings of the recipe to those of the source. NULL: the recipe's
	 * hold. */
	void (*settings)(void *src, int i, struct link_config *c);
	/* OPTIONAL. A USB device was opened. NULL: the source has no use for it. */
	void (*opened)(void *src, int i, const struct usb_facts *f);

	/* REQUIRED. From now on the device may leave and come back. ret is zeroed, and filled with
	 * what is there now. */
	void (*claim)(void *src, int i, struct device_facts *ret);
	/* REQUIRED. One look for a device, where fixed() is NULL or a USB address: 1 and *ret where
	 * it is there (with a claim: in another enumeration than c->before), 0 where it is not (*e
	 * may say why). An error: it is there, and not what belongs on this role. c is NULL without
	 * a claim. */
	int (*there)(void *src, int i, const struct role_claim *c, struct device_facts *ret,
		struct err *e);
	/* Waits until another look may see more: 0, or as iotime_wait(). REQUIRED where fixed() is
	 * ever NULL, not called otherwise: a fixed address is tried some 20 times a second. */
	int (*wait)(void *src, const struct iotime *it, struct err *e);
	/* REQUIRED. The error of a wait whose deadline passed. tried has what the last look or
	 * opening said, "" for nothing. */
	int (*not_back)(void *src, int i, const struct role_claim *c, const struct err *tried,
		struct err *e);

	/* REQUIRED. Puts the role before a message, where its name says something. */
	void (*prefix_role)(void *src, int i, struct err *e);
	/* REQUIRED. Puts before a message which device it is about. */
	void (*prefix_device)(void *src, int i, struct err *e);
};

/* What the unit on a role says of itself, by one protocol. */
struct role_said {
	const char *protocol; /* NULL: nothing yet */
	char who[UNIT_NAME_BYTES];
};

#define ROLE_PROTOCOLS_MAX 4

struct role_port {
	struct link *link; /* at most one of the two is open */
	struct usb *usb;
	struct link_turn turn; /* while the link is closed: what its peer may still answer */
	bool dead;	       /* the link broke: only a wait for the device may reopen it */
	bool claimed;
	struct role_claim claim;
	struct role_said said[ROLE_PROTOCOLS_MAX];
};

struct role_ports {
	const struct role_source_ops *ops;
	void *source;
	const struct recipe
		*recipe; /* NULL: no run is open, and a link has the settings of the source */
	struct role_port port[ROLE_PORTS_MAX];
};

/* Closes everything. */
void role_ports_done(struct role_ports *p);

/* The ops of struct step_env_ops that are about ports. env is a struct role_ports, or what begins
 * with one, so that a table of surroundings can have them as they are. */
int role_ports_link(
	void *env, const char *role, const struct iotime *it, struct link **ret, struct err *e);
int role_ports_usb(
	void *env, const char *role, const struct iotime *it, struct usb **ret, struct err *e);
void role_ports_close(void *env, const char *role);
int role_ports_expect_replug(void *env, const char *role, struct err *e);
int role_ports_expect_other_serial(void *env, const char *role, struct err *e);
int role_ports_wait(void *env, const char *role, const struct iotime *it, struct device_facts *ret,
	struct err *e);
bool role_ports_unwatched(void *env, const char *role);
int role_ports_said(
	void *env, const char *role, const char *protocol, const char *who, struct err *e);
int role_ports_facts(void *env, const char *role, struct device_facts *ret, struct err *e);
