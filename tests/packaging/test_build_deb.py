# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian packages: what is in them, that a build depends on nothing else, and what lintian says."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import tomli
import yaml

from agent.cli.main import COMMANDS
from agent.dashboards import files
from compiler.frontend import grammar_table
from compiler.version import VERSION
from tests import PROJECT
from tests.agent.dashboards import exported
from tests.packaging.packages import DEBIAN, Built, Deb, build, python_dependencies

MODULES = "usr/share/stapwatch"
KERNEL_HOOKS = ("postinst", "header_postinst", "postrm")
# Python packages by the Debian packages that have them
DEBIAN_NAMES = {
    "lark": "python3-lark",
    "prometheus_client": "python3-prometheus-client",
    "sdnotify": "python3-sdnotify",
    "structlog": "python3-structlog",
    "yaml": "python3-yaml",
}
OPTIONAL = {"elftools": "python3-pyelftools"}  # suggested


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(tmp_path_factory.mktemp("deb") / "first")


@pytest.fixture(scope="module")
def agent(built: Built) -> Deb:
    return built.deb("stapwatch")


def known(*places: str) -> Iterator[str]:
    """The project's files below these places, as git knows them."""
    argv = ["git", "-C", str(PROJECT), "ls-files", "-co", "--exclude-standard", *places]
    names = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    return (name for name in names if (PROJECT / name).exists())


def test_all_of_the_code_and_nothing_else(agent: Deb) -> None:
    named = known("agent", "compiler", "runtime")
    code = {name for name in named if not name.startswith("runtime/hosted/")}
    code |= {"compiler/frontend/grammar.bin", "kernel/stapwatch-prepare"}
    code |= {"bin/stap", "editors/stapwatch.tmLanguage.json"}
    found = {name for name in agent.files if name.startswith(f"{MODULES}/")}
    assert found == {f"{MODULES}/{name}" for name in code}


def test_manual_pages_and_what_shells_complete(agent: Deb) -> None:
    """A page for each command, and files in the folders where shells and Vim look."""
    pages = {Path(name).name for name in agent.files if name.startswith("usr/share/man/")}
    assert {f"stapwatch-{command}.1.gz" for command in COMMANDS} <= pages
    assert {"stapwatch.1.gz", "stapwatch.yaml.5.gz", "stapwatch-functions.7.gz"} <= pages
    assert agent.files >= {
        "usr/share/bash-completion/completions/stapwatch",
        "usr/share/fish/vendor_completions.d/stapwatch.fish",
        "usr/share/zsh/vendor-completions/_stapwatch",
        "usr/share/vim/vimfiles/syntax/stapwatch.vim",
    }


def test_stap_is_a_link_outside_of_the_path(agent: Deb) -> None:
    """Debian's systemtap has /usr/bin/stap, and both packages may be installed."""
    link = agent.members["usr/share/stapwatch/bin/stap"]
    assert (link.issym(), link.linkname) == (True, "../../../bin/stapwatch")
    assert "usr/bin/stap" not in agent.files


def test_units_and_what_systemd_reads(agent: Deb) -> None:
    units = {
        Path(n).name
        for n in known("systemd")
        if n.endswith((".path", ".service", ".socket", ".timer"))
    }
    found = {name for name in agent.files if name.startswith("usr/lib/")}
    assert found == {
        *(f"usr/lib/systemd/system/{unit}" for unit in units),
        "usr/lib/kernel/install.d/90-stapwatch.install",
        "usr/lib/systemd/catalog/stapwatch.catalog",
        "usr/lib/sysusers.d/stapwatch.conf",
    }


def test_configuration(agent: Deb, built: Built) -> None:
    """An upgrade asks only about a file that somebody has changed, and scripts and drop-ins are never among them."""
    hooks = {f"etc/kernel/{when}.d/zz-stapwatch" for when in KERNEL_HOOKS}
    files = {"etc/stapwatch/stapwatch.yaml", *hooks}
    assert set(agent.control("conffiles").split()) == {f"/{name}" for name in files}
    assert {name for name in agent.files if name.startswith("etc/")} == files
    found = {name for name in agent.members if name.startswith("etc/stapwatch/")}
    assert found == {f"etc/stapwatch/{name}" for name in ("conf.d", "probes.d", "stapwatch.yaml")}
    assert not any(name.startswith("etc/") for name in built.deb("stapwatch-probes").files)


def test_an_upgrade_stops_nothing(agent: Deb) -> None:
    """What is stopped loses its counts. The agent is restarted once, without waiting for it."""
    stops = re.compile(r"(systemctl|deb-systemd-invoke)\b.* stop\b")
    for name in ("preinst", "postinst", "postrm"):
        assert not stops.search(agent.control(name)), name
    prerm = agent.control("prerm")
    assert prerm.index("remove)") < prerm.index("deb-systemd-invoke stop") < prerm.index("esac")
    assert len(stops.findall(prerm)) == 1
    assert not re.search(r"(?m)^\s*deb-systemd-invoke", agent.control("postinst"))


def test_examples_name_files_of_their_package(built: Built) -> None:
    probes = built.deb("stapwatch-probes")
    configured = {name for name in probes.files if name.startswith(f"{MODULES}/conf.d/")}
    scripts = {name for name in probes.files if name.startswith(f"{MODULES}/probes.d/")}
    files = set()
    for name in configured:
        for script in yaml.safe_load(probes.read(name))["scripts"].values():
            files.add(script["file"].lstrip("/"))
    assert files == scripts
    assert {Path(n).name for n in scripts} == {Path(n).name for n in known("packaging/probes.d")}


