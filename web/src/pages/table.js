// SPDX-License-Identifier: Apache-2.0
// Which page an address shows. The server knows the same paths: api/routes_web.c.
import { html } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { Empty, PageHead } from '../ui/parts.js';
import { Events } from './events.js';
import { Job } from './job.js';
import { JobNew } from './job_new.js';
import { Jobs } from './jobs.js';
import { Measurement } from './measurement.js';
import { Pool, Pools } from './pools.js';
import { Ports } from './ports.js';
import { Quality } from './quality.js';
import { Recall } from './recall.js';
import { RecipePage } from './recipe.js';
import { Recipes } from './recipes.js';
import { Report } from './report.js';
import { Run } from './run.js';
import { Runs } from './runs.js';
import { Shift } from './shift.js';
import { StationPage } from './station.js';
import { Unit } from './unit.js';
import { Units } from './units.js';
import { Wall } from './wall.js';

export const PAGES = [
  ['/', Wall],
  ['/stations/{id}', StationPage],
  ['/jobs', Jobs],
  ['/jobs/new', JobNew],
  ['/jobs/{id}', Job],
  ['/runs', Runs],
  ['/runs/{id}', Run],
  ['/runs/{id}/report', Report],
  ['/units', Units],
  ['/units/{serial}', Unit],
  ['/pools', Pools],
  ['/pools/{id}', Pool],
  ['/recipes', Recipes],
  ['/recipes/{name}/{version}', RecipePage],
  ['/shift', Shift],
  ['/quality', Quality],
  ['/quality/measurement', Measurement],
  ['/recall', Recall],
  ['/ports', Ports],
  ['/events', Events],
];

export function NotFound() {
  return html`
    <${PageHead} title=${t('no_such_page')} />
    <${Empty} title=${t('there_is_nothing_at_this_address')}>
      <p>${tx('go_to_wall', { wall: html`<a href="/">${t('station_wall')}</a>`, key: html`<kbd>/</kbd>` })}</p>
    <//>
  `;
}
