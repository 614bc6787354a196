/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints what is made of the rows of the configuration: its manual page, and the JSON Schemas of
 * its files for editors. config_doc man | schema | stations-schema.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/line/config.h"

static void print_man(void)
{
	puts(".\\\" SPDX-License-Identifier: Apache-2.0\n"
	     ".\\\" Made of the rows in daemon/line/config.c: config_doc man > "
	     "docs/man/provd.yaml.5\n"
	     ".TH PROVD.YAML 5 \"\" \"provd 0.1.0\" \"File formats\"\n"
	     ".SH NAME\n"
	     "provd.yaml \\- configuration of provd\n"
	     ".SH DESCRIPTION\n"
	     "A mapping in YAML; the files of stations.d/ in the same folder add stations. "
	     "\\fBprovd "
	     "\\-\\-check\\fR finds every\nmistake. A size is a number of bytes, or one with K, M "
	     "or "
	     "G; a duration has us, ms, s, m, h or d.");
	form_man(config_rows, stdout);
	puts(".SH TLS\nWhat the API shows, and which certificates it takes from clients.");
	form_man(tls_rows, stdout);
	puts(".SH PRINCIPALS\nA list. Who is known by a client certificate, without a token.");
	form_man(client_rows, stdout);
	puts(".SH SCOPES\nOf principals and tokens. A list limits what it is of.");
	form_man(scope_rows, stdout);
	puts(".SH STATIONS");
	form_man(station_rows, stdout);
	puts(".SH PORTS\nA mapping of roles. Each has one of path, tty, tcp and udp.");
	form_man(port_rows, stdout);
	puts(".SH POWER\nHow the power of a station's unit is switched. Which of the keys are needed, its kind says.");
	form_man(power_rows, stdout);
	puts(".SH RESET\nOf a station: the GPIO line that resets its unit.");
	form_man(reset_rows, stdout);
	puts(".SH POWER POLICY\nHow units are switched on that share a hub, a relay board or a supply.");
	form_man(power_policy_rows, stdout);
	puts(".SH SERVICES\nA mapping of names. What recipes ask of a cloud or a MES over HTTP goes to "
	     "one of them.");
	form_man(service_rows, stdout);
	puts(".SH PRINTERS\nA mapping of names. Labels of unit.label go to one of them.");
	form_man(printer_rows, stdout);
	puts(".SH INSTRUMENTS\nA mapping of names. What instrument.* and calibrate.* measure with.");
	form_man(instrument_rows, stdout);
	puts(".SH SHIFTS\nA mapping of names. By which times of the day the line is looked at.");
	form_man(shift_rows, stdout);
	puts(".SH RECORDS\nWhat is signed of the records, and when.");
	form_man(records_rows, stdout);
	puts(".SH WEBHOOKS\nWhere events may be sent.");
	form_man(webhooks_rows, stdout);
	puts(".SH OUTBOX\nHow much may wait for others.");
	form_man(outbox_rows, stdout);
	puts(".SH SPOOL\nA folder that events are written to.");
	form_man(spool_rows, stdout);
	puts(".SH CFX\nA broker that messages of IPC\\-CFX go to.");
	form_man(cfx_rows, stdout);
	puts(".SH WATS\nWhat reports for WATS have besides the run.");
	form_man(wats_rows, stdout);
	puts(".SH EXAMPLE\n"
	     ".nf\n"
	     "stations:\n"
	     "  - id: A1\n"
	     "    ports:\n"
	     "      console: {path: 'pci\\-0000:00:14.0\\-usb\\-0:1.2', vid: '0403', pid: '6001', "
	     "baud: 115200}\n"
	     ".fi\n"
	     ".SH SEE ALSO\n"
	     ".BR provd (8)");
}

static void print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (!strcmp(what, "man"))
		print_man();
	else if (!strcmp(what, "schema"))
		print_json(config_schema());
	else if (!strcmp(what, "stations-schema"))
		print_json(config_stations_schema());
	else
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
