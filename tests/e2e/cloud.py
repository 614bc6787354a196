# SPDX-License-Identifier: Apache-2.0
"""The virtual cloud of provsim, for tests: sim/cloud/virtual_cloud.py."""
import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'sim', 'cloud'))

from virtual_cloud import HTML, TOKEN, Cloud, Server, certificates, openssl  # noqa: E402,F401
