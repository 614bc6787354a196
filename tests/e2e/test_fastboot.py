#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The virtual fastboot device, first with Debian's fastboot, then with provd: the same partitions
afterwards, and the same words on the wire where nothing is said against it.

    test_fastboot.py [BUILD]
"""
import os
import subprocess
import tempfile
import threading
import time
import unittest
import zipfile

import fastboot_bench
import line
from fastboot_bench import Bench, Proxy

RAW = line.firmware(1 << 20, 1) + bytes(700000) + line.firmware(300001, 2)
# fastboot 29 cannot split a raw file that ends within a block: it says "don't care size .. is not a
# multiple of the block size", and sends a broken sparse image.
BLOCKS = RAW[:len(RAW) // 4096 * 4096]
LIMIT = '512K'

# What provd asks for in addition to the reference client, to know more before it writes and after.
EXTRA = ('getvar:version', 'getvar:unlocked', 'getvar:partition-size:', 'getvar:max-fetch-size',
         'getvar:serialno')
# What the reference client asks for in addition to provd: 29 warns of a partition that may want a format.
LIMITED = ('getvar:max-download-size',)  # it does not ask where -S says it
LESS = ('getvar:partition-type:', 'getvar:slot-count')


def padded(data, size):
    return data + bytes(size - len(data))


def words(log, drop):
    """Commands and data, without frame sizes and without what only one side says."""
    said = []
    for entry in log:
        if entry[0] == '>' and not entry[1].startswith(drop):
            said.append(entry[1])
        elif entry[0] == 'data':
            said.append((entry[1], entry[2]))
    return said


class Reference(unittest.TestCase):
    """Debian's client on our device: what it says is what the device is built after."""

    def check(self, link):
        with Bench(link) as b:
            raw = b.file('raw', BLOCKS)
            simg = fastboot_bench.sparse(b, 'x.simg', RAW)
            self.assertIn('version: 0.4', b.fastboot('getvar', 'version'))
            self.assertIn('has-slot:boot:yes', b.fastboot('getvar', 'all'))
            b.fastboot('flash', 'boot', raw)
            self.assertEqual(b.partition('boot_a'), padded(BLOCKS, 8 << 20))
            b.fastboot('-S', LIMIT, 'flash', 'userdata', raw)
            self.assertEqual(b.partition('userdata', len(BLOCKS)), BLOCKS)
            b.fastboot('flash', 'cache', simg)
            self.assertEqual(b.partition('cache'), padded(RAW, 8 << 20))
            b.fastboot('erase', 'cache')
            self.assertEqual(b.partition('cache'), bytes(8 << 20))
            b.fastboot('-S', LIMIT, 'flash', 'cache', simg)
            self.assertEqual(b.partition('cache'), padded(RAW, 8 << 20))
            b.fastboot('set_active', 'b')
            self.assertIn('current-slot: b', b.fastboot('getvar', 'current-slot'))
            self.assertIn('Device unlocked: true', b.fastboot('oem', 'device-info'))
            self.assertIn('unknown', b.fastboot('oem', 'nonsense', status=1))
            b.fastboot('reboot', 'bootloader')
            b.at('bootloader')
            self.assertIn('slot-count: 2', b.fastboot('getvar', 'slot-count'))
            b.fastboot('reboot')
            b.at('system')

    def test_over_tcp(self):
        self.check('tcp')

    def test_over_udp(self):
        self.check('udp')

    def test_over_udp_that_loses_doubles_and_delays(self):
        with Bench('udp') as b:
            for f in ('udp-drop=97,count=0', 'udp-dup=5,count=0', 'udp-reorder=149,count=0'):
                b.fault(f)
            b.fastboot('flash', 'boot', b.file('raw', RAW[:300000]))
            self.assertEqual(b.partition('boot_a', 300000), RAW[:300000])

    def test_a_package(self):
        files = fastboot_bench.package(vendor_img=None)
        del files['vbmeta.img']
        with Bench('tcp', '--partitions', 'boot:8M:s,system:16M:s,userdata:4M,cache:1M') as b:
            zip_path = fastboot_bench.write_zip(os.path.join(b.home, 'p.zip'), files)
            b.fastboot('--skip-reboot', 'update', zip_path)
            for name in ('boot', 'system'):
                data = files[name + '.img']
                self.assertEqual(b.partition(name + '_a', len(data)), data)
            for name, data in files.items():
                b.file('out/' + name, data)
            b.fastboot('erase', 'system_a')
            b.fastboot('--skip-reboot', 'flashall', env={'ANDROID_PRODUCT_OUT': os.path.join(b.home, 'out')})
            self.assertEqual(b.partition('system_a', len(files['system.img'])), files['system.img'])

    def test_a_locked_device_refuses(self):
        with Bench('tcp', '--locked', '1') as b:
            self.assertIn('locked', b.fastboot('flash', 'boot', b.file('raw', RAW), status=1))
            self.assertEqual(b.partition('boot_a'), bytes(8 << 20))


