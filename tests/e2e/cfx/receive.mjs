// SPDX-License-Identifier: Apache-2.0
// node receive.mjs MODULES PORT USER PASSWORD ADDRESS: an AMQP 1.0 client that shares nothing with provd (rhea). Prints a line
// of JSON for each message that it takes, and one {open: true} for each time that it is there; comes back by itself.

import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, port, username, password, address] = process.argv.slice(2);
const rhea = createRequire(path.join(modules, 'x.js'))('rhea');
const print = (o) => process.stdout.write(JSON.stringify(o) + '\n');

rhea.on('receiver_open', () => print({ open: true }));
rhea.on('message', ({ message: m }) => {
  print({
    id: m.message_id,
    subject: m.subject,
    reply_to: m.reply_to,
    content_type: m.content_type,
    durable: m.durable,
    created: m.creation_time && m.creation_time.toISOString(),
    properties: m.application_properties,
    body: Buffer.from(m.body.content).toString('utf8'),
  });
});
rhea.on('disconnected', () => {});
rhea.on('connection_error', () => {});
rhea.on('receiver_error', (c) => print({ error: String(c.receiver.error) }));
rhea
  .connect({ host: '127.0.0.1', port, username, password, initial_reconnect_delay: 50, max_reconnect_delay: 200 })
  .open_receiver({ source: { address, durable: 2 }, autoaccept: true });
