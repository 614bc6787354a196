# SPDX-License-Identifier: Apache-2.0
"""Foreign debuggers and provd on one QEMU, in pairs, and OpenOCD both ways. Called by bench.py."""
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time

import bench_openocd

HERE = os.path.dirname(os.path.abspath(__file__))
FIRMWARE = os.path.join(os.path.dirname(HERE), "e2e", "firmware")
IMAGE_BYTES = 160 * 1024  # of lm3s6965evb's 256 KiB


class Qemu:
    """lm3s6965evb, halted, with its gdb stub on a free port."""

    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen(
            ["qemu-system-arm", "-M", "lm3s6965evb", "-nographic", "-monitor", "none", "-serial", "null", "-S",
             "-gdb", f"tcp:127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        # A connection would start a session: the listening socket is looked for instead.
        while f":{self.port:04X} 00000000:0000 0A" not in open("/proc/net/tcp").read():
            if time.monotonic() > end or self.process.poll() is not None:
                self.close()
                raise TimeoutError("qemu-system-arm does not listen")
            time.sleep(0.01)

    def close(self):
        self.process.kill()
        self.process.wait()


def build_image(folder):
    """hello.c with a large constant table after it."""
    elf, blob, obj = (os.path.join(folder, n) for n in ("hello.elf", "blob.bin", "blob.o"))
    with open(blob, "wb") as f:
        f.write(random.Random(1).randbytes(IMAGE_BYTES))
    subprocess.run(["arm-none-eabi-objcopy", "-I", "binary", "-O", "elf32-littlearm", "-B", "arm", "--rename-section",
                    ".data=.rodata.blob,alloc,load,readonly,data,contents", blob, obj], check=True)
    subprocess.run(["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", "-O1", "-nostdlib", "-ffreestanding", "-T",
                    os.path.join(FIRMWARE, "hello.ld"), os.path.join(FIRMWARE, "hello.c"), obj, "-o", elf], check=True)
    return elf


def timed(argv, wanted):
    begun = time.monotonic()
    r = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    seconds = time.monotonic() - begun
    if r.returncode != 0 or any(w not in r.stdout + r.stderr for w in wanted):
        raise RuntimeError(f"{argv[0]}: {r.returncode}\n{r.stdout}{r.stderr}")
    return seconds


def gdb_pair(build, elf):
    """provctl (load, read back every byte, reset) and gdb-multiarch (load, compare, reset) on one target each
    time: both leave it with the program loaded and verified."""
    q = Qemu()
    try:
        ours = timed([f"{build}/cli/provctl", "exec", "gdb.load", f"port=tcp:127.0.0.1:{q.port}", f"image={elf}",
                      "after=system_reset", "start=detach", "--json"], ["read-back"])
        theirs = timed(["gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off", "-ex",
                        f"target remote 127.0.0.1:{q.port}", "-ex", "load", "-ex", "compare-sections", "-ex",
                        "monitor system_reset", "-ex", "detach", elf], ["Transfer rate", "matched."])
        only = timed(["gdb-multiarch", "-nx", "-batch", "-ex", "set confirm off", "-ex",
                      f"target remote 127.0.0.1:{q.port}", "-ex", "load", "-ex", "detach", elf], ["Transfer rate"])
        return ours, theirs, only
    finally:
        q.close()


def run(bench):
    if not shutil.which("gdb-multiarch") or not shutil.which("qemu-system-arm"):
        raise SystemExit("tools: no gdb-multiarch or qemu-system-arm (scripts/install-deps test)")
    with tempfile.TemporaryDirectory(prefix="provd-bench-") as folder:
        elf = build_image(folder)
        rounds = [gdb_pair(bench.build, elf) for _ in range(max(5, bench.rounds))]
    bench.row("gdb.load with read-back over gdb-multiarch's load", [o / l for o, _, l in rounds], 0.9, "low")
    bench.row("gdb.load with read-back over load, compare-sections", [o / t for o, t, _ in rounds], 0.9, "low")
    bench_openocd.run(bench)
