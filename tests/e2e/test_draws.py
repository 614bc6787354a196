#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""200 stations draw sets of values out of the same pools at a time, and units fail in every way: no value is given twice, and
GET /pools/{id}/gaps explains every number that no passed unit carries.

    test_draws.py [BUILD]
"""
import collections
import os
import random
import threading
import time
import unittest

import line

STATIONS = 200
FAULTS = ('value-wrong', 'value-cut', 'refuse-serial', 'not-ok', 'replug=%d', 'swap=%d')
POOLS = ('identity-sn', 'macs')


class Draws(unittest.TestCase):
    def setUp(self):
        seed = int(os.environ.get('PROVD_SEED', time.time_ns() % 1000000))
        print('seed %d' % seed, flush=True)
        self.random = random.Random(seed)
        self.line = line.Line(STATIONS, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(self.line.close)
        app = os.path.join(self.line.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware(2048))
        self.line.sim = line.Sim(self.line.home, STATIONS, '--preload', app)
        self.line.start()
        self.api = self.line.api
        self.api.post('/pools', {'id': 'identity-sn', 'pattern': 'ID{seq:06}', 'first': 1, 'last': 99999})
        self.api.post('/pools', {'id': 'macs', 'kind': 'mac', 'pattern': '{mac}', 'block': 'AC:DE:48', 'first': 0, 'last': 99999})
        self.api.post('/pools', {'id': 'keys', 'kind': 'license', 'values': ['L-%04d' % i for i in range(2000)]})
        with open(os.path.join(line.ROOT, 'recipes', 'identity.yaml')) as f:
            self.line.put_recipe(f.read())
        self.ends = collections.Counter()
        self.lock = threading.Lock()

    def fault(self, board):
        kind = self.random.choice(FAULTS)
        self.line.sim.ctl('fault', board=board, fault=kind % self.random.randint(30, 250) if '%d' in kind else kind)

    def on_event(self, event):
        """Another unit for one that passed; one that did not is put in once more, with a fault of its own at times."""
        _, kind, body = event
        if kind != 'run-finished':
            return
        with self.lock:
            self.ends[body['data']['outcome']] += 1
            board = 'b' + body['station'][1:]
            if body['data']['outcome'] == 'passed':
                self.line.sim.ctl('next', board=board, gap_ms=50)
            elif self.random.random() < 0.3:
                self.line.sim.ctl('next', board=board, gap_ms=50)
            else:
                self.line.sim.ctl('replug', board=board, gap_ms=50)

    def test_no_value_is_given_twice_and_every_gap_is_explained(self):
        for n in range(1, STATIONS + 1):
            if n % 2:
                self.fault('b%d' % n)
        stream = self.line.provd.events(on_event=self.on_event)
        job = self.api.post('/jobs', {'recipe': 'identity', 'quantity': 2 * STATIONS})['id']
        self.assertEqual(self.line.job_done(job)['passed'], 2 * STATIONS)
        line.wait_for('every station is at rest', lambda: all(s['run'] is None for s in self.api.get('/stations')['items']))
        stream.stop()
        runs = self.api.all('/runs')
        self.assertGreater(len({r['station'] for r in runs}), STATIONS * 9 // 10)
        self.assertGreater(sum(r['outcome'] != 'passed' for r in runs), STATIONS // 4)
        gaps = {p: self.api.all('/pools/%s/gaps' % p) for p in POOLS}
        self.line.provd.term()
        db = self.line.provd.db()
        try:
            self.nothing_is_on_two_boards(db)
            self.every_number_is_accounted_for(db, gaps)
        finally:
            db.close()
        print('runs: %s; gaps: %s' % (dict(self.ends), {p: len(g) for p, g in gaps.items()}))

    def nothing_is_on_two_boards(self, db):
        """What a unit that passed holds is its own. (Another one may hold what a fault made of its values.)"""
        of_unit, owner = collections.defaultdict(set), {}
        for r in db.execute("SELECT s.value, u.chip_id FROM serials s JOIN units u ON u.id = s.unit_id WHERE s.state = 'committed' AND u.state = 'passed'"):
            of_unit[r['chip_id']].add(r['value'])
        for uid, unit, _ in self.line.sim.units():
            for v in unit['serials']:
                self.assertEqual(owner.setdefault(v, uid), uid, v)
            if uid not in of_unit:
                continue
            values = {v.upper() for kind in ('mac', 'license') for v in unit['values'][kind].values()} | {unit['serial']}
            self.assertEqual(values, of_unit[uid], uid)
            for v in values:
                self.assertEqual(owner.setdefault(v, uid), uid, v)
        self.assertGreater(len(of_unit), STATIONS)
        self.assertGreater(len(owner), 4 * STATIONS)

    def every_number_is_accounted_for(self, db, gaps):
        """A number of the pool is with a unit that passed, or a gap with a reason; never both."""
        passed = {(r['pool_id'], r['ordinal']) for r in db.execute(
            "SELECT s.pool_id, s.ordinal FROM serials s JOIN units u ON u.id = s.unit_id WHERE s.state = 'committed' AND u.state = 'passed'")}
        for pool in POOLS:
            (next_,) = db.execute('SELECT next FROM pools WHERE id = ?', (pool,)).fetchone()
            (first,) = db.execute('SELECT first FROM pools WHERE id = ?', (pool,)).fetchone()
            explained = [n for g in gaps[pool] for n in range(g['first'], g['last'] + 1)]
            self.assertEqual(len(explained), len(set(explained)), pool)
            self.assertTrue(all(g['why'] and (g['run'] or g['outcome']) for g in gaps[pool]), gaps[pool][:5])
            carried = {n for p, n in passed if p == pool}
            self.assertGreater(len(carried), STATIONS)
            self.assertEqual(sorted(carried | set(explained)), list(range(first, next_)), pool)
            self.assertEqual(carried & set(explained), set(), pool)


if __name__ == '__main__':
    line.main()
