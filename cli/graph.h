/* SPDX-License-Identifier: Apache-2.0
 *
 * A recipe as a picture: its phases from top to bottom, parts and loops as frames around their steps, what cannot be
 * undone marked by a word and a double border, so that it is read in black and white too. The same recipe makes the same bytes.
 */
#pragma once

#include "base/strbuf.h"
#include "daemon/recipe/recipe.h"

/* An SVG 1.1 document of its own: no script, no font and no picture of elsewhere. Any text of the recipe is escaped. */
void graph_svg(const struct recipe *r, struct strbuf *out);
/* The same as an outline for a terminal. */
void graph_text(const struct recipe *r, struct strbuf *out);
