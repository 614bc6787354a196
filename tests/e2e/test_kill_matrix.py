#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One recipe of everything that cannot be undone, and provd is killed in every phase of it.

    test_kill_matrix.py [BUILD] [--cuts N] [--rows N] [--seed S] [--seconds S]

A set of identity, a label, fuses, a key with its certificate, a registration and its activation, on several rows: each a
provd of its own with a few stations, boards, printers and a cloud. Each kill ends the runs of all stations of a row, each in
the phase that it was in. In a part of the kills provd-keyd is killed as well, or alone. The phase of a run is read in the
database that is left. At the end the boards, the labels, the cloud, the log of provd-keyd and the database of each row must
agree: nothing was used, printed for another unit, burnt, signed or registered twice.
"""
import argparse
import collections
import hashlib
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import cloud
import keyd
import line
import test_label

RECIPE = '''
recipe: matrix
version: 1
unit:
  model: provsim-1
  serial: {pool: matrix-sn}
ports:
  console: {kind: tty, baud: 115200}
artifacts:
  fields: otp-fields.yml
  plate: plate.yaml
timeout: 60s
steps:
  - {id: chip, action: device.identify, with: {port: console, prompt: '> ', send: GET_UID, pattern: '^([0-9a-f]{24})$'}}
  - {id: id, action: unit.identity, with: {values: {eth0: {pool: macs}, wifi: {pool: macs}, license: {pool: keys}}}}
  - id: label
    action: unit.label
    with: {template: '${artifacts.plate}', values: {serial: '${unit.serial}'}, printer: 'plates-${station.id}'}
  - {id: set-eth0, action: unit.mac, with: {port: console, sync: false, prompt: '> ', mac: '${steps.id.eth0}', index: 0}}
  - {id: set-wifi, action: unit.mac, with: {port: console, sync: false, prompt: '> ', mac: '${steps.id.wifi}', index: 1}}
  - {id: set-license, action: unit.license, with: {port: console, sync: false, prompt: '> ', key: '${steps.id.license}'}}
  - id: set-serial
    action: console.command
    with: {port: console, sync: false, prompt: '> ', send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
  - id: burn-key
    action: otp.write
    with: {port: console, sync: false, prompt: '> ', map: '${artifacts.fields}', field: key, value: '${secrets.otp-key}', irreversible: yes-i-mean-it}
  - id: lock-key
    action: otp.lock
    with: {port: console, sync: false, prompt: '> ', map: '${artifacts.fields}', field: key, value: '${secrets.otp-key}', irreversible: yes-i-mean-it}
  - id: burn-boot
    action: otp.write
    with: {port: console, sync: false, prompt: '> ', map: '${artifacts.fields}', field: boot, value: '0x5', irreversible: yes-i-mean-it}
  - {id: key, action: key.generate, with: {port: console, sync: false, prompt: '> ', alg: p256}}
  - id: csr
    action: key.csr
    with:
      port: console
      sync: false
      prompt: '> '
      subject: 'O=Example Devices,CN=${unit.model} ${unit.serial},serialNumber=${unit.serial}'
      public_key: '${steps.key.public_key}'
  - id: certificate
    action: key.certificate
    with:
      issuer: factory
      profile: idevid
      csr: '${steps.csr.csr}'
      public_key: '${steps.key.public_key}'
      values: {serial: '${unit.serial}', model: '${unit.model}'}
    retry: {attempts: 3, delay: 20ms, on: [keys-unavailable]}
  - {id: deliver, action: key.deliver, with: {port: console, sync: false, prompt: '> ', certificate: '${steps.certificate.certificate}'}}
  - {id: proof, action: key.verify, with: {port: console, sync: false, prompt: '> ', key: '${steps.certificate.certificate}'}}
  - id: register
    action: cloud.register
    with: {service: cloud, serial: '${unit.serial}', device_type: '${unit.model}', firmware_version: '1.0'}
  - id: activate
    action: cloud.activate
    with: {service: cloud, device_id: '${steps.register.device_id}'}
'''
CONFIG = """profiles: %s
issuers:
%ssecrets: {cloud-token: {file: %s/token}, otp-key: {file: %s/otp-key}}
services:
  cloud: {url: '%s', ca: %s, token: cloud-token, timeout: 5s}
