#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mkimage of u-boot-tools 2023.01 (Debian 12): a load address above 4 GiB is cut to its low 32 bits, exit status 0, no word.
# An arm64 board whose RAM starts at 0x8_8000_0000 gets an image that loads at 0x8008_0000: what is there, or nothing.
# Expected: the legacy header holds 32 bits, so an address that does not fit is refused (mkimage does refuse text behind
# the digits). Control: an address that fits is written as given; a FIT holds the same 64-bit address whole.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(u-boot-tools=2023.01+dfsg-2+deb12u3 device-tree-compiler=1.6.1-4+b1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
head -c 1000 /dev/zero > kernel
legacy() { # address, wanted status, wanted address in the header
	local status said
	mkimage -A arm64 -O linux -T kernel -C none -a "$1" -e "$1" -n k -d kernel k.img > out 2>&1
	status=$?
	said=$([ $status = 0 ] && od -An -tx1 -j16 -N8 k.img | tr -d ' \n')
	printf 'legacy -a %-12s exit %d  load, entry: %s\n' "$1" $status "${said:--}"
	[ $status = "$2" ] && [ "$said" = "$3" ] || good=false
}
cat > k.its << 'ITS'
/dts-v1/;
/ { description = "k"; #address-cells = <1>; images { k { description = "k"; data = /incbin/("kernel"); type = "kernel";
	arch = "arm64"; os = "linux"; compression = "none"; load = <0x8 0x80080000>; entry = <0x8 0x80080000>; }; };
	configurations { default = "c"; c { kernel = "k"; }; }; };
ITS
echo "$(mkimage -V); expected: 0x880080000 refused; seen:"
legacy 80080000 0 8008000080080000
legacy 0x80080000zz 1 ''
legacy 880080000 0 8008000080080000
mkimage -f k.its k.fit > out 2>&1 && dumpimage -l k.fit > out 2>&1
grep -m1 'Load Address' out
grep -q 'Load Address: *0x880080000$' out || good=false
$good && echo 'as recorded: 0x880080000 became 0x80080000' || { echo 'CHANGED: not what was recorded'; exit 1; }
