/* SPDX-License-Identifier: Apache-2.0
 *
 * Where messages of IPC-CFX go, and what reports for WATS have besides the run.
 */
#include "daemon/line/config_impl.h"

#include "base/util.h"
#include "daemon/line/cfx_messages.h"
#include "db/webhooks.h"
#include "transports/links/amqp.h"

#define TEXTS_SCHEMA "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}"
#define ADDRESSES_SCHEMA                                                                        \
	"{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"minItems\":1,\"maxItems\":16," \
	"\"items\":{\"type\":\"string\"}}]}"

/* A list of texts, each of which ok() takes; a text alone is a list of one where `alone`. */
static json_t *read_texts(const json_t *v, bool alone, bool (*ok)(const char *text),
	const char *expected, const char *pointer, struct mistakes *m)
{
	json_t *list = alone && json_is_string(v) ? json_pack("[O]", v)
		       : json_is_array(v)	  ? json_copy((json_t *)v)
						  : json_array();
	const json_t *item;
	size_t i;

	if (json_array_size(list) == 0)
		mistakes_add(m, pointer, "%s expected", expected);
	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);
		_cleanup_(freep) char *p = pointer_index(pointer, i);

		if (!text || !ok(text))
			mistakes_add(m, p, "'%.80s' is not what is expected: %s", text ? text : "",
				expected);
	}
	return list;
}

static bool is_address(const char *text)
{
	const size_t n = strlen(text);

	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	return n > 0 && n < AMQP_ADDRESS_BYTES;
}

static void read_addresses(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct cfx_config *c = to;

	c->addresses = read_texts(v, true, is_address,
		"a target address of the broker, such as /exchange/cfx/line4, or a list of them",
		pointer, m);
	if (json_array_size(c->addresses) > WEBHOOKS_OWN_MAX)
		mistakes_add(m, pointer, "at most %d addresses are taken", WEBHOOKS_OWN_MAX);
}

static void read_types(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	((struct cfx_config *)to)->types = read_texts(v, false, cfx_is_type,
		"a list of messages that provd sends, such as [CFX.Production.WorkCompleted, 'CFX.Production.*']",
		pointer, m);
}

static void read_stations(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	((struct cfx_config *)to)->stations = read_texts(
		v, false, config_is_name, "a list of stations, such as [A1, A2]", pointer, m);
}

const struct form_row cfx_rows[] = {
	{"url", FORM_TEXT, .required = true, .low = 1, .high = 300,
		.doc = "amqps://HOST[:PORT] of the broker, or amqp:// in the clear; in the clear a password goes to this machine alone.",
		FORM_AT(struct cfx_config, url)},
	{"handle", FORM_TEXT, .required = true, .low = 5, .high = 128,
		.doc = "The CFX handle, Vendor.Model.Serial. {station} in it is the station's id: each station is an endpoint of its own. Needed where messages of more than one station go there.",
		FORM_AT(struct cfx_config, handle)},
	{"address", FORM_OWN, .required = true, .read = read_addresses, .schema = ADDRESSES_SCHEMA,
		.doc = "The target address, or a list of them, each of which gets every message. Of RabbitMQ /queue/NAME (made, durable, where it is not there) or /exchange/NAME/KEY; not /amq/queue/NAME, where RabbitMQ 3 accepts and drops what goes to a queue that does not exist."},
	{"user", FORM_TEXT, .low = 1, .high = 128,
		.doc = "Who provd is (SASL PLAIN); needs password. Without it: ANONYMOUS.",
		FORM_AT(struct cfx_config, user)},
	{"password", FORM_TEXT, .low = 1, .high = 64,
		.doc = "The name of a secret: the password of user.",
		FORM_AT(struct cfx_config, password)},
	{"ca", FORM_PATH,
		.doc = "Certificates that sign the broker's, in the place of the system's.",
		FORM_AT(struct cfx_config, ca)},
	{"types", FORM_OWN, .read = read_types, .schema = TEXTS_SCHEMA,
		.doc = "Names of messages, or their beginnings with a '*', such as 'CFX.Production.*'; by default all."},
	{"stations", FORM_OWN, .read = read_stations, .schema = TEXTS_SCHEMA,
		.doc = "Only of these stations; by default of all."},
	{"heartbeat", FORM_DURATION, .def = "1m", .low = 1000000,
		.doc = "CFX.Heartbeat is sent so often; CFX wants it every 5 minutes at least.",
		FORM_AT(struct cfx_config, heartbeat_us)},
	{"timeout", FORM_DURATION, .def = "15s", .low = 100000,
		.doc = "How long the broker may take to open a connection, to take a message, and to give credit.",
		FORM_AT(struct cfx_config, timeout_us)},
	{"validate_address", FORM_TEXT, .low = 1, .high = AMQP_ADDRESS_BYTES - 1,
		.doc = "The address that ValidateUnitsRequest goes to, before a unit of an order with {service: cfx} in 'route_check' begins: the handle of an endpoint, or a queue of a broker.",
		FORM_AT(struct cfx_config, validate_address)},
	{"validate_url", FORM_TEXT, .low = 1, .high = 300,
		.doc = "amqps://HOST[:PORT] of the endpoint that answers it; by default 'url'. 'user', 'password' and 'ca' are those of the broker.",
		FORM_AT(struct cfx_config, validate_url)},
	{"validate_target", FORM_TEXT, .low = 5, .high = 128,
		.doc = "The handle of who answers (Target of the envelope); by default validate_address.",
		FORM_AT(struct cfx_config, validate_target)},
	{"validate_reply", FORM_TEXT, .low = 1, .high = AMQP_ADDRESS_BYTES - 1,
		.doc = "Where the answers come, of a broker: a queue of this provd alone. By default they come over the connection of the question, as endpoints of CFX answer each other.",
		FORM_AT(struct cfx_config, validate_reply)},
	{"give_up", FORM_DURATION, .def = "5d", .low = 1000000,
		.doc = "How long an address is tried that takes nothing, until it is disabled; and one message that it does not take, until that is put aside.",
		FORM_AT(struct cfx_config, give_up_us)},
	{0},
};

