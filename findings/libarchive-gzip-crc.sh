#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libarchive 3.6.2 (Debian 12): a gzip file ends with the CRC-32 and the length of its content (RFC 1952, 2.3.1). libarchive reads
# these eight bytes and compares nothing: bsdcat writes damaged firmware out and exits 0, and so does whoever unpacks a .gz or
# .tar.gz by this library. Of xz and bzip2 it does compare the checksum.
# Expected: each damaged file is refused. Control: the whole file comes out as it went in; gzip -t refuses the damaged one.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(libarchive-tools=3.6.2-1+deb12u4 libarchive13=3.6.2-1+deb12u4)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
# Bytes that do not compress lie in the file as they are: one of them is another one then.
head -c 30000 /dev/urandom > firmware
for how in gzip xz bzip2; do "$how" -c firmware > "whole.$how"; done
for how in gzip xz bzip2; do
	cp "whole.$how" "damaged.$how"
	byte=$(od -An -tu1 -j15000 -N1 "damaged.$how")
	printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="damaged.$how" bs=1 seek=15000 conv=notrunc status=none
done
try() { # file, wanted status, same or other
	local status what=other
	bsdcat "$1" > out 2> err
	status=$?
	cmp -s out firmware && what=same
	printf '%-14s exit %d, %s bytes  %s\n' "$1" $status $what "$(head -1 err)"
	[ $status = "$2" ] && [ $what = "$3" ] || good=false
}
echo "$(bsdcat --version); expected: exit 1 for each damaged file; seen:"
try whole.gzip 0 same
try damaged.gzip 0 other
try damaged.xz 1 other
try damaged.bzip2 1 other
gzip -t < damaged.gzip 2> /dev/null && good=false
$good && echo 'as recorded: a damaged gzip file is read as whole' || { echo 'CHANGED: not what was recorded'; exit 1; }
