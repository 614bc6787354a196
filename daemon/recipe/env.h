/* SPDX-License-Identifier: Apache-2.0
 *
 * What an action may ask of its surroundings: ports, files, people, the unit's name and its
 * journal. Implemented by the station's worker (daemon/line/worker_env.c), by the bench of
 * provctl (cli/bench.c) and by tests. Each call runs on the worker's thread.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/iotime.h"
#include "base/util.h"
#include "base/x509.h"
#include "transports/links/link.h"
#include "transports/links/power.h"
#include "transports/links/usb.h"

struct blob;
struct secret_set;
struct http_service;
struct instrument;
struct printer;
struct outfile;
struct image;
struct image_opts;

/* What is known of a device and a unit, each with its end. */
#define DEVICE_PATH_BYTES 160 /* physical port, as udev or sysfs names it */
#define UNIT_NAME_BYTES	  128 /* what a unit says of itself: chip id, serial number */
#define UNIT_SERIAL_BYTES 64  /* the serial number that the line gives it */
#define RECORD_ID_BYTES	  65  /* the id of a run or unit in the records */

struct device_facts {
	char node[LINK_ADDRESS_BYTES];		   /* link address or device node, "" if absent */
	char vid[USB_ID_BYTES], pid[USB_ID_BYTES]; /* lower-case hex, "" if not USB */
	char serial[USB_SERIAL_BYTES];
	char path[DEVICE_PATH_BYTES]; /* physical port */
	char port[USB_PORT_BYTES];    /* the same as sysfs names it, 1-1.4, "" if not USB */
	uint32_t speed_kbps;	      /* of the USB link, 0 if unknown */
	uint64_t generation;
	uint64_t came_us;     /* when udev had prepared it, monotonic; 0: unknown */
	char enumeration[40]; /* this plugging and no other, also after a restart of provd; ""
				 unknown */
};

/* A device as ${ports.ROLE} names it to foreign programs: of a serial line the path alone
 * (tty:PATH@BAUD), of a USB device its port, which outlives one enumeration. port may be "". */
void port_for_programs(const char *node, const char *port, char ret[LINK_ADDRESS_BYTES]);

struct prompt {
	const char *text;
	const char *kind;	    /* "confirm", "choice", "text", "scan" */
	const char *const *choices; /* for choice, NULL-terminated */
	const char *pattern;	    /* for text and scan: what an answer must match, or NULL */
	bool approval;		    /* of approve(): a second person's, of kind confirm */
	/* A picture that is shown with it, as image() takes it, and what is read where it cannot be seen; NULL: none. */
	const char *picture, *picture_text;
};

#define ANSWER_BYTES 256

/* An answer as it counts: scanners and terminals end it with CR, LF or Tab, which are cut. GS separates
 * the fields of a GS1 code, and stays: who does not expect one refuses it.
 * Another control character is part of no code and no text: -ERR_INVALID names its place. */
#define ANSWER_GS 0x1d
int prompt_answer_clean(const char *answer, char ret[ANSWER_BYTES], struct err *e);

/* What an action wants to find again at its next run: a program that is slow to start. */
struct kept {
	const void *kind; /* of which kind: the address of something that only its owner has */
	void (*free)(struct kept *k);
};

#define STEP_NAME_BYTES 512

#define INTENT_WHAT_BYTES 64
#define OBSERVATION_BYTES 160

/* An act that cannot be undone, before its first byte. */
struct intent {
	char unit[UNIT_NAME_BYTES]; /* what the device says of itself: chip id, serial number; "" */
	char what[INTENT_WHAT_BYTES]; /* which thing of the unit: "bootloader lock" */
	char digest[SHA256_HEX]; /* of what is to be brought there; of a secret never a bare one */
	/* Nothing takes it back, ever: where the device cannot tell, one that is on record as done
	 * is done. (A lock that another step may lift is not for good.) */
	bool for_good;
	/* What a second person is asked first, where it is about to be done; NULL: nobody is. */
	const char *approval;
};

/* What the device shows of it. */
enum observed {
	OBSERVED_UNKNOWN, /* it cannot tell */
	OBSERVED_BLANK,	  /* nothing of it has happened: it may be done */
	OBSERVED_DONE,	  /* it is as it is meant to be */
	OBSERVED_HALF,	/* a part of it happened, or something else did: it may not be done, ever */
	OBSERVED_CLOSED /* it cannot tell, and takes nothing any more */
};
struct observation {
	enum observed state;
	char said[OBSERVATION_BYTES]; /* how that was seen, a sentence for the journal */
	enum err_code code;	      /* of OBSERVED_HALF and _CLOSED: how the step ends */
};

