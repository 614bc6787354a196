#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files that a recipe's steps write: a recipe names them and nothing else of the machine, they are
served with the digest that is on record, limited in size, and gone when they are too old.

    test_outputs.py [BUILD]
"""
import os
import unittest

import line

RECIPE = """recipe: dump
version: %d
unit: {model: provsim-1}
ports: {console: {kind: tty, baud: 115200}}
params: {name: {type: string, default: 'flash dump.bin'}, size: {type: integer, default: 4096}}
artifacts: {application: firmware.bin}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.application}', boot: false}
  - id: read
    action: serialboot.read
    with: {port: console, size: '${params.size}', file: %s}
"""


class Outputs(unittest.TestCase):
    def one(self, l, **params):
        seen = {r['id'] for r in l.api.get('/runs?state=finished')['items']}
        if seen:
            l.sim.ctl('next', board='b1', gap_ms=200)
        l.api.post('/jobs', {'recipe': 'dump', 'quantity': 1, 'params': params})

        def ended():
            return next((r for r in l.api.get('/runs?state=finished')['items'] if r['id'] not in seen), None)
        run = line.wait_for('the run ends', ended)
        for job in l.api.get('/jobs')['items']:
            if job['state'] in ('queued', 'running'):
                l.api.post('/jobs/%s/actions/abort' % job['id'], headers=line.ANY)
        return run

    def test_a_recipe_names_a_file_of_its_run_and_no_other(self):
        image = line.firmware(8192)
        with line.Line(1) as l:
            l.config('output_max: 8K\n')
            l.start()
            for bad in ("'/etc/passwd'", "'../tokens'", "'a/b'", "'.hidden'", "'${params.name}/x'"):
                a = l.api.request('POST', '/recipes', RECIPE % (1, bad), {'Content-Type': 'application/yaml'})
                self.assertEqual(a.status, 422, (bad, a.json))
                self.assertEqual(a.json['errors'][0]['pointer'], '/steps/1/with/file', a.json)
            l.prepare(image, RECIPE % (1, "'${params.name}'"))

            run = self.one(l)
            self.assertEqual(run['outcome'], 'passed', run)
            files = l.api.get('/runs/%s/files' % run['id'])['items']
            want = image[:4096]
            self.assertEqual(files, [{'name': 'flash dump.bin', 'size': 4096, 'sha256': line.sha256(want),
                                      'step': 'read', 'n': 2, 'kept': True}])
            a = l.api.request('GET', '/runs/%s/files/flash%%20dump.bin' % run['id'])
            self.assertEqual(a.status, 200, a.body)
            self.assertEqual(a.body, want)
            target = '%s/flash dump.bin' % run['id']
            self.assertIn(('run.file.get', target),
                          [(r['action'], r['target']) for r in l.api.get('/audit')['items']])
            for name in ('..%2f..%2fprovd.db', '%2e%2e', 'flash%20dump.bin.part', 'x'):
                a = l.api.request('GET', '/runs/%s/files/%s' % (run['id'], name))
                self.assertEqual(a.status, 404, (name, a.body))
            self.assertEqual(l.api.request('GET', '/runs/nobody/files').status, 404)

            done = l.provctl('run', 'files', run['id'])
            self.assertIn('flash dump.bin', done.stdout)
            to = os.path.join(l.home, 'fetched')
            done = l.provctl('run', 'file', run['id'], 'flash dump.bin', '-o', to)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(to, 'rb') as f:
                self.assertEqual(f.read(), want)
            done = l.provctl('run', 'file', run['id'], 'other', '-o', to + '2')
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse(os.path.exists(to + '2'))

            # A name that comes in at run time is looked at then.
            bad = self.one(l, name='../../keep/x')
            self.assertEqual((bad['outcome'], bad['code']), ('error', 'invalid'), bad)
            self.assertFalse(os.path.exists(os.path.join(l.home, 'state', 'keep', 'x')))
            # One run fills its own quota, and leaves nothing that is not on record.
            large = self.one(l, size=8193)
            self.assertEqual((large['outcome'], large['code']), ('error', 'too-large'), large)
            self.assertIn('output_max', large['message'])
            self.assertEqual(l.api.get('/runs/%s/files' % large['id'])['items'], [])
            self.assertEqual(os.listdir(os.path.join(l.home, 'state', 'output', large['id'])), [])

            # Bytes that are not the recorded ones are not served by provctl.
            path = os.path.join(l.home, 'state', 'output', run['id'], 'flash dump.bin')
            os.chmod(path, 0o600)
            with open(path, 'r+b') as f:
                f.write(b'other')
            done = l.provctl('run', 'file', run['id'], 'flash dump.bin', '-o', to + '3')
            self.assertEqual(done.returncode, 3, done.stdout)
            self.assertFalse(os.path.exists(to + '3'))
            # Planted: no link is followed on the way out.
            os.unlink(path)
            os.symlink(l.provd.config, path)
            self.assertEqual(l.api.request('GET', '/runs/%s/files/flash%%20dump.bin' % run['id']).status, 410)

            # Too old: the file goes, what is on record of it stays.
            l.provd.term()
            l.config('output_keep: 1s\n')
            l.start()
            folder = os.path.join(l.home, 'state', 'output', run['id'])
            line.wait_for('the folder goes', lambda: not os.path.exists(folder))
            files = l.api.get('/runs/%s/files' % run['id'])['items']
            self.assertEqual((files[0]['sha256'], files[0]['kept']), (line.sha256(want), False))
            self.assertEqual(l.api.request('GET', '/runs/%s/files/flash%%20dump.bin' % run['id']).status, 410)


if __name__ == '__main__':
    line.main()
