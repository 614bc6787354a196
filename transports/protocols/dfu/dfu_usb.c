/* SPDX-License-Identifier: Apache-2.0 */
#include "transports/protocols/dfu/dfu_usb.h"

#include <ctype.h>

#include "base/strbuf.h"

/* DFU 1.1, tables 4.1 and 4.4: class, subclass, protocol of run-time and of DFU mode. */
#define CLASS_APPLICATION 0xfe
#define SUBCLASS_DFU	  0x01
#define PROTOCOL_RUNTIME  1
#define PROTOCOL_DFU	  2
/* bmRequestType: class, interface. */
#define TYPE_OUT	  0x21
#define TYPE_IN		  0xa1
#define GET_DESCRIPTOR_IN 0x81 /* standard, interface */
#define GET_DESCRIPTOR	  6
#define FUNCTIONAL_TYPE	  0x21

static bool is_dfu(const struct usb_interface *i)
{
	return i->cls == CLASS_APPLICATION && i->subclass == SUBCLASS_DFU;
}

/* It comes after one setting (often the last) for all of them, or after the configuration, or the
 * device has to be asked for it. */
static bool functional_of(struct usb *u, const struct usb_interface *i, struct dfu_functional *ret,
	const struct iotime *it)
{
	const struct usb_interface *all;
	size_t count = usb_interfaces(u, &all);
	const uint8_t *extra;
	size_t n = usb_config_extra(u, &extra);
	uint8_t buf[16];
	uint16_t got = 0;

	if (dfu_functional_parse(i->extra, i->extra_len, ret))
		return true;
	for (size_t k = 0; k < count; k++)
		if (all[k].number == i->number &&
			dfu_functional_parse(all[k].extra, all[k].extra_len, ret))
			return true;
	if (dfu_functional_parse(extra, n, ret))
		return true;
	return usb_control(u, GET_DESCRIPTOR_IN, GET_DESCRIPTOR, FUNCTIONAL_TYPE << 8, i->number,
		       buf, 9, &got, it, NULL) == 0 &&
	       dfu_functional_parse(buf, got, ret);
}

static bool has_settings(const struct usb *u, uint8_t interface)
{
	const struct usb_interface *all;
	size_t count = usb_interfaces(u, &all);
	unsigned n = 0;

	for (size_t k = 0; k < count; k++)
		n += all[k].number == interface;
	return n > 1;
}

static bool is_runtime(
	const struct usb_interface *i, const struct dfu_functional *f, unsigned quirks)
{
	if (quirks & DFU_QUIRK_DFU_PROTOCOL1)
		return false;
	/* 0 with DfuSe's version, or of a device that is known for it, is DFU mode. */
	if (i->protocol == 0)
		return !(f->version == DFU_VERSION_DFUSE || quirks & DFU_QUIRK_DFU_PROTOCOL0);
	return i->protocol == PROTOCOL_RUNTIME;
}

int dfu_list(struct usb *u, struct dfu_targets *ret, const struct iotime *it, struct err *e)
{
	const struct usb_facts *facts = usb_facts(u);
	const struct usb_interface *i;
	size_t n = usb_interfaces(u, &i);

	*ret = (struct dfu_targets){.quirks = dfu_quirks(facts->vid, facts->pid, facts->release)};
	for (size_t k = 0; k < n && ret->count < DFU_TARGETS_MAX; k++) {
		struct dfu_target t = {.interface = i[k].number, .alt = i[k].alt};

		if (!is_dfu(&i[k]) || (facts->interface >= 0 && facts->interface != i[k].number))
			continue;
		if (!functional_of(u, &i[k], &t.f, it))
			return err_set(e, ERR_PROTOCOL,
				"usb:%s: DFU interface %u has no functional descriptor",
				facts->port, i[k].number);
		t.runtime = is_runtime(&i[k], &t.f, ret->quirks);
		t.dfuse = t.f.version == DFU_VERSION_DFUSE && !t.runtime;

		/* A name that cannot be read counts as none; a memory map is needed later. */
		int r = usb_string(u, i[k].string, t.name, sizeof t.name, it, e);

		if (r == -ERR_DEVICE_GONE || r == -ERR_ABORTED || r == -ERR_SHUTDOWN)
			return r;
		ret->target[ret->count++] = t;
	}
	return 0;
}

/* "@Internal Flash  /0x0800..." is called "Internal Flash". */
static bool is_called(const struct dfu_target *t, const char *name)
{
	size_t n = strlen(name);
	const char *s = t->name;

	if (!strcmp(s, name))
		return true;
	if (*s != '@' || strncmp(++s, name, n) != 0)
		return false;
	s += n;
	while (*s == ' ')
		s++;
	return *s == '/';
}

static bool is_number(const char *s, uint8_t alt)
{
	unsigned long long v;

	return isdigit((unsigned char)*s) && parse_size(s, &v) && v == alt;
}

static int none_such(const struct dfu_targets *l, const char *which, struct err *e)
{
	struct strbuf s = {0};
	int r;

	for (size_t i = 0; i < l->count; i++)
		sb_addf(&s, "%s%u '%.60s'%s", i ? ", " : "", l->target[i].alt, l->target[i].name,
			l->target[i].runtime ? " (run-time)" : "");
	r = err_set(e, ERR_NOT_FOUND, "no memory '%s': the device has %s",
		which ? which : "to flash", s.len ? s.s : "no DFU interface");
	sb_done(&s);
	return r;
}

int dfu_pick(const struct dfu_targets *l, const char *which, const struct dfu_target **ret,
	struct err *e)
{
	const struct dfu_target *found = NULL;

	for (size_t i = 0; i < l->count; i++) {
		const struct dfu_target *t = &l->target[i];

		if (t->runtime || (which && !is_called(t, which) && !is_number(which, t->alt)))
			continue;
		if (found && which)
			return err_set(e, ERR_CONFLICT,
				"memory '%s' is setting %u of interface %u and %u of %u: name usb:PORT:INTERFACE",
				which, found->alt, found->interface, t->alt, t->interface);
		if (!found)
			found = t;
	}
	if (!found)
		return none_such(l, which, e);
	*ret = found;
	return 0;
}

static int port_in(void *data, uint8_t request, uint16_t value, void *buf, uint16_t n,
	uint16_t *ret_n, const struct iotime *it, struct err *e)
{
	struct dfu_usb *x = data;

	return usb_control(x->usb, TYPE_IN, request, value, x->interface, buf, n, ret_n, it, e);
}

static int port_out(void *data, uint8_t request, uint16_t value, const void *buf, uint16_t n,
	const struct iotime *it, struct err *e)
{
	struct dfu_usb *x = data;

	return usb_control(x->usb, TYPE_OUT, request, value, x->interface, (void *)(uintptr_t)buf,
		n, NULL, it, e);
}

static int port_reset(void *data, struct err *e)
{
	return usb_reset(((struct dfu_usb *)data)->usb, e);
}

static int port_sleep(void *data, uint64_t us, const struct iotime *it, struct err *e)
{
	return iotime_sleep(us, it, e);
}

int dfu_usb_open(struct dfu_usb *x, struct usb *u, const struct dfu_target *t, struct dfu_port *ret,
	struct err *e)
{
	int r = usb_claim(u, t->interface, e);

	/* Also setting 0 of several: an earlier session may have chosen another. */
	if (r == 0 && !t->runtime && has_settings(u, t->interface))
		r = usb_set_alt(u, t->interface, t->alt, e);
	if (r < 0)
		return r;
	*x = (struct dfu_usb){u, t->interface};
	*ret = (struct dfu_port){x, port_in, port_out, port_reset, port_sleep};
	return 0;
}
