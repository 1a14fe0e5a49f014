# SPDX-License-Identifier: GPL-2.0-or-later
"""The error of this room."""


class SigningError(Exception):
    """Something about a key, a certificate or a signature is wrong; the text says what, and what to do."""
