/* SPDX-License-Identifier: Apache-2.0
 *
 * What a terminal would show of a line: the control sequences of ECMA-48 (colours, cursor, titles)
 * are not part of what a device or a program says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Takes out, in place: CSI (ESC [ parameters final), the strings OSC, DCS, SOS, PM and APC with
 * their terminator (BEL or ESC \), the other escape sequences (ESC intermediates final), and what a
 * backspace takes back. Returns the new length.
 *
 * A sequence that moves the cursor or erases leaves one blank between two words: "1" and "2" with a
 * move between them are not 12. A string without its terminator keeps its text, and a sequence that
 * a foreign byte breaks keeps that byte: a line that was cut never hides a word. */
size_t terminal_strip(char *s, size_t n);
/* Whether it ends within a sequence: what comes next is the rest of that, not text. */
bool terminal_is_cut(const char *s, size_t n);
/* The same as terminal_strip(), and without blanks at the end. */
size_t terminal_plain(char *s, size_t n);
