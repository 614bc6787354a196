// SPDX-License-Identifier: Apache-2.0
// Numbers and times as people read them, in the language of the page and the region of the browser. Hours are those of
// the line: 0 to 23 everywhere, as in the records.
import { locale, t } from './lang.js';

const two = (n) => String(n).padStart(2, '0');
const numeric = (options) => {
  const f = new Intl.NumberFormat(locale, options);

  return (v) => f.format(v);
};
const times = (options) => {
  const f = new Intl.DateTimeFormat(locale, { hourCycle: 'h23', ...options });

  return (d) => f.format(d);
};

/** 75_000 -> "1:15", 3_675_000 -> "1:01:15". */
export function clock(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);

  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

const milliseconds = numeric({ style: 'unit', unit: 'millisecond', maximumFractionDigits: 0 });
const seconds = numeric({ style: 'unit', unit: 'second', minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A length of time: "340 ms", "2.4 sec", "1:15 min". */
export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return milliseconds(ms);
  if (ms < 60000) return seconds(ms / 1000);
  return t(ms < 3600000 ? 'clock_min' : 'clock_h', { clock: clock(ms) });
}

const past = new Intl.RelativeTimeFormat(locale, { style: 'short' });

/** How long ago. */
export function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1000));

  if (s < 60) return t('just_now');
  if (s < 3600) return past.format(-Math.floor(s / 60), 'minute');
  if (s < 86400) return past.format(-Math.floor(s / 3600), 'hour');
  return past.format(-Math.floor(s / 86400), 'day');
}

const HOUR = { hour: '2-digit', minute: '2-digit' };
const DATE = { month: '2-digit', day: '2-digit' };

export const hourAndMinute = times(HOUR);
export const dayAndMonth = times(DATE);
const wholeTime = times({ ...HOUR, second: '2-digit' });
const wholeDate = times({ ...HOUR, ...DATE, year: 'numeric', second: '2-digit' });

/** Local date and time; the UTC is in the title. */
export function localTime(iso, { dateIfToday = false } = {}) {
  const d = new Date(iso);
  const today = new Date().toDateString() === d.toDateString();

  return today && !dateIfToday ? wholeTime(d) : wholeDate(d);
}

export const utcTitle = (iso) => `${iso.replace('T', ' ').replace(/Z$/, '')} UTC`;

const whole = numeric({ maximumFractionDigits: 0 });
const measured = numeric({ maximumSignificantDigits: 7 });

export function number(v) {
  if (v === null || v === undefined) return '–';
  return Number.isInteger(v) ? whole(v) : measured(v);
}

export const fixed2 = numeric({ minimumFractionDigits: 2, maximumFractionDigits: 2 });

const sizes = ['byte', 'kilobyte', 'megabyte', 'gigabyte'].map((unit) => numeric({ style: 'unit', unit, maximumSignificantDigits: 3 }));

/** A size: "340 byte", "12.4 kB". */
export function bytes(n) {
  let v = n;
  let i = 0;

  for (; v >= 1000 && i < sizes.length - 1; i++) v /= 1000;
  return sizes[i](v);
}

/** Of a link: "480 Mb/s"; Intl has no such unit. */
export const megabits = (v) => `${number(v)} Mb/s`;

const share = numeric({ style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });
export const wholePercent = numeric({ style: 'percent', maximumFractionDigits: 0 });

/** A share from 0 to 1: "96.3%". */
export const ratio = (v) => (v === null || v === undefined ? '–' : share(v));

export const percent = (part, of) => (of > 0 ? share(part / of) : '–');

/** The first and last characters of an id or digest: enough to distinguish two; the whole is in the title. */
export const shortId = (id) => (id && id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id || '–');
