# SPDX-License-Identifier: GPL-2.0-or-later
"""The wire protocol: encoded values are decoded again, and errors name unexpected members."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from compiler.protocol import (
    Diagnostic,
    Pass,
    ProtocolError,
    Request,
    Response,
    decode_request,
    decode_response,
    encode,
)


def test_requests_come_through() -> None:
    request = Request(
        "x",
        text="probe begin { println(\"\udcff\") }",
        args=("a", "1"),
        globals={"n": 3, "s": "text"},
        statistics={"s": {"kind": "bounds", "bounds": [1, 2]}},
        kernel={"root": "/", "release": "6.1"},
    )  # fmt: skip
    line = encode(request)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode_request(line) == request


def test_responses_come_through() -> None:
    warning = Diagnostic("unused", "'x' is never read", "x.stp", 1, 8, text="warning[unused]: ...")
    done = Pass(1, "parsed", 0.25, 0.0, 1, "and 2 library scripts")
    response = Response(True, "sw_x", "/out/sw_x.ko", "1a2b", passes=(done,), warnings=(warning,))
    assert decode_response(encode(response)) == response
    failed = Response(False, errors=(Diagnostic("syntax", "no", hint="yes"),))
    assert decode_response(encode(failed)) == failed


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "a compile request must be an object"),
        ({"text": "x"}, "a compile request is missing 1 required positional argument: 'name'"),
        ({"name": "x"}, "a compile request needs 'source' or 'text'"),
        ({"name": "x", "text": "", "txt": 1, "late": 2}, "unknown in a compile request: late, txt"),
        ({"name": 3, "text": ""}, "'name' in a compile request must be a str, not 3"),
        ({"name": "x", "text": "", "guru": 1}, "'guru' in a compile request must be a bool, not 1"),
        ({"name": "x", "text": "", "last_pass": True}, "must be a int, not True"),
        ({"name": "x", "text": "", "args": "a"}, "'args' in a compile request must be a tuple"),
        ({"name": "x", "text": "", "args": [1]}, "'args' in a compile request must hold text only"),
    ],
)
def test_bad_requests_name_the_field(tree: Any, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_request(json.dumps(tree))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"ok": False}, "a compile response has neither a module nor an error"),
        ({"ok": True, "novelty": 1}, "unknown in a compile response: novelty"),
        ({"ok": True, "passes": [{"number": 1}]}, "'passes' is missing 5 required"),
        ({"ok": True, "warnings": [{"slug": "a", "message": "b", "colour": "c"}]},
         "unknown in 'warnings': colour"),
    ],
)  # fmt: skip
def test_bad_responses_name_the_field(tree: Any, message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_response(json.dumps(tree))
    assert message in str(caught.value)


def test_what_is_no_json() -> None:
    with pytest.raises(ProtocolError, match="not a line of JSON"):
        decode_response(b"half an answer\n")


def test_a_request_of_another_version_ends_the_compiler() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "compiler"],
        input=b'{"name": "x", "text": "", "novelty": 1}\n',
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"bad compile request: unknown in a compile request: novelty\n"


def test_the_agent_can_import_it_cheaply() -> None:
    """It imports no lexer, kernel reader or code generator."""
    code = "import sys, compiler.protocol; print(*(m for m in sys.modules if m[:9] == 'compiler.'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["compiler.protocol"]
