#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# qpid-proton 0.37.0 (Debian 12, python3-qpid-proton): a certificate whose subjectAltName has the address IP:127.0.0.1 does not match the
# peer amqps://127.0.0.1: "certificate verify failed". Only names (DNS, CN) are compared, also with an address.
# Expected: the identity of a peer that is named by an address is an iPAddress of its certificate (RFC 6125, 1.7.2; RFC 9525).
# Controls: openssl takes the same certificate for that address; proton takes one with DNS:localhost for localhost.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(python3-qpid-proton=0.37.0-2+b1 libqpid-proton11=0.37.0-2+b1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PYTHONPATH=$tmp/x/usr/lib/python3/dist-packages LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu
cat > ask.py <<'PY'
# One connection over TLS to HOST, with a server that leaves after the handshake: prints what the client says of the certificate.
import socket, ssl, sys, threading
from proton import SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import Container
cert, key, host = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server = socket.create_server(('127.0.0.1', 0))
def serve():
    try:
        with context.wrap_socket(server.accept()[0], server_side=True) as s:
            s.recv(1) and s.close()
    except OSError:
        pass
threading.Thread(target=serve, daemon=True).start()
class Ask(MessagingHandler):
    def on_start(self, event):
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(cert)
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        event.container.connect('amqps://%s:%d' % (host, server.getsockname()[1]), ssl_domain=domain, reconnect=False)
    def on_transport_error(self, event):
        said = event.transport.condition.description or ''
        print('refused: ' + said.split('\n')[0] if 'verify' in said else 'taken')
Container(Ask()).run()
PY
good=true
try() { # subjectAltName, host, wanted beginning
	local said
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -days 2 -subj /CN=broker \
		-addext "subjectAltName=$1" 2> /dev/null
	said=$(timeout 20 python3 ask.py cert key "$2" 2>&1 | tail -1)
	printf '%-16s for %-10s %s\n' "$1" "$2" "$said"
	[[ "$said" == "$3"* ]] || good=false
}
echo "qpid-proton $(python3 -c 'import proton; print("%d.%d.%d" % proton.VERSION)'); expected: all of them taken but the last; seen:"
try DNS:localhost localhost taken
try IP:127.0.0.1 127.0.0.1 refused
checked=$(openssl verify -CAfile cert -verify_ip 127.0.0.1 cert 2>&1)
echo "openssl verify -verify_ip 127.0.0.1: $checked"
[ "$checked" = 'cert: OK' ] || good=false
try DNS:elsewhere localhost refused
$good && echo 'as recorded: an address in a certificate is not looked at' || { echo 'CHANGED: not what was recorded'; exit 1; }
