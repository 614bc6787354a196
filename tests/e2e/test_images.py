#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware files of other people's making: provctl image info against binutils, srecord, dfu-suffix
and the firmware of Debian packages.

    test_images.py [BUILD]
"""
import glob
import hashlib
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

import line

BUILD = sys.argv.pop(1) if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]) else os.environ['PROVD_BUILD']
PROVCTL = os.path.join(BUILD, 'cli', 'provctl')
AVR = '/usr/share/arduino/hardware/arduino/avr'
OPTIBOOT = AVR + '/bootloaders/optiboot'
MICROBIT = '/usr/share/firmware-microbit-micropython/firmware.hex'
UBERTOOTH = '/usr/share/ubertooth/firmware'
SEABIOS = '/usr/share/seabios/bios.bin'


def info(path, *more):
    """(exit status, what was said): the JSON object, or the sentence of the refusal."""
    p = subprocess.run([PROVCTL, '--json', 'image', 'info', path, *more], capture_output=True, text=True)
    return p.returncode, json.loads(p.stdout) if p.returncode == 0 else p.stderr


def payload(parts):
    h = hashlib.sha256()
    for address, data in parts:
        h.update(struct.pack('<QQ', address, len(data)) + data)
    return h.hexdigest()


def need(*paths):
    return unittest.skipUnless(all(os.path.exists(p) or shutil.which(p) for p in paths),
                               'missing: %s (scripts/install-deps test)' % ', '.join(paths))


class Files(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-images-')
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), 'wb') as f:
            f.write(data)
        return self.path(name)

    def run_tool(self, *argv):
        p = subprocess.run(argv, capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, '%s: %s' % (argv, p.stderr + p.stdout))

    def info(self, path, *more):
        status, o = info(path, *more)
        self.assertEqual(status, 0, o)
        return o

    def refused(self, path, pattern, *more):
        status, text = info(path, *more)
        self.assertEqual(status, 3, text)
        self.assertRegex(text, pattern)

    def elf(self, parts, name='fw.elf', entry=0x08000101):
        """An ELF file of 32 bits for i386 (which every binutils knows), one PT_LOAD and one section for each part."""
        head, phdr, shdr = 52, 32, 40
        at = head + phdr * len(parts)
        phdrs, body, sections = b'', b'', b'\0' * shdr
        names = b'\0.shstrtab\0'
        for i, (address, data) in enumerate(parts):
            phdrs += struct.pack('<8I', 1, at + len(body), address, address, len(data), len(data), 5, 4)
            sections += struct.pack('<10I', len(names), 1, 6, address, at + len(body), len(data), 0, 0, 4, 0)
            names += b'.p%d\0' % i
            body += data
        sections += struct.pack('<10I', 1, 3, 0, 0, at + len(body), len(names), 0, 0, 1, 0)
        shoff = at + len(body) + len(names)
        ident = b'\x7fELF\1\1\1' + bytes(9)
        header = ident + struct.pack('<HHIIIIIHHHHHH', 2, 3, 1, entry, head, shoff, 0x05000000, head, phdr,
                                     len(parts), shdr, len(parts) + 2, len(parts) + 1)
        return self.write(name, header + phdrs + body + names + sections)


class Packed(Files):
    """Firmware as people have it: on a bench, and on a line of eight boards from one upload."""

    def test_a_row_of_boards_has_what_is_in_the_archive(self):
        fw = bytes(random.Random(7).randbytes(40000))
        recipe = ("recipe: packed\nversion: 1\nunit: {serial: {pool: production-sn}}\nports: {console: {kind: tty}}\n"
                  "artifacts: {application: firmware.tar.xz}\nsteps:\n"
                  "  - id: flash\n    action: serialboot.flash\n"
                  "    with: {port: console, image: '${artifacts.application}', member: build/app.bin, boot: true}\n")
        with tempfile.TemporaryDirectory() as d, line.Line(8) as l:
            os.mkdir(d + '/build')
            for name, data in (('app.bin', fw), ('notes.txt', b'not firmware')):
                with open(d + '/build/' + name, 'wb') as f:
                    f.write(data)
            subprocess.run(['tar', 'cJf', 'fw.tar.xz', 'build'], cwd=d, check=True)
            with open(d + '/fw.tar.xz', 'rb') as f:
                packed = f.read()
            l.start()
            l.api.post('/pools', {'id': 'production-sn', 'pattern': 'P{seq:04}', 'first': 1, 'last': 99})
            l.put_firmware(packed, 'firmware.tar.xz')
            l.put_recipe(recipe)
            job = l.api.post('/jobs', {'recipe': 'packed', 'quantity': 8})
            self.assertEqual(l.job_done(job['id'])['passed'], 8)
            runs = l.api.get('/runs?job_id=' + job['id'])['items']
            evidence = l.api.get('/runs/%s/report' % runs[0]['id'])['steps'][0]['evidence']
            self.assertEqual(evidence['sha256_read'], line.sha256(fw))
            self.assertEqual(evidence['image']['packed'],
                             {'how': 'xz, tar', 'name': 'build/app.bin', 'sha256': line.sha256(fw)})
            self.assertEqual({flash[:len(fw)] == fw for _, _, flash in l.sim.units()}, {True})

    @need('xz', 'zstd')
    def test_packed_files_hold_what_went_in(self):
        plain = self.write('fw.hex', b':020000040800F2\n:10000000000102030405060708090A0B0C0D0E0F78\n:00000001FF\n')
        want = self.info(plain)
        for tool, ending in (('gzip', 'gz'), ('xz', 'xz'), ('zstd', 'zst'), ('bzip2', 'bz2')):
            self.run_tool(tool, '-k', '-q', plain)
            o = self.info(plain + '.' + ending)
            self.assertEqual((o['payload_sha256'], o['format'], o['packed']['name']), (want['payload_sha256'], 'ihex', 'fw.hex'))
            with open(plain + '.' + ending, 'rb') as f:
                data = f.read()
            self.refused(self.write('cut.hex.' + ending, data[:-3]), 'not whole')
        with zipfile.ZipFile(self.path('all.zip'), 'w') as z:
            z.write(plain, 'release/fw.hex')
            z.writestr('README.txt', 'read me')
        self.assertEqual(self.info(self.path('all.zip'), '--member', 'release/fw.hex')['payload_sha256'], want['payload_sha256'])
        self.refused(self.path('all.zip'), 'TI-TXT', '--member', 'README.txt')


class CrossTools(Files):
    @need('objcopy')
    def test_objcopy_makes_the_same_content_in_every_format(self):
        r = random.Random(3)
        parts = [(0x08000000, r.randbytes(5000)), (0x08002000, r.randbytes(77)), (0x08010000, r.randbytes(70000))]
        elf = self.elf(parts)
        want = payload(parts)
        for target in ('ihex', 'srec'):
            self.run_tool('objcopy', '-O', target, elf, self.path(target))
            got = self.info(self.path(target))
            self.assertEqual((got['format'], got['payload_sha256'], got['entry']), (target, want, '0x08000101'))
        got = self.info(elf)
        self.assertEqual((got['format'], got['payload_sha256'], got['entry']), ('elf', want, '0x08000101'))
        self.assertEqual(got['segments'], [{'address': '0x%08x' % a, 'length': len(d)} for a, d in parts])

    @need('objcopy')
    def test_a_raw_binary_of_one_part_is_the_same_at_its_address(self):
        parts = [(0x08010000, random.Random(4).randbytes(3000))]
        elf = self.elf(parts)
        self.run_tool('objcopy', '-O', 'binary', elf, self.path('bin'))
        got = self.info(self.path('bin'), '--address', '0x08010000')
        self.assertEqual(got['payload_sha256'], payload(parts))
        self.assertEqual(self.info(elf)['payload_sha256'], payload(parts))

    @need('objcopy')
    def test_a_raw_binary_that_holds_a_gap_of_256_MiB_is_refused_by_its_size(self):
        elf = self.elf([(0, b'code'), (0x100010c0, b'uicr')])
        self.run_tool('objcopy', '-O', 'binary', elf, self.path('bin'))
        self.refused(self.path('bin'), r'268439748 bytes, more than 64 MiB .*the ELF or HEX file')
        self.assertEqual(self.info(elf)['bytes'], 8)

    @need('srec_cat', 'objcopy')
    def test_srec_cat_writes_what_is_read_back_equal(self):
        r = random.Random(5)
        parts = [(0x1000, r.randbytes(333)), (0x20000, r.randbytes(4096)), (0x01000000, r.randbytes(10))]
        elf = self.elf(parts)
        self.run_tool('objcopy', '-O', 'srec', elf, self.path('srec'))
        for name, *more in (('a', '-motorola'), ('b', '-motorola', '-address-length=4'), ('c', '-intel'),
                            ('d', '-intel', '-obs=7'), ('e', '-motorola', '-obs=31'),
                            ('f', '-intel', '-line-length=44')):
            self.run_tool('srec_cat', self.path('srec'), '-motorola', '-o', self.path(name), *more)
            self.assertEqual(self.info(self.path(name))['payload_sha256'], payload(parts), more)

    @need('srec_cat')
    def test_a_16_bit_segmented_file_is_read_as_srec_cat_reads_it(self):
        data = random.Random(6).randbytes(0x12345)
        raw = self.write('raw', data)
        self.run_tool('srec_cat', raw, '-binary', '-offset', '0x8000', '-o', self.path('i16'), '-intel',
                      '-address-length=3')
        with open(self.path('i16')) as f:
            self.assertRegex(f.read(), '(?m)^:02000002')
        self.assertEqual(self.info(self.path('i16'))['payload_sha256'], payload([(0x8000, data)]))

    @need('dfu-suffix')
    def test_dfu_suffix_adds_what_is_checked_and_taken_off(self):
        data = random.Random(7).randbytes(2000)
        path = self.write('fw.dfu', data)
        self.run_tool('dfu-suffix', '-v', '0483', '-p', 'df11', '-d', '0200', '-a', path)
        got = self.info(path, '--address', '0x08000000')
        self.assertEqual((got['format'], got['inner']), ('dfu', 'bin'))
        self.assertEqual(got['dfu'], {'vid': '0x0483', 'pid': '0xdf11', 'device': '0x0200'})
        self.assertEqual(got['payload_sha256'], payload([(0x08000000, data)]))
        with open(path, 'rb') as f:
            whole = f.read()
        self.refused(self.write('bad.dfu', whole[:100] + b'x' + whole[101:]), 'DFU suffix: the checksum is wrong')


class RealFiles(Files):
    @need(MICROBIT)
    def test_the_microbit_firmware_is_read_with_its_gap_and_its_entry(self):
        got = self.info(MICROBIT)
        self.assertEqual((got['format'], got['segment_count'], got['entry']), ('ihex', 2, '0x0001ccd9'))
        self.assertEqual([s['address'] for s in got['segments']], ['0x00000000', '0x100010c0'])
        self.assertEqual(len(got['notes']), 1)
        self.assertIn('256 MiB', got['notes'][0])

    @need(MICROBIT, 'objcopy')
    def test_the_microbit_firmware_is_what_binutils_reads(self):
        self.run_tool('objcopy', '-I', 'ihex', '-O', 'srec', MICROBIT, self.path('srec'))
        self.assertEqual(self.info(self.path('srec'))['payload_sha256'], self.info(MICROBIT)['payload_sha256'])

    @need(OPTIBOOT)
    def test_optiboot_files_that_say_two_things_for_one_byte_are_refused(self):
        self.refused(OPTIBOOT + '/optiboot_atmega328.hex', 'line 35: the byte for 0x00007ffe is there already, another')
        self.refused(OPTIBOOT + '/optiboot_atmega168.hex', 'line 35: the byte for 0x00003ffe is there already, another')
        self.refused(OPTIBOOT + '/optiboot_atmega168.hex', "'overlap: last' keeps the later ones")
        got = self.info(OPTIBOOT + '/optiboot_atmega8.hex')
        self.assertEqual([s['address'] for s in got['segments']], ['0x00001e00', '0x00001ffe'])

    @need(OPTIBOOT, 'objcopy')
    def test_where_the_later_bytes_are_declared_to_count_optiboot_is_what_objcopy_makes_of_it(self):
        for part, base in (('168', 0x3e00), ('328', 0x7e00)):
            path = '%s/optiboot_atmega%s.hex' % (OPTIBOOT, part)
            self.run_tool('objcopy', '-I', 'ihex', '-O', 'binary', path, self.path('bin'))
            with open(self.path('bin'), 'rb') as f:
                data = f.read()
            got = self.info(path, '--overlap', 'last')
            self.assertEqual([s['address'] for s in got['segments']], ['0x%08x' % base])
            self.assertEqual(got['payload_sha256'], payload([(base, data)]))
            self.assertTrue(any('as declared' in n for n in got['notes']), got['notes'])

    @need(AVR, 'srec_cat')
    def test_every_hex_file_of_the_arduino_package_is_read_or_refused_as_srec_cat_does(self):
        files = glob.glob(AVR + '/**/*.hex', recursive=True)
        self.assertGreater(len(files), 10)
        for path in files:
            cat = subprocess.run(['srec_cat', path, '-intel', '-o', self.path('bin'), '-binary'], capture_output=True,
                                 text=True)
            status, got = info(path)
            if status != 0:
                self.assertNotEqual(cat.returncode, 0, '%s: %s' % (path, got))
                continue
            first = int(got['segments'][0]['address'], 16)
            with open(self.path('bin'), 'rb') as f:
                flat = f.read()
            parts = []
            for s in got['segments']:
                at = int(s['address'], 16)
                parts.append((at, flat[at:at + s['length']]))
            self.assertEqual(payload(parts), got['payload_sha256'], '%s from 0x%x' % (path, first))

    @need(UBERTOOTH)
    def test_the_ubertooth_files_carry_a_right_suffix(self):
        files = glob.glob(UBERTOOTH + '/*.dfu')
        self.assertGreater(len(files), 3)
        for path in files:
            got = self.info(path)
            self.assertEqual((got['format'], got['inner']), ('dfu', 'bin'))
            self.assertEqual((got['dfu']['vid'], got['dfu']['pid']), ('0x1d50', '0x6003'))
            self.assertEqual(got['bytes'], os.path.getsize(path) - 16)

    @need(SEABIOS)
    def test_seabios_is_a_raw_binary(self):
        got = self.info(SEABIOS, '--address', '0x10000')
        self.assertEqual((got['format'], got['bytes'], got['placed']), ('bin', os.path.getsize(SEABIOS), False))
        self.refused(SEABIOS, 'is a raw binary, not an ELF file', '--format', 'elf')


class WithoutAddresses(Files):
    """Sparse images, boot images, archives: what is in them, with their digest, or what is wrong with them."""

    def put(self, name, data):
        with open(self.path(name), 'wb') as f:
            f.write(data)
        return self.path(name)

    def sparse(self, blocks, *chunks):
        body = b''.join(struct.pack('<HHII', kind, 0, n, 12 + len(data)) + data for kind, n, data in chunks)
        return struct.pack('<IHHHHIIII', 0xed26ff3a, 1, 0, 28, 12, 4096, blocks, len(chunks), 0) + body

    def test_a_sparse_image_larger_than_any_firmware(self):
        data = self.sparse(20000, (0xcac1, 17000, bytes(range(256)) * 16 * 17000), (0xcac3, 3000, b''))
        got = self.info(self.put('large.simg', data))
        self.assertEqual((got['format'], got['partition_bytes'], got['chunks']), ('sparse', 20000 * 4096, 2))
        self.assertEqual(got['sha256'], hashlib.sha256(data).hexdigest())

    def test_each_damage_has_its_own_sentence(self):
        raw = bytes(range(256)) * 16
        good = self.sparse(1, (0xcac1, 1, raw))
        self.refused(self.put('cut.simg', good[:-1]), 'chunk 1 needs 4108 bytes')
        self.refused(self.put('kind.simg', self.sparse(1, (0xcac9, 1, raw))), 'unknown type 0xcac9')
        self.refused(self.put('sum.simg', self.sparse(1, (0xcac1, 1, raw), (0xcac4, 0, bytes(4)))),
                     'checksum of a CRC chunk')
        self.assertIn('a part of an image', self.info(self.put('part.simg', self.sparse(9, (0xcac1, 1, raw))))['notes'][0])

    def test_a_boot_image_and_an_archive(self):
        head = (b'ANDROID!' + struct.pack('<I', 5000)).ljust(36, b'\0') + struct.pack('<II', 4096, 0)
        boot = head.ljust(4096, b'\0') + bytes(5000)
        self.assertEqual(self.info(self.put('boot.img', boot))['content'], 'an Android boot image')
        self.refused(self.put('short.img', boot[:-1]), 'is it cut off')
        with zipfile.ZipFile(self.path('p.zip'), 'w') as z:
            z.writestr('a/b.img', b'member')
        got = self.info(self.path('p.zip'))
        self.assertEqual((got['format'], got['members']), ('zip', 1))
        with open(self.path('p.zip'), 'rb') as f:
            broken = f.read().replace(b'member', b'mEmber', 1)
        self.refused(self.put('broken.zip', broken), 'member a/b.img is damaged')


class AtTheStation(unittest.TestCase):
    """What a station does with files of other kinds, by the name that they were uploaded under."""

    RECIPE = '''
recipe: %s
version: 1
ports: {console: {kind: tty, baud: 115200}}
artifacts: {file: '%s'}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.file}', address: 0x08010000%s}
    timeout: 30s
'''
    FONT = struct.pack('>IHHHH', 0x00010000, 4, 64, 2, 0) + b''.join(
        tag + struct.pack('>III', 7, 76 + 16 * i, 16) for i, tag in enumerate((b'cmap', b'glyf', b'head', b'loca'))
    ) + bytes(range(64))

    @classmethod
    def setUpClass(cls):
        os.environ['PROVD_BUILD'] = BUILD
        cls.l = line.Line(1, station_extra='    quarantine_after: 0\n')
        cls.l.__enter__()
        cls.addClassCleanup(cls.l.__exit__, None, None, None)
        cls.l.start()

    def flash(self, recipe, artifact, more=''):
        """The run of a recipe with that artifact and those arguments, and its step."""
        l = self.l
        self.assertEqual(l.put_recipe(self.RECIPE % (recipe, artifact, more))['state'], 'approved')
        state = line.wait_for('A1 rests', lambda: (v := l.api.get('/stations/A1')['state']) in ('ready', 'done') and v)
        job = l.api.post('/jobs', {'recipe': recipe, 'quantity': 1})['id']
        if state == 'done':    # one that is ready begins by itself
            l.api.post('/stations/A1/actions/start')
        run = line.wait_for('the run ends', lambda: next(
            (r for r in l.api.get('/runs?state=finished&job_id=' + job)['items']), None))
        if l.api.get('/jobs/' + job)['state'] in ('queued', 'running'):
            l.api.post('/jobs/%s/actions/abort' % job, headers=line.ANY)
        return run, l.api.get('/runs/%s/steps' % run['id'])['items'][0]

    def refused(self, recipe, artifact, pattern):
        run, step = self.flash(recipe, artifact)
        self.assertEqual((run['outcome'], step['code']), ('error', 'image-invalid'), step)
        self.assertRegex(step['message'], pattern)
        self.assertIn("'format: bin'", step['message'])

    def taken(self, recipe, artifact, data, pattern):
        run, step = self.flash(recipe, artifact, ', format: bin')
        self.assertEqual(run['outcome'], 'passed', step)
        image = step['evidence']['image']
        self.assertEqual(image['declared'], 'bin')
        self.assertRegex(' '.join(image['notes']), pattern)
        self.assertEqual(image['bytes'], len(data))

    def test_a_name_that_is_none_of_firmware_is_refused_at_the_station_and_overridden_on_record(self):
        data = random.Random(8).randbytes(1000)
        note = self.l.put_firmware(data, 'notes.log')['image']['notes'][0]
        self.assertIn('its name says a text file', note)
        self.refused('by-name', 'notes.log', r'notes\.log: its name says a text file, its content is a raw binary')
        # The digest alone has the same name.
        self.refused('by-digest', hashlib.sha256(data).hexdigest(), r'notes\.log: its name says a text file')
        self.taken('by-name-declared', 'notes.log', data, 'its name says a text file; taken as a raw binary')

    def test_texts_models_and_raw_media_are_refused_and_overridden_on_record(self):
        noise = random.Random(11).randbytes(768)
        fields = b''.join(k + struct.pack('>H', len(v) + 1) + v + b'\0' for k, v in
                          ((b'a', b'top'), (b'b', b'7a35t'), (b'c', b'2026/01/01'), (b'd', b'12:00:00')))
        kinds = {
            'sjis': ('エラーが発生しました。もう一度やり直してください。\n装置の電源を切ってください。\n'.encode('shift-jis'),
                     'text in Shift-JIS'),
            'utf16': ('Прошивка не найдена. Повторите попытку.\n'.encode('utf-16-le'), 'text in UTF-16'),
            'ebcdic': ('The file was not found on this system, ask.'.encode('cp037'), 'text in EBCDIC'),
            'short': (b'404\r\n', 'a text of a few letters'),
            'gguf': (b'GGUF' + struct.pack('<IQQ', 3, 1, 1) + noise, r'a trained model \(GGUF\)'),
            'ppm': (b'P6\n16 16\n255\n' + noise, 'a picture'),
            'bit': (b'\0\x09' + b'\x0f\xf0' * 4 + b'\0\0\1' + fields + b'e' + struct.pack('>I', len(noise)) + noise,
                    r'a bitstream of Xilinx with a header \(\.bit\)'),
        }
        for name, (data, what) in kinds.items():
            with self.subTest(name):
                self.l.put_firmware(data, name + '.bin')
                self.refused('raw-' + name, name + '.bin', what)
                self.taken('raw-%s-declared' % name, name + '.bin', data, 'looks like ' + what)

    def test_a_font_is_refused_by_its_content_and_overridden_on_record(self):
        self.l.put_firmware(self.FONT, 'app.bin')
        self.refused('font', 'app.bin', r'app\.bin is a font')
        self.taken('font-declared', 'app.bin', self.FONT, 'looks like a font .*; taken as a raw binary')

    def test_an_upload_whose_name_is_one_of_firmware_has_to_hold_it(self):
        for name in ('fw.hex', 'fw.s19', 'fw.uf2', 'fw.elf', 'fw.dfu', 'fw.simg', 'fw.zip'):
            data = random.Random(name).randbytes(500)
            p = self.l.api.request('PUT', '/artifacts/%s?name=%s' % (hashlib.sha256(data).hexdigest(), name), data)
            self.assertEqual(p.status, 422, name)
            self.assertIn('its name says', p.json['detail'], name)


class Kinds(Files):
    """Files of this machine that are none of firmware, under a name of firmware; and firmware of Debian."""

    @need('/usr/lib/file/magic.mgc')
    def test_what_libmagic_alone_knows_is_refused(self):
        self.refused(self.write('fw.bin', b'BLENDER-v279REND' + bytes(range(1, 60))), r"is 'Blender3D' \(libmagic: ")
        self.refused(shutil.copy('/usr/lib/file/magic.mgc', self.path('fw.bin')), 'magic binary file .*libmagic')

    def test_the_name_counts_for_what_has_no_content_of_its_own(self):
        for name, says in (('a.br', 'compressed data'), ('a.ppu', 'an object file'), ('a.key', 'a key'),
                           ('a.txt', 'a TI-TXT file'), ('a.zip', 'a zip archive')):
            path = self.write(name, random.Random(name).randbytes(300))
            self.refused(path, 'its name says %s' % says)
            got = self.info(path, '--format', 'bin')
            self.assertRegex(' '.join(got['notes']), 'its name says %s.*; taken as' % says)
        with zipfile.ZipFile(self.path('p.docx'), 'w') as z:
            z.writestr('a', b'member')
        self.refused(self.path('p.docx'), 'its name says a document, its content is a zip archive')

    @need('/usr/share/seabios', '/usr/share/qemu')
    def test_roms_and_loaders_of_debian_are_not_refused(self):
        files = [p for p in glob.glob('/usr/share/seabios/*.bin') + glob.glob('/usr/share/qemu/*') if os.path.isfile(p)]
        self.assertGreater(len(files), 20)
        for path in files:
            with open(path, 'rb') as f:
                head = f.read(4096)
            # Text, and ELF files, which say more of themselves.
            if head[:4] == b'\x7fELF' or all(c in b'\t\n\r' or 32 <= c < 127 for c in head):
                continue
            self.assertEqual(self.info(shutil.copy(path, self.path('fw.bin')))['format'], 'bin', path)


class Words(Files):
    def test_people_read_it_as_lines(self):
        path = self.write('a.hex', b':0400100001020304E2\n:00000001FF\n')
        p = subprocess.run([PROVCTL, 'image', 'info', path], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertRegex(p.stdout, r'(?m)^format +ihex$')
        self.assertRegex(p.stdout, r'(?m)^segment +0x00000010 +4 bytes$')
        self.assertTrue(re.search(r'(?m)^payload +[0-9a-f]{64}$', p.stdout))

    def test_a_file_that_is_not_there_is_a_usage_mistake(self):
        self.assertEqual(info(self.path('none'))[0], 2)
        self.assertEqual(info(self.write('x', b'x'), '--format', 'hex')[0], 2)


def varint(v):
    out = b''
    while v > 127:
        out, v = out + bytes([v & 127 | 128]), v >> 7
    return out + bytes([v])


def item(field, value):
    """A field of Protocol Buffers: a number, or bytes."""
    if isinstance(value, int):
        return varint(field << 3) + varint(value)
    return varint(field << 3 | 2) + varint(len(value)) + value


class Containers(Files):
    """Files that are more than bytes, made by the tools that others use."""

    def package(self, image, digest=None, size=None, files=None):
        """A DFU package as nrfutil makes it (nRF5 SDK, dfu-cc.proto)."""
        digest = digest or hashlib.sha256(image).digest()
        init = item(1, 3) + item(2, 52) + item(3, varint(0x100)) + item(4, 0) + item(7, size or len(image)) + \
            item(8, item(1, 3) + item(2, digest[::-1]))
        packet = item(2, item(1, item(1, 1) + item(2, init)) + item(2, 0) + item(3, bytes(64)))
        with zipfile.ZipFile(self.path('dfu.zip'), 'w', zipfile.ZIP_DEFLATED) as z:
            z.writestr('app.bin', image)
            z.writestr('app.dat', packet)
            z.writestr('manifest.json', json.dumps(
                files or {'manifest': {'application': {'bin_file': 'app.bin', 'dat_file': 'app.dat'}}}))
        return info(self.path('dfu.zip'))

    def test_a_dfu_package_names_its_images(self):
        status, said = self.package(bytes(range(256)) * 20)
        self.assertEqual((status, said['content']), (0, 'a DFU package (zip)'), said)
        image = said['package']['images'][0]
        self.assertEqual((said['package']['kind'], image['type'], image['file'], image['bytes']),
                         ('nordic', 'application', 'app.bin', 5120))
        self.assertEqual({k: image['packet'][k] for k in ('version', 'hardware', 'sd_req', 'signed')},
                         {'version': 3, 'hardware': 52, 'sd_req': ['0x100'], 'signed': True})

    def test_a_dfu_package_of_two_is_refused(self):
        image = bytes(range(256)) * 20
        status, said = self.package(image, digest=hashlib.sha256(b'another').digest())
        self.assertIn('app.bin has another SHA-256 than its init packet app.dat says', said)
        status, said = self.package(image, size=5000)
        self.assertIn('app.bin has 5120 bytes, and its init packet app.dat says 5000', said)
        status, said = self.package(image, files={'manifest': {'application': {'bin_file': 'no.bin', 'dat_file': 'app.dat'}}})
        self.assertEqual(status, 3)
        self.assertIn('no.bin', said)
        status, said = self.package(image, files={'manifest': {'application': {'bin_file': 'app.bin'}}})
        self.assertIn("'application' has no bin_file or no dat_file", said)

    def test_a_package_of_the_connect_sdk_is_compared_with_its_manifest(self):
        of = lambda size: {'format-version': 0, 'files': [{'type': 'application', 'file': 'app.bin', 'size': size}]}
        status, said = self.package(b'x' * 100, files=of(100))
        self.assertEqual((status, said['package']), (0, {'kind': 'nrf-connect-sdk', 'images': [
            {'type': 'application', 'file': 'app.bin', 'bytes': 100}]}), said)
        status, said = self.package(b'x' * 100, files=of(101))
        self.assertIn('app.bin has 100 bytes, and manifest.json says 101', said)

    @need('bmaptool')
    def test_a_disk_is_held_against_its_block_map(self):
        disk = random.Random(1).randbytes(100000) + bytes(3 << 20)
        with open(self.path('disk.img'), 'wb') as f:
            f.write(disk[:100000])
            f.truncate(len(disk))
        subprocess.run(['bmaptool', '-q', 'create', self.path('disk.img'), '-o', self.path('disk.bmap')], check=True)
        status, said = info(self.path('disk.bmap'))
        self.assertEqual((status, said['bmap']['image_bytes'], said['bmap']['checksum_compared']), (0, len(disk), True), said)
        status, said = info(self.path('disk.img'), '--bmap', self.path('disk.bmap'))
        self.assertEqual((status, said['bmap_ranges']), (0, 1), said)
        with open(self.path('disk.img'), 'r+b') as f:
            f.seek(5000)
            f.write(b'!')
        status, said = info(self.path('disk.img'), '--bmap', self.path('disk.bmap'))
        self.assertEqual(status, 3)
        self.assertIn('its block map says', said)

    @need('/usr/sbin/veritysetup')
    def test_a_hash_tree_after_a_file_system_is_found(self):
        with open(self.path('fs.img'), 'wb') as f:
            f.truncate(1 << 20)
        subprocess.run(['/usr/sbin/mkfs.ext4', '-q', '-F', self.path('fs.img')], check=True)
        subprocess.run(['/usr/sbin/veritysetup', 'format', self.path('fs.img'), self.path('fs.img'), '--hash-offset=1048576',
                        '--data-blocks=256'], check=True, capture_output=True)
        status, said = info(self.path('fs.img'))
        self.assertEqual((status, said['verity']['at'], said['verity']['data_bytes']), (0, 1 << 20, 1 << 20), said)
        with open(self.path('fs.img'), 'r+b') as f:
            f.truncate((1 << 20) + 4096)
        status, said = info(self.path('fs.img'))
        self.assertIn('its dm-verity tree has', said)

    @need(MICROBIT)
    def test_a_universal_hex_file_names_its_boards(self):
        with open(MICROBIT) as f:
            plain = f.read()

        def record(kind, data, address=0):
            b = bytes([len(data), address >> 8, address & 255, kind]) + data
            return ':%s%02X\n' % (b.hex().upper(), -sum(b) & 255)
        body = '\n'.join(x for x in plain.splitlines()[:20] if x[7:9] in ('00', '04')) + '\n'
        text = ''.join(body.split('\n')[0] + '\n' + record(0x0a, bytes.fromhex(board + 'c0de')) +
                       '\n'.join(body.split('\n')[1:]) + record(0x0b, b'') for board in ('9900', '9903')) + ':00000001FF\n'
        self.write('both.hex', text.encode())
        status, said = info(self.path('both.hex'))
        self.assertEqual(status, 0, said)
        self.assertIn('0x9900 (micro:bit V1), 0x9903 (micro:bit V2)', ' '.join(said['notes']))


if __name__ == '__main__':
    unittest.main()