void config_read_cfx(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(cfx_rows, v, pointer, "key", &c->cfx, m);
	else
		mistakes_add(m, pointer,
			"'cfx' is a mapping such as {url: 'amqps://HOST', handle: 'Vendor.Model.{station}', address: /exchange/cfx/line4}");
}

const struct form_row wats_rows[] = {
	{"process_code", FORM_TEXT, .high = 32, .def = "10",
		.doc = "The number of the process, as WATS has it.",
		FORM_AT(struct wats_config, process_code)},
	{"process_name", FORM_TEXT, .high = 100, .def = "Programming", .doc = "Its name.",
		FORM_AT(struct wats_config, process_name)},
	{"location", FORM_TEXT, .high = 100, .def = "", .doc = "Where the stations are.",
		FORM_AT(struct wats_config, location)},
	{0},
};

void config_read_wats(void *to, const json_t *v, const char *pointer, struct mistakes *m)
{
	struct config *c = to;

	if (json_is_object(v))
		form_read(wats_rows, v, pointer, "key", &c->wats, m);
	else
		mistakes_add(m, pointer, "'wats' is a mapping such as {process_code: '10'}");
}

/* --- once all is read --- */

static void check_one_url(
	const struct config *c, const char *text, const char *pointer, struct mistakes *m)
{
	struct amqp_url url;
	struct err e;

	if (amqp_url_parse(text, &url, &e) < 0)
		mistakes_add(m, pointer, "%s", e.msg);
	else if (c->cfx.password && !url.tls && !config_is_this_machine(url.host))
		mistakes_add(m, pointer,
			"'cfx' would send its password in the clear to %s: amqps:// expected",
			url.host);
}

static void check_validate(const struct config *c, struct mistakes *m)
{
	const struct cfx_config *f = &c->cfx;

	if (f->validate_url)
		check_one_url(c, f->validate_url, "/cfx/validate_url", m);
	if (!f->validate_address && (f->validate_url || f->validate_target || f->validate_reply))
		mistakes_add(m, "/cfx/validate_address",
			"'validate_address' is missing: who is asked is not known without it");
	if (f->validate_address && !is_address(f->validate_address))
		mistakes_add(m, "/cfx/validate_address", "an address without spaces expected");
	if (f->validate_reply && !is_address(f->validate_reply))
		mistakes_add(m, "/cfx/validate_reply", "an address without spaces expected");
}

bool config_asks_cfx(const struct config *c, const char *service)
{
	if (strcmp(service, "cfx") != 0 || !c->cfx.url || !c->cfx.validate_address)
		return false;
	for (size_t i = 0; i < c->services; i++)
		if (!strcmp(c->service[i].name, service))
			return false;
	return true;
}

static void check_url(const struct config *c, struct mistakes *m)
{
	check_one_url(c, c->cfx.url, "/cfx/url", m);
	check_validate(c, m);
	if (!c->cfx.user != !c->cfx.password)
		mistakes_add(m, "/cfx", "'cfx' needs 'user' and 'password' together, or neither");
	if (c->cfx.password && !config_has_secret(c, c->cfx.password))
		mistakes_add(m, "/cfx/password",
			"'cfx' names the password '%s', and 'secrets' has no such name",
			c->cfx.password);
}

void config_check_cfx(const struct config *c, struct mistakes *m)
{
	if (!c->cfx.url)
		return;
	if (!amqp_built())
		mistakes_add(m, "/cfx",
			"this provd was built without IPC-CFX: leave 'cfx' out, or build it with libqpid-proton11-dev and -Dcfx=enabled");
	check_url(c, m);
	if (c->cfx.handle && !cfx_is_handle(c->cfx.handle))
		mistakes_add(m, "/cfx/handle",
			"'%s' is no CFX handle: Vendor.Model.Serial of letters, digits, - and _ expected, with {station} for the station's id",
			c->cfx.handle);
}

void config_cfx_defaults(struct config *c, struct mistakes *m)
{
	json_t *none = json_object();

	if (!c->wats.process_code)
		form_read(wats_rows, none, "/wats", "key", &c->wats, m);
	if (!c->cfx.types)
		c->cfx.types = json_array();
	if (!c->cfx.stations)
		c->cfx.stations = json_array();
	json_decref(none);
}

void config_cfx_done(struct config *c)
{
	form_done(cfx_rows, &c->cfx);
	form_done(wats_rows, &c->wats);
	json_decref(c->cfx.addresses);
	json_decref(c->cfx.types);
	json_decref(c->cfx.stations);
}
