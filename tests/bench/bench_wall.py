# SPDX-License-Identifier: Apache-2.0
"""The wall in real Chromium (bench_wall.mjs): the first paint with 64 stations, and how late a new state is in 20 browsers."""
import json
import os
import shutil
import subprocess

STATIONS, BROWSERS, CHANGES = 64, 20, 20


def measure(b, line, browsers, rounds):
    import bench
    out = subprocess.run(["node", os.path.join(bench.HERE, "bench_wall.mjs"), "--url", f"http://127.0.0.1:{line.port}",
                          "--token", line.token, "--browsers", str(browsers), "--changes", str(CHANGES),
                          "--rounds", str(rounds), "--work", f"{b.build}/tests/browser"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def p99(values):
    return float(sorted(values)[max(0, int(len(values) * 0.99) - 1)])


def wall(b):
    import bench
    if not shutil.which("node") or not os.path.exists("/usr/bin/chromium"):
        print("wall: node or chromium is not installed")
        return
    line = bench.Line(b.build, STATIONS)
    try:
        alone = measure(b, line, 1, b.rounds)
        crowd = measure(b, line, BROWSERS, 0)
    finally:
        line.close()
    b.row(f"first paint of the wall, {STATIONS} stations", alone["paint"], 300, "low", "ms")
    b.row("all of its cards", alone["cards"], 500, "low", "ms")
    b.row("a new state on the wall of one browser, p99", [p99(alone["change"])], 150, "low", "ms")
    b.row(f"the same in {BROWSERS} browsers of this machine", [p99(crowd["change"])], 150, "low", "ms")
