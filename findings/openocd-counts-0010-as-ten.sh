#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A factory's Tcl (the next serial number, kept with leading zeros) runs in tclsh on the bench and in OpenOCD 0.12 on the line,
# whose language is Jim, "a small Tcl" (both Debian 12). Numbers with a leading 0 differ without a word: after 0010 comes 9 in
# tclsh (octal), and 11 in OpenOCD and jimsh. format %04d does the same: 0042 becomes 0034 or stays. 0008 is an error in
# tclsh and 8 in OpenOCD, so that seven of ten numbers never show it. Expected: one language, one number, or an error in both.
# Controls: without the zeros, and with 0x, they agree.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(openocd=0.12.0-1 jimsh=0.81+dfsg0-2 tcl8.6=8.6.13+dfsg-2)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib TCL_LIBRARY=$tmp/x/usr/share/tcltk/tcl8.6
cat > next.tcl << 'EOF'
foreach n {10 0x10 0010 0042 0008} {
	if {[catch {set next $n; incr next} next]} {set next error}
	if {[catch {format %04d $n} four]} {set four error}
	lappend said "$n: $next $four"
}
set said [join $said ", "]
EOF
{ cat next.tcl && echo 'puts $said'; } > bench.tcl
{ cat next.tcl && echo 'echo $said' && echo shutdown; } > line.cfg
bench=$(tclsh8.6 bench.tcl)
small=$(jimsh bench.tcl)
line=$(openocd -f line.cfg 2>&1 | grep '^10:')
echo "n: next, format %04d; tclsh 8.6.13, jimsh 0.81, OpenOCD 0.12.0; expected: three lines alike; seen:"
printf '%-8s %s\n' tclsh "$bench" jimsh "$small" OpenOCD "$line"
if [ "$bench" = '10: 11 0010, 0x10: 17 0016, 0010: 9 0008, 0042: 35 0034, 0008: error error' ] &&
	[ "$line" = '10: 11 0010, 0x10: 17 0016, 0010: 11 0010, 0042: 43 0042, 0008: 9 0008' ] && [ "$small" = "$line" ]; then
	echo 'as recorded: the same script counts otherwise'
else
	echo 'CHANGED: not what was recorded'
	exit 1
fi
