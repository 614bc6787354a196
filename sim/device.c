/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/device.h"

#include <string.h>

#include "base/strbuf.h"

const struct device_ops *device_kind(const char *name)
{
	for (size_t i = 0; device_kinds[i]; i++)
		if (!strcmp(device_kinds[i]->name, name))
			return device_kinds[i];
	return NULL;
}

struct device *device_free(struct device *d)
{
	if (d)
		d->ops->free(d);
	return NULL;
}

enum device_wish device_take_wish(struct device *d)
{
	enum device_wish w = d->wish;

	if (d->ops->take_wish)
		return d->ops->take_wish(d);
	d->wish = WISH_NONE;
	return w;
}

const struct own_setting *device_setting(const char *name)
{
	for (size_t i = 0; device_kinds[i]; i++)
		for (const struct own_setting *s = device_kinds[i]->settings; s && s->name; s++)
			if (!strcmp(s->name, name))
				return s;
	return NULL;
}

void devices_print(FILE *out)
{
	for (size_t i = 0; device_kinds[i]; i++) {
		const struct device_ops *k = device_kinds[i];

		fprintf(out, "%s: %s\n", k->name, k->help);
		for (const struct own_setting *s = k->settings; s && s->name; s++)
			fprintf(out, "  --%-18s %s (default %s)\n", s->name, s->help,
				s->text[0] ? s->text : "none");
		for (const struct own_fault *f = k->faults; f && f->name; f++)
			fprintf(out, "  fault %-18s %s\n", f->name, f->help);
	}
}

/* -- faults -- */

static int find_row(const struct own_faults *f, const char *name, size_t n)
{
	for (int i = 0; f->rows && f->rows[i].name; i++)
		if (strlen(f->rows[i].name) == n && !strncmp(f->rows[i].name, name, n))
			return i;
	return -1;
}

/* NAME[=ARG][,count=N] */
int own_faults_add(struct own_faults *f, const char *spec, struct err *e)
{
	size_t n = strcspn(spec, "=,");
	const char *comma = strchr(spec, ',');
	int row = find_row(f, spec, n);
	unsigned long long count = 1;

	if (row < 0)
		return err_set(e, ERR_INVALID, "no fault '%.*s' of this device", (int)n, spec);
	if (f->n == OWN_FAULTS_MAX)
		return err_set(e, ERR_INVALID, "more than %d faults", OWN_FAULTS_MAX);

	double arg = f->rows[row].arg;

	if (spec[n] == '=') {
		_cleanup_(freep) char *text = strndup(spec + n + 1, strcspn(spec + n + 1, ","));
		unsigned long long v;

		if (parse_size(text, &v))
			arg = (double)v;
		else if (!parse_number(text, &arg))
			return err_set(e, ERR_INVALID, "%s: '%s' is not a number", spec, text);
	}
	if (comma && (strncmp(comma, ",count=", 7) != 0 || !parse_size(comma + 7, &count)))
		return err_set(e, ERR_INVALID, "%s: expected NAME[=ARG][,count=N]", spec);
	f->list[f->n].row = (unsigned)row;
	f->list[f->n].arg = arg;
	f->list[f->n].count = (unsigned)count;
	f->n++;
	return 0;
}

static size_t find_set(const struct own_faults *f, unsigned row)
{
	size_t i = 0;

	while (i < f->n && f->list[i].row != row)
		i++;
	return i;
}

bool own_fault_set(const struct own_faults *f, unsigned row, double *ret_arg)
{
	size_t i = find_set(f, row);

	if (i == f->n)
		return false;
	if (ret_arg)
		*ret_arg = f->list[i].arg;
	return true;
}

bool own_fault_hit(struct own_faults *f, unsigned row, double *ret_arg)
{
	size_t i = find_set(f, row);

	if (!own_fault_set(f, row, ret_arg))
		return false;
	f->fired++;
	if (f->list[i].count && --f->list[i].count == 0) {
		f->n--;
		memmove(&f->list[i], &f->list[i + 1], (f->n - i) * sizeof f->list[0]);
	}
	return true;
}
