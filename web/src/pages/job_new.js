// SPDX-License-Identifier: Apache-2.0
// The order form. What the recipe declares decides the fields; the server decides what is right.
import { enc, post, randomKey } from '../lib/api.js';
import { html, useEffect, useRef, useState } from '../lib/html.js';
import { t, tx } from '../lib/lang.js';
import { navigate } from '../lib/router.js';
import { may } from '../lib/state.js';
import { useSession, useStations } from '../lib/store.js';
import { useAction, useResource } from '../lib/use.js';
import { Field, FieldSet, Mistakes, placeErrors } from '../ui/fields.js';
import { Empty, Loaded, Loading, PageHead, Trouble } from '../ui/parts.js';

const EMPTY = { recipe: '', quantity: '1', serials: '', priority: '0', external_ref: '', deadline: '', stations: [], params: {} };

const lines = (text) => text.split(/[\s,;]+/).filter(Boolean);

/** A number where it is one, else the text: the server says what is wrong with it. */
function numberOr(text) {
  const n = Number(text);

  return text.trim() !== '' && Number.isFinite(n) ? n : text;
}

/** Items with commas between them, or a JSON array: what is wrong with one, the server says. */
function listValue(text) {
  try {
    if (text.trim().startsWith('[')) return JSON.parse(text);
  } catch {
    return text;
  }
  return text.split(',').map((item) => item.trim()).filter(Boolean);
}

function listShown(list) {
  return list.some((item) => typeof item === 'object') ? JSON.stringify(list) : list.join(', ');
}

function paramValue(spec, v) {
  if (spec.type === 'bool') return v === true || v === 'true';
  if (spec.type === 'list') return listValue(v);
  if (spec.type === 'integer' || spec.type === 'number') return numberOr(v);
  const choice = (spec.choices || []).find((c) => String(c) === v);
  return choice ?? v;
}

/** The request's body; parameters that were left alone are left to their defaults. */
function orderOf(form, recipe) {
  const body = { recipe: form.recipe, priority: numberOr(form.priority) };
  const declared = recipe?.params || {};
  const params = {};

  if (fromJob(recipe)) body.serials = lines(form.serials);
  else body.quantity = numberOr(form.quantity);
  if (form.stations.length) body.stations = form.stations;
  if (form.external_ref.trim()) body.external_ref = form.external_ref.trim();
  if (form.deadline) body.deadline = new Date(form.deadline).toISOString();
  for (const [name, v] of Object.entries(form.params))
    if (declared[name] && v !== '') params[name] = paramValue(declared[name], v);
  if (Object.keys(params).length) body.params = params;
  return body;
}

const fromJob = (recipe) => recipe?.unit?.serial?.from === 'job';

function ParamControl({ spec, value, set, tie }) {
  const shown = value ?? (spec.default === undefined ? '' : Array.isArray(spec.default) ? listShown(spec.default) : String(spec.default));
  const choices = spec.type === 'list' ? [] : spec.choices || [];
  const options = spec.type === 'bool' ? ['true', 'false'] : choices.map(String);

  if (options.length)
    return html`<select ...${tie} value=${shown} onChange=${(ev) => set(ev.target.value)}>
      ${shown === '' && html`<option value="">${t('choose')}</option>`}
      ${options.map((o) => html`<option key=${o} value=${o} selected=${o === shown}>${o}</option>`)}
    </select>`;
  return html`<input
    ...${tie}
    value=${shown}
    inputmode=${spec.type === 'integer' || spec.type === 'number' ? 'decimal' : undefined}
    spellcheck=${false}
    onInput=${(ev) => set(ev.target.value)}
  />`;
}

function Params({ recipe, form, change, errors }) {
  const declared = Object.entries(recipe?.params || {});

  if (!declared.length) return null;
  return html`<${FieldSet} pointer="/params" label=${t('parameters_of_the_recipe')} errors=${errors}>
    ${declared.map(
      ([name, spec]) =>
        html`<${Field}
          key=${name}
          pointer="/params/${name}"
          label=${spec.title || name}
          help=${[spec.type || 'string', spec.default === undefined && t('needed')].filter(Boolean).join(', ')}
          errors=${errors}
        >
          ${(tie) =>
            html`<${ParamControl} spec=${spec} tie=${tie} value=${form.params[name]}
              set=${(v) => change({ params: { ...form.params, [name]: v } })} />`}
        <//>`,
    )}
  <//>`;
}

function Stations({ form, change, errors }) {
  const stations = [...useStations().values()];
  const flip = (id) =>
    change({ stations: form.stations.includes(id) ? form.stations.filter((s) => s !== id) : [...form.stations, id] });

  if (!stations.length) return null;
  return html`<${FieldSet} pointer="/stations" label=${t('stations')} help=${t('none_chosen_any_station_that_fits_the')} errors=${errors}>
    <div class="checks">
      ${stations.map(
        (s) =>
          html`<label key=${s.id} class="check">
            <input type="checkbox" checked=${form.stations.includes(s.id)} onChange=${() => flip(s.id)} />${s.id}
          </label>`,
      )}
    </div>
  <//>`;
}

