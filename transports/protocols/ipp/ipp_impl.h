/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a request, for ipp*.c alone (RFC 8010, 3.1).
 */
#pragma once

#include "transports/protocols/ipp/ipp.h"

enum ipp_operation {
	IPP_PRINT_JOB = 0x0002,
	IPP_GET_JOB_ATTRIBUTES = 0x0009,
	IPP_GET_JOBS = 0x000a,
	IPP_GET_PRINTER_ATTRIBUTES = 0x000b
};

enum ipp_tag {
	IPP_OPERATION_GROUP = 0x01,
	IPP_JOB_GROUP = 0x02,
	IPP_END = 0x03,
	IPP_PRINTER_GROUP = 0x04,
	IPP_LAST_DELIMITER = 0x0f,
	IPP_INTEGER = 0x21,
	IPP_BOOLEAN = 0x22,
	IPP_ENUM = 0x23,
	IPP_TEXT = 0x41,
	IPP_NAME = 0x42,
	IPP_KEYWORD = 0x44,
	IPP_URI = 0x45,
	IPP_CHARSET = 0x47,
	IPP_LANGUAGE = 0x48,
	IPP_MIME = 0x49
};

/* Begins a request with the attributes that each has: charset, language, printer-uri, user. */
void ipp_begin(struct strbuf *b, enum ipp_operation op, uint32_t request, const char *uri);
/* name "": one more value of the attribute before. */
void ipp_add(struct strbuf *b, enum ipp_tag tag, const char *name, const char *value);
void ipp_add_integer(struct strbuf *b, const char *name, uint32_t value);
void ipp_add_group(struct strbuf *b, enum ipp_tag group);