/* An earlier act of that kind whose end is not on record; or which is done for good. */
struct earlier_intent {
	char run[RECORD_ID_BYTES];  /* "" there is none */
	char unit[RECORD_ID_BYTES]; /* the id of its unit in the records, "" unknown */
	bool committed;		    /* it is done for good */
	bool other;		    /* that one brought something else there */
};

#define KEY_NAME_BYTES 144

/* A certificate that is asked for. */
struct certificate_ask {
	const char *issuer,
		*profile; /* as provd.yaml names them; profile NULL: the issuer decides */
	const struct x509_csr *csr;
	const json_t *values; /* what the profile puts in: a mapping of texts */
	bool renew; /* another one, in the place of the one that the unit has of this issuer */
};
struct certificate {
	char *pem, *chain; /* owned by the caller; the chain is the issuer's, and those above it */
	char serial[X509_SERIAL_BYTES];
	bool before;	 /* this key had it already */
	bool off_record; /* nobody wrote down that it was issued: on a bench */
};

/* A pair of keys that is made for a unit which makes none itself. */
struct key_ask {
	const char *
		store; /* a token, as provd.yaml names it; NULL: in the memory of the key process */
	const char *label;	   /* of a key in a token: it finds the key again */
	const char *alg;	   /* x509_alg_name() */
	char name[KEY_NAME_BYTES]; /* comes back: by what it is asked for later */
	bool before;		   /* comes back: the token had it */
};

/* A key for one unit. */
struct derive_ask {
	const char *master;	     /* as provd.yaml names it */
	const char *label, *context; /* what for, which unit */
	size_t bytes;
};
#define DERIVED_KEY_MAX 64

/* A file that a step saved, and that the run keeps for good. */
struct attach_file {
	const char *name;
	uint64_t bytes;
	const char *sha256;
	const struct secret_set *secrets; /* of the run: none of them may be in it; may be NULL */
};

/* A REQUIRED op may be called by any action without a look at it: surroundings that have no such
 * thing say so with an error. (A test may leave out what its actions never ask for.) An OPTIONAL op
 * may be NULL, and its comment says what an action does then. */
struct step_env_ops {
	/* Ports: what is open on a role, and the device's way out and back. Station and bench share
	 * them: recipe/role_ports.h. */

	/* REQUIRED. The open link of a role; opened on first use, owned by the environment. */
	int (*link)(void *env, const char *role, const struct iotime *it, struct link **ret,
		struct err *e);
	/* REQUIRED. The open USB device of a role whose node is `usb:`; opened on first use, owned
	 * by the environment. */
	int (*usb)(void *env, const char *role, const struct iotime *it, struct usb **ret,
		struct err *e);
	/* REQUIRED. Closes the link or USB device, so that the next link() or usb() opens again. */
	void (*link_close)(void *env, const char *role);
	/* REQUIRED. From now on the device on this role may leave and come back: its absence is not
	 * device-gone. */
	int (*expect_replug)(void *env, const char *role, struct err *e);
	/* REQUIRED. After expect_replug: it may come back under another USB serial number (a boot
	 * ROM has its own). Then the action proves the unit by what it says. */
	int (*expect_other_serial)(void *env, const char *role, struct err *e);
	/* REQUIRED. Waits until the role's device is present (again, after expect_replug) and
	 * proves that it is the same unit: -ERR_WRONG_DEVICE otherwise. ret may be NULL. */
	int (*wait_device)(void *env, const char *role, const struct iotime *it,
		struct device_facts *ret, struct err *e);
	/* OPTIONAL. Whether a session with the unit on a role asks it who it is: nobody sees it leave (TCP, UDP), and it may not be the
	 * only session of the run. Between two attempts or steps another unit may have taken the address. NULL: none asks. */
	bool (*unwatched)(void *env, const char *role);
	/* REQUIRED with unwatched. By that protocol (a constant) the unit says that it is `who`: the first time in a run that is kept,
	 * later it is compared: -ERR_WRONG_DEVICE. */
	int (*said)(
		void *env, const char *role, const char *protocol, const char *who, struct err *e);
	/* REQUIRED. What is known of the device on a role, open or not; of a fixed address perhaps
	 * its node alone. -ERR_DEVICE_GONE where there is none. */
	int (*facts)(void *env, const char *role, struct device_facts *ret, struct err *e);

	/* Files: what a recipe refers to, and where bytes go. */

