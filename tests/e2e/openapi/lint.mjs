// SPDX-License-Identifier: Apache-2.0
// node lint.mjs MODULES DOCUMENT: what Redocly's linter finds in an OpenAPI document, as lines; fails where there is any.

import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, file] = process.argv.slice(2);
const { createConfig, lint } = createRequire(path.join(modules, 'package.json'))('@redocly/openapi-core');

const config = await createConfig({
  extends: ['recommended'],
  rules: {
    'operation-operationId': 'error',
    'operation-operationId-unique': 'error',
    'operation-operationId-url-safe': 'error',
    'operation-summary': 'error',
    'operation-2xx-response': 'error',
    'operation-4xx-response': 'error',
    'operation-4xx-problem-details-rfc7807': 'error',
    'operation-parameters-unique': 'error',
    'operation-tag-defined': 'error',
    'tag-description': 'error',
    'no-invalid-media-type-examples': { severity: 'error', allowAdditionalProperties: false },
    'no-invalid-parameter-examples': 'error',
    'no-invalid-schema-examples': 'error',
    'no-unused-components': 'error',
    'no-ambiguous-paths': 'off', // /recipes/check next to /recipes/{name}: the words are meant before the name
    'info-contact': 'off',
    'security-defined': 'error',
    'no-server-example.com': 'error',
  },
});
const problems = await lint({ ref: file, config });

for (const p of problems) {
  console.log(`${p.severity} ${p.ruleId}: ${p.message} (${p.location.map((l) => l.pointer).join(' ')})`);
}
console.log(`${problems.length} problems`);
process.exit(problems.length ? 1 : 0);
