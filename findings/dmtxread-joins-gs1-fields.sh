#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# dmtxread of dmtx-utils 0.7.6 (Debian 12) on GS1 Data Matrix labels of zint 2.11.1: the FNC1 that ends a field of variable
# length is left out, so that lot AB with serial 12, and lot AB2112 without a serial, are read as the same text 10AB2112.
# Expected: a GS character (1D) there, as GS1 asks of every reader, and as zbarimg gives for the same data in a QR code and
# in Code 128 (controls). With -G29 dmtxread says it too, but then it also says the FNC1 at the start.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(zint=2.11.1-1 dmtx-utils=0.7.6-1.1+b1 zbar-tools=0.23.92-7+deb12u1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
MAGICK_CODER_MODULE_PATH=$(echo /usr/lib/x86_64-linux-gnu/ImageMagick-6*/modules*/coders)
[ -d x/etc/ImageMagick-6 ] && export MAGICK_CONFIGURE_PATH=$tmp/x/etc/ImageMagick-6 &&
	MAGICK_CODER_MODULE_PATH=$(echo "$tmp"/x/usr/lib/x86_64-linux-gnu/ImageMagick-6*/modules*/coders)
export MAGICK_CODER_MODULE_PATH
label() { # symbology, data, wanted text, reader...
	local symbology=$1 data=$2 want=$3 said
	shift 3
	zint -b "$symbology" --gs1 -d "$data" -o l.png --scale 4 --quietzones || good=false
	said=$(timeout 60 "$@" l.png 2> err | sed 's/\x1d/<GS>/g')
	printf '%-10s %-14s %-18s %s\n' "$symbology" "$data" "$1 $2" "${said:-$(head -1 err)}"
	[ "$said" = "$want" ] || good=false
}
echo "$(dmtxread --version 2>&1 | head -1), zint 2.11.1, zbarimg $(zbarimg --version); expected: no two alike; seen:"
label QRCODE '[10]AB[21]12' '10AB<GS>2112' zbarimg --raw -q
label QRCODE '[10]AB2112' '10AB2112' zbarimg --raw -q
label GS1_128 '[10]AB[21]12' '10AB<GS>2112' zbarimg --raw -q
label DATAMATRIX '[10]AB[21]12' '10AB2112' dmtxread -N1
label DATAMATRIX '[10]AB2112' '10AB2112' dmtxread -N1
label DATAMATRIX '[10]AB[21]12' '<GS>10AB<GS>2112' dmtxread -G29 -N1
$good && echo 'as recorded: two labels, one text' || { echo 'CHANGED: not what was recorded'; exit 1; }
