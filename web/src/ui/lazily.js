// SPDX-License-Identifier: Apache-2.0
import { html, useEffect, useState } from '../lib/html.js';
import { Loading } from './parts.js';

/** A part that is loaded when it is first shown. load() gives the component. */
export function lazily(load) {
  let part = null;

  return function Later(props) {
    const [, ready] = useState(false);

    useEffect(() => {
      if (part) return;
      load().then((p) => {
        part = p;
        ready(true);
      });
    }, []);
    return part ? html`<${part} ...${props} />` : html`<${Loading} />`;
  };
}
