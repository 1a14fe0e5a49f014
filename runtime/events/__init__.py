# SPDX-License-Identifier: GPL-2.0-or-later
"""The records that handlers write to the ring, and their text.

Formatting that the kernel leaves to the reader may enter: printf, histograms.
"""
