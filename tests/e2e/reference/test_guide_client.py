#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The guide's own client works against provsim, and a board that goes wrong fails it.

    test_guide_client.py PROVSIM
"""
import filecmp
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import unittest

import serial

PROVSIM = None
CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'guide_bootloader.py')
DEADLINE_S = 60


class Sim:
    """One provsim with boards on ptys, in a directory of its own."""

    def __init__(self, *options):
        self.dir = tempfile.TemporaryDirectory(prefix='provsim-')
        self.control = self.path('ctl')
        self.args = [PROVSIM, 'run', '--links', self.path('links'), '--state', self.path('state'),
                     '--control', self.control, '--events', self.path('events'), *options]
        self.start()

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def start(self):
        self.proc = subprocess.Popen(self.args, stdout=subprocess.PIPE)
        self.ready = json.loads(self.proc.stdout.readline())

    def ctl(self, cmd, **fields):
        out = subprocess.run([PROVSIM, 'ctl', '--control', self.control,
                              json.dumps({'cmd': cmd, **fields})],
                             stdout=subprocess.PIPE, timeout=DEADLINE_S)
        return json.loads(out.stdout)

    def state(self, board='b1'):
        return self.ctl('state', board=board)['state']

    def holds_a_blank_unit(self):
        now = self.state()
        return (now['plugged'] and now['state'] == 'application' and not now['serial'] and
                os.path.exists(self.port()))

    def port(self, board='b1'):
        return self.path('links/' + board)

    def flash_file(self, board='b1'):
        return self.path(f'state/{board}.flash.bin')

    def stop(self):
        self.proc.terminate()
        status = self.proc.wait(DEADLINE_S)
        self.proc.stdout.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.stop()
        self.dir.cleanup()


def firmware(directory, size, tag=b''):
    """A file of random bytes, the same each time: all byte values are in it, XON and ACK too."""
    path = os.path.join(directory, 'firmware.bin')
    with open(path, 'wb') as f:
        f.write(tag + random.Random(size).randbytes(size - len(tag)))
    return path


def client(sim, image, *options):
    return subprocess.run([sys.executable, CLIENT, sim.port(), image, *options],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE_S)


def ask(port, line):
    port.write(line + b'\r\n')
    reply = port.readline().rstrip(b'\r\n')
    # The end of a banner that was still on its way when the port was opened.
    return reply if not reply.endswith(b'ready') else port.readline().rstrip(b'\r\n')


def wait_for(what, *args):
    end = time.monotonic() + DEADLINE_S
    while not (result := what(*args)):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)
    return result


class GuideClient(unittest.TestCase):
    def flashed(self, sim, size):
        image = firmware(sim.dir.name, size)
        run = client(sim, image)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue(filecmp.cmp(image, sim.flash_file(), shallow=False))
        return image

    def test_a_real_image_arrives_whole_and_the_application_runs(self):
        with Sim() as sim:
            image = self.flashed(sim, 200_003)
            with open(image, 'rb') as f:
                digest = hashlib.sha256(f.read()).hexdigest()
            wait_for(lambda: sim.state()['state'] == 'application')
            self.assertEqual(sim.state()['version'], 'v' + digest[:8])
            self.assertEqual(sim.state()['flash_sha256'], digest)

    def test_the_wire_is_the_one_of_the_guide(self):
        with Sim() as sim:
            image = firmware(sim.dir.name, 300)
            log = sim.path('transcript')
            self.assertEqual(client(sim, image, '--transcript', log).returncode, 0)
            with open(image, 'rb') as f, open(log) as t:
                data = f.read()
                self.assertEqual(t.read().split('\n'), [
                    '> ' + b'BOOT\r\n'.hex(), '< ' + b'READY\r\n'.hex(),
                    '> ' + b'ERASE\r\n'.hex(), '< ' + b'OK\r\n'.hex(),
                    '> 01000001080001' + data[:256].hex(), '< 06',
                    '> 01000101082c00' + data[256:].hex(), '< 06',
                    '> 02000001082c010000', '< ' + data.hex(),
                    '> ' + b'BOOT_APP\r\n'.hex(), '< ' + b'BOOTING\r\n'.hex(), ''])

    def test_a_paced_line_takes_the_time_of_its_bytes(self):
        with Sim('--baud', '460800', '--erase-ms', '0') as sim:
            image = firmware(sim.dir.name, 32_768)
            self.assertEqual(client(sim, image).returncode, 0)
            wait_for(lambda: sim.state()['state'] == 'application')
            with serial.Serial(sim.port(), timeout=10) as port:
                port.write(b'BOOT\r\n')
                # Lines of its start may still be on the wire.
                for _ in range(20):
                    if port.readline() == b'READY\r\n':
                        break
                else:
                    self.fail('no READY')
                begin = time.monotonic()
                port.write(bytes.fromhex('020000010800800000'))
                self.assertEqual(len(port.read(32_768)), 32_768)
                took = time.monotonic() - begin
            # The first answer byte follows the nine of the request. A busy machine can only be late.
            expected = (9 + 32_768) * 10 / 460_800
            self.assertGreaterEqual(took, expected * 0.99)

    def test_a_weak_cell_fails_the_verify(self):
        with Sim('--fault', 'b1:weak-cell=1000') as sim:
            run = client(sim, firmware(sim.dir.name, 4096))
            self.assertIn(b'Verification failed', run.stderr)

    def test_a_lying_read_back_passes_the_guide_but_not_the_application(self):
        with Sim('--fault', 'b1:lying-read=1000') as sim:
            image = firmware(sim.dir.name, 4096)
            self.assertEqual(client(sim, image).returncode, 0)
            self.assertFalse(filecmp.cmp(image, sim.flash_file(), shallow=False))
            wait_for(lambda: sim.state()['state'] == 'application')
            with serial.Serial(sim.port(), timeout=10) as port:
                self.assertEqual(ask(port, b'status'), b'ERROR: image checksum')

    def test_a_unit_outlives_provsim_and_a_new_one_does_not_replace_its_files(self):
        with Sim() as sim:
            self.flashed(sim, 5000)
            wait_for(lambda: sim.state()['state'] == 'application')
            with serial.Serial(sim.port(), timeout=10) as port:
                self.assertEqual(ask(port, b'SET_SERIAL SN1'), b'OK')
                self.assertEqual(ask(port, b'CONFIG_SET API_URL http://a b'), b'OK')
            first = sim.state()['uid']
            self.assertEqual(sim.stop(), 0)
            sim.start()
            self.assertEqual(sim.state()['uid'], first)
            wait_for(lambda: sim.state()['state'] == 'application')
            with serial.Serial(sim.port(), timeout=10) as port:
                self.assertEqual(ask(port, b'GET_SERIAL'), b'SN1')
                self.assertEqual(ask(port, b'CONFIG_GET API_URL'), b'http://a b')
            second = sim.ctl('next', board='b1', gap_ms=1)['uid']
            wait_for(lambda: sim.state()['plugged'])
            self.assertNotEqual(second, first)
            self.assertEqual(sim.state()['state'], 'bootloader')
            with open(sim.path(f'state/{first}.json')) as f:
                self.assertEqual(json.load(f)['serials'], ['SN1'])
            self.assertEqual(os.path.getsize(sim.path(f'state/{first}.flash.bin')), 5000)

    def test_the_port_can_be_claimed_again_after_a_host_that_died_with_it(self):
        with Sim() as sim:
            code = ('import os, serial, sys; '
                    'serial.Serial(sys.argv[1], exclusive=True).write(b"BO"); os._exit(9)')
            subprocess.run([sys.executable, '-c', code, sim.port()], timeout=DEADLINE_S)
            with serial.Serial(sim.port(), timeout=10, exclusive=True) as port:
                self.assertEqual(ask(port, b'\r\nBOOT'), b'ERROR: unknown command')
                self.assertEqual(port.readline(), b'READY\r\n')

    def test_the_operator_replaces_served_units_until_the_tray_is_empty(self):
        with Sim('--preload', CLIENT, '--replace-after-idle', '50', '--when-serial',
                 '--units', '3') as sim:
            for n in range(3):
                wait_for(sim.holds_a_blank_unit)
                with serial.Serial(sim.port(), timeout=10) as port:
                    self.assertEqual(ask(port, b'SET_SERIAL SN%d' % n), b'OK')
            wait_for(lambda: not sim.state()['plugged'])
            self.assertEqual(sim.ctl('list')['units_made'], 3)


if __name__ == '__main__':
    PROVSIM = sys.argv.pop(1)
    unittest.main()
