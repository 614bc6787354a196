#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""provctl adopt: something is plugged into one socket after another, and the file of stations that comes of it binds them.

    test_adopt.py [BUILD]
"""
import os
import socket
import subprocess
import threading
import unittest

import line

ROOT = '/devices/pci0000:00/0000:00:14.0/usb1/1-1'


class Events:
    """What udev says, over a stream: devices come and go."""

    def __init__(self, path):
        self.there, self.lock, self.clients = {}, threading.Lock(), []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.clients.append(client)
                self.scan(client)
            threading.Thread(target=self.rescans, args=(client,), daemon=True).start()

    def rescans(self, client):
        while client.recv(64):
            with self.lock:
                self.scan(client)

    def scan(self, client):
        client.sendall((''.join(self.there.values()) + 'UDEV  [1.000000] scan-done /devices (provd)\nACTION=scan-done\n'
                        'DEVPATH=/devices\nSUBSYSTEM=provd\n\n').encode())

    @staticmethod
    def text(action, port, tty=None, interfaces=':ff0000:', placed=True):
        path = '%s/%s' % (ROOT, port) + ('/%s:1.%d/tty/ttyX%s.%d' % (port, tty, port, tty) if tty is not None else '')
        chain = 'pci-0000:00:14.0-usb-0:%s' % port.split('-')[1]
        if not placed:
            return 'UDEV  [1.000000] %s %s (usb)\nACTION=%s\nDEVPATH=%s\nSUBSYSTEM=tty\nDEVNAME=/dev/ttyY0\n\n' % (action, path, action, path)
        return ('UDEV  [1.000000] %s %s (usb)\nACTION=%s\nDEVPATH=%s\nSUBSYSTEM=%s\n' % (action, path, action, path, 'usb' if tty is None else 'tty')
                + ('DEVTYPE=usb_device\nDEVNAME=/dev/bus/usb/001/%03d\nID_USB_INTERFACES=%s\nID_PATH=%s\n' % (len(path), interfaces, chain)
                   if tty is None else 'DEVNAME=/dev/ttyX%s.%d\nID_USB_INTERFACE_NUM=%02d\nID_PATH=%s:1.%d\n' % (port, tty, tty, chain, tty))
                + 'ID_VENDOR_ID=0403\nID_MODEL_ID=6001\n\n')

    def say(self, text):
        for c in list(self.clients):
            try:
                c.sendall(text.encode())
            except OSError:  # of a provd that has ended
                self.clients.remove(c)

    def plug(self, port, ttys=(), **kw):
        with self.lock:
            for tty in (None, *ttys):
                self.there[(port, tty)] = self.text('add', port, tty, **kw)
                self.say(self.there[(port, tty)])

    def unplug(self, *ports):
        with self.lock:
            for port, tty in [k for k in reversed(list(self.there)) if k[0] in ports]:
                del self.there[(port, tty)]
                self.say(self.text('remove', port, tty))


class Adopt(unittest.TestCase):
    def setUp(self):
        self.line = line.Line(stations=0, boards=0)
        self.addCleanup(self.line.close)
        self.events = Events(os.path.join(self.line.home, 'events.sock'))
        self.addCleanup(self.events.listener.close)
        self.line.start()
        self.out = os.path.join(self.line.home, 'sockets.yaml')

    def begin(self, *options):
        env = dict(os.environ, PROVD_URL='http://127.0.0.1:%d' % self.line.provd.port, PROVD_TOKEN=self.line.provd.token)
        self.said = open(os.path.join(self.line.home, 'said'), 'w+')
        self.addCleanup(self.said.close)
        p = subprocess.Popen([line.binary('provctl'), 'adopt', *options], env=env, stderr=self.said, stdout=subprocess.PIPE, text=True,
                             preexec_fn=line._with_parent)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.says('in the order of the stations')
        return p

    def says(self, word):
        line.wait_for('provctl says ' + word, lambda: word in line.read(self.said.name))

    def test_sockets_become_stations_in_the_order_in_which_they_are_plugged(self):
        self.events.plug('1-1.9', (0,))           # was there before: not meant
        line.wait_for('provd sees it', lambda: len(self.line.api.get('/ports')['items']) == 2)
        p = self.begin('--stations', '4', '--out', self.out)
        self.events.plug('1-1.3', (0,))
        self.says('A1: pci-0000:00:14.0-usb-0:1.3 (1 of 4)')
        self.events.unplug('1-1.3')
        # The same adapter may go through all sockets; here it goes back into the first, which is a station already.
        self.events.plug('1-1.3', (0,))
        self.events.unplug('1-1.3')
        self.events.plug('1-1.1', (0, 2))         # two serial ports
        self.says('A2: pci-0000:00:14.0-usb-0:1.1 (2 of 4)')
        self.events.plug('1-1.2', interfaces=':090000:')
        self.says('a hub with nothing on it')
        self.events.plug('1-1.4', interfaces=':090000:')
        self.events.plug('1-1.4.1', (0,))
        self.events.plug('1-1.4.2')               # a board: a hub, a serial port, a device without one
        self.says('A3: pci-0000:00:14.0-usb-0:1.4 (3 of 4)')
        self.events.plug('1-1.5', (0,))
        self.events.plug('1-1.6', (0,))
        self.says('several sockets at once')
        self.events.unplug('1-1.5', '1-1.6')
        self.events.unplug('1-1.9')
        for port in ('1.5', '1.6', '1.9'):
            self.says('-0:%s: pulled out' % port)
        self.events.plug('1-1.9', (0,))           # pulled out and plugged: it is meant now
        self.assertEqual(p.wait(line.DEADLINE_S), 0, line.read(self.said.name))
        with open(self.out) as f:
            text = f.read()
        self.assertEqual(text, '''stations:
  - id: A1
    ports:
      console: {path: 'pci-0000:00:14.0-usb-0:1.3', vid: '0403', pid: '6001'}
  - id: A2
    ports:
      console: {path: 'pci-0000:00:14.0-usb-0:1.1', interface: 0, vid: '0403', pid: '6001'}
      console2: {path: 'pci-0000:00:14.0-usb-0:1.1', interface: 2, vid: '0403', pid: '6001'}
  - id: A3
    ports:
      console: {path: 'pci-0000:00:14.0-usb-0:1.4.1', vid: '0403', pid: '6001'}
      dut: {kind: usb, path: 'pci-0000:00:14.0-usb-0:1.4.2', vid: '0403', pid: '6001'}
  - id: A4
    ports:
      console: {path: 'pci-0000:00:14.0-usb-0:1.9', vid: '0403', pid: '6001'}
''')
        # provd takes it as it is, and each is bound.
        with open(os.path.join(self.line.home, 'stations.d', 'line.yaml'), 'w') as f:
            f.write(text)
        self.line.provd.process.send_signal(1)
        bound = line.wait_for('the stations', lambda: [i for i in self.line.api.get('/ports')['items'] if 'station' in i] or None)
        line.wait_for('all are bound', lambda: {(i['station'], i['port']) for i in self.line.api.get('/ports')['items'] if 'station' in i}
                      == {('A2', 'console'), ('A2', 'console2'), ('A3', 'console'), ('A3', 'dut'), ('A4', 'console')})
        self.assertTrue(bound)

    def test_a_device_without_a_place_is_named_and_a_hub_that_carries_nothing_is_left_out(self):
        p = self.begin('--stations', '1', '--prefix', '7-', '--out', self.out)
        self.events.plug('1-1.2', (0,), placed=False)
        self.says('ttyY0: no ID_PATH')
        # A hub of USB 3 is two devices, of which a board of USB 2 uses one; on it is one more hub.
        self.events.plug('1-4', interfaces=':090000:')
        self.events.plug('1-14', interfaces=':090000:')
        self.events.plug('1-4.2', interfaces=':090000:')
        self.events.plug('1-4.2.1', (0,))
        self.assertEqual(p.wait(line.DEADLINE_S), 0, line.read(self.said.name))
        self.assertIn('7-1: pci-0000:00:14.0-usb-0:4', line.read(self.said.name))
        self.assertIn("  - id: '7-1'\n    ports:\n      console: {path: 'pci-0000:00:14.0-usb-0:4.2.1'", line.read(self.out))

    def test_what_was_there_before_provd_restarted_is_not_taken_for_new(self):
        self.events.plug('1-1.9', (0,))
        line.wait_for('provd sees it', lambda: len(self.line.api.get('/ports')['items']) == 2)
        p = self.begin('--stations', '1', '--out', self.out)
        port = self.line.provd.port
        self.line.provd.stop()
        self.says('waits for it')
        config = line.read(self.line.provd.config)
        with open(self.line.provd.config, 'w') as f:
            f.write(config.replace('127.0.0.1:0', '127.0.0.1:%d' % port))
        self.line.start()
        self.says('answers again')
        self.events.plug('1-1.3', (0,))
        self.assertEqual(p.wait(line.DEADLINE_S), 0, line.read(self.said.name))
        self.assertIn('A1: pci-0000:00:14.0-usb-0:1.3 (1 of 1)', line.read(self.said.name))
        self.assertNotIn('1.9', line.read(self.out))

    def test_what_was_done_is_printed_where_its_file_cannot_be_written(self):
        os.mkdir(os.path.join(self.line.home, 'gone'))
        p = self.begin('--stations', '2', '--out', os.path.join(self.line.home, 'gone', 'x.yaml'))
        os.rmdir(os.path.join(self.line.home, 'gone'))
        self.events.plug('1-1.3', (0,))
        out, _ = p.communicate(timeout=line.DEADLINE_S)
        self.assertEqual(p.returncode, 3)
        self.assertIn("stations:\n  - id: A1\n    ports:\n      console: {path: 'pci-0000:00:14.0-usb-0:1.3'", out)

    def test_what_is_asked_wrongly_is_said(self):
        for options, word in (((), '--stations is missing'), (('--stations', '0'), '1 to 512'), (('--stations', '2', '--first', 'x'), '--first'),
                              (('--stations', '2', '--prefix', 'A: b'), '--prefix'), (('--stations', '2', '--prefix', 'x' * 64), '--prefix'),
                              (('--stations', '2', '--out', self.line.provd.config), 'is there already'),
                              (('--stations', '2', '--out', self.line.home + '/none/x.yaml'), 'none/x.yaml')):
            p = self.line.provctl('adopt', *options)
            self.assertEqual(p.returncode, 2, p)
            self.assertIn(word, p.stderr)


if __name__ == '__main__':
    line.main()
