#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# zint 2.11.1 (Debian 12), a serial number with small letters on a label: Code 39 and Codabar have no small letters, and zint puts
# capitals in their place, in the bars and in the text below them, exit status 0, no word of it. The label of SN-ab12 is that
# of SN-AB12, another unit where serial numbers tell the two apart (base 64, a chip's id): the scan at the next station finds
# no unit, or the wrong one. Expected: refused, as zint itself does for letters in an Interleaved 2 of 5 (control), or the
# text as it is, as in Code 128 and in Extended Code 39 (controls).
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(zint=2.11.1-1 zbar-tools=0.23.92-7+deb12u1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
MAGICK_CODER_MODULE_PATH=$(echo /usr/lib/x86_64-linux-gnu/ImageMagick-6*/modules*/coders)
[ -d x/etc/ImageMagick-6 ] && export MAGICK_CONFIGURE_PATH=$tmp/x/etc/ImageMagick-6 &&
	MAGICK_CODER_MODULE_PATH=$(echo "$tmp"/x/usr/lib/x86_64-linux-gnu/ImageMagick-6*/modules*/coders)
export MAGICK_CODER_MODULE_PATH
good=true
label() { # symbology, data, what zint says, exit status, text in the picture, wanted scan
	local said status below scan
	said=$(zint -b "$1" -d "$2" -o l.png --scale 4 --quietzones 2>&1)
	status=$?
	[ $status -ne 0 ] || zint -b "$1" -d "$2" -o l.svg
	below=$([ $status -ne 0 ] || tr -d '\n' < l.svg | sed -n 's/.*<text[^>]*> *\([^< ]*\) *<.*/\1/p')
	scan=$([ $status -ne 0 ] || timeout 60 zbarimg --raw -q l.png 2> err)
	printf '%-9s %-9s exit %d  below %-10s scan %-10s %s\n' "$1" "$2" $status "$below" "$scan" "$said"
	[ "$said" = "$3" ] && [ $status = "$4" ] && [ "$below" = "$5" ] && [ "$scan" = "$6" ] || good=false
}
echo "zint 2.11.1, zbarimg $(zbarimg --version); expected: the text as given, or a refusal; seen:"
label CODE39 SN-ab12 '' 0 '*SN-AB12*' SN-AB12
label CODABAR a123b '' 0 A123B A123B
label CODE128 SN-ab12 '' 0 SN-ab12 SN-ab12
label C25INTER ab12 'Error 310: Invalid character in data (digits only)' 6 '' ''
$good && echo 'as recorded: two serial numbers, one label' || { echo 'CHANGED: not what was recorded'; exit 1; }
