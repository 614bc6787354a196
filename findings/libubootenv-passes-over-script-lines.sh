#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fw_setenv and fw_printenv of libubootenv 0.3.2 (Debian 12), in place of U-Boot's own programs of the same names:
#   a  fw_setenv -s takes "name=value" lines alone. A line as U-Boot's fw_setenv has it ("serial SN2", with a space) is passed over:
#      nothing is written, exit status 0, no word, and the unit keeps the serial number of the board it was copied from
#   b  fw_printenv of a variable that is not there prints "name=", exit status 0, as of one that is empty
# Expected: exit 1 for both. Controls: serial=SN2 is written; a name that may not be is refused with exit status 1; an
# environment with a wrong CRC is refused.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(libubootenv-tool=0.3.2-1 libubootenv0.1=0.3.2-1 u-boot-tools=2023.01+dfsg-2+deb12u3)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
fresh() { printf 'serial=SN1\n' | mkenvimage -s 4096 -o env.bin -; }
echo "$tmp/env.bin 0x0 0x1000" > conf
set_by() { # what, wanted status, wanted serial
	local status
	fresh
	printf '%s\n' "$1" > script
	fw_setenv -c conf -s script > out 2>&1
	status=$?
	printf 'fw_setenv -s, line "%s": exit %d, %s  %s\n' "$1" $status "$(fw_printenv -c conf serial 2>&1)" "$(head -1 out)"
	[ $status = "$2" ] && [ "$(fw_printenv -c conf -n serial)" = "$3" ] || good=false
}
get() { # name, wanted to pass
	fw_printenv -c conf "$1" > out 2>&1
	local status=$?
	printf 'fw_printenv %s: exit %d  %s\n' "$1" $status "$(head -1 out)"
	[ $((status == 0)) = "$2" ] || good=false
}
echo "libubootenv $(fw_printenv -V 2>&1 | tail -1); expected: an error for the second line and for nosuch; seen:"
set_by 'serial=SN2' 0 SN2
set_by 'serial SN2' 0 SN1
fw_setenv -c conf 'se=rial' SN2 > out 2>&1
[ $? = 1 ] || good=false
echo "fw_setenv se=rial SN2: $(head -1 out)"
get nosuch 1
grep -qx 'nosuch=' out || good=false
printf X | dd of=env.bin bs=1 seek=12 conv=notrunc status=none
get serial 0
$good && echo 'as recorded: passed over, exit 0' || { echo 'CHANGED: not what was recorded'; exit 1; }
