/* SPDX-License-Identifier: Apache-2.0
 *
 * A label printer of the installation: where it is and what it understands.
 */
#pragma once

#include <stdint.h>

#include "transports/links/link.h"

enum printer_kind {
	PRINTER_ZPL, /* ZPL II over a raw TCP port (protocols/zpl) */
	PRINTER_IPP, /* a PDF over IPP, RFC 8011 (protocols/ipp): CUPS, or the printer itself */
	PRINTER_IPPS /* the same over TLS */
};

#define PRINTER_PATH_BYTES 256

struct printer {
	char address[LINK_ADDRESS_BYTES]; /* of a link: tcp:HOST:PORT */
	uint64_t answer_us;		  /* how long an answer may take */
	enum printer_kind kind;
	char path[PRINTER_PATH_BYTES]; /* of IPP: /printers/NAME of CUPS, /ipp/print of a printer */
	char ca[PRINTER_PATH_BYTES]; /* of PRINTER_IPPS: file of certificates; "": those of the system */
};
