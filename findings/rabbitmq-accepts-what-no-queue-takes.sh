#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RabbitMQ 3.10.8 (Debian 12) with rabbitmq_amqp1_0: a message to the address /amq/queue/NAME is answered `accepted` although there is no
# queue NAME. It is nowhere, and no error of link, session or connection says so.
# Expected: AMQP 1.0, 3.4.2: accepted says that the message was taken over; for an address that is not there the link is
# refused with amqp:not-found (2.6.3), or the message is released or rejected.
# Controls: an exchange that is not there ends the link with amqp:not-found; a queue that is there has what was accepted.
set -u
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/deb/partial" && cd "$tmp" || exit 77
want=(rabbitmq-server=3.10.8-1.1+deb12u1)
if ! { (cd deb && apt-get download -qq "${want[@]}") && apt-get -qq -y --no-install-recommends --allow-downgrades \
	--download-only -o Debug::NoLocking=1 -o Dir::Cache::archives="$tmp/deb" install "${want[@]}"; } > apt 2>&1; then
	cat apt
	exit 77
fi
for d in deb/*.deb; do dpkg -x "$d" x; done
export PATH=$tmp/x/usr/bin:$PATH
# What is installed already is not downloaded.
[ ! -d x/usr/lib/erlang ] || export ERL_ROOTDIR=$tmp/x/usr/lib/erlang
bin=$tmp/x/usr/lib/rabbitmq/bin
[ -x "$bin/rabbitmq-server" ] || bin=/usr/lib/rabbitmq/bin
npm install --prefix "$tmp/js" --no-audit --no-fund --ignore-scripts rhea@3.0.5 > npm 2>&1 || { cat npm; exit 77; }
free() { python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free) epmd=$(free) dist=$(free)
cat > definitions.json <<'JSON'
{"users": [{"name": "me", "password": "secret", "tags": ""}], "vhosts": [{"name": "/"}],
 "permissions": [{"user": "me", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
 "queues": [{"name": "there", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}}]}
JSON
printf 'listeners.tcp.1 = 127.0.0.1:%s\nload_definitions = %s/definitions.json\n' "$port" "$tmp" > rabbitmq.conf
echo '[rabbitmq_amqp1_0].' > plugins
echo cookie4711 > .erlang.cookie && chmod 400 .erlang.cookie
export HOME=$tmp ERL_EPMD_PORT=$epmd ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_NODENAME=finding@localhost RABBITMQ_DIST_PORT=$dist \
	RABBITMQ_MNESIA_BASE=$tmp/mnesia RABBITMQ_LOG_BASE=$tmp/log RABBITMQ_CONFIG_FILE=$tmp/rabbitmq.conf RABBITMQ_PID_FILE=$tmp/pid \
	RABBITMQ_ENABLED_PLUGINS_FILE=$tmp/plugins RABBITMQ_CONF_ENV_FILE=$tmp/none \
	RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
setsid epmd -port "$epmd" -address 127.0.0.1 > /dev/null 2>&1 &
first=$!
setsid "$bin/rabbitmq-server" > out 2>&1 &
second=$!
disown -a
trap 'kill -9 -$first -$second; rm -rf "$tmp"' EXIT
cat > send.cjs <<'JS'
// Sends one message to an address, and prints what became of it.
const rhea = require(process.argv[2] + '/js/node_modules/rhea');
const [, , , port, address] = process.argv;
const done = (text) => { console.log(text); process.exit(0); };
rhea.on('sendable', (c) => c.sender.send({ body: 'x', durable: true }));
for (const end of ['accepted', 'released', 'rejected', 'modified']) rhea.on(end, () => done(end));
for (const what of ['sender', 'session', 'connection'])
  rhea.on(what + '_error', (c) => done(String((c[what].error || {}).condition)));
rhea.connect({ host: '127.0.0.1', port, username: 'me', password: 'secret', reconnect: false }).open_sender(address);
setTimeout(() => done('nothing'), 10000);
JS
for _ in $(seq 300); do
	grep -q 'Starting broker... completed' out && break
	sleep 0.2
done
good=true
send() { # address, wanted
	local said
	said=$(node send.cjs "$tmp" "$port" "$1")
	printf '%-24s %s\n' "$1" "$said"
	[ "$said" = "$2" ] || good=false
}
echo "RabbitMQ 3.10.8, rhea 3.0.5; expected: an error or released for what is not there; seen:"
send /amq/queue/there accepted
send /exchange/nowhere/key amqp:not-found
send /amq/queue/nowhere accepted
queues=$("$bin/rabbitmqctl" -q -n finding@localhost list_queues --no-table-headers name messages 2>&1)
echo "queues and their messages: $queues"
[ "$queues" = $'there\t1' ] || good=false
$good && echo 'as recorded: accepted, and nowhere' || { echo 'CHANGED: not what was recorded'; exit 1; }
