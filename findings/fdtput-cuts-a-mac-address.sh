#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fdtput of dtc 1.6.1 (Debian 12), as a station writes a unit's identity into its device tree: exit status 0, no word, and
#   a  a MAC address as everybody writes it (02:1b:44:11:3a:b7) becomes one byte, 02
#   b  bytes and cells that are too large lose their upper half: 1ff becomes ff, 123456789 becomes 23456789
#   c  1.5 becomes 1, a letter that is no hex digit ends the number (2g becomes 2), and a word without any digit becomes 0
# Expected: an error for each. Controls: six bytes with spaces are whole; an unknown type (-t q) is an error.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(device-tree-compiler=1.6.1-4+b1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
echo '/dts-v1/; / { };' | dtc -I dts -O dtb -o empty.dtb -
put() { # type, wanted status, wanted value, values...
	local type=$1 status=$2 value=$3 seen said
	shift 3
	cp empty.dtb t.dtb
	fdtput -t "$type" t.dtb / p "$@" 2> err
	seen=$?
	said=$(fdtget -t "$type" t.dtb / p 2> /dev/null)
	printf 'fdtput -t %-2s %-20s exit %d  %s\n' "$type" "$*" $seen "${said:-$(head -1 err)}"
	[ $seen = "$status" ] && [ "$said" = "$value" ] || good=false
}
echo "$(fdtput --version); expected: exit 1 for all but the first; seen:"
put bx 0 '2 1b 44 11 3a b7' 02 1b 44 11 3a b7
put q 1 '' 1
put bx 0 2 02:1b:44:11:3a:b7
put bx 0 'ff 2' 1ff 02
put bx 0 '2 1b' 2g 1b
put bx 0 0 zz
put x 0 23456789 123456789
put u 0 705032704 5000000000
put i 0 1 1.5
$good && echo 'as recorded: cut, exit 0' || { echo 'CHANGED: not what was recorded'; exit 1; }
