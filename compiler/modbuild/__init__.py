# SPDX-License-Identifier: GPL-2.0-or-later
"""From generated C to a kernel module file; see `pipeline`."""