class Provd(unittest.TestCase):
    def check(self, link):
        with Bench(link, '--fetch', '2') as b:
            raw = b.file('raw', RAW)
            simg = fastboot_bench.sparse(b, 'x.simg', RAW)
            step = b.passes('fastboot.flash', 'partition=boot', 'image=' + raw)
            self.assertEqual(b.partition('boot_a'), padded(RAW, 8 << 20))
            w = step['evidence']['written'][0]
            self.assertEqual((w['proof'], w['sha256_read'], w['bytes_read'], w['pieces']),
                             ('fetched', line.sha256(RAW), len(RAW), 1))
            step = b.passes('fastboot.flash', 'partition=userdata', 'image=' + raw, 'limit=' + LIMIT)
            self.assertEqual(b.partition('userdata', len(RAW)), RAW)
            self.assertEqual(step['evidence']['written'][0]['sha256_read'], line.sha256(RAW))
            self.assertGreater(step['outputs']['pieces'], 2)
            b.passes('fastboot.flash', 'partition=cache', 'image=' + simg)
            self.assertEqual(b.partition('cache'), padded(RAW, 8 << 20))
            b.passes('fastboot.erase', 'partition=cache')
            self.assertEqual(b.partition('cache'), bytes(8 << 20))
            b.passes('fastboot.flash', 'partition=cache', 'image=' + simg, 'limit=' + LIMIT)
            self.assertEqual(b.partition('cache'), padded(RAW, 8 << 20))
            before = b.ctl('list')['boards'][0]['counters']['flashes']
            step = b.passes('fastboot.flash', 'partition=cache', 'image=' + simg, 'skip_equal=true')
            self.assertTrue(step['evidence']['written'][0]['skipped'])
            self.assertEqual(b.ctl('list')['boards'][0]['counters']['flashes'], before)
            b.passes('fastboot.set_active', 'slot=b')
            b.passes('fastboot.getvar', 'name=current-slot', 'expect=^b$')
            step = b.passes('fastboot.oem', 'command=device-info', r'expect=unlocked: (\S+)')
            self.assertEqual(step['outputs']['match1'], 'true')
            out = os.path.join(b.home, 'got')
            b.passes('fastboot.upload', 'partition=userdata', 'file=' + out, 'size=100001')
            with open(out, 'rb') as f:
                self.assertEqual(f.read(), RAW[:100001])
            step = b.passes('fastboot.reboot', 'to=bootloader')
            self.assertEqual(step['evidence']['came_back_as'], 'bootloader')
            step = b.passes('fastboot.reboot', 'to=fastboot')
            self.assertEqual(step['evidence']['came_back_as'], 'fastboot')
            b.passes('fastboot.reboot')
            b.at('system')

    def test_over_tcp(self):
        self.check('tcp')

    def test_over_udp(self):
        self.check('udp')

    def test_over_udp_that_loses_doubles_and_delays(self):
        with Bench('udp') as b:
            for f in ('udp-drop=97,count=0', 'udp-dup=5,count=0', 'udp-reorder=149,count=0'):
                b.fault(f)
            b.passes('fastboot.flash', 'partition=boot', 'image=' + b.file('raw', RAW[:300000]))
            self.assertEqual(b.partition('boot_a', 300000), RAW[:300000])

    def test_slots_and_all_of_them(self):
        with Bench('tcp') as b:
            raw = b.file('raw', RAW)
            b.passes('fastboot.flash', 'partition=boot', 'image=' + raw, 'slot=other')
            self.assertEqual(b.partition('boot_a'), bytes(8 << 20))
            self.assertEqual(b.partition('boot_b', len(RAW)), RAW)
            step = b.passes('fastboot.flash', 'partition=boot', 'image=' + raw, 'slot=all')
            self.assertEqual([w['partition'] for w in step['evidence']['written']], ['boot_a', 'boot_b'])
            self.assertEqual(b.partition('boot_a', len(RAW)), RAW)
            b.fails('unsupported', 'no slots', 'fastboot.flash', 'partition=cache', 'image=' + raw, 'slot=a')

    def test_what_does_not_fit_or_may_not_be_is_refused_before_a_byte_goes(self):
        with Bench('tcp') as b:
            raw = b.file('raw', RAW)
            b.fails('image-range', 'nothing was written', 'fastboot.flash', 'partition=metadata', 'image=' + raw)
            b.fails('image-invalid', 'cut off', 'fastboot.flash', 'partition=boot',
                    'image=' + b.file('boot.img', fastboot_bench.boot_image(bytes(5000))[:8000]))
            with open(fastboot_bench.sparse(b, 'x.simg', RAW), 'rb') as f:
                cut = f.read()[:-100]
            b.fails('image-invalid', 'offset 0x', 'fastboot.flash', 'partition=cache', 'image=' + b.file('cut', cut))
            self.assertEqual(b.ctl('list')['boards'][0]['counters']['downloads'], 0)
        with Bench('tcp', '--locked', '1') as b:
            raw = b.file('raw', RAW)
            for action, *args in (('flash', 'partition=boot', 'image=' + raw), ('erase', 'partition=cache'),
                                  ('set_active', 'slot=b'), ('boot', 'image=' + raw)):
                b.fails('device-refused', 'is locked', 'fastboot.' + action, *args)
            b.fails('recipe-invalid', 'accept_wipe', 'fastboot.flashing', 'command=unlock')
            step = b.passes('fastboot.flashing', 'command=unlock', 'accept_wipe=true')
            self.assertEqual((step['evidence']['before'], step['evidence']['lock'], step['evidence']['proof']),
                             ('locked', 'unlocked', 'observed'))
            b.passes('fastboot.flash', 'partition=boot', 'image=' + raw)

    def test_format_makes_a_file_system(self):
        with Bench('tcp') as b:
            step = b.passes('fastboot.format', 'partition=userdata')
            self.assertLess(step['evidence']['written'][0]['bytes'], 1 << 20)
            self.assertTrue(step['evidence']['program'].endswith('/mke2fs'))
            self.assertRegex(step['evidence']['version'], r'^\d+\.\d+')
            self.assertIn('Writing superblocks and filesystem accounting information: done', step['evidence']['lines'])
            self.assertEqual([n for n in os.listdir(b.home) if n.startswith('tool-')], [])
            image = os.path.join(b.home, 'units', 'b1', 'userdata.img')
            subprocess.run(['/usr/sbin/e2fsck', '-fn', image], check=True, capture_output=True)
            b.fails('unsupported', 'any_type', 'fastboot.format', 'partition=boot')

    def test_boot_from_memory(self):
        with Bench('tcp') as b:
            image = b.file('b.img', fastboot_bench.boot_image(line.firmware(50000, 3)))
            b.passes('fastboot.boot', 'image=' + image)
            b.at('system')
            self.assertEqual(b.ctl('list')['boards'][0]['counters']['boots'], 1)

    def test_an_avb_footer_moves_to_the_end_of_the_partition(self):
        body = fastboot_bench.boot_image(line.firmware(20000, 4))
        footer = b'AVBf' + bytes(range(60))
        with Bench('tcp', '--fetch', '2') as b:
            b.passes('fastboot.flash', 'partition=boot', 'image=' + b.file('b.img', body + footer))
            got = b.partition('boot_a')
            self.assertEqual((got[:len(body)], got[-64:]), (body, footer))
            self.assertEqual(got[len(body):-64], bytes(len(got) - len(body) - 64))

    def test_the_embedded_profile(self):
        with Bench('tcp', '--custom', '1', '--slots', '0', '--partitions', 'app:4M') as b:
            raw = b.file('raw', RAW)
            step = b.passes('fastboot.flash', 'profile=embedded', 'partition=app', 'image=' + raw)
            self.assertEqual(b.partition('app', len(RAW)), RAW)
            self.assertEqual(step['evidence']['written'][0]['proof'], 'acknowledged')
            b.passes('fastboot.reboot', 'profile=embedded')
            b.at('system')
        with Bench('tcp') as b:
            b.fails('device-refused', 'control characters', 'fastboot.flash', 'profile=embedded', 'partition=cache',
                    'image=' + b.file('raw', RAW))

    def test_max_download_size_missing_decimal_and_hexadecimal(self):
        for said, pieces in (('none', 1), ('524288', 3), ('0x80000', 3), ('nonsense', 1)):
            with Bench('tcp', '--max-download', said) as b:
                step = b.passes('fastboot.flash', 'partition=cache', 'image=' + b.file('raw', RAW))
                self.assertEqual((said, step['outputs']['pieces'] > 1), (said, pieces > 1))
                self.assertEqual(b.partition('cache', len(RAW)), RAW)


