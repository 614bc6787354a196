/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests in other languages compare with: `tree_tool jcs` writes each line of JSON of its input in
 * its canonical form; `tree_tool tree N` writes root, nodes, and all proofs of the trees of up to N leaves
 * (leaf I is the decimal number I).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jcs.h"
#include "base/merkle.h"
#include "base/util.h"

static struct merkle_hash nodes[1024];

static int keep(
	void *data, unsigned level, uint64_t index, const struct merkle_hash *h, struct err *e)
{
	size_t *next = data;

	if (merkle_position(level, index) != *next)
		return err_set(e, ERR_INTERNAL, "node %u/%llu is not number %zu", level,
			(unsigned long long)index, *next);
	nodes[(*next)++] = *h;
	return 0;
}

static int read_node(
	void *data, unsigned level, uint64_t index, struct merkle_hash *ret, struct err *e)
{
	*ret = nodes[merkle_position(level, index)];
	return 0;
}

static void print_proof(const char *what, uint64_t at, const struct merkle_proof *p)
{
	char hex[SHA256_HEX];

	printf("%s %llu", what, (unsigned long long)at);
	for (size_t i = 0; i < p->n; i++)
		printf(" %s", hex_of(p->h[i].b, SHA256_BYTES, hex));
	putchar('\n');
}

static int print_tree(const struct merkle_nodes *t, uint64_t size, struct err *e)
{
	struct merkle_proof p;
	struct merkle_hash root;
	char hex[SHA256_HEX];
	int r = merkle_root(t, size, &root, e);

	printf("root %llu %s\n", (unsigned long long)size, hex_of(root.b, SHA256_BYTES, hex));
	for (uint64_t i = 0; r == 0 && i < size; i++) {
		r = merkle_inclusion(t, i, size, &p, e);
		print_proof("inclusion", i, &p);
	}
	for (uint64_t i = 1; r == 0 && i <= size; i++) {
		r = merkle_consistency(t, i, size, &p, e);
		print_proof("consistency", i, &p);
	}
	return r;
}

static int trees(uint64_t n)
{
	const struct merkle_nodes t = {.read = read_node};
	struct merkle_growth g = {0};
	size_t next = 0;
	struct err e = {0};
	int r = print_tree(&t, 0, &e);

	for (uint64_t i = 0; r == 0 && i < n; i++) {
		char text[24];
		int len = snprintf(text, sizeof text, "%llu", (unsigned long long)i);
		struct merkle_hash leaf = merkle_leaf(text, (size_t)len);

		r = merkle_add(&g, &leaf, keep, &next, &e);
		if (r == 0)
			r = print_tree(&t, i + 1, &e);
	}
	if (r < 0)
		fprintf(stderr, "%s\n", e.msg);
	return r < 0 ? 1 : 0;
}

static int canonical_lines(void)
{
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, stdin) > 0) {
		json_t *j = json_loads(line, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		_cleanup_(freep) char *text = NULL;
		struct err e = {0};

		if (!j || jcs(j, &text, &e) < 0)
			printf("error: %s\n", j ? e.msg : "no JSON");
		else
			puts(text);
		json_decref(j);
	}
	free(line);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "jcs"))
		return canonical_lines();
	if (argc == 3 && !strcmp(argv[1], "tree"))
		return trees(strtoull(argv[2], NULL, 10));
	return 2;
}
