// SPDX-License-Identifier: Apache-2.0
// node endpoint.mjs MODULES PORT [USER PASSWORD ADDRESS]: an endpoint of CFX that answers ValidateUnitsRequest (rhea), as the CFX SDK does:
// RequestID comes back, Source and Target change places. With PORT 0 it listens, else it takes requests from a queue of the broker there and answers to
// their reply-to. Each line of stdin is how it answers: pass, fail, silent, foreign, double, differ, other, text, list, large, unsupported, busy,
// early, reject, drop. Prints {listening: PORT} or {open: true}, and {request, id, correlation, reply, properties} for each that comes.

import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import readline from 'node:readline';

const [modules, port, username, password, address] = process.argv.slice(2);
const rhea = createRequire(path.join(modules, 'x.js'))('rhea');
const print = (o) => process.stdout.write(JSON.stringify(o) + '\n');
const container = rhea.create_container();
const senders = new Map(); // in the listening mode: reply-to -> sender
let how = 'pass';
let before = null; // the answer to the question before

container.sasl_server_mechanisms.enable_anonymous();
for (const event of ['disconnected', 'connection_error', 'protocol_error', 'session_error', 'receiver_error', 'sender_error'])
  container.on(event, () => {});
container.on('sender_open', ({ sender }) => senders.set(sender.target.address, sender));
container.on('receiver_open', ({ receiver }) => print({ open: receiver.source.address || true }));

function response(q, change = {}) {
  const unit = change.unit || q.MessageBody.PrimaryIdentifier;
  const status = change.status || 'Passed';
  const result = { UniqueIdentifier: unit, PositionNumber: 0, Result: status, FailureCode: 0, Message: change.message || 'OK' };

  return {
    MessageName: 'CFX.InformationSystem.UnitValidation.ValidateUnitsResponse',
    Version: '1.7',
    TimeStamp: new Date().toISOString(),
    UniqueID: crypto.randomUUID(),
    Source: q.Target,
    Target: q.Source,
    RequestID: change.of || q.RequestID,
    MessageBody: {
      Result: { Result: change.result || 'Success', ResultCode: 0, Message: change.result ? 'no database' : null },
      PrimaryResult: result,
      ValidationResults: [{ ...result, PositionNumber: 1 }],
    },
  };
}

const answers = {
  pass: (q) => [response(q)],
  fail: (q) => [response(q, { status: 'Failed', message: 'made in hall 3' })],
  silent: () => [],
  foreign: (q) => [response(q, { of: 'REQUEST-of-somebody-else' })],
  double: (q) => [response(q), response(q)],
  differ: (q) => [response(q), response(q, { status: 'Failed', message: 'no' })],
  other: (q) => [response(q, { unit: 'X' + q.MessageBody.PrimaryIdentifier })],
  text: () => ['this is no JSON'],
  list: (q) => [[response(q)]],
  large: () => ['x'.repeat(100000)],
  unsupported: (q) => [{ ...response(q), MessageName: 'CFX.NotSupportedResponse', MessageBody: {} }],
  busy: (q) => [response(q, { result: 'Failed' })],
  early: (q) => (before ? [before, response(q)] : [response(q)]),
};

container.on('message', ({ message, delivery, connection }) => {
  const body = Buffer.from(message.body.content).toString('utf8');
  const q = JSON.parse(body);
  const id = message.message_id;

  print({ request: q, id, correlation: message.correlation_id, reply: message.reply_to, properties: message.application_properties });
  if (how === 'drop') return connection.socket.destroy();
  if (how === 'reject') return delivery.reject({ condition: 'amqp:not-allowed', description: 'not now' });
  delivery.accept();
  for (const a of answers[how](q)) {
    const text = typeof a === 'string' ? a : JSON.stringify(a);
    const m = { to: message.reply_to, body: rhea.message.data_section(Buffer.from(text)), content_type: 'application/json; charset="utf-8"' };

    // AMQPNetLite, which the SDK is made with, copies the message-id.
    m.correlation_id = how === 'foreign' ? 'REQUEST-of-somebody-else' : a === before ? before.RequestID : id;
    send(message.reply_to, m);
  }
  before = response(q, { status: 'Failed', message: 'of the one before' });
});

function send(to, m) {
  const sender = senders.get(to) || container.connections_to_broker.open_sender({ target: { address: to, durable: 2 } });

  senders.set(to, sender);
  if (sender.sendable()) sender.send(m);
  else sender.once('sendable', () => sender.send(m));
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  how = JSON.parse(line).how;
  print({ how });
});

if (port === '0') {
  const server = net.createServer((socket) =>
    container.create_connection({ receiver_options: { autoaccept: false } }).accept(socket),
  );
  server.listen(0, '127.0.0.1', () => print({ listening: server.address().port }));
} else {
  container.connections_to_broker = container.connect({ host: '127.0.0.1', port, username, password });
  container.connections_to_broker.open_receiver({ source: { address, durable: 2 }, autoaccept: false });
}
