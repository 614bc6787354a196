#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dfu-prefix and dfu-suffix of dfu-util 0.11 (Debian 12), exit status 0, no word of it:
#   a  the TI Stellaris prefix counts its address in blocks of 1 KiB in 16 bits: 0x2200 becomes 0x2000, 0x4002000 becomes 0x2000,
#      so that the bootloader writes the image to where it was not built for
#   b  an id of five digits in the suffix loses its first: 12345 becomes 2345, which is another vendor
# Expected: an address and an id that do not fit are refused. Controls: 0x2400 and 0483 are kept.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(dfu-util=0.11-1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
seq 100 > image
prefix() { # address, wanted
	cp image p && dfu-prefix -s "$1" -a p > out 2>&1
	local status=$? said
	said=$(dfu-prefix -c p 2> /dev/null | sed -n 's/^Address:[ \t]*//p')
	printf 'dfu-prefix -s %-10s exit %d  address %s %s\n' "$1" $status "$said" "$(grep -iE 'round|align|range|large' out)"
	[ "$status $said" = "0 $2" ] || good=false
}
suffix() { # vendor, wanted
	cp image s && dfu-suffix -v "$1" -p 1 -a s > out 2>&1
	local status=$? said
	said=$(dfu-suffix -c s 2> /dev/null | sed -n 's/^Vendor ID:[ \t]*//p')
	printf 'dfu-suffix -v %-10s exit %d  vendor %s\n' "$1" $status "$said"
	[ "$status $said" = "0 $2" ] || good=false
}
echo "$(dfu-prefix -V | head -1); expected: as given, or refused; seen:"
prefix 0x2400 0x00002400
prefix 0x2200 0x00002000
prefix 0x4002000 0x00002000
suffix 0483 0x0483
suffix 12345 0x2345
$good && echo 'as recorded: another address, another vendor' || { echo 'CHANGED: not what was recorded'; exit 1; }
