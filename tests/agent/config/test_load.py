# SPDX-License-Identifier: GPL-2.0-or-later
"""Configurations: cases/ has invalid ones, each with the expected messages and their positions.

UPDATE=1 rewrites the messages: read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load, rollout_schema
from agent.config.budgets import NO_BUDGETS, NO_TOTAL, Budgets, Memory, TotalBudgets
from agent.config.load import ConfigError
from agent.config.metric_names import describe
from agent.config.metric_schema import statistic
from agent.config.script_folders import NAME_HINT
from agent.config.settings import (
    Address,
    ListenAddress,
    LogFormat,
    MetricType,
    Settings,
    UnixAddress,
    VsockAddress,
)
from agent.scripts.compile_client import request
from runtime.abi.manifest import WhenFull
from runtime.support.record import replace
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
    assert settings.budgets == defaults.budgets and settings.total == defaults.total
    opens = settings.scripts["opens"]
    assert opens.budgets == defaults.budgets
    assert set(opens.rollout.when.facts) == {*rollout_schema.GLOBS, *rollout_schema.RANGES}
    for name in ("percent", "start", "end", "after", "variants"):
        assert getattr(opens.rollout, name), f"{name} is explained"
    assert [v.defines for v in opens.rollout.variants] == [
        {"MAXMAPENTRIES": "20000"},
        {"MAXMAPENTRIES": "2000"},
    ]
    assert script.budgets == replace(defaults.budgets, cpu=200_000, hit_time=None)
    assert settings.listen == defaults.listen and settings.control_socket == defaults.control_socket
    assert not settings.public_status and not settings.insecure_files
    assert settings.web.file == Path("/etc/stapwatch/web.yaml")
    assert settings.allowed_hosts == ("node7.example.org",)
    for folder in ("cache_folder", "work_folder", "state_folder"):
        assert getattr(settings, folder) == getattr(defaults, folder)


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
    main.write_text("script_folders: probes\nlog: {level: debug, format: json}\nlisten: [':1']\n")
    (tmp_path / "conf.d/20.yaml").write_text("log: {level: error}\nscripts: {vfs: {guru: true}}\n")
    (tmp_path / "conf.d/10.yaml").write_text("log: {level: warning}\nlisten: [':2', '[::1]:3']\n")
    (tmp_path / "conf.d/ignored.txt").write_text("{")
    settings = load.load(main)
    assert (settings.log.level, settings.log.format) == ("error", LogFormat.JSON)
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


BOMB = "more than 200,000 values, counting each alias as what it stands for"


def bomb(inner: str, rows: int = 30) -> str:
    """`rows` lines, each ten times as large as the one before it. `inner`: with %s for such a ten."""
    lines = ["a0: &a0 " + inner % "x"]
    for n in range(1, rows):
        ten = ", ".join(f"k{i}: *a{n - 1}" for i in range(10))
        lines.append(f"a{n}: &a{n} {{{ten}}}")
    return "\n".join(lines)


def test_aliases_cannot_explode() -> None:
    with pytest.raises(ConfigError) as caught:
        load.loads(bomb("[%s]"))
    assert str(caught.value) == f"config error: stapwatch.yaml:6:5: {BOMB}"


def test_merging_files_of_aliases_is_bounded(tmp_path: Path) -> None:
    """Mappings that share their parts merge part by part, once for each way that leads to one."""
    main = tmp_path / "stapwatch.yaml"
    (tmp_path / "conf.d").mkdir()
    main.write_text("script_folders: []\n")

    def scripts(rows: int) -> str:
        lines = bomb("{text: %s}", rows).splitlines()
        return "scripts:\n" + "\n".join(f"  {line}" for line in lines)

    for name in ("a", "b"):  # ten to the power of 30 ways
        (tmp_path / f"conf.d/{name}.yaml").write_text(scripts(30))
    refused = load.load(main).refused
    assert [part.texts[0].partition("conf.d/")[2] for part in refused] == [
        f"{name}.yaml:7:7: {BOMB}; the whole file is left out" for name in ("a", "b")
    ]
    for n in range(40):
        (tmp_path / f"conf.d/{n:02}.yaml").write_text(scripts(5))
    started = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        load.load(main)
    assert "conf.d/39.yaml: all files together have more than 200,000 values" in str(caught.value)
    assert time.monotonic() - started < 30


def test_a_script_that_is_wrong_leaves_out_no_other(tmp_path: Path) -> None:
    main = tmp_path / "stapwatch.yaml"
    (tmp_path / "p").mkdir()
    for name in ("good", "odd name", "twice"):
        (tmp_path / f"p/{name}.stp").write_text("")
    main.write_text(
        "script_folders: p\nscripts:\n"
        "  wrong: {text: t, lables: 1}\n"
        "  twice: {text: t}\n"
        "  one: {text: t, metrics: {n: {name: same}}}\n"
        "  two: {text: t, metrics: {n: {name: same, constant_labels: {a: b}}}}\n"
    )
    settings = load.load(main)
    assert list(settings.scripts) == ["good", "one", "two"]
    assert [(part.script, part.texts[0].rpartition("/")[2]) for part in settings.refused] == [
        ("", f"odd name.stp: 'odd name' is not a script name; rename it; {NAME_HINT}"),
        ("twice", "twice.stp has it too: rename one, or leave out the source here"),
        ("wrong", settings.refused[2].texts[0].rpartition("/")[2]),
    ]
    assert "stapwatch.yaml:3:20: unknown key 'lables'" in settings.refused[2].reason
    [conflict] = load.conflicts(settings)
    assert "metric 'same' has other constant_labels than" in str(conflict)


def test_the_last_good_text_of_a_drop_in_stands_in(tmp_path: Path) -> None:
    main, extra = tmp_path / "stapwatch.yaml", tmp_path / "conf.d/x.yaml"
    extra.parent.mkdir()
    main.write_text("script_folders: []\n")
    extra.write_text("listen: [':1']\nscripts: {a: {text: t}}\n")
    last_good: load.LastGood = {}
    assert load.load(main, last_good).refused == ()
    extra.write_text("listen: [':2']\nlissten: []\nscripts: {a: {text: u}}\n")
    for _ in range(2):
        settings = load.load(main, last_good)
        assert settings.listen == (Address("0.0.0.0", 1),)
        assert settings.scripts["a"].text == "t"
        [refused] = settings.refused
        assert "x.yaml:2:1: unknown key 'lissten'" in refused.texts[0]
        assert refused.texts[0].endswith("; its text before this one stays in force")
    [refused] = load.load(main).refused
    assert refused.texts[0].endswith("; the whole file is left out")
    extra.unlink()
    assert load.load(main, last_good) == load.load(main)
    assert last_good == {}


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    main = tmp_path / "stapwatch.yaml"
    (tmp_path / "file").write_text("")
    main.write_text("script_folders: [file]\nscripts: {a: {guru: true}, b: {text: t}}\n")
    settings = load.load(main)
    assert list(settings.scripts) == ["b"]
    [refused] = settings.refused
    assert refused.folder == tmp_path / "file"
    assert "script folder cannot be read: Not a directory" in refused.reason


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("fifo", "cannot be read: is a FIFO, not a file"),
        ("link", "cannot be read: is a device, not a file: it is a link to /dev/zero"),
        ("folder", "cannot be read: is a folder, not a file"),
        ("large", "cannot be read: is too large: 1,048,577 bytes or more, of at most 1,048,576"),
        ("utf16", "it starts with the byte-order mark of UTF-16 (ff fe): save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_text(tmp_path: Path, kind: str, said: str) -> None:
    main, extra = tmp_path / "stapwatch.yaml", tmp_path / "conf.d/x.yaml"
    extra.parent.mkdir()
    main.write_text("listen: [':7']\nscript_folders: []\n")
    match kind:
        case "fifo":
            os.mkfifo(extra)
        case "link":
            extra.symlink_to("/dev/zero")
        case "folder":
            extra.mkdir()
        case "large":
            extra.write_text("#" * ((1 << 20) + 1))
        case _:
            extra.write_text("listen: []\n", encoding="utf-16")
    settings = load.load(main)
    assert settings.listen == (Address("0.0.0.0", 7),)
    assert f"{extra}: {said}" in settings.refused[0].reason


def test_a_byte_order_mark(tmp_path: Path) -> None:
    assert load.loads("\ufefflisten: [':7']\n").listen == (Address("0.0.0.0", 7),)
    with pytest.raises(ConfigError, match=r"yaml:2:1: a byte-order mark \(U\+FEFF\) is in the key"):
        load.loads("listen: []\n\ufefflog: {}\n")
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
    settings = load.loads("script_folders: []\nlog: {format: journald}")
    assert settings.log.format is LogFormat.JOURNALD


def test_budgets_of_all_and_of_one() -> None:
    """Of units, each form; what a script does not say is as for all."""
    settings = load.loads("""
