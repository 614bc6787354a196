// SPDX-License-Identifier: Apache-2.0
// What the line looks like now. The stream (lib/stream.js) is there before the list is read, so that no change falls
// between; a frame that is newer than the list stays. A page that hears nothing says so: link is 'lost', its clocks
// stop, and heardAt is the time of which it shows the line.
import { get, hooks, serverNow } from './api.js';
import { SILENCE_MS } from './hub.js';
import { useEffect, useState } from './html.js';
import { t } from './lang.js';
import { isGood, stationLook } from './state.js';
import { openStream } from './stream.js';

const RETRY_MS = 1000;
const LOOK_MS = 250;
const KEPT_EVENTS = 200;

const state = {
  /** @type {null | {id: string, name: string, role: string}} */
  session: null,
  /** connecting, live or lost */
  link: 'connecting',
  /** @type {Map<string, object>} in the order of the configuration */
  stations: new Map(),
  stationsKnown: false,
  /** Newest first. */
  events: [],
  lastSeq: 0,
  /** The server's time when something was heard last. */
  heardAt: 0,
};

/** topic -> functions: 'stations', 'station:ID', 'link', 'session', 'events'. */
const topics = new Map();
const eventListeners = new Set();
/** run -> functions */
const logListeners = new Map();
const notices = new Set();
const stale = new Set();
let frame = 0;
let stream = null;
let watching = 0;
let retryTimer = 0;
let heard = 0;
let sinceOpen = null;

function flush() {
  const topicsNow = [...stale];

  frame = 0;
  stale.clear();
  for (const t of topicsNow) for (const f of [...(topics.get(t) || [])]) f();
}

/** Watchers are called once per frame, however much came; without frames (a hidden tab) by a timer. */
function touch(topic) {
  stale.add(topic);
  if (frame) return;
  frame = document.hidden ? setTimeout(flush, 100) : requestAnimationFrame(flush);
}

export function watch(topic, f) {
  if (!topics.has(topic)) topics.set(topic, new Set());
  topics.get(topic).add(f);
  return () => topics.get(topic).delete(f);
}

/** Renders again when the topic changes; read() gives the value. */
export function useTopic(topic, read) {
  const [, again] = useState(0);

  useEffect(() => watch(topic, () => again((n) => n + 1)), [topic]);
  return read(state);
}

/** Called with each durable event, and with {type: 'caught-up'} when the stream works again after a gap. */
export function onEvent(f) {
  eventListeners.add(f);
  return () => eventListeners.delete(f);
}

/** Called with {lines, left_out} as a run that goes on is logged. */
export function onRunLog(run, f) {
  if (!logListeners.has(run)) logListeners.set(run, new Set());
  logListeners.get(run).add(f);
  return () => {
    logListeners.get(run)?.delete(f);
    if (!logListeners.get(run)?.size) logListeners.delete(run);
  };
}

/** Called with (text, urgent) for what should be said aloud. */
export function onNotice(f) {
  notices.add(f);
  return () => notices.delete(f);
}

function say(text, urgent) {
  for (const f of notices) f(text, urgent);
}

function sayChange(was, now) {
  const before = was && stationLook(was);
  const after = stationLook(now);
  const name = t('station_name', { id: now.id });

  if (!was || before.word === after.word) return;
  if (now.prompt) say(t('station_asks', { station: name, text: now.prompt.text }), true);
  else if (now.state === 'done' && now.last && !isGood(now.last.outcome))
    say(`${name}: ${after.word}. ${now.last.code} ${t('in_step', { step: now.last.step })}. ${now.last.message}`, true);
  else if (after.calls) say(`${name}: ${after.word}. ${now.message || ''}`, true);
}

function putStation(view) {
  const was = state.stations.get(view.id);

  state.stations.set(view.id, view);
  sayChange(was, view);
  touch(`station:${view.id}`);
  touch('stations');
}

function setLink(link) {
  if (state.link === link) return;
  state.link = link;
  touch('link');
}

