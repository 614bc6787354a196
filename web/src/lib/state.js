// SPDX-License-Identifier: Apache-2.0
// What a station, run, job, unit or recipe can be: its word, its icon and its tone. Never the tone alone.
import { t } from './lang.js';

/** tone: a name of style/tokens.css; calls: a person has to come. */
const STATION = {
  empty: { word: t('empty'), icon: 'socket', tone: 'idle' },
  settling: { word: t('settling'), icon: 'hourglass', tone: 'busy' },
  ready: { word: t('ready'), icon: 'plug', tone: 'ready' },
  running: { word: t('running'), icon: 'play', tone: 'run' },
  done: { word: t('done'), icon: 'check', tone: 'idle' },
  fault: { word: t('fault'), icon: 'triangle', tone: 'line', calls: true },
  quarantined: { word: t('quarantined'), icon: 'shield', tone: 'hold', calls: true },
  disabled: { word: t('disabled'), icon: 'power', tone: 'off' },
};

export const OUTCOME = {
  passed: { word: t('passed'), icon: 'check', tone: 'pass' },
  provisioned: { word: t('provisioned'), icon: 'hourglass', tone: 'prompt' },
  failed: { word: t('failed'), icon: 'cross', tone: 'fail' },
  error: { word: t('error'), icon: 'triangle', tone: 'line' },
  aborted: { word: t('aborted'), icon: 'hand', tone: 'off' },
  interrupted: { word: t('interrupted'), icon: 'bolt', tone: 'line' },
  skipped: { word: t('skipped'), icon: 'skip', tone: 'idle' },
  deferred: { word: t('deferred'), icon: 'hourglass', tone: 'prompt' },
  open: { word: t('running'), icon: 'play', tone: 'run' },
};

export const JOB = {
  queued: { word: t('queued'), icon: 'hourglass', tone: 'idle' },
  running: { word: t('running'), icon: 'play', tone: 'run' },
  paused: { word: t('paused'), icon: 'pause', tone: 'prompt' },
  stopping: { word: t('stopping'), icon: 'hourglass', tone: 'busy' },
  done: { word: t('done'), icon: 'check', tone: 'pass' },
  aborted: { word: t('aborted'), icon: 'hand', tone: 'off' },
  cancelled: { word: t('cancelled'), icon: 'cross', tone: 'off' },
};

const HELD = { word: t('held'), icon: 'shield', tone: 'hold' };
/** An order that ended otherwise than with all units. */
const JOB_ENDING = {
  short: { word: t('job_ended_short'), icon: 'check', tone: 'prompt' },
  stopped: { word: t('job_stopped'), icon: 'stop', tone: 'off' },
  expired: { word: t('job_expired'), icon: 'hourglass', tone: 'off' },
};

export const UNIT = {
  new: { word: t('new'), icon: 'socket', tone: 'idle' },
  provisioned: OUTCOME.provisioned,
  passed: OUTCOME.passed,
  failed: OUTCOME.failed,
  suspect: { word: t('suspect'), icon: 'triangle', tone: 'hold' },
  scrapped: { word: t('scrapped'), icon: 'cross', tone: 'off' },
};

/** A value of a pool, also as a gap of it. */
export const VALUE = {
  free: { word: t('free'), icon: 'socket', tone: 'idle' },
  reserved: { word: t('in_work'), icon: 'play', tone: 'run' },
  committed: { word: t('on_a_unit'), icon: 'check', tone: 'pass' },
  void: { word: t('void'), icon: 'cross', tone: 'off' },
  skipped: { word: t('passed_over'), icon: 'skip', tone: 'idle' },
};

/** An act that cannot be undone, by its journal. */
export const ACT = {
  intent: { word: t('act_open'), icon: 'hourglass', tone: 'hold' },
  committed: { word: t('done'), icon: 'check', tone: 'pass' },
  void: { word: t('not_done'), icon: 'skip', tone: 'off' },
  suspect: { word: t('not_known'), icon: 'triangle', tone: 'hold' },
};

/** The first-pass yield of a station against that of all others. */
export const STATION_VERDICT = {
  'like-others': { word: t('like_the_others'), icon: 'check', tone: 'pass' },
  better: { word: t('better'), icon: 'check', tone: 'busy' },
  worse: { word: t('worse'), icon: 'triangle', tone: 'hold' },
};

/** A certificate: on record before it is signed, and what became of it. */
export const CERTIFICATE = {
  ordered: { word: t('ordered'), icon: 'hourglass', tone: 'hold' },
  issued: { word: t('issued'), icon: 'check', tone: 'run' },
  delivered: { word: t('on_the_unit'), icon: 'check', tone: 'pass' },
  void: { word: t('void'), icon: 'cross', tone: 'off' },
};

export const RECIPE = {
  draft: { word: t('draft'), icon: 'pencil', tone: 'prompt' },
  approved: { word: t('approved'), icon: 'check', tone: 'pass' },
  retired: { word: t('retired'), icon: 'power', tone: 'off' },
};

export const VERDICT = {
  pass: { word: t('pass'), icon: 'check', tone: 'pass' },
  marginal: { word: t('marginal'), icon: 'triangle', tone: 'prompt' },
  fail: { word: t('fail'), icon: 'cross', tone: 'fail' },
};

const UNKNOWN = { word: t('unknown'), icon: 'triangle', tone: 'idle' };

export const lookUp = (table, key) => table[key] || { ...UNKNOWN, word: key || UNKNOWN.word };

/** The unit is good: what a service is told later does not concern the line. */
export const isGood = (outcome) => outcome === 'passed' || outcome === 'provisioned';

