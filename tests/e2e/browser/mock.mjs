// SPDX-License-Identifier: Apache-2.0
//
// A provd that is none: the same paths, JSON and event stream, over made-up stations that live. The dashboard is
// developed against it, and the browser test can show states that a real line has only on a bad day.
//
//   node mock.mjs --dist DIR [--port N] [--stations N] [--token T] [--until-stdin-ends]
//
// Prints one line, {"url", "token"}, when it listens.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values: o } = parseArgs({
  options: {
    dist: { type: 'string' },
    port: { type: 'string', default: '0' },
    stations: { type: 'string', default: '16' },
    held: { type: 'boolean', default: false },
    'until-stdin-ends': { type: 'boolean', default: false }, // with who started it, however that ended
    role: { type: 'string', default: 'admin' },
    token: { type: 'string', default: 'pvd_0011223344556677_0123456789abcdef' },
  },
});

if (o['until-stdin-ends']) process.stdin.on('close', () => process.exit()).resume();

const POLICY =
  "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'";
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml', '.txt': 'text/plain' }; // prettier-ignore
const SHA = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';

let ids = 0;
const uuid = () => `01936b5e-0000-7000-8000-${String(++ids).padStart(12, '0')}`;
const at = (agoMs = 0) => new Date(Date.now() - agoMs).toISOString();

const RECIPE = {
  recipe: 'guide-production',
  version: 3,
  title: 'Thermostat T200, final provisioning',
  unit: { model: 'T200', serial: { pool: 't200-sn' } },
  ports: { console: { kind: 'tty', baud: 115200 } },
  artifacts: { application: SHA },
  params: {
    variant: { type: 'string', default: 'full', choices: ['full', 'lite'], title: 'Variant' },
    offset: { type: 'number', default: 0.5, title: 'Temperature offset' },
  },
  steps: [
    { id: 'flash', action: 'serialboot.flash', with: { port: 'console', image: '${artifacts.application}' }, timeout: '60s', retry: { attempts: 2, on: ['timeout', 'io'] } },
    { id: 'set-serial', action: 'console.command', with: { port: 'console', send: 'SET_SERIAL ${unit.serial}', expect: '^OK$' } },
    { id: 'read-temp', action: 'console.measure', with: { port: 'console', send: 'read temp', unit: 'degC', low: 20, high: 30 }, on_fail: 'continue' },
    { id: 'led', action: 'operator.prompt', with: { text: 'Is the green LED lit?' } },
  ],
}; // prettier-ignore

const FROM_JOB = { recipe: 'rework', version: 1, title: 'Rework of listed units', unit: { serial: { from: 'job', pattern: '^SN\\d+$' } }, steps: RECIPE.steps }; // prettier-ignore
const recipes = [
  { name: 'guide-production', version: 4, state: 'draft', recipe: { ...RECIPE, version: 4 } },
  { name: 'guide-production', version: 3, state: 'approved', recipe: RECIPE },
  { name: 'guide-production', version: 2, state: 'retired', recipe: { ...RECIPE, version: 2 } },
  { name: 'rework', version: 1, state: 'approved', recipe: FROM_JOB },
].map((r) => ({
  ...r,
  sha256: SHA,
  source: 'recipe: ' + r.name + '\nversion: ' + r.version + '\nsteps:\n  - id: flash\n    action: serialboot.flash\n',
  created_at: at(864e5),
  created_by: 'eng',
  approved_at: r.state === 'draft' ? null : at(8e7),
  approved_by: r.state === 'draft' ? null : 'sup',
}));

const FAILURE = { outcome: 'failed', code: 'limit-high', step: 'read-temp', message: 'read-temp: 31.4 degC is above its limit of 30 degC', hint: 'A measurement is above its limit.' }; // prettier-ignore
const ERROR = { outcome: 'error', code: 'device-gone', step: 'flash', message: 'port console: the link broke during the run', hint: 'The unit was unplugged or lost power during the run.' }; // prettier-ignore
const PASS = { outcome: 'passed', code: 'none', step: '', message: '', hint: '' };

const runs = new Map();
const jobs = new Map();
const events = [];
const streams = new Set();
const holds = o.held
  ? [
      { code: 'records-held', since: at(9e5), stops: ['runs', 'orders', 'changes'],
        message: 'The records are an older copy: the line worked with later ones.',
        hint: 'Put the later database back, or accept this one: provctl records accept --reason TEXT.' },
      { code: 'disk-full', since: at(6e4), stops: ['runs', 'orders'], message: 'No room is left for the records: 3 MiB are free.',
        hint: 'Free some space.' },
    ] // prettier-ignore
  : [];
const stations = new Map();
const sessions = new Set();
let serials = 100;

