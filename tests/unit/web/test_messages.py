#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The words of the dashboard: all in the message files, in every language, with the same placeholders.

    test_messages.py WEB
"""
import glob
import json
import os
import re
import sys
import unittest

from literals import Reader

LANGUAGES = ('en', 'de', 'es', 'vi', 'zh')
# CLDR: the plural forms of whole numbers that occur in a factory.
FORMS = {'en': {'one', 'other'}, 'de': {'one', 'other'}, 'es': {'one', 'other'}, 'vi': {'other'}, 'zh': {'other'}}
USE = re.compile(r"(?<![\w.])tx?\(\s*((?:[^()']*\?\s*)?'\w+'(?:\s*:\s*'\w+')?)")
KEY = re.compile(r"'(\w+)'")
# Attributes that a person reads or hears.
READ = ('label', 'title', 'aria-label', 'placeholder', 'help', 'what', 'ask', 'text', 'above', 'aria-valuetext', 'alt')
# What is the same in every language: names, commands, units, keys of the keyboard, HTTP.
SAME = {
    'provd', 'PEM', 'JSON', 'CSV', 'Cpk', 'Cp', 'Ppk', 'Pp', 'pvd_…', 'tls', 'provd.yaml', '/etc/provd/stations.d/',
    'GET /api/v1/events', 'ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Enter', 'Home', 'End', 'Home End', 'Escape',
    'Tab', 'Date', 'Content-Type', 'Idempotency-Key', 'If-Match', 'English', 'Deutsch', 'Español', 'Tiếng Việt',
}
COMMAND = re.compile(r'provctl [\w ]+')
# Strings that are no sentence: fonts, selectors, classes.
CODE = re.compile(r'.*(sans-serif|[.#\[]\w+[ ,]).*|[a-z-]+( [a-z-]+)*-(text|solid|only)')


def modules(web):
    for path in sorted(glob.glob(os.path.join(web, 'src', '**', '*.js'), recursive=True)):
        with open(path, encoding='utf-8') as f:
            yield os.path.relpath(path, web), f.read()


def says_something(kind, text, mixed):
    """Whether a literal is something that a person would read."""
    text = ' '.join(text.replace('\0', ' ').split())
    if text in SAME or COMMAND.fullmatch(text) or not re.search(r'[A-Za-z]{2}', text):
        return False
    if kind == 'text' or kind in READ:
        return bool(re.search(r'[A-Za-z]{3}', text)) and not re.fullmatch(r'(provctl [\w ]*)?', text)
    if kind == 'string':
        return bool(re.match(r'[A-Z] ?[a-z]', text) or re.search(r'[A-Za-z]{2} [a-z]{2}', text)) and not CODE.fullmatch(text)
    return kind == 'template' and bool(re.search(r'[A-Za-z]{3} [a-z]{2}|^[A-Z][a-z]+ ', text)) and not CODE.fullmatch(text)


def texts(message):
    return list(message.values()) if isinstance(message, dict) else [message]


def placeholders(message):
    return [set(re.findall(r'\{\w+\}', t)) for t in texts(message)]


class Messages(unittest.TestCase):
    maxDiff = None
    web = ''

    def setUp(self):
        self.messages = {}
        for name in os.listdir(os.path.join(self.web, 'src', 'lang')):
            with open(os.path.join(self.web, 'src', 'lang', name), encoding='utf-8') as f:
                self.messages[name[:-len('.json')]] = json.load(f)

    def test_the_languages_are_those_that_the_page_offers(self):
        sources = dict(modules(self.web))
        offered = re.search(r'LANGUAGES = \{([^}]*)\}', sources['src/lib/lang.js'])[1]
        early = re.search(r'languages = \[([^\]]*)\]', sources['src/theme.js'])[1]
        self.assertEqual(set(self.messages), set(LANGUAGES))
        self.assertEqual(set(re.findall(r'(\w+):', offered)), set(LANGUAGES))
        self.assertEqual(set(re.findall(r"'(\w+)'", early)), set(LANGUAGES))

    def test_every_key_that_is_used_is_there_and_none_is_left_over(self):
        used = set()
        for _, source in modules(self.web):
            for call in USE.findall(source):
                used |= set(KEY.findall(call))
        self.assertEqual(used - set(self.messages['en']), set(), 'used, and not in en.json')
        self.assertEqual(set(self.messages['en']) - used, set(), 'in en.json, and not used')
        for language in LANGUAGES:
            self.assertEqual(set(self.messages[language]), set(self.messages['en']), language)

    def test_placeholders_are_the_same_in_every_language(self):
        for key, english in self.messages['en'].items():
            want = placeholders(english)[0]
            for language in LANGUAGES:
                for got in placeholders(self.messages[language][key]):
                    self.assertEqual(got, want, '%s: %s' % (language, key))

    def test_a_plural_has_the_forms_of_its_language(self):
        for key, english in self.messages['en'].items():
            for language in LANGUAGES:
                message = self.messages[language][key]
                self.assertEqual(isinstance(message, dict), isinstance(english, dict), '%s: %s' % (language, key))
                if isinstance(message, dict):
                    self.assertEqual(set(message), FORMS[language], '%s: %s' % (language, key))

    def test_a_language_is_not_left_in_english(self):
        """A sentence of four words or more that reads the same was forgotten."""
        for key, english in self.messages['en'].items():
            for language in LANGUAGES[1:]:
                message = self.messages[language][key]
                self.assertTrue(all(t.strip() for t in texts(message)), '%s: %s is empty' % (language, key))
                if len(re.findall(r'[A-Za-z]{2,}', str(english))) >= 4:
                    self.assertNotEqual(message, english, '%s: %s' % (language, key))

    def test_no_page_has_words_of_its_own(self):
        found = []
        for name, source in modules(self.web):
            for kind, start, _, text, mixed in Reader(source).found:
                if says_something(kind, text, mixed):
                    found.append('%s:%d: %s %r' % (name, source.count('\n', 0, start) + 1, kind, text))
        self.assertEqual(found, [])

    def test_words_in_a_page_are_noticed(self):
        for source in ("html`<p>Take the unit out</p>`", "html`<b>${n} units</b>`", "html`<a title=\"All runs\">x</a>`",
                       "say('Take it out')", "say(`Station ${id} asks`)"):
            self.assertTrue(any(says_something(k, text, m) for k, _, _, text, m in Reader(source).found), source)


if __name__ == '__main__':
    Messages.web = os.path.abspath(sys.argv.pop(1))
    unittest.main()
