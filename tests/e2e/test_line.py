#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From a plug event to a durable, reported, watched result.

    test_line.py [BUILD]
"""
import hashlib
import json
import os
import signal
import unittest

import line

UID_SUFFIX = '.flash.bin'


class Number(float):
    """A number that remembers how it was written."""

    def __new__(cls, text):
        n = super().__new__(cls, text)
        n.text = text
        return n


def canonical(v):
    """Sorted keys, no space: what the digest of a report is taken of. Written again here."""
    if isinstance(v, Number):
        return v.text
    if isinstance(v, dict):
        return '{%s}' % ','.join('%s:%s' % (json.dumps(k, ensure_ascii=False), canonical(v[k]))
                                 for k in sorted(v))
    if isinstance(v, list):
        return '[%s]' % ','.join(map(canonical, v))
    return json.dumps(v, ensure_ascii=False)


def check_chain(test, api, runs):
    """Every report is a link of one chain, as someone with the reports alone can see."""
    reports = {}
    for run in runs:
        body = api.request('GET', '/runs/%s/report' % run['id']).body
        report = json.loads(body, parse_float=Number)
        reports[report['prev_hash']] = report
    test.assertEqual(len(reports), len(runs), 'two runs follow the same one')
    prev = '0' * 64
    for _ in runs:
        report = reports[prev]
        rest = {k: v for k, v in report.items() if k not in ('hash', 'prev_hash')}
        digest = hashlib.sha256((prev + canonical(rest)).encode()).hexdigest()
        test.assertEqual(digest, report['hash'], 'report %s is not what was hashed' % report['id'])
        prev = digest


def read_boards(l, image):
    """[(serial, flash is the image)] of every unit with a serial, from the boards' own files."""
    return [(state['serial'], state['serials'], data[:len(image)] == image and
             data[len(image):].strip(b'\xff') == b'')
            for _, state, data in l.sim.units() if state['serial']]


