#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files that steps attach to a run, one whole way: a tool's, the console's and a dump; kill -9 between the file and its row; a
full quota; a flipped bit; a backup and its way back.

    test_attachments.py [BUILD]
"""
import json
import os
import shutil
import subprocess
import unittest

import line

RECIPE = '''recipe: attach
version: %d
unit: {model: provsim-1}
ports: {console: {kind: tty, baud: 115200}}
params: {mode: {type: string, default: good}, secret: {type: string, default: none}}
artifacts: {application: firmware.bin}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.application}', boot: true}
  - id: ask
    action: console.command
    attach: true
    with: {port: console, send: version, expect: '.', late: 2s, file: said.log}
  - id: wave
    action: tool.run
    attach: true
    retry: {attempts: 2}
    with:
      argv: [sh, '%s', '${params.mode}']
      keep: [wave.csv, shot.png]
      success: ['^measured']
teardown:
  - id: dump
    action: serialboot.read
    attach: true
    with: {port: console, size: 512, file: 'dump é.bin'}
'''
WAVE = 't,v\n0,1.5\n1,1.6\n2,1.4\n'
TOOL = '''printf 't,v\\n0,1.5\\n1,1.6\\n2,1.4\\n' > wave.csv
printf '\\211PNG\\r\\n\\032\\n' > shot.png
case $1 in
missing) rm wave.csv;;
link) rm wave.csv; ln -s /etc/passwd wave.csv;;
large) head -c 20000 /dev/zero > wave.csv;;
bad) echo not measured; exit 1;;
esac
echo measured
'''


def can_trace():
    """Whether strace may start a program here."""
    return subprocess.run(['strace', '-qq', '-o', '/dev/null', 'true'], capture_output=True).returncode == 0


class Attachments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.line = l = line.Line(1)
        cls.addClassCleanup(l.close)
        tool = os.path.join(l.home, 'tool.sh')
        line.write(tool, TOOL)
        l.config('quarantine_after: 0\nattachments: {file_max: 16K}\n')
        l.start()
        cls.state = os.path.join(l.home, 'state')
        cls.store = os.path.join(cls.state, 'attachments')
        cls.image = line.firmware(8192)
        l.prepare(cls.image, (RECIPE % (1, tool)).encode())

    def one(self, **params):
        l = self.line
        seen = {r['id'] for r in l.api.get('/runs')['items']}
        if seen:
            l.sim.ctl('next', board='b1', gap_ms=200)
        job = l.api.post('/jobs', {'recipe': 'attach', 'quantity': 1, 'params': params})['id']
        run = line.wait_for('the run ends', lambda: next(
            (r for r in l.api.get('/runs?state=finished')['items'] if r['id'] not in seen), None))
        if l.api.get('/jobs/' + job)['state'] in ('queued', 'running'):
            l.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
        return run

    def attached(self, run):
        return self.line.api.get('/runs/%s/attachments' % run['id'])['items']

    def fetch(self, run, name, headers=None):
        return self.line.api.request('GET', '/runs/%s/attachments/%s' % (run['id'], name), headers=headers)

    def verify(self, database=None):
        p = self.line.provctl('--json', 'record', 'verify', '--database', database or os.path.join(self.state, 'provd.db'))
        return json.loads(p.stdout)

    def named(self):
        with self.line.provd.db() as d:
            return {r['sha256'] for r in d.execute('SELECT sha256 FROM attachments')}

    def test_1_the_files_of_a_run_are_listed_served_and_recorded(self):
        l = self.line
        run = self.one()
        self.assertEqual(run['outcome'], 'passed', run)
        items = self.attached(run)
        self.assertEqual([(a['step'], a['name'], a['media']) for a in items], [
            ('ask', 'said.log', 'text/plain'), ('wave', 'shot.png', 'image/png'),
            ('wave', 'wave.csv', 'text/csv'), ('dump', 'dump é.bin', 'application/octet-stream')])
        self.assertEqual(set(os.listdir(self.store)), {a['sha256'] for a in items})
        a = self.fetch(run, 'wave.csv')
        self.assertEqual((a.status, a.body), (200, WAVE.encode()))
        h = a.headers
        self.assertEqual((h['ETag'], h['X-Content-Type-Options'], h['Content-Type']),
                         ('"%s"' % line.sha256(WAVE.encode()), 'nosniff', 'text/csv; charset=utf-8'))
        self.assertTrue(h['Content-Disposition'].startswith('attachment; filename="wave.csv"'), h)
        self.assertEqual(self.fetch(run, 'wave.csv', {'If-None-Match': h['ETag']}).status, 304)
        a = self.fetch(run, 'dump%20%C3%A9.bin')
        self.assertEqual(a.body, self.image[:512])
        self.assertIn("filename*=UTF-8''dump%20%C3%A9.bin", a.headers['Content-Disposition'])
        self.assertIn(b'\n', self.fetch(run, 'said.log').body)
        for name in ('x', '..%2fprovd.db', 'wave.csv?n=1'):
            self.assertEqual(self.fetch(run, name).status, 404, name)
        self.assertEqual(self.fetch(run, 'wave.csv?n=x').status, 400)
        self.assertEqual(self.line.api.request('GET', '/runs/nobody/attachments').status, 404)
        record = json.loads(l.api.get('/runs/%s/record' % run['id'])['record'])
        self.assertEqual({(a['name'], a['sha256']) for a in record['attachments']}, {(a['name'], a['sha256']) for a in items})
        said = self.verify()
        self.assertEqual((said['attachments'], said['findings']), (4, []))
        metrics = [m for m in l.api.request('GET', '/metrics', raw=True).body.decode().split('\n') if m.startswith('provd_attachments')]
        self.assertEqual(metrics, ['provd_attachments_files 4', 'provd_attachments_bytes %d' % sum(a['size'] for a in items),
                                   'provd_attachments_quota_bytes %d' % (20 << 30)])
        # A token of another station sees none of it.
        made = l.api.post('/tokens', {'name': 'cell', 'role': 'viewer', 'scopes': {'stations': ['A9']}})
        cell = l.provd.api(made['token'])
        for path in ('', '/wave.csv'):
            self.assertEqual(cell.request('GET', '/runs/%s/attachments%s' % (run['id'], path)).status, 403)
        cell.close()
        to = os.path.join(l.home, 'fetched')
        p = l.provctl('run', 'attachments', run['id'], '--out', to)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(sorted(os.listdir(to)), ['dump é.bin', 'said.log', 'shot.png', 'wave.csv'])
        self.assertEqual(line.read(os.path.join(to, 'wave.csv')), WAVE)

    def test_2_what_cannot_be_attached_fails_the_step_with_its_reason(self):
        for mode, code, words in (('missing', 'tool-failed', "left no file 'wave.csv'"), ('link', 'tool-failed', 'a link or something else'),
                                  ('large', 'attachment-quota', "'file_max'")):
            before = self.named()
            run = self.one(mode=mode)
            self.assertEqual((run['outcome'], run['code']), ('error', code), run)
            self.assertIn(words, run['message'])
            self.assertLessEqual(before, self.named())
        # A step that fails for the unit keeps its own reason, and what it measured, of each attempt.
        run = self.one(mode='bad')
        self.assertEqual(run['code'], 'tool-failed', run)
        self.assertEqual([(a['n'], a['name']) for a in self.attached(run) if a['step'] == 'wave'],
                         [(3, 'shot.png'), (3, 'wave.csv'), (4, 'shot.png'), (4, 'wave.csv')])
        self.assertEqual(self.verify()['findings'], [])

    def test_2_without_room_on_the_disk_nothing_is_attached_and_nothing_passes(self):
        if not can_trace():
            self.skipTest('strace may not trace here')
        l = self.line
        before = self.named()
        tracer = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=linkat', '-e', 'inject=linkat:error=ENOSPC',
                                   '-p', str(l.provd.process.pid)])
        self.addCleanup(tracer.wait)
        self.addCleanup(tracer.terminate)
        line.wait_for('strace has it', lambda: 'TracerPid:\t0' not in line.read('/proc/%d/status' % l.provd.process.pid))
        run = self.one()
        self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'disk-full', 'ask'), run)
        self.assertEqual((self.named(), self.attached(run)), (before, []))
        # The file is there for as long as files of runs are, and the record says that it is not attached.
        saved = next(s for s in l.api.get('/runs/%s/steps' % run['id'])['items'] if s['id'] == 'ask')['evidence']['saved']
        self.assertEqual([(f['name'], f['attached']) for f in saved], [('said.log', False)])
        self.assertEqual([f['kept'] for f in l.api.get('/runs/%s/files' % run['id'])['items']], [True, True])

    def test_3_killed_between_file_and_row(self):
        if not can_trace():
            self.skipTest('strace may not trace here')
        l = self.line
        rows = self.named()
        l.sim.ctl('next', board='b1', gap_ms=200)
        tracer = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null', '-P', self.store, '-e', 'trace=fsync', '-e',
                                   'inject=fsync:signal=KILL', '-p', str(l.provd.process.pid)])
        line.wait_for('strace has it', lambda: 'TracerPid:\t0' not in line.read('/proc/%d/status' % l.provd.process.pid))
        job = l.api.post('/jobs', {'recipe': 'attach', 'quantity': 1, 'params': {'mode': 'good', 'secret': 'x'}})['id']
        l.provd.process.wait(line.DEADLINE_S)
        tracer.wait(line.DEADLINE_S)
        # The first file of the run is said.log, which has the bytes of before or not: a name that was begun, and no row.
        self.assertEqual(self.named(), rows)
        left = set(os.listdir(self.store))
        self.assertTrue([n for n in left if n.startswith('new-')] or left - rows, left)
        # One that is stray by all means.
        line.write(os.path.join(self.store, line.sha256(b'stray')), 'stray')
        l.start()
        self.assertEqual(set(os.listdir(self.store)), rows)
        run = line.wait_for('the run is on record', lambda: next(
            (r for r in l.api.get('/runs?job_id=' + job)['items'] if r['state'] == 'finished'), None))
        self.assertEqual(run['outcome'], 'interrupted', run)
        for j in l.api.get('/jobs')['items']:
            if j['state'] in ('queued', 'running'):
                l.api.post('/jobs/%s/actions/abort' % j['id'], headers=line.ANY)
        self.assertEqual(self.verify()['findings'], [])

    def test_4_a_flipped_bit_is_found_and_not_served_and_a_backup_heals_it(self):
        l = self.line
        run = next(r for r in l.api.get('/runs?state=finished')['items'] if r['outcome'] == 'passed')
        wave = next(a for a in self.attached(run) if a['name'] == 'wave.csv')
        path = os.path.join(self.store, wave['sha256'])
        backup = os.path.join(l.home, 'backup')
        p = l.provctl('backup', backup, '--config', l.provd.config)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(set(os.listdir(os.path.join(backup, 'attachments'))), self.named())
        # A file of its own again: a backup has links of the store's files.
        shutil.copy(path, path + '.copy')
        os.rename(path + '.copy', path)
        with open(path, 'r+b') as f:
            byte = f.read(1)
            f.seek(0)
            f.write(bytes([byte[0] ^ 1]))
        a = self.fetch(run, 'wave.csv')
        self.assertEqual((a.status, a.json['code']), (410, 'attachment-damaged'), a.body)
        self.assertEqual(self.fetch(run, 'shot.png').status, 200)
        found = self.verify()['findings']
        mine = [f for f in found if run['id'] in f]
        self.assertEqual(len(mine), 1, found)
        self.assertIn("attachments %d 'wave.csv': the attached file" % wave['n'], mine[0])
        p = l.provctl('backup', os.path.join(l.home, 'backup-2'), '--config', l.provd.config)
        self.assertIn('is not in the backup', p.stdout + p.stderr)
        # A damaged backup restores nothing.
        copy = os.path.join(l.home, 'damaged')
        shutil.copytree(backup, copy)
        line.write(os.path.join(copy, 'attachments', wave['sha256']), 'x')
        p = l.provctl('backup', 'verify', copy)
        self.assertEqual(p.returncode, 1, p.stdout + p.stderr)
        self.assertIn(wave['sha256'], p.stdout + p.stderr)
        self.assertEqual(l.provd.term(), 0)
        p = l.provctl('restore', backup, '--state-dir', self.state)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertEqual(self.verify()['findings'], [])
        l.start()
        self.assertEqual(self.fetch(run, 'wave.csv').body, WAVE.encode())


PROMPT = '''recipe: look
version: %d
unit: {model: provsim-1}
ports: {console: {kind: tty, baud: 115200}}
artifacts: {drawing: %s}
steps:
  - id: led
    action: operator.prompt
    with: {text: Is the LED green?, picture: '${artifacts.drawing}', picture_text: The LED at the upper left}
    timeout: 1m
'''
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


class Pictures(unittest.TestCase):
    def test_a_prompt_shows_its_picture_and_a_bad_one_is_said_before_the_first_step(self):
        with line.Line(1, config='quarantine_after: 0\n') as l:
            l.start()
            for version, name, data in ((1, 'drawing.svg', SVG), (2, 'notes.txt', b'the LED is green')):
                l.put_firmware(data, name)
                l.put_recipe(PROMPT % (version, name))
            l.api.post('/jobs', {'recipe': 'look@1', 'quantity': 1})
            view = line.wait_for('the station asks', lambda: l.api.get('/stations/A1')['prompt'])
            self.assertEqual(view['picture_text'], 'The LED at the upper left')
            prompt = l.api.get('/prompts/' + view['id'])
            self.assertEqual(prompt['picture'], line.sha256(SVG))
            a = l.api.request('GET', '/prompts/%s/picture' % view['id'])
            self.assertEqual((a.status, a.body), (200, SVG))
            self.assertEqual((a.headers['Content-Type'], a.headers['X-Content-Type-Options'], a.headers['ETag']),
                             ('image/svg+xml', 'nosniff', '"%s"' % line.sha256(SVG)))
            self.assertIn("default-src 'none'", a.headers['Content-Security-Policy'])
            self.assertIn('sandbox', a.headers['Content-Security-Policy'])
            self.assertEqual(l.api.request('GET', '/prompts/%s/picture' % view['id'], headers={'If-None-Match': a.headers['ETag']}).status, 304)
            l.api.post('/prompts/%s/answer' % view['id'], {'answer': 'yes'})
            run = line.wait_for('the run ends', lambda: l.api.get('/runs?state=finished')['items'])[0]
            self.assertEqual(run['outcome'], 'passed', run)
            record = json.loads(l.api.get('/runs/%s/record' % run['id'])['record'])
            self.assertEqual(record['answers'][0]['picture'], line.sha256(SVG))
            self.assertEqual(l.found_in_records(), [])
            # What is no picture, and what the disk changed: nobody is asked.
            store = os.path.join(l.home, 'state', 'artifacts', line.sha256(SVG))
            os.chmod(store, 0o600)
            line.write(store, '<svg>x</svg>')
            self.assertEqual(l.api.request('GET', '/prompts/%s/picture' % view['id']).status, 410)
            for version, words in ((2, 'none that a browser shows'), (1, '')):
                seen = {r['id'] for r in l.api.get('/runs?state=finished')['items']}
                l.sim.ctl('next', board='b1', gap_ms=200)
                l.api.post('/jobs', {'recipe': 'look@%d' % version, 'quantity': 1})
                run = line.wait_for('the run ends', lambda: next(
                    (r for r in l.api.get('/runs?state=finished')['items'] if r['id'] not in seen), None))
                self.assertEqual((run['outcome'], run['code'], run['step']), ('error', 'preflight', 'preflight'), run)
                self.assertIn(words, run['message'])
                for j in l.api.get('/jobs')['items']:
                    if j['state'] in ('queued', 'running'):
                        l.api.post('/jobs/%s/actions/abort' % j['id'], headers=line.ANY)
            self.assertEqual(len(l.api.get('/prompts')['items']), 1)


if __name__ == '__main__':
    line.main()
