#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The firmware of HackRF (hackrf-firmware 2022.09.1, Debian 12) has a DFU suffix whose sum is of the file without its first
# 16 bytes: the header of the LPC boot ROM was put before a file that had its suffix already. The owner's way to start a
# HackRF is dfu-util with just this file, and dfu-util 0.11 sends it, the 16 bytes of the suffix with it; dfu-suffix of the
# same package refuses it.
# Expected: a published file agrees with its own checksum. Control: dfu-suffix takes the same file once it has a new suffix.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(dfu-util=0.11-1 hackrf-firmware=2022.09.1-3)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
echo "$(dfu-suffix -V | head -1); expected: the sum of each file is right; seen:"
for f in x/usr/share/hackrf/*.dfu; do
	sums=$(python3 - "$f" <<- 'EOF'
		import struct, sys, zlib
		b = open(sys.argv[1], 'rb').read()
		want = struct.unpack('<I', b[-4:])[0]
		for part in (b[:-4], b[16:-4]):
		    print('right' if zlib.crc32(part) ^ 0xffffffff == want else 'wrong', end=' ')
	EOF
	)
	dfu-suffix -c "$f" > out 2>&1
	status=$?
	printf '%-28s sum of the file, without its first 16 bytes: %s dfu-suffix -c: exit %d\n' "$(basename "$f")" "$sums" $status
	[ "$sums $status" = 'wrong right  65' ] && grep -q 'CRC does not match' out || good=false
	head -c -16 "$f" > again && dfu-suffix -a again > out 2>&1 && dfu-suffix -c again > out 2>&1 || good=false
done
$good && echo 'as recorded: the sum leaves the header out' || { echo 'CHANGED: not what was recorded'; exit 1; }
