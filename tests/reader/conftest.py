# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings for the reader's tests."""


# how long an example takes says something about the machine, not about the code
