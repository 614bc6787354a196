#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openFPGALoader 0.10 (Debian 12) looks an IDCODE up without its highest digit first, which is the version of a die for most
# vendors and tells parts of Lattice's ECP5 from each other: an LFE5U-25F (0x41111043) is shown as an LFE5UM-25, "idcode 0x1111043".
# Expected: the IDCODE that was read, and that part. Control: its verbose list of raw IDCODEs has all digits.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(openfpgaloader=0.10.0+git20230202-edea24f-1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
cat > chain.py << 'PY'
import socket, struct, sys
# A JTAG chain of one device, reached by Xilinx Virtual Cable 1.0 (XAPP1251), by IEEE 1149.1.
# The state after a clock with TMS 0 or 1, from Test-Logic-Reset on, in the order of the figure: DR, then IR.
NEXT = ((1, 0), (1, 2), (3, 9), (4, 5), (4, 5), (6, 8), (6, 7), (4, 8), (1, 2), (10, 0), (11, 12), (11, 12), (13, 15), (13, 14),
        (11, 15), (1, 2))
idcode, bits, name = int(sys.argv[1], 16), int(sys.argv[2]), sys.argv[3]
state, ir, reg, length, isc = 0, 0, 0, 1, 0
def capture(dr):
    global reg, length
    reg, length = 0, 8
    if not dr:
        reg, length = 0x11 if name == 'xilinx' else 1, bits      # INIT is high, DONE is low
    elif ir in (0, 0x09 if name == 'xilinx' else 0xe0):
        reg, length = idcode, 32
    elif name == 'lattice' and ir == 0x3c:
        reg, length = isc << 9, 32       # the status register: DONE (bit 8) is low, no error
    elif ir == (1 << bits) - 1:
        length = 1
def clock(tms, tdi):
    global state, ir, reg, isc
    out = reg & 1 if state in (4, 11) else 1
    if state in (3, 10):
        capture(state == 3)
    elif state in (4, 11):
        reg = reg >> 1 | tdi << (length - 1)
    state = NEXT[state][tms]
    if state == 0:
        ir = 0
    elif state == 15:
        ir = reg
        isc = {0xc6: 1, 0x26: 0}.get(ir, isc) if name == 'lattice' else 0
    return out
def take(c, n):
    said = b''
    while len(said) < n:
        more = c.recv(n - len(said))
        if not more:
            raise EOFError
        said += more
    return said
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], flush=True)
while True:
    c, _ = server.accept()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            word = b''
            while not word.endswith(b':'):
                word += take(c, 1)
            if word == b'getinfo:':
                c.sendall(b'xvcServer_v1.0:2048\n')
            elif word == b'settck:':
                c.sendall(take(c, 4))
            else:
                n = struct.unpack('<I', take(c, 4))[0]
                size = (n + 7) // 8
                tms, tdi, tdo = take(c, size), take(c, size), bytearray(size)
                for i in range(n):
                    tdo[i // 8] |= clock(tms[i // 8] >> i % 8 & 1, tdi[i // 8] >> i % 8 & 1) << i % 8
                c.sendall(tdo)
    except (EOFError, OSError):
        c.close()
PY
chain() {
	exec 3< <(exec python3 chain.py "$@")
	server=$!
	trap 'kill $server; rm -rf "$tmp"' EXIT
	read -r port <&3
}
loader() { timeout 60 openFPGALoader -c xvc-client --ip 127.0.0.1 --port "$port" "$@" > said 2>&1; }
chain 41111043 8 lattice
loader --detect
shown=$(sed -n 's/^[[:space:]]*idcode //p' said)
model=$(sed -n 's/^[[:space:]]*model *//p' said)
loader --detect --verbose-level 2
raw=$(sed -n 's/^- 0 -> //p' said)
echo "IDCODE 0x41111043 (LFE5U-25F): openFPGALoader 0.10; expected: 0x41111043 LFE5U-25; seen: $shown $model; raw: $raw"
if [ "$shown $model $raw" = '0x1111043 LFE5UM-25 0x41111043' ]; then
	echo 'as recorded: another part is shown'
else
	echo 'CHANGED: not what was recorded'
	exit 1
fi
