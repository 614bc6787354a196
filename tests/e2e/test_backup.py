#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A backup of a line that works, and its way back: three units are made after it, and none of their serial numbers is given out
again. A backup that is killed or finds no room is not there; one that is damaged restores nothing. The commands are those of
docs/operator.md. And months that become archives: wherever provd is killed meanwhile, each run is in the database or in a file
that is whole.

    test_backup.py [BUILD]
"""
import datetime
import json
import os
import resource
import signal
import subprocess
import unittest

import line


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.line = line.Line(stations=2, boards=2, sim_args=('--units', '60', '--replace-after-idle', '200'))
        try:
            cls.line.start()
            cls.line.prepare(line.firmware(16 * 1024))
            cls.make(2)
        except BaseException:
            cls.line.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.line.close()

    @classmethod
    def make(cls, n):
        job = cls.line.api.post('/jobs', {'recipe': 'production', 'quantity': n})['id']
        cls.line.job_done(job)

    def serials(self):
        return {u['serial'] for u in self.line.api.all('/units') if u['serial']}

    def path(self, name):
        return os.path.join(self.line.home, name)

    def ctl(self, *args, status=0):
        p = self.line.provctl(*args)
        self.assertEqual(p.returncode, status, p.stdout + p.stderr)
        return p

    def backup(self, name, *more, status=0):
        return self.ctl('--json', 'backup', self.path(name), '--config', self.line.provd.config, *more, status=status)

    def verify(self, name, *more, status=0):
        p = self.ctl('--json', 'backup', 'verify', self.path(name), *more, status=status)
        return json.loads(p.stdout), p.stderr

    def listed(self):
        return sorted(n for n in os.listdir(self.line.home) if 'backup' in n)

    def test_1_no_serial_number_is_given_out_twice(self):
        line_ = self.line
        key = self.path('records.pem')
        line.write(key, line_.api.get('/records')['public_key'])
        made = json.loads(self.backup('backup-a').stdout)
        self.assertEqual((made['records'], made['findings'], made['signed']), (2, 0, True))
        said, _ = self.verify('backup-a', '--key', key)
        self.assertTrue(said['signed'])
        before = self.serials()
        self.make(3)
        lost = self.serials() - before
        self.assertEqual(len(lost), 3)
        state = self.path('state')
        p = self.ctl('restore', self.path('backup-a'), '--state-dir', state, status=3)
        self.assertIn('stop provd first', p.stderr)
        self.assertEqual(line_.provd.term(), 0)
        self.ctl('restore', self.path('backup-a'), '--state-dir', state, '--dry-run', '--key', key)
        p = self.ctl('restore', self.path('backup-a'), '--state-dir', state, '--key', key)
        aside = next(n for n in os.listdir(state) if n.startswith('before-restore-'))
        self.assertIn(aside, p.stdout)
        self.assertIn('provd.db', os.listdir(os.path.join(state, aside)))
        line_.start()
        a = line_.api.request('GET', '/readyz', raw=True)
        self.assertEqual(a.status, 503)
        self.assertIn('older', a.json['holds'][0]['message'])
        self.assertEqual(self.serials(), before)
        self.ctl('records', 'accept', '--reason', 'the disk died')
        self.make(2)
        new = self.serials() - before
        self.assertEqual(len(new), 2)
        self.assertEqual(new & lost, set())
        # The numbers of the three are explained.
        gaps = line_.api.all('/pools/production-sn/gaps')
        skipped = [g for g in gaps if g['state'] == 'skipped']
        self.assertEqual(sum(g['last'] - g['first'] + 1 for g in skipped), 3)
        self.assertIn('restored backup: the disk died', skipped[0]['why'])

    def test_2_one_that_is_killed_is_not_there(self):
        for tenths in (0, 1, 2, 4, 8):
            p = subprocess.Popen([line.binary('provctl'), 'backup', self.path('backup-b'), '--config', self.line.provd.config],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                p.wait(tenths * 0.01)
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
            p.wait()
            if os.path.exists(self.path('backup-b')):
                break
        if os.path.exists(self.path('backup-b')):
            self.verify('backup-b')
        else:
            self.backup('backup-b')
        self.verify('backup-b')
        self.assertNotIn('.provd-backup.part', self.listed())

    def test_3_without_room_there_is_none(self):
        before = self.listed()
        limit = (100 * 1024, resource.RLIM_INFINITY)
        p = subprocess.run([line.binary('provctl'), 'backup', self.path('backup-c'), '--config', self.line.provd.config],
                           capture_output=True, text=True, restore_signals=False,
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assertEqual(p.returncode, 3, p.stdout + p.stderr)
        self.assertEqual(self.listed(), before)

    def test_3_the_drill_of_the_guide(self):
        page = line.read(os.path.join(line.ROOT, 'docs', 'operator.md'))
        block = next(b for b in page.split('```sh\n')[1:] if '# a restore as a drill' in b).split('```')[0]
        path = os.path.dirname(line.binary('provctl')) + ':' + os.environ['PATH']
        p = subprocess.run(['sh', '-c', block], cwd=self.line.home, env=dict(os.environ, PATH=path), capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertIn('the drill went through', p.stdout)

    def test_4_a_damaged_one_is_named_and_restores_nothing(self):
        self.backup('backup-d')
        path = self.path('backup-d/provd.db')
        with open(path, 'r+b') as f:
            f.seek(os.path.getsize(path) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        said, sentences = self.verify('backup-d', status=1)
        self.assertGreater(said['findings'], 0)
        self.assertIn('provd.db was changed', sentences)
        self.assertEqual(self.line.provd.term(), 0)
        try:
            database = self.path('state/provd.db')
            before = line.sha256(line._bytes_of(database))
            self.ctl('restore', self.path('backup-d'), '--state-dir', self.path('state'), status=1)
            self.assertEqual(line.sha256(line._bytes_of(database)), before)
            # One of a provd that is stopped, into a folder of them; the oldest goes.
            into = self.path('all')
            os.mkdir(into)
            for stamp in ('20260101T000000Z', '20260102T000000Z'):
                os.rename(self.path('backup-b'), os.path.join(into, 'provd-' + stamp))
                self.backup('backup-b')
            self.ctl('backup', '--into', into, '--keep', '2', '--config', self.line.provd.config)
            self.assertEqual(len(os.listdir(into)), 2)
            self.assertNotIn('provd-20260101T000000Z', os.listdir(into))
            newest = max(os.listdir(into))
            self.ctl('backup', 'verify', os.path.join(into, newest))
            self.assertIn('provd.yaml', os.listdir(os.path.join(into, newest, 'config')))
        finally:
            self.line.start()
        self.assertEqual(self.line.api.request('GET', '/readyz', raw=True).status, 200)


class Archive(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(stations=0, boards=0)
        self.addCleanup(self.line.close)
        self.line.start()
        self.assertEqual(self.line.provd.term(), 0)
        self.database = os.path.join(self.line.home, 'state', 'provd.db')
        subprocess.run([os.path.join(line.build_dir(), 'tests/bench/bench_units'), self.database, '300', '120', '7'], check=True)
        self.folder = os.path.join(self.line.home, 'archive')
        self.line.config('archive: {dir: %s, keep_months: 1}\n' % self.folder)

    def files(self):
        return sorted(os.path.join(self.folder, a['file']) for a in self.line.api.get('/records/archives')['items'])

    def is_done(self):
        """Nothing of before the month before this one is left, and all rows are gone that an archive has."""
        now = datetime.datetime.now(datetime.timezone.utc)
        before = (now.replace(day=1) - datetime.timedelta(days=1)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        with self.line.provd.db() as d:
            left = d.execute('SELECT count(*) FROM runs WHERE ended_at < ? AND chain > coalesce((SELECT max(to_n) FROM archives), 0)',
                             (before.timestamp() * 1000,)).fetchone()[0]
            rows = d.execute('SELECT coalesce(sum(to_n - cleared), 0) FROM archives').fetchone()[0]
        return left == 0 and rows == 0

    def nothing_is_lost(self):
        """Each run that no archive has is whole in the database, and each archive is."""
        self.assertEqual(self.line.found_in_records(), [])
        with self.line.provd.db() as d:
            end = d.execute('SELECT coalesce(max(to_n), 0) FROM archives').fetchone()[0]
            here = d.execute('SELECT count(*) FROM run_records r JOIN runs u ON u.chain = r.n WHERE n > ? AND EXISTS'
                             ' (SELECT 1 FROM steps s WHERE s.run_id = u.id)', (end,)).fetchone()[0]
            names = [r['file'] for r in d.execute('SELECT file FROM archives')]
        self.assertEqual(end + here, 300)
        for name in names:
            p = self.line.provctl('record', 'verify', os.path.join(self.folder, name))
            self.assertEqual(p.returncode, 0, p.stdout + p.stderr)

    def test_a_kill_loses_nothing_and_the_next_start_goes_on(self):
        wait_s = 0.55
        for _ in range(4):
            self.line.provd.start()
            try:
                self.line.provd.process.wait(wait_s)
            except subprocess.TimeoutExpired:
                pass
            self.line.provd.kill()
            self.nothing_is_lost()
            wait_s += 0.05
        self.line.start()
        line.wait_for('the months are in archives', self.is_done)
        self.nothing_is_lost()
        key = os.path.join(self.line.home, 'records.pem')
        line.write(key, self.line.api.get('/records')['public_key'])
        for path in self.files():
            p = self.line.provctl('record', 'verify', path, '--key', key)
            self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertEqual(self.line.api.request('GET', '/readyz', raw=True).status, 200)
        self.is_answered()
        self.assertEqual(self.line.provd.term(), 0)
        before = os.path.getsize(self.database)
        p = self.line.provctl('records', 'compact', '--state-dir', os.path.dirname(self.database))
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertLessEqual(os.path.getsize(self.database), before)
        p = self.line.provctl('--json', 'record', 'verify', '--database', self.database, '--archives', self.folder)
        said = json.loads(p.stdout)
        self.assertEqual((p.returncode, said['findings'], said['records']), (0, [], 300))
        self.assertGreater(said['archived'], 100)

    def is_answered(self):
        """A run that is in an archive is listed, named with its file, and found by a recall in either place."""
        api = self.line.api
        runs = api.all('/runs')
        self.assertEqual(len(runs), 300)
        first = min(runs, key=lambda r: r['ended_at'])
        for what in ('', '/steps', '/log', '/report', '/measurements', '/files', '/record'):
            a = api.request('GET', '/runs/%s%s' % (first['id'], what))
            self.assertEqual((a.status, a.json['code']), (410, 'archived'), what)
            self.assertIn(os.path.basename(self.files()[0]), a.json['detail'])
        self.assertEqual(api.request('GET', '/runs/%s/steps' % max(runs, key=lambda r: r['ended_at'])['id']).status, 200)
        tool = 'openocd 0.11.0'
        here = {r['run'] for r in api.all('/recall?tool=' + tool.replace(' ', '%20'))}
        p = self.line.provctl('--json', 'recall', '--archive', self.folder, '--tool', tool)
        there = {json.loads(row)['run'] for row in p.stdout.splitlines()}
        last = max(a['to'] for a in api.get('/records/archives')['items'])
        with self.line.provd.db() as d:
            archived = {r['id'] for r in d.execute('SELECT id FROM runs WHERE chain <= ?', (last,))}
        self.assertEqual(there, here & archived)
        self.assertGreater(len(there), 10)


if __name__ == '__main__':
    line.main()
