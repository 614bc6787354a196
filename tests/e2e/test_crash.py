#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provd is killed at random moments, again and again, and started on what is left.

    test_crash.py [BUILD] [--kills N] [--seed S] [--seconds S]

Boards go on living (some are exchanged while provd is away), clients post jobs and follow the
events. What a client was told is written down as it is told. At the end the database, read with
another program, and the boards' own files must agree with every word of it.
"""
import argparse
import collections
import json
import os
import random
import sys
import threading
import time

import line

RECIPE = '''
recipe: crash
version: 1
unit:
  model: provsim-1
  serial: {pool: production-sn}
ports:
  console: {kind: tty, baud: 115200}
artifacts: {application: firmware.bin}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.application}', address: 0x08010000, boot: true}
    timeout: 20s
  - id: version
    action: console.command
    with: {port: console, send: version, expect: '(^|\\s)v[0-9a-f]\\S*', timeout: 1s}
    retry: {attempts: 10, delay: 50ms, on: [timeout, unexpected-reply]}
  - id: serial
    action: unit.serial
    with: {port: console, read: GET_SERIAL, pattern: '^(SN\\d{14})$', blank: '(?i)^(NONE|unset|empty)?$'}
  - id: set-serial
    action: console.command
    with:
      port: console
      send: 'SET_SERIAL ${unit.serial}'
      expect: '^OK$'
      read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}
  - id: temp
    action: console.measure
    with: {port: console, send: read temp, unit: degC, low: 20, high: 30}
teardown:
  - id: led-off
    action: console.command
    with: {port: console, send: led off, expect: '^LED: OFF$'}
    on_fail: continue
'''
STATIONS = 8
JOBS_AHEAD = 6
OPEN_STATES = ('queued', 'running', 'paused', 'stopping')


class Customer(threading.Thread):
    """Posts jobs with an Idempotency-Key until each is acknowledged; notes the ids it was given."""

    def __init__(self, crash, seed):
        super().__init__(daemon=True)
        self.crash, self.random = crash, random.Random(seed)
        self.acknowledged = {}  # key -> id
        self.repeated = 0
        self.problems = []
        self.end = threading.Event()
        self.pending = None

    def run(self):
        while not self.end.is_set():
            try:
                self.once()
            except (OSError, line.http.client.HTTPException, ValueError):
                self.end.wait(0.01)

    def once(self):
        up = self.crash.up
        if not up:
            self.end.wait(0.005)
            return
        api = line.Api(up[0], up[1], timeout=5)
        try:
            if self.pending is None:
                queued = [j for s in ('queued', 'running') for j in api.get('/jobs?limit=50&state=' + s)['items']]
                if sum(j['quantity'] - j['passed'] for j in queued) >= JOBS_AHEAD + STATIONS:
                    self.end.wait(0.02)
                    return
                key = 'k%d-%d' % (len(self.acknowledged), self.random.getrandbits(32))
                self.pending = (key, {'recipe': 'crash', 'quantity': self.random.randint(1, 3), 'external_ref': key})
            key, body = self.pending
            a = api.request('POST', '/jobs', body, {'Idempotency-Key': key})
            if a.status != 201:
                self.problems.append('POST /jobs: %d %s' % (a.status, a.body[:300]))
                self.end.wait(0.05)
                return
            self.repeated += a.headers.get('Idempotent-Replayed') == 'true'
            self.acknowledged[key] = a.json['id']
            self.pending = None
        finally:
            api.close()


class Engineer(threading.Thread):
    """Stores, deletes, approves, makes tokens and sessions; notes what was acknowledged. What was asked for and
    not answered may be or not be."""

    ARTIFACTS = 8
    TOKENS = 6
    RECIPE = 'recipe: e%d\nversion: 1\nsteps:\n  - {action: operator.prompt, with: {text: x}}\n'

    def __init__(self, crash, seed):
        super().__init__(daemon=True)
        self.crash, self.random = crash, random.Random(seed)
        self.lock = threading.Lock()
        self.kept, self.gone = {}, set()  # artifacts: sha256 -> size
        self.approved, self.tokens, self.revoked, self.cookies = set(), {}, [], []
        self.done = collections.Counter()
        self.problems = []
        self.n = 0
        self.end = threading.Event()

    def run(self):
        while not self.end.is_set():
            up = self.crash.up
            if not up:
                self.end.wait(0.005)
                continue
            api = line.Api(up[0], up[1], timeout=5)
            try:
                self.once(api)
            except (OSError, line.http.client.HTTPException, ValueError):
                pass
            except line.Problem as e:
                self.problems.append(str(e))
            finally:
                api.close()
            self.end.wait(self.random.uniform(0, 0.03))

    def once(self, api):
        verbs = [self.put, self.put, self.put, self.recipe, self.token]
        if len(self.kept) >= self.ARTIFACTS:
            verbs = [self.delete, self.delete, self.recipe]
        verb = self.random.choice(verbs)
        verb(api)
        self.done[verb.__name__] += 1

    def put(self, api):
        data = bytes(self.random.getrandbits(8) for _ in range(self.random.randint(64, 3000)))
        sha = line.sha256(data)
        api.ok('PUT', '/artifacts/%s?name=e.dat' % sha, data, {'Content-Type': 'application/octet-stream'})
        with self.lock:
            self.kept[sha] = len(data)

    def delete(self, api):
        with self.lock:
            sha = self.random.choice(sorted(self.kept))
            del self.kept[sha]
        a = api.request('DELETE', '/artifacts/' + sha)
        if a.status == 200:
            with self.lock:
                self.gone.add(sha)

    def recipe(self, api):
        self.n += 1
        api.post('/recipes', self.RECIPE % self.n, {'Content-Type': 'application/yaml'})
        api.post('/recipes/e%d/versions/1/actions/approve' % self.n)
        with self.lock:
            self.approved.add('e%d' % self.n)

    def token(self, api):
        self.n += 1
        t = api.post('/tokens', {'role': 'viewer', 'name': 'wall %d' % self.n})
        with self.lock:
            self.tokens[t['id']] = t['token']
        if self.random.random() < 0.5:
            a = api.request('POST', '/session', {'token': t['token']}, {'Authorization': ''})
            if a.status < 300:
                with self.lock:
                    self.cookies.append((t['id'], a.headers['Set-Cookie'].split(';')[0]))
        elif len(self.tokens) > self.TOKENS:
            with self.lock:
                id_ = self.random.choice(sorted(set(self.tokens) - {t['id']}))
                text = self.tokens.pop(id_)
            # Its session ends with it.
            if api.request('DELETE', '/tokens/' + id_).status == 200:
                with self.lock:
                    self.revoked.append(text)

    def look(self, l, say):
        """What was acknowledged before a start is so after it. The engineer does nothing meanwhile."""
        with self.lock:
            kept, gone, approved = dict(self.kept), set(self.gone), set(self.approved)
            token = self.random.choice(sorted(self.tokens.values())) if self.tokens else None
        folder = os.path.join(l.home, 'state', 'artifacts')
        rows = {a['sha256']: a['size'] for a in l.api.all('/artifacts')}
        files = {f: os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)}
        for sha, size in rows.items():
            say(files.get(sha) == size, 'an artifact without its file: %s' % sha)
        for sha in kept:
            say(sha in rows, 'acknowledged and lost: artifact %s' % sha)
        say(not gone & set(rows), 'deleted and there again: %s' % (gone & set(rows)))
        say(not [f for f in files if f.startswith('deleted-')], 'a deletion was left half done: %s' % sorted(files))
        for sha in self.random.sample(sorted(rows), min(3, len(rows))):
            with open(os.path.join(folder, sha), 'rb') as f:
                say(line.sha256(f.read()) == sha, 'an artifact of other bytes: %s' % sha)
        for name in self.random.sample(sorted(approved), min(2, len(approved))):
            say(l.api.get('/recipes/%s/versions/1' % name)['state'] == 'approved', 'approved and not so: ' + name)
        if token:
            say(l.provd.api(token).get('/session')['role'] == 'viewer', 'a token is not known any more')

    def look_at_end(self, l, say):
        browser = line.Api(l.provd.port, None)
        for token, cookie in self.cookies[-8:]:
            if token in self.tokens:
                a = browser.request('GET', '/session', headers={'Cookie': cookie})
                say(a.status == 200, 'a session is not known any more: %d %s' % (a.status, a.body))
        browser.close()
        for text in self.revoked[-1:]:
            say(l.provd.api(text).request('GET', '/session').status == 401, 'a revoked token is taken')
        say(min(self.done.get(v, 0) for v in ('put', 'delete', 'recipe', 'token')) > 0,
            'the engineer did not come to everything: %s' % dict(self.done))


class Follower:
    """Every durable event that was told, over all restarts, each after the one before."""

    def __init__(self):
        self.told = []
        self.problems = []
        self.stream = None
        self.lock = threading.Lock()

    def on_event(self, event):
        seq = event[0]
        if seq <= 0:
            return
        with self.lock:
            last = self.told[-1][0] if self.told else 0
            if seq != last + 1:
                self.problems.append('event %d came after %d' % (seq, last))
            self.told.append(event)

    def connect(self, provd):
        with self.lock:
            last = self.told[-1][0] if self.told else 0
        try:
            self.stream = provd.events(after=last, on_event=self.on_event)
        except (OSError, IndexError):
            self.stream = None

    def drop(self):
        if self.stream:
            self.stream.stop()
            self.stream = None


class Crash:
    def __init__(self, options):
        self.o = options
        self.random = random.Random(options.seed)
        self.image = line.firmware(8 * 1024, options.seed)
        self.up = None
        self.starts = []
        self.killed = 0
        self.exchanged = 0
        self.failures = []
        self.engineer = Engineer(self, options.seed + 2)

    def check(self, ok, what):
        if not ok:
            self.failures.append(what)

    def start(self, l):
        begun = time.monotonic()
        try:
            l.start()
        except AssertionError as e:
            raise SystemExit('start %d failed: %s' % (len(self.starts) + 1, e))
        self.starts.append(time.monotonic() - begun)
        self.look_at_start(l)
        self.up = (l.provd.port, l.provd.token)

    def look_at_start(self, l):
        """The records are the line's own, sound, and know all that the marks say was given out."""
        records = l.api.get('/records')
        self.check(records['holds'] == [], 'held after start %d: %s' % (len(self.starts), records['holds']))
        self.check(records['lineage']['verdict'] == 'same', 'after start %d: %s' % (len(self.starts), records['lineage']))
        self.engineer.look(l, self.check)
        if len(self.starts) % 10 == 0:
            on_boards = collections.Counter(s for _, state, _ in l.sim.units() for s in set(state['serials']))
            self.check(not [s for s, n in on_boards.items() if n > 1], 'on two boards: %s' % on_boards)

    def delay(self):
        """Mostly within a run; sometimes at once after the start, sometimes after a longer while."""
        kind = self.random.random()
        if kind < 0.15:
            return self.random.uniform(0, 0.02)
        if kind < 0.9:
            return self.random.uniform(0.02, 0.65)
        return self.random.uniform(0.65, 1.5)

    def kill_and_restart(self, l, follower):
        time.sleep(self.delay())
        self.up = None
        l.provd.kill()
        self.killed += 1
        follower.drop()
        if self.random.random() < 0.2:
            l.sim.ctl('next', board='b%d' % self.random.randint(1, STATIONS), gap_ms=self.random.choice((5, 50, 200)))
            self.exchanged += 1
        self.start(l)
        follower.connect(l.provd)

    def operator(self, l):
        """What a person does at a station that does nothing: exchange the unit, clear the fault."""
        for s in l.api.get('/stations')['items']:
            last = s['last']
            if s['state'] in ('fault', 'quarantined'):
                l.api.post('/stations/%s/actions/clear' % s['id'])
            elif s['state'] == 'done' and last and last['outcome'] != 'passed':
                l.sim.ctl('next', board='b' + s['id'][1:], gap_ms=100)
                line.wait_for('%s sees the next unit' % s['id'], lambda: l.api.get(
                    '/stations/' + s['id'])['state'] != 'done' or l.api.get(
                    '/stations/' + s['id'])['last'] != last)

    def finish(self, l, customer):
        """After the last restart everything that was ordered is made, and a job of 8 more."""
        final = l.api.post('/jobs', {'recipe': 'crash', 'quantity': 8, 'external_ref': 'final'})['id']
        end = time.monotonic() + 120
        while True:
            left = [j for j in l.api.all('/jobs') if j['state'] in OPEN_STATES]
            if not left:
                break
            if time.monotonic() > end:
                self.check(False, 'stuck: jobs %s, stations %s' % (
                    [(j['external_ref'], j['state'], j['quantity'], j['passed']) for j in left],
                    [(s['id'], s['state'], s['last'] and s['last']['message']) for s in l.api.get('/stations')['items']]))
                break
            self.operator(l)
            time.sleep(0.1)
        job = l.api.get('/jobs/' + final)
        self.check((job['state'], job['passed']) == ('done', 8), 'the last job: %s' % job)
        line.wait_for('every station is at rest', lambda: all(
            s['run'] is None for s in l.api.get('/stations')['items']))

    # --- what must be true of the remains ---

    def run(self):
        args = ('--replace-after-idle', '120', '--when-serial')
        extra = '    quarantine_after: 0\n'
        with line.Line(STATIONS, sim_args=args, station_extra=extra) as l:
            self.start(l)
            l.prepare(self.image, RECIPE)
            follower, customer = Follower(), Customer(self, self.o.seed + 1)
            follower.connect(l.provd)
            customer.start()
            self.engineer.start()
            begun = time.monotonic()
            while self.killed < self.o.kills and time.monotonic() - begun < self.o.seconds:
                self.kill_and_restart(l, follower)
            took = time.monotonic() - begun
            line.wait_for('the last order is acknowledged', lambda: customer.pending is None or not customer.is_alive())
            customer.end.set()
            customer.join()
            self.engineer.end.set()
            self.engineer.join()
            self.engineer.look(l, self.check)
            self.engineer.look_at_end(l, self.check)
            needs = {a['name'] for a in l.api.get('/actions')['items'] if 'needs-evidence' in a['flags']}
            self.check(len(needs) > 5, 'which actions need evidence: %s' % sorted(needs))
            self.finish(l, customer)
            follower_last = l.api.all('/events')[-1]['seq']
            line.wait_for('the stream is at the end', lambda: follower.told and follower.told[-1][0] >= follower_last)
            follower.drop()
            self.check(l.provd.term() == 0, 'provd ends with 0 at SIGTERM')
            for problem in (customer.problems + follower.problems + self.engineer.problems)[:5]:
                self.check(False, problem)
            # All runs, links of the chain, pages and counts of the reports, once more.
            self.start(l)
            records = lambda: l.api.get('/records')['check']
            line.wait_for('the check of the records is done', lambda: records()['state'] != 'running')
            self.check(records()['state'] == 'sound', 'the records after all kills: %s' % records())
            self.check(l.provd.term() == 0, 'provd ends with 0 at SIGTERM')
            found = l.found_in_records()
            self.check(not found, 'the records do not say what was recorded: %s' % found[:5])
            units = l.sim.units()
            with l.provd.db() as d:
                self.look(d, units, customer, follower, needs)
            self.check(self.killed >= self.o.kills, 'only %d kills in %.0f s' % (self.killed, took))
            self.tell(d, units, customer, follower, took)
        return 1 if self.failures else 0

    def look(self, d, units, customer, follower, needs):
        self.look_at_serials(d, units)
        self.look_at_told(d, customer, follower)
        self.look_at_runs(d, units, needs)
        head = d.execute("SELECT data FROM events WHERE type = 'chain-head' ORDER BY seq DESC LIMIT 1").fetchone()
        last = d.execute('SELECT id, chain, hash FROM runs ORDER BY chain DESC LIMIT 1').fetchone()
        said = json.loads(head['data']) if head else {}
        self.check({k: said.get(k) for k in ('chain', 'hash', 'run')} ==
                   {'chain': last['chain'], 'hash': last['hash'], 'run': last['id']} and said.get('signature'),
                   'a clean stop says where the chain ends: %s' % (head and dict(head)))
        self.check(d.execute('PRAGMA integrity_check').fetchone()[0] == 'ok', 'the database is damaged')
        self.check(not d.execute('PRAGMA foreign_key_check').fetchall(), 'rows without their parents')

    def look_at_serials(self, d, units):
        on_boards = collections.Counter(s for _, state, _ in units for s in set(state['serials']))
        twice = [s for s, n in on_boards.items() if n > 1]
        self.check(not twice, 'on two boards: %s' % twice)
        rows = {r['value']: r for r in d.execute('SELECT * FROM serials')}
        self.check(set(on_boards) <= set(rows), 'on a board but not in the ledger: %s' % (set(on_boards) - set(rows)))
        for s in on_boards:
            self.check(s in rows and rows[s]['state'] == 'committed',
                       'on a board but not committed: %s' % (dict(rows[s]) if s in rows else s))
        committed = collections.Counter(r['unit_id'] for r in rows.values() if r['state'] == 'committed')
        self.check(None not in committed, 'committed to no unit')
        pool = d.execute('SELECT * FROM pools').fetchone()
        made = {int(v[-6:]) for v in rows}
        left = set(range(pool['first'], pool['next']))
        self.check(made == left, 'left the pool without a row, or the other way: %s' % sorted(made ^ left)[:10])
        open_runs = {r['id'] for r in d.execute("SELECT id FROM runs WHERE state = 'open'")}
        for r in rows.values():
            fine = r['state'] == 'committed' or r['state'] == 'void' and r['reason'] or \
                r['state'] == 'reserved' and r['run_id'] in open_runs
            self.check(fine, 'a lost serial: %s' % dict(r))
        self.states = collections.Counter(r['state'] for r in rows.values())
        self.on_boards = len(on_boards)

    def look_at_told(self, d, customer, follower):
        jobs = {r['external_ref']: r for r in d.execute('SELECT * FROM jobs')}
        count = d.execute('SELECT count(*) FROM jobs').fetchone()[0]
        self.check(count == len(jobs), 'an order was taken twice')
        for key, job in customer.acknowledged.items():
            self.check(key in jobs and jobs[key]['id'] == job, 'acknowledged and lost: job %s of %s' % (job, key))
            self.check(key in jobs and jobs[key]['state'] == 'done' and jobs[key]['passed'] == jobs[key]['quantity'],
                       'not made: %s' % (dict(jobs[key]) if key in jobs else key))
        stored = {r['seq']: r for r in d.execute('SELECT * FROM events')}
        steps = {(r['run_id'], r['n']): r for r in d.execute('SELECT * FROM steps')}
        runs = {r['id']: r for r in d.execute('SELECT * FROM runs')}
        self.steps_told = self.runs_told = 0
        for seq, kind, body in follower.told:
            row = stored.get(seq)
            same = row and row['type'] == kind and json.loads(row['data']) == body['data'] and \
                (row['run_id'], row['job_id']) == (body['run'], body['job'])
            self.check(same, 'told and not kept: event %d %s' % (seq, body))
            if kind == 'step-finished':
                step = steps.get((body['run'], body['data']['n']))
                self.steps_told += 1
                self.check(step and step['state'] == 'done' and step['outcome'] == body['data']['outcome'],
                           'told and not so: %s, %s' % (body, step and dict(step)))
            if kind == 'run-finished':
                self.runs_told += 1
                run = runs.get(body['run'])
                self.check(run and run['outcome'] == body['data']['outcome'] and run['hash'] == body['data']['hash'],
                           'told and not so: %s' % body)

    def look_at_runs(self, d, units, needs):
        boards = {}
        for _, state, data in units:
            for s in state['serials']:
                boards[s] = (state, data)
        runs = d.execute('SELECT * FROM runs').fetchall()
        self.outcomes = collections.Counter(r['outcome'] or r['state'] for r in runs)
        self.check(not self.outcomes['open'], 'runs that no one ended: %d' % self.outcomes['open'])
        passed_of = collections.Counter()
        for r in runs:
            if r['outcome'] == 'interrupted':
                self.check(r['code'] == 'interrupted' and r['message'] and r['ended_at'], 'unresolved: %s' % dict(r))
            if r['outcome'] != 'passed':
                continue
            passed_of[r['serial']] += 1
            board = boards.get(r['serial'])
            self.check(board and board[0]['serial'] == r['serial'] and board[1][:len(self.image)] == self.image,
                       'passed, and the board does not hold it: run %s serial %s' % (r['id'], r['serial']))
            wanted = {'flash', 'version', 'serial', 'set-serial', 'temp', 'led-off'}
            ok = {s['id'] for s in d.execute("SELECT id FROM steps WHERE run_id = ? AND outcome = 'passed'", (r['id'],))}
            self.check(ok == wanted, 'passed without %s' % (wanted - ok))
        for s in d.execute("SELECT * FROM steps WHERE outcome = 'passed'"):
            if s['action'] in needs:
                self.check(s['evidence'] and json.loads(s['evidence']), 'passed without evidence: %s' % dict(s))
        open_steps = d.execute("SELECT count(*) FROM steps WHERE state = 'open'").fetchone()[0]
        self.check(open_steps == 0, '%d steps that no one ended' % open_steps)
        prev = '0' * 64
        for r in d.execute('SELECT * FROM runs ORDER BY chain'):
            self.check(r['prev_hash'] == prev, 'the chain is broken at run %s' % r['id'])
            prev = r['hash']
        self.steps = d.execute('SELECT count(*) FROM steps').fetchone()[0]
        self.codes = collections.Counter(
            '%s: %s at %s' % (r['outcome'], r['code'], r['step']) for r in runs if r['outcome'] not in ('passed', 'interrupted'))

    def tell(self, d, units, customer, follower, took):
        starts = sorted(self.starts)
        print('kills %d in %.0f s (seed %d), units exchanged meanwhile %d' % (
            self.killed, took, self.o.seed, self.exchanged))
        print('start to serving: median %.0f ms, longest %.0f ms' % (
            1e3 * starts[len(starts) // 2], 1e3 * starts[-1]))
        print('jobs acknowledged %d (%d answered again to a repetition), all made' % (
            len(customer.acknowledged), customer.repeated))
        print('the engineer: %s' % ', '.join('%s %d' % v for v in sorted(self.engineer.done.items())))
        print('events told %d, of them ends of steps %d and of runs %d; steps kept %d' % (
            len(follower.told), self.steps_told, self.runs_told, self.steps))
        print('runs: %s' % ', '.join('%s %d' % o for o in sorted(self.outcomes.items())))
        for code, n in self.codes.most_common(8):
            print('  %s: %d' % (code, n))
        print('serials: %s; on boards %d' % (', '.join('%s %d' % s for s in sorted(self.states.items())), self.on_boards))
        for f in self.failures[:20]:
            print('FAILED: %s' % f)
        print('%d failures' % len(self.failures))


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build', nargs='?')
    p.add_argument('--kills', type=int, default=int(os.environ.get('PROVD_CRASH_KILLS', '80')))
    p.add_argument('--seconds', type=float, default=240)
    p.add_argument('--seed', type=int, default=int(os.environ.get('PROVD_SEED', time.time_ns() % 1000000)))
    o = p.parse_args()
    if o.build:
        os.environ['PROVD_BUILD'] = os.path.abspath(o.build)
    print('seed %d' % o.seed, flush=True)
    return Crash(o).run()


if __name__ == '__main__':
    sys.exit(main())
