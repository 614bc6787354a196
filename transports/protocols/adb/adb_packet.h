/* SPDX-License-Identifier: Apache-2.0
 *
 * The packets of the Android Debug Bridge: a header of six little-endian words and a payload.
 *
 *	0 command   4 arg0   8 arg1   12 data_length   16 data_check   20 magic (command inverted)
 *
 * data_check is the plain sum of the payload's bytes. Version 0x01000001 no longer looks at it, but
 * until the peer's CNXN is read nobody knows the version: CNXN and AUTH always carry it.
 *
 * Source: AOSP packages/modules/adb, docs/dev/protocol.md and adb.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define ADB_CNXN 0x4e584e43u /* version, max payload; "host::features=..." */
#define ADB_AUTH 0x48545541u /* enum adb_auth_kind, 0; token, signature or public key */
#define ADB_OPEN 0x4e45504fu /* local id, 0; service */
#define ADB_OKAY 0x59414b4fu /* local id, remote id */
#define ADB_WRTE 0x45545257u /* local id, remote id; data */
#define ADB_CLSE 0x45534c43u /* local id (0: open refused), remote id */
#define ADB_STLS 0x534c5453u /* the device wants TLS */

enum adb_auth_kind { ADB_AUTH_TOKEN = 1, ADB_AUTH_SIGNATURE = 2, ADB_AUTH_PUBLIC_KEY = 3 };

#define ADB_VERSION	   0x01000001u
#define ADB_VERSION_SUMS   0x01000000u /* the last that looks at data_check */
#define ADB_HEADER_BYTES   24u
#define ADB_MAX_PAYLOAD	   (1u << 20)
#define ADB_HANDSHAKE_MAX  4096u /* payload of CNXN and AUTH */
#define ADB_TOKEN_BYTES	   20u
#define ADB_SIGNATURE_SIZE 256u

struct adb_packet {
	uint32_t command, arg0, arg1;
	uint32_t length; /* of the payload */
	uint32_t check;
};

void adb_packet_encode(const struct adb_packet *p, uint8_t out[ADB_HEADER_BYTES]);
/* -ERR_PROTOCOL for a wrong magic. The length is not judged: the limit is the connection's. */
int adb_packet_decode(const uint8_t in[ADB_HEADER_BYTES], struct adb_packet *ret, struct err *e);
uint32_t adb_sum(const void *p, size_t n);

/* Four letters, or hex where the command is not known. */
const char *adb_command_name(uint32_t command, char buf[12]);
/* What a device said, for messages and records: escaped, at most cap bytes of it; owned by the
 * caller. */
char *adb_text(const void *p, size_t n, size_t cap);
