#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The table of actions is made from their rows: sorted, complete, and no row is passed over in silence."""
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
ROW = 'const struct action action_%s = {\n\t.name = "%s",\n\t.flags = 0,\n};\n'


class Table(unittest.TestCase):
    def made(self, *sources):
        with tempfile.TemporaryDirectory() as d:
            paths = []
            for i, text in enumerate(sources):
                paths.append(os.path.join(d, '%d.c' % i))
                with open(paths[-1], 'w') as f:
                    f.write(text)
            out = os.path.join(d, 'out.c')
            p = subprocess.run([os.path.join(ROOT, 'daemon/actions/list-actions'), out, *paths], capture_output=True,
                               text=True)
            if p.returncode:
                self.assertFalse(os.path.exists(out))
                return p.stderr
            with open(out) as f:
                return f.read()

    def test_rows_of_all_files_are_sorted_by_name(self):
        text = self.made(ROW % ('b_x', 'b.x') + ROW % ('a_z', 'a.z'), '', ROW % ('a_b', 'a.b'))
        self.assertEqual([x.strip(' \t&,') for x in text.split('{\n')[1].split('\n')[:4]],
                         ['action_a_b', 'action_a_z', 'action_b_x', 'NULL'])
        self.assertIn('extern const struct action action_a_b;\n', text)

    def test_a_row_that_cannot_be_taken_ends_the_build(self):
        for slip, says in (('static ' + ROW % ('a_b', 'a.b'), 'not static'),
                           ('const struct action action_a_b = {.name = "a.b"};\n', 'next line'),
                           (ROW % ('a_c', 'a.b'), 'action_a_b was expected'),
                           (ROW % ('a_b', 'a.b') + ROW % ('a_b', 'a.b'), 'another row of a.b')):
            self.assertIn(says, self.made(slip), slip)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
