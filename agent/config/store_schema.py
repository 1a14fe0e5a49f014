# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys about stores of modules: `modules`, `module_keys`, `modules_over_http` and `module_packages`.

modules: [https://modules.example.org/store]
module_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI... builder]
-> StoreSettings(urls=("https://modules.example.org/store",), keys=("ssh-ed25519 AAAA... builder",))
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from agent.config import schema
from agent.config.schema import Reader, SchemaError
from agent.config.settings import StoreSettings
from agent.config.yaml_tree import ConfigDiagnostic, Mapping, Node
from compiler.kernel.release import RELEASE

PUBLIC_KEY = (
    r"(ssh-[a-z0-9-]+|ecdsa-sha2-[a-z0-9-]+|sk-[a-z0-9-]+@openssh\.com) "
    r"[A-Za-z0-9+/]+={0,3}( [^\n]*)?"
)
_SCHEMES = ("https", "http", "file", "docker")
_HINT = "write https://HOST/PATH, file:///PATH, or docker://REGISTRY/NAME"


def fields(reader: Reader) -> dict[str, Callable[[Node], Any]]:
    """The readers of the keys; `gathered` then makes one value of theirs."""
    return {
        "modules": lambda node: reader.items(node, "modules", _url),
        "module_keys": lambda node: reader.items(node, "module_keys", _key),
        "modules_over_http": schema.truth,
        "module_packages": lambda node: reader.table(
            node,
            "module_packages",
            lambda inner: _packaged(inner, reader),
            RELEASE.pattern,
        ),
    }


def gathered(values: dict[str, Any], tree: Mapping, reader: Reader) -> StoreSettings:
    """Take the keys out of `values`."""
    urls = values.pop("modules", ())
    packaged = values.pop("module_packages", {})
    keys = [*values.pop("module_keys", ()), *(key for _, key in packaged.values())]
    found = StoreSettings(
        tuple(dict.fromkeys(urls)),
        tuple(dict.fromkeys(keys)),
        values.pop("modules_over_http", False),
        {release: url for release, (url, _) in packaged.items()},
    )
    plain = [url for url in found.urls if url.startswith("http://")]
    if plain and not found.plain_http:
        why = f"'{plain[0]}' is not encrypted: others see what this host asks for, and can withhold it"
        hint = "write https://, or modules_over_http: true"
        position = tree.entries["modules"].position
        reader.diagnostics.append(ConfigDiagnostic(position, why, hint))
    return found


def _url(node: Node) -> str:
    given = schema.text(node)
    try:
        parts = urlsplit(given)
        is_right = parts.scheme in _SCHEMES and parts.port != 0 and not re.search(r"\s", given)
    except ValueError:  # a port that is no number
        is_right = False
    if not is_right or (parts.scheme == "file") == bool(parts.netloc) or not parts.path.strip("/"):
        raise SchemaError(node.position, f"'{given}' is no address of a store", _HINT)
    if "@" in parts.netloc:
        hint = "skopeo reads its credentials from a file of its own; web servers can know hosts by theirs"
        raise SchemaError(node.position, f"'{given}' has a user in it", hint)
    if parts.query or parts.fragment:
        raise SchemaError(node.position, f"'{given}' must be a folder's address", _HINT)
    return given.rstrip("/")


def _packaged(node: Node, reader: Reader) -> tuple[str, str]:
    """A store on this machine, and the key that has signed it."""
    found = reader.record(node, "module_packages", {"store": _url, "key": _key})
    if found.keys() != {"store", "key"}:
        raise SchemaError(node.position, "a package of modules needs 'store' and 'key'")
    if not found["store"].startswith("file://"):
        raise SchemaError(node.position, "a package's store must be file:///PATH", _HINT)
    return found["store"], found["key"]


_key = schema.matching(
    PUBLIC_KEY, "a public SSH key", "copy the line of its .pub file: ssh-ed25519 AAAA... comment"
)
