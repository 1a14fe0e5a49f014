# SPDX-License-Identifier: GPL-2.0-or-later
"""One script: compiling it, its loaded module and its log; for the service and for `run`.

This room knows the compiler's protocol and the kernel's modules. It knows neither the set of scripts
(`daemon`) nor the terminal (`session`).
"""