class Watched(unittest.TestCase):
    """A large file is sent as it is, and not copied before: who opens it to write meanwhile is seen."""

    def flash(self, when):
        wrote = []
        with Bench('tcp', '--partitions', 'userdata:32M', '--max-download', '0x4000000') as b:
            image = b.file('large', line.firmware(20 << 20, 5))

            def write():
                with open(image, 'r+b') as f:
                    f.write(b'other')
                wrote.append(True)

            class Meddler(Proxy):
                def note(self, way, body, state):
                    super().note(way, body, state)
                    if way == '>' and body.startswith(when):
                        threading.Thread(target=write, daemon=True).start()
                        time.sleep(0.3)
            p = Meddler(b.port)
            status, step, whole = b.exec('fastboot.flash', 'partition=userdata', 'image=' + image, 'verify=none', address=p.address)
            line.wait_for('the writer goes on', lambda: wrote)
            p.close()
            return status, whole

    def test_a_file_that_is_opened_to_write_while_it_is_sent_passes_nothing(self):
        for when in (b'download:', b'flash:'):
            with self.subTest(when):
                status, whole = self.flash(when)
                self.assertEqual((status != 0, whole['passed'], whole['code']), (True, False, 'image-invalid'), whole)
                self.assertIn('was opened for writing', whole['message'])


