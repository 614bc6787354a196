// SPDX-License-Identifier: Apache-2.0
// Before the first paint: the theme and the language that were chosen here. Without a choice the system's theme counts,
// and the first language of the browser that there is. Its message file comes along with the modules. The address may say
// both (?theme=dark&language=vi), for a kiosk that has no menu.
(() => {
  const root = document.documentElement;
  const query = new URLSearchParams(location.search);
  const theme = query.get('theme') || localStorage.getItem('provd.theme');
  const languages = ['en', 'de', 'es', 'vi', 'zh'];
  const asked = [query.get('language'), localStorage.getItem('provd.language'), ...navigator.languages.map((l) => l.split('-')[0])];
  const messages = document.createElement('link');

  if (['light', 'dark', 'contrast'].includes(theme)) root.dataset.theme = theme;
  root.lang = asked.find((l) => languages.includes(l)) || 'en';
  messages.rel = 'preload';
  messages.as = 'fetch';
  messages.crossOrigin = 'anonymous';
  messages.href = new URL(`lang/${root.lang}.json`, document.currentScript.src).href;
  document.head.append(messages);
  // A part of the page was not there, since provd restarted, or was upgraded, in the middle: again, until there is a page.
  const again = async () => {
    const there = await fetch('/', { cache: 'no-store' }).then((answer) => answer.ok, () => false);

    if (there) location.reload();
    else setTimeout(again, 3000);
  };
  let waiting = false;
  window.addEventListener('error', () => {
    if (waiting || document.querySelector('#app > :not(.boot)')) return;
    waiting = true;
    setTimeout(again, 3000);
  }, true);
})();