	/* REQUIRED. Path of a readable file for an image argument (an artifact's digest or a path).
	 */
	int (*image)(void *env, const char *ref, char ret[FILE_PATH_BYTES], struct err *e);
	/* REQUIRED. The name that the file had where it came from: what it says has to agree with
	 * the content (images/gate.h). Of an artifact the one that it was uploaded under. */
	int (*name)(void *env, const char *ref, char ret[STEP_NAME_BYTES], struct err *e);
	/* REQUIRED. That file, parsed: shared between all stations, by what it holds
	 * (images/cache.h). Unref it. */
	int (*load_image)(void *env, const char *ref, const struct image_opts *o,
		struct image **ret, struct err *e);
	/* REQUIRED. The bytes of that file as they are, however large: shared in the same way.
	 * Unref it. */
	int (*load_blob)(void *env, const char *ref, struct blob **ret, struct err *e);
	/* REQUIRED. What is in that file, where it is packed (images/packed.h), or in its member (NULL: the only one); unpacked
	 * once for all stations. Unref it. */
	int (*load_unpacked)(
		void *env, const char *ref, const char *member, struct blob **ret, struct err *e);
	/* OPTIONAL. Keeps an image that the step of that id made for the unit, until the run ends (recipe/made.h): ret is what
	 * the ops above take for it. secret: it holds a secret. NULL: no later step could use it. */
	int (*made)(void *env, const char *step, const char *name, struct blob *b, bool secret,
		char ret[STEP_NAME_BYTES], struct err *e);
	/* OPTIONAL. A file of that name among those that the run keeps, for the step of that id.
	 * NULL: the name is a path of this machine. */
	int (*output)(
		void *env, const char *step, const char *name, struct outfile *ret, struct err *e);
	/* OPTIONAL. A file that output() gave, once it has its name: it is attached to the run, for the step that was
	 * begun last, and durable when this returns 0. -ERR_ATTACHMENT_QUOTA; -ERR_RECIPE_INVALID for one that
	 * holds a secret; -ERR_DISK_FULL. NULL: the file stays where it is, and no run has it. */
	int (*attach)(void *env, const struct attach_file *f, struct err *e);
	/* OPTIONAL. A file of this installation's own that outlives runs (an ADB key): its path,
	 * under a directory that only provd reads. The directory exists, the file may not. NULL:
	 * nothing outlives a run, and the recipe has to name such a file. */
	int (*keep)(void *env, const char *name, char ret[FILE_PATH_BYTES], struct err *e);
	/* OPTIONAL. A directory for what does not outlive the step: make one of your own in it, and
	 * remove it. NULL: /tmp. */
	int (*scratch)(void *env, char ret[FILE_PATH_BYTES], struct err *e);

	/* Services. */

	/* OPTIONAL. A service that this installation allows, by its name; the caller ends it. Call it
	 * by step_service(), which keeps its token secret. -ERR_NOT_FOUND for another name. NULL:
	 * there are none. */
	int (*service)(void *env, const char *name, struct http_service *ret, struct err *e);

	/* OPTIONAL. A label printer that this installation has, by its name. Call it by
	 * step_printer(). -ERR_NOT_FOUND for another name. NULL: there are none. */
	int (*printer)(void *env, const char *name, struct printer *ret, struct err *e);

	/* OPTIONAL. A measuring instrument that this installation has, by its name. Call it by
	 * step_instrument(). -ERR_NOT_FOUND for another name. NULL: there are none. */
	int (*instrument)(void *env, const char *name, struct instrument *ret, struct err *e);

	/* Power. */

	/* OPTIONAL. How the power of the unit is switched; what it borrows lives as long as the
	 * environment. -ERR_NOT_FOUND where this station says nothing of it, -ERR_POWER_CONFLICT where it
	 * is another station's as well, else as usb_hub_port_of(). Call it by step_power(). NULL: there is
	 * no such thing. */
	int (*power)(void *env, struct power_way *ret, struct err *e);
	/* REQUIRED with power. Before the first switch of a step: how the recipe wants the power to be left
	 * (`power_after`) is on record, durably, so that a provd that is killed puts it right at its next
	 * start. found: how it was. ends_on: the step itself ends with the power on, which is on record where
	 * the recipe says nothing of it. */
	int (*power_owe)(void *env, enum power_state found, bool ends_on, struct err *e);
	/* REQUIRED with power. How it is to be left: POWER_UNKNOWN as it is. */
	enum power_state (*power_after)(void *env);
	/* REQUIRED with power. A step that ends on has switched it on: what was on record for that alone is settled. */
	int (*power_back)(void *env, struct err *e);
	/* REQUIRED with power. It is left as it is to be. */
	int (*power_settled)(void *env, struct err *e);
	/* OPTIONAL. The line that resets the unit. -ERR_NOT_FOUND where this station has none. NULL: there are
	 * none. */
	int (*reset_line)(void *env, struct reset_line *ret, struct err *e);

	/* People. */