class Packages(unittest.TestCase):
    def check_partitions(self, b, files):
        for name in ('boot', 'vbmeta', 'system', 'vendor'):
            data = files[name + '.img']
            self.assertEqual(b.partition(name + '_a', len(data)), data, name)

    def test_a_zip_with_logical_partitions_goes_through_fastbootd(self):
        files = fastboot_bench.package(super_empty_img=b'gDla' + bytes(8188))
        with Bench('tcp') as b:
            zip_path = fastboot_bench.write_zip(os.path.join(b.home, 'p.zip'), files)
            step = b.passes('fastboot.flashall', 'package=' + zip_path, 'wipe=true')
            self.check_partitions(b, files)
            self.assertEqual(step['evidence']['order'],
                             ['flash boot_a', 'flash vbmeta_a', 'update-super super', 'flash system_a',
                              'flash vendor_a', 'erase userdata', 'erase cache', 'erase metadata'])
            self.assertEqual([w['proof'] for w in step['evidence']['written']],
                             ['acknowledged', 'acknowledged', 'fetched', 'fetched'])
            heard = b.commands()
            self.assertIn('reboot-fastboot', heard)
            # fastbootd takes less at once: asked for again, and kept to.
            after = heard[heard.index('reboot-fastboot'):]
            self.assertIn('getvar:max-download-size', after)
            self.assertIn('resize-logical-partition:system_a:0', after)
            b.at('system')

    def test_a_directory_with_its_own_order(self):
        info = b'version 1\n# first things first\nflash vbmeta\nflash boot\nreboot fastboot\n' \
               b'update-super\nflash vendor\nflash system\nif-wipe erase userdata\n'
        files = fastboot_bench.package(super_empty_img=b'gDla' + bytes(8188), fastboot_info_txt=None)
        files['fastboot-info.txt'] = info
        with Bench('tcp') as b:
            for name, data in files.items():
                b.file('out/' + name, data)
            step = b.passes('fastboot.flashall', 'dir=' + os.path.join(b.home, 'out'), 'reboot=false')
            self.check_partitions(b, files)
            self.assertEqual(step['evidence']['order'],
                             ['flash vbmeta_a', 'flash boot_a', 'reboot fastboot', 'update-super super',
                              'flash vendor_a', 'flash system_a'])
            b.at('fastbootd')

    def test_requirements_come_first(self):
        for info, says in (('require product=other|another\n', "'provsim'"),
                           ('require version-bootloader=sim-2*\n', "'sim-1.2'"),
                           ('reject product=prov*\n', 'rejects'),
                           ('require-for-product:provsim version-baseband=radio-8\n', 'radio-7'),
                           ('require partition-exists=modem\n', 'modem'),
                           ('require nothing=1\n', 'does not say')):
            with Bench('tcp') as b:
                zip_path = fastboot_bench.write_zip(os.path.join(b.home, 'p.zip'), fastboot_bench.package(info))
                b.fails('preflight', says, 'fastboot.flashall', 'package=' + zip_path)
                self.assertEqual(b.ctl('list')['boards'][0]['counters']['downloads'], 0)
        with Bench('tcp', '--partitions', 'boot:8M:s,vbmeta:64K:s,system:16M:s,vendor:8M:s') as b:
            good = 'require board=provsim\nrequire-for-product:other version-baseband=9\n' \
                   'require version-bootloader=sim-2|sim-1*\nrequire partition-exists=vendor\n'
            files = fastboot_bench.package(good)
            zip_path = fastboot_bench.write_zip(os.path.join(b.home, 'p.zip'), files)
            b.passes('fastboot.flashall', 'package=' + zip_path, 'reboot=false')
            self.check_partitions(b, files)

    FACTORY = ('--partitions', 'bootloader:4M,radio:4M,boot:8M:s,vbmeta:64K:s,system:16M:s,vendor:8M:s,userdata:64M,cache:32M,metadata:32M')
    NEEDS = 'require product=provsim\nrequire version-bootloader=sim-2.0\nrequire version-baseband=radio-8\n'

    def factory(self, b, files, **kw):
        return fastboot_bench.write_zip(os.path.join(b.home, 'factory.zip'), fastboot_bench.factory(b.home, files, **kw))

    def test_a_factory_image_is_flashed_as_its_script_does(self):
        files = fastboot_bench.package(self.NEEDS)
        changes = []
        # The script itself, with Debian's fastboot; without -w, for which that needs a mke2fs with Android's own configuration.
        with Bench('tcp', *self.FACTORY) as b:
            with zipfile.ZipFile(self.factory(b, files, script=fastboot_bench.FLASH_ALL.replace(' -w', ''))) as z:
                z.extractall(b.home)
            tools = os.path.join(b.home, 'bin')
            os.mkdir(tools)
            with open(os.path.join(tools, 'fastboot'), 'w') as f:
                f.write('#!/bin/sh\n[ "$1" = --version ] && exec %s --version\nexec %s -s %s "$@"\n' % (fastboot_bench.FASTBOOT, fastboot_bench.FASTBOOT, b.link))
            os.chmod(os.path.join(tools, 'fastboot'), 0o755)
            r = subprocess.run(['sh', 'flash-all.sh'], cwd=os.path.join(b.home, 'sim-2026'), capture_output=True, text=True, timeout=60,
                               env=dict(os.environ, PATH=tools + ':' + os.environ['PATH']))
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.check_partitions(b, files)
            changes.append([c for c in b.commands() if not c.startswith(('getvar:', 'download:'))])
        with Bench('tcp', *self.FACTORY) as b:
            step = b.passes('fastboot.flashall', 'package=' + self.factory(b, files))
            self.check_partitions(b, files)
            self.assertEqual(step['evidence']['order'][:5],
                             ['flash bootloader', 'reboot bootloader', 'flash radio', 'reboot bootloader', 'flash boot_a'])
            self.assertEqual((step['evidence']['order'][-3:], step['evidence']['requirements'], step['evidence']['factory']),
                             (['erase userdata', 'erase cache', 'erase metadata'], 3, 'image-sim.zip'))
            changes.append([c for c in b.commands() if not c.startswith(('getvar:', 'download:'))])
        theirs, ours = [[c for c in x if c.startswith(('flash:', 'reboot'))] for x in changes]
        self.assertEqual(ours, theirs)

    def test_of_a_factory_image_all_is_checked_before_the_first_write(self):
        good = fastboot_bench.package(self.NEEDS)
        cases = (('image-invalid', 'no image-sim.zip', {'image-sim.zip': None}, good),
                 ('image-invalid', 'no radio-sim-8.img', {'radio-sim-8.img': None}, good),
                 ('image-invalid', 'web page', {'bootloader-sim-2.0.img': b'<!DOCTYPE html><html><body>Not found</body></html>'}, good),
                 ('image-invalid', 'no system.img', {}, fastboot_bench.package(self.NEEDS, system_img=None)),
                 ('image-invalid', 'line 1', {'flash-all.sh': b'fastboot oem unlock\n'}, good),
                 ('image-invalid', 'line 2', {'flash-all.sh': b'fastboot -w update image-sim.zip\nfastboot flash radio radio-sim-8.img\n'}, good),
                 ('image-invalid', 'line 1', {'flash-all.sh': b'fastboot flash bootloader $(ls bootloader*)\n'}, good),
                 ('image-invalid', 'no \'fastboot update FILE\'', {'flash-all.sh': b'echo\n'}, good),
                 ('image-range', 'nothing was written', {'radio-sim-8.img': bytes(5 << 20) + b'x'}, good),
                 ('preflight', "'provsim'", {}, fastboot_bench.package('require product=other\n')))
        with Bench('tcp', *self.FACTORY) as b:
            for code, says, extra, files in cases:
                with self.subTest(says):
                    b.fails(code, says, 'fastboot.flashall', 'package=' + self.factory(b, files, **extra))
            self.assertEqual(b.ctl('list')['boards'][0]['counters']['downloads'], 0)
            # The bootloader that came is another one than the package asks for: its images are not flashed.
            b.fails('preflight', 'sim-3', 'fastboot.flashall', 'package=' + self.factory(
                b, good, **{'bootloader-sim-2.0.img': fastboot_bench.firmware_of('sim-3')}))
            self.assertNotIn('flash:boot_a', b.commands())

    def test_a_factory_image_goes_in_again_where_an_attempt_ended_in_fastbootd(self):
        files = fastboot_bench.package(self.NEEDS)
        with Bench('tcp', *self.FACTORY) as b:
            path = self.factory(b, files)
            b.passes('fastboot.reboot', 'to=fastboot')
            step = b.passes('fastboot.flashall', 'package=' + path)
            self.check_partitions(b, files)
            self.assertEqual(step['evidence']['order'][:3], ['reboot bootloader', 'flash bootloader', 'reboot bootloader'])
            heard = b.commands()
            self.assertLess(heard.index('reboot-bootloader'), heard.index('flash:bootloader'))

    def test_a_bad_package_is_refused_before_the_device_is_asked(self):
        with Bench('tcp') as b:
            def package_of(files):
                return 'package=' + fastboot_bench.write_zip(os.path.join(b.home, 'p.zip'), files)
            b.fails('image-invalid', 'no system.img', 'fastboot.flashall',
                    package_of(fastboot_bench.package(system_img=None)))
            b.fails('image-invalid', 'no android-info.txt', 'fastboot.flashall', package_of({'boot.img': b'x'}))
            files = fastboot_bench.package()
            files['fastboot-info.txt'] = b'version 1\nflash boot\nfrobnicate\n'
            b.fails('image-invalid', 'line 3', 'fastboot.flashall', package_of(files))
            files['fastboot-info.txt'] = b'version 1\nflash boot ../../etc/passwd\n'
            b.fails('image-invalid', 'etc/passwd', 'fastboot.flashall', package_of(files))
            b.fails('image-invalid', 'zip', 'fastboot.flashall', 'package=' + b.file('x.zip', b'PK\3\4' + bytes(99)))
            self.assertEqual(b.commands(), [])


