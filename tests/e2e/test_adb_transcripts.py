#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ADB: what Debian's adb and provd send for the same orders, compared packet by packet.

    test_adb_transcripts.py [BUILD]
"""
import hashlib
import os
import subprocess
import unittest

import adb


class Transcripts(unittest.TestCase):
    """What adb and provd send, packet by packet. Ids, windows and the banner apart, these are all
    the differences: each is named where it is taken away."""

    def record(self, phone, do):
        with adb.Recorder(phone.port) as r:
            do(r.port)
            return r.take()

    def both(self, phone, orders, action, *args):
        """The streams of adb and of provd for the same order."""
        with adb.Adb(phone.home) as real, adb.Recorder(phone.port) as r:
            real.connect(r.port)
            r.take()
            for order in orders:
                self.assertEqual(real.run(*order).returncode, 0, order)
            theirs = adb.streams(r.take())
            real.disconnect()
        mine = self.record(phone, lambda port: adb.passed(self, phone, action, *args, port=port))
        mine = adb.streams(mine)
        for who in (theirs, mine):
            for s in who:
                self.assertEqual(s.nul, who is theirs, s.service)  # adb ends the service with a NUL
                # Each WRTE is answered once, but for the last where the other side closes on it.
                self.assertIn(s.writes['>'] - (s.okays['<'] - 1), (0, 1), s.service)
                self.assertIn(s.writes['<'] - s.okays['>'], (0, 1), s.service)
        return theirs, mine

    def test_the_handshake(self):
        with adb.Phone('--adb-auth', 'any') as phone:
            with adb.Adb(phone.home) as real, adb.Recorder(phone.port) as r:
                real.connect(r.port)
                theirs = r.take()
                real.disconnect()
            mine = self.record(phone, lambda port: adb.passed(
                self, phone, 'adb.shell', 'command=true', 'authorize=5s', port=port))
            for packets in (theirs, mine):
                begin = [p for p in packets if p.command in ('CNXN', 'AUTH')][:6]
                self.assertEqual([(p.way, p.command) for p in begin],
                                 [('>', 'CNXN'), ('<', 'AUTH'), ('>', 'AUTH'), ('<', 'AUTH'), ('>', 'AUTH'),
                                  ('<', 'CNXN')])
                self.assertEqual((begin[0].arg0, begin[0].arg1), (0x01000001, 0x100000))
                self.assertTrue(begin[0].data.startswith(b'host::features='))
                self.assertEqual([(p.arg0, p.arg1) for p in begin[1:5]], [(1, 0), (2, 0), (1, 0), (3, 0)])
                for p in begin[0], begin[2], begin[4]:
                    self.assertLessEqual(len(p.data), 4096)
                # provd sums up all that it sends before the phone's CNXN; adb stops once it knows
                # the version of that address.
                if packets is mine:
                    for p in begin[0], begin[2], begin[4]:
                        self.assertEqual(p.check, sum(p.data))
                self.assertEqual(begin[4].data[-1:], b'\0')
                self.assertEqual(len(begin[4].data.split(b' ')[0]), 700)
                # Afterwards neither does.
                rest = [p for p in packets if p.way == '>' and p.command not in ('CNXN', 'AUTH')]
                self.assertEqual({p.check for p in rest} - {0}, set())

    def test_the_signature_is_openssls(self):
        with adb.Phone('--adb-auth', 'any') as phone:
            files = adb.Files(phone.home)
            subprocess.run(['adb', 'keygen', files.path('k')], check=True, capture_output=True,
                           env=dict(os.environ, HOME=phone.home))
            packets = self.record(phone, lambda port: adb.passed(
                self, phone, 'adb.shell', 'command=true', 'authorize=5s', 'key=' + files.path('k'), port=port))
            auth = [p for p in packets if p.command == 'AUTH']
            token, signature = auth[0].data, auth[1].data
            files.make('token', token)
            signed = subprocess.run(['openssl', 'pkeyutl', '-sign', '-inkey', files.path('k'), '-pkeyopt',
                                     'digest:sha1', '-in', files.path('token')], check=True, capture_output=True)
            self.assertEqual(signature, signed.stdout)

    def test_a_command(self):
        with adb.Phone() as phone:
            theirs, mine = self.both(phone, [('shell', 'ls /; exit 0')], 'adb.shell', 'command=ls /; exit 0')
            # adb names its terminal.
            self.assertEqual([s.service.replace(',TERM=dumb', '') for s in theirs], [s.service for s in mine])
            self.assertEqual(theirs[0].device, mine[0].device)
            # The end of standard input, and only where the command has not ended before.
            for sent in mine[0].host, theirs[0].host:
                self.assertIn(sent, (b'', b'\4\0\0\0\0'))

    def test_a_push(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            path = files.make('f', adb.content(200000))
            theirs, mine = self.both(phone, [('push', path, '/sdcard/a')], 'adb.push', 'file=' + path,
                                     'path=/sdcard/a', 'skip_equal=false')
            theirs = adb.sync_requests(theirs[0].host)
            frames = [f for s in mine if s.service == 'sync:' for f in adb.sync_requests(s.host)]
            # provd sizes its frames to the packet, adb to 64 KiB with the header: the bytes are the
            # same. It looks before on a stream of its own, and reads back afterwards.
            self.assertEqual([f[0] for f in theirs], ['STA2', 'SEND', 'DONE', 'QUIT'])
            self.assertEqual([f[0] for f in frames], ['STA2', 'QUIT', 'SEND', 'DONE', 'STA2', 'QUIT'])
            self.assertEqual(theirs[:3], [frames[0], frames[2], frames[3]])
            self.assertEqual([s.service for s in mine if s.service != 'sync:'],
                             ["shell,v2,raw:sha256sum '/sdcard/a'"])

    def test_a_pull(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            phone.write('/sdcard/a', adb.content(200000))
            theirs, mine = self.both(phone, [('pull', '/sdcard/a', files.path('g'))], 'adb.pull', 'path=/sdcard/a',
                                     'file=' + files.path('h'))
            self.assertEqual(adb.sync_requests(theirs[0].host), adb.sync_requests(mine[0].host))
            # After the 72 bytes of STA2, which hold the time of the last access.
            self.assertEqual(theirs[0].device[72:], mine[0].device[72:])

    def test_an_install_and_its_removal(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            apk = files.make('a.apk', adb.APK)
            theirs, mine = self.both(phone, [('install', '-r', '-g', apk)], 'adb.install', 'file=' + apk,
                                     'grant=true', 'package=com.example.app')
            # The same words, quoted differently; provd looks for the package afterwards.
            self.assertEqual(theirs[0].service.replace("'", ''), mine[0].service.replace("'", ''))
            self.assertEqual((theirs[0].host, theirs[0].device), (mine[0].host, mine[0].device))
            self.assertEqual([s.service for s in mine[1:]],
                             ["shell,v2,raw:cmd package path 'com.example.app'",
                              "shell,v2,raw:sha256sum '/data/app/com.example.app/base.apk'"])
            theirs, mine = self.both(phone, [('uninstall', 'com.example.app'), ('install', apk)], 'adb.uninstall',
                                     'package=com.example.app')
            # adb asks for a terminal there, provd does not.
            self.assertEqual(theirs[0].service.replace(',TERM=dumb', ',raw').replace("'uninstall'", 'uninstall'),
                             mine[0].service)
            self.assertEqual(theirs[0].device, mine[0].device)

    def test_a_picture_a_backup_and_a_restore(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            adb.passed(self, phone, 'adb.install', 'file=' + files.make('a.apk', adb.APK))
            theirs, mine = self.both(phone, [('exec-out', 'screencap -p')], 'adb.screencap',
                                     'file=' + files.path('s.png'))
            self.assertEqual([(s.service, s.host, s.device) for s in theirs],
                             [(s.service, s.host, s.device) for s in mine])
            theirs, mine = self.both(phone, [('backup', '-noapk', '-noshared', '-system', '-all', '-f',
                                              files.path('b.ab'))],
                                     'adb.backup', 'all=true', 'file=' + files.path('c.ab'))
            self.assertEqual([(s.service, s.host, s.device) for s in theirs],
                             [(s.service, s.host, s.device) for s in mine])
            theirs, mine = self.both(phone, [('restore', files.path('b.ab'))], 'adb.restore',
                                     'file=' + files.path('b.ab'))
            self.assertEqual([(s.service, s.host) for s in theirs], [(s.service, s.host) for s in mine])

    def test_restarts_and_a_sideload(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            theirs, mine = self.both(phone, [('root',), ('wait-for-device',), ('unroot',)], 'adb.root')
            self.assertEqual(theirs[0].service, 'root:')
            self.assertIn('root:', [s.service for s in mine])
            self.assertEqual([s.device for s in theirs if s.service == 'root:'],
                             [s.device for s in mine if s.service == 'root:'])
            adb.passed(self, phone, 'adb.reboot', 'mode=sideload')
            package = files.make('p.zip', adb.package(200000))
            with adb.Adb(phone.home) as real, adb.Recorder(phone.port) as r:
                real.connect(r.port, 'sideload')
                r.take()
                self.assertEqual(real.run('sideload', package).returncode, 0)
                theirs = adb.streams(r.take())
                real.disconnect()
            mine = adb.streams(self.record(phone, lambda port: adb.passed(
                self, phone, 'adb.sideload', 'file=' + package, port=port)))
            self.assertEqual([(s.service, hashlib.sha256(s.host).hexdigest(), s.device) for s in theirs],
                             [(s.service, hashlib.sha256(s.host).hexdigest(), s.device) for s in mine])


if __name__ == '__main__':
    adb.main()
