// SPDX-License-Identifier: Apache-2.0
// How the wall fits its screen: as many cards as there are, of equal height, over the whole room. Where a card would
// be too small to read, the wall scrolls.

export const GAP = 8;
/**
 * {width, height} of the smallest that holds a state, a unit, a step and its buttons (CARD), or a name, a state and a number
 * (TILE), in em of its own text; its sizes of text in px.
 */
export const TILE = { width: 6.6, height: 3.9, least: 12, most: 84, scroll: 15, most_em: 6, scroll_em: 4.2 };
export const CARD = { width: 17.5, height: 8.9, least: 10.5, most: 24, scroll: 14.5, most_em: 22, scroll_em: 13 };
const SHAPE = 1.7;
const SHAPE_WEIGHT = 0.1;

const clamp = (v, least, most) => Math.min(most, Math.max(least, v));

function cell(n, columns, width, height, of) {
  const rows = Math.ceil(n / columns);
  const w = (width - GAP * (columns - 1)) / columns;
  const h = (height - GAP * (rows - 1)) / rows;
  const font = Math.min(w / of.width, h / of.height);
  const holes = (rows * columns - n) / n;
  // Large text first, few empty places next, and among equals the better shape.
  const worth = Math.log(Math.min(font, of.most)) - holes - SHAPE_WEIGHT * Math.abs(Math.log(w / h / SHAPE));

  return { columns, height: Math.floor(h), font, worth };
}

/**
 * {columns, height, font, fits}: of n cards or tiles in a room of width by height pixels. One grows to most_em only: a few
 * stations do not become posters.
 */
export function fitWall(n, width, height, of = CARD) {
  const all = Array.from({ length: n }, (_, i) => cell(n, i + 1, width, Math.max(height, 0), of));
  const legible = all.filter((c) => c.font >= of.least);
  const best = legible.sort((a, b) => b.worth - a.worth)[0];

  if (best) {
    const font = clamp(best.font, of.least, of.most);
    return { columns: best.columns, height: Math.min(best.height, Math.floor(of.most_em * font)), font, fits: true };
  }
  const columns = clamp(Math.floor((width + GAP) / (of.width * of.scroll + GAP)), 1, n || 1);

  return { columns, height: Math.ceil(of.scroll * of.scroll_em), font: of.scroll, fits: false };
}
