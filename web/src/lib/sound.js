// SPDX-License-Identifier: Apache-2.0
// Two tones when a station begins to call a person, where sound was chosen. A browser is silent until someone has
// clicked or pressed a key in the page once; which click does not matter.
import { chosen } from './choices.js';
import { onNotice } from './store.js';

const TONES_HZ = [880, 660];
const TONE_S = 0.22;
const LOUD = 0.25;

let context = null;

/** May be called at any click: from then on the page can be heard. */
export function allowSound() {
  context ??= new AudioContext();
  context.resume();
}

export function callTones() {
  if (context?.state !== 'running') return;
  TONES_HZ.forEach((hz, i) => {
    const tone = new OscillatorNode(context, { frequency: hz });
    const gain = new GainNode(context, { gain: LOUD });
    const at = context.currentTime + i * TONE_S;

    tone.connect(gain).connect(context.destination);
    gain.gain.setTargetAtTime(0, at + TONE_S - 0.06, 0.02);
    tone.start(at);
    tone.stop(at + TONE_S);
  });
}

/** For as long as the page shows. Returns how to stop. */
export function listenForCalls() {
  const allow = () => chosen('sound') && allowSound();
  const stop = onNotice((text, urgent) => urgent && chosen('sound') && callTones());

  allow();
  document.addEventListener('pointerdown', allow);
  document.addEventListener('keydown', allow);
  return () => {
    stop();
    document.removeEventListener('pointerdown', allow);
    document.removeEventListener('keydown', allow);
  };
}