script_folders: []
budgets: {cpu: 2.5%, one_cpu: off, hit_time: 100us, hit_rate: 5_000, kernel_memory: 64MiB, pauses: off,
          total: {cpu: off, kernel_memory: 0.5 GiB, series: 7}}
scripts:
  a: {text: t}
  b: {text: t, budgets: {one_cpu: 10%, log_lines: off, pauses: [1s, 0.5s]}}
  c: {text: t, budgets: off}
""")
    common = Budgets(
        cpu=25_000,
        one_cpu=None,
        hit_time=100_000,
        hit_rate=5000,
        kernel_memory=Memory(64 << 20),
        pauses=(),
    )
    assert settings.budgets == common
    assert settings.total == TotalBudgets(None, Memory(1 << 29), 7)
    scripts = {name: script.budgets for name, script in settings.scripts.items()}
    assert scripts == {
        "a": common,
        "b": replace(common, one_cpu=100_000, log_lines=None, pauses=(1, 0.5)),
        "c": replace(NO_BUDGETS, pauses=()),
    }


def test_one_word_switches_all_budgets_off(tmp_path: Path) -> None:
    """In a drop-in, too, and whatever files before it and scripts say."""
    main = tmp_path / "stapwatch.yaml"
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "p").mkdir()
    (tmp_path / "p/vfs.stp").write_text("probe begin {}")
    main.write_text(
        "script_folders: [p]\nbudgets: {cpu: 1%}\nscripts: {a: {text: t, budgets: {cpu: 3%}}}\n"
    )
    assert load.load(main).scripts["vfs"].budgets.cpu == 10_000
    (tmp_path / "conf.d/off.yaml").write_text("budgets: off\n")
    settings = load.load(main)
    assert settings.total == NO_TOTAL
    assert [script.budgets for script in settings.scripts.values()] == [NO_BUDGETS, NO_BUDGETS]


def test_memory_is_a_size_or_a_share() -> None:
    assert Memory(bytes=5).of(1 << 30) == 5
    assert Memory(share=50_000).of(1000) == 50
    assert [str(Memory(bytes=3 << 19)), str(Memory(share=125_000))] == ["1.5 MiB", "12.5 %"]


def test_what_a_full_array_does_and_how_long_elements_stay() -> None:
    settings = load.loads("""
