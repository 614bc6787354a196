// SPDX-License-Identifier: Apache-2.0
// What can be said of a page by looking at it: names of controls, ids, headings, contrast, width. The functions
// run inside the page and return a list of complaints.

/** Controls without a name, ids that occur twice, references that lead nowhere, headings. */
export function auditNames() {
  const found = [];
  const visible = (el) => el.getClientRects().length > 0;
  const text = (id) => document.getElementById(id)?.textContent.trim();
  const nameOf = (el) =>
    el.getAttribute('aria-label')?.trim() ||
    (el.getAttribute('aria-labelledby') || '').split(/\s+/).map(text).join('') ||
    [...(el.labels || [])].map((l) => l.textContent.trim()).join('') ||
    (el.matches('button, a') && el.textContent.trim());
  const tell = (what, el) => found.push(`${what}: ${el.outerHTML.slice(0, 120)}`);

  for (const el of document.querySelectorAll('button, a[href], input, select, textarea, [role=progressbar]'))
    if (visible(el) && !nameOf(el)) tell('no name', el);
  for (const el of document.querySelectorAll('[aria-describedby], [aria-labelledby]'))
    for (const a of ['aria-describedby', 'aria-labelledby'])
      for (const id of (el.getAttribute(a) || '').split(/\s+/).filter(Boolean))
        if (!document.getElementById(id)) tell(`${a} leads nowhere`, el);
  const ids = [...document.querySelectorAll('[id]')].map((el) => el.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) found.push(`id twice: ${id}`);
  if (document.querySelectorAll('h1').length !== 1) found.push(`${document.querySelectorAll('h1').length} h1 on the page`);
  if (!document.documentElement.lang) found.push('the page has no language');
  if (!document.querySelector('main')) found.push('the page has no main');
  for (const svg of document.querySelectorAll('svg:not([aria-hidden])')) tell('an icon is not hidden', svg);
  return found;
}

/** Text whose contrast with its background is below WCAG 2.1 AA (1.4.3). */
export function auditContrast() {
  const found = new Map();
  const parse = (c) => {
    const m = /rgba?\(([^)]+)\)/.exec(c);
    const [r, g, b, a = 1] = m ? m[1].split(/[,/\s]+/).filter(Boolean).map(Number) : [0, 0, 0, 0];
    return { r, g, b, a };
  };
  const over = (top, below) => {
    const mix = (k) => top[k] * top.a + below[k] * (1 - top.a);
    return { r: mix('r'), g: mix('g'), b: mix('b'), a: 1 };
  };
  const light = ({ r, g, b }) => {
    const f = (v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const chain = (el) => (el ? [...chain(el.parentElement), el] : []);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);

  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const el = node.parentElement;
    const style = getComputedStyle(el);
    if (!node.textContent.trim() || !el.getClientRects().length || style.visibility === 'hidden') continue;
    if (el.closest('.hidden, button:disabled, option')) continue;
    let back = { r: 255, g: 255, b: 255, a: 1 };
    let opacity = 1;
    for (const up of chain(el)) {
      const s = getComputedStyle(up);
      back = over(parse(s.backgroundColor), back);
      opacity *= Number(s.opacity);
    }
    if (opacity === 0) continue; // comes with the focus or the pointer
    const colour = parse(style.color);
    const fore = over({ ...colour, a: colour.a * opacity }, back);
    const [hi, lo] = [light(fore), light(back)].sort((a, b) => b - a);
    const ratio = (hi + 0.05) / (lo + 0.05);
    const px = parseFloat(style.fontSize);
    const large = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) found.set(`${el.className}${style.color}`, `${ratio.toFixed(2)}: "${node.textContent.trim().slice(0, 40)}" <${el.tagName.toLowerCase()} class="${el.className}">`); // prettier-ignore
  }
  return [...found.values()];
}

/** The colour pairs of every tone, whether or not the page shows it. */
export function auditTones() {
  const tones = ['idle', 'off', 'busy', 'ready', 'run', 'pass', 'fail', 'line', 'hold', 'prompt'];
  const box = document.createElement('div');

  box.id = 'tones';
  box.style.background = 'var(--surface)';
  for (const t of tones) {
    for (const [fg, bg] of [['--fg', '--surface'], ['--fg', '--tint'], ['--fg', '--sunken'], ['--on', '--solid'], ['--text', '--tint'], ['--muted', '--tint']]) {
      const span = document.createElement('span');
      span.className = `tone-${t}`;
      span.textContent = `${t} ${fg} on ${bg}`;
      span.style.color = `var(${fg})`;
      span.style.backgroundColor = `var(${bg})`;
      box.append(span);
    }
  } // prettier-ignore
  document.body.append(box);
}

