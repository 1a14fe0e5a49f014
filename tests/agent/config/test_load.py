# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations: cases/ has invalid ones, each with the expected messages and their positions.

UPDATE=1 rewrites the messages: read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load
from agent.config.load import ConfigError
from agent.config.metric_names import describe
from agent.config.metric_schema import statistic
from agent.config.settings import Address, LogFormat, MetricType, Settings
from agent.scripts.compile_client import request
from tests import PROJECT

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize("path", sorted(CASES.glob("*.yaml")), ids=lambda p: p.stem)
def test_messages(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load.loads(path.read_text(), path.name)
    expected = path.with_suffix(".err")
    if os.environ.get("UPDATE"):
        expected.write_text(f"{caught.value}\n")
    assert f"{caught.value}\n" == expected.read_text()
    for line in str(caught.value).splitlines():
        assert re.match(rf"config error: {path.name}:\d+:\d+: [a-z0-9']", line)


def test_a_wrong_key_as_users_see_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load.loads(
            "script_folders: []\nscripts:\n  a:\n    text: x\n    metrics:\n      n:\n        lables: []\n"
        )
    assert str(caught.value) == (
        "config error: stapwatch.yaml:7:9: unknown key 'lables'; did you mean 'labels'?"
    )


def test_everything_can_be_declared(tmp_path: Path) -> None:
    """The packaged configuration loads with all commented-out settings enabled, and these are the
    defaults."""
    text = (PROJECT / "packaging/stapwatch.yaml").read_text()
    assert load.loads(re.sub("(?m)^script_folders.*", "", text)).scripts == {}
    full = re.sub(r"(?m)^#(?=\S|  )", "", text).replace("/etc/stapwatch/probes.d", str(tmp_path))
    (tmp_path / "vfs_latency.stp").write_text("probe begin {}")
    settings = load.loads(full)
    assert set(settings.scripts) == {"vfs_latency", "opens"}
    script = settings.scripts["vfs_latency"]
    assert script.file == tmp_path / "vfs_latency.stp"
    assert script.metrics["read_ns"].type is MetricType.HISTOGRAM
    assert not script.metrics["started"].export
    wanted = request(script, settings)
    assert wanted.statistics["read_ns"]["bounds"] == [10**n for n in range(3, 10)]
    assert wanted.defines == {"MAXACTION": "5000"}
    defaults = Settings()
    assert settings.log == defaults.log and settings.compile == defaults.compile
    assert settings.listen == defaults.listen and settings.control_socket == defaults.control_socket
    assert (settings.cache_folder, settings.work_folder) == (
        defaults.cache_folder,
        defaults.work_folder,
    )


def test_no_configuration_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MAIN_FILE", tmp_path / "stapwatch.yaml")
    settings = load.load()
    assert settings.listen == (Address("127.0.0.1", 9436),)


def test_drop_ins_are_laid_over_in_order(tmp_path: Path) -> None:
    main = tmp_path / "stapwatch.yaml"
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "probes").mkdir()
    (tmp_path / "probes/vfs.stp").write_text("probe begin {}")
    (tmp_path / "probes/.hidden.stp").write_text("")
    (tmp_path / "probes/notes.txt").write_text("")
    main.write_text("script_folders: probes\nlog: {level: debug, burst: 7}\nlisten: [':1']\n")
    (tmp_path / "conf.d/20.yaml").write_text("log: {level: error}\nscripts: {vfs: {guru: true}}\n")
    (tmp_path / "conf.d/10.yaml").write_text("log: {level: warning}\nlisten: [':2', '[::1]:3']\n")
    (tmp_path / "conf.d/ignored.txt").write_text("{")
    settings = load.load(main)
    assert (settings.log.level, settings.log.burst) == ("error", 7)
    assert settings.listen == (Address("0.0.0.0", 2), Address("::1", 3))
    assert (
        settings.scripts["vfs"].guru and settings.scripts["vfs"].file == tmp_path / "probes/vfs.stp"
    )
    assert list(settings.scripts) == ["vfs"]


