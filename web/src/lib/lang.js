// SPDX-License-Identifier: Apache-2.0
// The words of the page, from one message file of lang/: theme.js has chosen which, before the first paint. They are
// there before any module that imports this one goes on, so that also a table at the top of a module has them. Another
// language is another load of the page.

/** As theme.js knows them. */
export const LANGUAGES = { en: 'English', de: 'Deutsch', es: 'Español', vi: 'Tiếng Việt', zh: '中文' };

const KEPT = 'provd.language';

export const language = document.documentElement.lang;

/** With the region that the browser asks for: 'en-GB' writes another date than 'en-US'. */
export const locale = navigator.languages.find((l) => l.split('-')[0] === language) || language;

const messages = await fetch(new URL(`../lang/${language}.json`, import.meta.url)).then((answer) => answer.json());
const plural = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);

/** A message is a text, or a text for each plural form of `n`. */
function message(key, args) {
  const m = messages[key] ?? key;

  return typeof m === 'string' ? m : (m[plural.select(args.n)] ?? m.other);
}

const shown = (v) => (typeof v === 'number' ? numbers.format(v) : v);

/** The message, with its {placeholders} filled in. */
export const t = (key, args = {}) => message(key, args).replace(/\{(\w+)\}/g, (whole, name) => shown(args[name] ?? whole));

/** The same for a page: a placeholder may be an element. */
export const tx = (key, args) => message(key, args).split(/\{(\w+)\}/).map((part, i) => (i % 2 ? shown(args[part]) : part));

export function chooseLanguage(code) {
  localStorage.setItem(KEPT, code);
  location.reload();
}
