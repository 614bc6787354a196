#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`provd --check-upgrade`: what the next start would do to records of an older schema, said before it does, and then done by a
start. Records come from tests/unit/db/schemas.

    test_upgrade.py [BUILD]
"""
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import unittest

import line

SCHEMAS = os.path.join(line.ROOT, 'tests/unit/db/schemas')
MIGRATIONS = sorted(os.listdir(os.path.join(line.ROOT, 'db/sql')))
NOW = len(MIGRATIONS)
KEPT = sum(name.endswith('.sql') for name in os.listdir(SCHEMAS))  # those that were released


class CheckUpgrade(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix='provd-upgrade-')
        self.addCleanup(shutil.rmtree, self.home)
        self.state = os.path.join(self.home, 'state')
        self.config = os.path.join(self.home, 'provd.yaml')
        os.mkdir(self.state)
        with open(self.config, 'w') as f:
            f.write(f'state_dir: {self.state}\nlisten: 127.0.0.1:0\nhotplug: []\nstations: []\n')

    def records_of(self, schema):
        db = sqlite3.connect(os.path.join(self.state, 'provd.db'))
        with open(os.path.join(SCHEMAS, f'{schema:04}.sql')) as f:
            db.executescript(f.read())
        db.executescript(f'PRAGMA application_id = {0x70766431}; PRAGMA user_version = {schema};')
        db.close()

    def check(self, status, wrapper=()):
        p = subprocess.run([*wrapper, line.binary('provd'), '--config', self.config, '--check-upgrade'],
                           capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, status, p.stdout + p.stderr)
        return p

    def on_disk_of(self, kib):
        """In a mount namespace of its own the state directory is that small."""
        script = (f'cp {self.state}/provd.db {self.home}/kept.db && mount -t tmpfs -o size={kib}k none {self.state} && '
                  f'cp {self.home}/kept.db {self.state}/provd.db && exec "$@"')
        return ('unshare', '--mount', 'sh', '-c', script, 'sh')

    def test_migrations_are_named_and_measured(self):
        self.records_of(20)
        said = self.check(0)
        self.assertIn('schema 20 (', said.stdout)
        self.assertIn(f'this provd writes schema {NOW}: {NOW - 20} migrations', said.stdout)
        for name in MIGRATIONS[20:]:
            self.assertIn(name, said.stdout)
        self.assertNotIn(MIGRATIONS[19], said.stdout)
        self.assertRegex(said.stdout, r'measured on a copy: [0-9.]+ s, at most [0-9.]+ MB of disk more')
        self.assertEqual(said.stderr, '')

    def test_a_start_does_what_was_said(self):
        self.records_of(1)
        self.check(0)
        with subprocess.Popen([line.binary('provd'), '--config', self.config, '--port-file', self.home + '/port'],
                              stderr=subprocess.DEVNULL) as provd:
            line.wait_for('the start', lambda: os.path.exists(self.home + '/port'))
            # It may be asked while provd works.
            self.assertIn('nothing to do', self.check(0).stdout)
            provd.terminate()
            self.assertEqual(provd.wait(30), 0)
        db = sqlite3.connect(os.path.join(self.state, 'provd.db'))
        self.assertEqual(db.execute('PRAGMA user_version').fetchone()[0], NOW)
        self.assertEqual(db.execute('SELECT serial FROM units ORDER BY id').fetchall(), [('SN000001',), ('SN000002',)])
        db.close()

    def test_a_socket_that_was_handed_over_outlives_provd(self):
        """As systemd has it over a restart: a request that comes meanwhile waits in the socket for the next provd."""
        with socket.create_server(('127.0.0.1', 0)) as listening:
            fd = listening.fileno()
            command = ['sh', '-c', 'exec 3<&$0; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"', str(fd),
                       line.binary('provd'), '--config', self.config, '--port-file', self.home + '/port']
            for turn in range(2):
                with subprocess.Popen(command, stderr=subprocess.DEVNULL, pass_fds=(fd,)) as provd:
                    if turn:
                        answer = waits.recv(100)
                        waits.close()
                        self.assertTrue(answer.startswith(b'HTTP/1.1 200'), answer)
                    line.wait_for('the start', lambda: os.path.exists(self.home + '/port'))
                    provd.terminate()
                    self.assertEqual(provd.wait(30), 0)
                os.unlink(self.home + '/port')
                if not turn:
                    waits = socket.create_connection(listening.getsockname(), timeout=30)
                    waits.sendall(b'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')

    def test_without_records_nothing_is_made(self):
        self.assertIn('has no records yet', self.check(0).stdout)
        self.assertEqual(os.listdir(self.state), [])

    def test_records_of_a_newer_provd_are_refused(self):
        self.records_of(KEPT)
        db = sqlite3.connect(os.path.join(self.state, 'provd.db'))
        db.execute('PRAGMA user_version = 9999')
        db.close()
        said = self.check(1)
        self.assertRegex(said.stderr, r'schema 9999 was made by a newer provd \(this one knows up to [0-9]+\): install that provd')

    @unittest.skipIf(os.geteuid() != 0, 'a small disk is made by root')
    def test_a_disk_without_room_for_a_copy_has_an_estimate(self):
        self.records_of(1)
        size = os.path.getsize(os.path.join(self.state, 'provd.db')) // 1024
        said = self.check(3, self.on_disk_of(size * 4))
        self.assertRegex(said.stdout, r'estimated, since the disk has no room for a copy')

    @unittest.skipIf(os.geteuid() != 0, 'a small disk is made by root')
    def test_a_disk_without_room_for_the_upgrade_is_said(self):
        self.records_of(1)
        size = os.path.getsize(os.path.join(self.state, 'provd.db')) // 1024
        said = self.check(1, self.on_disk_of(size * 2))
        self.assertRegex(said.stderr, r'no room for the upgrade: free [0-9.]+ MB of it first')

    def test_a_configuration_with_mistakes_is_no_answer(self):
        with open(self.config, 'a') as f:
            f.write('nonsense: 1\n')
        self.assertRegex(self.check(2).stderr, re.escape(self.config))


if __name__ == '__main__':
    line.main()
