#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provctl against a running provd: what is refused says what would be right, and its exit status says so too.

    test_provctl.py [BUILD]
"""
import contextlib
import os
import unittest

import line


class Provctl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.line = line.Line(stations=2, boards=1)
        cls.line.start()
        line.wait_for('the unit is there', lambda: cls.line.api.get('/stations/A1')['state'] == 'ready')

    @classmethod
    def tearDownClass(cls):
        cls.line.close()

    def refused(self, command, status, *words):
        r = self.line.provctl(*command.split())
        self.assertEqual(r.returncode, status, (command, r))
        for w in words:
            self.assertIn(w, r.stdout + r.stderr, command)

    def test_a_value_that_there_is_not_is_answered_with_those_that_there_are(self):
        self.refused('run list --outcome fail', 2, 'fail', 'passed', 'failed', 'error', 'aborted', 'interrupted')
        self.refused('run list --state closed', 2, 'open', 'finished')
        self.refused('unit list --state bad', 2, 'suspect', 'scrapped')
        self.refused('token create boss x', 2, 'viewer', 'operator', 'supervisor', 'admin')

    def test_where_nothing_was_started_the_status_says_so(self):
        self.refused('station start A1', 1, 'nothing was started', 'no job')
        self.refused('station start A2', 1, 'nothing was started', 'no unit')
        self.refused('station start A9', 2, 'A9')
        self.refused('job submit none --quantity 1 --watch', 2, 'none', 'nothing was started')
        self.refused('job watch J', 2, 'J')

    def test_a_wrong_token_says_where_it_came_from(self):
        r = self.line.provctl('--token-file', '/dev/null', 'station', 'list')
        self.assertEqual(r.returncode, 3, r)
        self.assertIn('--token-file', r.stderr)

    def test_tokens_are_made_listed_and_revoked(self):
        secret = self.line.provctl('token', 'create', 'viewer', 'wall').stdout.strip()
        with contextlib.closing(self.line.provd.api(secret)) as api:
            self.assertEqual(api.request('GET', '/stations').status, 200)
        row = next(x for x in self.line.provctl('token', 'list').stdout.splitlines() if ' wall ' in x)
        self.assertIn('viewer', row)
        self.assertNotIn(secret.rsplit('_', 1)[1], row)
        self.assertEqual(self.line.provctl('token', 'revoke', row.split()[0]).returncode, 0)
        with contextlib.closing(self.line.provd.api(secret)) as api:
            self.assertEqual(api.request('GET', '/stations').status, 401)

    def test_a_list_of_keys_is_imported_and_exported(self):
        file = os.path.join(self.line.home, 'keys.csv')
        with open(file, 'w') as f:
            f.write('value\nK-1\nK-2\n')
        ctl = self.line.provctl
        self.assertEqual(ctl('pool', 'create', 'keys', '--kind', 'license').returncode, 0)
        self.assertEqual(ctl('pool', 'import', 'keys', file).stdout, 'pool keys: 2 left\n')
        again = ctl('pool', 'import', 'keys', file)
        self.assertNotEqual(again.returncode, 0, again)
        self.assertIn('line 3: K-2: waits in a pool', again.stderr)
        lines = ctl('pool', 'export', 'keys').stdout.splitlines()
        self.assertEqual([x.split(',')[0] for x in lines], ['value', 'K-1', 'K-2'])
        # What was exported can be imported elsewhere.
        with open(file, 'w') as f:
            f.write('\n'.join(lines).replace('K-', 'N-') + '\n')
        self.assertEqual(ctl('pool', 'import', 'keys', file).stdout, 'pool keys: 4 left\n')

    def test_what_a_pool_passed_over_is_a_gap_with_its_reason(self):
        ctl = self.line.provctl
        self.assertEqual(ctl('pool', 'create', 'gap', '--pattern', 'G{seq:04}', '--first', '1', '--last', '99').returncode, 0)
        self.assertEqual(ctl('pool', 'gaps', 'gap').stdout.strip().count('\n'), 0)
        self.assertEqual(ctl('pool', 'advance', 'gap', '40', '--reason', 'used by the old line').returncode, 0)
        text = ctl('pool', 'gaps', 'gap').stdout
        self.assertIn('used by the old line', text)
        self.assertIn('39', text)
        self.assertEqual(ctl('pool', 'gaps', 'nosuch').returncode, 2)

    def test_no_two_columns_have_one_name(self):
        for command in ('station list', 'run list', 'job list', 'unit list', 'port list', 'token list', 'audit list',
                        'recipe list', 'artifact list', 'pool list', 'prompt list', 'outbox list'):
            head = [h for h in self.line.provctl(*command.split()).stdout.split('\n')[0].split('  ') if h.strip()]
            self.assertEqual(len(set(h.strip() for h in head)), len(head), (command, head))


if __name__ == '__main__':
    line.main()
