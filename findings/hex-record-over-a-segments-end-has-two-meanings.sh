#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An Intel HEX data record below a segment base (type 02) that crosses the segment's 64 KiB. Intel's specification (1988): the
# offset is counted modulo 64 KiB, the rest of the record is at the segment's beginning. Debian 12:
#   srec_cat 1.64: the segment's beginning, as specified
#   objcopy 2.40, gdb-multiarch 13.1, python3-intelhex 2.3.0: behind the segment's end, 64 KiB higher, exit 0
# Expected: one address for one byte: what one tool programs, another one compares at another place. Control: the same bytes
# in two records, which cross nothing, are at the same addresses for all.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(binutils=2.40-2 srecord=1.64-3 gdb-multiarch=13.1-3 python3-intelhex=2.3.0-2)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
export PYTHONPATH=$tmp/x/usr/lib/python3/dist-packages
good=true
# ABCD at 1000:FFFE; and as AB at 1000:FFFE and CD at 1000:0000.
printf ':020000021000EC\n:04FFFE0041424344F5\n:00000001FF\n' > over.hex
printf ':020000021000EC\n:02FFFE0041427E\n:02000000434477\n:00000001FF\n' > two.hex
python='import intelhex, sys
h = intelhex.IntelHex(sys.argv[1])
print("%x" % next(a for a in h.addresses() if h[a] == 0x43))'
where() { # tool, file: the address of the byte C
	case $1 in
	srec_cat) srec_cat "$2" -intel -o - -hex-dump 2> /dev/null | sed -n 's/^0*\([0-9A-F]*\): 43 44.*/\1/p' | tr A-F a-f ;;
	objcopy) objcopy -I ihex -O srec --srec-len=2 "$2" out.srec
		sed -n 's/^S2060*\([0-9A-F]*\)4344..\r*$/\1/p' out.srec | tr A-F a-f ;;
	gdb) gdb-multiarch -nx --batch -ex 'info files' "$2" 2> /dev/null | sed -n 's/^.*0x0*\([0-9a-f]*\) - 0x.*/\1/p' > starts
		while read -r a; do
			for k in 0 1 2 3; do
				at=$(printf '%x' $((0x$a + k)))
				gdb-multiarch -nx --batch -ex "x/1xb 0x$at" "$2" 2> /dev/null | grep -q '0x43$' && echo "$at"
			done
		done < starts | head -n 1 ;;
	intelhex) python3 -c "$python" "$2" ;;
	esac
}
try() { # tool, where C is in the record that crosses
	local two over
	two=$(where "$1" two.hex)
	over=$(where "$1" over.hex)
	printf '%-9s in two records: %-6s in one: %s\n' "$1" "$two" "$over"
	[ "$two $over" = "10000 $2" ] || good=false
}
echo 'expected: C at 10000 in both; seen:'
try srec_cat 10000
try objcopy 20000
try gdb 20000
try intelhex 20000
$good && echo "as recorded: one at the beginning, three behind the end" || { echo "CHANGED: not what was recorded"; exit 1; }
