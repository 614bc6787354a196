#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The example recipes of recipes/: all of them parse; those for foreign programs pass on what these
programs say when they succeed, and have the right code for what they say when they fail.

    test_tool_recipes.py PROVCTL

The program of each is one of the test's own that replays lines; where avrdude, st-flash and
uuu are installed, they are run as well, with nothing plugged.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROVCTL = sys.argv.pop()
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
REPLAY = '#!/bin/sh\ncase "$*" in *--version*|"-?"|*"device --version") cat %(d)s/version ;; *)\n' \
         'for f in application.bin application.hex imx-boot.bin; do [ -s $f ] && found=1; done\n' \
         '[ "$found" ] || { echo "Error: no image"; exit 9; }\n' \
         'case "$*" in *compare*) cat %(d)s/compare ;; *) cat %(d)s/says; exit %(s)d ;; esac ;; esac\n'

# recipe: the program, what tells its version, what it says of success, [(what it says of a failure, code)]
CASES = {
    'avrdude': ('avrdude', 'avrdude version 7.1, URL: <https://github.com/avrdudes/avrdude>\n',
                'avrdude: AVR device initialized and ready to accept instructions\navrdude: device signature = 0x1e950f '
                '(probably m328p)\nWriting | ################################################## | 100% 0.10s\n'
                'avrdude: 924 bytes of flash written\nReading | ############ | 100% 0.06s\n'
                'avrdude: 924 bytes of flash verified\n\navrdude done.  Thank you.\n',
                [('avrdude OS error: cannot open port /dev/ttyUSB9: No such file or directory', 'port-unbound'),
                 ("avrdude error: cannot find USB device with vid=0x16c0 pid=0x5dc vendor='www.fischl.de'", 'port-unbound'),
                 ('avrdude OS error: cannot open port /dev/ttyUSB0: Permission denied', 'access-denied'),
                 ('avrdude warning: attempt 10 of 10: not in sync: resp=0x00', 'timeout'),
                 ('avrdude error: programmer is not responding', 'timeout'),
                 ('avrdude error: verification mismatch', 'verify-mismatch'),
                 ('avrdude error: connected part ATmega328 differs in signature from -p m328p', 'wrong-device'),
                 ('avrdude error: something new', 'tool-failed')]),
    'esptool': ('esptool.py', '', 'esptool.py v4.7.0\nSerial port /dev/ttyUSB0\nConnecting....\nChip is ESP32-D0WD (revision v1.0)\n'
                'Writing at 0x00010000... (50 %)\nWriting at 0x00014000... (100 %)\n'
                'Wrote 1087456 bytes (687409 compressed) at 0x00010000 in 15.7 seconds (effective 555.0 kbit/s)...\n'
                'Hash of data verified.\n\nLeaving...\nHard resetting via RTS pin...\n',
                [('A fatal error occurred: Failed to connect to ESP32: No serial data received.', 'timeout'),
                 ("A fatal error occurred: Could not open /dev/ttyUSB9, the port doesn't exist", 'port-unbound'),
                 ('A fatal error occurred: This chip is ESP32-S3, not ESP32. Wrong --chip argument?', 'wrong-device'),
                 ('A fatal error occurred: MD5 of file does not match data in flash!', 'verify-mismatch'),
                 ('A fatal error occurred: Serial data stream stopped: Possible serial noise or corruption.', 'protocol'),
                 ('A fatal error occurred: Invalid head of packet (0x80): Possible serial noise or corruption.', 'protocol'),
                 ('A fatal error occurred: something new', 'tool-failed')]),
    'uuu': ('uuu', '', 'uuu (Universal Update Utility) for nxp imx chips -- libuuu_1.5.21-0-g1f42172\n'
            '1:4>Start Cmd:SDPS: boot -f imx-boot.bin\n50%%\r100%%1:4>Okay (0.646s)\n1:4>Start Cmd:FB: flash bootloader imx-boot.bin\n'
            '1:4>Okay (1.2s)\n1:4>Start Cmd:FB: Done\n1:4>Okay (0s)\n',
            [('1:4>Fail HID(W):LIBUSB_ERROR_TIMEOUT(10.01s)', 'timeout'),
             ('Error: Timeout: Wait for USB Device Appear', 'timeout'),
             ('1:4>Fail HID(W):LIBUSB_ERROR_IO(0.1s)', 'device-gone'),
             ('1:4>Fail Failure claim interface(0s)', 'busy'),
             ('1:4>Fail something new(2.0s)', 'tool-failed')]),
    'stlink': ('st-flash', '', 'st-flash 1.7.0\n2026-11-24T22:00:00 INFO common.c: Attempting to write 4096 (0x1000) bytes\n'
               '2026-11-24T22:00:00 INFO flash_loader.c: Starting Flash write for F2/F4/F7/L4\n  1/ 4 pages written\r  4/ 4 pages written\n'
               '2026-11-24T22:00:00 INFO common.c: Starting verification of write complete\n'
               '2026-11-24T22:00:00 INFO common.c: Flash written and verified! jolly good!\n',
               [("2026-11-24T22:00:00 WARN usb.c: Couldn't find any ST-Link devices", 'port-unbound'),
                ('2026-11-24T22:00:00 ERROR usb.c: Could not open USB device 0x0483:0x374b, access error.', 'access-denied'),
                ('Failed to connect to target', 'timeout'),
                ('2026-11-24T22:00:00 ERROR common.c: Can not connect to target. Please use \'connect under reset\'', 'timeout'),
                ('2026-11-24T22:00:00 WARN common.c: unknown chip id! 0x1', 'wrong-device'),
                ('2026-11-24T22:00:00 ERROR common.c: Verification of flash failed at offset: 12', 'verify-mismatch'),
                ('2026-11-24T22:00:00 ERROR common.c: Flash memory is write protected', 'device-refused'),
                ('2026-11-24T22:00:00 ERROR common.c: something new', 'tool-failed')]),
    'nrfutil': ('nrfutil', 'nrfutil-device 2.7.11 (7005884 2025-01-15)\ncommit-hash: 70058847\n',
                '[00:00:00] ###---  50% [1/1 1050012345] Programming\n[00:00:02] ###### 100% [1/1 1050012345] Programmed\n',
                [('Error: Serial number 1050012345 not found', 'port-unbound'),
                 ('Error: Verification failed at 0x1000', 'verify-mismatch'),
                 ('Error: One or more program tasks failed: Readback protection is enabled', 'device-refused'),
                 ('[Probe] Device error: Unknown device: Unknown part number 0x0000001c, code: Generic', 'wrong-device'),
                 ('Error: something new', 'tool-failed')]),
    'pyocd': ('pyocd', '0.36.0\n', '0000710 I Loading /tmp/application.bin at 0x00000000 [load_cmd]\n[==================================================] 100%\n'
              '0002345 I Erased 4096 bytes (1 sector), programmed 4096 bytes (1 page), skipped 0 bytes (0 pages) at 12.05 kB/s [loader]\n',
              [('0000321 E No target device available [load_cmd]', 'port-unbound'),
               ('No available debug probes are connected', 'port-unbound'),
               ('0000710 C Target type nosuch not recognized. Use \'pyocd list --targets\'', 'recipe-invalid'),
               ('0000710 C No ACK received [__main__]', 'timeout'),
               ('0000710 C something new [__main__]', 'tool-failed')]),
}


