# SPDX-License-Identifier: GPL-2.0-or-later
"""The version. A test compares it with pyproject.toml."""

VERSION = "0.1.0"
