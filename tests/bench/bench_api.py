#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The API with many live clients. Called by bench.py."""
import resource
import selectors
import socket
import time

CLIENTS = 1000
COMMITS = 40


class Streams:
    """Live streams without a thread for each; `seen` counts the frames of the type that is waited for."""

    def __init__(self, port, token, n, kind):
        self.selector, self.mark = selectors.DefaultSelector(), b"event: %s\n" % kind.encode()
        self.sockets, self.answered, self.tail = [], 0, {}
        for i in range(n):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, i)
            self.sockets.append(s)

    def read(self, wait_s):
        """How many frames of that type came."""
        came = 0
        for key, _ in self.selector.select(wait_s):
            got = key.fileobj.recv(65536)
            if key.data not in self.tail:
                self.answered += got.startswith(b"HTTP/1.1 200 ")
            got = self.tail.get(key.data, b"") + got
            came += got.count(self.mark)
            # What may be the beginning of the next one.
            self.tail[key.data] = got.split(self.mark)[-1][1 - len(self.mark):]
        return came

    def close(self):
        for s in self.sockets:
            s.close()
        self.selector.close()


def private_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(x.split()[1]) * 1024 for x in f if x.startswith("Private_"))


def live(bench, line):
    """From a request that changes something to the last of the clients that hears of it; memory of each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(CLIENTS + 500, hard)), hard))
    before = private_bytes(line.provd.pid)
    streams = Streams(line.port, line.token, CLIENTS, "pool-created")
    try:
        while streams.answered < CLIENTS:
            streams.read(0.1)
        each = (private_bytes(line.provd.pid) - before) / CLIENTS / 1024
        took = []
        for i in range(COMMITS):
            begun = time.monotonic()
            line.call("POST", "/pools", {"id": f"live{i}", "pattern": "L%d{seq:03}" % i, "last": 9})
            heard = 0
            while heard < CLIENTS:
                heard += streams.read(1)
            took.append((time.monotonic() - begun) * 1e3)
    finally:
        streams.close()
    took.sort()
    bench.row(f"from a request to the last of {CLIENTS} live clients, p99 of {COMMITS}", [took[int(len(took) * 0.99) - 1]], 50, "low", "ms")
    bench.rows[-1]["spread"] = [round(took[0], 2), round(took[-1], 2)]
    bench.row("memory of each live client", [each], 24, "low", "KiB")
