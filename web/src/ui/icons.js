// SPDX-License-Identifier: Apache-2.0
// Drawn for 24 x 24, in the colour of the text around them.
import { html } from '../lib/html.js';

const SHAPES = {
  socket: ['M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z', 'M9.5 10.5v3', 'M14.5 10.5v3'],
  plug: ['M9 3v5', 'M15 3v5', 'M6 8h12v3a6 6 0 0 1-12 0z', 'M12 17v4'],
  hourglass: ['M7 3h10', 'M7 21h10', 'M8 3v3.5L16 17v4', 'M16 3v3.5L8 17v4'],
  play: ['M7 4.5v15l12-7.5z'],
  pause: ['M8 5v14', 'M16 5v14'],
  stop: ['M6 6h12v12H6z'],
  check: ['M4.5 12.5l5 5 10-11'],
  cross: ['M6 6l12 12', 'M18 6L6 18'],
  triangle: ['M12 3.5L22 20.5H2z', 'M12 10v4.5', 'M12 17.4v.1'],
  shield: ['M12 3l8 3v6c0 4.5-3.4 7.8-8 9-4.6-1.2-8-4.5-8-9V6z', 'M12 8v4.5', 'M12 15.9v.1'],
  hand: ['M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z', 'M9.6 9.4a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.2.9-1.2 1.8', 'M12 16.6v.1'],
  bolt: ['M13 2.5L5 13.5h6l-1 8 8-11h-6z'],
  skip: ['M5 12h12', 'M12.5 7l5 5-5 5'],
  power: ['M12 3v8', 'M6.8 6.8a7.5 7.5 0 1 0 10.4 0'],
  pencil: ['M4 20l1-4L16.5 4.5l3 3L8 19z'],
  search: ['M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z', 'M15.5 15.5L20.5 20.5'],
  sliders: ['M4 7h9', 'M19 7h1', 'M4 17h1', 'M11 17h9', 'M16 4v6', 'M8 14v6'],
  screen: ['M3 5h18v12H3z', 'M8.5 21h7', 'M12 17v4'],
  help: ['M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z', 'M9.6 9.4a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.2.9-1.2 1.8', 'M12 16.6v.1'],
  exit: ['M10 4H5v16h5', 'M14 8l4 4-4 4', 'M18 12H9'],
  print: ['M7 9V3h10v6', 'M7 18H4v-8h16v8h-3', 'M7 14.5h10V21H7z'],
  copy: ['M9 9h11v11H9z', 'M5 15H4V4h11v1'],
  plus: ['M12 5v14', 'M5 12h14'],
  link: ['M10 14l4-4', 'M8.5 11L6 13.5a3.2 3.2 0 0 0 4.5 4.5L13 15.5', 'M15.5 13L18 10.5A3.2 3.2 0 0 0 13.500 6L11 8.500'],
}; // prettier-ignore

/** Decoration: the word next to it says the same. */
export function Icon({ name }) {
  return html`<svg class="icon icon-${name}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    ${(SHAPES[name] || SHAPES.triangle).map((d) => html`<path d=${d} />`)}
  </svg>`;
}
