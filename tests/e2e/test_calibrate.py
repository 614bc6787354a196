#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Calibration: a virtual board whose analogue input lies at the source of a virtual meter, each unit wrong in its own way.

    test_calibrate.py [BUILD]
"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import line

COMMON = ('instrument=meter', 'set=VOLT {point}', 'query=MEAS:VOLT?', 'unit=V', 'points=["0.5", "1.5", "2.5", "3.5"]', 'verify_at=2',
          'read.send=ADC_RAW', r'read.pattern=^RAW (\S+)$', 'check.send=read adc', r'check.pattern=^ADC (\S+ V)$', 'correction=0.3')
KINDS = {
    'calibrate.gain_offset': ('write=SET_ADC_CAL {offset} {gain}', 'read_back.send=GET_ADC_CAL', r'read_back.pattern=^CAL (\S+) (\S+)$',
                              'residual=0.01', 'tolerance=0.01'),
    'calibrate.polynomial': ('write=SET_ADC_CAL {c0} {c1} {c2}', 'read_back.send=GET_ADC_CAL',
                             r'read_back.pattern=^CAL (\S+) (\S+) (\S+)$', 'residual=0.0002', 'tolerance=0.0002', 'decimals=7'),
    'calibrate.table': ('write=SET_ADC_POINT {index} {raw} {value}', 'read_back.send=GET_ADC_POINT {index}',
                        r'read_back.pattern=^POINT (\S+) (\S+)$', 'residual=0.00001', 'tolerance=0.002'),
}