function Units({ recipe, form, change, errors }) {
  const serial = recipe?.unit?.serial || {};
  const help = {
    pool: t('serials_from_pool', { pool: serial.pool }),
    scan: t('the_serial_numbers_are_scanned'),
  }[serial.pool ? 'pool' : serial.from];

  if (fromJob(recipe))
    return html`<${Field} pointer="/serials" label=${t('serial_numbers')} errors=${errors}
      help="${t('one_per_line', { n: lines(form.serials).length })} ${serial.pattern ? t('each_must_match', { pattern: serial.pattern }) : ''}">
      ${(tie) =>
        html`<textarea ...${tie} class="mono" rows="8" spellcheck=${false} value=${form.serials}
          onInput=${(ev) => change({ serials: ev.target.value })}></textarea>`}
    <//>`;
  return html`<${Field} pointer="/quantity" label=${t('quantity')} help=${help} errors=${errors}>
    ${(tie) =>
      html`<input ...${tie} inputmode="numeric" value=${form.quantity} onInput=${(ev) => change({ quantity: ev.target.value })} />`}
  <//>`;
}

function Rest({ form, change, errors }) {
  const input = (key, type) => (tie) =>
    html`<input ...${tie} type=${type} value=${form[key]} onInput=${(ev) => change({ [key]: ev.target.value })} />`;

  return html`<div class="field-row">
    <${Field} pointer="/priority" label=${t('priority')} help=${t('higher_goes_first')} errors=${errors}>${input('priority', 'text')}<//>
    <${Field} pointer="/external_ref" label=${t('reference')} help=${t('of_the_mes_optional')} errors=${errors}>
      ${input('external_ref', 'text')}
    <//>
    <${Field} pointer="/deadline" label=${t('deadline')} help=${t('local_time_optional')} errors=${errors}>
      ${input('deadline', 'datetime-local')}
    <//>
  </div>`;
}

function Form({ recipes, first }) {
  const [form, set] = useState({ ...EMPTY, recipe: first });
  const { busy, problem, run } = useAction();
  const key = useRef({ body: '', key: '' });
  const summary = useRef(null);
  const change = (part) => set({ ...form, ...part });
  const [name, version] = form.recipe.split('@');
  const chosen = useResource(form.recipe ? `/recipes/${enc(name)}/versions/${version}` : null);
  const recipe = chosen.data?.recipe;
  const fields = ['/recipe', '/quantity', '/serials', '/priority', '/stations', '/external_ref', '/deadline', '/params',
    ...Object.keys(recipe?.params || {}).map((p) => `/params/${p}`)]; // prettier-ignore
  const errors = placeErrors(problem?.errors || [], fields);
  const submit = async (ev) => {
    const body = orderOf(form, recipe);
    const text = JSON.stringify(body);

    ev.preventDefault();
    // The same order sent twice, after a lost answer say, is one job.
    if (key.current.body !== text) key.current = { body: text, key: randomKey() };
    const job = await run(() => post('/jobs', body, { 'Idempotency-Key': key.current.key }));
    if (job) navigate(`/jobs/${job.id}`);
  };

  useEffect(() => {
    if (problem) summary.current?.focus();
  }, [problem]);
  return html`<form class="order" onSubmit=${submit} novalidate>
    ${problem &&
    html`<div ref=${summary} tabindex="-1">
      <${Trouble} problem=${problem} />
      <${Mistakes} id="form-error" list=${errors.get('')} />
    </div>`}
    <${Field} pointer="/recipe" label=${t('recipe')} errors=${errors}>
      ${(tie) =>
        html`<select ...${tie} value=${form.recipe} onChange=${(ev) => change({ recipe: ev.target.value, params: {} })}>
          ${recipes.map((r) => {
            const ref = `${r.name}@${r.version}`;

            return html`<option key=${ref} value=${ref} selected=${ref === form.recipe}>${ref}</option>`;
          })}
        </select>`}
    <//>
    ${recipe?.title && html`<p class="muted">${recipe.title}</p>`}
    <${Trouble} problem=${chosen.problem} retry=${chosen.reload} />
    <${Units} recipe=${recipe} form=${form} change=${change} errors=${errors} />
    <${Params} recipe=${recipe} form=${form} change=${change} errors=${errors} />
    <${Stations} form=${form} change=${change} errors=${errors} />
    <${Rest} form=${form} change=${change} errors=${errors} />
    <p class="buttons">
      <a class="button" href="/jobs">${t('back')}</a>
      <button type="submit" class="primary" disabled=${busy || !recipe}>${busy ? t('ordering') : t('order_verb')}</button>
    </p>
  </form>`;
}

export function JobNew({ query }) {
  const session = useSession();
  const list = useResource('/recipes?state=approved');
  const recipes = list.data?.items || [];
  const asked = query.get('recipe');

  if (!may(session, 'order'))
    return html`<${PageHead} title=${t('new_job')} /><${Empty} title=${t('your_role_may_not_order_jobs')}>
      <p>${t('sign_in_as_supervisor_engineer_or_administrator')}</p><//>`;
  return html`
    <${PageHead} title=${t('new_job')} />
    <${Loaded} resource=${list}>
      ${() =>
        recipes.length
          ? html`<${Form} recipes=${recipes}
              first=${recipes.some((r) => `${r.name}@${r.version}` === asked) ? asked : `${recipes[0].name}@${recipes[0].version}`} />`
          : html`<${Empty} title=${t('no_recipe_is_approved')}>
              <p>${tx('put_one_then_approve', { command: html`<code>provctl recipe put FILE</code>`, recipes: html`<a href="/recipes">${t('recipes')}</a>` })}</p>
            <//>`}
    <//>
    ${list.loading && html`<${Loading} />`}
  `;
}
