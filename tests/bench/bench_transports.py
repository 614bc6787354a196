# SPDX-License-Identifier: Apache-2.0
"""provd's own protocols next to the reference clients, on the same virtual device in one run, and many boards next to
one. DFU is measured in the rigs' virtual machine, whose kernel's USB both clients share."""
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time

MIB = 2**20
E2E = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e")


def timed(argv, env=None, cwd=None):
    """(wall seconds, CPU seconds) of a command that succeeds."""
    begun = time.monotonic()
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=cwd)
    out = p.stdout.read()
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begun
    if p.returncode:
        raise RuntimeError(f"{argv}: {p.returncode}\n{out[-2000:].decode(errors='replace')}")
    return wall, used.ru_utime + used.ru_stime


def cpu_of(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Devices:
    """provsim with n devices of one kind."""

    def __init__(self, build, kind, link, n=1, *more, keep=True):
        self.dir = tempfile.mkdtemp(prefix="provd-bench-")
        self.build = build
        argv = [f"{build}/sim/provsim", "run", "--device", kind, "--link", link, "--boards", str(n), "--events",
                f"{self.dir}/events", "--control", f"{self.dir}/control", *more]
        if keep:
            argv += ["--state", f"{self.dir}/units"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.links = [b["link"] for b in json.loads(self.process.stdout.readline())["boards"]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def ctl(self, **order):
        out = subprocess.run([f"{self.build}/sim/provsim", "ctl", "--control", f"{self.dir}/control", json.dumps(order)],
                             capture_output=True, text=True, check=True)
        return json.loads(out.stdout)


class image_of:
    """A file that nobody has open, as an image is as a rule."""

    def __init__(self, size, seed=1):
        fd, self.name = tempfile.mkstemp(prefix="provd-bench-", suffix=".bin")
        with os.fdopen(fd, "wb") as f:
            f.write(random.Random(seed).randbytes(size))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.unlink(self.name)


class Pairs:
    """Rounds of two ways, one after the other, each first in turn."""

    def __init__(self, bench, what, mib):
        self.bench, self.what, self.mib = bench, what, mib
        self.wall, self.cpu = [], []

    def round(self, i, theirs, ours):
        if i % 2:
            b = ours()
            a = theirs()
        else:
            a = theirs()
            b = ours()
        self.wall.append(b[0] / a[0])
        self.cpu.append(b[1] / a[1] if a[1] > 0 else float("inf"))

    def rows(self, wall=0.95, cpu=0.8):
        self.bench.row(f"{self.what}, wall time", self.wall, wall, "low")
        self.bench.row(f"{self.what}, CPU per MiB", self.cpu, cpu, "low")


def stm32(bench):
    ctl = f"{bench.build}/cli/provctl"
    # At the rate of a usual adapter; the reference verifies too.
    with image_of(64 * 1024) as image, Devices(bench.build, "stm32-uart", "pty", 1, "--baud", "460800") as d:
        pairs = Pairs(bench, "stm32.flash over stm32flash -v, 64 KiB at 460,800 baud", 1 / 16)
        for i in range(bench.rounds):
            def theirs():
                return timed(["stm32flash", "-b", "460800", "-m", "8n1", "-w", image.name, "-v", next_unit(d)])

            def ours():
                return timed([ctl, "exec", "stm32.flash", f"port=tty:{next_unit(d)}@460800", "parity=none",
                              f"image={image.name}", "address=0x08000000"])
            pairs.round(i, theirs, ours)
        pairs.rows()


def fixture(bench):
    """What a programming fixture does without provd: Espressif's program, on the same virtual ROM, digests included."""
    ctl = f"{bench.build}/cli/provctl"
    modules = os.path.join(bench.build, "tests", "browser")
    subprocess.run(["node", os.path.join(E2E, "browser", "install.mjs"), modules], check=True)
    with image_of(512 * 1024) as image, Devices(bench.build, "esp", "tcp", 1, keep=False) as d:
        pairs = Pairs(bench, "esp.flash over esptool-js, 512 KiB", 0.5)
        want = json.dumps({"images": {"65536": image.name}, "compress": True})
        for i in range(bench.rounds):
            pairs.round(i, lambda: timed(["node", os.path.join(E2E, "reference", "esptool.mjs"), modules,
                                          next_unit(d).removeprefix("tcp:"), "flash", want]),
                        lambda: timed([ctl, "exec", "esp.flash", f"port={next_unit(d)}", f"images.0x10000={image.name}"]))
        pairs.rows(0.7, 0.2)
    compose(bench)
    unpacked_once(bench)


def compose(bench):
    """The step alone that makes an NVS partition for one unit: 24 values, a certificate among them."""
    entries = {f"k{i}": {"namespace": "cal", "type": "i32", "value": str(i * 1.25), "scale": 1000} for i in range(20)}
    entries |= {"serial": {"namespace": "unit", "type": "string", "value": "SN0001"},
                "mac": {"namespace": "unit", "type": "string", "value": "AC:DE:48:00:12:34"},
                "psk": {"namespace": "wifi", "type": "string", "value": "correct horse battery"},
                "cert": {"namespace": "tls", "type": "blob", "value": "30" * 1500}}
    def recipe(steps):
        step = {"action": "image.compose", "with": {"nvs_size": "0x6000", "nvs": entries}}
        return json.dumps({"recipe": "own", "version": 1, "ports": {}, "steps": [{"id": f"s{i}", **step} for i in range(steps)]})

    values = []
    with tempfile.TemporaryDirectory(prefix="provd-bench-") as d:
        for steps in (1, 201):
            with open(f"{d}/{steps}.yaml", "w") as f:
                f.write(recipe(steps))
        for _ in range(bench.rounds):
            one, many_of_it = (timed([f"{bench.build}/cli/provctl", "recipe", "run", f"{d}/{n}.yaml"])[0] for n in (1, 201))
            values.append((many_of_it - one) / 200 * 1000)
    bench.row("image.compose of a unit's NVS partition, ms", values, 5, "low")


def unpacked_once(bench):
    """CPU of provd that a .xz image costs above the same one as it is, to 8 boards over to one."""
    values = []
    rnd = random.Random(5)
    words = [rnd.randbytes(rnd.randrange(3, 12)) for _ in range(20000)]
    with tempfile.TemporaryDirectory(prefix="provd-bench-") as d:
        plain = os.path.join(d, "image.bin")
        with open(plain, "wb") as f:
            f.write(b"".join(rnd.choices(words, k=4_500_000))[:32 * MIB])
        subprocess.run(["xz", "-k", "-T1", "-1", plain], check=True)

        def cpu(n, name, more):
            class File:
                pass
            File.name = name
            with Devices(bench.build, "fastboot", "tcp", n, "--partitions", "userdata:64M", "--max-download", "0x8000000",
                         keep=False) as devices:
                row = Row(bench, devices, n, "fastboot.flash", "partition: userdata, verify: none" + more, File)
                try:
                    before = cpu_of(row.line.provd.pid)
                    row.job(n)
                    return cpu_of(row.line.provd.pid) - before
                finally:
                    row.close()
        for _ in range(bench.rounds):
            one = cpu(1, plain + ".xz", ", unpack: true") - cpu(1, plain, "")
            eight = cpu(8, plain + ".xz", ", unpack: true") - cpu(8, plain, "")
            values.append(eight / one)
    bench.row("CPU that a .xz image costs above the same one unpacked, 8 boards over one", values, 1.1, "low")


def next_unit(d):
    """The link of a fresh unit, once its boot ROM waits for the host."""
    uid = d.ctl(cmd="next", board="b1", gap_ms=10)["uid"]
    end = time.monotonic() + 20
    while time.monotonic() < end:
        board = d.ctl(cmd="list")["boards"][0]
        if board["uid"] == uid and board["plugged"] and board["state"] == "waiting":
            return board["link"]
        time.sleep(0.01)
    raise RuntimeError(f"unit {uid} does not wait for its host")


def link(d):
    return d.ctl(cmd="list")["boards"][0]["link"]


def fastboot(bench):
    ctl = f"{bench.build}/cli/provctl"
    with image_of(64 * MIB) as image, Devices(bench.build, "fastboot", "tcp", 1, "--partitions", "userdata:96M",
                                              "--max-download", "0x8000000", keep=False) as d:
        pairs = Pairs(bench, "fastboot.flash over fastboot, 64 MiB over TCP", 64)
        for i in range(bench.rounds):
            pairs.round(i, lambda: timed(["fastboot", "-s", link(d), "flash", "userdata", image.name]),
                        lambda: timed([ctl, "exec", "fastboot.flash", f"port={link(d)}", "partition=userdata",
                                       "verify=none", f"image={image.name}"]))
        pairs.rows()


def adb(bench):
    ctl = f"{bench.build}/cli/provctl"
    home = tempfile.mkdtemp(prefix="provd-bench-adb-")
    port = free_port()
    env = dict(os.environ, HOME=home, ANDROID_ADB_SERVER_PORT=str(port))
    try:
        with image_of(32 * MIB) as image, Devices(bench.build, "adb", "tcp", 1, keep=False) as d:
            pairs = Pairs(bench, "adb.push over adb push, 32 MiB over TCP", 32)
            for i in range(bench.rounds):
                def theirs():
                    # Client and server together are what does it; to connect is part of neither.
                    where = link(d)[4:]
                    subprocess.run(["adb", "connect", where], env=env, check=True, capture_output=True)
                    server = int(subprocess.run(["pgrep", "-f", f"adb .*{port}.*fork-server"], capture_output=True,
                                                text=True).stdout.split()[0])
                    before = cpu_of(server)
                    wall, cpu = timed(["adb", "-s", where, "push", image.name, f"/data/local/tmp/a{i}"], env)
                    used = cpu + cpu_of(server) - before
                    subprocess.run(["adb", "disconnect", where], env=env, capture_output=True)
                    return wall, used
                pairs.round(i, theirs, lambda: timed(
                    [ctl, "exec", "adb.push", f"port={link(d)}", f"file={image.name}", f"path=/data/local/tmp/b{i}",
                     "skip_equal=false"], dict(os.environ, HOME=home)))
            pairs.rows()
    finally:
        subprocess.run(["adb", "kill-server"], env=env, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


RECIPE = """recipe: many
version: 1
ports: {dut: {kind: any}}
artifacts: {image: %s}
steps:
  - id: flash
    action: %s
    with: {port: dut, image: '${artifacts.image}', %s}
    timeout: 10m
"""


class Row:
    """provd with a station for each of n devices."""

    def __init__(self, bench, devices, n, action, more, image):
        import bench as common
        self.devices = devices
        line = self.line = common.Line.__new__(common.Line)
        line.dir, line.build, line.procs = tempfile.mkdtemp(prefix="provd-bench-"), bench.build, []
        line.state = f"{line.dir}/state"
        with open(f"{line.dir}/provd.yaml", "w") as f:
            f.write(f"state_dir: {line.state}\nlisten: 127.0.0.1:0\nrate_limit: 0\nsettle: 50ms\n"
                    f"hotplug: ['stream:{devices.dir}/events']\nstations:\n")
            for i in range(1, n + 1):
                f.write(f"  - {{id: S{i}, ports: {{dut: {{path: 'platform-provsim-usb-0:1.{i}'}}}}}}\n")
        line.provd = line.spawn([f"{bench.build}/daemon/provd", "--config", f"{line.dir}/provd.yaml", "--port-file",
                                 f"{line.dir}/port", "--log-level", "warning"], f"{line.dir}/provd.log")
        line.wait(lambda: os.path.exists(f"{line.dir}/port") and os.path.getsize(f"{line.dir}/port") > 0)
        line.port = int(open(f"{line.dir}/port").read())
        line.token = open(f"{line.state}/admin-token").read().strip()
        import hashlib
        data = open(image.name, "rb").read()
        line.call("PUT", f"/artifacts/{hashlib.sha256(data).hexdigest()}?name={os.path.basename(image.name)}", data, "application/octet-stream")
        line.call("POST", "/recipes", (RECIPE % (os.path.basename(image.name), action, more)).encode(), "application/yaml")
        line.call("POST", "/recipes/many/versions/1/actions/approve", {})
        line.all_ready()

    def read_bytes(self):
        with open(f"/proc/{self.line.provd.pid}/io") as f:
            return next(int(x.split()[1]) for x in f if x.startswith("rchar:"))

    def job(self, units):
        """Seconds in which that many units were made, all passed."""
        begun = time.monotonic()
        job = self.line.call("POST", "/jobs", {"recipe": "many", "quantity": units})["id"]
        self.line.wait(lambda: self.line.call("GET", f"/jobs/{job}")["state"] == "done", 0.02, 600)
        return time.monotonic() - begun

    def close(self):
        self.line.close()


def dfu(bench):
    """Write and read back: dfu-util in its two calls, provctl in its one. Seconds of the emulated machine."""
    import sys
    os.environ["MESON_BUILD_ROOT"] = bench.build
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "rigs", "vm"))
    import gadgets
    import vm as machine
    size = 512 * 1024
    data = random.Random(3).randbytes(size)
    machine.build()
    vm = machine.Vm("bench")
    pairs = Pairs(bench, "dfu.download over dfu-util -D and -U, 512 KiB over USB", 0.5)

    def measured(script):
        import re
        said = vm.sh(f"busybox time sh -ec '{script}'; echo status=$?", seconds=120)
        if "status=0" not in said:
            raise RuntimeError(said[-1500:])
        real, user, system = (float(m[1]) * 60 + float(m[2]) for m in
                              re.finditer(r"(?:real|user|sys)\s+(\d+)m\s*([\d.]+)s", said))
        return real, user + system

    try:
        gadgets.start_sim(vm, "dfu", 1, "--dfu-write-ms 0 --dfu-erase-ms 0")
        gadgets.put(vm, "/tmp/fw.bin", data)
        for i in range(bench.rounds):
            pairs.round(i, lambda: measured(
                "rm -f /tmp/back; dfu-util -a 0 -s 0x08000000 -D /tmp/fw.bin > /dev/null 2>&1; "
                f"dfu-util -a 0 -s 0x08000000:{size} -U /tmp/back > /dev/null 2>&1; cmp /tmp/fw.bin /tmp/back"),
                lambda: measured("provctl exec dfu.download port=usb:1-1 image=/tmp/fw.bin address=0x08000000 > /dev/null"))
    finally:
        vm.kill()
    pairs.rows()


def one_and_eight(bench, kind, link_kind, settings, action, more, image):
    times = {}
    for n in (1, 8):
        with Devices(bench.build, kind, link_kind, n, *settings, keep=False) as d:
            row = Row(bench, d, n, action, more, image)
            try:
                times[n] = row.job(n)
            finally:
                row.close()
    return times


def many(bench):
    paced, throughput = [], []
    for _ in range(bench.rounds):
        with image_of(32 * 1024) as image:
            t = one_and_eight(bench, "stm32-uart", "pty", ["--baud", "115200"], "stm32.flash",
                              "address: 0x08000000, parity: none", image)
            paced.append(t[8] / t[1])
        with image_of(48 * MIB) as image:
            t = one_and_eight(bench, "fastboot", "tcp", ["--partitions", "userdata:64M", "--max-download", "0x8000000"],
                              "fastboot.flash", "partition: userdata, verify: none", image)
            throughput.append(8 * t[1] / t[8])
    bench.row("stm32.flash at 115,200 baud, eight boards over one", paced, 1.05, "low")
    bench.row("fastboot.flash, throughput of eight boards over one's", throughput, 1.5, "high")


def once(bench):
    """Bytes that provd reads to flash one sparse image of 64 MiB into eight boards, over its size."""
    values = []
    sparse = tempfile.NamedTemporaryFile(prefix="provd-bench-", suffix=".simg")
    with image_of(64 * MIB) as raw:
        subprocess.run(["img2simg", raw.name, sparse.name], check=True)
    size = os.path.getsize(sparse.name)
    with Devices(bench.build, "fastboot", "tcp", 8, "--partitions", "userdata:96M", "--max-download", "0x1000000",
                 keep=False) as d:
        row = Row(bench, d, 8, "fastboot.flash", "partition: userdata, verify: none", sparse)
        try:
            before = row.read_bytes()
            row.job(8)
            values.append((row.read_bytes() - before) / size)
        finally:
            row.close()
    bench.row("bytes read for a sparse image to 8 boards, over its size", values, 1.05, "low")
    sparse.close()


def run(bench, only=()):
    for part in (stm32, fixture, dfu, fastboot, adb, many, once):
        if not only or part.__name__ in only:
            part(bench)