script_folders: []
budgets: {log_lines_per_statement: 7}
scripts:
  a:
    text: t
    metrics: {x: {ttl: 90s, when_full: lru}, y: {when_full: other}, z: {}}
""")
    script = settings.scripts["a"]
    found = {name: (m.ttl, m.when_full) for name, m in script.metrics.items()}
    assert found == {"x": (90, WhenFull.LRU), "y": (None, WhenFull.OTHER), "z": (None, None)}
    assert request(script, settings).when_full == {"x": "lru", "y": "other"}
    limited = settings.log.limited(script.budgets)
    assert (limited.place_rate_limit, limited.place_burst) == (7, 70)


@pytest.mark.parametrize("text", ["ttl: 0", "ttl: never", "when_full: full", "when_full: [lru]"])
def test_wrong_words_for_full_arrays(text: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.yaml:3:"):
        load.loads(
            f"script_folders: []\nscripts:\n  a: {{text: t, metrics: {{x: {{{text}}}}}}}", "x.yaml"
        )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9", Address("0.0.0.0", 9)),
        ("[::1]", Address("::1", 9436)),
        ("unix:/run/x.sock", UnixAddress(Path("/run/x.sock"))),
        ("vsock:any:9436", VsockAddress(None, 9436)),
        ("vsock:3:4294967295", VsockAddress(3, 4294967295)),
        ("vsock://:9436", VsockAddress(None, 9436)),  # as exporters write it
    ],
)
def test_addresses(text: str, address: ListenAddress) -> None:
    assert load.parse_address(text) == address
    if "//" not in text:
        assert load.parse_address(str(address)) == address
