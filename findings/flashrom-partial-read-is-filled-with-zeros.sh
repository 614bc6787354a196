#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# flashrom 1.3.0 (Debian 12), on its own emulated M25P10: `-i calibration -r saved.bin` saves one region; the file has the size of
# the chip, and zeros (not FF, not what is on the chip) in place of all else. Written back as it is (`-w saved.bin`), it replaces
# the firmware by zeros: "VERIFIED", exit status 0. Nothing in the file, its size or what is printed tells it from a whole dump.
# Expected: only the region's bytes, FF elsewhere, or a word. Controls: `-i calibration:region.bin` gives the region alone, and a
# file of that size is refused by -w; with -i at the writing, too, the chip keeps its other bytes.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(flashrom=1.3.0-2.1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
seq 100000 | head -c 131072 > chip.was
printf '00000000:0000ffff firmware\n00010000:0001ffff calibration\n' > layout
flash() { flashrom -p dummy:emulate=M25P10.RES,image=chip "$@" > out 2>&1; }
seen() { printf '%-36s exit %d  %s\n' "$1" "$2" "$3"; }
cp chip.was chip
flash -l layout -i calibration -r saved || good=false
seen '-i calibration -r saved' 0 "$(stat -c %s saved) bytes, firmware: $(head -c 65536 saved | tr -d '\0' | wc -c) bytes not zero"
cmp -s <(tail -c 65536 saved) <(tail -c 65536 chip.was) && cmp -s <(head -c 65536 saved) <(head -c 65536 /dev/zero) || good=false
flash -l layout -i calibration -w saved && cmp -s chip chip.was || good=false
seen '-i calibration -w saved' 0 'the chip as it was'
flash -l layout -i calibration:region -r whole && [ "$(stat -c %s region)" = 65536 ] || good=false
flash -w region && good=false
seen '-w (a region of 65536 bytes)' 1 "$(tail -1 out)"
flash -w saved || good=false
seen '-w saved' 0 "$(tail -1 out) firmware on the chip: $(head -c 65536 chip | tr -d '\0' | wc -c) bytes not zero"
grep -q 'VERIFIED' out && cmp -s chip saved && ! cmp -s chip chip.was || good=false
$good && echo 'as recorded: the firmware is gone, verified' || { echo 'CHANGED: not what was recorded'; exit 1; }
