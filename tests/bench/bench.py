#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Measures provd as ratios taken in one run. Called by scripts/bench.

Each row: name, ratio (the median of the rounds), the aim, and the spread of the paired rounds. A missed aim
is said, never hidden. No test depends on it.
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
RECIPE = """recipe: bench
version: 1
unit: {serial: {pool: bench}}
ports:
  console: {kind: tty, baud: %d}
artifacts: {image: image.bin}
steps:
  - id: flash
    action: serialboot.flash
    with: {port: console, image: '${artifacts.image}', boot: true}
    timeout: 10m
  - id: set-serial
    action: console.command
    with: {port: console, send: 'SET_SERIAL ${unit.serial}', expect: '^OK$', read_back: {send: GET_SERIAL, expect: '^${unit.serial}$'}}
    retry: {attempts: 20, delay: 50ms, on: [timeout, unexpected-reply]}
"""


class Line:
    """provsim and provd with N stations in a directory of their own."""

    def __init__(self, build, stations, sim=(), settle="100ms", plugged=True, state=None, image=16384, more="", files=()):
        self.dir = tempfile.mkdtemp(prefix="provd-bench-")
        self.build, self.stations, self.procs = build, stations, []
        self.state = state or os.path.join(self.dir, "state")
        path = lambda name: os.path.join(self.dir, name)
        for name, text in files:
            with open(path(name), "w") as f:
                f.write(text)
            os.chmod(path(name), 0o600)
        with open(path("provd.yaml"), "w") as f:
            f.write(f"state_dir: {self.state}\nlisten: 127.0.0.1:0\nrate_limit: 0\n"
                    f"hotplug: ['stream:{path('events')}']\nsettle: {settle}\nstations:\n" if stations else
                    f"state_dir: {self.state}\nlisten: 127.0.0.1:0\nrate_limit: 0\n"
                    f"hotplug: ['stream:{path('events')}']\n")
            for i in range(1, stations + 1):
                f.write(f"  - {{id: S{i}, ports: {{console: {{path: 'platform-provsim-usb-0:1.{i}'}}}}}}\n")
            f.write(more.replace("DIR", self.dir))
        self.control = path("control")
        if plugged:
            self.sim = self.spawn([f"{build}/sim/provsim", "run", "--boards", str(stations), "--events", path("events"),
                                   "--control", self.control, "--state", path("boards"), *sim], path("sim.log"))
            self.wait(lambda: os.path.exists(self.control))
        self.start()
        with open(os.path.join(self.state, "admin-token")) as f:
            self.token = f.read().strip()
        self.image = os.urandom(image)

    def start(self):
        """provd, which has not run or was stopped."""
        path = lambda name: os.path.join(self.dir, name)
        begun = time.monotonic()
        self.provd = self.spawn([f"{self.build}/daemon/provd", "--config", path("provd.yaml"), "--port-file", path("port"),
                                 "--log-level", "warning"], path("provd.log"))
        self.wait(lambda: os.path.exists(path("port")) and os.path.getsize(path("port")) > 0, 0.0005)
        self.ready_s = time.monotonic() - begun
        with open(path("port")) as f:
            self.port = int(f.read())

    def stop(self):
        self.provd.terminate()
        self.provd.wait()
        os.unlink(os.path.join(self.dir, "port"))

    def spawn(self, argv, log):
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=open(log, "w"), stderr=subprocess.STDOUT)
        self.procs.append(p)
        return p

    @staticmethod
    def wait(ready, every=0.01, limit=30):
        end = time.monotonic() + limit
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError("nothing came")
            time.sleep(every)

    def call(self, method, path, body=None, content_type="application/json"):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        c.request(method, "/api/v1" + path, data, {"Authorization": "Bearer " + self.token, "Content-Type": content_type})
        r = c.getresponse()
        text = r.read()
        c.close()
        if r.status >= 400:
            raise RuntimeError(f"{method} {path}: {r.status} {text[:300]!r}")
        return json.loads(text)

    def prepare(self, baud):
        self.prepare_recipe(RECIPE % baud)

    def prepare_recipe(self, recipe):
        import hashlib
        self.call("POST", "/pools", {"id": "bench", "pattern": "B{seq:08}"})
        self.call("PUT", f"/artifacts/{hashlib.sha256(self.image).hexdigest()}?name=image.bin", self.image, "application/octet-stream")
        self.call("POST", "/recipes", recipe.encode(), "application/yaml")
        self.call("POST", "/recipes/bench/versions/1/actions/approve", {})

    def all_ready(self):
        self.wait(lambda: all(s["state"] == "ready" for s in self.call("GET", "/stations")["items"]), 0.05)

    def job(self, units):
        begun = time.monotonic()
        job = self.call("POST", "/jobs", {"recipe": "bench", "quantity": units})["id"]
        self.wait(lambda: self.call("GET", f"/jobs/{job}")["state"] == "done", 0.02, 600)
        return time.monotonic() - begun

    def rss(self):
        with open(f"/proc/{self.provd.pid}/smaps_rollup") as f:
            return next(int(l.split()[1]) * 1024 for l in f if l.startswith("Rss:"))

    def close(self):
        for p in reversed(self.procs):
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
                try:
                    p.wait(20)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Bench:
    def __init__(self, build, rounds):
        self.build, self.rounds, self.rows = build, rounds, []

    def row(self, name, values, aim, better, unit=""):
        """better: 'low' (at most the aim) or 'high' (at least)."""
        ratio = statistics.median(values)
        met = ratio <= aim if better == "low" else ratio >= aim
        self.rows.append({"name": name, "ratio": round(ratio, 4), "aim": aim, "better": better, "met": met,
                          "unit": unit, "rounds": len(values), "spread": [round(min(values), 4), round(max(values), 4)]})
        print(f"{name:52} {ratio:10.3f} {unit:5} aim {'<=' if better == 'low' else '>='} {aim:<8} "
              f"[{min(values):.3f} .. {max(values):.3f}] {'met' if met else 'MISSED'}", flush=True)

    def paced(self):
        times = {}
        for n in (1, 8, 64, 256):
            times[n] = []
        for _ in range(self.rounds):
            for n in times:
                line = Line(self.build, n, ["--baud", "115200"], image=16384)
                try:
                    line.prepare(115200)
                    line.all_ready()
                    times[n].append(line.job(n))
                finally:
                    line.close()
        for n, aim in ((8, 1.02), (64, 1.05), (256, 1.10)):
            self.row(f"wall time, {n} paced stations over one", [a / b for a, b in zip(times[n], times[1])], aim, "low")

    def group_commit(self):
        ratios = []
        for _ in range(self.rounds):
            out = subprocess.run([f"{self.build}/tests/bench/bench_writer", "2"], capture_output=True, text=True, check=True)
            ratios.append(float(out.stdout.split()[-1]))
        self.row("durable steps/s at 64 stations, grouped over single", ratios, 10, "high")

    def flash_once(self, baud, size, reference):
        """Seconds of the guide's class (a fresh board) and of provctl on the same board, and of the step alone."""
        line = Line(self.build, 1, ["--baud", str(baud), "--erase-ms", "0"], plugged=True)
        image = os.path.join(line.dir, "image.bin")
        with open(image, "wb") as f:
            f.write(os.urandom(size))
        theirs = None
        try:
            boards = subprocess.run([f"{self.build}/sim/provsim", "ctl", "--control", line.control, '{"cmd":"list"}'],
                                    capture_output=True, text=True, check=True)
            port = json.loads(boards.stdout)["boards"][0]["link"]
            line.provd.terminate()
            line.provd.wait()
            if reference:
                begun = time.monotonic()
                subprocess.run(["/usr/bin/python3", f"{TOP}/tests/e2e/reference/guide_bootloader.py", port, image, "--baud",
                                str(baud)], check=True, capture_output=True)
                theirs = time.monotonic() - begun
                time.sleep(0.5)  # the board that it left is booting, and deaf while it does
            begun = time.monotonic()
            out = subprocess.run([f"{self.build}/cli/provctl", "exec", "serialboot.flash", f"port=tty:{port}@{baud}",
                                  f"image={image}", "boot=true", "block=16384", "--json"], check=True, capture_output=True)
            return theirs, time.monotonic() - begun, json.loads(out.stdout)["steps"][0]["duration_ms"] / 1000
        finally:
            line.close()

    def flash(self):
        guide = [ours / theirs for theirs, ours, _ in (self.flash_once(460800, 32768, True) for _ in range(self.rounds))]
        self.row("serialboot.flash, provctl exec over the guide's class", guide, 0.9, "low")
        # Write and read back every byte, a header of 7 and an ACK for each chunk, ten bits a byte.
        size, baud = 65536, 115200
        wire = (2 * size + size / 256 * (7 + 1)) * 10 / baud
        limit = [wire / step for _, _, step in (self.flash_once(baud, size, False) for _ in range(self.rounds))]
        self.row("serialboot.flash, wire limit over its time", limit, 0.97, "high")

    def attach(self):
        """Plug to the first byte that the board gets, less the settle time, in ms: the worst of 99 in 100."""
        line = Line(self.build, 1, ["--boot-ms", "1"], settle="20ms", image=256)
        late = []
        try:
            line.prepare(0 or 115200)
            line.call("POST", "/jobs", {"recipe": "bench", "quantity": 100000})
            # The record says when: attached_at of the run against the start of its first step.
            for _ in range(40 * self.rounds):
                subprocess.run([f"{self.build}/sim/provsim", "ctl", "--control", line.control,
                                '{"cmd":"next","board":"b1","gap_ms":60}'], check=True, capture_output=True)
                time.sleep(0.35)
            import sqlite3
            db = sqlite3.connect(f"file:{line.state}/provd.db?mode=ro", uri=True)
            late = [s - a - 20 for a, s in db.execute("SELECT r.attached_at, s.started_at FROM runs r JOIN steps s "
                                                        "ON s.run_id = r.id AND s.n = 1 ORDER BY r.seq")]
        finally:
            line.close()
        late.sort()
        p99 = late[min(len(late) - 1, int(len(late) * 0.99))]
        parts = [sorted(late[i::self.rounds])[-1] for i in range(self.rounds)]
        self.row("attach to first step beyond the settle time, p99", [float(p99)], 10, "low", "ms")
        self.rows[-1]["spread"] = [min(parts), max(parts)]
        self.rows[-1]["samples"] = len(late)

    def start(self):
        values = []
        with tempfile.TemporaryDirectory(prefix="provd-bench-") as d:
            os.mkdir(f"{d}/state", 0o700)
            first = Line(self.build, 0, plugged=False)
            token = first.token
            first.provd.terminate()
            first.provd.wait()
            shutil.rmtree(f"{d}/state")
            shutil.copytree(first.state, f"{d}/state")
            first.close()
            subprocess.run([f"{self.build}/tests/bench/bench_units", f"{d}/state/provd.db", "100000"], check=True)
            # The first start makes the sums of the pages that bench_units wrote.
            for _ in range(1 + self.rounds):
                line = Line(self.build, 0, plugged=False, state=f"{d}/state")
                values.append(line.ready_s * 1000)
                line.close()
            assert token
        values.pop(0)
        self.row("start to serving with 100,000 units", values, 100, "low", "ms")

    def memory(self):
        idle, each = [], []
        for _ in range(self.rounds):
            small, large = Line(self.build, 1), Line(self.build, 65)
            try:
                small.all_ready()
                large.all_ready()
                a, b = small.rss(), large.rss()
            finally:
                small.close()
                large.close()
            idle.append(a / 2**20)
            each.append((b - a) / 64 / 1024)
        self.row("resident memory, idle with one station", idle, 24, "low", "MiB")
        self.row("resident memory of each further station", each, 200, "low", "KiB")

    def reads(self, line, path):
        """Over an answer of the same size."""
        size = len(json.dumps(line.call("GET", path), separators=(",", ":")))
        bare = subprocess.Popen([f"{self.build}/tests/bench/bench_http", "serve", str(size)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)
        port = bare.stdout.readline().strip()
        load = lambda p, *more: float(subprocess.run([f"{self.build}/tests/bench/bench_http", "load", str(p), "/api/v1" + path, "2", "16", *more],
                                                     capture_output=True, text=True, check=True).stdout)
        ratios = []
        for _ in range(self.rounds):
            theirs = load(port)
            ratios.append(load(line.port, line.token) / theirs)
        bare.stdin.close()
        bare.wait()
        return ratios

    def api(self):
        import bench_api
        line = Line(self.build, 8)
        try:
            line.all_ready()
            for what, path in (("a station list", "/stations"), ("a station", "/stations/S1")):
                self.row(f"GET of {what} over a bare libmicrohttpd", self.reads(line, path), 0.85, "high")
            bench_api.orders(self, line)
            bench_api.live(self, line)
        finally:
            line.close()
        bench_api.tls(self)
        bench_api.webhooks(self)

    def tools(self):
        import bench_tools
        bench_tools.run(self)

    def identity(self):
        import bench_identity
        bench_identity.run(self)

    def records(self):
        import bench_records
        bench_records.records(self)

    def wall(self):
        import bench_wall
        bench_wall.wall(self)

    def transports(self):
        import bench_transports
        bench_transports.run(self)

    def fixture(self):
        """The part of transports that looks at boards alone."""
        import bench_transports
        bench_transports.run(self, ("fixture",))


class Against:
    """This build over another one, such as that of an earlier commit: the two take turns."""

    def __init__(self, build, other, rounds):
        self.builds, self.rounds, self.rows = (build, other), rounds, []

    def row(self, name, measure, better):
        """measure(build): a figure. The order changes from round to round."""
        ratios = []
        for i in range(self.rounds):
            got = {b: measure(b) for b in (self.builds if i % 2 == 0 else self.builds[::-1])}
            ratios.append(got[self.builds[0]] / got[self.builds[1]])
        ratio = statistics.median(ratios)
        met = ratio <= 1.05 if better == "low" else ratio >= 0.95
        self.rows.append({"name": name, "ratio": round(ratio, 4), "aim": 1.05 if better == "low" else 0.95, "better": better,
                          "met": met, "rounds": len(ratios), "spread": [round(min(ratios), 4), round(max(ratios), 4)]})
        print(f"{name:52} {ratio:10.3f}       {better:4} is better   [{min(ratios):.3f} .. {max(ratios):.3f}] "
              f"{'met' if met else 'MISSED'}", flush=True)

    @staticmethod
    def job_s(build):
        line = Line(build, 8, ["--boot-ms", "1"], image=65536)
        try:
            line.prepare(115200)
            line.all_ready()
            return line.job(8)
        finally:
            line.close()

    @staticmethod
    def steps_per_s(build):
        out = subprocess.run([f"{build}/tests/bench/bench_writer", "2"], capture_output=True, text=True, check=True)
        return float(out.stdout.split("group commit")[1].split()[0])

    @staticmethod
    def rss(build, stations):
        line = Line(build, stations)
        try:
            line.all_ready()
            return line.rss()
        finally:
            line.close()

    def start_s(self, build):
        with tempfile.TemporaryDirectory(prefix="provd-bench-") as d:
            first = Line(build, 0, plugged=False)
            first.provd.terminate()
            first.provd.wait()
            shutil.copytree(first.state, f"{d}/state")
            first.close()
            subprocess.run([f"{build}/tests/bench/bench_units", f"{d}/state/provd.db", "100000"], check=True)
            # The first start makes the sums of the pages that bench_units wrote.
            for _ in range(2):
                line = Line(build, 0, plugged=False, state=f"{d}/state")
                line.close()
            return line.ready_s

    @staticmethod
    def lists_per_s(build):
        line = Line(build, 8)
        try:
            line.all_ready()
            return float(subprocess.run([f"{build}/tests/bench/bench_http", "load", str(line.port), "/api/v1/stations", "2", "16",
                                         line.token], capture_output=True, text=True, check=True).stdout)
        finally:
            line.close()

    def run(self):
        exec_s = lambda build: Bench(build, 1).flash_once(460800, 32768, False)[1]
        self.row("a job of 8 units of 64 KiB at 8 stations, wall time", self.job_s, "low")
        self.row("durable step records a second", self.steps_per_s, "high")
        self.row("serialboot.flash by provctl exec, wall time", exec_s, "low")
        self.row("start to serving with 100,000 units", self.start_s, "low")
        self.row("resident memory, idle with one station", lambda b: self.rss(b, 1), "low")
        self.row("resident memory with 65 stations", lambda b: self.rss(b, 65), "low")
        self.row("station lists a second", self.lists_per_s, "high")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", required=True)
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--against", metavar="BUILD", help="only compare with that build, such as one of an earlier commit")
    p.add_argument("only", nargs="*", help="paced group_commit flash attach start memory api tools transports fixture identity records wall")
    a = p.parse_args()
    b = Bench(os.path.abspath(a.build), a.rounds)
    if a.against:
        b = Against(os.path.abspath(a.build), os.path.abspath(a.against), a.rounds)
        b.run()
    for name in () if a.against else a.only or ("group_commit", "flash", "attach", "start", "memory", "api", "tools", "transports", "identity", "records", "wall", "paced"):
        getattr(b, name)()
    if a.json:
        with open(a.json, "w") as f:
            json.dump({"rows": b.rows}, f, indent=2)
            f.write("\n")
    missed = [r["name"] for r in b.rows if not r["met"]]
    print(f"{len(b.rows) - len(missed)} of {len(b.rows)} aims met")


if __name__ == "__main__":
    main()
