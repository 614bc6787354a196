/* SPDX-License-Identifier: Apache-2.0
 *
 * A checkpoint, signed by openssl; tests/unit/base/test_checkpoint.c says how.
 */
#pragma once

#define VECTOR_TEXT                                      \
	"provd.records/5d0c31d2a4b6f788\n"               \
	"1042\n"                                         \
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" \
	"epoch 00112233445566ff 2\n"                     \
	"time 2025-11-30T08:00:00.123Z\n"
#define VECTOR_NOTE                                      \
	"provd.records/5d0c31d2a4b6f788\n"               \
	"1042\n"                                         \
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n" \
	"epoch 00112233445566ff 2\n"                     \
	"time 2025-11-30T08:00:00.123Z\n"                \
	"\n"                                             \
	"\xe2\x80\x94 provd.records/5d0c31d2a4b6f788 7WygYN8A3TIX006PIfFqcMrhhPNrEXenmgrg2cFgVq0odBiEd/0e9Mf1txZAV11slEPiOLpg6vyrltmx0uLZ+iY1Zgw=\n"
#define VECTOR_SIGNATURE \
	"3wDdMhfTTo8h8WpwyuGE82sRd6eaCuDZwWBWrSh0GIR3/R70x/W3FkBXXWyUQ+I4umDq/KuW2bHS4tn6JjVmDA=="
#define VECTOR_PUBLIC                                                    \
	"-----BEGIN PUBLIC KEY-----\n"                                   \
	"MCowBQYDK2VwAyEA7TO8/3F1NzOo6LB0SPWVQLTqqbUdo+PiAgFyywS2vlA=\n" \
	"-----END PUBLIC KEY-----\n"
#define VECTOR_OTHER                                                     \
	"-----BEGIN PUBLIC KEY-----\n"                                   \
	"MCowBQYDK2VwAyEARpbwtG6WdbIYwXwmeeoHxwf5z6hBoZd+aVYnDcbpIEk=\n" \
	"-----END PUBLIC KEY-----\n"
#define VECTOR_P256                                                          \
	"-----BEGIN PUBLIC KEY-----\n"                                       \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeSB9KnwAUpKpkIazlICw1OuGsQU0\n" \
	"6EEEzrXml4IIRNSZyOwzDJcB4Fr3leShGle4cMmr1h4S8DW4b0cur5S5gw==\n"     \
	"-----END PUBLIC KEY-----\n"
