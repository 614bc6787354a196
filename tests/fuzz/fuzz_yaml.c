/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as YAML: a document with a place for every pointer, or a refusal with a sentence.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct yaml_doc *doc = NULL;
	struct err e = {0};

	if (yaml_parse("fuzz", (const char *)bytes, n, &doc, &e) < 0) {
		if (!e.msg[0] || doc)
			abort();
		return 0;
	}
	for (size_t i = 0; i < doc->places; i++)
		if (yaml_where(doc, doc->place[i].pointer)->line == 0)
			abort();
	yaml_doc_free(doc);
	return 0;
}