class SameWords(unittest.TestCase):
    """Each command of the reference client and of provd on the same device, through a proxy that
    writes it down."""

    def both(self, reference, action, args, device=(), before=None, drop=()):
        said = []
        for mine in (False, True):
            with Bench('tcp', *device) as b:
                raw = b.file('raw', BLOCKS)
                simg = fastboot_bench.sparse(b, 'x.simg', RAW)
                names = {'raw': raw, 'simg': simg}
                if before:
                    before(b)
                p = Proxy(b.port)
                if mine:
                    b.passes(action, *[a.format(**names) for a in args], address=p.address)
                else:
                    b.fastboot(*[a.format(**names) for a in reference], address=p.address)
                p.close()
                said.append(words(p.take(), EXTRA + drop if mine else LESS))
        self.assertEqual(said[0], said[1])
        return said[1]

    def test_flash_of_a_raw_image(self):
        said = self.both(['flash', 'boot', '{raw}'], 'fastboot.flash', ['partition=boot', 'image={raw}'])
        self.assertEqual(said[-3:], ['download:%08x' % len(BLOCKS), (len(BLOCKS), line.sha256(BLOCKS)), 'flash:boot_a'])

    def test_flash_of_a_raw_image_in_pieces(self):
        said = self.both(['-S', LIMIT, 'flash', 'userdata', '{raw}'], 'fastboot.flash',
                         ['partition=userdata', 'image={raw}', 'limit=' + LIMIT], drop=LIMITED)
        self.assertGreater(said.count('flash:userdata'), 2)

    def test_flash_over_the_device_s_own_limit(self):
        self.both(['flash', 'userdata', '{raw}'], 'fastboot.flash', ['partition=userdata', 'image={raw}'],
                  device=('--max-download', '0x60000'))

    def test_flash_of_a_sparse_image_whole_and_in_pieces(self):
        self.both(['flash', 'cache', '{simg}'], 'fastboot.flash', ['partition=cache', 'image={simg}'])
        self.both(['-S', LIMIT, 'flash', 'cache', '{simg}'], 'fastboot.flash',
                  ['partition=cache', 'image={simg}', 'limit=' + LIMIT], drop=LIMITED)

    def test_flash_of_a_logical_partition(self):
        def into_fastbootd(b):
            b.passes('fastboot.reboot', 'to=fastboot')
        self.both(['flash', 'system', '{raw}'], 'fastboot.flash',
                  ['partition=system', 'image={raw}', 'verify=none'], before=into_fastbootd)

    def test_erase_set_active_and_oem(self):
        self.both(['erase', 'cache'], 'fastboot.erase', ['partition=cache'])
        self.both(['set_active', 'b'], 'fastboot.set_active', ['slot=b'],
                  drop=('getvar:current-slot',))
        self.both(['oem', 'echo', 'hello'], 'fastboot.oem', ['command=echo hello'])
        self.both(['getvar', 'product'], 'fastboot.getvar', ['name=product'])