async function readStations() {
  const { items } = await get('/stations');
  const fresh = sinceOpen || new Map();
  const known = state.stationsKnown;

  sinceOpen = null;
  for (const id of [...state.stations.keys()]) if (!items.some((v) => v.id === id)) state.stations.delete(id);
  // The order of the list, whatever came first.
  const all = items.map((v) => {
    const newer = fresh.get(v.id);
    return newer && newer.revision > v.revision ? newer : v;
  });
  const before = state.stations;
  state.stations = new Map();
  for (const v of all) {
    state.stations.set(v.id, v);
    if (known) sayChange(before.get(v.id), v);
    touch(`station:${v.id}`);
  }
  state.stationsKnown = true;
  touch('stations');
}

function onFrame({ type, text, seq }) {
  let data;

  try {
    data = JSON.parse(text);
  } catch {
    return;
  }
  if (type === 'station') {
    sinceOpen?.set(data.id, data);
    putStation(data);
    return;
  }
  if (type === 'run-log') {
    for (const f of [...(logListeners.get(data.run) || [])]) f(data);
    return;
  }
  if (seq <= state.lastSeq) return; // another tab went on before it knew what we know
  state.lastSeq = seq;
  // The list of events and the live ones name the job and the run differently.
  const e = { ...data, seq, job: data.job ?? data.job_id, run: data.run ?? data.run_id };
  state.events = [e, ...state.events].slice(0, KEPT_EVENTS);
  touch('events');
  for (const f of [...eventListeners]) f(e);
}

/** The stream is there: what is shown is made true again, then followed. */
async function catchUp() {
  clearTimeout(retryTimer);
  sinceOpen = new Map();
  try {
    await readStations();
  } catch {
    if (stream) retryTimer = setTimeout(catchUp, RETRY_MS);
    return;
  }
  if (!stream || performance.now() - heard > SILENCE_MS) return;
  setLink('live');
  for (const f of [...eventListeners]) f({ type: 'caught-up', data: {} });
}

function deliver(message) {
  if (!stream) return;
  if (message.kind === 'lost') {
    setLink('lost');
    return;
  }
  if (message.kind === 'over') {
    hooks.unauthorized();
    return;
  }
  heard = performance.now();
  state.heardAt = serverNow();
  if (message.kind === 'open') {
    if (message.fresh) state.lastSeq = 0;
    catchUp();
  } else if (message.kind === 'frame') {
    onFrame(message);
  } else if (state.link === 'lost') {
    catchUp(); // heard again after a silence that ended by itself
  }
}

/** Also where the tab or worker that has the stream hangs or is gone: each page sees for itself that nothing comes. */
function look() {
  if (performance.now() - heard <= SILENCE_MS) return;
  if (state.link === 'live') setLink('lost');
  stream?.look();
}

function connect() {
  if (stream || !state.session) return;
  heard = performance.now();
  state.heardAt = serverNow();
  stream = openStream(deliver, () => state.lastSeq);
  watching = setInterval(look, LOOK_MS);
  document.addEventListener('visibilitychange', look);
}

function disconnect() {
  clearTimeout(retryTimer);
  clearInterval(watching);
  document.removeEventListener('visibilitychange', look);
  stream?.close();
  stream = null;
  state.link = 'connecting';
  state.stations = new Map();
  state.stationsKnown = false;
  state.events = [];
  state.lastSeq = 0;
  for (const t of ['link', 'stations', 'events']) touch(t);
}

export function setSession(s) {
  state.session = s;
  if (s) connect();
  else disconnect();
  touch('session');
}

hooks.unauthorized = () => setSession(null);

export const useSession = () => useTopic('session', (s) => s.session);
export const useLink = () => useTopic('link', (s) => s.link);
export const useStation = (id) => useTopic(`station:${id}`, (s) => s.stations.get(id));
export const useStations = () => useTopic('stations', (s) => s.stations);
export const useStationsKnown = () => useTopic('stations', (s) => s.stationsKnown);
export const useEvents = () => useTopic('events', (s) => s.events);
export const snapshot = () => state;

/** The time for which the page shows the line: it stops while nothing is heard. */
export const lineNow = () => (state.link === 'lost' ? state.heardAt : serverNow());
