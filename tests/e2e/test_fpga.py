#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""FPGA configurations: OpenOCD and openFPGALoader themselves on provsim's JTAG chain first, then provd's actions on the same,
with each fault of the chain, of the file and of the program.

    test_fpga.py [BUILD]
"""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    os.environ['PROVD_BUILD'] = os.path.abspath(sys.argv.pop(1))

import bitstreams
import line

OPENOCD = shutil.which('openocd')
LOADER = shutil.which('openFPGALoader')
CHAIN = 'lfe5u-25,xc7a35t'


@unittest.skipUnless(OPENOCD and LOADER, 'openocd or openFPGALoader is missing (scripts/install-deps test)')
class Board(unittest.TestCase):
    chain = CHAIN

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-fpga-e2e-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.tmp = os.path.join(self.dir, 'tmp')
        os.mkdir(self.tmp)
        self.sim = line.Sim(self.dir, 1, '--device', 'fpga', '--link', 'tcp', '--fpga-chain', self.chain)
        self.addCleanup(self.sim.stop)

    def address(self):
        return self.sim.boards()[0]['link']

    def port(self):
        return self.address().rsplit(':', 1)[1]

    def device(self, at):
        return self.sim.boards()[0]['chain'][at]

    def fault(self, spec):
        self.sim.ctl('fault', board='b1', fault=spec + ',count=0')

    def clear(self):
        self.sim.ctl('clear-faults', board='b1')

    def file(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path, 'wb') as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return path

    def tool(self, *argv):
        p = subprocess.run(argv, capture_output=True, text=True, errors='replace', timeout=60, cwd=self.dir)
        return p.returncode, p.stdout + p.stderr

    def loader(self, *args):
        return self.tool(LOADER, '-c', 'xvc-client', '--ip', '127.0.0.1', '--port', self.port(), *args)

    def openocd(self, *commands):
        argv = [OPENOCD, '-c', 'adapter driver remote_bitbang; remote_bitbang host 127.0.0.1; remote_bitbang port ' + self.port(),
                '-c', 'gdb_port disabled; tcl_port disabled; telnet_port disabled; transport select jtag']
        for c in commands:
            argv += ['-c', c]
        return self.tool(*argv)

    def exec(self, action, *args, path=None):
        """(exit status, the step's record)"""
        env = dict(os.environ, TMPDIR=self.tmp)
        if path:
            env['PATH'] = path + ':' + env['PATH']
        p = subprocess.run([line.binary('provctl'), '--json', 'exec', 'fpga.' + action, 'port=' + self.address(), *args],
                           capture_output=True, text=True, timeout=60, env=env)
        self.assertEqual(os.listdir(self.tmp), [], 'a run directory was left')
        if not p.stdout:
            return p.returncode, {'code': None, 'message': p.stderr}
        run = json.loads(p.stdout)
        return p.returncode, run['steps'][0] if run['steps'] else run

    def passes(self, action, *args):
        status, step = self.exec(action, *args)
        self.assertEqual(status, 0, step)
        return step['evidence']

    def fails(self, code, says, action, *args, path=None):
        status, step = self.exec(action, *args, path=path)
        self.assertEqual(step['code'], code, step)
        self.assertNotEqual(status, 0)
        self.assertIn(says, step['message'])
        return step

    def chain_arg(self):
        return 'chain=["lfe5u-25","xc7a35t"]'


class Reference(Board):
    """The virtual devices are such to the programs that everybody uses."""

    def test_openocd_loads_a_real_bitstream_of_the_7_series(self):
        real = bitstreams.real('*xc7a35tcpg236*')
        if real is None:
            self.skipTest('no bitstream in the package of openFPGALoader')
        self.file('real.bit', real)
        declare = 'jtag newtap x tap -irlen 6 -expected-id 0x0362d093; jtag newtap e tap -irlen 8 -expected-id 0x41111043'
        status, said = self.openocd(declare, 'pld device virtex2 x.tap', 'init', 'pld load 0 real.bit', 'virtex2 read_stat 0',
                                    'shutdown')
        self.assertEqual(status, 0, said)
        self.assertIn('virtex2 status register: 0x00007810', said)
        self.assertEqual((self.device(1)['done'], self.device(0)['done']), (True, False))

    def test_openfpgaloader_finds_and_loads(self):
        self.file('e.bit', bitstreams.lattice_bit()[0])
        status, said = self.loader('--detect', '--verbose-level', '2')
        self.assertEqual((status, '- 0 -> 0x0362d093' in said, '- 1 -> 0x41111043' in said), (0, True, True), said)
        status, said = self.loader('--index-chain', '0', '-m', '-v', 'e.bit')
        self.assertEqual((status, 'Done Flag' in said), (0, True), said)
        self.assertEqual(self.device(0)['sha256'], hashlib.sha256(bitstreams.lattice_bit()[1]).hexdigest())

    def test_openocd_plays_svf_and_sees_what_is_otherwise(self):
        self.file('good.svf', bitstreams.svf())
        self.file('bad.svf', bitstreams.svf(status=0x2100))
        declare = 'jtag newtap x tap -irlen 6 -expected-id 0x0362d093; jtag newtap e tap -irlen 8 -expected-id 0x41111043'
        status, said = self.openocd(declare, 'init', 'svf -tap e.tap -quiet good.svf', 'shutdown')
        self.assertEqual((status, 'programmed successfully for 28 commands with 0 errors' in said), (0, True), said)
        status, said = self.openocd(declare, 'init', 'svf -tap e.tap -quiet bad.svf', 'shutdown')
        self.assertEqual((status, 'tdo check error' in said), (1, True), said)


class Load(Board):
    def test_the_7_series_by_openocd(self):
        path = self.file('top.bit', bitstreams.xilinx_bit()[0])
        seen = self.passes('load', 'part=xc7a35t', self.chain_arg(), 'image=' + path)
        self.assertEqual((seen['idcode'], seen['status'], seen['done']), ('0x0362d093', '0x00007810', True))
        self.assertEqual(seen['chain'], ['0x41111043', '0x0362d093'])
        self.assertEqual((seen['image']['part'], seen['image']['date'], seen['image']['format'], seen['image']['summed']),
                         ('7a35tcpg236', '2026/11/30 12:34:56', 'xilinx-bit', True))
        self.assertEqual(seen['image']['sha256'], line.sha256(bitstreams.xilinx_bit()[0]))
        self.assertTrue(os.path.samefile(seen['program'], OPENOCD))
        self.assertEqual(self.device(1)['sha256'], line.sha256(bitstreams.xilinx_bit()[1]))
        self.assertEqual((self.device(0)['loads'], self.device(1)['loads']), (0, 1))

    def test_a_real_bitstream(self):
        real = bitstreams.real('*xc7a35tcpg236*')
        if real is None:
            self.skipTest('no bitstream in the package of openFPGALoader')
        path = self.file('real.bit', real)
        seen = self.passes('load', 'part=xc7a35t', self.chain_arg(), 'image=' + path)
        self.assertTrue(seen['image']['summed'] and seen['done'])

    def test_ecp5_by_openfpgaloader(self):
        path = self.file('top.bit', bitstreams.lattice_bit()[0])
        seen = self.passes('load', 'part=lfe5u-25', self.chain_arg(), 'image=' + path)
        self.assertEqual((seen['idcode'], seen['done'], seen['image']['part']), ('0x41111043', True, 'LFE5U-25F-6CABGA381'))
        self.assertTrue(os.path.samefile(seen['program'], LOADER))
        self.assertRegex(seen['version'], r'^\d+\.\d+')
        self.assertEqual(self.device(0)['sha256'], line.sha256(bitstreams.lattice_bit()[1]))

    def test_svf_by_openocd(self):
        path = self.file('top.svf', bitstreams.svf())
        seen = self.passes('load', 'part=lfe5u-25', self.chain_arg(), 'image=' + path)
        self.assertEqual((seen['compares'], seen['status'], seen['done']), (2, '0x00000100', True))
        self.assertEqual(self.device(0)['loads'], 1)

    def test_a_comparison_that_fails_is_said_as_such(self):
        path = self.file('top.svf', bitstreams.svf(status=0x2100))
        self.fails('tdo-mismatch', 'tdo check error at line', 'load', 'part=lfe5u-25', self.chain_arg(), 'image=' + path)

    def test_nothing_is_loaded_where_the_chain_is_another_one(self):
        xilinx = self.file('top.bit', bitstreams.xilinx_bit()[0])
        lattice = self.file('lattice.bit', bitstreams.lattice_bit()[0])
        for fault, code, says in (('extra', 'jtag-chain', 'has 3 devices, 2 expected'),
                                  ('missing', 'jtag-chain', 'has 1 device, 2 expected'),
                                  ('stuck-low', 'jtag-stuck', 'TDO is always 0'),
                                  ('stuck-high', 'jtag-stuck', 'TDO is always 1'),
                                  ('other-part', 'wrong-device', 'IDCODE 0x0362c093 (xc7a50t)')):
            with self.subTest(fault):
                self.fault(fault)
                self.fails(code, says, 'load', 'part=xc7a35t', self.chain_arg(), 'image=' + xilinx)
                self.fails(code, says, 'load', 'part=lfe5u-25', self.chain_arg(), 'image=' + lattice)
                self.clear()
        self.fails('jtag-chain', 'has 2 devices, 1 expected', 'load', 'part=xc7a35t', 'image=' + xilinx)
        self.fails('wrong-device', 'device 1 of the JTAG chain', 'load', 'part=xc7a35t', 'chain=["xc7a35t","lfe5u-25"]',
                   'image=' + xilinx)
        self.assertEqual((self.device(0)['loads'], self.device(1)['loads'], self.device(1)['words']), (0, 0, 0))

    def test_done_that_stays_low_is_no_pass_also_where_it_was_high(self):
        xilinx = self.file('top.bit', bitstreams.xilinx_bit()[0])
        lattice = self.file('lattice.bit', bitstreams.lattice_bit()[0])
        svf = self.file('top.svf', bitstreams.svf(status=0, check=True))
        self.passes('load', 'part=lfe5u-25', self.chain_arg(), 'image=' + lattice)
        self.passes('load', 'part=xc7a35t', self.chain_arg(), 'image=' + xilinx)
        self.fault('no-done')
        for part, path in (('xc7a35t', xilinx), ('lfe5u-25', lattice), ('lfe5u-25', svf)):
            self.fails('not-configured', 'DONE is low', 'load', 'part=' + part, self.chain_arg(), 'image=' + path)

    def test_a_bit_that_is_lost_on_the_way_is_no_pass(self):
        xilinx = self.file('top.bit', bitstreams.xilinx_bit()[0])
        lattice = self.file('lattice.bit', bitstreams.lattice_bit()[0])
        self.fault('bit-flip=20')
        self.fails('not-configured', 'CRC_ERROR', 'load', 'part=xc7a35t', self.chain_arg(), 'image=' + xilinx)
        self.fails('not-configured', 'CRC ERR', 'load', 'part=lfe5u-25', self.chain_arg(), 'image=' + lattice)

    def test_a_probe_that_is_unplugged(self):
        for part, path in (('xc7a35t', self.file('top.bit', bitstreams.xilinx_bit()[0])),
                           ('lfe5u-25', self.file('lattice.bit', bitstreams.lattice_bit()[0]))):
            self.sim.ctl('fault', board='b1', fault='vanish=6000')
            status, step = self.exec('load', 'part=' + part, self.chain_arg(), 'image=' + path)
            self.assertIn(step['code'], ('device-gone', 'tool-failed'), step)
            self.assertEqual(status, 3)
            self.sim.ctl('plug', board='b1')
        self.assertEqual((self.device(0)['loads'], self.device(1)['loads']), (0, 0))


class Files(Board):
    """No file reaches a device that is for another one, is not whole, or is something else."""

    def refused(self, code, says, name, data, part='xc7a35t', action='load', *more):
        self.fails(code, says, action, 'part=' + part, self.chain_arg(), 'image=' + self.file(name, data), *more)

    def test_each_with_its_code(self):
        xilinx, lattice = bitstreams.xilinx_bit()[0], bitstreams.lattice_bit()[0]
        flipped = bytearray(xilinx)
        flipped[4000] ^= 1
        frame = bytearray(lattice)
        frame[1500] ^= 1
        jed = bitstreams.jed()[0]
        svf = bitstreams.svf()
        for code, says, name, data, part in (
                ('image-part', 'IDCODE 0x0362f093 (xc7s50)', 'a.bit', bitstreams.xilinx_bit(bitstreams.XC7S50)[0], 'xc7a35t'),
                ('image-part', 'is for 7s50csga324', 'a.bit', bitstreams.xilinx_bit(part='7s50csga324')[0], 'xc7a35t'),
                ('image-part', 'LFE5U-25F', 'a.bit', lattice, 'xc7a35t'),
                ('image-part', 'lfe5u-45', 'a.svf', bitstreams.svf(bitstreams.LFE5U_45), 'lfe5u-25'),
                ('image-part', 'does not say which part', 'a.svf', bitstreams.svf(check=False), 'lfe5u-25'),
                ('image-invalid', 'it is cut off', 'a.bit', xilinx[:-100], 'xc7a35t'),
                ('image-invalid', 'it is cut off', 'a.bit', lattice[:-40], 'lfe5u-25'),
                ('image-invalid', 'it is cut off', 'a.svf', svf[:-30], 'lfe5u-25'),
                ('image-invalid', 'damaged on its way', 'a.bit', bytes(flipped), 'xc7a35t'),
                ('image-invalid', 'damaged on its way', 'a.bit', bytes(frame), 'lfe5u-25'),
                ('image-invalid', 'its name says a Serial Vector Format file', 'a.svf', xilinx, 'xc7a35t'),
                ('image-invalid', 'its name says a bitstream', 'a.bit', svf, 'lfe5u-25'),
                ('image-invalid', 'a PDF document', 'a.bit', b'%PDF-1.4 ' + bytes(100), 'xc7a35t'),
                ('image-invalid', 'an ELF file', 'a.bin', b'\x7fELF' + bytes(100), 'xc7a35t'),
                ('unsupported', 'cannot go into the SRAM', 'a.jed', jed, 'lfe5u-25')):
            with self.subTest(says):
                if name == 'a.jed':
                    data = data.replace('LCMXO2-1200HC', 'LFE5U-25F')
                    total = sum(data[:data.index('\x03') + 1].encode()) & 0xffff
                    data = data[:data.index('\x03') + 1] + '%04X\n' % total
                self.refused(code, says, name, data, part)
        self.assertEqual(self.sim.boards()[0]['sessions'], 0, 'the probe was touched')

    def test_a_rbf_is_told_apart_and_not_taken_without_a_proof(self):
        real = bitstreams.real('*10cl025256*')
        if real is None:
            self.skipTest('no .rbf in the package of openFPGALoader')
        self.refused('image-part', 'does not say which part', 'a.rbf', real)
        self.refused('unsupported', 'a raw binary of Altera', 'a.rbf', real, 'xc7a35t', 'load', 'part_known=true')
        self.refused('image-invalid', 'its name says a bitstream', 'a.bit', real)


class HostileTools(Board):
    """A program that says what it did not do."""

    def fake(self, name, script):
        where = os.path.join(self.dir, 'bin')
        os.makedirs(where, exist_ok=True)
        with open(os.path.join(where, name), 'w') as f:
            f.write('#!/bin/sh\n' + script)
        os.chmod(os.path.join(where, name), 0o755)
        return where

    LOOK = ('echo "Open On-Chip Debugger 0.12.0"\ncase "$*" in *newtap*) ;; *)\n'
            'echo "Info : JTAG tap: auto0.tap tap/device found: 0x0362d093 (mfg)"\n'
            'echo "Info : JTAG tap: auto1.tap tap/device found: 0x41111043 (mfg)"\nexit 0;; esac\n'
            'echo "Info : JTAG tap: d0.tap tap/device found: 0x0362d093 (mfg)"\n'
            'echo "Info : JTAG tap: d1.tap tap/device found: 0x41111043 (mfg)"\n')

    def test_success_after_a_failed_comparison(self):
        path = self.file('top.svf', bitstreams.svf())
        where = self.fake('openocd', self.LOOK + 'echo "Error: tdo check error at line 29"\n'
                          'echo "svf file programmed successfully for 28 commands with 0 errors"\necho "provd: status 0x00000100"\n')
        self.fails('tdo-mismatch', 'tdo check error', 'load', 'part=lfe5u-25', self.chain_arg(), 'image=' + path, path=where)

    def test_fewer_statements_than_the_file_has(self):
        path = self.file('top.svf', bitstreams.svf())
        where = self.fake('openocd', self.LOOK + 'echo "svf file programmed successfully for 5 commands with 0 errors"\n'
                          'echo "provd: status 0x00000100"\n')
        self.fails('no-evidence', 'played 5 statements', 'load', 'part=lfe5u-25', self.chain_arg(), 'image=' + path, path=where)

    def test_a_good_status_without_a_word(self):
        svf = self.file('top.svf', bitstreams.svf())
        where = self.fake('openocd', self.LOOK)
        self.fails('no-evidence', 'OpenOCD', 'load', 'part=lfe5u-25', self.chain_arg(), 'image=' + svf, path=where)
        where = self.fake('openFPGALoader', 'echo "openFPGALoader v0.10.0"\nexit 0\n')
        bit = self.file('top.bit', bitstreams.lattice_bit()[0])
        self.fails('no-evidence', 'openFPGALoader', 'load', 'part=lfe5u-25', self.chain_arg(), 'image=' + bit, path=where)


class Flash(Board):
    chain = 'lfe5u-25'

    def chain_arg(self):
        return 'chain=["lfe5u-25"]'

    def cells(self):
        for folder, _, names in os.walk(self.dir):
            for name in names:
                if name == self.chain + '.spi':
                    with open(os.path.join(folder, name), 'rb') as f:
                        return f.read()
        self.fail('no file of the flash')

    def test_bit_bin_and_mcs_hold_the_same(self):
        bit = bitstreams.lattice_bit()[0]
        raw = bit[bit.index(b'\xff\xff\xbd\xb3'):]
        for name, data in (('a.bit', bit), ('a.bin', raw), ('a.mcs', bitstreams.mcs(raw))):
            with self.subTest(name):
                seen = self.passes('flash', 'part=lfe5u-25', 'image=' + self.file(name, data))
                self.assertEqual((seen['sha256_read'], seen['done']), (line.sha256(raw), True))
                self.assertEqual(self.cells()[:len(raw)], raw)

    def test_what_the_flash_does_not_hold(self):
        path = self.file('a.bit', bitstreams.lattice_bit()[0])
        self.fault('bad-cell=40')
        self.fails('verify-mismatch', 'does not hold', 'flash', 'part=lfe5u-25', 'image=' + path)
        self.clear()
        self.passes('flash', 'part=lfe5u-25', 'image=' + path)
        self.fault('no-erase')
        other = self.file('b.bit', bitstreams.lattice_bit(seed=9)[0])
        self.fails('verify-mismatch', 'does not hold', 'flash', 'part=lfe5u-25', 'image=' + other)

    def test_a_flash_whose_device_does_not_come_up(self):
        path = self.file('a.bit', bitstreams.lattice_bit()[0])
        self.fault('no-done')
        self.fails('not-configured', 'DONE is low', 'flash', 'part=lfe5u-25', 'image=' + path)


class FlashXilinx(Flash):
    chain = 'xc7a35t'

    def chain_arg(self):
        return 'chain=["xc7a35t"]'

    def test_bit_bin_and_mcs_hold_the_same(self):
        raw = bitstreams.xc7_raw()[0]
        for name, data in (('a.bit', bitstreams.xilinx_bit()[0]), ('a.bin', raw), ('a.mcs', bitstreams.mcs(raw))):
            with self.subTest(name):
                seen = self.passes('flash', 'part=xc7a35t', 'package=xc7a35tcpg236', 'image=' + self.file(name, data))
                self.assertEqual((seen['sha256_read'], self.cells()[:len(raw)]), (line.sha256(raw), raw))

    def test_what_the_flash_does_not_hold(self):
        path = self.file('a.bit', bitstreams.xilinx_bit()[0])
        self.fault('bad-cell=44')
        self.fails('verify-mismatch', 'does not hold', 'flash', 'part=xc7a35t', 'package=xc7a35tcpg236', 'image=' + path)

    def test_a_flash_whose_device_does_not_come_up(self):
        path = self.file('a.bit', bitstreams.xilinx_bit()[0])
        self.fails('recipe-invalid', "'package' is missing", 'flash', 'part=xc7a35t', 'image=' + path)


class FlashInAChain(Board):
    def test_is_refused_before_a_byte_moves(self):
        path = self.file('a.bit', bitstreams.lattice_bit()[0])
        self.fails('unsupported', 'the only device of its JTAG chain', 'flash', 'part=lfe5u-25', self.chain_arg(), 'image=' + path)
        self.assertEqual(self.sim.boards()[0]['sessions'], 0)


class FlashMachXO2(Board):
    chain = 'lcmxo2-1200'

    def test_jed(self):
        path = self.file('a.jed', bitstreams.jed()[0])
        seen = self.passes('flash', 'part=lcmxo2-1200hc', 'image=' + path)
        self.assertEqual((seen['idcode'], seen['done'], seen['image']['date']),
                         ('0x012ba043', True, 'Mon Nov 30 12:34:56 2026'))
        self.assertEqual(self.device(0)['rows'], 20)
        self.fault('bad-cell=3')
        self.fails('verify-mismatch', 'does not hold', 'flash', 'part=lcmxo2-1200hc', 'image=' + path)

    def test_one_for_another_part_or_damaged(self):
        text = bitstreams.jed()[0]
        self.fails('image-part', 'LCMXO2-7000HC', 'flash', 'part=lcmxo2-1200hc',
                   'image=' + self.file('a.jed', bitstreams.jed(device='LCMXO2-7000HC-4TG144')[0]))
        at = text.index('L000000\n') + 12
        flipped = text[:at] + ('1' if text[at] == '0' else '0') + text[at + 1:]
        self.fails('image-invalid', 'the sum of its fuses', 'flash', 'part=lcmxo2-1200hc', 'image=' + self.file('b.jed', flipped))
        self.fails('image-invalid', 'it is cut off', 'flash', 'part=lcmxo2-1200hc',
                   'image=' + self.file('c.jed', text[:text.index('\x03')]))
        self.assertEqual(self.sim.boards()[0]['sessions'], 0)


if __name__ == '__main__':
    unittest.main()
