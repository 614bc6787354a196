/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors. A function that can fail returns 0 or -code (enum err_code) and writes the detail into
 * the caller's `struct err`; `err` may be NULL when the caller does not care for the sentence.
 * Context is added on the way up with err_prefix(); only the top (worker, route, main) logs, once.
 *
 * A verdict is not an error: a measured value outside its limits is a FAILED result with return 0.
 *
 * The code's string ("verify-mismatch") is what the database, the API and the exit path carry: it
 * is stable, never reused with another meaning. The class says whose fault it is, and so decides
 * the outcome of a run (design: `failed` the unit is bad, `error` the station/tool/recipe is bad,
 * `aborted` a person stopped it).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum err_class {
	ERR_CLASS_NONE,	 /* no error */
	ERR_CLASS_UNIT,	 /* the unit under test is bad: outcome `failed` */
	ERR_CLASS_LINE,	 /* station, link, tool, recipe, disk: outcome `error` */
	ERR_CLASS_PERSON /* someone stopped it: outcome `aborted` */
};

/* X(symbol, string, class, what the operator does about it) */
#define ERR_TABLE(X)                                                                                    \
	X(NONE, "none", NONE, "")                                                                       \
	/* the unit */                                                                                  \
	X(TIMEOUT, "timeout", UNIT,                                                                     \
		"Check that the unit is powered and seated, then run it again.")                        \
	X(VERIFY_MISMATCH, "verify-mismatch", UNIT,                                                     \
		"The flash does not hold what was written: set the unit aside.")                        \
	X(READ_BACK_MISMATCH, "read-back-mismatch", UNIT,                                               \
		"The unit does not hold the value it acknowledged: set it aside.")                      \
	X(UNEXPECTED_REPLY, "unexpected-reply", UNIT,                                                   \
		"The unit answered something else; see the log.")                                       \
	X(DEVICE_REFUSED, "device-refused", UNIT, "The unit refused the command; see the log.")         \
	X(PROTOCOL, "protocol", UNIT, "The unit broke the protocol; reset it and run it again.")        \
	X(OUT_OF_STEP, "out-of-step", UNIT,                                                             \
		"The unit may still answer an earlier command: restart it and run it again.")           \
	X(LIMIT_LOW, "limit-low", UNIT, "A measurement is below its limit.")                            \
	X(LIMIT_HIGH, "limit-high", UNIT, "A measurement is above its limit.")                          \
	X(NOT_A_NUMBER, "not-a-number", UNIT, "The unit did not answer with a number.")                 \
	X(NOT_SETTLED, "not-settled", UNIT, "A measurement did not come to rest in time.")              \
	X(CALIBRATION, "calibration", UNIT,                                                             \
		"The unit cannot be calibrated within its bounds: set it aside.")                       \
	X(CSR_MISMATCH, "csr-mismatch", UNIT,                                                           \
		"The unit's certificate request is not the one that was expected: set it aside.")       \
	X(KEY_NOT_PROVEN, "key-not-proven", UNIT,                                                       \
		"The unit does not prove that it holds its private key: set it aside.")                 \
	X(OPERATOR_FAILED, "operator-failed", UNIT, "The operator judged the unit bad.")                \
	X(OTP_CONFLICT, "otp-conflict", UNIT,                                                           \
		"A fuse holds something else for good: set the unit aside.")                            \
	X(OTP_LOCKED, "otp-locked", UNIT, "A fuse is locked and takes no value any more.")              \
	X(JTAG_CHAIN, "jtag-chain", UNIT,                                                               \
		"The JTAG chain has other devices than it should: see the message, look at the board.") \
	X(JTAG_STUCK, "jtag-stuck", UNIT,                                                               \
		"Nothing answers on JTAG: check that the unit is powered and seated.")                  \
	X(TDO_MISMATCH, "tdo-mismatch", UNIT,                                                           \
		"The device answered something else than its file expects: set the unit aside.")        \
	X(NOT_CONFIGURED, "not-configured", UNIT,                                                       \
		"The FPGA does not come up with its configuration (DONE): set the unit aside.")         \
	X(NOT_STARTED, "not-started", UNIT,                                                             \
		"The boot ROM of the unit starts nothing of what was written: set it aside.")           \
	/* the line */                                                                                  \
	X(DEVICE_GONE, "device-gone", LINE,                                                             \
		"The unit was unplugged or lost power during the run.")                                 \
	X(WRONG_DEVICE, "wrong-device", LINE,                                                           \
		"Another device is on this port: plug the right unit.")                                 \
	X(IO, "io", LINE, "Check the cable and the adapter.")                                           \
	X(ACCESS, "access-denied", LINE, "provd may not open the device: check the udev rules.")        \
	X(BUSY, "busy", LINE, "Another program holds the device: stop it.")                             \
	X(NO_EVIDENCE, "no-evidence", LINE, "The step gave no proof that it worked.")                   \
	X(TOOL_MISSING, "tool-missing", LINE, "Install what the message names.")                        \
	X(TOOL_FAILED, "tool-failed", LINE, "The program failed; see the log.")                         \
	X(IMAGE_INVALID, "image-invalid", LINE, "The firmware file is malformed.")                      \
	X(IMAGE_PART, "image-part", LINE,                                                               \
		"The configuration is for another part: give the file that was made for this one.")     \
	X(IMAGE_RANGE, "image-range", LINE, "The firmware does not fit the target.")                    \
	X(IMAGE_SIGNED, "image-signed", LINE,                                                           \
		"The signature of an image would not hold any more: change it before it is signed.")    \
	X(NVS_FULL, "nvs-full", LINE,                                                                   \
		"The values do not fit the NVS partition: make it larger, or the values fewer.")        \
	X(PART_OVERLAP, "part-overlap", LINE,                                                           \
		"Two parts of an image claim the same bytes: correct the recipe.")                      \
	X(PART_OUTSIDE, "part-outside", LINE,                                                           \
		"A part lies outside of the image: correct its address in the recipe.")                 \
	X(VALUE_EMPTY, "value-empty", LINE,                                                             \
		"A value for the unit is empty: see the message for where it comes from.")              \
	X(VALUE_MALFORMED, "value-malformed", LINE,                                                     \
		"A value for the unit is not what its type says: see the message.")                     \
	X(VALUE_RANGE, "value-range", LINE,                                                             \
		"A number for the unit does not fit its field: see the message.")                       \
	X(VALUE_TOO_LONG, "value-too-long", LINE,                                                       \
		"A value for the unit does not have the length of its field: see the message.")         \
	X(ARTIFACT_DAMAGED, "artifact-damaged", LINE,                                                   \
		"The disk changed a file of the store: upload it again, and check the disk.")           \
	X(ATTACHMENT_QUOTA, "attachment-quota", LINE,                                                   \
		"What steps attach to runs has no more room: see 'attachments' of provd.yaml.")         \
	X(ATTACHMENT_DAMAGED, "attachment-damaged", LINE,                                               \
		"An attached file is not what was recorded: take it from a backup, check the disk.")    \
	X(RECIPE_INVALID, "recipe-invalid", LINE, "Correct the recipe.")                                \
	X(PORT_UNBOUND, "port-unbound", LINE,                                                           \
		"The station has no device on a port that the recipe needs.")                           \
	X(POOL_EMPTY, "pool-empty", LINE, "The pool has no value left: extend it.")                     \
	X(SERIAL_CONFLICT, "serial-conflict", LINE, "That serial number is already used.")              \
	X(QUOTA, "over-quota", LINE,                                                                    \
		"The order has given out all that it is for: order more, or see the gaps of the pool.") \
	X(DISK_FULL, "disk-full", LINE, "Free some space on the disk of the database.")                 \
	X(DATABASE, "database", LINE, "The database failed; see the journal.")                          \
	X(RECORDS_DAMAGED, "records-damaged", LINE,                                                     \
		"Restore the last good backup: see 'The records are damaged' for the operator.")        \
	X(RECORDS_HELD, "records-held", LINE,                                                           \
		"A person decides how the line goes on: see `provctl records`.")                        \
	X(INTERLOCK, "interlock", LINE,                                                                 \
		"Do what the message asks for, or have a supervisor release the interlock.")            \
	X(ARCHIVED, "archived", LINE,                                                                   \
		"The run is in an archive: `provctl record verify` and `recall --archive` read it.")    \
	X(CLOCK, "clock", LINE,                                                                         \
		"Set the clock or wait for the time service, then run the unit again.")                 \
	X(BACKLOG, "backlog", LINE,                                                                     \
		"Others have not taken what they are told: see `provctl backlog` and the message.")     \
	X(UNIT_SUSPECT, "unit-suspect", LINE,                                                           \
		"A supervisor looks at the unit, then releases or scraps it.")                          \
	X(OTP_HALF, "otp-half-burnt", LINE,                                                             \
		"Half a value is burnt for good: a supervisor looks at the unit, and scraps it.")       \
	X(INTERRUPTED, "interrupted", LINE,                                                             \
		"Power or provd was lost during the run: run the unit again.")                          \
	X(PREFLIGHT, "preflight", LINE, "A condition for the run is not met.")                          \
	X(SERVICE_DOWN, "service-unreachable", LINE,                                                    \
		"Check the network and the service that the message names, then run it again.")         \
	X(SERVICE_BUSY, "service-busy", LINE,                                                           \
		"The service has no time now: wait, then run it again.")                                \
	X(SERVICE_UNTRUSTED, "service-untrusted", LINE,                                                 \
		"The service cannot prove who it is: check its certificate and provd.yaml.")            \
	X(SERVICE_ANSWER, "service-answer", LINE,                                                       \
		"What answers is not the service that was expected: check its address.")                \
	X(SERVICE_REFUSED, "service-refused", LINE,                                                     \
		"The service refused the request: the message says with which status.")                 \
	X(SERVICE_CONFLICT, "service-conflict", LINE,                                                   \
		"The service knows this unit as something else: a supervisor looks at both.")           \
	X(KEYS_DOWN, "keys-unavailable", LINE,                                                          \
		"The process that holds the keys does not answer: see its log (provd-keyd).")           \
	X(TOKEN_GONE, "token-gone", LINE,                                                               \
		"Plug the token of the keys in again; nothing has to be restarted.")                    \
	X(TOKEN_PIN, "token-pin", LINE,                                                                 \
		"The PIN or passphrase of a key cannot be read, or opens nothing: see its file.")       \
	X(PIN_REFUSED, "pin-refused", LINE,                                                             \
		"The token refused its PIN: put the right one into its file, to be tried then.")        \
	X(PIN_LOCKED, "pin-locked", LINE,                                                               \
		"The token has locked its PIN: its security officer unlocks it.")                       \
	X(TOKEN_FULL, "token-full", LINE,                                                               \
		"The token has no room for another key: take old ones out, or name another.")           \
	X(CSR_ATTRIBUTES, "csr-attributes", LINE,                                                       \
		"The authority wants more in a request than the unit's has: see the message.")          \
	X(ISSUER_INVALID, "issuer-invalid", LINE,                                                       \
		"The issuer's certificate is not valid now: renew it, or set the clock.")               \
	X(PROFILE_REFUSED, "profile-refused", LINE,                                                     \
		"The certificate profile does not allow this: correct the recipe or the profile.")      \
	X(INSTRUMENT, "instrument", LINE, "Look at the instrument as the message says.")                \
	X(INSTRUMENT_LATE, "instrument-late", LINE,                                                     \
		"The instrument did not answer in time: see what it does, or give it longer.")          \
	X(INSTRUMENT_ERROR, "instrument-error", LINE,                                                   \
		"The instrument reports an error of its own: see the message.")                         \
	X(CALIBRATION_DUE, "calibration-due", LINE,                                                     \
		"Have the instrument calibrated, and change its date in provd.yaml.")                   \
	X(POWER_SWITCH, "power-switch", LINE,                                                           \
		"Look at what switches the power, as the message says.")                                \
	X(POWER_NOT_SWITCHABLE, "power-not-switchable", LINE,                                           \
		"Use a hub that switches each port, or another switch: see `power` of the station.")    \
	X(POWER_GANGED, "power-ganged", LINE,                                                           \
		"This hub switches its ports together: use one that switches each port.")               \
	X(POWER_STATE, "power-state", LINE,                                                             \
		"The switch says another state than it was set to: look at it.")                        \
	X(POWER_NO_EFFECT, "power-no-effect", LINE,                                                     \
		"The switch moved and the unit did not: check that it is this unit's, and the wiring.") \
	X(POWER_CONFLICT, "power-conflict", LINE,                                                       \
		"What would be switched is another station's: correct `power`.")                        \
	X(PRINTER, "printer", LINE,                                                                     \
		"Look at the printer as the message says, then print the label again.")                 \
	X(HOST_COPIED, "host-copied", LINE,                                                             \
		"Two hosts say that they are this one: end the copy, then readmit the right one.")      \
	X(HOST_OLDER, "host-older", LINE,                                                               \
		"This host's records are older than the plant's of it: restore the newest ones.")       \
	X(HOST_UNPROVEN, "host-unproven", LINE,                                                         \
		"The plant must answer once before its numbers are given out: see the network.")        \
	X(LEASE_EXPIRED, "lease-expired", LINE,                                                         \
		"The numbers of the plant are no longer this host's: connect it to the plant.")         \
	X(PLANT_GAP, "plant-gap", LINE, "The plant expects an earlier record: see the message.")        \
	X(PLANT_HELD, "plant-held", LINE,                                                               \
		"The plant refuses this host: the message says why, and who decides.")                  \
	X(PLANT_OLDER, "plant-older", LINE,                                                             \
		"The plant has lost what it had taken: restore its newest database.")                   \
	X(PLANT_VERSION, "plant-version", LINE,                                                         \
		"Host and plant are of versions that do not fit: upgrade the older of the two.")        \
	X(NO_MEMORY, "no-memory", LINE, "The machine is out of memory.")                                \
	X(UNSUPPORTED, "unsupported", LINE, "This provd or device cannot do that.")                     \
	X(INTERNAL, "internal", LINE, "This is a bug in provd: report it with the journal.")            \
	/* people */                                                                                    \
	X(ABORTED, "aborted", PERSON, "Someone stopped the run.")                                       \
	X(ROUTE_HELD, "route-held", PERSON,                                                             \
		"The MES holds this unit back: ask there, then run it again.")                          \
	X(ROUTE_REJECTED, "route-rejected", PERSON,                                                     \
		"The MES says that this unit does not belong here: set it aside.")                      \
	X(SHUTDOWN, "shutdown", PERSON, "provd was stopped.")                                           \
	/* requests, configuration */                                                                   \
	X(INVALID, "invalid", LINE, "")                                                                 \
	X(NOT_FOUND, "not-found", LINE, "")                                                             \
	X(CONFLICT, "conflict", LINE, "")                                                               \
	X(UNPROCESSABLE, "unprocessable", LINE, "")                                                     \
	X(TOO_LARGE, "too-large", LINE, "")                                                             \
	X(UNAUTHORIZED, "unauthorized", LINE, "")                                                       \
	X(TOKEN_EXPIRED, "token-expired", LINE, "")                                                     \
	X(CERT_REFUSED, "certificate-refused", LINE, "")                                                \
	X(FORBIDDEN, "forbidden", LINE, "")                                                             \
	X(OUT_OF_SCOPE, "out-of-scope", LINE, "")                                                       \
	X(PRECONDITION, "precondition", LINE, "")                                                       \
	X(GONE, "gone", LINE, "")                                                                       \
	X(OVERLOADED, "overloaded", LINE, "")

enum err_code {
#define X(sym, str, cls, hint) ERR_##sym,
	ERR_TABLE(X)
#undef X
		ERR_CODE_COUNT
};

/* A sentence for people, with its end: of an error, a verdict, a hold. */
#define ERR_TEXT_BYTES 320

struct err {
	enum err_code code;
	int os_errno; /* 0 or the errno that caused it */
	char msg[ERR_TEXT_BYTES];
};

/* Fills *e (may be NULL) and returns -c. */
int err_set(struct err *e, enum err_code c, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* As err_set, keeps errno and appends its text; picks the code from errno where c is ERR_IO
 * (EACCES -> access-denied, EBUSY -> busy, ENOSPC -> disk-full, ENODEV/ENXIO -> device-gone,
 * ENOMEM). */
int err_errno(struct err *e, enum err_code c, int os_errno, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Puts "text: " before the message already there; returns -e->code, or -ERR_INTERNAL for NULL. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *err_code_str(enum err_code c);
const char *err_code_hint(enum err_code c);
enum err_class err_code_class(enum err_code c);
/* The code of a stable string, or -1. */
int err_code_from_str(const char *s);
/* The code in a negative return value. */
enum err_code err_from_ret(int r);
