#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provctl apply: a folder under version control is what the line has, the difference first; twice is once.

    test_apply.py [BUILD]
"""
import fcntl
import json
import os
import stat
import subprocess
import unittest

import line

RECIPE = '''recipe: %s
version: %d
title: %s
artifacts: {app: app.bin}
steps:
  - {id: look, action: operator.prompt, with: {text: 'Is the lamp green?'}}
'''
USED = '''recipe: %s
version: %d
steps:
  - {id: ask, action: operator.prompt, with: {text: '%s'}}
'''
STATION = "stations:\n  - {id: %s, ports: {console: {path: 'platform-provsim-usb-0:1.%d'}}}\n"


def use(name, more=''):
    return '  - {id: of_%s, use: %s@1%s}\n' % (name, name, more)


class Folder:
    """What a clone of the line's repository is."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path)

    def write(self, name, content):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as f:
            f.write(content if isinstance(content, bytes) else content.encode())

    def remove(self, name):
        os.unlink(os.path.join(self.path, name))


class Apply(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(stations=1, boards=0)
        self.addCleanup(self.line.close)
        self.line.start()
        self.folder = Folder(os.path.join(self.line.home, 'clone'))
        self.api = self.line.api

    def apply(self, *options, status=0):
        p = self.line.provctl('apply', self.folder.path, *options)
        self.assertEqual(p.returncode, status, p.stdout + p.stderr)
        return p

    def versions(self):
        return {(r['name'], r['version']): r['state'] for r in self.api.get('/recipes')['items']}

    def audited(self, action):
        return [a for a in self.api.get('/audit')['items'] if a['action'] == action]

    def test_what_the_folder_says_is_there_once_however_often_it_is_applied(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Lamp'))
        self.folder.write('recipes/README.md', 'What is here.')
        first = self.apply('--dry-run', status=1)
        self.assertEqual(first.stdout.count('\n+ '), 1, first.stdout)
        self.assertEqual((self.versions(), self.api.get('/artifacts')['items']), ({}, []))
        self.assertIn('+ recipe lamp@1: a draft', self.apply().stdout)
        self.assertEqual(self.versions(), {('lamp', 1): 'draft'})
        done = len(self.api.get('/audit')['items'])
        self.assertEqual(self.apply().stdout, '2 as in %s, 0 not\n' % self.folder.path)
        self.apply('--dry-run')
        self.assertEqual(len(self.api.get('/audit')['items']), done)
        self.assertEqual((len(self.audited('artifact.put')), len(self.audited('recipe.put'))), (1, 1))
        # A change of a draft is shown before it is made.
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Green lamp'))
        said = self.apply('--approve').stdout
        self.assertIn('    -title: Lamp\n    +title: Green lamp\n', said)
        self.assertEqual(self.versions(), {('lamp', 1): 'approved'})
        self.assertEqual(self.api.get('/recipes/lamp/versions/1')['recipe']['artifacts']['app'], line.sha256(b'first' * 100))
        self.apply('--approve', '--dry-run')

    def test_a_role_that_may_not_do_all_of_it_does_nothing(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Lamp'))
        made = self.api.post('/tokens', {'name': 'mes', 'role': 'mes'})
        env = dict(os.environ, PROVD_URL='http://127.0.0.1:%d' % self.line.provd.port, PROVD_TOKEN=made['token'])
        p = subprocess.run([line.binary('provctl'), 'apply', self.folder.path], env=env, capture_output=True, text=True)
        self.assertNotEqual(p.returncode, 0)
        self.assertIn("recipe lamp@1: the role 'mes' of this token may not change that (engineer may): nothing was changed", p.stderr)
        self.assertEqual((self.versions(), self.api.get('/artifacts')['items']), ({}, []))
        # Artifacts alone it may.
        self.folder.remove('recipes/lamp.yaml')
        p = subprocess.run([line.binary('provctl'), 'apply', self.folder.path], env=env, capture_output=True, text=True)
        self.assertEqual((p.returncode, len(self.api.get('/artifacts')['items'])), (0, 1), p.stderr)

    def test_a_recipe_comes_after_those_that_it_uses(self):
        """The order of names is not theirs: bay uses lamp, and both a part that only the line has."""
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/rail.yaml', USED % ('rail', 1, 'Is the rail live?'))
        self.apply('--approve')
        self.folder.remove('recipes/rail.yaml')
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Lamp') + use('rail'))
        self.folder.write('recipes/bay.yaml', USED % ('bay', 1, 'Is the bay shut?') + use('rail') + use('lamp', ', artifacts: {app: app}')
                          + 'artifacts: {app: app.bin}\n')
        said = self.apply('--approve', '--prune').stdout
        rows = [r for r in said.splitlines() if 'recipe ' in r]
        self.assertEqual([r.split(':')[0] for r in rows[:4]], ['+ recipe lamp@1', '~ recipe lamp@1', '+ recipe bay@1', '~ recipe bay@1'], said)
        self.assertIn('? recipe rail@1: approved on the line, not in the folder, and used by bay@1', said)
        self.assertEqual(set(self.versions().values()), {'approved'})
        stored = self.api.get('/recipes/bay/versions/1')['recipe']
        self.assertEqual(stored['parts']['lamp@1'], self.api.get('/recipes/lamp/versions/1')['recipe'])
        done = len(self.api.get('/audit')['items'])
        self.apply('--approve')
        self.assertEqual(len(self.api.get('/audit')['items']), done)

    def test_a_draft_is_put_again_when_its_part_became_another(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Lamp'))
        self.folder.write('recipes/bay.yaml', USED % ('bay', 1, 'Is the bay shut?') + use('lamp', ', artifacts: {app: app}') + 'artifacts: {app: app.bin}\n')
        self.assertEqual(self.apply().stdout.count('\n+ recipe'), 2)
        self.apply('--dry-run')
        # Another text of the part: both move, and only one was written.
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Green lamp'))
        said = self.apply().stdout
        self.assertIn('~ recipe lamp@1: the draft\n', said)
        self.assertIn('~ recipe bay@1: the draft: its part lamp@1 changes\n', said)
        self.apply('--dry-run')
        # Its approval, by somebody: the part has the digests of its artifacts now.
        self.api.post('/recipes/lamp/versions/1/actions/approve')
        self.assertIn('~ recipe bay@1: the draft: its part lamp@1 is another since\n', self.apply('--approve').stdout)
        self.assertEqual(set(self.versions().values()), {'approved'})
        self.apply('--approve', '--dry-run')

    def test_parts_that_cannot_be_change_nothing(self):
        self.folder.write('recipes/a.yaml', USED % ('a', 1, 'A?') + use('b'))
        p = self.apply(status=2)
        self.assertIn("there is no part 'b@1' in the folder or on the line", p.stderr)
        self.folder.write('recipes/b.yaml', USED % ('b', 1, 'B?') + use('a'))
        p = self.apply(status=2)
        self.assertIn('b.yaml uses a@1, which uses it or itself', p.stderr)
        self.assertEqual(self.versions(), {})
        # A draft of somebody else cannot become a part of what is approved.
        self.folder.remove('recipes/b.yaml')
        self.line.api.request('PUT', '/recipes/b/versions/1', (USED % ('b', 1, 'B?')).encode(), {'Content-Type': 'application/yaml'})
        p = self.apply('--approve', status=2)
        self.assertIn('! recipe a@1: its part b@1 is not approved on the line, and not in the folder: approve it first', p.stdout)
        self.assertEqual(self.versions(), {('b', 1): 'draft'})
        self.apply()
        self.assertEqual(self.versions(), {('a', 1): 'draft', ('b', 1): 'draft'})

    def test_what_is_approved_never_changes(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Lamp'))
        self.apply('--approve')
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Other'))
        self.folder.write('recipes/new.yaml', RECIPE % ('new', 1, 'New'))
        said = self.apply(status=2)
        self.assertIn('! recipe lamp@1: it is approved and differs: a change is version 2', said.stdout)
        self.assertEqual(self.versions(), {('lamp', 1): 'approved'})
        # The same recipe, and another firmware under the name that it was approved with.
        self.folder.remove('recipes/new.yaml')
        self.folder.write('recipes/lamp.yaml', RECIPE % ('lamp', 1, 'Lamp'))
        self.folder.write('artifacts/app.bin', b'second' * 100)
        said = self.apply(status=2)
        self.assertIn('approved with another app.bin', said.stdout)
        self.assertEqual(len(self.api.get('/artifacts')['items']), 1)
        self.folder.write('recipes/lamp-2.yaml', RECIPE % ('lamp', 2, 'Lamp'))
        self.folder.remove('recipes/lamp.yaml')
        self.assertIn('? recipe lamp@1: approved on the line, not in the folder', self.apply('--approve').stdout)
        # The change is taken back: the name leads to the first file again.
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/lamp-2.yaml', RECIPE % ('lamp', 3, 'Lamp'))
        self.apply('--approve', '--prune')
        self.assertEqual(self.versions(), {('lamp', 1): 'retired', ('lamp', 2): 'retired', ('lamp', 3): 'approved'})
        self.assertEqual(self.api.get('/recipes/lamp/versions/3')['recipe']['artifacts']['app'], line.sha256(b'first' * 100))
        self.folder.write('recipes/lamp-1.yaml', RECIPE % ('lamp', 1, 'Lamp'))
        self.assertIn('it is retired on the line', self.apply(status=2).stdout)

    def test_a_mistake_anywhere_changes_nothing(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/a.yaml', RECIPE % ('a', 1, 'A'))
        for name, content, word in (('recipes/b.yaml', 'recipe: b\nversion: 1\nstepps: []\n', 'stepps'),
                                    ('recipes/b.yaml', RECIPE % ('a', 1, 'B'), 'both recipe a@1'),
                                    ('recipes/old/b.yaml', 'x', 'is not a file')):
            self.folder.write(name, content)
            self.assertIn(word, self.apply(status=2).stderr)
            self.folder.remove(name)
        os.rmdir(os.path.join(self.folder.path, 'recipes', 'old'))
        self.folder.write('artifacts/big.bin', 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9\n' % ('0' * 64))
        self.assertIn('! artifact big.bin', self.apply(status=2).stdout)
        self.assertEqual((self.versions(), self.api.get('/artifacts')['items']), ({}, []))
        self.folder.remove('artifacts/big.bin')
        self.apply()

    def test_an_approval_that_is_refused_ends_it_and_the_next_goes_on(self):
        self.folder.write('recipes/a.yaml', RECIPE % ('a', 1, 'A'))
        said = self.apply('--approve', status=3)
        self.assertIn('app.bin', said.stderr)
        self.assertIn('1 changes were made before that', said.stderr)
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.apply('--approve')
        self.assertEqual(self.versions(), {('a', 1): 'approved'})

    def program(self, name, script):
        """A program that provctl finds before that of the system."""
        tools = os.path.join(self.line.home, 'bin')
        os.makedirs(tools, exist_ok=True)
        path = os.path.join(tools, name)
        with open(path, 'w') as f:
            f.write('#!/bin/sh\n' + script)
        os.chmod(path, 0o755)
        if not os.environ['PATH'].startswith(tools + ':'):
            self.addCleanup(os.environ.__setitem__, 'PATH', os.environ['PATH'])
            os.environ['PATH'] = tools + ':' + os.environ['PATH']

    def test_what_no_artifact_can_be_is_in_the_plan_and_nothing_is_sent(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        for name, content, word in ((b'empty.bin', b'', 'is empty'), (b'new\nline.bin', b'x', 'control character'),
                                    (b'x' * 201, b'x', '200 bytes'), (b'\xff.bin', b'x', 'UTF-8')):
            with self.subTest(name):
                path = os.path.join(os.fsencode(self.folder.path), b'artifacts', name)
                with open(path, 'wb') as f:
                    f.write(content)
                said = self.apply(status=2)
                self.assertIn('! artifact ', said.stdout)
                self.assertIn(word, said.stdout)
                self.assertEqual(len(json.loads(self.apply('--json', status=2).stdout)), 2)
                os.unlink(path)
        self.assertEqual(self.api.get('/artifacts')['items'], [])
        self.apply()

    def test_a_folder_that_changes_meanwhile_is_given_as_it_was_checked_or_not_at_all(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/a.yaml', RECIPE % ('a', 1, 'A'))
        self.apply()
        # diff runs after the plan is made, and before the first change.
        recipe = os.path.join(self.folder.path, 'recipes', 'a.yaml')
        app = os.path.join(self.folder.path, 'artifacts', 'app.bin')
        self.program('diff', "sed -i 's/Other/Third/' %s\n" % recipe)
        self.folder.write('recipes/a.yaml', RECIPE % ('a', 1, 'Other'))
        said = self.apply('--approve', status=3)
        self.assertIn('apply again', said.stderr)
        self.assertEqual(self.versions(), {('a', 1): 'draft'})
        self.program('diff', 'echo more >>%s\n' % app)
        self.folder.write('artifacts/app.bin', b'second' * 100)
        self.folder.write('recipes/a.yaml', RECIPE % ('a', 1, 'Fourth'))
        self.assertIn('%s changed' % app, self.apply('--approve', status=3).stderr)
        self.assertEqual([a['sha256'] for a in self.api.get('/artifacts')['items']], [line.sha256(b'first' * 100)])

    def test_a_draft_that_another_changes_meanwhile_is_not_approved(self):
        self.folder.write('artifacts/app.bin', b'first' * 100)
        self.folder.write('recipes/a.yaml', RECIPE % ('a', 1, 'A'))
        self.folder.write('recipes/b.yaml', RECIPE % ('b', 1, 'B'))
        self.apply()
        other = os.path.join(self.line.home, 'other.yaml')
        with open(other, 'w') as f:
            f.write(RECIPE % ('b', 1, 'Of another'))
        self.program('diff', 'PROVD_URL=http://127.0.0.1:%d PROVD_TOKEN=%s %s recipe put %s\n'
                     % (self.line.provd.port, self.line.provd.token, line.binary('provctl'), other))
        self.folder.write('recipes/a.yaml', RECIPE % ('a', 1, 'A2'))
        said = self.apply('--approve', status=3)
        self.assertIn('recipe b@1', said.stderr)
        self.assertEqual(self.versions()[('b', 1)], 'draft')

    def test_a_reload_that_failed_is_given_by_the_next_apply(self):
        config = self.line.provd.config
        calls = os.path.join(self.line.home, 'calls')
        self.program('systemctl', 'echo "$*" >>%s\nexit 1\n' % calls)
        self.folder.write('stations.d/more.yaml', STATION % ('B1', 7))
        self.assertIn('systemctl reload provd', self.apply('--config', config, status=3).stderr)
        self.assertIn('reload', self.apply('--config', config, '--dry-run', status=1).stdout)
        self.program('systemctl', 'echo "$*" >>%s\nkill -HUP %d\n' % (calls, self.line.provd.process.pid))
        self.apply('--config', config)
        line.wait_for('the new station', lambda: [s['id'] for s in self.api.get('/stations')['items']] == ['A1', 'B1'])
        self.apply('--config', config)
        self.assertEqual(line.read(calls), 'reload provd.service\n' * 2)

    def test_what_is_not_looked_at_is_said(self):
        self.folder.write('stations.d/more.yml', STATION % ('B1', 7))
        self.assertIn('--config', self.apply().stderr)
        said = self.apply('--config', self.line.provd.config, status=2)
        self.assertIn('more.yml', said.stderr)
        self.assertIn('.yaml', said.stderr)

    def test_two_at_once_do_not_write_one_configuration(self):
        etc = os.open(os.path.dirname(self.line.provd.config), os.O_RDONLY | os.O_DIRECTORY)
        self.addCleanup(os.close, etc)
        fcntl.flock(etc, fcntl.LOCK_EX)
        self.folder.write('stations.d/more.yaml', STATION % ('B1', 7))
        self.assertIn('another provctl apply', self.apply('--config', self.line.provd.config, status=3).stderr)
        self.apply('--config', self.line.provd.config, '--dry-run', status=1)

    def test_the_stations_of_this_machine(self):
        self.program('systemctl', '[ "$*" = "reload provd.service" ] && kill -HUP %d\n' % self.line.provd.process.pid)
        config = self.line.provd.config
        target = os.path.join(os.path.dirname(config), 'stations.d', 'line.yaml')
        os.chmod(target, 0o640)
        before = line.read(target)
        self.folder.write('stations.d/line.yaml', before)
        self.folder.write('stations.d/more.yaml', STATION % ('B1', 7))
        self.assertIn('+ ', self.apply('--config', config, '--dry-run', status=1).stdout)
        self.assertEqual([s['id'] for s in self.api.get('/stations')['items']], ['A1'])
        self.apply('--config', config)
        line.wait_for('the new station', lambda: [s['id'] for s in self.api.get('/stations')['items']] == ['A1', 'B1'])
        self.apply('--config', config, '--dry-run')
        # What provd would refuse reaches no file.
        self.folder.write('stations.d/more.yaml', STATION % ('A1', 8))
        said = self.apply('--config', config, status=2)
        self.assertIn('A1', said.stderr)
        self.assertIn('nothing was changed', said.stderr)
        self.assertNotIn('A1', line.read(os.path.join(os.path.dirname(target), 'more.yaml')))
        self.folder.remove('stations.d/more.yaml')
        self.assertIn('? %s: not in the folder' % os.path.join(os.path.dirname(target), 'more.yaml'),
                      self.apply('--config', config).stdout)
        self.folder.write('stations.d/line.yaml', before.replace('A1', 'C1'))
        self.apply('--config', config, '--prune')
        line.wait_for('the stations of the folder', lambda: [s['id'] for s in self.api.get('/stations')['items']] == ['C1'])
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o640)
        self.assertEqual(json.loads(self.apply('--config', config, '--dry-run', '--json').stdout)[0]['verdict'], 'same')


if __name__ == '__main__':
    line.main()
