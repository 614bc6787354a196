// SPDX-License-Identifier: Apache-2.0
// Before the first paint: the theme and the language that were chosen here. Without a choice the system's theme counts,
// and the first language of the browser that there is. Its message file comes along with the modules.
(() => {
  const root = document.documentElement;
  const theme = localStorage.getItem('provd.theme');
  const languages = ['en', 'de', 'es', 'vi', 'zh'];
  const asked = [localStorage.getItem('provd.language'), ...navigator.languages.map((l) => l.split('-')[0])];
  const messages = document.createElement('link');

  if (['light', 'dark', 'contrast'].includes(theme)) root.dataset.theme = theme;
  root.lang = asked.find((l) => languages.includes(l)) || 'en';
  messages.rel = 'preload';
  messages.as = 'fetch';
  messages.crossOrigin = 'anonymous';
  messages.href = new URL(`lang/${root.lang}.json`, document.currentScript.src).href;
  document.head.append(messages);
})();
