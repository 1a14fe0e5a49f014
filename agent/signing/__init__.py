# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that sign modules for kernels which load signed ones only: Secure Boot, lockdown, module.sig_enforce.

Who loads a module signs it, in memory and at that moment. So the private key is root's alone, no compiler
and no agent without privileges sees it, and what lies in caches and stores is the same with a key and
without one.
"""
