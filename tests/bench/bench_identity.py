# SPDX-License-Identifier: Apache-2.0
"""What an identity costs: a set of values over a serial number alone, and certificates a second over what libcrypto or the
token alone makes."""
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
STATIONS = 8
HEAD = """recipe: bench
version: 1
unit: {serial: {pool: bench}}
ports:
  console: {kind: tty, baud: 115200}
artifacts: {image: image.bin}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.image}', boot: true}
    timeout: 10m
"""
SERIAL = """  - id: set-serial
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
    retry: {attempts: 20, delay: 50ms, on: [timeout, unexpected-reply]}
"""
DRAW = """  - {id: id, action: unit.identity, with: {values: {m0: {pool: macs}, m1: {pool: macs}, m2: {pool: macs}, license: {pool: keys}}}}
"""
WRITE = """  - {id: m0, action: unit.mac, with: {port: console, mac: '${steps.id.m0}', index: 0}}
  - {id: m1, action: unit.mac, with: {port: console, mac: '${steps.id.m1}', index: 1}}
  - {id: m2, action: unit.mac, with: {port: console, mac: '${steps.id.m2}', index: 2}}
  - {id: license, action: unit.license, with: {port: console, key: '${steps.id.license}'}}
"""


def unit_seconds(b, more):
    """A job of one unit at each of 8 stations."""
    import bench
    line = bench.Line(b.build, STATIONS, ["--baud", "115200"], image=16384)
    try:
        line.call("POST", "/pools", {"id": "macs", "kind": "mac", "pattern": "{mac}", "block": "AC:DE:48", "first": 0, "last": 9999})
        line.call("POST", "/pools", {"id": "keys", "kind": "license", "values": ["LIC-%04d" % i for i in range(100)]})
        line.prepare_recipe(HEAD + SERIAL + more)
        line.all_ready()
        return line.job(STATIONS)
    finally:
        line.close()


def sets(b):
    drawn, written = [], []
    for _ in range(b.rounds):
        alone = unit_seconds(b, "")
        drawn.append(unit_seconds(b, DRAW) / alone)
        written.append(unit_seconds(b, DRAW + WRITE) / alone)
    b.row("a unit that draws 3 MACs and a license, over serial", drawn, 1.15, "low")
    b.row("the same, and each is written and read back", written, 1.15, "low")


class Keys:
    """An issuer, in a file or a token, its provd-keyd, and a unit's request."""

    def __init__(self, b, in_token):
        os.environ["PROVD_BUILD"] = b.build
        import keyd
        self.b = b
        self.dir = tempfile.TemporaryDirectory(prefix="provd-bench-")
        home = self.dir.name
        self.authority = keyd.Authority(home, "factory")
        self.request = os.path.join(home, "request.pem")
        with open(self.request, "wb") as f:
            f.write(keyd.Device(home).csr)
        env = {}
        if in_token:
            self.soft = keyd.SoftToken(home)
            self.soft.import_key(self.authority.key, "issuer", "a1")
            self.authority.key = self.soft.uri("issuer") + "?module-path=" + self.soft.MODULE
            self.authority.pin, env = self.soft.pin, self.soft.env
        config = os.path.join(home, "provd.yaml")
        with open(config, "w") as f:
            f.write("profiles: %s\nissuers:\n%s" % (os.path.join(TOP, "systemd", "profiles"), self.authority.yaml(["idevid"])))
        self.env = dict(os.environ, **env)
        self.keyd = keyd.Keyd(home, config, env).start()

    def program(self, *argv):
        out = subprocess.run([f"{self.b.build}/tests/bench/bench_keyd", *argv], capture_output=True, text=True, env=self.env)
        if out.returncode:
            raise RuntimeError(out.stderr)
        return float(out.stdout)

    def asked(self, records):
        more = [os.path.join(self.dir.name, "bench-%d.db" % time.monotonic_ns())] if records else []
        return self.program("ask", self.keyd.socket, "factory", "idevid", self.request, str(STATIONS), "2", *more)

    def close(self):
        self.keyd.stop()
        self.dir.cleanup()


def certificates(b, in_token, name, aim):
    keys = Keys(b, in_token)
    with_records, without = [], []
    try:
        for _ in range(b.rounds):
            if in_token:
                alone = keys.program("token", keys.soft.MODULE, "issuer", keys.soft.PIN, "1")
            else:
                alone = keys.program("bare", keys.authority.key, keys.authority.chain, keys.request, "1")
            with_records.append(keys.asked(True) / alone)
            without.append(keys.asked(False) / alone)
    finally:
        keys.close()
    b.row(f"certificates/s from 8 threads, {name}", without, aim, "high")
    b.row("the same with their records", with_records, aim, "high")


def run(b):
    certificates(b, False, "over bare libcrypto", 0.8)
    certificates(b, True, "over the token alone", 0.8)
    sets(b)
