#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each foreign program of provd's replaced in turn by one that hangs, fails and ends with 0, says nothing,
floods, leaves a daemon, writes rubbish or dies by a signal: the right code, bounded memory, nothing left.

    test_hostile_tools.py [BUILD]
"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import fastboot_bench
import line

HOSTILE = '''#!/bin/sh
daemon() {
    setsid sh -c "trap '' TERM HUP; echo \\$\\$ > $DIR/daemon.part; mv $DIR/daemon.part $DIR/daemon
        while :; do sleep 60; done" > /dev/null 2>&1 &
    while [ ! -s $DIR/daemon ]; do :; done
}
DIR=%s
echo $$ > $DIR/tool
case %s in
hangs) trap '' TERM; daemon; while :; do sleep 60; done ;;
lies) cat $DIR/says ;;
mute) : ;;
floods) yes "0x08000000: all is well" | head -c 1073741824 ;;
daemon) daemon ;;
rubbish) head -c 500000 /dev/urandom ;;
signal) kill -SEGV $$ ;;
esac
'''
CODES = {'hangs': 'timeout', 'lies': None, 'mute': 'no-evidence', 'floods': 'tool-failed', 'daemon': 'no-evidence',
         'rubbish': 'no-evidence', 'signal': 'tool-failed'}
# Program, its own text of a failure and the code of that, the step.
TOOLS = {
    'openocd': ('** Programming Failed **', 'device-refused',
                ['openocd.program', 'port=tcp:127.0.0.1:1', 'target=stm32f1x', 'address=0x08000000']),
    'JLinkExe': ('Verify failed @ address 0x08000004', 'verify-mismatch',
                 ['jlink.flash', 'device=STM32F407VG', 'address=0x08000000']),
    'mke2fs': ('ext4.img: No space left on device while writing superblock', 'disk-full',
               ['fastboot.format', 'partition=userdata']),
    'STM32_Programmer_CLI': ('Error: Data mismatch found at address 0x08000000 (byte = 0xFF instead of 0x00)',
                             'verify-mismatch', ['cubeprogrammer.flash', 'address=0x08000000']),
}

# What each says that does its work: its version, and the marker lines that its record keeps.
GOOD = {
    'openocd': ('Open On-Chip Debugger 0.12.0\n** Programming Started **\n** Programming Finished **\n'
                '** Verify Started **\n** Verified OK **\n** Resetting Target **\nshutdown command invoked', '0.12.0',
                ['** Programming Finished **', '** Verified OK **']),
    'JLinkExe': ('SEGGER J-Link Commander V7.94b (Compiled Nov  3 2023 13:12:27)\nDownloading file [flash.hex]...\n'
                 'O.K.\nVerify successful.\nScript processing completed.', '7.94b',
                 ['Downloading file [flash.hex]...', 'O.K.', 'Verify successful.', 'Script processing completed.']),
    'STM32_Programmer_CLI': ('STM32CubeProgrammer v2.15.0\nFile download complete\nDownload verified successfully\n'
                             'MCU Reset', '2.15.0',
                             ['File download complete', 'Download verified successfully', 'MCU Reset']),
}


class HostileTools(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-hostile-')
        self.addCleanup(shutil.rmtree, self.dir)
        self.tmp = os.path.join(self.dir, 'tmp')
        self.image = os.path.join(self.dir, 'fw.bin')
        os.mkdir(self.tmp)
        with open(self.image, 'wb') as f:
            f.write(line.firmware(1000))

    def replace(self, program, mode, says):
        for name in ('tool', 'daemon'):
            if os.path.exists(os.path.join(self.dir, name)):
                os.unlink(os.path.join(self.dir, name))
        with open(os.path.join(self.dir, 'says'), 'w') as f:
            f.write(says + '\n')
        path = os.path.join(self.dir, program)
        with open(path, 'w') as f:
            f.write(HOSTILE % (self.dir, mode))
        os.chmod(path, 0o755)

    def exec(self, step, mode):
        """(exit status, the step's record, KiB of provctl at its most)"""
        env = dict(os.environ, TMPDIR=self.tmp, PATH=self.dir + ':' + os.environ['PATH'])
        argv = [line.binary('provctl'), '--json', 'exec', *step, '--timeout=' + ('2s' if mode == 'hangs' else '60s')]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True) as p:
            out = p.stdout.read()
            err = p.stderr.read()
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        self.assertTrue(out, err)
        return p.returncode, json.loads(out)['steps'][0], usage.ru_maxrss

    def number(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return int(f.read())

    def step_of(self, program, step):
        if program != 'mke2fs':
            return step + ['image=' + self.image]
        bench = fastboot_bench.Bench('tcp')
        self.addCleanup(bench.__exit__)
        return step + ['port=' + bench.link]

    def test_each_is_replaced_in_turn(self):
        sanitized = line.sanitized('provctl')
        for program, (says, its_code, step) in TOOLS.items():
            step = self.step_of(program, step)
            for mode, code in CODES.items():
                with self.subTest(program=program, mode=mode):
                    self.replace(program, mode, says)
                    status, record, peak = self.exec(step, mode)
                    self.assertNotEqual(status, 0)
                    self.assertEqual(record['code'], code or its_code, record)
                    self.assertEqual(record['evidence']['program'], os.path.join(self.dir, program))
                    self.assertFalse(line.alive(self.number('tool')))
                    if mode in ('hangs', 'daemon'):
                        self.assertFalse(line.alive(self.number('daemon')), 'a daemon is left')
                    self.assertEqual(os.listdir(self.tmp), [])
                    self.assertLess(len(json.dumps(record)), 1 << 16)
                    if not sanitized:
                        self.assertLess(peak, 100 * 1024)

    def test_the_record_names_program_version_and_markers(self):
        for program, (says, version, lines) in GOOD.items():
            with self.subTest(program):
                self.replace(program, 'lies', says)
                status, record, _ = self.exec(self.step_of(program, TOOLS[program][2]), 'lies')
                self.assertEqual(status, 0, record)
                e = record['evidence']
                self.assertEqual((e['program'], e['version'], e['lines']),
                                 (os.path.join(self.dir, program), version, lines))


if __name__ == '__main__':
    line.main()