export function scrollsSideways() {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;

  if (wide <= 0) return [];
  const worst = [...document.querySelectorAll('main *')].filter(
    (el) => el.getBoundingClientRect().right > innerWidth + 1 && !el.closest('.table-box, .log, pre, nav'),
  );
  return [`${wide} px too wide${worst[0] ? `: ${worst[0].outerHTML.slice(0, 120)}` : ''}`];
}

/** On a phone: the page one is on is to be seen in the menu, no name of a fact runs into its value, no row is a tower of words. */
export function auditNarrow() {
  const found = [];
  const current = document.querySelector('nav [aria-current]');
  const box = current?.getBoundingClientRect();
  const menu = current?.closest('nav').getBoundingClientRect();

  if (box && (box.left < menu.left - 1 || box.right > menu.right + 1)) found.push(`the menu hides "${current.textContent}"`);
  for (const dt of document.querySelectorAll('.facts dt'))
    if (dt.scrollWidth > dt.clientWidth + 1) found.push(`"${dt.textContent}" is too wide`);
  for (const td of document.querySelectorAll('.table-box td')) {
    const range = document.createRange();
    range.selectNodeContents(td);
    const text = range.getBoundingClientRect();
    if (text.height > 120 && text.height > 2 * text.width) found.push(`a column of words: "${td.textContent.trim().slice(0, 60)}"`);
  }
  return found;
}

/**
 * Text of the wall that cannot be read whole: cut at its side or by the number of lines without a title that has all of
 * it, or cut through the middle of a line.
 */
export function auditClipped() {
  const found = [];
  const walker = document.createTreeWalker(document.querySelector('.wall'), NodeFilter.SHOW_TEXT);
  const clips = (style) => style.overflowX !== 'visible' || style.overflowY !== 'visible';

  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const el = node.parentElement;
    const card = el.closest('.card');
    const range = document.createRange();
    range.selectNodeContents(node);
    const { left, right, top, bottom, width } = range.getBoundingClientRect();
    const text = { left, right, top, bottom };
    if (!node.textContent.trim() || !width || el.closest('.hidden')) continue;
    const titled = el.closest('[title]');
    const readable = titled && card.contains(titled);
    for (let up = el; up && up !== card.parentElement; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (!clips(style)) continue;
      const box = up.getBoundingClientRect();
      const lines = style.webkitLineClamp !== 'none' || up.matches('.today');
      const wide = text.right > box.right + 1 || text.left < box.left - 1;
      const high = text.bottom > box.bottom + 2 || text.top < box.top - 2;
      if ((wide || (high && lines)) && !readable) found.push(`no title: "${node.textContent.trim()}" in ${up.className}`);
      if (high && !lines) found.push(`cut through: "${node.textContent.trim()}" in ${up.className} of ${card.dataset.station}`);
      // What is not shown here is not cut again further out.
      text.left = Math.max(text.left, box.left);
      text.right = Math.min(text.right, box.right);
      text.top = Math.max(text.top, box.top);
      text.bottom = Math.min(text.bottom, box.bottom);
      if (text.left >= text.right || text.top >= text.bottom) break;
    }
  }
  return [...new Set(found)];
}

/** What keeps a wall from being one screen of equal cards. */
export function auditWall() {
  const found = [];
  const wall = document.querySelector('.wall').getBoundingClientRect();
  const cards = [...document.querySelectorAll('.card')].map((c) => c.getBoundingClientRect());
  const root = document.documentElement;
  const heights = cards.map((c) => c.height);
  const used = (Math.max(...cards.map((c) => c.bottom)) - wall.top) / innerHeight;

  if (root.scrollHeight > root.clientHeight || root.scrollWidth > root.clientWidth)
    found.push(`it scrolls: ${root.scrollWidth}x${root.scrollHeight}`);
  if (Math.max(...heights) - Math.min(...heights) > 1) found.push('the cards are not of equal height');
  if (cards.some((c) => c.bottom > innerHeight || c.right > innerWidth)) found.push('a card is outside');
  if (used < 0.85) found.push(`${Math.round(100 * used)} % of the height are used`);
  for (const a of cards)
    for (const b of cards)
      if (a !== b && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
        found.push('two cards lie over each other');
  return [...new Set(found)];
}
