#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ADB: the virtual phone proven with Debian's adb, then provd with the same phone.

    test_adb.py [BUILD]
"""
import os
import subprocess
import unittest

import adb
import line

SIZES = (0, 1, 65535, 65536, 65537, 3 * 1024 * 1024 + 17)
OLD = ('--adb-version', '0x01000000', '--adb-payload', '4096', '--adb-features', '')


def tree(phone):
    """Every file of the phone and what it holds, but what its kernel makes up."""
    found, root = {}, phone.path('/')
    for folder, _, names in os.walk(root):
        if folder.startswith(phone.path('/proc')):
            continue
        for name in names:
            with open(os.path.join(folder, name), 'rb') as f:
                found[os.path.relpath(os.path.join(folder, name), root)] = line.sha256(f.read())
    return found


class Reference(unittest.TestCase):
    """The phone is right where Debian's adb says so."""

    def check_shell(self, real, status):
        r = real.run('shell', 'echo out; echo more; exit 7')
        self.assertEqual(r.stdout.replace(b'\r\n', b'\n'), b'out\nmore\n')
        self.assertEqual(r.returncode, status)
        self.assertIn(b'Read-only', real.run('shell', 'echo x > /system/x').stderr + b'Read-only')

    def check_files(self, phone, real, files):
        for n in SIZES:
            path = files.make('f%d' % n, adb.content(n))
            r = real.run('push', path, '/sdcard/dir/f%d' % n)
            self.assertEqual(r.returncode, 0, r)
            self.assertEqual(phone.read('/sdcard/dir/f%d' % n), adb.content(n))
            r = real.run('pull', '/sdcard/dir/f%d' % n, files.path('back'))
            self.assertEqual(r.returncode, 0, r)
            self.assertEqual(files.read('back'), adb.content(n))
        r = real.run('pull', '/sdcard/dir', files.path('tree'))
        self.assertEqual(r.returncode, 0, r)
        self.assertEqual(sorted(os.listdir(files.path('tree'))), sorted('f%d' % n for n in SIZES))

    def check_packages(self, phone, real, files):
        apk = files.make('a.apk', adb.APK)
        self.assertIn(b'Success', real.run('install', apk).stdout)
        self.assertEqual(phone.read('/data/app/com.example.app/base.apk'), adb.APK)
        r = real.run('install', apk)
        self.assertIn(b'INSTALL_FAILED_ALREADY_EXISTS', r.stdout + r.stderr)
        self.assertIn(b'Success', real.run('install', '-r', apk).stdout)
        self.assertIn(b'com.example.app', real.run('shell', 'pm list packages').stdout)
        self.assertIn(b'Success', real.run('uninstall', 'com.example.app').stdout)
        self.assertFalse(os.path.exists(phone.path('/data/app/com.example.app')))

    def test_a_phone_of_today(self):
        with adb.Phone() as phone, adb.Adb(phone.home) as real:
            files = adb.Files(phone.home)
            real.connect(phone.port)
            self.check_shell(real, 7)
            self.check_files(phone, real, files)
            self.check_packages(phone, real, files)
            self.assertTrue(real.run('exec-out', 'screencap', '-p').stdout.startswith(b'\x89PNG'))
            self.assertIn(b'adbd:', real.run('logcat', '-d').stdout)
            self.assertEqual(real.run('logcat', '-c').returncode, 0)
            self.assertNotIn(b'screencap', real.run('logcat', '-d').stdout)

    def test_a_phone_of_old(self):
        with adb.Phone(*OLD) as phone, adb.Adb(phone.home) as real:
            files = adb.Files(phone.home)
            real.connect(phone.port)
            self.check_shell(real, 0)  # the old shell tells no status
            self.check_files(phone, real, files)
            self.check_packages(phone, real, files)

    def test_backup_and_restore(self):
        with adb.Phone() as phone, adb.Adb(phone.home) as real:
            files = adb.Files(phone.home)
            real.connect(phone.port)
            real.run('install', files.make('a.apk', adb.APK))
            self.assertEqual(real.run('backup', '-all', '-f', files.path('b.ab')).returncode, 0)
            self.assertTrue(files.read('b.ab').startswith(b'ANDROID BACKUP\n'))
            real.run('uninstall', 'com.example.app')
            self.assertEqual(real.run('restore', files.path('b.ab')).returncode, 0)
            self.assertEqual(phone.read('/data/app/com.example.app/base.apk'), adb.APK)

    def test_root_remount_reboot_sideload(self):
        with adb.Phone() as phone, adb.Adb(phone.home) as real:
            files = adb.Files(phone.home)
            real.connect(phone.port)
            self.assertNotEqual(real.run('remount').returncode, 0)
            self.assertIn(b'restarting adbd as root', real.run('root').stdout)
            real.connect(phone.port)
            self.assertIn(b'uid=0', real.run('shell', 'id').stdout)
            self.assertIn(b'remount succeeded', real.run('remount').stdout)
            self.assertEqual(real.run('push', files.make('x', b'x'), '/system/x').returncode, 0)
            self.assertEqual(real.run('reboot', 'sideload').returncode, 0)
            real.disconnect()
            real.connect(phone.port, 'sideload')
            package = files.make('p.zip', adb.package(200000))
            r = real.run('sideload', package)
            self.assertEqual(r.returncode, 0, r)
            with open(phone.unit_file('sideload.zip'), 'rb') as f:
                self.assertEqual(f.read(), adb.package(200000))
            phone.fault('sideload-fail')
            self.assertNotEqual(real.run('sideload', package).returncode, 0)
            phone.fault('sideload-die')
            self.assertNotEqual(real.run('sideload', package).returncode, 0)

    def test_a_key_is_offered_and_then_known(self):
        with adb.Phone('--adb-auth', 'any') as phone, adb.Adb(phone.home) as real:
            real.connect(phone.port)
            self.assertEqual(real.run('shell', 'echo in').stdout, b'in\n')
            real.disconnect()
            real.connect(phone.port)
            self.assertGreaterEqual(phone.whole()['authorised'], 2)
            with open(os.path.join(real.home, '.android', 'adbkey.pub')) as f:
                public = f.read().split()[0]
            with open(phone.unit_file('adb_keys')) as f:
                self.assertEqual([l.split()[0] for l in f], [public])


