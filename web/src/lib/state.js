// SPDX-License-Identifier: Apache-2.0
// What a station, run, job, unit or recipe can be: its word, its icon and its tone. Never the tone alone.

/** tone: a name of style/tokens.css; calls: a person has to come. */
const STATION = {
  empty: { word: 'Empty', icon: 'socket', tone: 'idle' },
  settling: { word: 'Settling', icon: 'hourglass', tone: 'busy' },
  ready: { word: 'Ready', icon: 'plug', tone: 'ready' },
  running: { word: 'Running', icon: 'play', tone: 'run' },
  done: { word: 'Done', icon: 'check', tone: 'idle' },
  fault: { word: 'Fault', icon: 'triangle', tone: 'line', calls: true },
  quarantined: { word: 'Quarantined', icon: 'shield', tone: 'hold', calls: true },
  disabled: { word: 'Disabled', icon: 'power', tone: 'off' },
};

export const OUTCOME = {
  passed: { word: 'Passed', icon: 'check', tone: 'pass' },
  provisioned: { word: 'Provisioned', icon: 'hourglass', tone: 'prompt' },
  failed: { word: 'Failed', icon: 'cross', tone: 'fail' },
  error: { word: 'Error', icon: 'triangle', tone: 'line' },
  aborted: { word: 'Aborted', icon: 'hand', tone: 'off' },
  interrupted: { word: 'Interrupted', icon: 'bolt', tone: 'line' },
  skipped: { word: 'Skipped', icon: 'skip', tone: 'idle' },
  deferred: { word: 'Deferred', icon: 'hourglass', tone: 'prompt' },
  open: { word: 'Running', icon: 'play', tone: 'run' },
};

export const JOB = {
  queued: { word: 'Queued', icon: 'hourglass', tone: 'idle' },
  running: { word: 'Running', icon: 'play', tone: 'run' },
  paused: { word: 'Paused', icon: 'pause', tone: 'prompt' },
  stopping: { word: 'Stopping', icon: 'hourglass', tone: 'busy' },
  done: { word: 'Done', icon: 'check', tone: 'pass' },
  aborted: { word: 'Aborted', icon: 'hand', tone: 'off' },
  cancelled: { word: 'Cancelled', icon: 'cross', tone: 'off' },
};

export const UNIT = {
  new: { word: 'New', icon: 'socket', tone: 'idle' },
  provisioned: OUTCOME.provisioned,
  passed: OUTCOME.passed,
  failed: OUTCOME.failed,
  suspect: { word: 'Suspect', icon: 'triangle', tone: 'hold' },
  scrapped: { word: 'Scrapped', icon: 'cross', tone: 'off' },
};

/** A value of a pool, also as a gap of it. */
export const VALUE = {
  free: { word: 'Free', icon: 'socket', tone: 'idle' },
  reserved: { word: 'In work', icon: 'play', tone: 'run' },
  committed: { word: 'On a unit', icon: 'check', tone: 'pass' },
  void: { word: 'Void', icon: 'cross', tone: 'off' },
  skipped: { word: 'Passed over', icon: 'skip', tone: 'idle' },
};

/** An act that cannot be undone, by its journal. */
export const ACT = {
  intent: { word: 'Open', icon: 'hourglass', tone: 'hold' },
  committed: { word: 'Done', icon: 'check', tone: 'pass' },
  void: { word: 'Not done', icon: 'skip', tone: 'off' },
  suspect: { word: 'Not known', icon: 'triangle', tone: 'hold' },
};

/** The first-pass yield of a station against that of all others. */
export const STATION_VERDICT = {
  'like-others': { word: 'Like the others', icon: 'check', tone: 'pass' },
  better: { word: 'Better', icon: 'check', tone: 'busy' },
  worse: { word: 'Worse', icon: 'triangle', tone: 'hold' },
};

/** A certificate: on record before it is signed, and what became of it. */
export const CERTIFICATE = {
  ordered: { word: 'Ordered', icon: 'hourglass', tone: 'hold' },
  issued: { word: 'Issued', icon: 'check', tone: 'run' },
  delivered: { word: 'On the unit', icon: 'check', tone: 'pass' },
  void: { word: 'Void', icon: 'cross', tone: 'off' },
};

export const RECIPE = {
  draft: { word: 'Draft', icon: 'pencil', tone: 'prompt' },
  approved: { word: 'Approved', icon: 'check', tone: 'pass' },
  retired: { word: 'Retired', icon: 'power', tone: 'off' },
};

export const VERDICT = {
  pass: { word: 'Pass', icon: 'check', tone: 'pass' },
  marginal: { word: 'Marginal', icon: 'triangle', tone: 'prompt' },
  fail: { word: 'Fail', icon: 'cross', tone: 'fail' },
};

const UNKNOWN = { word: 'Unknown', icon: 'triangle', tone: 'idle' };

export const lookUp = (table, key) => table[key] || { ...UNKNOWN, word: key || UNKNOWN.word };

/** The unit is good: what a service is told later does not concern the line. */
export const isGood = (outcome) => outcome === 'passed' || outcome === 'provisioned';

