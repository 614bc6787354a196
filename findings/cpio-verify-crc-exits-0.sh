#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# GNU cpio 2.13 (Debian 12), on the archive format that SWUpdate's images have (newc with checksums, -H crc): a file whose bytes
# do not match its checksum gives a warning and exit status 0, also with --only-verify-crc, the option made for this check;
# without it the wrong file is written out under its own name.
# Expected: exit 2, as for an archive that ends early (control). Control: the good archive is silent.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(cpio=2.13+dfsg-7.1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
echo 'firmware of unit 1' > image.bin
echo image.bin | cpio -o -H crc --quiet > good.cpio
sed 's/firmware of unit 1/firmware of unit 2/' good.cpio > wrong.cpio
head -c 120 good.cpio > cut.cpio
try() { # archive, option, wanted status, wanted words
	local status
	rm -f image.bin
	cpio -i --quiet $2 < "$1.cpio" 2> err
	status=$?
	printf '%-5s cpio -i %-18s exit %d  %s\n' "$1" "$2" $status "$(head -1 err)"
	[ $status = "$3" ] && [[ $(< err) == $4 ]] || good=false
}
echo "$(cpio --version | head -1); expected: exit 2 for wrong; seen:"
try good --only-verify-crc 0 ''
try cut --only-verify-crc 2 '*premature end*'
try wrong --only-verify-crc 0 '*checksum error*'
try wrong '' 0 '*checksum error*'
grep -q 'unit 2' image.bin || good=false
$good && echo 'as recorded: a wrong checksum is exit 0' || { echo 'CHANGED: not what was recorded'; exit 1; }
