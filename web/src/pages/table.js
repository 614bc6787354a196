// SPDX-License-Identifier: Apache-2.0
// Which page an address shows. The server knows the same paths: api/routes_web.c. The wall comes with the first load, any
// other page when it is gone to, so that none of them weighs what all of them do.
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { Empty, PageHead } from '../ui/parts.js';
import { Wall } from './wall.js';

/** {page, load()}: page is null until it is there. */
function lazy(load) {
  const one = {
    page: null,
    load: async () => {
      one.page = await load();
    },
  };

  return one;
}

export const STATION = lazy(() => import('./station.js').then((m) => m.StationPage));
export const WALL = { page: Wall };

export const PAGES = [
  ['/', WALL],
  ['/stations/{id}', STATION],
  ['/shift', lazy(() => import('./shift.js').then((m) => m.Shift))],
  ['/jobs', lazy(() => import('./jobs.js').then((m) => m.Jobs))],
  ['/jobs/new', lazy(() => import('./job_new.js').then((m) => m.JobNew))],
  ['/jobs/{id}', lazy(() => import('./job.js').then((m) => m.Job))],
  ['/runs', lazy(() => import('./runs.js').then((m) => m.Runs))],
  ['/runs/{id}', lazy(() => import('./run.js').then((m) => m.Run))],
  ['/runs/{id}/report', lazy(() => import('./report.js').then((m) => m.Report))],
  ['/units', lazy(() => import('./units.js').then((m) => m.Units))],
  ['/units/{serial}/genealogy', lazy(() => import('./genealogy.js').then((m) => m.Genealogy))],
  ['/archives', lazy(() => import('./archives.js').then((m) => m.Archives))],
  ['/units/{serial}', lazy(() => import('./unit.js').then((m) => m.Unit))],
  ['/pools', lazy(() => import('./pools.js').then((m) => m.Pools))],
  ['/pools/{id}', lazy(() => import('./pools.js').then((m) => m.Pool))],
  ['/webhooks', lazy(() => import('./webhooks.js').then((m) => m.Webhooks))],
  ['/webhooks/{id}', lazy(() => import('./webhooks.js').then((m) => m.Webhook))],
  ['/recipes', lazy(() => import('./recipes.js').then((m) => m.Recipes))],
  ['/recipes/{name}/{version}', lazy(() => import('./recipe.js').then((m) => m.RecipePage))],
  ['/quality', lazy(() => import('./quality.js').then((m) => m.Quality))],
  ['/quality/measurement', lazy(() => import('./measurement.js').then((m) => m.Measurement))],
  ['/recall', lazy(() => import('./recall.js').then((m) => m.Recall))],
  ['/ports', lazy(() => import('./ports.js').then((m) => m.Ports))],
  ['/events', lazy(() => import('./events.js').then((m) => m.Events))],
];

function NotFound() {
  return html`
    <${PageHead} title=${t('no_such_page')} />
    <${Empty} title=${t('there_is_nothing_at_this_address')}>
      <p>${tx('go_to_wall', { wall: html`<a href="/">${t('station_wall')}</a>`, key: html`<kbd>/</kbd>` })}</p>
    <//>
  `;
}

export const NOT_FOUND = { page: NotFound };