/** A unit that did not pass is still in its station: a person takes it out, or runs it again. */
const waitsForHand = (view) => view.state === 'done' && Boolean(view.last) && !isGood(view.last.outcome);

/** What keeps a station from taking one more unit, or will soon. */
export const INTERLOCK = {
  near: { word: 'Soon due', icon: 'hourglass', tone: 'prompt' },
  due: { word: 'Due', icon: 'shield', tone: 'hold' },
  released: { word: 'Released', icon: 'hand', tone: 'off' },
};

export const INTERLOCK_NAME = {
  golden: 'Golden unit',
  contacts: 'Contacts',
  calibration: 'Calibration',
  yield: 'Yield',
};

/** No unit is taken until a person comes. */
const isLocked = (view) =>
  ['empty', 'ready'].includes(view.state) && view.interlocks.some((i) => i.state === 'due' && i.blocks);

/** A station as people see it: one that waits for an answer says so, one that is done says how it ended. */
export function stationLook(view) {
  if (view.prompt) return { word: 'Needs an answer', icon: 'hand', tone: 'prompt', calls: true };
  if (isLocked(view)) return { word: 'Interlock', icon: 'shield', tone: 'hold', calls: true };
  if (view.state === 'done' && view.last)
    return { ...lookUp(OUTCOME, view.last.outcome), calls: waitsForHand(view) };
  return lookUp(STATION, view.state);
}

/** What a station waits for, the most urgent first: each is of one group. The wall counts, filters and sorts by it. */
export const GROUPS = [
  { key: 'fault', word: 'Fault', icon: 'triangle', tone: 'line', of: (v) => v.state === 'fault' },
  { key: 'held', word: 'Held', icon: 'shield', tone: 'hold', of: (v) => v.state === 'quarantined' || isLocked(v) },
  { key: 'hand', word: 'Failed, take out', icon: 'cross', tone: 'fail', of: waitsForHand },
  { key: 'ask', word: 'Questions', icon: 'hand', tone: 'prompt', of: (v) => Boolean(v.prompt) },
  { key: 'run', word: 'Running', icon: 'play', tone: 'run', of: (v) => v.state === 'running' || v.state === 'settling' },
  { key: 'passed', word: 'Passed', icon: 'check', tone: 'pass', of: (v) => v.state === 'done' },
  { key: 'ready', word: 'Ready', icon: 'plug', tone: 'ready', of: (v) => v.state === 'ready' },
  { key: 'empty', word: 'Free', icon: 'socket', tone: 'idle', of: (v) => v.state === 'empty' },
  { key: 'off', word: 'Disabled', icon: 'power', tone: 'off', of: () => true },
]; // prettier-ignore

export const groupOf = (view) => GROUPS.findIndex((g) => g.of(view));

/** The most urgent first; within a group the order of the configuration. */
export const byUrgency = (views) => [...views].sort((a, b) => groupOf(a) - groupOf(b));

/** What the roles may do; the server decides, this only hides what it would refuse. */
const MAY = {
  operate: ['operator', 'supervisor', 'engineer', 'admin'],
  order: ['supervisor', 'engineer', 'mes', 'admin'],
  release: ['supervisor', 'engineer', 'admin'],
  write: ['engineer', 'admin'],
};

export const may = (session, what) => Boolean(session && MAY[what].includes(session.role));

/** verb -> [label, icon, right, whether to ask first]. */
export const STATION_ACTIONS = {
  start: { label: 'Run', icon: 'play', right: 'operate' },
  abort: { label: 'Abort', icon: 'stop', right: 'operate', ask: 'The run under way ends as aborted.' },
  clear: { label: 'Clear', icon: 'check', right: 'release' },
  enable: { label: 'Enable', icon: 'power', right: 'operate' },
  disable: { label: 'Disable', icon: 'power', right: 'operate' },
};

const FITS = {
  empty: ['disable'],
  settling: ['disable'],
  ready: ['start', 'disable'],
  running: ['abort', 'disable'],
  done: ['start', 'disable'],
  fault: ['clear', 'disable'],
  quarantined: ['clear', 'disable'],
  disabled: ['enable'],
};

export function stationActions(view, session) {
  const verbs = [...(FITS[view.state] || [])];

  if (view.state === 'empty' && view.manual) verbs.unshift('start');
  return verbs.filter((v) => may(session, STATION_ACTIONS[v].right));
}

export const JOB_ACTIONS = {
  pause: { label: 'Pause', icon: 'pause', from: ['queued', 'running'] },
  resume: { label: 'Resume', icon: 'play', from: ['paused'] },
  stop: {
    label: 'Stop',
    icon: 'stop',
    from: ['running', 'paused'],
    ask: 'The units under way are finished, then the job is done. It cannot be resumed.',
  },
  abort: {
    label: 'Abort',
    icon: 'cross',
    from: ['running', 'stopping'],
    ask: 'The runs of this job end at once, as aborted.',
  },
  cancel: { label: 'Cancel', icon: 'cross', from: ['queued', 'paused'], ask: 'The job will not be carried out.' },
};

export const jobActions = (job) => Object.keys(JOB_ACTIONS).filter((v) => JOB_ACTIONS[v].from.includes(job.state));