printers: {%s}
"""
# As small as a printer takes it: what is on it is one code.
PLATE = """label: matrix
width: 20mm
height: 20mm
elements:
  - barcode: {kind: qr, x: 3mm, y: 3mm, module: 0.5mm, data: '${serial}'}
"""
OTP_KEY = '5ec2e7' + '0123456789abcdef' * 3 + '5ec2e70012'
IRREVERSIBLE = {'burn-key': 'burn', 'lock-key': 'burn', 'burn-boot': 'burn', 'register': 'register'}
PHASE_OF_STEP = {'id': 'reserve', 'label': 'label', 'set-eth0': 'expose', 'set-wifi': 'expose', 'set-license': 'expose', 'set-serial': 'expose',
                 'certificate': 'sign', 'deliver': 'deliver', 'key': 'key', 'csr': 'key', 'proof': 'key', 'activate': 'activate'}
AIMS = {'reserve': ['id'], 'label': ['label'], 'expose': ['set-eth0', 'set-wifi', 'set-license', 'set-serial'], 'burn': ['burn-key', 'lock-key', 'burn-boot'],
        'observe': ['burn-key', 'lock-key', 'burn-boot'], 'sign': ['certificate'], 'deliver': ['deliver'], 'register': ['register'],
        'activate': ['activate']}
# The row that says that a phase has begun, for those that are short.
BEGUN = {'burn': "SELECT max(seq) FROM intents WHERE action LIKE 'otp.%'", 'sign': 'SELECT max(seq) FROM certificates',
         'register': "SELECT max(seq) FROM intents WHERE action = 'cloud.register'"}
# What a kill may end a later run of the same unit with, and why.
NAMED = {'interrupted': 'provd was killed', 'keys-unavailable': 'provd-keyd was killed'}
SETTLED = '''SELECT 1 FROM units u WHERE chip_id = ? AND (state = 'passed' OR
    (SELECT code FROM runs r WHERE r.unit_id = u.id AND r.state = 'finished' ORDER BY seq DESC LIMIT 1) = 'unit-suspect')'''
STATIONS = 6     # of a row
# keyd alone: in those phases that ask it, so that something comes of it.
VICTIMS = ('provd', 'provd', 'provd', 'provd', 'provd', 'both')
VICTIMS_AT_KEYS = ('provd', 'provd', 'both', 'keyd')


class Tally:
    """What came of a row, and of all rows."""
    COUNTS = ('victims', 'kills', 'hits', 'outcomes', 'states', 'intents', 'certificates', 'ends', 'gaps', 'asked', 'sums')

    def __init__(self):
        for name in self.COUNTS:
            setattr(self, name, collections.Counter())
        self.failures, self.took = [], 0

    def add(self, other):
        for name in self.COUNTS:
            getattr(self, name).update(getattr(other, name))
        self.failures += other.failures
        self.took = max(self.took, other.took)

    def check(self, ok, what):
        if not ok:
            self.failures.append(what)

    @staticmethod
    def listed(counter):
        return ', '.join('%s %d' % k for k in sorted(counter.items()))

    def tell(self):
        in_phase = sum(self.kills.values()) - self.kills['between']
        print('kills in %.0f s: %d within a phase (%.1f a second), %d between two; of %s; open runs that they ended: %d, within a phase %d' % (
            self.took, in_phase, in_phase / self.took, self.kills['between'], self.listed(self.victims), sum(self.hits.values()),
            sum(self.hits.values()) - self.hits['between']))
        print('%-10s %6s %6s   the unit afterwards' % ('phase', 'kills', 'runs'))
        for phase in list(AIMS) + ['key', 'between']:
            after = {state: n for (p, state), n in self.outcomes.items() if p == phase}
            print('%-10s %6d %6d   %s' % (phase, self.kills[phase], self.hits[phase], self.listed(after)))
        for what in ('states', 'intents', 'certificates', 'asked', 'ends', 'gaps', 'sums'):
            print('%-12s %s' % (what, self.listed(getattr(self, what))))
        for f in self.failures[:20]:
            print('FAILED: %s' % f)
        print('%d failures' % len(self.failures))


class Matrix(Tally):
    """One row. done: the runs of all rows that were cut within a phase."""

    def __init__(self, options, number, done):
        super().__init__()
        self.o, self.done = options, done
        self.random = random.Random(options.seed * 100 + number)
        self.hit_runs = {}      # run -> its phase
        self.aimed, self.reached = None, threading.Event()
        self.last_seq, self.stream = 0, None
        self.exchanging, self.decks = True, {}

    # --- the row ---

    def prepare(self, l):
        l.cloud = cloud.Cloud(l.home)
        profiles = os.path.join(line.ROOT, 'systemd', 'profiles')
        self.authority = keyd.Authority(l.home, 'factory')
        line.write(os.path.join(l.home, 'token'), cloud.TOKEN + '\n')
        line.write(os.path.join(l.home, 'otp-key'), OTP_KEY + '\n')
        l.config(CONFIG % (profiles, self.authority.yaml(['idevid']), l.home, l.home, l.cloud.url, l.cloud.ca, self.printers(l)), settle='2ms')
        app = os.path.join(l.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware(2048))
        l.sim = line.Sim(l.home, STATIONS, '--preload', app, '--boot-ms', '1', '--prompt', '1')
        self.start(l)
        l.api.post('/pools', {'id': 'matrix-sn', 'pattern': 'MX{seq:06}', 'first': 1, 'last': 99999})
        l.api.post('/pools', {'id': 'macs', 'kind': 'mac', 'pattern': '{mac}', 'block': 'AC:DE:48', 'first': 0, 'last': 99999})
        l.api.post('/pools', {'id': 'keys', 'kind': 'license', 'values': ['LIC-%05d' % i for i in range(3000)]})
        l.put_firmware(line._bytes_of(os.path.join(line.ROOT, 'recipes', 'otp-fields.yml')), 'otp-fields.yml')
        l.put_firmware(PLATE.encode(), 'plate.yaml')
        l.put_recipe(RECIPE)
        self.job = l.api.post('/jobs', {'recipe': 'matrix', 'quantity': 50000})['id']

    def printers(self, l):
        """Each station has its own. They count what came out of them, and are never killed."""
        home = os.path.join(l.home, 'printers')
        os.mkdir(home)
        l.printers = line.Sim(home, STATIONS, '--device', 'printer', '--link', 'tcp')
        return ', '.join("plates-A%s: {address: '%s'}" % (b['board'][1:], b['link'].removeprefix('tcp:')) for b in l.printers.boards())

    def start(self, l):
        l.start()
        self.stream = l.provd.events(after=self.last_seq, on_event=lambda e: self.on_event(l, e))

    def on_event(self, l, event):
        seq, kind, body = event
        if seq <= 0:
            return
        if kind == 'step-started' and self.aimed and body['data']['step'] in AIMS[self.aimed]:
            self.reached.set()
        if kind == 'run-finished':
            self.run_ended(l, body)
        # What was not done to its end comes again with the next stream.
        self.last_seq = seq

    @staticmethod
    def order(l, cmd, **what):
        """The simulator may answer late, or say no while the board is between two plugs: then once more."""
        for left in range(9, -1, -1):
            try:
                return l.sim.ctl(cmd, **what)
            except (OSError, ValueError, AssertionError):
                if not left:
                    raise
                time.sleep(0.2)

    def run_ended(self, l, body):
        """What a person does: a unit that passed, or that must be looked at, makes way; any other one is tried again."""
        if body['data']['outcome'] == 'passed' or body['data'].get('code') in ('unit-suspect', 'otp-half-burnt'):
            if self.exchanging:
                self.order(l, 'next', board='b' + body['station'][1:], gap_ms=100)
        elif body['data']['outcome'] != 'interrupted':
            self.order(l, 'replug', board='b' + body['station'][1:], gap_ms=100)

    def keyd_pid(self, l):
        pid = l.provd.process.pid
        for child in line.read('/proc/%d/task/%d/children' % (pid, pid)).split():
            if line.read('/proc/%s/comm' % child).strip() == 'provd-keyd':
                return int(child)
        return None

    # --- the kills ---

    def phase_of(self, d, run):
        """Where it was: None, between two phases."""
        step = d.execute("SELECT * FROM steps WHERE run_id = ? AND state = 'open' ORDER BY n DESC LIMIT 1", (run,)).fetchone()
        if not step:
            return None
        if step['id'] not in IRREVERSIBLE:
            return PHASE_OF_STEP.get(step['id'])
        intended = d.execute('SELECT 1 FROM intents WHERE run_id = ? AND step_n = ?', (run, step['n'])).fetchone()
        return IRREVERSIBLE[step['id']] if intended else 'observe'

    def open_runs(self, l):
        """The phase of each."""
        d = l.provd.db()
        try:
            return {run: self.phase_of(d, run) or 'between' for (run,) in d.execute("SELECT id FROM runs WHERE state = 'open'").fetchall()}
        finally:
            d.close()

    def count_kill(self, aim, runs):
        """A kill counts once: for the phase that it was meant for, where a run was in it, or for another one that it hit."""
        phases = set(runs.values())
        phase = aim if aim in phases else min(phases - {'between'}, default='between')
        self.kills[phase] += 1

    def next_of(self, all_):
        """Each of them comes once, in an order that chance makes, and then again."""
        left = self.decks.setdefault(all_, [])
        if not left:
            left += self.random.sample(all_, len(all_))
        return left.pop()

    def begun(self, l, aim):
        d = l.provd.db()
        try:
            return d.execute(BEGUN[aim]).fetchone()[0] if aim in BEGUN else None
        finally:
            d.close()

    def wait_for_row(self, l, aim, before):
        if aim not in BEGUN:
            return
        d = l.provd.db()
        try:
            end = time.monotonic() + 2
            while d.execute(BEGUN[aim]).fetchone()[0] == before and time.monotonic() < end:
                time.sleep(0.001)
        finally:
            d.close()

    def kill(self, l, aim):
        victim = self.next_of(VICTIMS_AT_KEYS if aim in ('sign', 'deliver') else VICTIMS)
        # The set of identity is one commit.
        delay = 0 if aim == 'reserve' else self.random.choice((0, self.random.uniform(0, 0.003), self.random.uniform(0, 0.02)))
        before = self.begun(l, aim)
        pid = self.keyd_pid(l) if victim != 'provd' else None
        self.reached.clear()
        self.aimed = aim
        if self.reached.wait(5):
            self.wait_for_row(l, aim, before)
            time.sleep(delay)
        self.aimed = None
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.victims[victim] += 1
        if victim != 'keyd':
            l.provd.kill()
            self.stream.stop()
        runs = self.open_runs(l)
        self.count_kill(aim, runs)
        if victim != 'keyd':
            self.hit_runs.update(runs)
            self.hits.update(runs.values())
            with self.done.get_lock():
                self.done.value += sum(phase != 'between' for phase in runs.values())
            self.start(l)

    def kill_all(self, l):
        begun = time.monotonic()
        while self.done.value < self.o.cuts and time.monotonic() - begun < self.o.seconds:
            self.kill(l, self.next_of(tuple(AIMS)))
        self.took = time.monotonic() - begun

    # --- afterwards ---

    def settled(self, l):
        """Every unit in a socket has passed, or a run said that a person must look at it."""
        d = l.provd.db()
        try:
            for b in l.sim.boards():
                if not d.execute(SETTLED, (b['uid'],)).fetchone():
                    return False
            return True
        finally:
            d.close()

    def last_runs(self, l):
        """How the units that are plugged ended."""
        d = l.provd.db()
        try:
            return [(b['uid'],) + tuple(r) for b in l.sim.boards() for r in d.execute(
                'SELECT u.state, r.state, r.outcome, r.code, r.step, r.message FROM units u JOIN runs r ON r.unit_id = u.id'
                ' WHERE u.chip_id = ? ORDER BY r.seq DESC LIMIT 1', (b['uid'],))]
        finally:
            d.close()

    def finish(self, l):
        self.exchanging = False
        try:
            line.wait_for('the last units pass', lambda: self.settled(l), every_s=0.2)
        except AssertionError as e:
            raise AssertionError('%s: %s' % (e, self.last_runs(l))) from e
        l.api.post('/jobs/%s/actions/abort' % self.job, headers=line.ANY)
        line.wait_for('every station is at rest', lambda: all(s['run'] is None for s in l.api.get('/stations')['items']))
        self.gaps_of = {p: l.api.all('/pools/%s/gaps' % p) for p in ('matrix-sn', 'macs', 'keys')}
        self.stream.stop()
        self.check(l.provd.term() == 0, 'provd ends with 0 at SIGTERM')

    def run(self):
        with line.Line(STATIONS, boards=0, station_extra='    quarantine_after: 0\n') as l:
            try:
                self.prepare(l)
                self.kill_all(l)
                self.finish(l)
                self.look(l)
            finally:
                if getattr(l, 'printers', None):
                    l.printers.stop()
                l.cloud.__exit__()

    # --- what must be true of the remains ---

    def look(self, l):
        units = {uid: state for uid, state, _ in l.sim.units()}
        d = l.provd.db()
        try:
            rows = {r['value']: r for r in d.execute(
                'SELECT s.*, u.chip_id FROM serials s LEFT JOIN units u ON u.id = s.unit_id')}
            self.look_at_values(units, rows)
            self.look_at_gaps(d, rows)
            self.look_at_labels(d, l)
            self.look_at_fuses(d, units)
            self.look_at_certificates(d, l, units)
            self.look_at_cloud(d, l, units, rows)
            self.look_at_runs(d, units)
        finally:
            d.close()

    def look_at_values(self, units, rows):
        """No number is on two boards, and each is the ledger's, committed to the unit that holds it."""
        on = collections.defaultdict(set)
        for uid, u in units.items():
            values = u['values']
            for v in list(u['serials']) + [m.upper() for m in values.get('mac', {}).values()] + list(values.get('license', {}).values()):
                on[v].add(uid)
        self.check(len(on) >= 4 * STATIONS, 'the boards hold %d values' % len(on))
        for value, who in on.items():
            row = rows.get(value)
            self.check(len(who) == 1, 'used twice: %s on %s' % (value, sorted(who)))
            self.check(row is not None and row['state'] == 'committed' and row['chip_id'] in who,
                       'on a board and not committed to it: %s' % (dict(row) if row else value))
        self.sums['values on boards'] = len(on)

    def look_at_gaps(self, d, rows):
        """A number that left a pool and is with no unit is a gap that says why."""
        explained = {(p, n) for p, gaps in self.gaps_of.items() for g in gaps for n in range(g['first'], g['last'] + 1) if g['why']}
        for pool in d.execute('SELECT * FROM pools WHERE pattern IS NOT NULL').fetchall():
            left = {r['ordinal']: r for r in rows.values() if r['pool_id'] == pool['id']}
            for n in range(pool['first'], pool['next']):
                fine = n in left and left[n]['state'] in ('committed', 'free') or (pool['id'], n) in explained
                self.check(fine, 'a gap without a reason: %s %d' % (pool['id'], n))
        self.gaps.update({p: len(g) for p, g in self.gaps_of.items()})
        self.check(not [v for v, r in rows.items() if r['state'] == 'reserved'], 'still reserved, and nobody works')

    def printed(self, l):
        """What the printers made: {what its code says: the files}."""
        seen, files = {}, collections.defaultdict(list)
        for b in l.printers.boards():
            for k in range(b['labels']):
                zpl = line._bytes_of(os.path.join(l.printers.boards_dir, b['board'], 'label-%d.zpl' % (k + 1)))
                files[zpl].append(b['board'])
        for n, zpl in enumerate(files):
            seen[zpl] = os.path.join(l.home, 'seen-%d.pbm' % n)
            with open(seen[zpl], 'wb') as f:
                f.write(test_label.decoded(zpl))
        said = subprocess.run(['zbarimg', '-q', '--raw', *seen.values()], capture_output=True, text=True, timeout=line.DEADLINE_S).stdout.split()
        self.check(len(said) == len(seen) and len(set(said)) == len(seen), 'labels that differ: %d, what they say: %d' % (len(seen), len(set(said))))
        return {text: files[zpl] for text, zpl in zip(said, seen)}

    def look_at_labels(self, d, l):
        """A number is on labels of one unit alone, and comes out at most once in each of its runs that got as far."""
        printed = self.printed(l)
        for serial, boards in printed.items():
            begun = d.execute("SELECT r.unit_id, r.station FROM runs r JOIN steps s ON s.run_id = r.id AND s.id = 'label' WHERE r.serial = ?", (serial,)).fetchall()
            self.check(len({r['unit_id'] for r in begun}) == 1, 'on labels of several units: %s' % serial)
            for b in set(boards):
                most = [r['station'] for r in begun].count('A' + b[1:])
                self.check(boards.count(b) <= most, 'printed %d times by %s in %d runs: %s' % (boards.count(b), b, most, serial))
        for (serial,) in d.execute("SELECT DISTINCT serial FROM runs WHERE outcome = 'passed'"):
            self.check(serial in printed, 'passed, and without a label: %s' % serial)
        self.sums['labels'] = sum(len(b) for b in printed.values())
        self.sums['labelled units'] = len(printed)

    def look_at_fuses(self, d, units):
        for uid, u in units.items():
            for name, field in u['values'].get('otp', {}).items():
                self.check(len(field['writes']) <= 1, 'burnt twice: %s of %s' % (name, uid))
            self.check(u['counters'].get('locks', 0) <= 1, 'locked twice: %s' % uid)
        self.check(sum(u['counters'].get('locks', 0) for u in units.values()) >= STATIONS, 'the boards count no locks')
        for r in d.execute("SELECT unit, action, what, count(*) AS n FROM intents WHERE state = 'committed' GROUP BY 1, 2, 3"):
            self.check(r['n'] == 1, 'committed twice: %s' % dict(r))
        for r in d.execute("SELECT i.*, u.state AS unit_state FROM intents i LEFT JOIN units u ON i.unit IN (u.chip_id, u.serial) WHERE i.state IN ('intent', 'suspect')"):
            self.check(r['unit_state'] == 'suspect' and r['observed'], 'an act that nobody settled: %s' % dict(r))
        self.intents = collections.Counter(r['state'] for r in d.execute('SELECT state FROM intents'))

    def look_at_certificates(self, d, l, units):
        rows = d.execute('SELECT c.*, u.chip_id FROM certificates c JOIN runs r ON r.id = c.run_id LEFT JOIN units u ON u.id = r.unit_id').fetchall()
        known = {r['serial'] for r in rows}
        signed = re.findall(r'signed: issuer factory, .* serial number ([0-9a-f]{32})', l.provd.log_text())
        self.check(len(signed) > 0 and len(set(signed)) == len(signed), 'signed by provd-keyd: %d' % len(signed))
        self.check(set(signed) <= known, 'signed, and the records do not know it: %s' % (set(signed) - known))
        given = {r['sha256']: r for r in rows if r['state'] in ('issued', 'delivered')}
        for uid, u in units.items():
            der = u['values'].get('cert', {}).get('der')
            row = given.get(hashlib.sha256(bytes.fromhex(der)).hexdigest()) if der else None
            self.check(not der or row and row['chip_id'] == uid, 'held by a unit and not on record: %s' % uid)
        for r in rows:
            self.check(r['state'] != 'ordered' and (r['state'] != 'void' or r['reason']), 'a certificate left open: %s' % r['id'])
        self.sums['certificates signed'] = len(signed)
        self.certificates = collections.Counter(r['state'] for r in rows)

    def look_at_cloud(self, d, l, units, rows):
        owner = {}
        for c in l.cloud.devices:
            row = rows.get(c['serial_number'])
            self.check(row is not None and row['chip_id'] in units, 'registered, and of no unit: %s' % c)
            uid = row['chip_id'] if row else None
            self.check(uid not in owner, 'registered twice: %s' % uid)
            owner[uid] = c
        self.sums['devices at the cloud'] = len(l.cloud.devices)
        self.asked = collections.Counter(name for name, _ in l.cloud.requests)
        for r in d.execute("SELECT DISTINCT u.chip_id FROM runs r JOIN units u ON u.id = r.unit_id WHERE r.outcome = 'passed'"):
            c = owner.get(r['chip_id'])
            self.check(c and c['state'] == 'active', 'passed, and not active at the cloud: %s %s' % (r['chip_id'], c))

    def look_at_runs(self, d, units):
        """Every unit passed, or is suspect with a reason."""
        for uid in units:
            row = d.execute('SELECT * FROM units WHERE chip_id = ?', (uid,)).fetchone()
            runs = d.execute('SELECT r.* FROM runs r JOIN units u ON u.id = r.unit_id WHERE u.chip_id = ? ORDER BY r.seq', (uid,)).fetchall()
            state = row['state'] if row else 'untouched'
            self.states[state] += 1
            fine = state == 'passed' and 'passed' in [r['outcome'] for r in runs] or state == 'suspect' and runs[-1]['message']
            self.check(fine, 'a unit that nobody settled: %s is %s: %s' % (uid, state, [(r['outcome'], r['code'], r['step'], r['message']) for r in runs][-3:]))
            for r in runs:
                if r['id'] in self.hit_runs:
                    self.outcomes[self.hit_runs[r['id']], state] += 1
        runs = d.execute('SELECT * FROM runs').fetchall()
        self.check(not [r for r in runs if r['state'] == 'open'], 'runs that nobody ended')
        self.ends = collections.Counter(r['outcome'] + (': ' + r['code'] if r['code'] else '') for r in runs)
        for r in runs:
            self.check(r['outcome'] == 'passed' or r['code'] in NAMED or r['code'] == 'unit-suspect',
                       'an end that no kill explains: %s' % [r[k] for k in ('id', 'outcome', 'code', 'step', 'message')])
        for row in d.execute('PRAGMA integrity_check'):
            self.check(row[0] == 'ok', row[0])


