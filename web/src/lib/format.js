// SPDX-License-Identifier: Apache-2.0
// Numbers and times as people read them.

const two = (n) => String(n).padStart(2, '0');

/** 75_000 -> "1:15", 3_675_000 -> "1:01:15". */
export function clock(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const h = Math.floor(s / 3600);
  const m = Math.floor((s % 3600) / 60);

  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}

/** A length of time: "340 ms", "2.4 s", "1:15 min". */
export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return `${clock(ms)} ${ms < 3600000 ? 'min' : 'h'}`;
}

/** How long ago, in one word. */
export function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1000));

  if (s < 60) return 'just now';
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

/** Local date and time; the UTC is in the title. */
export function localTime(iso, { seconds = true, dateIfToday = false } = {}) {
  const d = new Date(iso);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? `:${two(d.getSeconds())}` : ''}`;
  const today = new Date().toDateString() === d.toDateString();

  if (today && !dateIfToday) return time;
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}

export const utcTitle = (iso) => `${iso.replace('T', ' ').replace(/Z$/, '')} UTC`;

export function number(v) {
  if (v === null || v === undefined) return '–';
  return Number.isInteger(v) ? String(v) : String(Number(v.toPrecision(7)));
}

export function bytes(n) {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(n < 10240 ? 1 : 0)} KiB`;
  return `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

/** A share from 0 to 1: "96.3 %". */
export const ratio = (v) => (v === null || v === undefined ? '–' : `${(100 * v).toFixed(1)} %`);

export const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : '–');

/** The first and last characters of an id or digest: enough to distinguish two; the whole is in the title. */
export const shortId = (id) => (id && id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id || '–');

export const isUuid = (s) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(s);
