// SPDX-License-Identifier: Apache-2.0
// How the wall fits its screen: as many cards as there are, of equal height, over the whole room. Where a card would
// be too small to read, the wall scrolls.

export const GAP = 8;
/** The smallest card that holds a state, a unit, a step and its buttons, in em of its own text. */
const CARD = { width: 17.5, height: 8.9 };
const FONT = { least: 10.5, most: 24, scroll: 14.5 };
/** The most that a single card grows to, in em: a few stations do not become posters. */
const MOST_EM = 22;
const SHAPE = 1.7;
const SHAPE_WEIGHT = 0.1;

const clamp = (v, least, most) => Math.min(most, Math.max(least, v));

function cell(n, columns, width, height) {
  const rows = Math.ceil(n / columns);
  const w = (width - GAP * (columns - 1)) / columns;
  const h = (height - GAP * (rows - 1)) / rows;
  const font = Math.min(w / CARD.width, h / CARD.height);
  const holes = (rows * columns - n) / n;
  // Large text first, few empty places next, and among equals the better shape.
  const worth = Math.log(Math.min(font, FONT.most)) - holes - SHAPE_WEIGHT * Math.abs(Math.log(w / h / SHAPE));

  return { columns, height: Math.floor(h), font, worth };
}

/** {columns, height, font, fits}: of n cards in a room of width by height pixels. */
export function fitWall(n, width, height) {
  const all = Array.from({ length: n }, (_, i) => cell(n, i + 1, width, Math.max(height, 0)));
  const legible = all.filter((c) => c.font >= FONT.least);
  const best = legible.sort((a, b) => b.worth - a.worth)[0];

  if (best) {
    const font = clamp(best.font, FONT.least, FONT.most);
    return { columns: best.columns, height: Math.min(best.height, Math.floor(MOST_EM * font)), font, fits: true };
  }
  const columns = clamp(Math.floor((width + GAP) / (CARD.width * FONT.scroll + GAP)), 1, n || 1);

  return { columns, height: Math.ceil(FONT.scroll * 13), font: FONT.scroll, fits: false };
}
