# SPDX-License-Identifier: GPL-2.0-or-later
"""The stores of a configuration, and what is no address of one."""

from __future__ import annotations

import pytest

from agent.config.load import ConfigError, loads
from agent.config.settings import StoreSettings

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8qLkTtzJ8m1Qy builder@fleet"


def test_stores_and_keys() -> None:
    text = f"modules: [https://a.example/b/, 'docker://r:5000/x', 'file:///srv/s']\nmodule_keys: ['{KEY}']"
    urls = ("https://a.example/b", "docker://r:5000/x", "file:///srv/s")
    assert loads(text).stores == StoreSettings(urls, (KEY,))
    assert loads("").stores == StoreSettings()
    plain = loads("modules: http://a.example/b\nmodules_over_http: true").stores
    assert plain == StoreSettings(("http://a.example/b",), (), True)


def test_packages_of_modules_are_of_one_kernel_each() -> None:
    """Several files of several packages are merged, and an administrator's list is another one."""
    one = f"{{store: 'file:///lib/6.1', key: {KEY}}}"
    text = f"modules: https://a.example/b\nmodule_packages: {{6.1.0-56: {one}}}"
    stores = loads(text).stores
    assert stores.of("6.1.0-56") == stores.all == ("file:///lib/6.1", "https://a.example/b")
    assert stores.of("6.12") == ("https://a.example/b",)
    assert stores.keys == (KEY,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modules: http://a/b", "is not encrypted.*or modules_over_http: true"),
        ("modules: ftp://a/b", "is no address of a store; write https://HOST/PATH"),
        ("modules: file://a/b", "is no address of a store"),
        ("modules: 'file:///'", "is no address of a store"),
        ("modules: https://a", "is no address of a store"),
        ("modules: https://a:x/b", "is no address of a store"),
        ("modules: https://u:p@a/b", "has a user in it"),
        ("modules: https://a/b?c", "must be a folder's address"),
        ("module_packages: {6.1: {store: 'file:///a'}}", "needs 'store' and 'key'"),
        (f"module_packages: {{6.1: {{store: 'https://a/b', key: {KEY}}}}}", "must be file:///PATH"),
        (f"module_packages: {{a/b: {{store: 'file:///a', key: {KEY}}}}}", "'a/b' cannot be a name"),
        ("module_keys: AAAA", "is not a public SSH key; copy the line of its .pub file"),
        ("module_keys: |-\n  ssh-rsa AAAA\n  ssh-rsa BBBB", "is not a public SSH key"),
    ],
)
def test_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loads(text)
