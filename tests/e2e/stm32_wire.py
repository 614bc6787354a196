# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire of a boot ROM (AN3155): a tap between a host and a pty, and the commands
in what the host said."""
import os
import select
import threading
import tty


class Tap:
    """A pty of its own, whose bytes go to another one and back; host and rom hold what each said."""

    def __init__(self, link):
        self.other = os.open(link, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.other)
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.slave = slave  # kept open: a pty without a slave hangs up
        self.link = os.ttyname(slave)
        self.host, self.rom = bytearray(), bytearray()
        self.end_read, self.end_write = os.pipe()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        ways = {self.master: (self.other, self.host), self.other: (self.master, self.rom)}
        while True:
            ready, _, _ = select.select([self.end_read, *ways], [], [])
            if self.end_read in ready:
                return
            for fd in ready:
                try:
                    data = os.read(fd, 65536)
                except OSError:
                    return
                to, seen = ways[fd]
                seen += data
                while data:
                    data = data[os.write(to, data):]

    def close(self):
        os.write(self.end_write, b'x')
        self.thread.join()
        for fd in (self.other, self.master, self.slave, self.end_read, self.end_write):
            os.close(fd)


def commands(host):
    """[(name, ...)] of a stream in which every command was taken: ('write', address, data),
    ('read', address, length), ('erase', pages or code), ('go', address), ('get',) ..."""
    found, at = [], 0

    def take(n):
        nonlocal at
        b = bytes(host[at:at + n])
        assert len(b) == n, 'cut off at %d' % at
        at += n
        return b

    def address():
        b = take(5)
        x = b[0] ^ b[1] ^ b[2] ^ b[3]
        assert b[4] == x, 'checksum of an address'
        return int.from_bytes(b[:4], 'big')

    while at < len(host):
        code = take(1)[0]
        if code == 0x7f:
            found.append(('init',))
            continue
        assert take(1)[0] == code ^ 0xff, 'no command at %d' % (at - 2)
        if code == 0x11:
            a, n = address(), take(2)
            assert n[0] ^ n[1] == 0xff
            found.append(('read', a, n[0] + 1))
        elif code == 0x31:
            a, n = address(), take(1)[0]
            data, x = take(n + 1), take(1)[0]
            for b in data:
                x ^= b
            assert x == n, 'checksum of data'
            found.append(('write', a, data))
        elif code == 0x21:
            found.append(('go', address()))
        elif code == 0x44:
            n = int.from_bytes(take(2), 'big')
            if n >= 0xfff0:
                take(1)
                found.append(('erase', n))
            else:
                pages = take(2 * (n + 1))
                take(1)
                found.append(('erase', [int.from_bytes(pages[i:i + 2], 'big') for i in range(0, len(pages), 2)]))
        elif code == 0x43:
            n = take(1)[0]
            if n == 0xff:
                take(1)
                found.append(('erase', 0xff))
            else:
                pages = list(take(n + 1))
                take(1)
                found.append(('erase', pages))
        elif code == 0x63:
            n = take(1)[0]
            found.append(('write-protect', list(take(n + 1))))
            take(1)
        else:
            found.append(({0: 'get', 1: 'version', 2: 'id', 0x73: 'write-unprotect', 0x82: 'readout-protect',
                           0x92: 'readout-unprotect', 0xff: 'invalid'}.get(code, hex(code)),))
    return found
