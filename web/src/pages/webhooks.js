// SPDX-License-Identifier: Apache-2.0
// Webhooks: who is told of events, whether they take them, and what was put aside. Of a secret only its name is known here.
import { enc, post } from '../lib/api.js';
import { number } from '../lib/format.js';
import { html, useState } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { may } from '../lib/state.js';
import { useSession } from '../lib/store.js';
import { usePages, useResource } from '../lib/use.js';
import { ActionButton } from '../ui/confirm.js';
import { Badge, Empty, Facts, Loaded, Loading, More, PageHead, Time, Trouble } from '../ui/parts.js';
import { Table } from '../ui/tables.js';

/** Each event is one for some webhook: what waits changes with it. */
const concerns = () => true;
/** So much is sent in less than a moment. */
const FEW = 50;

const waits = (w) => w.waiting + w.behind;

function hookLook(w) {
  if (!w.enabled) return { word: t('disabled'), icon: 'power', tone: 'off' };
  if (w.failures) return { word: t('does_not_take'), icon: 'triangle', tone: 'line' };
  if (w.dead) return { word: t('put_aside'), icon: 'shield', tone: 'hold' };
  if (waits(w) > FEW) return { word: t('lags_behind'), icon: 'hourglass', tone: 'busy' };
  return { word: t('takes_events'), icon: 'check', tone: 'pass' };
}

const oldest = (w) => (waits(w) && w.oldest_at ? html`<${Time} at=${w.oldest_at} relative />` : '–');
const trouble = (w) => (w.enabled ? w.last_error : w.reason || w.last_error) || '–';

export function Webhooks() {
  const list = useResource('/webhooks', concerns);
  const head = [t('state'), t('receiver'), t('waits'), t('oldest_unsent'), t('put_aside'), t('taken'), t('last_error')];

  return html`
    <${PageHead} title=${t('webhooks')}><p class="muted">${t('who_is_told_of_events_and_what_waits')}</p><//>
    <${Loaded} resource=${list}>
      ${({ items }) =>
        items.length === 0
          ? html`<${Empty} title=${t('there_is_no_webhook')}><p>${tx('an_admin_makes_one_with', { command: html`<code>provctl webhook add</code>` })}</p><//>`
          : html`<${Table} label=${t('webhooks')} head=${head} kind="top">
              ${items.map(
                (w) =>
                  html`<tr key=${w.id}>
                    <td><${Badge} look=${hookLook(w)} /></td>
                    <td><a class="mono" href="/webhooks/${enc(w.id)}">${w.url}</a></td>
                    <td class="num">${number(waits(w))}</td>
                    <td>${oldest(w)}</td>
                    <td class="num">${number(w.dead)}</td>
                    <td class="num">${number(w.done)}</td>
                    <td>${trouble(w)}</td>
                  </tr>`,
              )}
            <//>`}
    <//>
  `;
}

/** Deliveries in one state, the newest first. */
function Deliveries({ id, state, title, about, none, session, onSent }) {
  const list = usePages(`/webhooks/${enc(id)}/deliveries?state=${state}&limit=100`, concerns);
  const again = state === 'dead' && may(session, 'release');
  const head = [t('number'), t('event'), t('tries'), t('last_tried'), t('last_error'), ...(again ? [t('redeliver')] : [])];

  return html`<section>
    <h2>${title}</h2>
    ${about && html`<p class="muted">${about}</p>`}
    <${Trouble} problem=${list.problem} retry=${list.reload} />
    ${list.loading && html`<${Loading} />`}
    ${list.items?.length === 0 && html`<p>${none}</p>`}
    ${list.items?.length > 0 &&
    html`<${Table} label=${title} head=${head} kind="top">
      ${list.items.map(
        (d) =>
          html`<tr key=${d.n}>
            <td class="num">${d.n}</td>
            <td>${d.type || '–'} <span class="muted num">${d.event}</span></td>
            <td class="num">${d.attempts}</td>
            <td>${d.tried_at ? html`<${Time} at=${d.tried_at} />` : '–'}</td>
            <td>${d.message || '–'}${d.answer && html` <q class="muted">${d.answer}</q>`}</td>
            ${again &&
            html`<td>
              <${ActionButton} label=${t('redeliver')} what=${t('send_delivery_again', { n: d.n })}
                act=${() => post(`/webhooks/${enc(id)}/deliveries/${d.n}/actions/redeliver`).then(() => (list.reload(), onSent()))} />
            </td>`}
          </tr>`,
      )}
    <//>`}
    <${More} list=${list} />
  </section>`;
}

const shownSecret = (w) => [w.secret, w.auth].filter(Boolean).map((name, i) => html`${i > 0 && ', '}<code>${name}</code>`);

export function Webhook({ id }) {
  const hook = useResource(`/webhooks/${enc(id)}`, concerns);
  const session = useSession();
  const [sent, setSent] = useState(0);
  const onSent = () => (hook.reload(), setSent((n) => n + 1));

  return html`<${Loaded} resource=${hook}>
    ${(w) => html`
      <${PageHead} above=${t('webhook')} title=${w.url} aside=${html`<${Badge} look=${hookLook(w)} solid large />`} />
      <section class="panel">
        <${Facts}
          rows=${[
            [t('last_error'), trouble(w)],
            [t('waits'), number(waits(w))],
            [t('oldest_unsent'), oldest(w)],
            [t('put_aside'), number(w.dead)],
            [t('taken'), number(w.done)],
            [t('lost_events'), w.lost > 0 && number(w.lost)],
            [t('wants'), w.types.length ? w.types.join(', ') : t('all_events')],
            [t('station'), w.station || w.stations?.join(', ')],
            [t('secret_name'), (w.secret || w.auth) && shownSecret(w)],
          ]}
        />
      </section>
      <${Deliveries} key="dead" id=${id} state="dead" title=${t('what_was_put_aside')} none=${t('nothing_was_put_aside')}
        about=${t('tried_for_so_long_while_others_got_through')} session=${session} onSent=${onSent} />
      <${Deliveries} key="waiting-${sent}" id=${id} state="waiting" title=${t('what_waits')} none=${t('nothing_waits')} session=${session} />
    `}
  <//>`;
}
