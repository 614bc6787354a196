#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libarchive 3.6.2 (Debian 12): what packs bzip2 on all cores (pbzip2, lbzip2) writes one stream after another, and all of them are
# the content. Where a further stream does not begin as one (one bit of its mark is another one), libarchive ends the file
# there: bsdcat writes the first part of the firmware out and exits 0 without a word. xz and zstd files of two streams it refuses.
# Expected: a file whose second stream is damaged is refused. Control: the whole file comes out as it went in.
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
head -c 30000 /dev/urandom > first
head -c 30000 /dev/urandom > second
cat first second > firmware
for how in xz bzip2 zstd; do
	"$how" -c first > "first.$how"
	"$how" -c second > "second.$how"
	cat "first.$how" "second.$how" > "whole.$how"
	{ cat "first.$how" && printf '\0' && tail -c +2 "second.$how"; } > "damaged.$how"
done
try() { # file, wanted status, bytes that come out
	local status
	bsdcat "$1" > out 2> err
	status=$?
	printf '%-14s exit %d, %d of 60000 bytes  %s\n' "$1" $status "$(stat -c %s out)" "$(head -1 err)"
	[ $status = "$2" ] && { [ "$3" = any ] || [ "$(stat -c %s out)" = "$3" ]; } || good=false
}
echo "$(bsdcat --version); expected: exit 1 for each damaged file; seen:"
try whole.bzip2 0 60000
cmp -s out firmware || good=false
try damaged.bzip2 0 30000
try damaged.xz 1 any
try damaged.zstd 1 any
$good && echo 'as recorded: a damaged second stream of bzip2 is left out' || { echo 'CHANGED: not what was recorded'; exit 1; }
