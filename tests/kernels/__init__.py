# SPDX-License-Identifier: GPL-2.0-or-later
"""`make kernels`: the tests that need a kernel, on each of the lab's kernels."""
