#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# file 5.44 (libmagic, Debian 12) on the U-Boot that Debian builds for QEMU: of the three most common machines it calls ARM64
# a PCX picture, 32-bit ARM a program of DOS, x86-64 zlib data, each with a MIME type of its own. Rules of one or two bytes
# decide: ARM64 begins with 0a 00, the jump of ARM with b8, x86-64 with 48 89. A check of uploads by MIME type refuses them, or
# unpacks the last.
# Expected: data (application/octet-stream), as for the other machines. Controls: RISC-V and PowerPC of the same package are
# data; python's zlib refuses the "zlib data"; the same file with one bit of its first byte changed is data or another thing.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(file=1:5.44-3 libmagic1=1:5.44-3 libmagic-mgc=1:5.44-3 u-boot-qemu=2023.01+dfsg-2+deb12u3)
if ! (cd deb && apt-get download -qq "${want[@]}") > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu
file=$tmp/x/usr/bin/file magic=$tmp/x/usr/lib/file/magic.mgc
good=true
look() { # machine, MIME type
	local image=x/usr/lib/u-boot/$1/u-boot.bin mime
	mime=$("$file" -m "$magic" -b --mime-type "$image")
	printf '%-14s %-26s %s\n' "$1" "$mime" "$("$file" -m "$magic" -b "$image" | cut -c1-52)"
	[ "$mime" = "$2" ] || good=false
}
echo "$("$file" --version | head -1); expected: application/octet-stream for all; seen:"
look qemu-riscv64 application/octet-stream
look qemu-ppce500 application/octet-stream
look qemu_arm64 image/x-pcx
look qemu_arm application/x-dosexec
look qemu-x86_64 application/zlib
python3 -c 'import sys, zlib
try:
    zlib.decompressobj().decompress(open(sys.argv[1], "rb").read())
except zlib.error as e:
    sys.exit("zlib itself: %s" % e)' x/usr/lib/u-boot/qemu-x86_64/u-boot.bin && good=false
cp x/usr/lib/u-boot/qemu_arm64/u-boot.bin one-bit
printf '\013' | dd of=one-bit conv=notrunc status=none
mime=$("$file" -m "$magic" -b --mime-type one-bit)
echo "arm64 with another first byte: $mime"
[ "$mime" != image/x-pcx ] || good=false
$good && echo 'as recorded: boot loaders are a picture, a DOS program and zlib data' || { echo 'CHANGED: not what was recorded'; exit 1; }
