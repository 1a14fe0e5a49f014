# SPDX-License-Identifier: GPL-2.0-or-later
"""The version, as pyproject.toml has it: a constant, because reading package metadata costs megabytes."""

VERSION = "0.1.0"
