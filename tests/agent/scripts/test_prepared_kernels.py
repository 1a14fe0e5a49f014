# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of prepared kernels: what is written is read, and what is damaged is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.scripts.prepared_kernels import PreparedKernel, PreparedKernels, State
from compiler.kernel.release import RELEASE
from runtime.support.record import replace

READY = PreparedKernel("6.1.0-57-amd64", State.READY, 2, {}, ("ab12", "cd34"))
FAILED = PreparedKernel("6.12.9+bpo-amd64", State.FAILED, 2, {"vfs": "no function 'x'"}, ("ef",))


def test_records(tmp_path: Path) -> None:
    writer, reader = PreparedKernels(tmp_path), PreparedKernels(tmp_path)
    assert reader.all() == ()
    writer.save(READY)
    assert reader.all() == (READY,)
    writer.save(FAILED)
    writer.save(replace(READY, state=State.PREPARING))
    assert reader.all() == (replace(READY, state=State.PREPARING), FAILED)
    writer.remove(READY.release)
    writer.remove("6.0.0-none")
    assert reader.all() == (FAILED,)
    assert reader.load(FAILED.release) == FAILED


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"release": "x", "state": "odd"}', "\x00"])
def test_a_damaged_record_is_left_out(tmp_path: Path, text: str) -> None:
    kernels = PreparedKernels(tmp_path)
    kernels.save(READY)
    kernels.save(FAILED)
    (tmp_path / f"kernels/{READY.release}.json").write_text(text)
    assert kernels.all() == (FAILED,)


@pytest.mark.parametrize("release", ["", "../x", "a/b", ".hidden", "a b", "x" * 129, "a\n"])
def test_what_is_no_release(tmp_path: Path, release: str) -> None:
    assert not RELEASE.fullmatch(release)
    with pytest.raises(ValueError, match="is no release"):
        PreparedKernels(tmp_path).save(replace(READY, release=release))
