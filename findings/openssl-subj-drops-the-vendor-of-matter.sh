#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# openssl 3.0 (Debian 12), the authority of a Matter product (PAI): its name must have the vendor, attribute 1.3.6.1.4.1.37244.2.1
# (Matter core specification, 6.2.2). By its number in -subj the attribute is left out of the request: one warning, exit 0, a
# signature over the rest. Certificates of that authority are refused by every commissioner, long after the key ceremony.
# GnuTLS refuses a number that it does not know in `dn_oid`, exit 1 (control), and takes it with its value in DER (control), as
# openssl does where oid_section gives it a name (control). A name that is not known at all is left out in the same way.
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
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu
good=true
oid=1.3.6.1.4.1.37244.2.1
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out pai.key 2> /dev/null
printf '[req]\ndistinguished_name = dn\n[dn]\n' > plain
printf 'oid_section = oids\n[oids]\nmatterVendor = %s\n[req]\ndistinguished_name = dn\n[dn]\n' $oid > named
printf 'cn = "Example PAI"\ndn_oid = "%s FFF1"\n' $oid > by-number
printf 'dn = "cn=Example PAI,%s=#0C0446464631"\n' $oid > by-der
show() { # how, exit status, wanted
	local name
	name=$([ "$2" -ne 0 ] || openssl req -in csr -noout -subject -nameopt RFC2253)
	printf '%-28s exit %d  %s  %s\n' "$1" "$2" "$name" "$(tail -n 1 said)"
	[ "$2 $name" = "$3" ] || good=false
}
echo "$(openssl version), $(certtool --version | head -n 1); expected: the vendor in the name, or a refusal; seen:"
openssl req -new -config plain -key pai.key -subj "/CN=Example PAI/$oid=FFF1" -out csr > said 2>&1
show 'openssl -subj, by number' $? '0 subject=CN=Example PAI'
openssl req -new -config plain -key pai.key -subj '/CN=Example PAI/matterVendor=FFF1' -out csr > said 2>&1
show 'openssl -subj, unknown name' $? '0 subject=CN=Example PAI'
openssl req -new -config named -key pai.key -subj '/CN=Example PAI/matterVendor=FFF1' -out csr > said 2>&1
show 'openssl, oid_section' $? "0 subject=$oid=#0C0446464631,CN=Example PAI"
certtool --generate-request --load-privkey pai.key --template by-number --outfile csr > said 2>&1
show 'certtool, dn_oid' $? '1 '
certtool --generate-request --load-privkey pai.key --template by-der --outfile csr > said 2>&1
show 'certtool, dn with DER' $? "0 subject=CN=Example PAI,$oid=#0C0446464631"
$good && echo 'as recorded: the attribute is left out' || { echo 'CHANGED: not what was recorded'; exit 1; }
