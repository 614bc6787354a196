// SPDX-License-Identifier: Apache-2.0
// The one event stream of a browser. It runs in a SharedWorker or in the tab that leads (lib/stream.js), and knows
// no page: what comes goes to say(). A stream that ends or falls silent is opened again after the last event.
//
//   say({kind: 'open', fresh})    it is there (again): read what may have been missed; fresh: the numbers begin again
//   say({kind: 'frame', type, text, seq})
//   say({kind: 'beat'})           provd lives
//   say({kind: 'lost'})           it does not, or is out of reach
//   say({kind: 'over'})           the session has ended

const API = '/api/v1';
const KINDS = [
  'station', 'run-log', 'run-attached', 'run-started', 'run-finished', 'step-started', 'step-finished',
  'unit-identified', 'unit-changed', 'job-created', 'job-changed', 'job-held', 'job-released', 'job-expired', 'job-unit', 'route-checked', 'prompt-opened', 'prompt-closed', 'recipe-drafted',
  'recipe-approved', 'recipe-retired', 'artifact-added', 'artifact-named', 'artifact-deleted', 'pool-created', 'pool-extended', 'pool-advanced', 'pool-low',
  'serial-reserved', 'serial-exposed', 'serial-committed', 'serial-released', 'serial-skipped', 'serial-voided',
  'identity-leased', 'intent-recorded', 'intent-settled', 'run-completed',
  'certificate-ordered', 'certificate-issued', 'certificate-delivered', 'certificate-void',
  'outbox-done', 'outbox-refused', 'outbox-retried', 'outbox-voided', 'plant-session', 'plant-refused', 'webhook-dead', 'webhook-disabled', 'webhook-test',
  'interlock-due', 'interlock-released', 'fixture-serviced', 'fixture-calibrated', 'golden-unit-unknown', 'station-held', 'station-freed',
  'chain-head', 'records-checkpoint', 'records-archived', 'records-accepted', 'clock-jumped', 'clock-accepted',
  'page-sums-begun', 'tls-certificate',
]; // prettier-ignore

/** provd says something at least once a second; a silence of this long is an end. */
export const SILENCE_MS = 2600;
const RETRY_MS = 1000;
const LOOK_MS = 500;

export class Hub {
  #say;
  #source = null;
  #heardAt = 0;
  #seq = 0;
  #fresh = false;
  #trying = false;
  #retry = 0;
  #watch = 0;
  live = false;

  constructor(say) {
    this.#say = say;
  }

  get running() {
    return this.#watch !== 0;
  }

  /** seq: of the last event that is known, 0 for none. */
  start(seq = 0) {
    if (this.running) return;
    this.#seq = seq;
    this.#watch = setInterval(() => this.look(), LOOK_MS);
    if (seq) this.#again();
    else this.#open();
  }

  stop() {
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#watch = 0;
    this.#close();
  }

  /** Whether provd is still heard. Also called by pages, since the timers of a hidden tab are slow. */
  look() {
    if (this.running && this.#source && performance.now() - this.#heardAt > SILENCE_MS) this.#lose();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
    this.live = false;
  }

  #heard(seq) {
    this.#heardAt = performance.now();
    if (seq > this.#seq) this.#seq = seq;
  }

  #open() {
    const source = new EventSource(`${API}/events?log=true&heartbeat=true${this.#seq ? `&after=${this.#seq}` : ''}`);
    const mine = (f) => (ev) => this.#source === source && f(ev);

    this.#source = source;
    this.#heardAt = performance.now();
    source.onopen = mine(() => {
      this.#heard(0);
      this.live = true;
      this.#say({ kind: 'open', fresh: this.#fresh });
      this.#fresh = false;
    });
    source.onerror = mine(() => this.#lose());
    source.addEventListener('heartbeat', mine((ev) => {
      this.#heard(JSON.parse(ev.data).seq);
      this.#say({ kind: 'beat' });
    })); // prettier-ignore
    // We were behind, and views were left out.
    source.addEventListener('resync', mine(() => this.#say({ kind: 'open', fresh: false })));
    for (const type of KINDS)
      source.addEventListener(type, mine((ev) => {
        this.#heard(Number(ev.lastEventId) || 0);
        this.#say({ kind: 'frame', type, text: ev.data, seq: Number(ev.lastEventId) || 0 });
      })); // prettier-ignore
  }

  #lose() {
    this.#close();
    this.#say({ kind: 'lost' });
    this.#later();
  }

  #later() {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#again(), RETRY_MS);
  }

  /** An EventSource does not say why it was refused: another request does, and whether our place is still there. */
  async #again() {
    if (this.#trying || this.#source || !this.running) return;
    this.#trying = true;
    const path = this.#seq ? `/events?after=${this.#seq - 1}&limit=1` : '/session';
    let status = 0;
    let body = {};

    try {
      const answer = await fetch(API + path, { cache: 'no-store', signal: AbortSignal.timeout(SILENCE_MS) });

      status = answer.status;
      body = await answer.json();
    } catch {
      // out of reach, or something else answers there
    }
    this.#trying = false;
    if (!this.running || this.#source) return;
    if (status === 401) {
      this.stop();
      this.#say({ kind: 'over' });
      return;
    }
    if (status !== 200 && status !== 410) {
      this.#later();
      return;
    }
    // Pruned, or other records than those that we came from.
    if (this.#seq && body.items?.[0]?.seq !== this.#seq) {
      this.#seq = 0;
      this.#fresh = true;
    }
    this.#open();
  }
}
