#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reports of a line that made good units and bad ones, each against a calculation of its own over the raw rows.

    test_quality.py [BUILD]
"""
import csv
import datetime
import math
import os
import unittest

import described
import line

SWEEP = '''  - id: response
    action: console.sweep
    with: {port: console, send: read temp, pattern: '([-0-9.]+)', unit: degC, axis: {name: time, unit: s, values: '5'}, limits: ['0 10 20 30']}
  - {id: answer, action: console.text, with: {port: console, send: ping, equals: pong}}
teardown:
'''
SHIFTS = '''shifts:
  early: {from: '06:00', to: '14:00', units: 480}
  late: {from: '14:00', to: '22:00', units: 240}
'''


def rfc3339(ms):
    t = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    return t.strftime('%Y-%m-%dT%H:%M:%S.') + '%03dZ' % (ms % 1000)


class Reports(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.line = line.Line(4, sim_args=('--replace-after-idle', '200', '--when-serial', '--units', '12'), config=SHIFTS)
        cls.addClassCleanup(cls.line.close)
        l = cls.line.start()
        with open(line.PRODUCTION, encoding='utf-8') as f:
            cls.recipe = f.read().replace('teardown:\n', SWEEP)
        l.prepare(line.firmware(4096), cls.recipe)
        l.job_done(l.api.post('/jobs', {'recipe': 'production', 'quantity': 12})['id'])
        if described.jsonschema:
            cls.addClassCleanup(described.watch(described.Document(l.api.get('/openapi.json'))))
        cls.db = l.provd.db()
        cls.addClassCleanup(cls.db.close)
        cls.window = '&from=%s&to=%s' % cls.one('SELECT min(ended_at) - 60000, max(ended_at) + 60000 FROM runs', rfc3339)

    @classmethod
    def one(cls, sql, fn=lambda x: x, args=()):
        return tuple(fn(x) for x in cls.db.execute(sql, args).fetchone())

    def lines(self, *report):
        path = os.path.join(self.line.home, 'report.csv')
        p = self.line.provctl('report', *report, '--csv', path)
        self.assertEqual(p.returncode, 0, p)
        with open(path, newline='', encoding='utf-8') as f:
            return list(csv.DictReader(f))

    def test_the_yield_of_fixtures_is_that_of_their_runs(self):
        groups = self.line.api.get('/reports/yield?by=fixture')['groups']
        want = {f: n for f, n in self.db.execute("SELECT fixture, count(*) FROM runs WHERE outcome = 'passed' GROUP BY 1")}
        self.assertEqual({g['fixture']: g['runs']['passed'] for g in groups}, want)
        self.assertEqual(sum(want.values()), 12)
        self.assertEqual({r['fixture'] for r in self.line.api.all('/runs')}, set(want))
        some = sorted(want)[0]
        self.assertEqual(self.line.api.get('/reports/yield?fixture=' + some)['units'], want[some])
        shown = self.line.provctl('report', 'yield', '--by', 'fixture')
        self.assertRegex(shown.stdout, r'\n%s +%d +100\.0 %%' % (some, want[some]))
        self.assertEqual({x['fixture'] for x in self.lines('yield', '--by', 'fixture')}, set(want))

    def test_the_yield_of_steps_is_that_of_their_last_attempts(self):
        whole = self.line.api.get('/reports/yield?by=step&recipe=production')
        want = {}
        for run, step, outcome in self.db.execute("SELECT s.run_id, s.id, s.outcome FROM steps s JOIN runs r ON r.id = s.run_id"
                                                 " WHERE r.recipe = 'production' AND s.outcome <> 'skipped' ORDER BY s.n"):
            want.setdefault(step, {})[run] = outcome
        got = {g['step']: (g['runs']['passed'], g['runs']['failed'], g['runs']['error']) for g in whole['groups']}
        self.assertEqual(got, {s: tuple(sum(o == x for o in runs.values()) for x in ('passed', 'failed', 'error'))
                               for s, runs in want.items()})
        self.assertAlmostEqual(whole['rolled_throughput_yield'],
                               math.prod(g['first_passed'] / g['units'] for g in whole['groups'] if g['units']))
        self.assertIn('rolled throughput yield', self.line.provctl('report', 'yield', '--by', 'step', '--recipe', 'production').stdout)
        self.assertEqual({x['step'] for x in self.lines('yield', '--by', 'step', '--recipe', 'production')}, set(want))

    def test_the_yield_of_shifts_adds_up_and_names_them(self):
        whole = self.line.api.get('/reports/yield?by=shift' + self.window)
        self.assertEqual(sum(g['units'] for g in whole['groups']), 12)
        self.assertEqual((whole['groups'][0]['from'], whole['groups'][-1]['to']),
                         tuple(x.split('=')[1] for x in self.window[1:].split('&')))
        self.assertLessEqual({g['shift'] for g in whole['groups']}, {'early', 'late', None})
        week = self.line.api.get('/reports/yield?by=shift&from=2026-03-02T00:00:00Z&to=2026-03-09T00:00:00Z')['groups']
        self.assertEqual(sorted({g['shift'] or '-' for g in week}), ['-', 'early', 'late'])
        self.assertEqual(self.line.api.request('GET', '/reports/yield?by=shift').status, 400)
        self.assertEqual(self.line.api.request('GET', '/reports/yield?by=weekday').status, 400)

    def test_the_time_of_units_is_all_of_the_time_of_their_runs(self):
        rows = self.line.api.get('/reports/time?by=station')['items']
        for station in {r['station'] for r in rows}:
            inside = sum(r['ms'] for r in rows if r['station'] == station and r['part'] not in ('idle', 'change', 'cycle'))
            took, = self.one('SELECT sum(duration_ms) FROM runs WHERE station = ?', args=(station,))
            # What is shorter than a ms in the time of a step is cut off there, and is in the rest.
            self.assertEqual(inside, took, station)
        for r in rows:
            if r['part'] != 'work':
                continue
            took = sorted(us // 1000 for us, in self.db.execute(
                "SELECT duration_us FROM steps s JOIN runs r ON r.id = s.run_id WHERE r.station = ? AND s.id = ? AND s.phase = 'steps'"
                ' AND attempt = 1', (r['station'], r['step'])))
            self.assertEqual((r['runs'], r['ms']), (len(took), sum(took)), r)
            middle = took[math.ceil(len(took) / 2) - 1]
            self.assertLessEqual(abs(r['p50_ms'] - middle), middle * 0.1 + 1, r)
        self.assertEqual(len(self.lines('time', '--by', 'station')), len(rows))
        self.assertRegex(self.line.provctl('report', 'time').stdout, r'\nall +work +')

    def test_effectiveness_is_of_what_was_planned(self):
        got = self.line.api.get('/reports/oee?by=station' + self.window)
        run, good = self.one("SELECT sum(duration_ms), sum(outcome = 'passed') FROM runs")
        self.assertEqual((got['run_ms'], got['good'], got['count'], got['stations']), (run, good, good, len(got['groups'])))
        for o in [got] + got['groups']:
            if o['planned_ms']:
                self.assertAlmostEqual(o['availability'], o['run_ms'] / o['planned_ms'])
                self.assertAlmostEqual(o['oee'], o['availability'] * o['performance'] * o['quality'])
        day = self.line.api.get('/reports/oee?by=shift&from=2026-03-02T00:00:00Z&to=2026-03-09T00:00:00Z')
        self.assertAlmostEqual(day['demand'], 7 * 720, delta=480)
        self.assertEqual(day['oee'], None)
        takt = {g['shift']: g['takt_ms'] for g in day['groups']}
        self.assertAlmostEqual(takt['early'], 8 * 3600e3 / 480)
        self.assertAlmostEqual(takt['late'], 8 * 3600e3 / 240)
        self.assertEqual(takt.get(None), None)
        self.assertEqual(self.line.api.request('GET', '/reports/oee').status, 400)
        self.assertEqual(self.line.api.request('GET', '/reports/oee?from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z').status, 400)
        times = self.window.replace('=', ' ').replace('&', ' --').split()
        self.assertEqual(len(self.lines('oee', '--by', 'station', *times)), len(got['groups']))
        self.assertRegex(self.line.provctl('report', 'oee', *times).stdout, r'\nall +')

    def test_units_that_failed_at_one_station_alone_are_asked_for_at_another(self):
        self.assertEqual(self.line.api.get('/reports/comparison')['items'], [])
        self.assertEqual(self.lines('comparison'), [])
        p = self.line.provctl('report', 'comparison')
        self.assertEqual((p.returncode, p.stdout.split()[:4]), (0, ['STEP', 'FAILED', 'UNITS', 'VERDICT']))

    def test_the_genealogy_of_a_unit_has_all_that_is_on_record_of_it(self):
        run = next(r for r in self.line.api.all('/runs') if r['recipe'] == 'production')
        o = self.line.api.get('/units/%s/genealogy' % run['serial'])
        self.assertEqual(o, self.line.api.get('/units/%s/genealogy' % run['unit']))
        self.assertEqual([v['value'] for v in o['values'] if v['kind'] == 'serial'], [run['serial']])
        self.assertEqual([(a['sha256'], a['runs']) for a in o['artifacts']],
                         [(sha, 1) for sha in sorted(run['firmware']['artifacts'].values())])
        self.assertEqual([(r['name'], r['version'], r['sha256']) for r in o['recipes']],
                         [(run['recipe'], run['version'], run['recipe_sha256'])])
        self.assertEqual([(s['station'], s['fixture'], s['runs']) for s in o['stations']], [(run['station'], run['fixture'], 1)])
        self.assertEqual([(r['id'], r['outcome']) for r in o['runs']], [(run['id'], 'passed')])
        self.assertEqual([j['id'] for j in o['orders']], [run['job']])
        self.assertEqual((o['unit']['serial'], o['truncated']), (run['serial'], False))
        shown = self.line.provctl('unit', 'genealogy', run['serial'])
        for text in (run['serial'], run['job'], run['id'], o['artifacts'][0]['sha256'][:12]):
            self.assertIn(text, shown.stdout)
        self.assertEqual(self.line.api.request('GET', '/units/nobody/genealogy').status, 404)
        self.assertEqual(self.line.provctl('unit', 'genealogy').returncode, 2)

    def test_a_sweep_and_a_text_are_on_record_with_what_they_were_judged_by(self):
        run = self.line.api.all('/runs')[0]
        of = {m['step']: m for m in self.line.api.get('/runs/%s/measurements' % run['id'])['items']}
        sweep, text = of['response'], of['answer']
        self.assertEqual((sweep['verdict'], sweep['value'], sweep['unit']), ('pass', None, 'degC'))
        self.assertEqual((sweep['detail']['axis'], sweep['detail']['limits'], sweep['detail']['outside']),
                         ({'name': 'time', 'unit': 's', 'values': [5.0]}, [{'from': 0.0, 'to': 10.0, 'low': 20.0, 'high': 30.0}], []))
        self.assertTrue(20 <= sweep['detail']['values'][0] <= 30)
        self.assertEqual((text['text'], text['detail']), ('pong', {'kind': 'text', 'equals': 'pong'}))
        report = self.line.api.get('/runs/%s/report' % run['id'])
        self.assertEqual([m['detail'] for s in report['steps'] for m in s['measurements'] if 'detail' in m],
                         [sweep['detail'], text['detail']])
        gap = self.recipe.replace("['0 10 20 30']", "['0 4 20 30', '5 10 20 30']").replace('version: 1', 'version: 2')
        refused = self.line.api.request('POST', '/recipes', gap, {'Content-Type': 'application/yaml'})
        self.assertEqual(refused.status, 422)
        self.assertIn("a gap from 4 to 5, between row 1 and row 2", refused.body.decode())


WEAR = '''recipe: wear
version: 1
unit: {model: provsim-1}
ports: {console: {kind: tty, baud: 115200}}
artifacts: {application: firmware.bin}
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}, retry: {attempts: 20, delay: 100ms}}
  - {id: flash, action: serialboot.flash, with: {port: console, image: '${artifacts.application}', address: 0x08010000, boot: true}}
  - {id: alive, action: console.text, with: {port: console, send: ping, equals: pong}, retry: {attempts: 20, delay: 100ms}}
'''


class Wear(unittest.TestCase):
    def test_a_unit_that_was_erased_too_often_is_refused_before_it_is_erased_again(self):
        with line.Line(1, config='interlocks: {wear: {endurance: 2, warn: 1}}\n') as l:
            l.start()
            l.put_firmware(line.firmware(4096))
            l.put_recipe(WEAR)

            def run():
                known = {r['id'] for r in l.api.all('/runs')}
                l.api.post('/jobs', {'recipe': 'wear', 'quantity': 1})
                if known:
                    l.sim.ctl('unplug', board='b1')
                    line.wait_for('it is gone', lambda: l.api.get('/stations/A1')['state'] == 'empty')
                    l.sim.ctl('plug', board='b1')
                return line.wait_for('a run ends', lambda: next(
                    (r for r in l.api.all('/runs') if r['id'] not in known and r['state'] == 'finished'), None))

            def shown():
                return [(i['interlock'], i['state'], i['blocks']) for i in l.api.get('/stations/A1')['interlocks']]

            first = run()
            self.assertEqual(first['outcome'], 'passed', first)
            line.wait_for('it is shown before it bites', lambda: shown() == [('wear', 'near', False)])
            self.assertEqual(run()['outcome'], 'passed')
            line.wait_for('it is due', lambda: shown() == [('wear', 'due', False)])
            worn = run()
            self.assertEqual((worn['outcome'], worn['code'], worn['step']), ('error', 'interlock', 'chip'), worn)
            self.assertIn('was erased 2 times at 0x08010000, at most 2 expected', worn['message'])
            wear = l.api.get('/units/%s/genealogy' % first['unit'])['wear']
            self.assertEqual(wear, [{'region': '0x08010000', 'erases': 2}])
            l.api.post('/stations/A1/interlocks/wear/release', {'for': '1h', 'reason': 'for analysis'})
            self.assertEqual(run()['outcome'], 'passed')
            self.assertEqual(l.api.get('/units/%s/genealogy' % first['unit'])['wear'][0]['erases'], 3)

    def test_an_instrument_without_a_calibration_keeps_its_stations_from_units(self):
        with line.Line(2, boards=0, config='interlocks: {calibration: {}}\n', station_extra='    instruments: [dmm-7]\n') as l:
            l.start()
            for name in ('A1', 'A2', 'dmm-7'):
                shown = line.wait_for('it is looked at', lambda: l.api.get('/stations/A2')['interlocks'])
                self.assertEqual([(i['interlock'], i['state'], i['blocks']) for i in shown], [('calibration', 'due', True)])
                l.api.post('/fixtures/%s/calibrated' % name, {'until': '2099-01-01T00:00:00Z', 'reason': 'certificate 812'})
                if name == 'A2':
                    line.wait_for('the instrument is named', lambda: 'of instrument dmm-7 is on record'
                                  in l.api.get('/stations/A2')['interlocks'][0]['message'])
            line.wait_for('nothing is due', lambda: not l.api.get('/stations/A2')['interlocks'])
            self.assertIn('dmm-7', l.provctl('fixture', 'list').stdout)
            self.assertEqual(l.api.request('POST', '/fixtures/dmm-8/calibrated', {'until': '2099-01-01T00:00:00Z', 'reason': 'x'}).status, 404)


SAYS = '''recipe: %s
version: 1
unit: {model: provsim-1}
ports: {console: {kind: tty, baud: 115200}}
steps:
  - {id: chip, action: device.identify, with: {port: console, send: GET_UID, pattern: '^([0-9a-f]{24})$'}, retry: {attempts: 20, delay: 100ms}}
  - {id: says, action: console.text, with: {port: console, send: GET_UID, matches: '%s'}}
'''


class Quarantine(unittest.TestCase):
    def setUp(self):
        self.line = l = line.Line(1, station_extra='    quarantine_after: 1\n')
        self.addCleanup(l.close)

    def quarantined(self, golden):
        """A station whose unit has failed; golden: the units of provd.yaml."""
        l = self.line
        l.config('interlocks: {golden: {every: 8h, policy: warn, units: [%s]}}\n' % golden)
        l.start()
        for name, word in (('bad', 'none'), ('good', '[0-9a-f]{24}')):
            l.put_recipe(SAYS % (name, word))
        bad = l.api.post('/jobs', {'recipe': 'bad', 'quantity': 1})
        line.wait_for('the station is quarantined', lambda: self.state() == 'quarantined')
        l.api.post('/jobs/%s/actions/abort' % bad['id'], {'reason': 'test'}, {'If-Match': '*'})

    def state(self):
        return self.line.api.get('/stations/A1')['state']

    def start(self):
        self.line.api.post('/stations/A1/actions/start', {})

    def runs(self):
        return [(r['kind'], r['outcome']) for r in self.line.api.all('/runs') if r['state'] == 'finished']

    def test_a_golden_unit_that_passes_ends_it_and_no_other_run_begins(self):
        l = self.line
        self.quarantined(l.sim.units()[0][0])
        l.api.post('/jobs', {'recipe': 'good', 'quantity': 1})
        self.start()
        line.wait_for('it says what it waits for', lambda: 'a golden unit alone is run here' in l.api.get('/stations/A1')['message'])
        self.assertEqual((self.state(), self.runs()), ('quarantined', [('production', 'failed')]))
        l.api.post('/jobs', {'recipe': 'good', 'quantity': 1, 'kind': 'golden', 'stations': ['A1']})
        self.start()
        line.wait_for('the golden unit has passed', lambda: ('golden', 'passed') in self.runs())
        line.wait_for('the quarantine is over', lambda: self.state() != 'quarantined')
        self.assertEqual([e['station'] for e in l.api.all('/events') if e['type'] == 'station-freed'], ['A1'])

    def test_a_unit_that_nobody_listed_ends_nothing(self):
        l = self.line
        self.quarantined('another')
        l.api.post('/jobs', {'recipe': 'good', 'quantity': 1, 'kind': 'golden', 'stations': ['A1']})
        self.start()
        line.wait_for('the unit has passed', lambda: ('golden', 'passed') in self.runs())
        line.wait_for('the run is over', lambda: self.state() == 'quarantined')
        self.assertFalse([e for e in l.api.all('/events') if e['type'] == 'station-freed'])


if __name__ == '__main__':
    line.main()