class Provd(unittest.TestCase):
    """provd against the same phone."""

    def test_commands(self):
        for settings in ((), OLD):
            with adb.Phone(*settings) as phone:
                step = adb.passed(self, phone, 'adb.shell', 'command=echo out; echo more; exit 7', 'status=7',
                                  'expect=^mo(.*)$')
                self.assertEqual(step['outputs']['stdout'], 'out\nmore')
                self.assertEqual(step['outputs']['match1'], 're')
                self.assertEqual(step['evidence']['status'], 7)
                status, said = adb.provctl(phone, 'adb.shell', 'command=exit 7')
                self.assertEqual((status, said['code']), (1, 'device-refused'), said)
                for words in ('NOT OK', 'MOTOR BROKEN', 'OK, 3 errors', 'OK?'):
                    status, said = adb.provctl(phone, 'adb.shell', 'command=echo ' + words, 'expect=OK')
                    self.assertEqual((status, said['code']), (1, 'unexpected-reply'), said)
                adb.passed(self, phone, 'adb.shell', 'command=echo NOT OK; echo selftest OK', 'expect=OK')
                status, said = adb.provctl(phone, 'adb.shell', 'command=echo a', 'expect=^b$')
                self.assertEqual((status, said['code']), (1, 'unexpected-reply'), said)

    def test_a_value_is_a_word_and_nothing_else(self):
        nasty = "x'; rm -rf /sdcard; echo $(id) `id` \"$1\" \\ #"
        with adb.Phone() as phone:
            phone.write('/sdcard/keep', b'')
            step = adb.passed(self, phone, 'adb.shell', 'args=echo', 'args=' + nasty)
            self.assertEqual(step['outputs']['stdout'], nasty)
            step = adb.passed(self, phone, 'adb.shell', 'command=echo "$2" "$1"', 'args=' + nasty, 'args=b;c')
            self.assertEqual(step['outputs']['stdout'], 'b;c ' + nasty)
            adb.passed(self, phone, 'adb.push', 'content=hello', "path=/sdcard/it's; echo, $(x) 'y'")
            self.assertEqual(phone.read("/sdcard/it's; echo, $(x) 'y'"), b'hello')
            self.assertTrue(os.path.exists(phone.path('/sdcard/keep')))

    def test_files(self):
        for settings in ((), OLD, ('--adb-sha256sum', '0')):
            with adb.Phone(*settings) as phone:
                files = adb.Files(phone.home)
                for n in SIZES:
                    path, digest = files.make('f', adb.content(n)), line.sha256(adb.content(n))
                    step = adb.passed(self, phone, 'adb.push', 'file=' + path, 'path=/sdcard/d/f%d' % n)
                    self.assertEqual(step['evidence']['sha256_read'], digest)
                    self.assertFalse(step['evidence']['was_there'])
                    by = 'pulled back' if '--adb-sha256sum' in settings else 'sha256sum'
                    self.assertIn(by, step['evidence']['read_by'])
                    self.assertEqual(phone.read('/sdcard/d/f%d' % n), adb.content(n))
                    step = adb.passed(self, phone, 'adb.push', 'file=' + path, 'path=/sdcard/d/f%d' % n)
                    self.assertTrue(step['evidence']['was_there'])
                    step = adb.passed(self, phone, 'adb.pull', 'path=/sdcard/d/f%d' % n, 'file=' + files.path('g'))
                    self.assertEqual(step['evidence']['sha256'], digest)
                    self.assertEqual(files.read('g'), adb.content(n))

    def test_a_mode_that_is_asked_for_is_set_and_read_back(self):
        """adbd gives group and others what the user has: 0600 becomes 0666."""
        with adb.Phone() as phone:
            push = ('adb.push', 'content=secret', 'path=/data/local/tmp/key')
            step = adb.passed(self, phone, *push)
            self.assertEqual((step['evidence']['mode'], step['evidence']['mode_by']), ('0666', 'adbd'))
            self.assertTrue(adb.passed(self, phone, *push)['evidence']['was_there'])
            for mode in ('0600', '4755', '0666'):
                step = adb.passed(self, phone, *push, 'mode=' + mode)
                self.assertEqual(step['evidence']['mode'], mode)
                self.assertEqual(step['evidence']['mode_by'], 'chmod of the unit')
                self.assertTrue(step['evidence']['was_there'])
                self.assertEqual(os.stat(phone.path('/data/local/tmp/key')).st_mode & 0o7777, int(mode, 8))
        with adb.Phone('--adb-chmod', 'ignored') as phone:
            status, said = adb.provctl(phone, 'adb.push', 'content=secret', 'path=/sdcard/key', 'mode=0600')
            self.assertEqual((status, said['code']), (1, 'read-back-mismatch'), said)
            self.assertIn('0666 after chmod too', said['message'])
            self.assertIn('0600 was asked for', said['message'])

    def test_a_unit_without_screencap_says_so_in_its_own_words(self):
        with adb.Phone('--adb-screencap', '0') as phone:
            status, said = adb.provctl(phone, 'adb.screencap', 'file=' + os.path.join(phone.home, 's.png'))
            self.assertEqual((status, said['code']), (1, 'device-refused'), said)
            self.assertIn('screencap: inaccessible or not found', said['message'])

    def test_packages(self):
        for settings in ((), OLD):
            with adb.Phone(*settings) as phone:
                files = adb.Files(phone.home)
                apk = files.make('a.apk', adb.APK)
                step = adb.passed(self, phone, 'adb.install', 'file=' + apk)
                self.assertEqual(step['outputs']['path'], '/data/app/com.example.app/base.apk')
                step = adb.passed(self, phone, 'adb.install', 'file=' + apk, 'package=com.example.app', 'grant=true')
                self.assertEqual(step['evidence']['sha256_read'], line.sha256(adb.APK))
                status, said = adb.provctl(phone, 'adb.install', 'file=' + apk, 'replace=false')
                self.assertEqual((status, said['code']), (1, 'device-refused'), said)
                self.assertIn('INSTALL_FAILED_ALREADY_EXISTS', said['message'])
                adb.passed(self, phone, 'adb.uninstall', 'package=com.example.app')
                status, said = adb.provctl(phone, 'adb.uninstall', 'package=com.example.app')
                self.assertEqual((status, said['code']), (1, 'device-refused'), said)
                adb.passed(self, phone, 'adb.uninstall', 'package=com.example.app', 'missing_ok=true')

    def test_screen_and_log(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            step = adb.passed(self, phone, 'adb.screencap', 'file=' + files.path('s.png'))
            self.assertEqual((step['outputs']['width'], step['outputs']['height']), (16, 9))
            self.assertTrue(files.read('s.png').startswith(b'\x89PNG'))
            adb.passed(self, phone, 'adb.screenrecord', 'file=' + files.path('r.mp4'), 'duration=1s')
            self.assertEqual(files.read('r.mp4')[4:8], b'ftyp')
            self.assertEqual(os.listdir(phone.path('/data/local/tmp')), [])
            adb.passed(self, phone, 'adb.shell', 'args=log', 'args=calibration done: 4711')
            step = adb.passed(self, phone, 'adb.logcat', 'file=' + files.path('log'), r'expect=done: (\d+)$',
                              'forbid=PANIC', 'clear=true')
            self.assertEqual(step['outputs']['match1'], '4711')
            self.assertIn(b'4711', files.read('log'))
            status, said = adb.provctl(phone, 'adb.logcat', 'expect=4711')
            self.assertEqual((status, said['code']), (1, 'unexpected-reply'), said)
            adb.passed(self, phone, 'adb.shell', 'args=log', 'args=PANIC')
            status, said = adb.provctl(phone, 'adb.logcat', 'forbid=PANIC')
            self.assertEqual((status, said['code']), (1, 'unexpected-reply'), said)

    def test_backup_and_restore(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            adb.passed(self, phone, 'adb.install', 'file=' + files.make('a.apk', adb.APK))
            step = adb.passed(self, phone, 'adb.backup', 'all=true', 'file=' + files.path('b.ab'))
            self.assertIn('end of its tar', step['evidence']['proven_by'])
            adb.passed(self, phone, 'adb.uninstall', 'package=com.example.app')
            adb.passed(self, phone, 'adb.restore', 'file=' + files.path('b.ab'), 'packages=com.example.app')
            self.assertEqual(phone.read('/data/app/com.example.app/base.apk'), adb.APK)

    def test_root_remount_reboot_sideload(self):
        with adb.Phone() as phone:
            files = adb.Files(phone.home)
            status, said = adb.provctl(phone, 'adb.remount')
            self.assertEqual((status, said['code']), (1, 'device-refused'), said)
            step = adb.passed(self, phone, 'adb.root')
            self.assertEqual(step['outputs']['uid'], '0')
            self.assertEqual(step['evidence']['same_unit_by'], 'ro.serialno before and after')
            adb.passed(self, phone, 'adb.root')
            adb.passed(self, phone, 'adb.remount')
            adb.passed(self, phone, 'adb.push', 'content=x', 'path=/system/x', 'sync=true')
            adb.passed(self, phone, 'adb.root', 'user=shell')
            step = adb.passed(self, phone, 'adb.reboot', 'boot_completed=true')
            self.assertEqual(step['evidence']['boot_completed'], '1')
            self.assertEqual(step['evidence']['restarted_by'], 'another boot_id of its kernel')
            package = files.make('p.zip', adb.package(200000))
            status, said = adb.provctl(phone, 'adb.sideload', 'file=' + package)
            self.assertEqual((status, said['code']), (3, 'precondition'), said)
            adb.passed(self, phone, 'adb.reboot', 'mode=sideload')
            step = adb.passed(self, phone, 'adb.sideload', 'file=' + package)
            self.assertEqual((step['evidence']['blocks'], step['evidence']['blocks_read']), (4, 4))
            with open(phone.unit_file('sideload.zip'), 'rb') as f:
                self.assertEqual(f.read(), adb.package(200000))
            adb.passed(self, phone, 'adb.reboot', 'mode=recovery')
            status, said = adb.provctl(phone, 'adb.reboot', 'mode=bootloader')
            self.assertEqual((status, said['code']), (3, 'unsupported'), said)
            self.assertEqual(phone.board()['state'], 'recovery')
            adb.passed(self, phone, 'adb.reboot', 'mode=bootloader', 'wait=none')
            line.wait_for('the bootloader', lambda: phone.board()['state'] == 'bootloader')

    def test_the_key_is_made_once_kept_and_offered(self):
        with adb.Phone('--adb-auth', 'any') as phone:
            status, said = adb.provctl(phone, 'adb.shell', 'command=true')
            self.assertEqual((status, said['code']), (3, 'unauthorized'), said)
            adb.passed(self, phone, 'adb.shell', 'command=true', 'authorize=5s')
            adb.passed(self, phone, 'adb.shell', 'command=true')
            path = os.path.join(phone.keys, '.local', 'state', 'provctl', 'adb-key.pem')
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            public = subprocess.run(['adb', 'pubkey', path], capture_output=True, check=True,
                                    env=dict(os.environ, HOME=phone.home)).stdout.split()[0]
            with open(phone.unit_file('adb_keys'), 'rb') as f:
                self.assertEqual([l.split()[0] for l in f], [public])


class Same(unittest.TestCase):
    """After the same orders the phone holds the same, whoever gave them."""

    def test_the_phones_are_alike(self):
        with adb.Phone() as mine, adb.Phone() as theirs, adb.Adb(theirs.home) as real:
            files = adb.Files(mine.home)
            real.connect(theirs.port)
            apk = files.make('a.apk', adb.APK)
            for n in SIZES:
                path = files.make('f%d' % n, adb.content(n))
                adb.passed(self, mine, 'adb.push', 'file=' + path, 'path=/sdcard/f%d' % n)
                self.assertEqual(real.run('push', path, '/sdcard/f%d' % n).returncode, 0)
            adb.passed(self, mine, 'adb.install', 'file=' + apk)
            real.run('install', '-r', apk)
            adb.passed(self, mine, 'adb.shell', 'command=rm /sdcard/f1; mkdir /sdcard/d')
            real.run('shell', 'rm /sdcard/f1; mkdir /sdcard/d')
            self.assertEqual(tree(mine), tree(theirs))
            self.assertEqual(os.stat(mine.path('/sdcard/f65536')).st_mode, os.stat(theirs.path('/sdcard/f65536')).st_mode)
            self.assertEqual(int(os.stat(mine.path('/sdcard/f65536')).st_mtime),
                             int(os.stat(theirs.path('/sdcard/f65536')).st_mtime))


RECIPE = """recipe: phone
version: 1
ports: {phone: {kind: tcp}}
artifacts: {application: firmware.bin}
steps:
  - {id: root, action: adb.root, with: {port: phone, authorize: 10s}}
  - {id: remount, action: adb.remount, with: {port: phone}}
  - id: push
    action: adb.push
    with: {port: phone, file: '${artifacts.application}', path: /system/vendor/app.bin, sync: true}
  - {id: reboot, action: adb.reboot, with: {port: phone, boot_completed: true}}
  - {id: serial, action: adb.shell, with: {port: phone, args: [getprop, ro.serialno], expect: '^(SIM.*)$'}}
  - id: check
    action: adb.shell
    with: {port: phone, command: 'echo "$1" && sha256sum "$2"', args: ['${steps.serial.match1}', '${steps.push.sha256}']}
    on_fail: continue
"""


class Stations(unittest.TestCase):
    def test_two_stations_make_phones_with_one_key(self):
        with adb.Phone('--adb-auth', 'any') as a, adb.Phone('--adb-auth', 'any') as b, line.Line(0, boards=0) as l:
            with open(os.path.join(l.home, 'stations.d', 'line.yaml'), 'w') as f:
                f.write('stations:\n' + ''.join(
                    "  - {id: P%d, title: Phone %d, start: manual, ports: {phone: {tcp: '127.0.0.1:%d'}}}\n" %
                    (i, i, phone.port) for i, phone in ((1, a), (2, b))))
            l.start()
            image = line.firmware(300000)
            l.put_firmware(image)
            l.put_recipe(RECIPE)
            job = l.api.post('/jobs', {'recipe': 'phone', 'quantity': 2})['id']
            for i in (1, 2):
                line.wait_for('P%d is ready' % i, lambda: l.api.get('/stations/P%d' % i)['state'] == 'ready')
                l.api.post('/stations/P%d/actions/start' % i)
            runs = line.wait_for('both end', lambda: (lambda r: r if len(r) == 2 else None)(
                l.api.get('/runs?state=finished')['items']))
            for run in runs:
                steps = {s['id']: s for s in l.api.get('/runs/%s/steps' % run['id'])['items']}
                for name in ('root', 'remount', 'push', 'reboot', 'serial'):
                    self.assertEqual(steps[name]['outcome'], 'passed', steps[name])
                # A digest is the name of no file: the step's failure is the run's.
                self.assertEqual((run['outcome'], steps['check']['code']), ('failed', 'device-refused'), steps['check'])
                self.assertEqual(steps['push']['evidence']['sha256_read'], line.sha256(image))
                self.assertEqual(steps['reboot']['evidence']['same_unit_by'], 'ro.serialno before and after')
            for phone in (a, b):
                self.assertEqual(phone.read('/system/vendor/app.bin'), image)
            keys = set()
            for phone in (a, b):
                with open(phone.unit_file('adb_keys')) as f:
                    keys.add(f.read().split()[0])
            self.assertEqual(len(keys), 1)
            self.assertTrue(job)


if __name__ == '__main__':
    adb.main()
