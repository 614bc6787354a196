#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The API: orders, live clients, clients over TLS, and what it sends to others. Called by bench.py."""
import base64
import json
import os
import resource
import selectors
import socket
import sqlite3
import ssl
import subprocess
import time

import bench as b

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


def orders(bench, line):
    """Orders of 32 clients, each answered once it is on disk, over rows of the same bytes that SQLite alone commits one by one."""
    line.prepare(115200)
    for s in line.call("GET", "/stations")["items"]:
        line.call("POST", f"/stations/{s['id']}/actions/disable", {})
    order = {"recipe": "bench", "quantity": 5, "priority": 1, "external_ref": "WO-4711"}
    kept = json.dumps(line.call("POST", "/jobs", order))
    ratios = []
    for i in range(bench.rounds):
        with sqlite3.connect(os.path.join(line.dir, f"single{i}.db"), isolation_level=None) as d:
            d.execute("PRAGMA journal_mode = WAL")
            d.execute("PRAGMA synchronous = FULL")
            d.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, job TEXT)")
            n, begun = 0, time.monotonic()
            while time.monotonic() < begun + 1:
                d.execute("INSERT INTO jobs (job) VALUES (?)", (kept,))
                n += 1
            single = n / (time.monotonic() - begun)
        posts = subprocess.run([f"{bench.build}/tests/bench/bench_http", "load", str(line.port), "/api/v1/jobs", "2", "32", line.token,
                                json.dumps(order)], capture_output=True, text=True, check=True).stdout
        ratios.append(float(posts) / single)
    bench.row("orders posted by 32 clients over single commits", ratios, 10, "high")


def tls(bench):
    """What an idle client over TLS holds."""
    name = ["-days", "30", "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:localhost"]
    line = b.Line(bench.build, 0, plugged=False)
    try:
        crt, key = (os.path.join(line.dir, n) for n in ("api.crt", "api.key"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", crt,
                        *name], capture_output=True, check=True)
        line.stop()
        with open(os.path.join(line.dir, "provd.yaml"), "a") as f:
            f.write(f"tls: {{certificate: {crt}, key: {key}}}\n")
        line.start()
        context = ssl._create_unverified_context()
        ask = f"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {line.token}\r\n\r\n".encode()
        clients, each = [], []
        for _ in range(4):
            before = private_bytes(line.provd.pid)
            for _ in range(100):
                clients.append(context.wrap_socket(socket.create_connection(("127.0.0.1", line.port))))
                clients[-1].sendall(ask)
                assert clients[-1].recv(65536).startswith(b"HTTP/1.1 200 ")
            each.append((private_bytes(line.provd.pid) - before) / 100 / 1024)
        for s in clients:
            s.close()
    finally:
        line.close()
    bench.row("memory of each idle client over TLS", each, 64, "low", "KiB")


def webhooks(bench):
    """To a receiver that answers at once, and to one that takes as long as a MES beyond a plant's network."""
    for after_ms, count, name in ((5, 4000, "that takes 5 ms"), (0, 8000, "that answers at once")):
        bare = subprocess.Popen([f"{bench.build}/tests/bench/bench_http", "serve", "2", str(after_ms)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        url = f"http://127.0.0.1:{bare.stdout.readline().strip()}/hook"
        ratios = [sent_per_s(bench, url, count) / float(subprocess.run(
            [f"{bench.build}/tests/bench/bench_curl", url, str(MESSAGE_BYTES), str(count), "8"], capture_output=True, text=True, check=True).stdout)
            for _ in range(bench.rounds)]
        bare.stdin.close()
        bare.wait()
        bench.row(f"events sent to a webhook {name}, over libcurl alone", ratios, 0.8, "high")


DATA = {"text": "x" * 300, "unit": "u00"}
MESSAGE_BYTES = len(json.dumps({"type": "bench", "timestamp": "2026-01-01T00:00:00.000Z", "seq": 1000, "station": None, "job": None, "run": None,
                                "serial": None, "data": DATA}, separators=(",", ":")))


def sent_per_s(bench, url, count):
    """Events that wait, of as many units as a row of stations has (of one they go one by one), signed and on record."""
    secret = "whsec_%s\n" % base64.b64encode(bytes(range(32))).decode()
    line = b.Line(bench.build, 0, plugged=False, more="webhooks: {allow: [127.0.0.0/8]}\nsecrets: {one: {file: DIR/secret}}\n",
                  files=(("secret", secret),))
    try:
        hook = line.call("POST", "/webhooks", {"url": url, "secret": "one", "types": ["bench"]})["id"]
        sent = lambda: line.call("GET", f"/webhooks/{hook}")["done"]
        line.stop()
        with sqlite3.connect(os.path.join(line.state, "provd.db")) as d:
            d.executemany("INSERT INTO events (at, type, data) VALUES (?, 'bench', ?)",
                          ((int(time.time() * 1000), json.dumps(dict(DATA, unit=f"u{i % 64:02}"))) for i in range(count)))
        d.close()
        os.unlink(os.path.join(line.state, "provd.db-sums"))  # what was written here is taken for provd's
        line.start()
        before, began = sent(), time.monotonic()
        line.wait(lambda: sent() >= count, 0.02, 300)
        return (count - before) / (time.monotonic() - began)
    finally:
        line.close()
