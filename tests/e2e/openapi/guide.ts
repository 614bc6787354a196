// SPDX-License-Identifier: Apache-2.0
// A client that knows provd by its OpenAPI document alone: the types are made by openapi-typescript, the calls are
// openapi-fetch's. From the firmware file to the report of each unit, as docs/integrator.md has it. What it says at the
// end is one line of JSON. guide.js URL TOKEN

import createClient from 'openapi-fetch';
import { createHash, randomUUID } from 'node:crypto';
import type { components, paths } from './provd.js';

type Problem = components['schemas']['Problem'];
type Job = components['schemas']['Job'];
type Run = components['schemas']['Run'];

const [url = '', token = ''] = process.argv.slice(2);
const provd = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

/** What came, or the problem as an error. */
function must<T>(answer: { data?: T; error?: Problem | unknown; response: Response }): T {
  if (answer.data === undefined) {
    const problem = answer.error as Problem;
    throw new Error(`${answer.response.status} ${problem.code}: ${problem.detail}`);
  }
  return answer.data;
}

async function upload(firmware: Uint8Array): Promise<string> {
  const sha256 = createHash('sha256').update(firmware).digest('hex');

  must(
    await provd.PUT('/api/v1/artifacts/{sha256}', {
      params: { path: { sha256 }, query: { name: 'firmware.bin' } },
      body: firmware as unknown as string,
      bodySerializer: (bytes) => bytes as unknown as BodyInit,
      headers: { 'Content-Type': 'application/octet-stream' },
    }),
  );
  return sha256;
}

async function approve(name: string, version: number): Promise<void> {
  const recipe = must(
    await provd.POST('/api/v1/recipes/{name}/versions/{version}/actions/{action}', {
      params: { path: { name, version, action: 'approve' } },
    }),
  );
  if (recipe.state !== 'approved') throw new Error(`recipe ${name} is ${recipe.state}`);
}

async function order(recipe: string, quantity: number): Promise<Job> {
  return must(
    await provd.POST('/api/v1/jobs', {
      params: { header: { 'Idempotency-Key': randomUUID() } },
      body: { recipe, quantity, external_ref: 'PO-4711' },
    }),
  );
}

async function done(id: string): Promise<Job> {
  for (;;) {
    const job = must(await provd.GET('/api/v1/jobs/{id}', { params: { path: { id } } }));
    if (job.state === 'done') return job;
    await new Promise((go) => setTimeout(go, 50));
  }
}

async function main(): Promise<void> {
  const ready = must(await provd.GET('/readyz'));
  const stations = must(await provd.GET('/api/v1/stations')).items;
  await upload(new TextEncoder().encode('\0PROVD-TEST-IMAGE'.padEnd(4096, 'x')));
  must(
    await provd.POST('/api/v1/pools', {
      params: {},
      body: { id: 'production-sn', pattern: 'SN{seq:06}', first: 1, last: 999 },
    }),
  );
  const draft = must(
    await provd.POST('/api/v1/recipes', {
      params: {},
      body: process.env['RECIPE'] as never,
      bodySerializer: (text) => text as unknown as string,
      headers: { 'Content-Type': 'application/yaml' },
    }),
  );
  await approve(draft.name, draft.version);
  const job = await done((await order(draft.name, 2)).id);
  // A list may be had as lines of text, too.
  const list = must(await provd.GET('/api/v1/runs', { params: { query: { job_id: job.id } } }));
  const runs = (list as { items: Run[] }).items;
  const report = must(
    await provd.GET('/api/v1/runs/{id}/report', { params: { path: { id: runs[0]!.id } } }),
  );
  const refused = await provd.POST('/api/v1/jobs', { params: {}, body: { recipe: 'nowhere', quantity: 1 } });
  const problem = refused.error as Problem;

  console.log(
    JSON.stringify({
      ready: ready.status,
      stations: stations.map((s) => s.id),
      job: job.id,
      passed: job.passed,
      serials: runs.filter((r) => r.outcome === 'passed').map((r) => r.serial),
      report: report.outcome,
      refused: [refused.response.status, problem.code, problem.errors?.[0]?.pointer],
    }),
  );
}

await main();
