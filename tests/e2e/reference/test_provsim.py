#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provsim as its users see it: plug events, commands, TCP boards, faults that unplug.

    test_provsim.py PROVSIM
"""
import fcntl
import os
import select
import socket
import sys
import termios
import unittest

import serial

import test_guide_client
from test_guide_client import DEADLINE_S, Sim, ask, wait_for

TIOCGEXCL = 0x80045440  # asm-generic/ioctls.h; the termios module does not name it


class Events:
    """The event socket, block by block: (action, subsystem, properties)."""

    def __init__(self, sim):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(sim.path('events'))
        self.file = self.sock.makefile('rw')

    def block(self):
        header = self.file.readline().split()
        keys = {}
        while (line := self.file.readline().rstrip('\n')):
            key, _, value = line.partition('=')
            keys[key] = value
        assert header[0] == 'UDEV' and header[-3] == keys['ACTION'], header
        return keys

    def scan(self):
        found = []
        while (b := self.block())['ACTION'] != 'scan-done':
            found.append(b)
        return found

    def until(self, action, subsystem, devtype=None):
        while True:
            b = self.block()
            if (b['ACTION'], b['SUBSYSTEM'], b.get('DEVTYPE')) == (action, subsystem, devtype):
                return b

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.sock.close()


class Provsim(unittest.TestCase):
    def test_a_client_gets_the_list_then_what_happens_and_the_list_again(self):
        with Sim('--boards', '3') as sim, Events(sim) as events:
            found = events.scan()
            self.assertEqual([b['ACTION'] for b in found], ['add'] * 9)
            self.assertEqual([b['DEVNAME'] for b in found if b['SUBSYSTEM'] == 'tty'],
                             [b['link'] for b in sim.ready['boards']])
            sim.ctl('unplug', board='b2')
            gone = events.until('remove', 'usb', 'usb_device')
            self.assertEqual(gone['ID_PATH'], 'platform-provsim-usb-0:1.2')
            events.file.write('RESCAN\n')
            events.file.flush()
            self.assertEqual(len(events.scan()), 6)
            sim.ctl('plug', board='b2')
            back = events.until('add', 'usb', 'usb_device')
            self.assertEqual(back['ID_PATH'], gone['ID_PATH'])
            self.assertGreater(int(back['DEVNUM']), int(gone['DEVNUM']))

    def test_an_unplug_hangs_up_on_the_host(self):
        for link in 'pty', 'tcp':
            with self.subTest(link), Sim('--link', link) as sim:
                if link == 'pty':
                    with serial.Serial(sim.port(), timeout=DEADLINE_S) as port:
                        sim.ctl('unplug', board='b1')
                        with self.assertRaises(serial.SerialException):
                            port.read(1)
                    self.assertFalse(os.path.lexists(sim.port()))
                else:
                    with self.tcp(sim) as s:
                        sim.ctl('unplug', board='b1')
                        self.assertEqual(s.recv(1), b'')

    @staticmethod
    def tcp(sim):
        host, port = sim.state()['link'].removeprefix('tcp:').rsplit(':', 1)
        return socket.create_connection((host, int(port)), DEADLINE_S)

    def test_a_tcp_board_serves_one_host_after_another_on_the_same_port(self):
        with Sim('--link', 'tcp') as sim:
            link = sim.state()['link']
            with self.tcp(sim) as s, s.makefile('rwb') as f:
                f.write(b'BOOT\r\n')
                f.flush()
                self.assertEqual(f.readline(), b'READY\r\n')
                with self.tcp(sim) as second:
                    self.assertEqual(second.recv(1), b'')
            sim.ctl('replug', board='b1', gap_ms=1)
            wait_for(lambda: sim.state()['plugged'])
            self.assertEqual(sim.state()['link'], link)
            with self.tcp(sim) as s, s.makefile('rwb') as f:
                f.write(b'BOOT\r\n')
                f.flush()
                self.assertEqual(f.readline(), b'READY\r\n')

    def test_a_fault_swaps_the_unit_in_the_middle_of_a_command(self):
        with Sim('--fault', 'b1:swap=8') as sim, Events(sim) as events:
            events.scan()
            first = sim.state()['uid']
            with serial.Serial(sim.port(), timeout=DEADLINE_S) as port:
                self.assertEqual(ask(port, b'BOOT'), b'READY')
                port.write(b'BOOT\r\n')
                with self.assertRaises(serial.SerialException):
                    port.read(1)
            events.until('remove', 'usb', 'usb_device')
            events.until('add', 'tty')
            self.assertNotEqual(sim.state()['uid'], first)
            self.assertEqual(sim.state()['faults_fired'], 1)

    def test_a_flood_reaches_who_listens_and_blocks_no_other_board(self):
        with Sim('--boards', '2') as sim:
            with serial.Serial(sim.port('b1'), timeout=DEADLINE_S) as loud, \
                    serial.Serial(sim.port('b2'), timeout=DEADLINE_S) as other:
                self.assertTrue(sim.ctl('flood', board='b1', bytes=1 << 20)['ok'])
                self.assertEqual(ask(other, b'BOOT'), b'READY')
                self.assertEqual(len(loud.read(1 << 20)), 1 << 20)
                self.assertEqual(ask(loud, b'BOOT'), b'READY')

    def test_a_host_that_goes_leaves_no_exclusive_claim_and_no_unread_bytes(self):
        def claimed():
            fd = os.open(sim.port(), os.O_RDWR | os.O_NOCTTY)
            held = fcntl.ioctl(fd, TIOCGEXCL, b'\0' * 4)
            os.close(fd)
            return held != b'\0' * 4

        with Sim() as sim:
            fd = os.open(sim.port(), os.O_RDWR | os.O_NOCTTY)
            fcntl.ioctl(fd, termios.TIOCEXCL)
            os.write(fd, b'BOOT\r\n')
            wait_for(lambda: select.select([fd], [], [], DEADLINE_S)[0])
            os.close(fd)
            wait_for(lambda: not claimed())
            fd = os.open(sim.port(), os.O_RDWR | os.O_NOCTTY)
            os.write(fd, b'nonsense\r\n')
            with os.fdopen(fd, 'rb') as f:
                self.assertEqual(f.readline(), b'ERROR: unknown command\r\n')

    def test_a_bouncing_plug_ends_plugged(self):
        with Sim() as sim, Events(sim) as events:
            events.scan()
            sim.ctl('replug', board='b1', gap_ms=1, times=20)
            for _ in range(20):
                events.until('remove', 'usb', 'usb_device')
                events.until('add', 'tty')
            self.assertTrue(sim.state()['plugged'])

    def test_nonsense_is_refused_and_told(self):
        with Sim() as sim:
            for request in ({'cmd': 'dance'}, {'cmd': 'plug', 'board': 'b9'},
                            {'cmd': 'fault', 'board': 'b1', 'fault': 'no-erase=1'}):
                answer = sim.ctl(**request)
                self.assertFalse(answer['ok'])
                self.assertTrue(answer['error'])


if __name__ == '__main__':
    test_guide_client.PROVSIM = sys.argv.pop(1)
    unittest.main()
