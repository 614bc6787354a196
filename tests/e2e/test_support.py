#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`provctl support`: one archive with what a vendor needs, of a provd that works and of one that does not. Secrets are planted in
configuration, journal of a run and answers; none of them is in the archive.

    test_support.py [BUILD]
"""
import json
import os
import tarfile
import unittest

import line

FAILS = """
recipe: fails
version: 1
steps:
  - id: speaks
    action: tool.run
    with: {argv: [sh, -c, 'echo "wifi_password: %s"; echo spoken; cat %s; exit 3'], success: ['^never$']}
"""
OF_A_FILE = 'plantedfileplanted'
OF_A_TOOL = 'plantedtoolplanted'
OF_A_URL = 'plantedurlplanted'
OF_A_COMMENT = 'plantedcommentplanted'
OF_A_PIN = 'plantedpinplanted'
PLANTED = (OF_A_FILE, OF_A_TOOL, OF_A_URL, OF_A_COMMENT, OF_A_PIN)


class Support(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(stations=1, boards=1)
        self.addCleanup(self.line.close)
        self.archive = os.path.join(self.line.home, 'support.tar.gz')
        self.secret = os.path.join(self.line.home, 'cloud.secret')
        line.write(self.secret, OF_A_FILE + '\n')
        os.chmod(self.secret, 0o600)
        self.line.config('quarantine_after: 0\nsecrets: {cloud: {file: %s}}\n'
                         'services:\n  cloud: {url: "http://127.0.0.1:1", token: cloud}\n'
                         '# before: http://anna:%s@127.0.0.1:1, password: %s, pin=%s\n'
                         % (self.secret, OF_A_URL, OF_A_COMMENT, OF_A_PIN))
        # Nothing but its value says that this is one.
        with open(os.path.join(self.line.home, 'stations.d', 'line.yaml'), 'a') as f:
            f.write('# as in %s it was\n' % OF_A_FILE)

    def support(self, *more, status=0):
        p = self.line.provctl('--json', 'support', '--out', self.archive, '--config', self.line.provd.config, *more)
        self.assertEqual(p.returncode, status, p.stdout + p.stderr)
        return json.loads(p.stdout) if p.stdout else p.stderr

    def files(self):
        with tarfile.open(self.archive) as t:
            names = t.getnames()
            self.assertEqual(len({n.split('/')[0] for n in names}), 1)
            return {n.split('/', 1)[1]: t.extractfile(n).read().decode() for n in names}

    def fail_a_run(self):
        self.line.put_recipe(FAILS % (OF_A_TOOL, self.secret))
        job = self.line.api.post('/jobs', {'recipe': 'fails', 'quantity': 1})['id']
        return line.wait_for('the run fails', lambda: next(
            (r['id'] for r in self.line.api.all('/runs') if r['job'] == job and r['state'] == 'finished'), None))

    def assert_nothing_planted(self, files):
        for name, text in files.items():
            for secret in (*PLANTED, self.line.provd.token):
                self.assertNotIn(secret, text, name)

    def test_of_a_line_that_works(self):
        self.line.start()
        run = self.fail_a_run()
        # Otherwise nothing was there to be masked.
        log = json.dumps(self.line.api.get('/runs/%s/log' % run))
        self.assertIn(OF_A_TOOL, log)
        self.support()
        files = self.files()
        self.assert_nothing_planted(files)
        self.assertIn('spoken', files['runs/%s/log.json' % run])
        self.assertIn('[secret]', files['runs/%s/log.json' % run])
        for name in files:
            if name.endswith('.json'):
                json.loads(files[name])
        self.assertEqual(json.loads(files['runs/%s/run.json' % run])['id'], run)
        self.assertIn('speaks', files['runs/%s/steps.json' % run])
        self.assertIn('provd_runs_total', files['metrics.txt'])
        self.assertEqual(json.loads(files['readyz.json'])['status'], 'ok')
        self.assertIn('version', json.loads(files['version.json']))
        self.assertIn('state_dir: ', files['config/provd.yaml'])
        self.assertIn('A1', files['config/stations.d/line.yaml'])
        self.assertIn('A1', files['stations.json'])
        self.assertIn('provd.db', files['disk.txt'])
        self.assertRegex(files['versions.txt'], r'provctl [0-9]')
        self.assertIn('libsqlite3', files['versions.txt'])
        for name in ('usb.txt', 'clock.txt', 'units.txt', 'memory.txt', 'missing.txt'):
            self.assertIn(name, files)

    def test_the_newest_twenty_failing_runs_are_in_it(self):
        self.line.start()
        self.line.put_recipe(FAILS % (OF_A_TOOL, self.secret))
        self.line.api.post('/jobs', {'recipe': 'fails', 'quantity': 30})
        station = self.line.api.get('/stations')['items'][0]['id']
        for n in range(1, 23):
            line.wait_for('run %d' % n, lambda: sum(r['state'] == 'finished' for r in self.line.api.all('/runs')) >= n)
            line.wait_for('it is done', lambda: self.line.api.get('/stations/' + station)['state'] == 'done')
            if n < 22:
                self.line.api.post('/stations/%s/actions/start' % station)
        newest = sorted((r['id'] for r in self.line.api.all('/runs')), reverse=True)[:20]
        self.support()
        self.assertEqual(sorted({n.split('/')[1] for n in self.files() if n.startswith('runs/')}, reverse=True), newest)

    def test_of_a_line_that_stopped(self):
        self.line.start()
        self.line.provd.term()
        said = self.support()
        files = self.files()
        self.assert_nothing_planted(files)
        self.assertIn('config/provd.yaml', files)
        self.assertIn('provd.db', files['disk.txt'])
        self.assertTrue(any('nothing listens' in m for m in said['missing']), said)
        self.assertIn('nothing listens', files['missing.txt'])
        self.assertNotIn('metrics.txt', files)

    def test_who_has_no_token_gets_what_needs_none(self):
        self.line.start()
        self.line.provd.process, kept = None, self.line.provd.process
        try:
            said = self.support()
        finally:
            self.line.provd.process = kept
        files = self.files()
        self.assertEqual(json.loads(files['readyz.json'])['status'], 'ok')
        self.assertTrue(any(m.startswith('metrics.txt: ') and '401' in m for m in said['missing']), said)

    def test_a_configuration_with_mistakes_is_in_it_without_its_secrets(self):
        with open(self.line.provd.config, 'a') as f:
            f.write('listen: [\n')
        line.write(self.line.provd.config, line.read(self.line.provd.config).replace(
            'secrets: {', 'secrets:\n  wrong: %s\nother: {' % OF_A_FILE))
        self.support('--state-dir', os.path.join(self.line.home, 'state'))
        files = self.files()
        self.assertIn('other: ', files['config/provd.yaml'])
        for name, text in files.items():
            for secret in PLANTED:
                self.assertNotIn(secret, text, name)

    def test_only_its_owner_reads_it_and_a_place_that_is_none_leaves_nothing(self):
        self.support()
        self.assertEqual(os.stat(self.archive).st_mode & 0o777, 0o600)
        self.archive = os.path.join(self.line.home, 'nowhere', 'x.tar.gz')
        self.assertIn('nowhere', self.support(status=3))


if __name__ == '__main__':
    line.main()
