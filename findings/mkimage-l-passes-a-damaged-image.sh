#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# mkimage -l and dumpimage -l of u-boot-tools 2023.01 (Debian 12), run on an image to see whether it is whole: one that was
# cut, or has a wrong byte, is said to be a "GP Header" (TI OMAP), exit status 0. So is a text. Every type of mkimage is asked
# in turn, and that one takes any 8 bytes that are not zero.
# Expected: exit 1 for what is no image, or an image with a wrong checksum. Controls: a good image says its name; dumpimage -p
# (which takes the payload out) refuses the wrong ones; 4096 zero bytes are refused by both.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(u-boot-tools=2023.01+dfsg-2+deb12u3)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
seq 1 1000 > kernel
mkimage -A arm64 -O linux -T kernel -C none -a 80080000 -e 80080000 -n probe-me -d kernel good > out 2>&1 || good=false
head -c 2000 good > cut
{ head -c 1500 good && printf '#' && tail -c +1502 good; } > wrong
echo 'a line of text that nobody would boot' > text
head -c 4096 /dev/zero > zero
look() { # file, status of -l, words of -l, whether -p fails
	local status taken
	for tool in mkimage dumpimage; do
		$tool -l "$1" > out 2>&1
		status=$?
		printf '%-9s -l %-6s exit %-3d %s\n' $tool "$1" $status "$(head -1 out)"
		[ $status = "$2" ] && { [ -z "$3" ] || grep -q "$3" out; } || good=false
	done
	dumpimage -T kernel -p 0 -o payload "$1" > out 2>&1
	taken=$?
	printf 'dumpimage -p %-6s exit %d\n' "$1" $taken
	[ $((taken != 0)) = "$4" ] || good=false
}
echo "$(mkimage -V); expected: no exit 0 for cut, wrong and text; seen:"
look good 0 probe-me 0
look zero 255 '' 1
look cut 0 '^GP Header' 1
look wrong 0 '^GP Header' 1
look text 0 '^GP Header' 1
$good && echo 'as recorded: a damaged image is a GP Header, exit 0' || { echo 'CHANGED: not what was recorded'; exit 1; }
