# SPDX-License-Identifier: GPL-2.0-or-later
"""Every page is one that scdoc takes and man shows without a warning, and no place in a text stays empty."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from agent.cli import main
from manual import __main__ as command
from manual import commands, pages, places
from manual.scd import literal, prose, with_plain_literals
from tests import PROJECT
from tests.manual.page import page, sources

# mandoc's remarks about the empty paragraphs that scdoc makes
_SCDOCS_OWN = "skipping paragraph macro"


@pytest.mark.host
def test_the_pages_are_made_and_shown(tmp_path: Path) -> None:
    assert command.main([str(tmp_path)]) == 0
    made = sorted(tmp_path.iterdir())
    assert {path.name for path in made} == set(sources())
    for path in made:
        assert warnings(path) == []


@pytest.mark.host
def test_pages_are_the_same_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SOURCE_DATE_EPOCH, which a build of a package sets."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    for zone, folder in (("UTC", "a"), ("Pacific/Auckland", "b")):
        monkeypatch.setenv("TZ", zone)
        pages.write(tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        assert "2027-01-15" in path.read_text()


@pytest.mark.host
def test_a_warning_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.1"
    wrong.write_text('.TH "wrong" "1" "2026-01-01"\n.SH NAME\nwrong \\[nosuch] - \\fXfont\n')
    assert warnings(wrong)
    with pytest.raises(RuntimeError, match="Expected"):
        pages.made("wrong(1)\n\n# NAME\n\n*wrong\n\nstill\n")


def warnings(path: Path) -> list[str]:
    man = ["man", "--warnings", "--encoding=UTF-8", "--local-file", "-Tutf8", "-Z", str(path)]
    shown = subprocess.run(
        man, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    lint = subprocess.run(
        ["mandoc", "-Tlint", "-W", "warning", str(path)], capture_output=True, text=True
    )
    lines = [*shown.stderr.splitlines(), *(lint.stdout + lint.stderr).splitlines()]
    return [line for line in lines if _SCDOCS_OWN not in line]


def test_wrong_command_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command.main([]) == 2
    assert "usage" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nonexistent")
    assert command.main(["/nonexistent"]) == 1
    assert "apt-get install scdoc" in capsys.readouterr().err


def test_there_is_a_page_for_each_command_and_topic() -> None:
    topics = {
        *("stapwatch.1", "stapwatch.yaml.5", "stapwatch-metrics.7", "stapwatch-probes.7"),
        *("stapwatch-functions.7", "stapwatch-language.7"),
    }
    assert set(sources()) == topics | {f"stapwatch-{name}.1" for name in main.COMMANDS}
    for name, source in sources().items():
        stem, _, section = name.rpartition(".")
        assert source.startswith(f'{stem}({section}) "stapwatch ')
        assert f"\n# NAME\n\n{stem} - " in source.replace("\\", "")


def test_pages_name_pages_that_exist() -> None:
    """As *stapwatch-run*(1)."""
    texts = [page(name).text.partition("\n")[2] for name in sources()]
    named = {found for text in texts for found in re.findall(r"(stapwatch[\w.-]*)\((\d)\)", text)}
    assert {f"{name}.{section}" for name, section in named} == set(sources())


def test_every_place_is_filled_and_used() -> None:
    texts = "".join(path.read_text() for path in (PROJECT / "docs/man").glob("*.scd"))
    for name in places.PLACES:
        assert f"{{{{{name}" in texts, f"nothing uses {name}"
    for name in sources():
        assert "{{" not in page(name).text.replace("{{LABEL", "")
    with pytest.raises(KeyError):
        places.filled("{{nosuch}}")
    assert places.filled("over {{default budgets.cpu}}.\n") == "over 5 %.\n"


def test_text_of_all_kinds_is_shown_as_it_is() -> None:
    assert prose("`x_y` is *not* 'bold'") == "*x\\_y* is \\*not\\* 'bold'"
    assert with_plain_literals(literal('printf("\\n")')) == '```\nprintf("\\\\n")\n```\n'


@pytest.mark.parametrize("name", main.COMMANDS)
def test_options_of_a_command(name: str) -> None:
    """The page has those that --help shows, and no others."""
    shown = commands.shown_actions(commands.parser_of(name))
    wanted = {option for action in shown for option in action.option_strings}
    terms = page(f"stapwatch-{name}.1").terms("OPTIONS")
    found = {word for term in terms for word in term.replace(",", " ").split() if word[0] == "-"}
    assert found == wanted
    assert len(terms) == len(shown)
    for action in shown:
        if action.help:
            parser = commands.parser_of(name)
            assert commands.expanded(parser, action)[1:] in page(f"stapwatch-{name}.1").text


def test_a_command_has_all_that_its_help_has() -> None:
    found = page("stapwatch-check.1")
    assert found.terms("EXIT STATUS") == ["0", "1"]
    assert found.literals()[0] == "stapwatch check probes.d/*.stp\n"
    assert "Each error is shown with its place and the source line" in found.text
    assert page("stapwatch.1").terms("EXIT STATUS") == ["0", "1", "2", "3", "130"]
    assert page("stapwatch.1").terms("COMMANDS") == [f"stapwatch-{n}(1)" for n in main.COMMANDS]
