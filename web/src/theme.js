// SPDX-License-Identifier: Apache-2.0
// Before the first paint: the theme that was chosen here, if any. Without one the system's counts.
(() => {
  const chosen = localStorage.getItem('provd.theme');

  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