const frame = (type, data, id) => `${id ? `id: ${id}\n` : ''}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
const beat = () => frame('heartbeat', { seq: events.length });
const wire = ({ job, run, ...rest }) => ({ ...rest, ...(job && { job_id: job }), ...(run && { run_id: run }) });

function publish(type, data, id) {
  for (const s of streams) s.write(frame(type, data, id));
}

function event(type, fields, data = {}) {
  const e = { seq: events.length + 1, at: at(), type, station: null, job: null, run: null, serial: null, ...fields, data };

  events.push(e);
  publish(type, wire(e), e.seq);
}

function show(s) {
  s.revision++;
  publish('station', s);
}

function makeSteps(run, last) {
  const all = RECIPE.steps.map((s, i) => ({
    n: i + 1, id: s.id, action: s.action, phase: 'steps', attempt: i === 0 ? 2 : 1, irreversible: s.id === 'set-serial', state: 'done',
    outcome: 'passed', code: null, message: null,
    evidence: [{ sha256: SHA, bytes: 131072 }, { read_back: run.serial }, { reply: '24.6' }, { answer: 'yes' }][i],
    outputs: null, started_at: at(20000 - i * 4000), ended_at: at(16000 - i * 4000), duration_us: [8423000, 140000, 62000, 5100000][i],
  })); // prettier-ignore
  const bad = all.find((s) => s.id === last.step);

  if (bad) Object.assign(bad, { outcome: last.outcome, code: last.code, message: last.message });
  return bad ? all.slice(0, bad.n) : all;
}

const SWEEP_X = Array.from({ length: 12 }, (x, i) => 100 * (i + 1));
const sweepOf = (bad) => ({
  step: 'response', n: 3, k: 2, name: 'response', value: null, text: '...', unit: 'V', low: null, high: null, verdict: bad ? 'fail' : 'pass',
  detail: { kind: 'sweep', axis: { name: 'frequency', unit: 'Hz', values: SWEEP_X }, values: SWEEP_X.map((x, i) => 3 - 0.02 * (i - 5) ** 2 - (bad && i === 8 ? 0.9 : 0)),
    limits: [{ from: 100, to: 400, low: 2, high: 3.4 }, { from: 400, to: 900, low: 2.6, high: null }, { from: 900, to: 1200, low: 1.5, high: 3.4 }], outside: bad ? [9] : [] },
}); // prettier-ignore
const WAVE = 't,v\n' + Array.from({ length: 200 }, (x, i) => `${i / 10},${(3.3 + 0.05 * Math.sin(i / 7)).toFixed(4)}`).join('\n') + '\n';
const DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 200" width="320" height="200"><rect width="320" height="200" fill="#e8edf3"/><rect x="40" y="30" width="240" height="140" rx="14" fill="#30475e"/><circle cx="90" cy="70" r="14" fill="#2bb673"/><rect x="130" y="110" width="120" height="34" fill="#fff"/></svg>'; // prettier-ignore
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const FILES = {
  'wave.csv': ['text/csv', WAVE], 'screen.png': ['image/png', PIXEL], 'said.log': ['text/plain', 'boot 2.4.1\ntemp=24.6\nOK\n'],
  'dump.bin': ['application/octet-stream', 'x'.repeat(4096)], 'wide.csv': ['text/csv', `${Array.from({ length: 5000 }, (x, i) => i).join(',')}\n`.repeat(3)],
}; // prettier-ignore
const attachmentsOf = () => Object.entries(FILES).map(([name, [media, body]], i) => ({ name, n: i < 2 ? 3 : 1, step: i < 2 ? 'read-temp' : 'flash', sha256: SHA, size: body.length, media })); // prettier-ignore

function makeRun(station, last, agoMs) {
  const id = uuid();
  const serial = last.step === 'flash' ? null : `SN20261122${String(++serials).padStart(6, '0')}`;
  const run = {
    seq: ids, id, kind: 'production', job: [...jobs.keys()][0], station, recipe: 'guide-production', version: 3, recipe_sha256: SHA,
    model: 'T200', unit: uuid(), serial, state: 'finished', ...last, code: last.code === 'none' ? null : last.code,
    params: { variant: 'full' }, firmware: { version: '2.4.1', artifacts: { application: SHA } },
    attached_at: at(agoMs + 21000), started_at: at(agoMs + 20000), ended_at: at(agoMs), hash: SHA,
  }; // prettier-ignore
  const value = last.code === 'limit-high' ? 31.4 : 24.6;

  run.steps = makeSteps(run, last);
  run.measurements = run.steps.some((s) => s.n === 3)
    ? [{ step: 'read-temp', n: 3, k: 1, name: 'temperature', value, text: null, unit: 'degC', low: 20, high: 30, verdict: value > 30 ? 'fail' : 'pass' }, sweepOf(value > 30)]
    : []; // prettier-ignore
  run.log = [['#', 'step flash, attempt 1'], ['>', 'SET_SERIAL ' + serial], ['<', 'OK'], ['>', 'read temp'], ['<', `temp=${value}`]].map(
    ([dir, text], i) => ({ k: i + 1, at: at(15000 - i * 500), dir, text })); // prettier-ignore
  runs.set(id, run);
  return run;
}

function lastOf(run) {
  return { run_id: run.id, ...(run.serial && { serial: run.serial }), outcome: run.outcome, code: run.code || 'none', step: run.step,
    message: run.message, hint: run.hint, ended_at: run.ended_at }; // prettier-ignore
}

function runView(n, done) {
  const step = RECIPE.steps[n - 1];

  return { id: uuid(), job_id: [...jobs.keys()][0], serial: `SN20261122${String(++serials).padStart(6, '0')}`,
    recipe: { name: 'guide-production', version: 3 }, started_at: at(42000),
    step: { id: step.id, action: step.action, phase: 'steps', n, total: 4, attempt: n === 1 ? 2 : 1 },
    progress: n === 1 ? { phase: 'write', done, total: 131072 } : { phase: '', done: 0, total: 0 } }; // prettier-ignore
}

function openRun(s) {
  const r = makeRun(s.id, PASS, 0);

  runs.delete(r.id);
  Object.assign(r, { id: s.run.id, serial: s.run.serial, state: 'open', outcome: null, ended_at: null, hash: null, started_at: s.run.started_at });
  r.steps = r.steps.slice(0, s.run.step.n - 1);
  runs.set(r.id, r);
}

function makeStations(n) {
  const kinds = ['running', 'passed', 'running', 'failed', 'prompt', 'empty', 'running', 'error', 'ready', 'scan', 'running', 'fault', 'quarantined', 'disabled', 'settling', 'running']; // prettier-ignore

  for (let i = 0; i < n; i++) {
    const id = `${String.fromCharCode(65 + Math.floor(i / 8))}${(i % 8) + 1}`;
    const kind = kinds[i % kinds.length];
    const running = kind === 'running' || kind === 'prompt' || kind === 'scan';
    const last = makeRun(id, { failed: FAILURE, error: ERROR }[kind] || (i % 5 === 4 ? FAILURE : PASS), 60000 * (i + 1));
    const s = {
      id, title: `Line ${id[0]}, place ${id[1]}`, state: running ? 'running' : ['passed', 'failed', 'error'].includes(kind) ? 'done' : kind,
      since: at(120000), run: running ? runView(kind === 'running' ? 1 + (i % 3) : 4, 20000 + i * 5000) : null, prompt: null, last: lastOf(last),
      today: { passed: 10 + (i * 7) % 23, failed: i % 3, error: i % 7 === 0 ? 1 : 0, aborted: 0 },
      ports: [{ role: 'console', kind: 'tty', present: kind !== 'empty', wrong_device: kind === 'fault', came: 20 + i, lost: i % 5 === 1 ? 2 : 0, speed_kbps: 12000, node: `/dev/ttyUSB${i}`, path: `pci-0000:00:14.0-usb-0:1.${i}:1.0`, vid: '0403', pid: '6001' }],
      fixture: id, interlocks: [], manual: false, revision: 1,
    }; // prettier-ignore

    if (kind === 'fault') Object.assign(s, { code: 'wrong-device', message: 'port console: device 1a86:7523 is plugged, 0403:6001 expected' }); // prettier-ignore
    if (kind === 'ready')
      s.interlocks = [
        { interlock: 'golden', state: 'due', blocks: true, message: 'no golden unit has been run on this fixture: order one (kind: golden)' },
        { interlock: 'calibration', state: 'near', blocks: true, message: `the calibration of the fixture holds until ${at(-86400000)}: calibrate it, then say until when that holds`, until: at(-86400000) },
      ]; // prettier-ignore
    if (kind === 'quarantined') Object.assign(s, { code: 'verify-mismatch', message: 'step flash failed on 3 units in a row: check the fixture, then clear' }); // prettier-ignore
    if (kind === 'prompt') s.prompt = { id: uuid(), kind: 'confirm', text: 'Is the green LED lit?', picture_text: 'The LED at the upper left of the housing' };
    if (kind === 'scan') s.prompt = { id: uuid(), kind: 'scan', text: 'Scan the code on the housing', pattern: '^T2\\d{8}$' };
    stations.set(id, s);
    if (running) openRun(s);
  }
}

function makeJob(body) {
  const [recipe, version] = body.recipe.split('@');
  const job = { created_at: at(), id: uuid(), recipe, version: Number(version), recipe_sha256: SHA, quantity: body.quantity || body.serials.length,
    priority: body.priority || 0, state: 'queued', affinity: body.stations || [], params: body.params || {}, serial_source: {},
    external_ref: body.external_ref || null, deadline: body.deadline || null, passed: 0, failed: 0, errors: 0, aborted: 0, interrupted: 0,
    open: 0, hold: null, ending: null, created_by: 'admin', updated_at: at(), finished_at: null, revision: 1 }; // prettier-ignore

  jobs.set(job.id, job);
  return job;
}

function mistakes(body) {
  const found = [];

  if (!Number.isInteger(body.quantity) && !body.serials) found.push({ pointer: '/quantity', detail: "'quantity' must be an integer from 1 to 1000000" }); // prettier-ignore
  if (!Number.isInteger(body.priority)) found.push({ pointer: '/priority', detail: "'priority' must be an integer from -1000 to 1000" }); // prettier-ignore
  (body.serials || []).forEach((s, i) => {
    if (!/^SN\d+$/.test(s)) found.push({ pointer: `/serials/${i}`, detail: `'${s}' does not match ^SN\\d+$` });
  });
  return found;
}

function finish(s, last) {
  const run = runs.get(s.run.id);

  Object.assign(run, last, { state: 'finished', ended_at: at(), hash: SHA, code: last.code === 'none' ? null : last.code, steps: makeSteps(run, last) }); // prettier-ignore
  Object.assign(s, { state: 'done', run: null, prompt: null, last: lastOf(run) });
  s.today[last.outcome]++;
  event('run-finished', { station: s.id, run: run.id, job: run.job, serial: run.serial }, { outcome: last.outcome });
  show(s);
}

/** The line goes on: progress, and now and then an end and a new start. */
function live() {
  for (const s of stations.values()) {
    if (s.state !== 'running' || s.prompt) continue;
    const p = s.run.progress;
    if (p.total && p.done < p.total) {
      p.done = Math.min(p.total, p.done + 3000);
      show(s);
    }
  }
}

// --- HTTP ---

function send(rs, status, body, headers = {}) {
  rs.writeHead(status, { 'Content-Type': status < 400 ? 'application/json' : 'application/problem+json', ...headers });
  rs.end(JSON.stringify(body));
}

function sendBytes(rs, type, body) {
  rs.writeHead(200, { 'Content-Type': type, 'X-Content-Type-Options': 'nosniff', 'Content-Disposition': 'attachment' });
  rs.end(body);
}

const problem = (rs, status, detail, errors) => send(rs, status, { type: 'about:blank', status, detail, code: 'invalid', request_id: uuid(), errors }); // prettier-ignore
const list = (items) => ({ items, next_cursor: null });
const bare = ({ steps, measurements, log, ...run }) => run;

function runsOf(query) {
  const keys = { station: 'station', job_id: 'job', serial: 'serial', outcome: 'outcome', state: 'state' };

  return [...runs.values()].filter((r) => Object.entries(keys).every(([k, f]) => !query.get(k) || r[f] === query.get(k))).map(bare).reverse(); // prettier-ignore
}

function report(r) {
  const { serial, steps, measurements, log, ...rest } = r;

  return { ...rest, format: 1, timestamp: r.ended_at, serial_number: serial, passed: r.outcome === 'passed', duration_ms: 20000,
    recipe: { name: r.recipe, version: r.version, sha256: SHA }, firmware_version: r.firmware.version, prev_hash: SHA,
    steps: steps.map((s) => ({ ...s, success: s.outcome === 'passed', duration_ms: s.duration_us / 1000, measurements: measurements.filter((m) => m.n === s.n) })) }; // prettier-ignore
}

/** What people said of suspect units: id -> state. */
const verdicts = new Map();
const unitOf = (key) => {
  const r = [...runs.values()].find((x) => x.serial === key || x.unit === key);

  return r && { created_at: r.attached_at, id: r.unit, serial: r.serial, model: 'T200', chip_id: '0123456789ABCDEF', state: verdicts.get(r.unit) || (r.outcome === 'passed' ? 'passed' : 'suspect'), updated_at: r.ended_at || r.attached_at }; // prettier-ignore
};

const pool = (id, fields) => ({ id, kind: 'serial', pattern: 'SN{seq:06}', first: 1, last: 999999, next: 4712, check: 'none', model: 'T200',
  low_water: 1000, block: null, local: false, span: 1, created_at: at(864e6), revision: 3, remaining: 995288, spent_week: 1860,
  spent_since: at(6048e5), ...fields }); // prettier-ignore
const hookOf = (id, url, more) => ({ id, url, types: ['run-*'], station: null, stations: null, job: null, format: 'event', auth: null, secret: 'mes', old_secret: null,
  old_until: null, enabled: true, reason: null, done: 1200, failures: 0, lost: 0, waiting: 0, dead: 0, behind: 0, oldest_at: null, last_error: null, created_at: at(864e5),
  updated_at: at(864e5), revision: 1, ...more }); // prettier-ignore
const hooks = [
  hookOf('hook-erp', 'https://erp.example.com/provd', {}),
  hookOf('hook-mes', 'https://mes.example.com/hooks/a-rather-long-path/of-the-line', {
    failures: 3, waiting: 2, behind: 40, dead: 1, oldest_at: at(36e5), last_error: 'https://mes.example.com answers HTTP 503, 2xx expected' }), // prettier-ignore
];
const delivery = (n, state, more) => ({ n, id: `msg_${n}`, event: 100 + n, type: 'run-finished', state, attempts: 9, status: 503, code: null,
  message: 'https://mes.example.com answers HTTP 503, 2xx expected', answer: 'no database', created_at: at(5e6), tried_at: at(6e4), settled_at: state === 'dead' ? at(5e4) : null, ...more }); // prettier-ignore
const deliveries = [delivery(4, 'dead', { type: 'unit-changed' }), delivery(5, 'waiting'), delivery(6, 'waiting', { attempts: 0, message: null, answer: null, tried_at: null })];
const pools = [
  pool('keys', { kind: 'license', pattern: null, model: null, low_water: 50, remaining: 31, spent_week: null, spent_since: null }),
  pool('macs', { kind: 'mac', pattern: '{mac}', block: 'AC:DE:48', first: 0, last: 65535, next: 65536, span: 2, remaining: 0 }),
  pool('t200-sn', {}),
];
const gap = (first, fields) => ({ first, last: first, value: `SN${String(first).padStart(6, '0')}`, slot: '', state: 'void', exposed: false, run: null,
  station: null, unit: null, at: at(4e6), outcome: null, code: null, why: 'the run failed before it left', ...fields }); // prettier-ignore
const gaps = [
  gap(17, { exposed: true, state: 'committed', why: 'on a unit that is failed: limit-high' }),
  gap(18, {}),
  gap(100, { last: 199, value: null, state: 'skipped', why: 'advanced by anna: printed on labels of the old line' }),
];
const value = (slot, text, unit) => ({ value: text, kind: slot ? 'mac' : 'serial', slot, pool: slot ? 'macs' : 't200-sn', job: null, state: 'committed',
  run: null, unit, lease: SHA.slice(0, 32), exposed: true, reason: 'passed', reserved_at: at(9e5), settled_at: at(8e5) }); // prettier-ignore
const act = (unit, state, fields) => ({ run_id: [...runs.keys()][0], step_n: 3, station: 'A01', action: 'stm32.protect', unit: '0123456789ABCDEF', what: 'readout protection',
  digest: SHA, who: 'mes', state, observed: null, settled_by: null, intended_at: at(9e5), settled_at: null, ...fields }); // prettier-ignore
const actsOf = (u) => [
  ...(u.state === 'suspect' ? [act(u, 'intent', {})] : []),
  act(u, 'committed', { what: 'bootloader lock', action: 'fastboot.flashing', observed: 'getvar unlocked says no', settled_by: 'anna', settled_at: at(8e5) }),
];

const certificate = (u, state, fields) => ({ id: SHA.slice(0, 32), serial: null, run: [...runs.keys()][0], station: 'A01', issuer: 'factory', profile: 'idevid',
  profile_digest: SHA, key: 'idevid', state, subject: null, not_before: null, not_after: null, sha256: null, pem: null, chain: null, reason: null,
  ordered_at: at(9e5), issued_at: null, settled_at: null, ...fields }); // prettier-ignore
const certificatesOf = (u) => [
  certificate(u, 'delivered', { serial: '4f1d0c3b2a59687786958493a2b1c0df', subject: `CN=T200,serialNumber=${u.serial}`, not_before: at(9e5), not_after: '9999-12-31T23:59:59.000Z',
    sha256: SHA, pem: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n', chain: '', issued_at: at(9e5), settled_at: at(8e5) }),
  certificate(u, 'void', { id: SHA.slice(0, 31) + '1', key: 'tls', profile: 'tls-client', reason: 'provd ended before it was signed', settled_at: at(8e5) }),
]; // prettier-ignore

const genealogyOf = (u) => {
  const mine = [...runs.values()].filter((r) => r.unit === u.id);
  const { id, station } = mine[0];

  return { unit: u, values: [{ kind: 'serial', slot: '', value: u.serial, pool: 't200-sn', run: id }],
    parts: [{ run: id, at: at(9e5), station, step: 'board', kind: 'scan', what: 'Scan the code of the board', value: 'PCB-77-001234', by: 'mia' }],
    certificates: certificatesOf(u), artifacts: [{ sha256: SHA, name: 'application.bin', as: 'application', runs: 1 }],
    recipes: [{ name: 'guide-production', version: 3, sha256: SHA, runs: 1 }], tools: [{ name: 'openocd 0.12.0', runs: 1 }],
    orders: [{ id: [...jobs.keys()][0], number: null, external_ref: 'WO-4711', recipe: 'guide-production', version: 3, kind: 'production', rework: null, runs: 1 }],
    stations: [{ station, fixture: station, runs: 1, first_at: at(9e5), last_at: at(8e5) }],
    acts: [{ run: id, station, action: 'fastboot.flashing', what: 'bootloader lock', digest: SHA, state: 'committed', at: at(8e5) }],
    wear: [{ region: '0x08010000', erases: 3 }],
    runs: mine.map((r) => ({ id: r.id, kind: r.kind, station: r.station, fixture: r.station, job: r.job, recipe: r.recipe, version: r.version, outcome: r.outcome, step: r.step, code: r.code, ended_at: r.ended_at, archived: false })),
    truncated: false }; // prettier-ignore
};

/** A yield of n units, bad of them at first, half of those later. */
const yieldOf = (n, bad, more = {}) => ({ runs: { passed: n - Math.ceil(bad / 2), failed: bad, error: n % 3, aborted: 0, interrupted: 0 }, run_yield: n / (n + bad),
  busy_ms: n * 2e4, units: n, first_passed: n - bad, first_pass_yield: n ? (n - bad) / n : null, first_pass_interval: n ? [Math.max(0, (n - bad) / n - 0.05), 1] : null,
  last_passed: n - Math.ceil(bad / 2), final_yield: n ? (n - Math.ceil(bad / 2)) / n : null, retested: bad, retest_rate: n ? bad / n : null, ...more }); // prettier-ignore
const HOUR = 36e5;
const trend = (q) => {
  const [from, to, step] = [Date.parse(q.get('from')), Date.parse(q.get('to')), q.get('by') === 'day' ? 24 * HOUR : HOUR];
  const n = Math.ceil((to - from) / step);

  return Array.from({ length: n }, (x, i) => yieldOf(40 + ((i * 7) % 23), i % 5, { from: new Date(from + i * step).toISOString(), to: new Date(Math.min(to, from + (i + 1) * step)).toISOString() })); // prettier-ignore
};
const byStation = () => [...stations.values()].map((s, i) => yieldOf(60, i === 2 ? 21 : 2, { station: s.id, p_value: i === 2 ? 1e-6 : 0.4, verdict: i === 2 ? 'worse' : 'like-others' })); // prettier-ignore
const yieldReport = (q) => yieldOf(480, 35, { groups: q.get('by') === 'station' ? byStation() : trend(q) });
const causes = [
  { step: 'supply', code: 'limit-low', count: 24, share: 24 / 35, cumulative: 24 / 35 },
  { step: 'flash', code: 'verify-mismatch', count: 11, share: 11 / 35, cumulative: 1 },
];
const vdd = { recipe: 'guide-production', step: 'supply', name: 'vdd', unit: 'V', low: 3.1, high: 3.5 };
const capability = () => {
  const points = Array.from({ length: 120 }, (x, i) => {
    const v = 3.3 + 0.02 * Math.sin(i * 2.4) + (i > 100 ? 0.03 : 0) + (i === 40 ? 0.15 : 0);
    return { at: at((120 - i) * 6e4), value: v, run: [...runs.keys()][0], serial: `SN${1000 + i}`, station: 'A01', verdict: 'pass', rules: i === 40 ? [1] : i > 110 ? [4] : [] }; // prettier-ignore
  });
  return { ...vdd, n: 120, mean: 3.306, min: 3.28, max: 3.45, sigma_within: 0.02, sigma_overall: 0.024, cp: 3.33, cpk: 3.23, pp: 2.78, ppk: 2.69, reason: null,
    chart: { mean: 3.306, lower: 3.246, upper: 3.366, range_upper: 0.074 }, points }; // prettier-ignore
};

const GETS = [
  ['/reports/yield', (x, q) => yieldReport(q)],
  ['/reports/time', () => list([
    { part: 'work', step: 'flash-application', runs: 412, ms: 12360000, share: 0.62, per_unit_ms: 30900, mean_ms: 30000, p50_ms: 29400, p95_ms: 41200 },
    { part: 'person', step: 'look', runs: 400, ms: 4100000, share: 0.21, per_unit_ms: 10250, mean_ms: 10250, p50_ms: 8100, p95_ms: 33000 },
    { part: 'change', step: null, runs: 405, ms: 3390000, share: 0.17, per_unit_ms: 8475, mean_ms: 8370, p50_ms: 7900, p95_ms: 15100 },
    { part: 'cycle', step: null, runs: 400, ms: 18100000, share: null, per_unit_ms: 45250, mean_ms: 45250, p50_ms: 44000, p95_ms: 61000 },
  ])],
  ['/reports/comparison', () => list([
    { recipe: 'thermostat', step: 'read-temp', failed: 29, units: 150, verdict: 'station',
      reason: 'units fail more often at this station; it and its fixture cannot be told apart until they change',
      station: { station: 'A3', failed: 20, units: 50, other_failed: 9, other_units: 100, p_value: 1.5e-5, p_adjusted: 4.4e-5, marked: true },
      fixture: null, lot: null, retests: { same_passed: 1, same_failed: 2, other_passed: 3, other_failed: 0 },
      ask: 'run these units at another station', ask_units: ['A-0042', 'A-0043', 'A-0051'] },
  ])],
  ['/reports/shift', () => {
    const from = new Date(Date.now() - (Date.now() % HOUR) - 4 * HOUR);
    const orders = [...jobs.values()].map((j, i) => ({ id: j.id, recipe: j.recipe, version: j.version, external_ref: j.external_ref || null, state: i ? 'paused' : j.state,
      quantity: j.quantity, deadline: null, passed: j.passed, hold: j.hold, ending: j.ending, finished_at: j.finished_at, made: i ? 0 : 213, failed: i ? 0 : 9, due: i ? 100 : 380 })); // prettier-ignore

    return { name: 'early', from: from.toISOString(), to: new Date(from.getTime() + 8 * HOUR).toISOString(), plan: 480, made: 213, failed: 9, jobs: orders };
  }],
  ['/search', (x, q) => {
    const units = [...runs.values()].filter((r) => r.serial === q.get('q')).slice(0, 1).map((r) => unitOf(r.serial));
    const found = [...jobs.values()].filter((j) => j.external_ref === q.get('q'));
    const open = found.length ? [...runs.values()].slice(0, 1) : [];

    return list([
      ...units.map((u) => ({ kind: 'unit', id: u.id, name: u.serial, state: u.state, station: null, at: u.updated_at })),
      ...found.map((j) => ({ kind: 'job', id: j.id, name: j.external_ref, state: j.state, station: null, at: j.created_at })),
      ...open.map((r) => ({ kind: 'run', id: r.id, name: r.serial, state: 'open', station: r.station, at: r.attached_at })),
    ]);
  }],
  ['/reports/pareto', (x, q) => list(q.get('outcome') === 'failed' ? causes : [])],
  ['/recall/traits', () => list([{ kind: 'artifact', value: SHA, runs: runs.size }])],
  ['/recall', () => list([])],
  ['/reports/measurements', () => list([vdd])],
  ['/reports/capability', () => capability()],
  ['/stations', () => list([...stations.values()])],
  ['/stations/{x}', (x) => stations.get(x)],
  ['/fixtures/{x}', (x) => ({ id: x, contacts: 1200, since_service: 200, serviced_at: at(86400000), serviced_by: 'mia', serviced_reason: 'new pins', calibrated_until: at(-86400000), golden_at: null, revision: 3 })],
  ['/runs', (x, q) => list(runsOf(q))],
  ['/runs/{x}', (x) => runs.has(x) && bare(runs.get(x))],
  ['/summary', () => ({ stations: stations.size, holds })],
  ['/records', () => ({ last_seq: events.length })],
  ['/version', () => ({ name: 'provd', version: '0', api: 'v1', insecure: o.held })],
  ['/runs/{x}/steps', (x) => runs.has(x) && list(runs.get(x).steps)],
  ['/runs/{x}/measurements', (x) => runs.has(x) && list(runs.get(x).measurements)],
  ['/runs/{x}/attachments', (x) => runs.has(x) && list(runs.get(x).state === 'open' ? [] : attachmentsOf())],
  ['/records/archives', () => list(['2026-02', '2026-01'].map((month, i) => ({ seq: 2 - i, from: i ? 1 : 4101, to: i ? 4100 : 9300, month, file: `5f0c6a-${month}-${i ? '1-4100' : '4101-9300'}-9f86d081.ndjson.gz`, bytes: 8123456 - i * 2000000, sha256: SHA, at: at(864e5 * (i + 1)), cleared: i ? 4100 : 6000 })))], // prettier-ignore
  ['/units/{x}/genealogy', (x) => unitOf(x) && genealogyOf(unitOf(x))],
  ['/runs/{x}/log', (x) => runs.has(x) && list(runs.get(x).log)],
  ['/runs/{x}/report', (x) => runs.has(x) && report(runs.get(x))],
  ['/units', () => list([...runs.values()].filter((r) => r.serial).map((r) => unitOf(r.serial)))],
  ['/units/{x}', (x) => unitOf(x)],
  ['/units/{x}/history', (x) => list([...runs.values()].filter((r) => r.serial === x || r.unit === x).map(bare))],
  ['/units/{x}/journal', (x) => unitOf(x) && { items: actsOf(unitOf(x)) }],
  ['/units/{x}/certificates', (x) => unitOf(x) && { items: certificatesOf(unitOf(x)) }],
  ['/serials', (x, q) => list([value('', 'SN000101', q.get('unit_id')), value('eth0', 'AC:DE:48:00:00:01', q.get('unit_id'))])],
  ['/pools', () => list(pools)],
  ['/pools/{x}', (x) => pools.find((p) => p.id === x)],
  ['/pools/{x}/gaps', (x) => list(x === 't200-sn' ? gaps : [])],
  ['/webhooks', () => list(hooks)],
  ['/webhooks/{x}', (x) => hooks.find((w) => w.id === x)],
  ['/webhooks/{x}/deliveries', (x, q) => list(x === 'hook-mes' ? deliveries.filter((d) => d.state === q.get('state')) : [])],
  ['/jobs', () => list([...jobs.values()].reverse())],
  ['/jobs/{x}', (x) => jobs.get(x)],
  ['/recipes', (x, q) => list(recipes.filter((r) => !q.get('state') || r.state === q.get('state')).map(({ recipe, source, ...r }) => r))], // prettier-ignore
  ['/recipes/{x}/versions/{y}', (x, q, y) => recipes.find((r) => r.name === x && String(r.version) === y)],
  ['/ports', () => list([
    ...[...stations.values()].map((s) => ({ ...s.ports[0], subsystem: 'tty', serial: '', station: s.id, port: 'console' })),
    { node: '/dev/ttyACM7', path: 'pci-0000:00:14.0-usb-0:7:1.0', vid: '2341', pid: '0043', serial: 'A9001', subsystem: 'tty', wrong_device: false,
      yaml: "stations:\n  - id: NAME\n    ports:\n      console:\n        path: 'pci-0000:00:14.0-usb-0:7:1.0'\n        vid: '2341'\n        pid: '0043'\n" }])],
  ['/events', (x, q) => list(events.filter((e) => e.seq > Number(q.get('after') || 0)).slice(0, Number(q.get('limit') || 100)))],
  ['/session', () => ({ id: '0011223344556677', name: o.role, role: o.role })],
]; // prettier-ignore

function matched(pattern, p) {
  const m = new RegExp(`^${pattern.replace(/\{\w\}/g, '([^/]+)')}$`).exec(p);

  return m && m.slice(1).map(decodeURIComponent);
}

function stationAction(s, verb) {
  const to = { clear: 'empty', enable: 'empty', disable: 'disabled' }[verb];

  if (verb === 'abort') finish(s, { ...PASS, outcome: 'aborted', code: 'aborted', message: 'Someone stopped the run.', step: s.run.step.id });
  else if (verb === 'start') {
    Object.assign(s, { state: 'running', run: { ...runView(1, 0), started_at: at() } });
    openRun(s);
    event('run-started', { station: s.id, run: s.run.id });
    show(s);
  } else {
    Object.assign(s, { state: to, message: undefined, code: undefined, run: null, prompt: null });
    show(s);
  }
  return s;
}

function jobAction(job, verb, reason = null) {
  const how = { stop: 'stopped', complete: 'short', abort: 'aborted', cancel: 'cancelled' }[verb];

  if (verb === 'hold' || verb === 'release') job.hold = verb === 'hold' ? { reason, by: 'admin', at: at() } : null;
  else job.state = { pause: 'paused', resume: 'queued', stop: 'done', complete: 'done', abort: 'aborted', cancel: 'cancelled' }[verb];
  if (how) Object.assign(job, { hold: null, finished_at: at(), ending: { how, reason, by: 'admin' } });
  event('job-changed', { job: job.id }, { state: job.state });
  return job;
}

function postTo(rq, rs, p, body) {
  let m;

  if (p === '/jobs') {
    const found = mistakes(body);
    if (found.length) return problem(rs, 422, found[0].detail, found);
    const job = makeJob(body);
    event('job-created', { job: job.id }, { recipe: job.recipe, quantity: job.quantity });
    return send(rs, 201, job);
  }
  if ((m = matched('/units/{x}/actions/{y}', p))) {
    if (!body.reason) return problem(rs, 400, "'reason' is missing");
    verdicts.set(m[0], { release: 'failed', scrap: 'scrapped' }[m[1]]);
    return send(rs, 200, unitOf(m[0]));
  }
  if ((m = matched('/jobs/{x}/actions/{y}', p))) {
    const job = jobs.get(m[0]);
    if (!rq.headers['if-match']) return problem(rs, 428, 'If-Match is missing');
    if (['hold', 'complete'].includes(m[1]) && !body.reason) return problem(rs, 422, "'reason' is missing");
    return send(rs, 200, jobAction(job, m[1], body.reason));
  }
  if ((m = matched('/stations/{x}/interlocks/{y}/release', p))) {
    const s = stations.get(m[0]);
    const i = s.interlocks.find((l) => l.interlock === m[1]);
    if (!body.reason || !body.for) return problem(rs, 422, "'reason' or 'for' is missing");
    Object.assign(i, { state: 'released', released_by: 'admin', reason: body.reason, until: at(-3600000) });
    show(s);
    return send(rs, 200, {});
  }
  if ((m = matched('/webhooks/{x}/deliveries/{y}/actions/redeliver', p))) {
    const d = deliveries.find((one) => String(one.n) === m[1]);

    return send(rs, 202, Object.assign(d, { state: 'waiting', settled_at: null }));
  }
  if ((m = matched('/stations/{x}/actions/{y}', p))) return send(rs, 202, stationAction(stations.get(m[0]), m[1]));
  if ((m = matched('/prompts/{x}/answer', p))) {
    const s = [...stations.values()].find((v) => v.prompt?.id === m[0]);
    if (!s) return problem(rs, 409, 'the prompt is no longer open');
    if (s.prompt.pattern && !new RegExp(s.prompt.pattern).test(body.answer)) return problem(rs, 400, `the answer does not match ${s.prompt.pattern}`); // prettier-ignore
    event('prompt-closed', { station: s.id, run: s.run.id }, { state: 'answered' });
    finish(s, body.answer === 'no' ? { ...FAILURE, step: 'led', code: 'operator-failed' } : PASS);
    return send(rs, 200, {});
  }
  return problem(rs, 404, 'there is nothing at this path');
}

const cookieOf = (rq) => /provd_session=(\w+)/.exec(rq.headers.cookie || '')?.[1];

function openStream(rs, after) {
  rs.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  rs.write('retry: 500\n\n');
  rs.write(beat());
  if (after) for (const e of events.slice(after)) rs.write(frame(e.type, wire(e), e.seq));
  streams.add(rs);
  rs.on('close', () => streams.delete(rs));
}

function serveSession(rq, rs, body) {
  if (rq.method === 'POST') {
    if (body.token !== o.token) return problem(rs, 401, 'the token is not known, or it was revoked');
    const cookie = `c${Math.random().toString(36).slice(2)}`;
    sessions.add(cookie);
    return send(rs, 201, GETS.at(-1)[1](), { 'Set-Cookie': `provd_session=${cookie}; Path=/; HttpOnly; SameSite=Strict` });
  }
  sessions.delete(cookieOf(rq));
  return send(rs, 200, {});
}

function serveApi(rq, rs, url, body) {
  const p = url.pathname.slice('/api/v1'.length);

  if (p === '/session' && rq.method === 'POST') return serveSession(rq, rs, body);
  if (!sessions.has(cookieOf(rq)) && rq.headers.authorization !== `Bearer ${o.token}`) return problem(rs, 401, 'a token is needed');
  if (rq.method === 'DELETE') return serveSession(rq, rs, body);
  if (rq.method === 'POST') return postTo(rq, rs, p, body);
  if (p === '/events' && rq.headers.accept?.includes('text/event-stream')) return openStream(rs, Number(url.searchParams.get('after')));
  const file = matched('/runs/{x}/attachments/{y}', p);
  if (file && FILES[file[1]]) return sendBytes(rs, ...FILES[file[1]]);
  if (matched('/prompts/{x}/picture', p)) return sendBytes(rs, 'image/svg+xml', DRAWING);
  for (const [pattern, f] of GETS) {
    const m = matched(pattern, p);
    const found = m && f(m[0], url.searchParams, m[1]);
    if (m) return found ? send(rs, 200, found) : problem(rs, 404, 'there is none of that id');
  }
  return problem(rs, 404, 'there is nothing at this path');
}

function serveFile(rs, pathname) {
  const file = path.join(o.dist, pathname.startsWith('/assets/') ? path.normalize(pathname) : 'index.html');

  if (!fs.existsSync(file)) return problem(rs, 404, 'there is no such asset');
  rs.writeHead(200, { 'Content-Type': TYPES[path.extname(file)], 'Content-Security-Policy': POLICY });
  return rs.end(fs.readFileSync(file));
}

const server = http.createServer((rq, rs) => {
  const url = new URL(rq.url, 'http://mock');
  let text = '';

  if (!url.pathname.startsWith('/api/')) return serveFile(rs, url.pathname);
  rq.on('data', (d) => (text += d));
  rq.on('end', () => serveApi(rq, rs, url, text ? JSON.parse(text) : {}));
  return undefined;
});

makeJob({ recipe: 'guide-production@3', quantity: 500 });
Object.assign([...jobs.values()][0], { state: 'running', passed: 213, failed: 9, errors: 2, open: 6, external_ref: 'WO-4711' });
makeStations(Number(o.stations));
for (const s of stations.values()) if (s.run) event('run-started', { station: s.id, run: s.run.id, serial: s.run.serial });
setInterval(live, 250);
setInterval(() => streams.forEach((s) => s.write(beat())), 1000);
server.listen(Number(o.port), '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${server.address().port}`, token: o.token })}\n`);
});
