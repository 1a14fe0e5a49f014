# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts in files: what one host prints, another reads; mistakes are reported at their positions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rollout import facts_file
from agent.rollout.facts_file import FactsError
from agent.rollout.host_facts import HostFacts
from runtime.support.record import replace
from tests.agent.rollout.hosts import WEB

TEXT = """\
host: web-1.example.net
machine_id: 3f9e12ab34cd41d2a7f0c1b2d3e4f506
kernel: 6.1.0-13-amd64
arch: x86_64
virtualization: kvm
os: debian
os_version: '12'
cpus: 4
cgroup: v2
labels:
  tier: canary
  site: ams1
"""


def test_what_is_printed_is_read(tmp_path: Path) -> None:
    assert facts_file.dumps(WEB) == TEXT
    (tmp_path / "web.yaml").write_text(TEXT)
    assert facts_file.load(tmp_path / "web.yaml") == WEB


@given(st.text("0123456789eE.+-_:xno yes", min_size=1).map(str.strip).filter(bool))
def test_texts_that_look_like_something_else(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    """A machine-id of digits stays a text, and so does a label `no`."""
    facts = HostFacts("h", machine_id=value, labels={"x": value})
    file = tmp_path_factory.mktemp("facts") / "h.yaml"
    file.write_text(facts_file.dumps(facts))
    assert facts_file.load(file) == facts


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": it is empty"),
        ("host: [a]", ":1:7: must be text or a number, not a list"),
        ("machine_id: x", ":1:1: facts of a host without 'host'; add its name"),
        ("host: a\ncpu: 4", ":2:1: unknown key 'cpu'; did you mean 'cpus'?"),
        ("host: a\ncpus: 0", ":2:7: must be between 1 and 65536, not 0"),
        ("- a", ":1:1: expected 'key: value' lines at the top"),
        ("host: a\nlabels: [x]", ":2:9: labels must be a mapping ('key: value' lines), not a list"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(FactsError) as caught:
        facts_file.load(file)
    assert str(caught.value) == f"config error: {file}{message}"


def test_a_fleet(tmp_path: Path) -> None:
    """In the order of the files; and every mistake of every file at once."""
    for name in ("b", "a"):
        facts = replace(WEB, host=name, machine_id=name)
        (tmp_path / f"{name}.yaml").write_text(facts_file.dumps(facts))
    (tmp_path / "README").write_text("no facts")
    assert [facts.host for facts in facts_file.load_fleet(tmp_path)] == ["a", "b"]
    (tmp_path / "c.yaml").write_text("host: c\nmachine_id: a\n")
    (tmp_path / "d.yaml").write_text("hosts: d\n")
    with pytest.raises(FactsError) as caught:
        facts_file.load_fleet(tmp_path)
    assert str(caught.value).splitlines() == [
        f"config error: {tmp_path}/c.yaml: the same host as {tmp_path}/a.yaml: it has the same machine_id; "
        "a machine that was cloned keeps its /etc/machine-id: empty it, and boot again",
        f"config error: {tmp_path}/d.yaml:1:1: unknown key 'hosts'; did you mean 'host'?",
    ]


def test_no_fleet(tmp_path: Path) -> None:
    with pytest.raises(
        FactsError, match=r"no facts of hosts \(\*\.yaml\); collect what stapwatch plan --facts"
    ):
        facts_file.load_fleet(tmp_path)
    with pytest.raises(FactsError, match="cannot be read: no such file or directory"):
        facts_file.load_fleet(tmp_path / "none")
