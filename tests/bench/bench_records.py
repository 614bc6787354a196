# SPDX-License-Identifier: Apache-2.0
"""What a year of records costs: each report and a recall over 100,000 units against 1,000, both spread over a year, and the
start. The units are written by the product's own writer (bench_units). And a backup of a year with steps, measurements and logs
(bench_year.h), made next to a provd that works."""
import os
import shutil
import statistics
import subprocess
import tempfile
import time

SMALL, LARGE, DAYS = 1000, 100000, 365
YEAR, SEED = 20000, 7
RARE = "b" * 64
REPORTS = {
    "yield of all": "/reports/yield",
    "yield by station": "/reports/yield?by=station",
    "yield of a quarter by recipe and version": "/reports/yield?by=version&from=%(quarter)s",
    "causes of failure": "/reports/pareto",
    "recall of an artifact": "/recall?artifact=" + RARE,
}
CALLS = 30


def fill(b, first, folder, units, *seed):
    """A copy of the state of a first start, with its units; of a year with all that belongs to it where there is a seed."""
    state = os.path.join(folder, "state-%d" % units)
    shutil.copytree(first, state)
    subprocess.run([f"{b.build}/tests/bench/bench_units", f"{state}/provd.db", str(units), str(DAYS), *map(str, seed)], check=True)
    return state


def backup_s(b, state, folder, i):
    begun = time.monotonic()
    subprocess.run([f"{b.build}/cli/provctl", "backup", os.path.join(folder, "backup-%d" % i), "--state-dir", state],
                   check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def milliseconds(line, path):
    times = []
    for _ in range(CALLS):
        begun = time.monotonic()
        line.call("GET", path)
        times.append((time.monotonic() - begun) * 1000)
    return statistics.median(times)


def records(b):
    import bench
    quarter = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 90 * 86400))
    ratios, starts = {name: [] for name in REPORTS}, []
    with tempfile.TemporaryDirectory(prefix="provd-bench-") as d:
        first = bench.Line(b.build, 0, plugged=False)
        first.provd.terminate()
        first.provd.wait()
        states = [fill(b, first.state, d, n) for n in (SMALL, LARGE)]
        year = fill(b, first.state, d, YEAR, SEED)
        first.close()
        for s in states:  # the first start makes the sums of the pages that bench_units wrote
            bench.Line(b.build, 0, plugged=False, state=s).close()
        for _ in range(b.rounds):
            lines = [bench.Line(b.build, 0, plugged=False, state=s) for s in states]
            starts.append(lines[1].ready_s * 1000)
            for name, path in REPORTS.items():
                small, large = (milliseconds(l, path % {"quarter": quarter}) for l in lines)
                ratios[name].append(large / small)
            for l in lines:
                l.close()
        line = bench.Line(b.build, 0, plugged=False, state=year)
        backups = [backup_s(b, year, d, i) for i in range(b.rounds)]
        line.close()
    for name, values in ratios.items():
        b.row("%s, 100,000 units over 1,000" % name, values, 1.3, "low")
    b.row("backup of a year of 20,000 runs, verified", backups, 20, "low", "s")
    b.row("start to serving with a year of 100,000 units", starts, 100, "low", "ms")
