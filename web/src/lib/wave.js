// SPDX-License-Identifier: Apache-2.0
// Numbers out of a file of an instrument: columns of a CSV, or arrays of a JSON.

const number = (cell) => (cell.trim() === '' ? NaN : Number(cell));
const allNumbers = (list) => Array.isArray(list) && list.length > 0 && list.every((v) => typeof v === 'number' && Number.isFinite(v));
const between = (line) => [';', '\t', ','].find((c) => line.includes(c)) || ',';

/** More columns are no curves that somebody tells apart, and a browser draws for minutes. */
const COLUMNS_MAX = 32;

function ofRows(names, rows) {
  const width = rows[0]?.length || 0;

  if (rows.length < 2 || width === 0 || width > COLUMNS_MAX || rows.some((r) => r.length !== width || r.some((v) => !Number.isFinite(v)))) return null;
  return { names, columns: Array.from({ length: width }, (x, i) => rows.map((r) => r[i])) };
}

/** RFC 4180 without quotes, which numbers do not need; lines that begin with # are remarks. */
function ofCsv(text) {
  const lines = text.split(/\r?\n/).filter((l) => l.trim() && !l.startsWith('#'));
  const separator = between(lines[0] || '');
  const cells = lines.map((l) => l.split(separator, COLUMNS_MAX + 1));
  const head = cells[0]?.some((c) => !Number.isFinite(number(c)));

  return ofRows(head ? cells[0].map((c) => c.trim()) : [], (head ? cells.slice(1) : cells).map((r) => r.map(number)));
}

function ofJson(text) {
  const v = JSON.parse(text);

  if (allNumbers(v)) return ofRows([], v.map((y) => [y]));
  if (Array.isArray(v)) return v.every(allNumbers) ? ofRows([], v) : null;
  const columns = Object.entries(v || {}).filter(([, list]) => allNumbers(list));

  if (!columns.length || columns.length > COLUMNS_MAX || columns.some(([, list]) => list.length !== columns[0][1].length)) return null;
  return { names: columns.map(([name]) => name), columns: columns.map(([, list]) => list) };
}

const rises = (list) => list.every((v, i) => i === 0 || v >= list[i - 1]);

/** {x, xName, series: [{name, values}]}: the first column is the axis if its numbers rise. null: the text is not a table of numbers. */
export function readWave(text, media) {
  let table = null;

  try {
    table = media === 'application/json' ? ofJson(text) : ofCsv(text);
  } catch {
    return null;
  }
  if (!table) return null;
  const axis = table.columns.length > 1 && rises(table.columns[0]);
  const from = axis ? 1 : 0;

  return {
    x: axis ? table.columns[0] : table.columns[0].map((v, i) => i),
    xName: (axis && table.names[0]) || '',
    series: table.columns.slice(from).map((values, i) => ({ name: table.names[i + from] || '', values })),
  };
}
