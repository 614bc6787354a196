#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the modules of the dashboard as far as their words go: strings, templates, and within html`...` text and attributes."""
import re

WORDS = re.compile(r'[A-Za-z]{2,}')


class Reader:
    """Goes through one module. found: (kind, start, end, text, mixed); kind is 'string', 'text' or the attribute's name."""

    def __init__(self, source):
        self.s, self.i, self.found = source, 0, []
        self.code('')

    def code(self, end):
        """Until `end` at this level: '' for the whole file, '}' for a hole."""
        s, depth = self.s, 0
        before = ''
        while self.i < len(s):
            c = s[self.i]
            if c == end and depth == 0:
                self.i += 1
                return
            if s.startswith('//', self.i):
                self.i = s.find('\n', self.i)
            elif s.startswith('/*', self.i):
                self.i = s.find('*/', self.i) + 2
                continue
            elif c in '\'"':
                self.string(c)
                before = c
                continue
            elif c == '`':
                if s.endswith('html', 0, self.i):
                    self.markup()
                else:
                    self.template()
                before = c
                continue
            elif c == '/' and (before in '(,=:[!&|?{};' or before == ''):
                self.regex()
                before = c
                continue
            elif c in '{':
                depth += 1
            elif c in '}':
                depth -= 1
            if not s[self.i].isspace():
                before = s[self.i]
            self.i += 1

    def regex(self):
        s, within = self.s, False
        self.i += 1
        while s[self.i] != '/' or within:
            if s[self.i] == '\\':
                self.i += 1
            elif s[self.i] == '[':
                within = True
            elif s[self.i] == ']':
                within = False
            self.i += 1
        self.i += 1

    def string(self, quote):
        start = self.i
        self.i += 1
        while self.s[self.i] != quote:
            self.i += 2 if self.s[self.i] == '\\' else 1
        self.i += 1
        self.found.append(('string', start, self.i, self.s[start + 1:self.i - 1], False))

    def template(self):
        start = self.i
        self.i += 1
        text, mixed = '', False
        while self.s[self.i] != '`':
            if self.s.startswith('${', self.i):
                self.i += 2
                self.code('}')
                text, mixed = text + '\0', True
            else:
                text += self.s[self.i]
                self.i += 1
        self.i += 1
        self.found.append(('template', start, self.i, text, mixed))

    def markup(self):
        s = self.s
        self.i += 1
        tag, text, start, holes = False, '', self.i, False

        def flush(hole_after):
            nonlocal text, start, holes
            if text.strip():
                self.found.append(('text', start, self.i, text, holes or hole_after))
            text, holes = '', False
        while s[self.i] != '`':
            if s.startswith('${', self.i):
                if not tag:
                    flush(True)
                self.i += 2
                self.code('}')
                start, holes = self.i, not tag
            elif not tag and s[self.i] == '<':
                flush(False)
                tag = True
                self.i += 1
            elif tag and s[self.i] == '>':
                tag = False
                self.i += 1
                start = self.i
            elif tag and s[self.i] == '"':
                self.attribute()
            else:
                if not tag:
                    text += s[self.i]
                self.i += 1
        flush(False)
        self.i += 1

    def attribute(self):
        s, start = self.s, self.i
        name = re.search(r'([\w-]+)=$', s[:start])[1]
        self.i += 1
        text, mixed = '', False
        while s[self.i] != '"':
            if s.startswith('${', self.i):
                self.i += 2
                self.code('}')
                text, mixed = text + '\0', True
            else:
                text += s[self.i]
                self.i += 1
        self.i += 1
        self.found.append((name, start, self.i, text, mixed))
