// SPDX-License-Identifier: Apache-2.0
// What a person chooses for this browser: language, theme, sound, the verdict over the whole screen.
import { choose as keep, chosen } from '../lib/choices.js';
import { html, useState } from '../lib/html.js';
import { chooseLanguage, language, LANGUAGES, t } from '../lib/lang.js';
import { allowSound, callTones } from '../lib/sound.js';
import { Dialog } from './confirm.js';

const THEME = 'provd.theme';

/** '' is that of the system. */
const THEMES = { '': t('theme_of_the_system'), light: t('light'), dark: t('dark'), contrast: t('high_contrast') };

function chooseTheme(name) {
  const root = document.documentElement;

  if (name) {
    root.dataset.theme = name;
    localStorage.setItem(THEME, name);
  } else {
    delete root.dataset.theme;
    localStorage.removeItem(THEME);
  }
}

/** To dark where it is light, else to light. */
export function flipTheme() {
  const chosen = document.documentElement.dataset.theme;
  const dark = chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;

  chooseTheme(dark ? 'light' : 'dark');
}

function Choice({ label, value, choices, choose }) {
  return html`<label class="field">
    <span>${label}</span>
    <select value=${value} onChange=${(ev) => choose(ev.target.value)}>
      ${Object.entries(choices).map(([k, word]) => html`<option key=${k} value=${k} selected=${k === value}>${word}</option>`)}
    </select>
  </label>`;
}

function Switch({ name, label, help, done }) {
  const [on, set] = useState(chosen(name));
  const flip = (ev) => {
    keep(name, ev.target.checked);
    set(ev.target.checked);
    done?.(ev.target.checked);
  };

  return html`<div class="field">
    <label class="check"><input type="checkbox" checked=${on} onChange=${flip} aria-describedby="switch-${name}" />${label}</label>
    <p class="field-help" id="switch-${name}">${help}</p>
  </div>`;
}

/** The click that turns it on is the one that lets the page be heard. */
function soundTurned(on) {
  if (!on) return;
  allowSound();
  callTones();
}

/** Each language by its own name. */
export const LanguageChoice = () =>
  html`<${Choice} label=${t('language')} value=${language} choices=${LANGUAGES} choose=${chooseLanguage} />`;

export function Settings({ onClose }) {
  const [theme, set] = useState(document.documentElement.dataset.theme || '');
  const choose = (name) => {
    chooseTheme(name);
    set(name);
  };

  return html`<${Dialog} title=${t('settings')} onClose=${onClose}>
    <${LanguageChoice} />
    <${Choice} label=${t('theme')} value=${theme} choices=${THEMES} choose=${choose} />
    <${Switch} name="sound" label=${t('sound')} help=${t('sound_help')} done=${soundTurned} />
    <${Switch} name="verdict" label=${t('verdict_screen')} help=${t('verdict_help')} />
    <form method="dialog"><p class="buttons"><button class="primary">${t('close')}</button></p></form>
  <//>`;
}