def test_dashboards_are_those_of_the_examples(built: Built) -> None:
    """Made by the command, of the tables that a test compares with the compiler's; and nothing is needed to have them."""
    package, place = built.deb("stapwatch-dashboards"), f"{MODULES}/dashboards"
    runbooks = f"file:///{place}/alerts.md"
    expected = {f"{place}/alerts.md": (PROJECT / "docs/alerts.md").read_text()}
    for form in (files.Format.MIXIN, files.Format.RULES):
        made = files.make(exported.examples(), form, runbooks)
        expected |= {f"{place}/{form}/{name}": text for name, text in made.texts.items()}
    found = {name: package.read(name).decode() for name in package.files if "/doc/" not in name}
    assert found == expected
    assert "Depends" not in package.fields


def test_nobody_but_root_can_change_a_file(built: Built) -> None:
    for package in ("stapwatch", "stapwatch-probes", "stapwatch-dashboards"):
        for name, member in built.deb(package).members.items():
            assert (member.uid, member.gid) == (0, 0), name
            if member.issym():
                continue
            assert member.mode & 0o022 == 0 and member.mode & 0o044 == 0o044, name


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, but for what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from at_run_time(child)


def imported() -> set[str]:
    """The top-level names that the installed code imports, without Python's own and ours."""
    found: set[str] = set()
    for name in known("agent/*.py", "compiler/*.py", "runtime/*.py"):
        for node in at_run_time(ast.parse((PROJECT / name).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"agent", "compiler", "runtime"}


def test_dependencies(agent: Deb) -> None:
    """lark only builds the table, which the package has; compilers and headers are never needed to run."""
    assert imported() == DEBIAN_NAMES.keys() | OPTIONAL.keys()
    assert all(name in agent.fields["Suggests"] for name in OPTIONAL.values())
    needed = set(re.findall(r"\bpython3-[\w-]+", agent.fields["Depends"]))
    assert needed == set(DEBIAN_NAMES.values()) - {"python3-lark"}
    assert needed == set(python_dependencies((DEBIAN / "control").read_text()))
    tools = ("gcc", "binutils", "make", "linux-headers")
    assert not any(tool in agent.fields["Depends"] for tool in tools)
    assert all(tool in agent.fields["Recommends"] for tool in tools)


def test_versions_of_dependencies(agent: Deb) -> None:
    """Those of pyproject.toml, where the package names one."""
    with (PROJECT / "pyproject.toml").open("rb") as file:
        asked = tomli.load(file)["project"]["dependencies"]
    floors = dict(text.replace("pyyaml", "yaml").split(">=") for text in asked)
    named = re.findall(r"(python3-[\w-]+) \(>= ([\d.]+)\)", agent.fields["Depends"])
    python = {debian: name for name, debian in DEBIAN_NAMES.items()}
    assert len(named) == 3
    for package, version in named:
        floor = floors[python[package]]
        assert floor == version or floor.startswith(f"{version}."), package


def test_the_parsers_table_is_of_this_grammar(agent: Deb, tmp_path: Path) -> None:
    (tmp_path / "grammar.bin").write_bytes(agent.read(f"{MODULES}/compiler/frontend/grammar.bin"))
    digest = grammar_table._hash(grammar_table.GRAMMAR.read_text())
    assert grammar_table.read(tmp_path / "grammar.bin", digest) is not None


def test_the_command_runs_from_the_package_alone(agent: Deb, tmp_path: Path) -> None:
    """With Debian's Python and its libraries, and with nothing of the caller's environment."""
    subprocess.run(["dpkg-deb", "-x", agent.path, tmp_path], check=True)
    command = tmp_path / "usr/bin/stapwatch"
    text = command.read_text()
    assert text.count('"/usr/share/stapwatch"') == 1
    command.write_text(text.replace('"/usr/', f'"{tmp_path}/usr/'))
    wrong = tmp_path / "wrong"
    (wrong / "agent").mkdir(parents=True)
    (wrong / "agent/__init__.py").write_text("raise SystemExit('the wrong agent')")
    argv = ["/usr/bin/python3", "-I", str(command)]  # /usr/local may have another one
    for words in (["--version"], ["check", "--help"], ["agent", "--help"]):
        done = subprocess.run(
            [*argv, *words], capture_output=True, text=True, env={"PYTHONPATH": str(wrong)}
        )
        assert done.returncode == 0 and done.stderr == "", done
    assert text.startswith("#!/usr/bin/python3 -I\n")


def test_the_changelog_has_this_version(agent: Deb) -> None:
    assert agent.fields["Version"] == VERSION


def test_a_build_depends_on_nothing_but_the_files(built: Built, tmp_path: Path) -> None:
    """Another folder, umask, time zone, language and home, and files of another time: the same bytes."""
    copy = tmp_path / "a folder" / "elsewhere"
    for name in known():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, copy / name)
        (copy / name).chmod((PROJECT / name).stat().st_mode & 0o700)
    subprocess.run(["git", "init", "-q", copy], check=True)
    env = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    again = build(tmp_path / "again", project=copy, env=env, umask=0o077)
    first, second = built.contents(), again.contents()
    assert first.keys() == second.keys() and len(first) == 5
    assert [name for name in first if first[name] != second[name]] == []


def test_lintian(built: Built) -> None:
    argv = ["lintian", "--allow-root", "--fail-on", "error,warning", str(built.changes)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout, done.stdout + done.stderr


def test_each_override_is_explained() -> None:
    for path in DEBIAN.glob("*.lintian-overrides"):
        lines = path.read_text().splitlines()
        for before, line in pairwise(lines):
            assert line.startswith("#") or before.startswith("#"), line
