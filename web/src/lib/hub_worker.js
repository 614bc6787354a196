// SPDX-License-Identifier: Apache-2.0
// The SharedWorker of lib/stream.js: one stream for all tabs, open while one of them has a session.
import { Hub } from './hub.js';

const ports = new Set();
const hub = new Hub((message) => {
  for (const p of ports) p.postMessage(message);
});

function hello(port) {
  ports.add(port);
  if (hub.live) port.postMessage({ kind: 'open', fresh: false });
  hub.start();
}

function bye(port) {
  ports.delete(port);
  if (!ports.size) hub.stop();
}

self.onconnect = (ev) => {
  const [port] = ev.ports;
  const does = { hello, bye, look: () => hub.look() };

  port.onmessage = ({ data }) => does[data]?.(port);
};
