#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# curl 7.88.1 (Debian 12), a device registered at AWS IoT with Signature Version 4: `-H 'Expect:'` takes the header out, as the
# manual says, so that a body goes without a round trip. The signature holds it nevertheless: SignedHeaders has "expect", and the
# request has no such header. A service that checks what was signed cannot find it and refuses, whatever the keys are.
# Expected: what is signed is what is sent, as without -H (control) and with a header that is sent (control).
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"; kill "${server:-}" 2> /dev/null' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(curl=7.88.1-10+deb12u15 libcurl4=7.88.1-10+deb12u15)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH LD_LIBRARY_PATH=$tmp/x/usr/lib/x86_64-linux-gnu
cat > server.py <<- 'END'
	import http.server, re
	class Handler(http.server.BaseHTTPRequestHandler):
	    def do_POST(self):
	        self.rfile.read(int(self.headers['Content-Length']))
	        signed = re.search('SignedHeaders=([^,]*)', self.headers['Authorization'])[1].split(';')
	        sent = [k.lower() for k in self.headers]
	        answer = 'signed %s; not sent: %s' % (' '.join(signed), ' '.join(k for k in signed if k not in sent) or '-')
	        self.send_response(200)
	        self.send_header('Content-Length', str(len(answer)))
	        self.end_headers()
	        self.wfile.write(answer.encode())
	    def log_message(self, *_):
	        pass
	s = http.server.HTTPServer(('127.0.0.1', 0), Handler)
	print(s.server_address[1], flush=True)
	s.serve_forever()
END
python3 server.py > port &
server=$!
until [ -s port ]; do sleep 0.05; done
good=true
ask() { # wanted answer, options of curl
	local want=$1 got
	shift
	got=$(curl -sS --aws-sigv4 aws:amz:eu-west-1:iot -u AKIDEXAMPLE:secret "$@" -d '{}' "http://127.0.0.1:$(cat port)/things")
	printf '%-20s %s\n' "$*" "$got"
	[ "$got" = "$want" ] || good=false
}
echo "$(curl --version | sed -n 's/^\(curl [^ ]*\) .*/\1/p'); expected: nothing is signed that is not sent; seen:"
ask 'signed host x-amz-date; not sent: -'
ask 'signed expect host x-amz-date; not sent: expect' -H 'Expect:'
ask 'signed host x-amz-date x-unit; not sent: -' -H 'X-Unit: SN1'
$good && echo 'as recorded: a header that was taken out is signed' || { echo 'CHANGED: not what was recorded'; exit 1; }