def row(options, number, done, to):
    """In a process of its own."""
    m = Matrix(options, number, done)
    sum_ = Tally()
    try:
        m.run()
    except BaseException as e:
        m.failures.append('row %d: %r' % (number, e))
    sum_.add(m)
    to.send(sum_)


def all_rows(options):
    done, rows, whole = multiprocessing.Value('i', 0), [], Tally()
    for number in range(options.rows):
        ours, theirs = multiprocessing.Pipe(False)
        process = multiprocessing.Process(target=row, args=(options, number, done, theirs))
        process.start()
        theirs.close()
        rows.append((process, ours))
    for process, ours in rows:
        try:
            whole.add(ours.recv())
        except EOFError:
            whole.failures.append('a row ended without a word')
        process.join()
    whole.check(done.value >= options.cuts, 'only %d runs were cut within a phase in %.0f s' % (done.value, whole.took))
    for aim in AIMS:
        whole.check(whole.kills[aim] > 0 and whole.hits[aim] > 0, 'no run was hit in phase %s' % aim)
    for victim in VICTIMS_AT_KEYS:
        whole.check(whole.victims[victim] > 0, 'never killed: %s' % victim)
    whole.tell()
    return 1 if whole.failures else 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build', nargs='?')
    p.add_argument('--cuts', type=int, default=int(os.environ.get('PROVD_MATRIX_CUTS', '1000')), help='runs that a kill ends within a phase')
    p.add_argument('--rows', type=int, default=5, help='provds at once')
    p.add_argument('--seconds', type=float, default=300)
    p.add_argument('--seed', type=int, default=int(os.environ.get('PROVD_SEED', time.time_ns() % 1000000)))
    o = p.parse_args()
    if o.build:
        os.environ['PROVD_BUILD'] = os.path.abspath(o.build)
    os.environ['PROVD_KEYD'] = line.binary('provd-keyd')
    # A process that is killed loses nothing that it wrote: memory does for a disk.
    if os.access('/dev/shm', os.W_OK):
        tempfile.tempdir = '/dev/shm'
    print('seed %d' % o.seed, flush=True)
    return all_rows(o)


if __name__ == '__main__':
    sys.exit(main())
