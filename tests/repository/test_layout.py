# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of a module have the path that tests/__init__.py defines."""

from __future__ import annotations

from pathlib import Path

from tests import PROJECT

PACKAGES = ("agent", "compiler", "runtime")


def misplaced(project: Path) -> list[str]:
    """Test files below a room of Python whose name does not begin with that of a module of the room."""
    found = []
    for package in PACKAGES:
        for path in sorted((project / "tests" / package).glob("*/test_*.py")):
            modules = [file.stem for file in (project / package / path.parent.name).glob("*.py")]
            subject = path.stem.removeprefix("test_")
            if not any(f"{subject}_".startswith(f"{module}_") for module in modules):
                found.append(str(path.relative_to(project)))
    return found


def c_rooms(project: Path) -> set[str]:
    """tests/runtime/ has these as well: C without Python."""
    folders = (path.parent for path in (project / "runtime").glob("*/**/*.c"))
    rooms = {folder.relative_to(project / "runtime").parts[0] for folder in folders}
    return {f"tests/runtime/{room}/" for room in rooms}


def test_every_test_is_beside_its_module() -> None:
    rooms = tuple(c_rooms(PROJECT))
    assert len(rooms) == 2
    assert [path for path in misplaced(PROJECT) if not path.startswith(rooms)] == []


def test_a_test_without_its_module_is_found(tmp_path: Path) -> None:
    tests = ["compiler/frontend/test_lexer.py", "compiler/frontend/test_lexer_fuzz.py"]
    wrong = ["agent/frontend/test_lexer.py", "compiler/frontend/test_lexers.py"]
    for name in ("compiler/frontend/lexer.py", *(f"tests/{test}" for test in (*tests, *wrong))):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert misplaced(tmp_path) == [f"tests/{name}" for name in wrong]