class SixteenUnits(unittest.TestCase):
    """One job over eight stations, looked at from every side."""

    @classmethod
    def setUpClass(cls):
        cls.image = line.firmware()
        cls.line = line.Line(8, sim_args=('--replace-after-idle', '600', '--when-serial', '--units', '16'))
        cls.addClassCleanup(cls.line.close)
        l = cls.line.start()
        cls.events = l.provd.events(after=0)
        cls.addClassCleanup(cls.events.stop)
        l.prepare(cls.image)
        cls.submitted = l.provctl('job', 'submit', 'production', '--quantity', '16', '--watch', '--json')
        cls.job = l.api.get('/jobs')['items'][0]
        cls.runs = l.api.all('/runs')

    def test_submit_watch_exits_0_when_all_passed(self):
        self.assertEqual(self.submitted.returncode, 0, self.submitted)
        self.assertEqual((self.job['state'], self.job['passed']), ('done', 16))
        self.assertEqual({r['outcome'] for r in self.runs}, {'passed'})
        self.assertEqual(len(self.runs), 16)

    def test_every_board_holds_the_firmware(self):
        boards = read_boards(self.line, self.image)
        self.assertEqual(len(boards), 16)
        self.assertTrue(all(flashed for _, _, flashed in boards))

    def test_serials_are_unique_and_on_the_boards(self):
        recorded = sorted(r['serial'] for r in self.runs)
        self.assertEqual(len(set(recorded)), 16)
        boards = read_boards(self.line, self.image)
        self.assertEqual(sorted(s for s, _, _ in boards), recorded)
        self.assertTrue(all(len(given) == 1 for _, given, _ in boards), 'a board got two serials')
        ledger = self.line.api.all('/serials')
        self.assertEqual({(s['state'], s['value']) for s in ledger},
                         {('committed', s) for s in recorded})

    def test_the_eight_stations_shared_the_work(self):
        self.assertEqual({r['station'] for r in self.runs}, {'A%d' % i for i in range(1, 9)})

    def test_reports_have_the_members_of_the_guide(self):
        for run in self.runs:
            report = self.line.api.get('/runs/%s/report' % run['id'])
            for member in ('serial_number', 'timestamp', 'firmware_version', 'steps', 'passed'):
                self.assertIn(member, report)
            self.assertEqual(report['serial_number'], run['serial'])
            self.assertIs(report['passed'], True)
            said = next(s for s in report['steps'] if s['id'] == 'version')['outputs']['match1']
            self.assertEqual(report['firmware_version'], said)
            self.assertRegex(said, '^v[0-9a-f]')
            self.assertEqual([s['id'] for s in report['steps'] if s['attempt'] == 1], [
                'flash-application', 'version', 'serial', 'set-serial', 'cal-temp', 'cal-adc', 'configure',
                'ping', 'led', 'read-temp', 'status', 'led-off'])
            flash = report['steps'][0]['evidence']
            self.assertEqual(flash['sha256_read'], line.sha256(self.image))
            self.assertTrue(all(s['evidence'] for s in report['steps'] if s['outcome'] == 'passed'))

    def test_the_yield_is_that_of_the_runs(self):
        l = self.line
        for by in ('station', 'version', 'hour', 'day'):
            window = '&from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z' if by in ('hour', 'day') else ''
            whole = l.api.get('/reports/yield?by=' + by + window)
            made = 0 if window else 16
            self.assertEqual((whole['runs']['passed'], whole['units'], whole['last_passed']), (made, made, made), by)
            self.assertEqual(sum(g['units'] for g in whole['groups']), made, by)
        ends = sorted(r['ended_at'] for r in self.runs)
        middle = l.api.get('/reports/yield?from=%s&to=%s&by=hour' % (ends[3], ends[12]))
        want = sum(ends[3] <= e < ends[12] for e in ends)
        self.assertEqual((middle['units'], sum(g['units'] for g in middle['groups'])), (want, want))
        shown = l.provctl('report', 'yield', '--by', 'station')
        self.assertEqual(shown.returncode, 0, shown)
        self.assertEqual(len(shown.stdout.splitlines()), 8 + 2, shown.stdout)
        self.assertRegex(shown.stdout, r'\nall +16 +100\.0 % +100\.0 % +0\.0 %')
        csv = os.path.join(l.home, 'yield.csv')
        self.assertEqual(l.provctl('report', 'yield', '--by', 'station', '--csv', csv).returncode, 0)
        with open(csv, encoding='utf-8') as f:
            lines = f.read().splitlines()
        self.assertEqual((len(lines), lines[0][:15], lines[1][:7]), (9, 'station,recipe,', 'A1,,,,,'))
        self.assertEqual(l.provctl('report', 'pareto').stdout.split(), ['STEP', 'CODE', 'COUNT', 'SHARE', 'CUMULATIVE'])
        for wrong in ('by=weekday', 'by=hour', 'version=2', 'recipe=x&version=0', 'from=yesterday',
                      'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
                      'by=hour&from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z'):
            self.assertEqual(l.api.request('GET', '/reports/yield?' + wrong).status, 400, wrong)

    def test_a_time_that_ends_before_it_begins_is_refused_by_every_list(self):
        l = self.line
        of = {k: str(v) for k, v in l.api.get('/reports/measurements')['items'][0].items()}
        paths = json.loads(l.api.request('GET', '/openapi.json', raw=True).body)['paths']
        early, late = '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'
        asked = 0
        for path, methods in paths.items():
            query = {p['name']: p for p in methods.get('get', {}).get('parameters', []) if p.get('in') == 'query'}
            if not {'from', 'to'} <= query.keys() or query['from']['schema']['type'] != 'string':
                continue
            more = ''.join('&%s=%s' % (n, of[n]) for n in ('recipe', 'step', 'name') if n in query and n in of)
            # 404: a report of values that none of then has.
            for first, last, want in ((early, late, (200, 404)), (late, early, (400,))):
                answer = l.api.request('GET', '%s?from=%s&to=%s%s' % (path.replace('/api/v1', ''), first, last, more))
                self.assertIn(answer.status, want, (path, answer.body))
            asked += 1
        self.assertGreaterEqual(asked, 12)

    def test_new_limits_are_rehearsed_before_they_go_live(self):
        m = self.line.api.get('/reports/measurements')['items'][0]
        points = self.line.api.get('/reports/capability?recipe=%(recipe)s&step=%(step)s&name=%(name)s' % m)['points']
        middle = sorted(p['value'] for p in points)[8]
        recipe = os.path.join(self.line.home, 'tighter.yaml')
        with open(recipe, 'w', encoding='utf-8') as f:
            f.write('recipe: %(recipe)s\nversion: 9\nports:\n  console: {kind: tty}\nsteps:\n'
                    '  - {id: %(step)s, action: console.measure, with: {port: console, send: x, name: %(name)s, high: %%r}}\n' % m % middle)
        got = json.loads(self.line.provctl('recipe', 'rehearse', recipe, '--against', '1d', '--json').stdout)['items']
        above = sum(p['value'] > middle for p in points)
        self.assertEqual([(g['step'], g['values'], g['failed'], g['fails'], g['newly_fails'], g['no_longer_fails']) for g in got],
                         [(m['step'], 16, 0, above, above, 0)])
        self.assertEqual(self.line.provctl('recipe', 'rehearse', recipe, '--against', 'soon').returncode, 2)

    def test_a_recall_finds_the_units_of_an_artifact(self):
        l = self.line
        sha = line.sha256(self.image)
        found = l.api.all('/recall?artifact=%s&outcome=passed' % sha)
        self.assertEqual(sorted(r['serial'] for r in found), sorted(r['serial'] for r in self.runs))
        self.assertEqual({r['unit_state'] for r in found}, {'passed'})
        some = l.provctl('recall', '--artifact', sha, '--station', 'A1')
        want = sum(r['station'] == 'A1' for r in self.runs)
        self.assertEqual(some.returncode, 0, some)
        self.assertIn('%d run%s of %d unit' % (want, '' if want == 1 else 's', want), some.stdout)
        lines = l.provctl('recall', '--artifact', sha, '--csv').stdout.splitlines()
        self.assertEqual((len(lines), lines[0][:18]), (17, 'serial,unit_state,'))
        self.assertIn(sha, l.provctl('recall', '--list').stdout)
        self.assertEqual(l.provctl('recall').returncode, 2)
        self.assertIn('0 runs of 0 units', l.provctl('recall', '--artifact', 'ff' * 32).stdout)

    def test_a_measurement_says_what_its_runs_measured(self):
        l = self.line
        for m in l.api.get('/reports/measurements')['items']:
            query = '?recipe=%(recipe)s&step=%(step)s&name=%(name)s' % m
            got = l.api.get('/reports/capability' + query)
            want = [x['value'] for r in self.runs for x in l.api.get('/runs/%s/measurements' % r['id'])['items']
                    if x['name'] == m['name'] and x['value'] is not None]
            self.assertEqual(sorted(p['value'] for p in got['points']), sorted(want))
            self.assertAlmostEqual(got['mean'], sum(want) / len(want))
            self.assertEqual((got['unit'], got['n'], got['cpk'], got['reason']), (m['unit'], 16, None, 'fewer than 30 values'))
            shown = l.provctl('report', 'capability', '--recipe', m['recipe'], '--step', m['step'], '--name', m['name'])
            self.assertIn('fewer than 30 values', shown.stdout)
            self.assertEqual(l.api.request('GET', '/reports/gauge' + query).status, 404)
        self.assertTrue(m)
        self.assertEqual(l.api.request('GET', '/reports/capability?recipe=x').status, 400)

    def test_reports_are_one_hash_chain(self):
        check_chain(self, self.line.api, self.runs)

    def test_live_events_are_the_durable_ones_in_order_without_a_hole(self):
        last = self.line.api.all('/events')[-1]['seq']
        line.wait_for('the stream is at %d' % last,
                      lambda: self.events.durable() and self.events.durable()[-1][0] >= last)
        seqs = [e[0] for e in self.events.durable()]
        self.assertEqual(seqs, list(range(1, seqs[-1] + 1)))
        stored = {e['seq']: e for e in self.line.api.all('/events')}
        for seq, kind, data in self.events.durable():
            self.assertEqual((kind, data), (stored[seq]['type'], stored[seq]))

    def test_a_stream_resumes_behind_last_event_id(self):
        last = self.line.api.all('/events')[-1]['seq']
        for after in (0, last // 2, last - 1):
            resumed = self.line.provd.events(after=after)
            try:
                line.wait_for('the stream is at %d' % last,
                              lambda: resumed.durable() and resumed.durable()[-1][0] >= last)
                self.assertEqual([e[0] for e in resumed.durable()], list(range(after + 1, last + 1)))
            finally:
                resumed.stop()

    def test_provctl_shows_the_unit_by_its_serial(self):
        serial = self.runs[0]['serial']
        shown = self.line.provctl('unit', 'show', serial, '--json')
        self.assertEqual(shown.returncode, 0, shown)
        self.assertEqual(json.loads(shown.stdout)['serial'], serial)


SLOW = '''
recipe: slow
version: 1
unit: {model: provsim-1}
ports:
  console: {kind: tty, baud: 115200}
artifacts: {application: firmware.bin}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.application}', address: 0x08010000, boot: true}
  - id: after
    action: console.command
    with: {port: console, send: ping, expect: '^pong$', timeout: 2s}
teardown:
  - id: safe
    action: console.command
    with: {port: console, send: 'led off', expect: 'OFF'}
    on_fail: continue
'''
ASK = '''
recipe: ask
version: 1
unit: {model: provsim-1}
ports:
  console: {kind: tty, baud: 115200}
steps:
  - id: look
    action: operator.prompt
    with: {text: 'Is the lamp green?', kind: confirm}
    timeout: 60s
'''


class LivingLine(unittest.TestCase):
    def test_sighup_adds_a_station_and_leaves_a_running_one_alone(self):
        # At this rate the image takes some 2.5 s over the wire and back: the run is under way for sure.
        with line.Line(1, boards=2, sim_args=('--set', '*:baud=921600')) as l:
            l.start()
            l.prepare(line.firmware(), SLOW)
            first = l.api.post('/jobs', {'recipe': 'slow', 'quantity': 1})['id']
            running = line.wait_for('A1 runs', lambda: l.api.get('/stations/A1')['run'])
            l.stations(2)
            l.provd.process.send_signal(signal.SIGHUP)
            line.wait_for('A2 is there', lambda: l.api.request('GET', '/stations/A2').status == 200)
            self.assertEqual(l.api.get('/stations/A1')['run']['id'], running['id'])
            second = l.api.post('/jobs', {'recipe': 'slow', 'quantity': 1})['id']
            self.assertEqual(l.job_done(first)['passed'], 1)
            self.assertEqual(l.job_done(second)['passed'], 1)
            runs = l.api.all('/runs')
            self.assertEqual(sorted(r['station'] for r in runs), ['A1', 'A2'])

    def test_a_file_that_the_disk_has_changed_is_not_flashed(self):
        with line.Line(2) as l:
            l.start()
            image = line.firmware(4096)
            l.prepare(image, SLOW)
            stored = os.path.join(l.home, 'state', 'artifacts', line.sha256(image))
            self.assertEqual(l.job_done(l.api.post('/jobs', {'recipe': 'slow', 'quantity': 1})['id'])['passed'], 1)
            os.chmod(stored, 0o600)
            with open(stored, 'r+b') as f:
                f.seek(3000)
                f.write(bytes([image[3000] ^ 0x10]))
            # Not even the stamp of the file need tell of it.
            os.utime(stored)
            free = [s['id'] for s in l.api.get('/stations')['items'] if not s['run'] and s['state'] == 'ready'][0]
            job = l.api.post('/jobs', {'recipe': 'slow', 'quantity': 1, 'stations': [free]})['id']
            run = line.wait_for('its run', lambda: next((r for r in l.api.all('/runs') if r['job'] == job and r['state'] == 'finished'), None))
            self.assertEqual((run['outcome'], run['code']), ('error', 'artifact-damaged'), run)
            self.assertIn("artifact 'firmware.bin'", l.api.get('/runs/' + run['id'])['message'])
            self.assertEqual({b['board']: b['flash_used'] for b in l.sim.boards()}['b' + free[1:]], 0)
            # To send it again makes it whole.
            self.assertEqual(l.put_firmware(image)['sha256'], line.sha256(image))
            with open(stored, 'rb') as f:
                self.assertEqual(line.sha256(f.read()), line.sha256(image))

    def test_sighup_with_a_mistake_changes_nothing(self):
        with line.Line(1) as l:
            l.start()
            with open(os.path.join(l.home, 'stations.d', 'line.yaml'), 'a') as f:
                f.write('  - id: A1\n    ports: {console: {pth: nowhere}}\n')
            l.provd.process.send_signal(signal.SIGHUP)
            line.wait_for('the mistake is told', lambda: 'has mistakes' in l.provd.log_tail())
            self.assertEqual([s['id'] for s in l.api.get('/stations')['items']], ['A1'])

    def test_a_prompt_is_asked_answered_and_recorded(self):
        with line.Line(2) as l:
            l.start()
            l.prepare(line.firmware(4096), ASK)
            job = l.api.post('/jobs', {'recipe': 'ask', 'quantity': 2})['id']
            open_ = line.wait_for('two questions', lambda: (
                p := l.api.get('/prompts?state=open')['items'], p if len(p) == 2 else None)[1])
            self.assertEqual({p['text'] for p in open_}, {'Is the lamp green?'})
            wrong = l.api.request('POST', '/prompts/%s/answer' % open_[0]['id'], {'answer': 'perhaps'})
            self.assertEqual(wrong.status, 400)
            answers = dict(zip((p['station'] for p in open_), ('yes', 'no')))
            for p in open_:
                l.api.post('/prompts/%s/answer' % p['id'], {'answer': answers[p['station']]})
            # The one that the operator judged bad is made again, with another unit.
            runs = line.wait_for('both runs end', lambda: (
                r := [x for x in l.api.all('/runs') if x['state'] == 'finished'],
                r if len(r) >= 2 else None)[1])
            outcome = {r['station']: (r['outcome'], r['code']) for r in runs}
            want = {'yes': ('passed', None), 'no': ('failed', 'operator-failed')}
            self.assertEqual(outcome, {s: want[a] for s, a in answers.items()})
            again = l.api.request('POST', '/prompts/%s/answer' % open_[0]['id'], {'answer': 'yes'})
            self.assertEqual(again.status, 409)
            stopped = l.api.post('/jobs/%s/actions/stop' % job, headers=line.ANY)
            self.assertIn(stopped['state'], ('stopping', 'aborted', 'cancelled', 'done'))

    def test_sigterm_ends_runs_between_two_steps_with_teardown(self):
        with line.Line(1, sim_args=('--set', '*:baud=921600')) as l:
            l.start()
            l.prepare(line.firmware(), SLOW)
            job = l.api.post('/jobs', {'recipe': 'slow', 'quantity': 1})['id']
            line.wait_for('the flash has begun', lambda: (
                r := l.api.get('/stations/A1')['run']) and r['step']['id'] == 'flash' and
                r['progress']['done'] > 0)
            self.assertEqual(l.provd.term(), 0)
            with l.provd.db() as d:
                run = d.execute('SELECT * FROM runs').fetchone()
                steps = d.execute('SELECT id, outcome FROM steps ORDER BY n').fetchall()
            self.assertEqual((run['state'], run['outcome'], run['code']), ('finished', 'aborted', 'shutdown'))
            self.assertEqual([tuple(s) for s in steps], [('flash', 'passed'), ('safe', 'passed')])
            # It is there after the next start, and the job goes on.
            l.start()
            self.assertEqual(l.job_done(job)['passed'], 1)
            self.assertEqual([r['outcome'] for r in l.api.all('/runs')], ['passed', 'aborted'])


if __name__ == '__main__':
    line.main()
