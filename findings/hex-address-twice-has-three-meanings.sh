#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An Intel HEX file in which one address comes twice with unlike bytes, as merge scripts make them and as Debian ships them
# (arduino-core-avr 1.8.7: optiboot_atmega168.hex and optiboot_atmega328.hex, at their version word). Debian 12:
#   avrdude 7.1 (written, verified), objcopy 2.40 -O binary: the last bytes, no word, exit 0
#   gdb-multiarch 13.1, reading the file: the first bytes, no word, exit 0
#   srec_cat 1.64, OpenOCD 0.12: refused
# Expected: all refuse (or all take the last): a part that one tool wrote is wrong for the tool that checks it. Control: the same
# bytes twice are taken by all but OpenOCD. avrdude speaks to a unit by AVR061 (STK500) on a socket.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(avrdude=7.1+dfsg-3 binutils=2.40-2 srecord=1.64-3 gdb-multiarch=13.1-3 openocd=0.12.0-1
	arduino-core-avr=1.8.7+dfsg-1~deb12u1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
cat > unit.py << 'PY'
import socket
def take(c, n):
    said = b''
    while len(said) < n:
        said += c.recv(n - len(said)) or exit()
    return said
fixed = {0x30: 0, 0x41: 1, 0x42: 20, 0x45: 5, 0x50: 0, 0x51: 0, 0x75: 0, 0x55: 2, 0x56: 4, 0x74: 3}
server = socket.create_server(('127.0.0.1', 0))
print(server.getsockname()[1], flush=True)
while True:
    c, flash, at = server.accept()[0], bytearray(b'\xff' * 32768), 0
    try:
        while (k := take(c, 1)[0]) != 0x51:
            a = take(c, 3 if k == 0x64 else fixed[k])
            out = {0x41: b'\3', 0x75: b'\x1e\x95\x0f', 0x56: b'\0'}.get(k, b'')
            if k == 0x55:
                at = 2 * (a[0] + 256 * a[1])
            elif k == 0x64:
                n = 256 * a[0] + a[1]
                flash[at:at + n] = take(c, n)
            elif k == 0x74:
                out = bytes(flash[at:at + 256 * a[0] + a[1]])
            take(c, 1)
            c.sendall(b'\x14' + out + b'\x10')
    finally:
        open('flash', 'wb').write(flash)
        c.sendall(b'\x14\x10')
        c.close()
PY
hex() { printf ':04000000%s\n:04000000%s\n:00000001FF\n' "$1" "$2"; }
hex 1122334452 5566778842 > unlike.hex
hex 1122334452 1122334452 > alike.hex
public=x/usr/share/arduino/hardware/arduino/avr/bootloaders/optiboot
exec 3< <(exec python3 unit.py 2> /dev/null)
trap 'kill $!; rm -rf "$tmp"' EXIT
read -r port <&3
ocd='gdb_port disabled; tcl_port disabled; telnet_port disabled; adapter driver dummy; adapter speed 100
	jtag newtap x cpu -irlen 4; target create t testee -chain-position x.cpu; flash bank b faux 0x0 0x10000 4 4 t'
read_by() { # reader, file: the four bytes, or "refused"
	local status
	case $1 in
	avrdude) avrdude -C x/etc/avrdude.conf -p m328p -c arduino -P "net:127.0.0.1:$port" -D -U "flash:w:$2:i" ;;
	objcopy) objcopy -I ihex -O binary "$2" flash ;;
	gdb) gdb-multiarch -nx --batch -ex "dump binary memory flash 0 4" "$2" ;;
	srec_cat) srec_cat "$2" -intel -o flash -binary ;;
	openocd) openocd -s x/usr/share/openocd/scripts -c "$ocd" -c init -c "flash write_image $2" -c shutdown ;;
	esac > out 2>&1
	status=$?
	[ $status = 0 ] && od -An -tx1 -N4 flash | tr -d ' \n' || echo refused
}
try() { # reader, what it makes of the bytes twice alike, twice unlike
	local alike unlike
	rm -f flash
	alike=$(read_by "$1" alike.hex)
	rm -f flash
	unlike=$(read_by "$1" unlike.hex)
	printf '%-9s alike: %-9s unlike: %s\n' "$1" "$alike" "$unlike"
	[ "$alike $unlike" = "$2 $3" ] || { good=false; cat out; }
}
for f in "$public"/optiboot_atmega{168,328}.hex; do
	srec_cat "$f" -intel -o flash -binary > out 2>&1 && good=false
	echo "$(basename "$f"): $(tr -s ' \n' ' ' < out | grep -o 'multiple 0x.*')"
done
echo 'expected: one meaning for "unlike"; seen:'
try avrdude 11223344 55667788
try objcopy 11223344 55667788
try gdb 11223344 11223344
try srec_cat 11223344 refused
try openocd refused refused
$good && echo 'as recorded: the last, the first, refused' || { echo 'CHANGED: not what was recorded'; exit 1; }
