#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ADB: each fault of the phone against each action: no false pass, the right code, and the next
phone is undisturbed.

    test_adb_faults.py [BUILD]
"""
import os
import signal
import subprocess
import threading
import time
import unittest

import adb
import line

UNIT, LINE, PERSON = 1, 3, 4
# Of every action: what ends the connection or breaks its packets.
CONNECTION = {
    'bad-magic': ('protocol',),
    'huge-length': ('protocol',),
    'garbage': ('protocol',),
    'stls': ('unsupported',),
    'hangup-reply=30': ('device-gone',),
    'hangup=10': ('device-gone',),
    'stall-reply=60': ('timeout',),
    'endless-token,count=0': ('unauthorized',),
}
# A close in the middle of the work, and a refusal of its stream.
STREAM = {
    'refuse-open': ('device-refused',),
    'hangup-reply=400': ('device-gone',),
}
BIG = 300000


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.phone = adb.Phone('--adb-completed-ms', '0')
        cls.files = adb.Files(cls.phone.home)
        cls.big = cls.files.make('big', adb.content(BIG))
        cls.apk = cls.files.make('a.apk', adb.APK)

    @classmethod
    def tearDownClass(cls):
        cls.phone.__exit__()

    def fails(self, fault, codes, action, *args, timeout='5s', phone=None):
        phone = phone or self.phone
        phone.clear()
        before = phone.whole()['faults_fired']
        phone.fault(fault)
        begun = time.monotonic()
        status, said = adb.provctl(phone, action, *args, '--timeout=' + timeout, 'connect_timeout=1s')
        what = '%s under %s: %r' % (action, fault, said)
        self.assertIn(said['code'], codes, what)
        self.assertIn(status, (UNIT, LINE), what)
        self.assertFalse(said['passed'], what)
        self.assertTrue(said['message'], what)
        self.assertLess(time.monotonic() - begun, 9, what)
        state = phone.whole()
        self.assertTrue(state['faults_fired'] > before or state['faults'], what + ': the fault did nothing')
        phone.clear()
        return said

    def actions(self):
        return {
            'adb.shell': ('command=yes 100000',),
            'adb.push': ('file=' + self.big, 'path=/sdcard/p', 'skip_equal=false'),
            'adb.pull': ('path=/sdcard/q', 'file=' + self.files.path('q')),
            'adb.install': ('file=' + self.apk,),
            'adb.uninstall': ('package=com.example.app',),
            'adb.logcat': (),
            'adb.screencap': ('file=' + self.files.path('s.png'),),
            'adb.screenrecord': ('file=' + self.files.path('r.mp4'), 'duration=1s'),
            'adb.root': (),
            'adb.remount': (),
            'adb.reboot': (),
            'adb.backup': ('all=true', 'file=' + self.files.path('b.ab')),
        }

    def test_what_breaks_the_connection_breaks_every_action(self):
        self.phone.write('/sdcard/q', adb.content(BIG))
        before = sorted(os.listdir(self.files.dir))
        for action, args in self.actions().items():
            for fault, codes in CONNECTION.items():
                if fault == 'stall-reply=60' and action != 'adb.shell':
                    continue  # each would take its whole second
                with self.subTest(action=action, fault=fault):
                    self.fails(fault, codes, action, *args)
        self.assertEqual(sorted(os.listdir(self.files.dir)), before)

    def test_what_breaks_a_stream_breaks_its_action(self):
        self.phone.write('/sdcard/q', adb.content(BIG))
        for action, args in self.actions().items():
            for fault, codes in STREAM.items():
                if fault.startswith('hangup') and action in ('adb.root', 'adb.reboot', 'adb.remount', 'adb.uninstall'):
                    continue  # they say less than that
                with self.subTest(action=action, fault=fault):
                    self.fails(fault, codes, action, *args)

    def test_a_file_that_was_not_written_as_it_was_sent(self):
        push = ('adb.push', 'file=' + self.big, 'path=/sdcard/x', 'skip_equal=false')
        for fault, codes in {
                'corrupt-push=123456': ('verify-mismatch',),
                'lying-sha': ('verify-mismatch',),
                'lose-push': ('verify-mismatch',),
                'sync-fail=100000': ('device-refused',),
                'disk-full=200000': ('device-refused',),
                'hangup=150000': ('device-gone',),
                'flip=150000': ('verify-mismatch', 'protocol', 'device-gone', 'device-refused', 'timeout'),
                'rubbish-text': ('device-refused',),
                'exit=3': ('verify-mismatch', 'device-refused'),
        }.items():
            with self.subTest(fault=fault):
                if fault == 'exit=3':
                    # sha256sum that fails is not a proof; then the file is pulled back.
                    self.phone.clear()
                    self.phone.fault(fault)
                    step = adb.passed(self, self.phone, *push)
                    self.assertEqual(step['evidence']['read_by'], 'pulled back')
                    continue
                said = self.fails(fault, codes, *push)
                self.assertNotIn('\x1b', said['message'])
        begun = time.monotonic()
        self.fails('stall=100000', ('timeout',), *push, 'idle_timeout=300ms', timeout='30s')
        self.assertLess(time.monotonic() - begun, 8)
        said = self.fails('corrupt-pull', ('verify-mismatch',), *push, 'verify=pull')
        for where, why in (('/system/x', 'Read-only'), ('/data/x', 'Permission denied')):
            status, said = adb.provctl(self.phone, 'adb.push', 'content=x', 'path=' + where)
            self.assertEqual((status, said['code']), (UNIT, 'device-refused'), said)
            self.assertIn(why, said['message'])
        status, said = adb.provctl(self.phone, 'adb.push', 'content=x', 'path=/sdcard')
        self.assertEqual((status, said['code']), (LINE, 'invalid'), said)

    def test_a_file_that_does_not_come_whole_does_not_appear(self):
        self.phone.write('/sdcard/q', adb.content(BIG))
        to = self.files.path('pulled')
        for fault, code in {'short-pull=1000': 'read-back-mismatch', 'corrupt-pull': 'read-back-mismatch',
                            'lying-sha': 'read-back-mismatch', 'hangup-reply=100000': 'device-gone'}.items():
            with self.subTest(fault=fault):
                self.fails(fault, (code,), 'adb.pull', 'path=/sdcard/q', 'file=' + to)
                self.assertFalse(os.path.exists(to))
                self.assertFalse(os.path.exists(to + '.part'))
        status, said = adb.provctl(self.phone, 'adb.pull', 'path=/sdcard/none', 'file=' + to)
        self.assertEqual((status, said['code']), (UNIT, 'device-refused'), said)

    def test_a_command_whose_outcome_is_not_known_has_not_passed(self):
        self.fails('no-exit', ('protocol',), 'adb.shell', 'command=id')
        self.fails('exit=9', ('device-refused',), 'adb.shell', 'command=id')
        self.fails('zero-id', ('timeout',), 'adb.shell', 'command=id', timeout='1s')
        self.fails('stall-reply=250', ('timeout',), 'adb.shell', 'command=yes 100000', timeout='1s')
        with adb.Phone('--adb-features', '') as old:
            self.fails('no-exit', ('protocol',), 'adb.shell', 'command=id', phone=old)
        said = self.fails('rubbish-text,count=0', ('device-refused',), 'adb.shell', 'command=false')
        self.assertNotIn('\x1b', said['message'])
        self.assertIn('\\x1b', said['message'])

    def test_a_package_that_is_not_there_was_not_installed(self):
        for fault, code in {'install-fail': 'device-refused', 'disk-full': 'device-refused',
                            'install-lie': 'verify-mismatch', 'lying-sha': 'verify-mismatch'}.items():
            for more in ((), ('package=com.example.app',)):
                with self.subTest(fault=fault, more=more):
                    adb.provctl(self.phone, 'adb.uninstall', 'package=com.example.app')
                    self.fails(fault, (code,), 'adb.install', 'file=' + self.apk, *more)
        adb.passed(self, self.phone, 'adb.install', 'file=' + self.apk)
        self.fails('install-lie', ('read-back-mismatch',), 'adb.uninstall', 'package=com.example.app')

    def test_pictures_films_and_backups_are_whole(self):
        for fault, code, action, name in (('broken-png', 'protocol', 'adb.screencap', 's'),
                                          ('broken-mp4', 'protocol', 'adb.screenrecord', 'r')):
            self.fails(fault, (code,), action, 'file=' + self.files.path(name), *(
                ('duration=1s',) if name == 'r' else ()))
            self.assertFalse(os.path.exists(self.files.path(name)))
        adb.passed(self, self.phone, 'adb.install', 'file=' + self.apk)
        self.fails('deny', ('device-refused',), 'adb.backup', 'all=true', 'file=' + self.files.path('b'))
        self.fails('short-backup', ('protocol',), 'adb.backup', 'all=true', 'file=' + self.files.path('b'))
        self.assertFalse(os.path.exists(self.files.path('b')))
        adb.passed(self, self.phone, 'adb.backup', 'all=true', 'file=' + self.files.path('b'))
        adb.passed(self, self.phone, 'adb.uninstall', 'package=com.example.app')
        self.fails('deny', ('protocol', 'read-back-mismatch'), 'adb.restore', 'file=' + self.files.path('b'),
                   'packages=com.example.app')


class Restarts(unittest.TestCase):
    def test_the_same_unit_comes_back_or_it_is_no_pass(self):
        for action in ('adb.reboot', 'adb.root'):
            for fault, code in (('swap-reboot', 'wrong-device'), ('no-return', 'device-gone'),
                                ('reboot-ignored', 'timeout')):
                with self.subTest(action=action, fault=fault), adb.Phone() as phone:
                    phone.fault(fault)
                    status, said = adb.provctl(phone, action, '--timeout=2s')
                    self.assertEqual((status, said['code']),
                                     (UNIT if code == 'timeout' else LINE, code), said)
        with adb.Phone() as phone:
            phone.fault('wrong-mode')
            status, said = adb.provctl(phone, 'adb.reboot', '--timeout=5s')
            self.assertEqual((status, said['code']), (LINE, 'wrong-device'), said)
            self.assertIn("'recovery'", said['message'])

    def test_a_restart_of_adbd_alone_is_no_reboot(self):
        with adb.Phone() as phone:
            phone.fault('reboot-lie')
            status, said = adb.provctl(phone, 'adb.reboot')
            self.assertEqual((status, said['code']), (UNIT, 'device-refused'), said)
            self.assertIn('boot_id', said['message'])

    def test_a_restart_without_an_answer_is_one(self):
        with adb.Phone() as phone:
            phone.fault('reboot-silent')
            adb.passed(self, phone, 'adb.reboot')

    def test_a_production_build_is_no_root(self):
        with adb.Phone('--adb-build', 'user') as phone:
            status, said = adb.provctl(phone, 'adb.root')
            self.assertEqual((status, said['code']), (UNIT, 'device-refused'), said)
            self.assertIn('production builds', said['message'])

    def test_a_boot_that_does_not_end_is_no_boot(self):
        with adb.Phone('--adb-completed-ms', '3600000') as phone:
            status, said = adb.provctl(phone, 'adb.reboot', 'boot_completed=true', '--timeout=2s')
            self.assertEqual((status, said['code']), (UNIT, 'timeout'), said)
            self.assertIn('sys.boot_completed', said['message'])

    def test_a_sideload_without_done_has_failed(self):
        for fault, code in (('sideload-fail', 'device-refused'), ('sideload-die', 'protocol'),
                            ('sideload-past', 'protocol'), ('hangup-reply=300', 'protocol')):
            with self.subTest(fault=fault), adb.Phone('--adb-mode', 'sideload') as phone:
                package = adb.Files(phone.home).make('p', adb.package(BIG))
                phone.fault(fault)
                status, said = adb.provctl(phone, 'adb.sideload', 'file=' + package)
                self.assertIn(said['code'], (code, 'device-gone'), said)
                self.assertIn(status, (UNIT, LINE))
                phone.clear()
                adb.passed(self, phone, 'adb.sideload', 'file=' + package)

    def test_a_phone_before_4_4(self):
        with adb.Phone('--adb-mode', 'sideload', '--adb-old-sideload', '1') as phone:
            package = adb.Files(phone.home).make('p', adb.package(BIG))
            step = adb.passed(self, phone, 'adb.sideload', 'file=' + package)
            self.assertIn('before Android 4.4', step['evidence']['proven_by'])
            phone.fault('sideload-fail')
            status, said = adb.provctl(phone, 'adb.sideload', 'file=' + package)
            self.assertEqual((status, said['code']), (UNIT, 'device-refused'), said)


class Ends(unittest.TestCase):
    """A cancel and a device that leaves end an action within a second."""

    def run_until(self, phone, end, *args):
        p = subprocess.Popen([line.binary('provctl'), 'exec', args[0], 'port=tcp:127.0.0.1:%d' % phone.port,
                              *args[1:], '--json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=dict(os.environ, HOME=phone.keys, XDG_STATE_HOME=''), text=True)
        line.wait_for('the command runs', lambda: phone.whole()['streams'] > 0)
        begun = time.monotonic()
        end(p)
        out, _ = p.communicate(timeout=line.DEADLINE_S)
        self.assertLess(time.monotonic() - begun, 1.0 * float(os.environ.get('PROVD_TEST_SLOW', '1')))
        return p.returncode, out

    def test_a_cancel(self):
        with adb.Phone() as phone:
            status, out = self.run_until(phone, lambda p: p.send_signal(signal.SIGINT), 'adb.shell',
                                         'command=sleep 30')
            self.assertEqual(status, PERSON, out)
            self.assertIn('"aborted"', out)

    def test_a_device_that_leaves(self):
        with adb.Phone() as phone:
            status, out = self.run_until(phone, lambda p: phone.sim.ctl('unplug', board='b1'), 'adb.shell',
                                         'command=sleep 30')
            self.assertEqual(status, LINE, out)
            self.assertIn('"device-gone"', out)

    def test_one_phone_s_trouble_stays_there(self):
        with adb.Phone() as bad, adb.Phone() as good:
            file = adb.Files(good.home).make('f', adb.content(2000000))
            bad.fault('stall-reply=250')
            seen = []
            t = threading.Thread(target=lambda: seen.append(adb.provctl(
                bad, 'adb.push', 'file=' + file, 'path=/sdcard/f', '--timeout=3s')))
            t.start()
            for _ in range(3):
                adb.passed(self, good, 'adb.push', 'file=' + file, 'path=/sdcard/f', 'skip_equal=false')
            t.join()
            self.assertEqual(seen[0][1]['code'], 'timeout', seen)


if __name__ == '__main__':
    adb.main()
