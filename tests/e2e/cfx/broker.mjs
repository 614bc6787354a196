// SPDX-License-Identifier: Apache-2.0
// node broker.mjs MODULES PORT [CERTIFICATE KEY]: a peer that does what real brokers do rarely (rhea). Each line of stdin changes how it is: {credit:
// 0, verdict: {MESSAGE: 'reject' | 'release' | 'modify' | 'none'}, slow: MS, max: BYTES, refuse: ADDRESS, password: TEXT, mute: true}. Prints
// {listening: PORT}, and {address, name, id, verdict} for each message that comes.

import { createRequire } from 'node:module';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';
import tls from 'node:tls';

const [modules, port, cert, key] = process.argv.slice(2);
const rhea = createRequire(path.join(modules, 'x.js'))('rhea');
const print = (o) => process.stdout.write(JSON.stringify(o) + '\n');
const container = rhea.create_container();
const how = { credit: 100, verdict: {}, slow: 0, max: 0, refuse: '' };
const receivers = new Set();

container.sasl_server_mechanisms.enable_anonymous();
container.sasl_server_mechanisms.enable_plain((user, password) => password === how.password);
container.on('disconnected', () => {});
container.on('connection_error', () => {});
container.on('protocol_error', () => {});
container.on('receiver_open', ({ receiver }) => {
  const address = receiver.target.address;

  print({ open: address });
  if (how.refuse === address) {
    receiver.close({ condition: 'amqp:not-found', description: 'there is no ' + address });
    return;
  }
  receivers.add(receiver);
  if (how.credit) receiver.add_credit(how.credit);
});
container.on('receiver_close', ({ receiver }) => receivers.delete(receiver));
container.on('message', ({ message, delivery, receiver }) => {
  const name = message.application_properties['cfx-message'];
  const verdict = how.verdict[name] || 'accept';

  print({ address: receiver.target.address, name, id: message.message_id, verdict });
  setTimeout(() => end(verdict, delivery, receiver), how.slow);
});

function end(verdict, delivery, receiver) {
  receiver.add_credit(1);
  if (verdict === 'accept') delivery.accept();
  else if (verdict === 'reject') delivery.reject({ condition: 'amqp:not-allowed', description: 'not this one' });
  else if (verdict === 'release') delivery.release();
  else if (verdict === 'modify') delivery.modified({ delivery_failed: true, undeliverable_here: false });
}
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const change = JSON.parse(line);

  Object.assign(how, change);
  if (change.credit) for (const r of receivers) r.add_credit(change.credit);
  print({ how: change });
});

const serve = (socket) => {
  const options = {
    receiver_options: { credit_window: 0, autoaccept: false, ...(how.max ? { max_message_size: how.max } : {}) },
  };
  const connection = container.create_connection(options);

  // What it hears it never answers.
  if (how.mute) return;
  connection.accept(socket);
};
const server = cert ? tls.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, serve) : net.createServer(serve);
server.on('tlsClientError', () => {});
server.listen(Number(port), '127.0.0.1', () => print({ listening: server.address().port }));