def test_mistakes_of_all_files_come_together(tmp_path: Path) -> None:
    main = tmp_path / "stapwatch.yaml"
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "p").mkdir()
    (tmp_path / "p/no good.stp").write_text("")
    (tmp_path / "p/x.stp").write_text("")
    main.write_text(
        "listen: [x:y]\nscript_folders: [p, p2]\nscripts:\n  a: {text: t}\n  x: {text: t}\n  y: {}\n"
    )
    (tmp_path / "conf.d/a.yaml").write_text("listen: [':1']\nscripts: {a: {text: u}}\n")
    (tmp_path / "conf.d/b.yaml").write_text("log: [\n")
    (tmp_path / "conf.d/c.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "conf.d/d.yaml").write_bytes(b"log: {level: \xff}\n")
    with pytest.raises(ConfigError) as caught:
        load.load(main)
    found = str(caught.value).replace(f"{tmp_path}/", "").replace("config error: ", "").splitlines()
    assert found == [
        f"conf.d/a.yaml:2:11: duplicate script name 'a'; first at {main}:4:3".replace(
            f"{tmp_path}/", ""
        ),
        "conf.d/b.yaml:2:1: not valid YAML: expected the node content, but found '<stream end>'",
        "conf.d/c.yaml: cannot be read: No such file or directory",
        "conf.d/d.yaml: not UTF-8 at byte 13",
        "p/no good.stp: 'no good' is not a script name; rename it; "
        "use letters, digits, '_', '-' and '.', at most 64",
        "stapwatch.yaml:1:10: 'y' is not a port; write host:port, as 127.0.0.1:9436",
        "stapwatch.yaml:5:3: duplicate script name 'x'; "
        "p/x.stp has it too: rename one, or leave out the source here",
        "stapwatch.yaml:6:3: no script 'y' in the script folders; give 'file' or 'text'",
    ]


def test_an_unreadable_file_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^config error: .*/gone.yaml: cannot be read: No such file"
    ):
        load.load(tmp_path / "gone.yaml")


def test_aliases_cannot_explode() -> None:
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)
    ]
    with pytest.raises(ConfigError) as caught:
        load.loads("\n".join(lines))
    assert len(caught.value.diagnostics) == 30
    with pytest.raises(ConfigError, match="nested too deep"):
        load.loads("a: &a [*a]\n")


@given(st.text(max_size=200))
def test_any_text_gives_settings_or_mistakes(text: str) -> None:
    try:
        load.loads(f"script_folders: []\n{text}")
    except ConfigError as error:
        assert error.diagnostics


KEYS = st.sampled_from(
    ["listen", "scripts", "log", "compile", "a", "text", "metrics", "buckets", "labels"]
)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_any_tree_gives_settings_or_mistakes(tree: object) -> None:
    import json

    text = json.dumps(tree)
    try:
        load.loads(f'{{"script_folders": [], {text[1:]}' if text != "{}" else "script_folders: []")
    except ConfigError as error:
        assert all(each.position.line for each in error.diagnostics)


@pytest.mark.parametrize(
    ("script", "variable", "name", "unit", "scale"),
    [
        ("vfs-io", "latency_ns", "stapwatch_vfs_io_latency_seconds", "seconds", "1e-9"),
        ("vfs", "readBytes", "stapwatch_vfs_read_bytes", "bytes", "1"),
        ("vfs", "ns", "stapwatch_vfs_ns", "", "1"),
        ("A.b", "hit_counter", "stapwatch_a_b_hit", "", "1"),
        ("x", "HTTPCodes", "stapwatch_x_httpcodes", "", "1"),
    ],
)
def test_names_and_units(script: str, variable: str, name: str, unit: str, scale: str) -> None:
    found = describe(script, variable, None)
    assert (found.name, found.unit, found.scale) == (name, unit, Decimal(scale))


def test_buckets_become_integers() -> None:
    text = "script_folders: []\nscripts: {s: {text: t, metrics: {x_us: {buckets: %s}}}}"

    def wanted(buckets: str) -> object:
        script = load.loads(text % buckets).scripts["s"]
        return statistic("s", script.metrics["x_us"])

    assert wanted("[1e-6, 0.001, 2.5]") == {"kind": "bounds", "bounds": [1, 1000, 2_500_000]}
    assert wanted("log2") == {"kind": "log2"}
    assert wanted("{low: 0, high: 1, interval: 0.01}") == {
        "kind": "linear", "low": 0, "high": 1_000_000, "interval": 10_000,
    }  # fmt: skip


def test_log_format_is_an_enum() -> None:
    settings = load.loads("script_folders: []\nlog: {format: journald, rate_limit: 0}")
    assert settings.log.format is LogFormat.JOURNALD and settings.log.rate_limit == 0
