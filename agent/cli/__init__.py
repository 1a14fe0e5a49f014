# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line. Each subcommand is one module, listed in `main.COMMANDS`.

A subcommand's module adds its parser, parses its options into a frozen record once, and runs. What
it does beyond printing belongs to the rooms below. No other room imports this one.
"""