class Recipes(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='provd-tools-')
        self.addCleanup(shutil.rmtree, self.dir, True)
        os.mkdir(self.path('bin'))
        self.put('application', 'not empty\n')

    def path(self, name):
        return os.path.join(self.dir, name)

    def put(self, name, text):
        with open(self.path(name), 'w') as f:
            f.write(text)

    def run_recipe(self, name, path=None, timeout=None):
        artifact = 'bootloader' if name == 'uuu' else 'application'
        ports = ['--port', 'console=tty:/dev/null@115200' if name != 'uuu' else 'device=tty:/dev/null'] \
            if name in ('avrdude', 'esptool', 'uuu') else []
        file = f'{TOP}/recipes/tools/{name}.yaml'
        if timeout:
            with open(file) as f:
                self.put('hasty.yaml', re.sub(r'timeout: \d+m', f'timeout: {timeout}', f.read()))
            file = self.path('hasty.yaml')
        r = subprocess.run(
            [PROVCTL, 'recipe', 'run', file, *ports, '--artifact',
             f'{artifact}={self.path("application")}', '--json'],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            env=dict(os.environ, PATH=path or self.path('bin') + ':' + os.environ['PATH'], TMPDIR=self.dir))
        self.assertTrue(r.stdout, r)
        return json.loads(r.stdout)

    def replay(self, name, says, status=0, compare='All 10 bytes match.\n'):
        program, version = CASES[name][:2]
        for file, text in (('version', version), ('says', says), ('compare', compare)):
            self.put(file, text)
        self.put('bin/' + program, REPLAY % {'d': self.dir, 's': status})
        os.chmod(self.path('bin/' + program), 0o755)
        return self.run_recipe(name)

    def test_every_recipe_parses(self):
        # Those of labels/ are templates of labels (tests/e2e/test_label.py).
        files = [f for f in glob.glob(f'{TOP}/recipes/**/*.yaml', recursive=True) if '/labels/' not in f]
        self.assertGreaterEqual(len(files), 8)
        r = subprocess.run([PROVCTL, 'recipe', 'check', *files], capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_each_passes_on_what_its_program_says_of_success(self):
        for name, (_, _, says, _) in CASES.items():
            with self.subTest(name):
                run = self.replay(name, says)
                self.assertEqual(run['outcome'], 'passed', run)
                self.assertRegex(run['steps'][0]['evidence']['version'], r'^\d+\.\d+')
                self.assertIn('files', run['steps'][0]['evidence'])

    def test_each_has_the_code_of_what_its_program_says_of_a_failure(self):
        for name, (_, _, says, failures) in CASES.items():
            for text, code in failures:
                # With status 0 and every sign of success around it.
                with self.subTest(name, text=text):
                    run = self.replay(name, text + '\n' + says)
                    self.assertEqual(run['code'], code, run)

    def test_a_program_is_told_the_path_of_a_serial_line(self):
        self.replay('esptool', CASES['esptool'][2])
        self.put('bin/esptool.py', '#!/bin/sh\necho "$@" > %s/args\nexit 1\n' % self.dir)
        self.run_recipe('esptool')
        with open(self.path('args')) as f:
            self.assertIn('--port /dev/null --baud', f.read())

    def test_none_passes_on_its_status_alone(self):
        for name, (_, _, says, _) in CASES.items():
            with self.subTest(name):
                self.assertEqual(self.replay(name, '')['code'], 'no-evidence')
                self.assertEqual(self.replay(name, says, 1)['code'], 'tool-failed')

    def test_pyocd_is_not_believed_before_the_flash_was_read_back(self):
        says = CASES['pyocd'][2]
        run = self.replay('pyocd', says, compare='Mismatched byte at 0x00000004 (offset 0x4): 0xff (memory) != 0x00 (file)\n')
        self.assertEqual(run['code'], 'verify-mismatch', run)
        self.assertEqual(self.replay('pyocd', says, compare='')['code'], 'no-evidence')

    def test_the_real_programs_find_nothing_plugged(self):
        ran = 0
        for name, code in (('avrdude', {'timeout', 'tool-failed', 'port-unbound'}), ('stlink', {'port-unbound'}),
                           ('uuu', {'timeout'})):
            if not shutil.which(CASES[name][0]):
                continue
            ran += 1
            with self.subTest(name):
                # uuu waits for its device for ever.
                run = self.run_recipe(name, os.environ['PATH'], '2s' if name == 'uuu' else None)
                self.assertIn(run['code'], code, run)
                self.assertRegex(run['steps'][0]['evidence']['version'], r'^v?\d+\.\d+', run)
        if not ran:
            self.skipTest('none of avrdude, st-flash and uuu is installed')


if __name__ == '__main__':
    unittest.main(verbosity=2)
