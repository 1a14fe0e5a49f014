# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract between a module and its readers: binary structures, the manifest, histogram buckets.

Only what both sides must agree on may enter. A change here is a change of the ABI number.
"""
