# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler: a script's text to a kernel module. One room for each stage; imports point down.

driver                                   runs the stages for one request; the only room others call
resolve                                  syntax trees to a typed program
probes, transform, codegen               probe points; rewriting programs; programs to C
frontend, analysis, userspace, modbuild  text to syntax trees; facts about programs; ELF files; C to .ko
ir, kernel, regex                        the two trees and diagnostics; a kernel's types and symbols
support                                  caches, globs, suggestions, the ELF reader

`protocol.py` holds the types that cross the process boundary, and `version.py` the version. Both
import no room, so that the agent can import them.
"""
