# SPDX-License-Identifier: Apache-2.0
"""An OpenOCD that stays next to one started for each unit, on provsim's STM32F103. Called by bench_tools.py."""
import os
import shutil
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL, LARGE = 64, 1024  # bytes of one page: both runs erase the same
RECIPE = """recipe: {name}
version: 1
title: A debug probe
unit: {{model: probe-1}}
ports: {{probe: {{kind: any}}}}
artifacts: {{image: image-{size}.bin}}
steps:
  - id: load
    action: openocd.program
    with: {{port: probe, target: stm32f1x, work_area: 0, image: '${{artifacts.image}}', address: 0x08000000, stay: {stay}}}
    timeout: 100s
"""


class Probe:
    """One manual station with a virtual probe."""

    def __init__(self, line):
        self.wait = line.wait_for
        self.line = line.Line(stations=0, boards=1, sim_args=("--device", "jtag", "--link", "tcp"))
        self.runs = 0
        try:
            address = self.line.sim.boards()[0]["link"][4:]
            with open(os.path.join(self.line.home, "stations.d", "line.yaml"), "w") as f:
                f.write(f"stations:\n  - {{id: P1, start: manual, ports: {{probe: {{kind: probe, tcp: '{address}'}}}}}}\n")
            self.line.start()
            for size in (SMALL, LARGE):
                self.line.put_firmware(line.firmware(size), f"image-{size}.bin")
                for stay in ("true", "false"):
                    self.line.put_recipe(RECIPE.format(name=f"{stay}-{size}", size=size, stay=stay))
        except BaseException:
            self.line.close()
            raise

    def seconds(self, stay, size):
        """Of the step alone, as its record says."""
        api = self.line.api
        api.post("/jobs", {"recipe": f"{stay}-{size}", "quantity": 1})
        self.wait("P1 is ready", lambda: api.get("/stations/P1")["state"] in ("ready", "done"))
        api.post("/stations/P1/actions/start")
        self.runs += 1
        ended = self.wait("the run ends", lambda: (lambda r: r if len(r) == self.runs else None)(
            api.all("/runs?state=finished")))
        run = max(ended, key=lambda r: r["id"])
        step = api.get(f"/runs/{run['id']}/steps")["items"][0]
        if run["outcome"] != "passed":
            raise RuntimeError(f"{stay} {size}: {step}")
        return step["duration_us"] / 1e6

    def overhead(self, stay):
        """Seconds of a unit that are not flashing: the time of two sizes, drawn out to a size of nothing."""
        small, large = (statistics.median(self.seconds(stay, n) for _ in range(3)) for n in (SMALL, LARGE))
        return small - (large - small) * SMALL / (LARGE - SMALL)


def run(bench):
    if not shutil.which("openocd"):
        raise SystemExit("tools: no openocd (scripts/install-deps test)")
    os.environ["PROVD_BUILD"] = bench.build
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
    import line
    p = Probe(line)
    ratios = []
    try:
        for _ in range(max(5, bench.rounds)):
            once = p.overhead("false")
            p.seconds("true", SMALL)  # it starts here: a line pays that once
            ratios.append(p.overhead("true") / once)
    finally:
        p.line.close()
    bench.row("a unit's overhead: OpenOCD that stays over one-shot", ratios, 0.5, "low")
