#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A station and what people plug into it: bounces, swaps, wrong devices, bad fixtures.

    test_stations.py [BUILD]
"""
import os
import sqlite3
import unittest

import line

PASS = '''
recipe: %s
version: 1
unit: {model: m}
ports: {console: {kind: tty}}
steps:
  - id: ping
    action: console.command
    with: {port: console, send: ping, expect: '^%s$', timeout: 500ms}
    retry: {attempts: 5, delay: 50ms, on: [timeout, unexpected-reply]}
'''


class Stations(unittest.TestCase):
    def begin(self, recipe='good', extra='', settle=None, quantity=50, config='', sim=()):
        l = line.Line(1, boards=0, station_extra=extra + (
            '    settle: %s\n' % settle if settle else ''), config=config)
        self.addCleanup(l.close)
        image = l.home + '/old.bin'
        with open(image, 'wb') as f:
            f.write(line.firmware(1024))
        l.sim = line.Sim(l.home, 1, '--preload', image, *sim)
        l.start()
        l.put_recipe(PASS % ('good', 'pong'))
        l.put_recipe(PASS % ('bad', 'never'))
        if recipe:
            self.job = l.api.post('/jobs', {'recipe': recipe, 'quantity': quantity})['id']
        return l

    def runs(self, l):
        return [r for r in l.api.all('/runs') if r['state'] == 'finished']

    def state(self, l, *states):
        return line.wait_for('A1 is %s' % ' or '.join(states), lambda: (
            s := l.api.get('/stations/A1'), s if s['state'] in states else None)[1])

    def test_a_bounce_is_not_another_unit(self):
        l = self.begin(settle='400ms')
        line.wait_for('a run', lambda: self.runs(l))
        self.state(l, 'done')
        l.sim.ctl('replug', board='b1', gap_ms=20, times=3)
        line.wait_for('three enumerations', lambda: l.sim.boards()[0]['plugged'])
        # Longer than the settle time away: a unit comes, even one that looks the same.
        l.sim.ctl('unplug', board='b1')
        self.state(l, 'empty')
        self.assertEqual(len(self.runs(l)), 1)
        l.sim.ctl('plug', board='b1')
        line.wait_for('the second run', lambda: len(self.runs(l)) == 2)

    def test_unplugged_while_it_settles_is_on_record(self):
        l = self.begin(recipe=None, settle='2s')
        l.sim.ctl('unplug', board='b1')
        self.state(l, 'empty')
        l.api.post('/jobs', {'recipe': 'good', 'quantity': 1})
        l.sim.ctl('plug', board='b1')
        self.state(l, 'settling')
        line.wait_for('the attempt is open', lambda: l.api.get('/runs')['items'])
        l.sim.ctl('unplug', board='b1')
        run = line.wait_for('the attempt is closed', lambda: self.runs(l))[0]
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'device-gone', 'attach'))
        l.sim.ctl('plug', board='b1')
        line.wait_for('the next attempt', lambda: len(self.runs(l)) == 2)
        self.assertEqual(self.runs(l)[0]['outcome'], 'passed')

    def test_unplugged_in_a_run_ends_it_at_once(self):
        l = self.begin(recipe='bad')
        self.state(l, 'running')
        l.sim.ctl('unplug', board='b1')
        run = line.wait_for('the run ends', lambda: self.runs(l), 5)[0]
        self.assertEqual((run['outcome'], run['code']), ('error', 'device-gone'))
        self.state(l, 'empty')

    def plugged(self, l):
        with l.provd.db() as d:
            return d.execute("SELECT plugged FROM stations WHERE id = 'A1'").fetchone()[0]

    def restarted(self, l):
        l.provd.kill()
        l.start()

    def test_a_unit_that_had_its_run_is_not_run_again_by_a_restart(self):
        l = self.begin(settle='1500ms')
        line.wait_for('a run', lambda: self.runs(l))
        self.state(l, 'done')
        before = l.api.get('/stations/A1')['last']['run_id']
        self.restarted(l)
        self.assertEqual(self.state(l, 'done', 'ready', 'running')['state'], 'done')
        last = l.api.get('/stations/A1')['last']
        self.assertEqual((last['run_id'], last['outcome']), (before, 'passed'))
        self.assertEqual(len(l.api.all('/runs')), 1)
        # It bounces: the same unit, enumerated again.
        before = self.plugged(l)
        l.sim.ctl('replug', board='b1', gap_ms=20, times=1)
        line.wait_for('it is known again', lambda: self.plugged(l) not in ('', before))
        self.restarted(l)
        self.assertEqual(self.state(l, 'done', 'ready', 'running')['state'], 'done')
        self.assertEqual(len(l.api.all('/runs')), 1)
        # A person may want it again, and another unit is another unit.
        l.api.post('/stations/A1/actions/start')
        line.wait_for('the second run', lambda: len(self.runs(l)) == 2)
        self.state(l, 'done')
        l.provd.kill()
        l.sim.ctl('unplug', board='b1')
        l.sim.ctl('plug', board='b1')
        l.start()
        line.wait_for('the third run', lambda: len(self.runs(l)) == 3)

    def test_a_unit_whose_run_was_interrupted_is_run_again(self):
        l = self.begin(recipe='bad')
        self.state(l, 'running')
        self.restarted(l)
        line.wait_for('the next attempt', lambda: len(self.runs(l)) == 2)
        self.assertEqual([r['outcome'] for r in self.runs(l)], ['failed', 'interrupted'])
        self.assertEqual(self.state(l, 'done')['last']['outcome'], 'failed')
        self.restarted(l)
        self.assertEqual(self.state(l, 'done', 'ready', 'running')['state'], 'done')
        self.assertEqual(len(l.api.all('/runs')), 2)

    def test_a_wrong_device_is_a_fault_until_it_leaves(self):
        l = self.begin(sim=('--set', 'b1:usb-id=dead:beef'))
        s = self.state(l, 'fault')
        self.assertEqual(s['code'], 'wrong-device')
        self.assertIn('dead:beef', s['message'])
        self.assertIn('1209:0001', s['message'])
        self.assertEqual([r for r in self.runs(l) if r['outcome'] == 'passed'], [])
        self.assertTrue(any(p.get('wrong_device') for p in l.api.get('/ports')['items']))
        l.sim.ctl('unplug', board='b1')
        self.state(l, 'empty')

    def test_the_same_step_on_several_units_quarantines_until_cleared(self):
        l = self.begin(recipe='bad', extra='    quarantine_after: 2\n')
        line.wait_for('the first failure', lambda: len(self.runs(l)) == 1)
        l.sim.ctl('swap', board='b1', gap_ms=200)
        s = self.state(l, 'quarantined')
        self.assertIn("'ping'", s['message'])
        self.assertEqual([r['outcome'] for r in self.runs(l)], ['failed', 'failed'])
        # A further unit is not run there, and not because provd was started again.
        message = s['message']
        self.restarted(l)
        s = self.state(l, 'quarantined')
        self.assertEqual((s['message'], s['today']['failed']), (message, 2))
        l.sim.ctl('swap', board='b1', gap_ms=200)
        self.assertEqual(l.api.get('/stations/A1')['state'], 'quarantined')
        operator = l.provd.api(l.api.post('/tokens', {'name': 'o', 'role': 'operator'})['token'])
        self.addCleanup(operator.close)
        self.assertEqual(operator.request('POST', '/stations/A1/actions/clear').status, 403)
        l.api.post('/jobs/%s/actions/stop' % self.job, headers=line.ANY)
        l.api.post('/stations/A1/actions/clear')
        self.state(l, 'empty', 'settling', 'ready', 'done')
        self.restarted(l)
        self.state(l, 'empty', 'settling', 'ready', 'done')

    def test_a_disabled_station_takes_no_unit(self):
        l = self.begin(recipe=None)
        self.state(l, 'ready')
        l.api.post('/stations/A1/actions/disable')
        self.state(l, 'disabled')
        job = l.api.post('/jobs', {'recipe': 'good', 'quantity': 1})['id']
        l.sim.ctl('swap', board='b1', gap_ms=200)
        self.restarted(l)
        self.assertEqual(self.state(l, 'disabled')['message'], 'disabled by first admin')
        self.assertEqual(self.runs(l), [])
        l.api.post('/stations/A1/actions/enable')
        self.assertEqual(l.job_done(job)['passed'], 1)

    def rename_table(self, l, old, new):
        d = sqlite3.connect(os.path.join(l.home, 'state', 'provd.db'), timeout=line.DEADLINE_S)
        d.execute('ALTER TABLE %s RENAME TO %s' % (old, new))
        d.commit()
        d.close()

    def test_a_station_that_cannot_be_read_takes_no_unit_until_it_is(self):
        l = self.begin(recipe=None)
        self.state(l, 'ready')
        l.api.post('/stations/A1/actions/disable')
        self.state(l, 'disabled')
        l.api.post('/jobs', {'recipe': 'good', 'quantity': 1})
        l.provd.kill()
        self.rename_table(l, 'stations', 'away')
        l.start()
        self.assertIn('cannot be read', self.state(l, 'fault')['message'])
        self.rename_table(l, 'away', 'stations')
        self.state(l, 'disabled')
        self.assertEqual(l.api.all('/runs'), [])

    def test_a_babbling_device_fails_and_the_station_lives(self):
        l = self.begin()
        line.wait_for('a run', lambda: self.runs(l))
        l.sim.ctl('swap', board='b1', gap_ms=200)
        l.sim.ctl('flood', board='b1', bytes=10000000)
        line.wait_for('its run ends', lambda: len(self.runs(l)) >= 2, 40)
        l.sim.ctl('swap', board='b1', gap_ms=200)
        line.wait_for('the next unit passes', lambda: len(self.runs(l)) >= 3 and self.runs(l)[0]['outcome'] == 'passed')


if __name__ == '__main__':
    line.main()