class Calibrate(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-calibrate-')
        self.addCleanup(shutil.rmtree, self.home)
        meter, board = (os.path.join(self.home, x) for x in ('meter', 'board'))
        os.mkdir(meter)
        os.mkdir(board)
        self.meter = line.Sim(meter, 1, '--device', 'meter', '--link', 'tcp')
        self.addCleanup(self.meter.stop)
        app = os.path.join(self.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware(4096))
        self.board = line.Sim(board, 1, '--preload', app, '--adc-from', os.path.join(self.meter.boards_dir, 'b1', 'source.volt'))
        self.addCleanup(self.board.stop)

    def run_it(self, action, *more):
        return subprocess.run([line.binary('provctl'), '--json', 'exec', action, 'port=' + self.board.boards()[0]['link'], *COMMON,
                               *KINDS[action], *more],
                              env=dict(os.environ, PROVD_INSTRUMENT_meter=self.meter.boards()[0]['link']), capture_output=True, text=True,
                              timeout=line.DEADLINE_S)

    def do(self, action, *more):
        """(exit status, the run, its evidence)"""
        done = self.run_it(action, *more)
        self.assertTrue(done.stdout, done)
        run = json.loads(done.stdout)
        return done.returncode, run, run['steps'][-1]['evidence']

    def held(self):
        """What the unit holds as its calibration."""
        with open(os.path.join(self.board.boards_dir, 'b1.json')) as f:
            return json.load(f)['values'].get('adc')

    def test_each_kind_corrects_the_unit_and_proves_it_at_another_point(self):
        for action in KINDS:
            status, run, seen = self.do(action)
            self.assertEqual(status, 0, run)
            self.assertEqual([p['reference'] for p in seen['before']], [0.5, 1.5, 2.5, 3.5])
            if action == 'calibrate.polynomial':        # which leaves nothing of this unit's error
                self.assertGreater(max(abs(p['error']) for p in seen['before']), abs(seen['after']['error']))
            self.assertEqual(seen['after']['reference'], 2)
            (m,) = run['steps'][-1]['measurements']
            tolerance = float(next(x for x in KINDS[action] if x.startswith('tolerance=')).partition('=')[2])
            self.assertEqual((m['verdict'], m['value'], m['low'], m['high']),
                             ('pass', seen['after']['error'], -tolerance, tolerance))
            self.assertTrue(self.held())
            self.assertEqual(seen['instrument']['serial'], '42')

    def test_a_unit_that_is_too_far_off_is_not_written_to(self):
        status, run, seen = self.do('calibrate.gain_offset', 'correction=0.00001')
        self.assertEqual((status, run['code']), (1, 'calibration'), run)
        self.assertIn('nothing was written to the unit', run['message'])
        self.assertIsNone(self.held())
        self.assertEqual(len(seen['before']), 4)
        status, run, _ = self.do('calibrate.gain_offset', 'residual=0.0000001')
        self.assertEqual((status, run['code']), (1, 'calibration'), run)
        self.assertIn('largest residual', run['message'])
        self.assertIsNone(self.held())

    def test_a_unit_that_holds_something_else_fails(self):
        for action in KINDS:
            self.board.ctl('fault', board='b1', fault='value-wrong')
            status, run, seen = self.do(action)
            self.assertEqual((status, run['code']), (1, 'read-back-mismatch'), run)
            self.assertNotIn('after', seen)

    def test_a_correction_that_does_not_hold_elsewhere_fails(self):
        status, run, seen = self.do('calibrate.gain_offset', 'tolerance=0.0000001')
        self.assertEqual(status, 1, run)
        self.assertIn(run['code'], ('limit-low', 'limit-high'))
        self.assertGreater(abs(seen['after']['error']), 0.0000001)

    def test_an_input_that_does_not_reach_the_unit_is_seen(self):
        status, run, _ = self.do('calibrate.gain_offset', 'set=VOLT 1')
        self.assertEqual((status, run['code']), (1, 'calibration'), run)
        self.assertIn('does the input reach it?', run['message'])

    def test_an_error_of_the_reference_is_not_the_units(self):
        for fault, code in (('overrange', 'instrument'), ('refuse', 'instrument-error')):
            self.meter.ctl('fault', board='b1', fault=fault)
            status, run, _ = self.do('calibrate.gain_offset')
            self.assertEqual((status, run['code']), (3, code), run)
            self.assertIsNone(self.held())

    def test_a_point_that_was_used_proves_nothing(self):
        done = self.run_it('calibrate.gain_offset', 'verify_at=1.5')
        self.assertEqual(done.returncode, 2, done)
        self.assertIn('a point that was used proves nothing', done.stderr)


class Station(unittest.TestCase):
    def test_the_shipped_recipe_leaves_before_and_after_on_record(self):
        row = line.Line(1, boards=0, station_extra='    quarantine_after: 0\n')
        self.addCleanup(row.close)
        home = os.path.join(row.home, 'meter')
        os.mkdir(home)
        meter = line.Sim(home, 1, '--device', 'meter', '--link', 'tcp')
        self.addCleanup(meter.stop)
        app = os.path.join(row.home, 'app.bin')
        with open(app, 'wb') as f:
            f.write(line.firmware(4096))
        row.sim = line.Sim(row.home, 1, '--preload', app, '--adc-from', os.path.join(meter.boards_dir, 'b1', 'source.volt'))
        row.config("instruments: {meter: {address: '%s', identity: '^Example,M1,', calibrated_until: '2999-12-31'}}\n" %
                   meter.boards()[0]['link'])
        row.start()
        with open(os.path.join(line.ROOT, 'recipes', 'calibrate.yaml')) as f:
            row.put_recipe(f.read())
        row.api.post('/jobs', {'recipe': 'calibrate', 'quantity': 1})
        run = line.wait_for('the run ends', lambda: (row.api.get('/runs?state=finished')['items'] or [None])[0])
        self.assertEqual(run['outcome'], 'passed', run)
        steps = {s['id']: s for s in row.api.get('/runs/%s/steps' % run['id'])['items']}
        seen = steps['adc']['evidence']
        self.assertEqual([p['point'] for p in seen['before']], [0.5, 1.5, 2.5, 3.5])
        self.assertEqual(seen['instrument']['calibrated_until'], '2999-12-31')
        self.assertLessEqual(abs(seen['after']['error']), 0.01)
        self.assertEqual(steps['meter']['outputs']['model'], 'M1')
        self.assertEqual(meter.boards()[0]['volt'], 0)      # the teardown


if __name__ == '__main__':
    line.main()
