#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Over TCP nobody sees a unit leave. Two units take turns at one address: a run that began with one of them does not go
on with the other.

    test_swapped.py [BUILD]
"""
import json
import os
import socket
import subprocess
import tempfile
import threading
import unittest

import adb
import fastboot_bench
import line


class Address(threading.Thread):
    """The n-th connection goes to the n-th of `ports`; those after them to the last."""

    def __init__(self, ports):
        super().__init__(daemon=True)
        self.ports = list(ports)
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.name = 'tcp:127.0.0.1:%d' % self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            device = socket.create_connection(('127.0.0.1', self.ports[0]))
            self.ports = self.ports[1:] or self.ports
            self.serve(client, device)

    def serve(self, client, device):
        with client, device:
            back = threading.Thread(target=self.pump, args=(device, client), daemon=True)
            back.start()
            self.pump(client, device)
            back.join()

    @staticmethod
    def pump(source, sink):
        try:
            while part := source.recv(1 << 16):
                sink.sendall(part)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Swapped(unittest.TestCase):
    def recipe(self, steps, ports):
        with tempfile.TemporaryDirectory() as home:
            path = os.path.join(home, 'r.yaml')
            line.write(path, 'recipe: r\nversion: 1\nports: {dut: {kind: tcp}}\nsteps:\n' + steps)
            address = Address(ports)
            self.addCleanup(address.close)
            done = subprocess.run(
                [line.binary('provctl'), 'recipe', 'run', path, '--json', '--port', 'dut=' + address.name],
                capture_output=True, text=True, timeout=60, env=dict(os.environ, TMPDIR=home, HOME=home),
                preexec_fn=line._with_parent)
        self.assertIn(done.returncode, (0, 1, 3), done.stderr)
        return json.loads(done.stdout)

    def check(self, steps, one, other):
        same = self.recipe(steps, [one])
        self.assertEqual(same['outcome'], 'passed', same)
        mixed = self.recipe(steps, [one, other])
        self.assertEqual((mixed['code'], mixed['step']), ('wrong-device', 'second'), mixed)
        self.assertIn('was another unit put in its place?', mixed['message'])

    def test_fastboot(self):
        steps = ('  - {id: first, action: fastboot.getvar, with: {port: dut, name: product}}\n'
                 '  - {id: second, action: fastboot.getvar, with: {port: dut, name: product}}\n')
        with fastboot_bench.Bench() as one, fastboot_bench.Bench() as other:
            self.check(steps, one.port, other.port)
            # The first attempt is refused by one unit; what the next one says is of another.
            one.fault('fail=3')
            again = self.recipe("  - {id: a, action: fastboot.getvar, with: {port: dut, name: product}, "
                                "retry: {attempts: 2}}\n", [one.port, other.port])
            self.assertEqual((again['code'], again['steps'][0]['outcome']), ('wrong-device', 'failed'), again)

    def test_adb(self):
        steps = ('  - {id: first, action: adb.shell, with: {port: dut, command: id}}\n'
                 '  - {id: second, action: adb.shell, with: {port: dut, command: id}}\n')
        with adb.Phone() as one, adb.Phone() as other:
            self.check(steps, one.port, other.port)


if __name__ == '__main__':
    line.main()
