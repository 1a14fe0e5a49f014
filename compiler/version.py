# SPDX-License-Identifier: GPL-2.0-or-later
"""The one place that knows the version."""

VERSION = "0.1.0"
