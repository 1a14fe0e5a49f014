# SPDX-License-Identifier: GPL-2.0-or-later
"""Basic authentication against bcrypt hashes, which cost 50 ms and more to compare.

    logins = Logins()
    await logins.check("Basic c2NyYXBlcjpzZWNyZXQ=", {"scraper": "$2y$10$..."})  -> True

A password is compared in a thread, one at a time, and the result is remembered: a scraper costs one
comparison. An unknown user costs a comparison as well, so that the time does not tell which users there are.
Wrong passwords are remembered apart from right ones: nobody can push a scraper's out.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache, partial
from hashlib import blake2b
from importlib import import_module
from typing import Any

_REMEMBERED = 100  # passwords of each kind
_MOST_WAITING = 32  # comparisons; more are refused at once, and not remembered
_USED = 72  # bytes of a password; bcrypt looks at no more
_CRYPT_DATA = 32768  # bytes of struct crypt_data
_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")

_OF_NOTHING = b"$2b$04$......................w74bL5gU7LSJClZClCa.Pkz14aTv/XO"  # the hash of ""

Matches = Callable[[bytes, bytes], bool]


def problem() -> str:
    """Why passwords cannot be compared here, or ""."""
    try:
        _matcher()
    except ImportError:
        return "basic_auth_users needs a library for bcrypt; install libcrypt1 or python3-bcrypt"
    return ""


def credentials(header: str) -> tuple[str, bytes] | None:
    """User and password of an Authorization header; None if it is of another kind or malformed."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        name = user.decode()
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None


class Logins:
    """`matches`: for tests; takes password and hash."""

    def __init__(self, matches: Matches | None = None) -> None:
        self._matches = matches
        self._salt = os.urandom(32)  # a dump of the memory gives no password away
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._comparing = asyncio.Lock()
        self._waiting = 0

    async def check(self, header: str, users: Mapping[str, str]) -> bool:
        given = credentials(header)
        if given is None or not users:
            return False
        user, password = given
        # The most expensive hash stands for an unknown user's.
        hashed = users.get(user) or max(users.values(), key=lambda value: value[4:6])
        key = self._key(user.encode(), hashed.encode(), password)
        if (known := self._known(key)) is not None:
            return known
        if self._waiting >= _MOST_WAITING:
            return False
        self._waiting += 1
        try:
            async with self._comparing:
                if (known := self._known(key)) is not None:  # of a request before this one
                    return known
                matches = self._matches or _matcher()
                equal = await asyncio.to_thread(matches, password, hashed.encode())
        finally:
            self._waiting -= 1
        is_right = equal and user in users
        self._remember(self._right if is_right else self._wrong, key)
        return is_right

    def _key(self, *parts: bytes) -> bytes:
        """A changed hash makes another key, so a changed password holds at once."""
        digest = blake2b(key=self._salt, digest_size=32)
        for part in parts:
            digest.update(b"%d:" % len(part) + part)
        return digest.digest()

    def _known(self, key: bytes) -> bool | None:
        for found, answer in ((self._right, True), (self._wrong, False)):
            if key in found:
                found.move_to_end(key)
                return answer
        return None

    def _remember(self, found: OrderedDict[bytes, None], key: bytes) -> None:
        found[key] = None
        if len(found) > _REMEMBERED:
            found.popitem(last=False)


@cache
def _matcher() -> Matches:
    """From libcrypt, which distributions have anyway, or the bcrypt package. Raises ImportError."""
    return _from_libcrypt() or _from_package()


def _from_libcrypt() -> Matches | None:
    import ctypes

    for name in _LIBRARIES:
        try:
            crypt = ctypes.CDLL(name).crypt_rn
        except (OSError, AttributeError):
            continue
        crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int)
        crypt.restype = ctypes.c_char_p
        matches = partial(_crypt_matches, crypt)
        if matches(b"", _OF_NOTHING):  # a C library may be built without bcrypt
            return matches
    return None


def _crypt_matches(crypt: Callable[..., bytes | None], password: bytes, hashed: bytes) -> bool:
    """ctypes gives the interpreter's lock up while the function runs."""
    import ctypes

    if b"\0" in password:
        return False  # C would end it there
    made = crypt(password[:_USED], hashed, ctypes.create_string_buffer(_CRYPT_DATA), _CRYPT_DATA)
    return made is not None and hmac.compare_digest(made, hashed)


def _from_package() -> Matches:
    bcrypt: Any = import_module("bcrypt")

    def matches(password: bytes, hashed: bytes) -> bool:
        if b"\0" in password:
            return False
        return bool(bcrypt.checkpw(password[:_USED], hashed.replace(b"$2y$", b"$2b$", 1)))

    return matches