	/* REQUIRED. Asks a person and waits for the answer. -ERR_ABORTED where nobody answers. */
	int (*ask)(void *env, const struct prompt *p, const struct iotime *it,
		char ret[ANSWER_BYTES], struct err *e);

	/* OPTIONAL. A second person says yes to the text: a supervisor who neither made the order nor wrote
	 * or approved the recipe (db/prompts.h). ret: that person's name. -ERR_ABORTED where the answer
	 * is no, or nobody gives one. Called by step_intend(). NULL: there is no second person, and
	 * what needs one is not done. */
	int (*approve)(void *env, const char *text, const struct iotime *it,
		char ret[UNIT_NAME_BYTES], struct err *e);

	/* The unit: which one it is. Call them by step_identity() and step_serial()
	 * (recipe/action.h), which keep secrets out. */

	/* REQUIRED. Remembers the unit's identity on this role (chip id or what a command
	 * answered): later proofs compare. A different value from before gives -ERR_WRONG_DEVICE.
	 */
	int (*identity)(void *env, const char *role, const char *value, struct err *e);
	/* REQUIRED. The run's serial number: reserves it on first use. kind is "pool", "job",
	 * "scan" or "device" (value is what the unit already carries, NULL otherwise). The runner
	 * asks with NULL and NULL: whichever the run has or would get. */
	int (*serial)(void *env, const char *kind, const char *value, char ret[UNIT_SERIAL_BYTES],
		struct err *e);
	/* REQUIRED. What the run's unit gets, all or nothing: wanted is {NAME: {pool: ID}}, serial a
	 * number that was scanned or NULL. ret (a new reference) has each value by its name, "serial"
	 * where the recipe says where serial numbers come from, and "lease". */
	int (*values)(
		void *env, const char *serial, const json_t *wanted, json_t **ret, struct err *e);

	/* What cannot be undone. Call it by step_intend(), which looks at the device first. */

	/* OPTIONAL. Records the intent durably, with what was seen of it before. Open intents of the
	 * same unit and thing are settled by that; *ret is the newest of them. Nothing is recorded
	 * where it is done already, where half of it is, where the device is closed, and where
	 * nobody can tell and an earlier intent is open, or is committed and for good: *ret is that
	 * one then, and the step must not act. NULL: nothing outlives the run, and what the
	 * device shows alone decides. */
	int (*intend)(void *env, const struct intent *i, const struct observation *seen,
		struct earlier_intent *ret, struct err *e);
	/* REQUIRED with intend. It happened, by the step's evidence as JSON; durable with the step's
	 * end. Not called where the step did not pass: its intent stays open, for the next run. */
	int (*intended)(void *env, const char *evidence, struct err *e);

	/* Keys of this installation: never the keys themselves. */

	/* OPTIONAL. A certificate, on record before it is signed and whole before it is given back. One
	 * that this key got before by the same issuer and profile, with the same values (of an
	 * authority of the plant for the same request), and that has not ended, is given again. A bench has no records: it sets off_record, and each is a new one. NULL: there are
	 * no issuers. */
	int (*certify)(void *env, const struct certificate_ask *ask, const struct iotime *it,
		struct certificate *ret, struct err *e);
	/* REQUIRED with certify. The unit holds the certificate with that SHA-256; durable.
	 * -ERR_NOT_FOUND for one that this installation did not issue. */
	int (*delivered)(void *env, const char *sha256, struct err *e);
	/* OPTIONAL. ask->bytes into ret, which the caller wipes. NULL: there are no masters. */
	int (*derive)(void *env, const struct derive_ask *ask, const struct iotime *it,
		uint8_t *ret, struct err *e);

	/* OPTIONAL. A pair of keys; ret is its public key, which the caller ends. NULL: there is no key
	 * process, as for the two below. */
	int (*make_key)(void *env, struct key_ask *ask, const struct iotime *it,
		struct x509_key *ret, struct err *e);
	/* REQUIRED with make_key. A request of that subject, signed by such a key. */
	int (*key_request)(void *env, const char *name, const char *subject,
		const struct iotime *it, struct x509_csr *ret, struct err *e);
	/* REQUIRED with make_key. Such a key of memory itself (PKCS #8), once: the caller writes it into
	 * the unit, wipes and frees it. */
	int (*take_key)(void *env, const char *name, const struct iotime *it, uint8_t **ret,
		size_t *ret_n, struct err *e);

	/* From run to run. */

	/* OPTIONAL. The place for what is kept for a role from run to run; *place is NULL where it
	 * is empty. What an action puts there belongs to the station, which frees it. NULL, as the
	 * op or from it: nothing is kept, and what a step started ends with it. */
	struct kept **(*kept)(void *env, const char *role);
};
