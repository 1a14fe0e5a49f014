# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts in the shapes of public collections compile, up to the C: those that look into programs for programs
that are built here, those about the kernel for the lab's.

In a guest's kernel, `tests/handlers/test_collections.py` compares what some of them print with what the programs do.
`python -m tests.language.test_collections --update` writes which scripts we refuse into the topics; read the diff.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from compiler.driver.compile import allow_depth, compile_script
from compiler.protocol import Request
from lab import DEFAULT_KERNEL, Image
from tests.language.collections import (
    OF_KERNEL,
    OF_PROGRAMS,
    TOPICS,
    PublicScript,
    build,
    read,
    write,
)

pytest.importorskip("elftools", reason="debug information is read by pyelftools")
pytestmark = [pytest.mark.lab]


def test_there_are_a_hundred() -> None:
    names = [script.name for topic in TOPICS for script in read(topic)]
    assert len(set(names)) == len(names) >= 100


def kernel_with(programs: Path) -> dict[str, str]:
    """The lab's kernel, and a root folder with the programs, which are built there."""
    build(programs)
    image = Image.ensure(DEFAULT_KERNEL)
    return {"root": str(image.rootfs), "release": image.release, "programs": str(programs)}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return kernel_with(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def refusal(script: PublicScript, kernel: dict[str, str], cache: Path) -> tuple[set[str], str]:
    """The slugs of our errors, and their texts; both empty for a script that we accept."""
    request = Request(
        name="script",
        text=script.script,
        source=f"{script.title}.stp",
        args=tuple(script.words("args")),
        defines=script.pairs("defines"),
        guru=script.option("guru") is not None,
        skip_badvars=script.option("skip-badvars") is not None,
        last_pass=3,
        kernel=kernel,
        cache=str(cache),
    )
    response = compile_script(request, lambda text: None)
    assert response.ok or response.errors
    return {e.slug for e in response.errors}, "\n".join(e.text for e in response.errors)


@pytest.mark.parametrize("topic", [*OF_PROGRAMS, *OF_KERNEL])
def test_topic(topic: str, kernel: dict[str, str], cache: Path) -> None:
    allow_depth()
    wrong = []
    for script in read(topic):
        slugs, text = refusal(script, kernel, cache)
        expected = script.words("refused")
        if sorted(slugs) != expected:
            wrong.append(f"{script.name}: expected {expected or 'no error'}\n{text}")
    assert not wrong, "\n".join(wrong)


def main() -> None:
    if sys.argv[1:] != ["--update"]:
        sys.exit(__doc__)
    allow_depth()
    with tempfile.TemporaryDirectory() as name:
        kernel = kernel_with(Path(name) / "programs")
        for topic in TOPICS:
            scripts = read(topic)
            slugs = [sorted(refusal(script, kernel, Path(name) / "cache")[0]) for script in scripts]
            write(topic, scripts, slugs)


if __name__ == "__main__":
    main()
