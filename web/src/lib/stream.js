// SPDX-License-Identifier: Apache-2.0
// A tab's end of the browser's one event stream. Over HTTP/1.1 a browser has six connections to a host, so that a
// stream for each tab would stop the seventh. In the order of preference:
//
//   SharedWorker                   has the stream
//   Web Locks, BroadcastChannel    the tab that has the lock has the stream and passes on what comes; when it goes,
//                                  the next one that waits for the lock goes on after the last event that it knows
//   neither                        each tab has its own (a browser without SharedWorker, over plain HTTP)
//
// openStream(deliver, seq) gives {look, close}; deliver gets the messages of lib/hub.js; seq() is the last event that
// the tab knows.
import { Hub } from './hub.js';

const NAME = 'provd-stream';

/** The page's policy (Trusted Types) wants to know which script a worker runs: this one only. */
function workerUrl() {
  const url = new URL('./hub_worker.js', import.meta.url).href;

  if (!window.trustedTypes) return url;
  return window.trustedTypes.createPolicy(NAME, { createScriptURL: (s) => s }).createScriptURL(url);
}

let trustedUrl = null;

function byWorker(deliver, failed) {
  trustedUrl ??= workerUrl();
  const worker = new SharedWorker(trustedUrl, { type: 'module', name: NAME });
  const { port } = worker;
  const send = (word) => port.postMessage(word);
  const leave = () => send('bye');
  const back = (ev) => ev.persisted && send('hello');

  worker.onerror = failed;
  port.onmessage = ({ data }) => deliver(data);
  send('hello');
  window.addEventListener('pagehide', leave);
  window.addEventListener('pageshow', back);
  return {
    look: () => send('look'),
    close: () => {
      window.removeEventListener('pagehide', leave);
      window.removeEventListener('pageshow', back);
      leave();
      port.close();
    },
  };
}

function byLeader(deliver, seq) {
  const channel = new BroadcastChannel(NAME);
  const waits = new AbortController();
  let hub = null;
  let release = () => {};

  // The leading tab answers; the messages of a hub are objects, the words of a tab are not.
  channel.onmessage = ({ data }) => {
    if (typeof data === 'object') deliver(data);
    else if (data === 'look') hub?.look();
    else if (data === 'hello' && hub?.live) channel.postMessage({ kind: 'open', fresh: false });
  };
  navigator.locks
    .request(NAME, { signal: waits.signal }, () => {
      hub = new Hub((message) => {
        channel.postMessage(message);
        deliver(message);
      });
      hub.start(seq());
      return new Promise((done) => {
        release = done;
      });
    })
    .catch(() => {}); // closed before its turn came
  channel.postMessage('hello');
  return {
    look: () => (hub ? hub.look() : channel.postMessage('look')),
    close: () => {
      waits.abort();
      hub?.stop();
      release();
      channel.close();
    },
  };
}

function alone(deliver, seq) {
  const hub = new Hub(deliver);

  hub.start(seq());
  return { look: () => hub.look(), close: () => hub.stop() };
}

export function openStream(deliver, seq) {
  const shared = window.BroadcastChannel && navigator.locks ? byLeader : alone;
  let now = null;

  if (!window.SharedWorker) return shared(deliver, seq);
  now = byWorker(deliver, () => {
    now.close();
    now = shared(deliver, seq);
  });
  return { look: () => now.look(), close: () => now.close() };
}
