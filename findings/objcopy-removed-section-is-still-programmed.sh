#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A calibration section is taken out of a firmware ELF (objcopy -R .cal of binutils 2.40, Debian 12), so that programming leaves
# the unit's own values alone. What is left of it depends on the reader, since the segment keeps its size, with zeros:
#   objcopy -O ihex, mspdebug 0.22 (by sections): 128 bytes, the place of .cal is not written
#   OpenOCD 0.12 (by segments, as the ELF specification says of loaders): 192 bytes, zeros over the calibration
# Expected: one answer; for -R to leave the segment whole is no error of anyone. Control: before -R all three write 192 bytes.
# The flash is OpenOCD's own pretended bank ("faux") and mspdebug's simulator: no hardware.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(binutils=2.40-2 openocd=0.12.0-1 mspdebug=0.22-2+b3)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
cat > elf.py << 'PY'
# An ELF32 file: one PT_LOAD segment of 192 bytes at argv[1]; sections .text (64), .cal (64), .tail (64).
import struct, sys
at, names = int(sys.argv[1], 0), b'\0.text\0.cal\0.tail\0.shstrtab\0'
data = b'\x11' * 64 + b'\x5a' * 64 + b'\x22' * 64
section = lambda name, kind, flags, addr, off, size: struct.pack(
    '<10I', names.index(name), kind, flags, addr, off, size, 0, 0, 1, 0)
body = struct.pack('<8I', 1, 84, at, at, 192, 192, 5, 4) + data + names
table = bytes(40) + b''.join(section(n, 1, 2, at + 64 * i, 84 + 64 * i, 64) for i, n in enumerate((b'.text', b'.cal', b'.tail')))
table += section(b'.shstrtab', 3, 0, 0, 84 + 192, len(names))
sys.stdout.buffer.write(struct.pack('<16s2HI3II6H', b'\x7fELF\1\1\1', 2, 3, 1, at, 52, 52 + len(body), 0,
                                    52, 32, 1, 40, 5, 4) + body + table)
PY
# mspdebug's memory ends at 64 KiB, OpenOCD's bank is put to the same place
python3 elf.py 0xf000 > whole.elf && objcopy -R .cal whole.elf without.elf || good=false
bytes_of() { # file, wanted number by objcopy, by mspdebug, by OpenOCD
	local o m d
	objcopy -O ihex "$1" out.hex && o=$(grep -c '^:10' out.hex) && o=$((o * 16))
	m=$(mspdebug sim "prog $1" 2>&1 | sed -n 's/^Done, \([0-9]*\) bytes total.*/\1/p')
	d=$(openocd -s x/usr/share/openocd/scripts -c 'gdb_port disabled; tcl_port disabled; telnet_port disabled
		adapter driver dummy; adapter speed 100; jtag newtap x cpu -irlen 4
		target create t testee -chain-position x.cpu; flash bank b faux 0x0 0x10000 4 4 t' -c init -c "flash write_image $1" \
		-c shutdown 2>&1 | sed -n 's/^wrote \([0-9]*\) bytes from file.*/\1/p')
	echo "$1: objcopy -O ihex $o, mspdebug $m, OpenOCD $d bytes"
	[ "$o $m $d" = "$2 $3 $4" ] || good=false
}
echo 'expected: one number a line; seen:'
bytes_of whole.elf 192 192 192
bytes_of without.elf 128 128 192
echo "in the segment at the place of .cal: $(readelf -lW without.elf | awk '/LOAD/{print $5}') bytes in all," \
	"$(od -An -tx1 -j148 -N4 without.elf)"
$good && echo 'as recorded: OpenOCD writes what objcopy took out' || { echo 'CHANGED: not what was recorded'; exit 1; }