class Pieces(unittest.TestCase):
    """What goes over the wire, unfolded by simg2img, is the raw file."""

    def test_pieces_overlaid_by_simg2img_are_the_raw_file(self):
        with tempfile.TemporaryDirectory() as home, Bench('tcp') as b:
            seen = []

            class Keep(Proxy):
                def note(self, way, body, state):
                    before = state.get('want', 0)
                    super().note(way, body, state)
                    if before and not state['want']:
                        seen.append(state['bytes'])
            p = Keep(b.port)
            for limit in ('64K', '300000', '512K'):
                for image in (b.file('raw', RAW), fastboot_bench.sparse(b, 'x.simg', RAW)):
                    seen.clear()
                    b.passes('fastboot.flash', 'partition=cache', 'image=' + image, 'limit=' + limit,
                             address=p.address)
                    names = []
                    for i, piece in enumerate(seen):
                        names.append(os.path.join(home, 'piece%d' % i))
                        with open(names[-1], 'wb') as f:
                            f.write(piece)
                    out = os.path.join(home, 'out')
                    subprocess.run(['simg2img', *names, out], check=True, capture_output=True)
                    with open(out, 'rb') as f:
                        got = f.read()
                    self.assertEqual(got[:len(RAW)], RAW)
                    self.assertFalse(got[len(RAW):].strip(b'\0'))
                    os.unlink(out)
            p.close()