/** A unit that did not pass is still in its station: a person takes it out, or runs it again. */
const waitsForHand = (view) => view.state === 'done' && Boolean(view.last) && !isGood(view.last.outcome);

/** What keeps a station from taking one more unit, or will soon. */
export const INTERLOCK = {
  near: { word: t('soon_due'), icon: 'hourglass', tone: 'prompt' },
  due: { word: t('due'), icon: 'shield', tone: 'hold' },
  released: { word: t('released'), icon: 'hand', tone: 'off' },
};

export const INTERLOCK_NAME = {
  golden: t('golden_unit'),
  contacts: t('contacts'),
  calibration: t('calibration'),
  yield: t('yield'),
  wear: t('flash_wear'),
};

/** No unit is taken until a person comes. */
const isLocked = (view) =>
  ['empty', 'ready'].includes(view.state) && view.interlocks.some((i) => i.state === 'due' && i.blocks);

/** A station as people see it: one that waits for an answer says so, one that is done says how it ended. */
export function stationLook(view) {
  if (view.prompt) return { word: t('needs_an_answer'), icon: 'hand', tone: 'prompt', calls: true };
  if (isLocked(view)) return { word: t('interlock'), icon: 'shield', tone: 'hold', calls: true };
  if (view.state === 'done' && view.last)
    return { ...lookUp(OUTCOME, view.last.outcome), calls: waitsForHand(view) };
  return lookUp(STATION, view.state);
}

/** What a station waits for, the most urgent first: each is of one group. The wall counts, filters and sorts by it. */
export const GROUPS = [
  { key: 'fault', word: t('fault'), icon: 'triangle', tone: 'line', of: (v) => v.state === 'fault' },
  { key: 'held', word: t('held'), icon: 'shield', tone: 'hold', of: (v) => v.state === 'quarantined' || isLocked(v) },
  { key: 'hand', word: t('failed_take_out'), icon: 'cross', tone: 'fail', of: waitsForHand },
  { key: 'ask', word: t('questions'), icon: 'hand', tone: 'prompt', of: (v) => Boolean(v.prompt) },
  { key: 'run', word: t('running'), icon: 'play', tone: 'run', of: (v) => v.state === 'running' || v.state === 'settling' },
  { key: 'passed', word: t('passed'), icon: 'check', tone: 'pass', of: (v) => v.state === 'done' },
  { key: 'ready', word: t('ready'), icon: 'plug', tone: 'ready', of: (v) => v.state === 'ready' },
  { key: 'empty', word: t('free'), icon: 'socket', tone: 'idle', of: (v) => v.state === 'empty' },
  { key: 'off', word: t('disabled'), icon: 'power', tone: 'off', of: () => true },
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
  start: { label: t('run_verb'), icon: 'play', right: 'operate' },
  abort: { label: t('abort'), icon: 'stop', right: 'operate', ask: t('the_run_under_way_ends_as_aborted') },
  clear: { label: t('clear'), icon: 'check', right: 'release' },
  enable: { label: t('enable'), icon: 'power', right: 'operate' },
  disable: { label: t('disable'), icon: 'power', right: 'operate' },
};

const FITS = {
  empty: ['disable'],
  settling: ['disable'],
  ready: ['start', 'disable'],
  running: ['abort', 'disable'],
  done: ['start', 'disable'],
  fault: ['clear', 'disable'],
  quarantined: ['start', 'clear', 'disable'],
  disabled: ['enable'],
};

export function stationActions(view, session) {
  const verbs = [...(FITS[view.state] || [])];

  if (view.state === 'empty' && view.manual) verbs.unshift('start');
  return verbs.filter((v) => may(session, STATION_ACTIONS[v].right));
}

const OPEN = ['queued', 'running', 'paused'];
const isBegun = (job) => job.passed + job.failed + job.errors + job.aborted + job.interrupted + job.open > 0;

/** As STATION_ACTIONS; from: in these states, where fits(job) says no more. reason: the API wants one. */
export const JOB_ACTIONS = {
  pause: { label: t('pause'), icon: 'pause', from: ['queued', 'running'] },
  resume: { label: t('resume'), icon: 'play', from: ['paused'] },
  hold: { label: t('hold_verb'), icon: 'shield', from: OPEN, fits: (j) => !j.hold, reason: true, ask: t('hold_asks') },
  release: { label: t('release_order'), icon: 'check', from: OPEN, fits: (j) => Boolean(j.hold) },
  complete: { label: t('complete_verb'), icon: 'check', from: OPEN, reason: true, ask: t('complete_asks') },
  stop: { label: t('stop'), icon: 'stop', from: OPEN, fits: isBegun, final: true, ask: t('the_units_under_way_are_finished_then') },
  abort: {
    label: t('abort'),
    icon: 'cross',
    from: [...OPEN, 'stopping'],
    fits: isBegun,
    final: true,
    ask: t('the_runs_of_this_job_end_at'),
  },
  cancel: {
    label: t('cancel'),
    icon: 'cross',
    from: ['queued', 'paused'],
    fits: (j) => !isBegun(j),
    final: true,
    ask: t('the_job_will_not_be_carried_out'),
  },
};

export const jobActions = (job) =>
  Object.keys(JOB_ACTIONS).filter((v) => JOB_ACTIONS[v].from.includes(job.state) && JOB_ACTIONS[v].fits?.(job) !== false);

/** An order as people see it: what holds it, and how it ended, says more than its state. */
export function jobLook(job) {
  if (job.hold && OPEN.includes(job.state)) return HELD;
  return (job.finished_at && JOB_ENDING[job.ending?.how]) || lookUp(JOB, job.state);
}
