// SPDX-License-Identifier: Apache-2.0
// node models.mjs MODULES DOCUMENT OUT NAME...: Python classes of schemas of an OpenAPI document, made by quicktype.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, file, out, ...names] = process.argv.slice(2);
const { InputData, JSONSchemaInput, quicktype } = createRequire(path.join(modules, 'package.json'))('quicktype-core');

const { components } = JSON.parse(fs.readFileSync(file, 'utf8'));
const schemas = new JSONSchemaInput(undefined);
const input = new InputData();

for (const name of names) {
  // What it refers to is found where the document has it.
  await schemas.addSource({ name, schema: JSON.stringify({ ...components.schemas[name], components }) });
}
input.addInput(schemas);
const { lines } = await quicktype({ inputData: input, lang: 'python', rendererOptions: { 'python-version': '3.7' } });

fs.writeFileSync(out, lines.join('\n'));
