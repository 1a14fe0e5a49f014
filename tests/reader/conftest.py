# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings for the reader's tests."""

from hypothesis import settings

# how long an example takes says something about the machine, not about the code
settings.register_profile("reader", deadline=None)
settings.load_profile("reader")