class OnALine(unittest.TestCase):
    """recipes/phone.yaml by provd itself, on a station that names the device's address."""

    def test_the_example_recipe(self):
        files = fastboot_bench.package(super_empty_img=b'gDla' + bytes(8188))
        with Bench('tcp') as b, line.Line(stations=0) as l:
            with open(os.path.join(l.home, 'stations.d', 'line.yaml'), 'w') as f:
                f.write('stations:\n  - id: P1\n    title: Phones\n    ports: {dut: {tcp: "127.0.0.1:%d"}}\n' % b.port)
            l.start()
            with open(fastboot_bench.write_zip(os.path.join(b.home, 'p.zip'), files), 'rb') as f:
                l.put_firmware(f.read(), 'package.zip')
            with open(fastboot_bench.sparse(b, 'x.simg', RAW), 'rb') as f:
                l.put_firmware(f.read(), 'cache.img')
            with open(os.path.join(line.ROOT, 'recipes', 'phone.yaml')) as f:
                l.put_recipe(f.read())
            job = l.api.post('/jobs', {'recipe': 'phone', 'quantity': 1})['id']
            l.api.post('/stations/P1/actions/start', {})
            self.assertEqual(l.job_done(job)['passed'], 1, l.api.get('/runs')['items'])
            self.assertEqual(b.partition('cache', len(RAW)), RAW)
            for name in ('boot', 'vbmeta', 'system', 'vendor'):
                data = files[name + '.img']
                self.assertEqual(b.partition(name + '_a', len(data)), data, name)
            b.at('system')


if __name__ == '__main__':
    line.main()
