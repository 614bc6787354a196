#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A device CA is made again with the same key and name (its certificate had run out). The old one held the name as UTF8String
# (openssl's own choice), the new one as PrintableString (`string_mask = default`). The devices' certificates stay as they are:
#   openssl 3.0 (Debian 12) accepts them under either CA certificate (RFC 5280, 7.1: the strings are compared)
#   certtool of gnutls-bin 3.7.9 finds no issuer under the new one: good devices are refused
# Expected: the same answer of both. Controls: certtool under the CA certificate with the same string type, and both under
# a CA of another name with the same key.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(gnutls-bin=3.7.9-2+deb12u7 openssl=3.0.22-1~deb12u2)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$tmp/x/usr/sbin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu:$tmp/x/usr/lib
good=true
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key 2> /dev/null
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out unit.key 2> /dev/null
ca() { # file, string_mask, name
	printf '[req]\ndistinguished_name = dn\nprompt = no\nx509_extensions = ca\nstring_mask = %s\n[dn]\nCN = %s\n[ca]\n%s\n' "$2" "$3" \
		'basicConstraints = critical,CA:true' > cnf
	openssl req -x509 -new -key ca.key -config cnf -days 30 -out "$1.pem"
}
ca utf8 utf8only 'Device CA'
ca printable default 'Device CA'
ca other default 'Other CA'
openssl req -new -key unit.key -subj /CN=unit1 -out unit.csr
openssl x509 -req -in unit.csr -CA utf8.pem -CAkey ca.key -set_serial 1 -days 20 -out unit.pem 2> /dev/null
check() { # CA, wanted status of openssl, of certtool
	local o c
	openssl verify -CAfile "$1.pem" unit.pem > out 2>&1
	o=$?
	certtool --verify --load-ca-certificate "$1.pem" --infile unit.pem > out 2>&1
	c=$?
	printf '%-30s openssl exit %d, certtool exit %d: %s\n' "$(openssl x509 -in "$1.pem" -noout -subject -nameopt show_type,sname)" \
		$o $c "$(sed -n 's/^Chain verification output: //p' out)"
	[ "$o $c" = "$2 $3" ] || good=false
}
echo "$(openssl version), $(certtool --version | head -1); expected: the same answer in a line; seen:"
check utf8 0 0
check other 2 1
check printable 0 1
$good && echo 'as recorded: openssl accepts, certtool does not' || { echo 'CHANGED: not what was recorded'; exit 1; }
