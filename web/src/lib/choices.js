// SPDX-License-Identifier: Apache-2.0
// What is chosen for this browser by yes or no. A kiosk has no menu: there the address says it,
// /?kiosk&sound&verdict&station=A1#token=...
const query = new URLSearchParams(location.search);

/** A screen that nobody operates: no menu, no buttons, and it comes back from everything by itself. */
export const kiosk = query.has('kiosk');

/** The one station that a kiosk shows, '' for the wall. */
export const kioskStation = kiosk ? query.get('station') || '' : '';

const keyOf = (name) => `provd.${name}`;

/** name: sound, verdict or tiles. */
export const chosen = (name) => (kiosk ? query.has(name) : localStorage.getItem(keyOf(name)) === 'on');

export const choose = (name, on) => localStorage.setItem(keyOf(name), on ? 'on' : 'off');
