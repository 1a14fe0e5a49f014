# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that earlier releases have made are read: every number, string and event.

recorded/NAME.image.gz and NAME.events.gz are what such a module maps and what its ring has had, made by the
script below. `python -m tests.runtime.reader.test_snapshot_recorded NAME` records those of this tree. Existing
files stay as they are: they stand for modules that are loaded somewhere.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from runtime.abi.manifest import Manifest
from runtime.events import decode as events
from runtime.reader.device import Image
from runtime.reader.merge import StatValue
from runtime.reader.snapshot import Snapshot, read

RECORDED = Path(__file__).parent / "recorded"
NAMES = sorted(path.name.removesuffix(".image.gz") for path in RECORDED.glob("*.image.gz"))
SCRIPT = """\
global total, by_name, sizes, last, gone
probe kernel.function("vfs_read") {
	total++
	by_name["sshd", 7] += 3
	by_name["cron", 8] += 5
	sizes <<< 100
	sizes <<< 1000
	gone[total] = total
	delete gone[total - 1]
	last = sprintf("read %d", total)
	printf("%s is %d\\n", "read", total)
}
probe end { println(last) print(@hist_log(sizes)) foreach (g in gone) println(g) }
"""


def shown(shot: Snapshot) -> dict[str, object]:
    """What a reader shows of each table."""
    found: dict[str, object] = {}
    for values in shot.tables:
        name, keys = values.table.name, list(values.keys)
        plain = [v.count if isinstance(v, StatValue) else v for v in values.values]
        found[name] = dict(zip(keys, plain, strict=True)) if values.table.keys else plain[0]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_module_is_read(name: str) -> None:
    with Image(gzip.decompress((RECORDED / f"{name}.image.gz").read_bytes())) as image:
        shot, manifest, sizes = read(image), image.manifest(), image.sizes
    assert shown(shot) == {
        "total": 4,
        "by_name": {("sshd", 7): 12, ("cron", 8): 20},
        "sizes": 8,
        "last": "read 4",
        "gone": {(4,): 4},
    }
    assert [probe.hits for probe in shot.probes] == [4, 1]
    assert shot.probes[0].probe.point == 'kernel.function("vfs_read")'
    data = gzip.decompress((RECORDED / f"{name}.events.gz").read_bytes())
    text = events.transcript(events.decode(data, manifest, sizes.event), manifest)
    assert text.startswith("read is 1\nread is 2\nread is 3\nread is 4\nread 4")
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_there_are_some() -> None:
    assert len(NAMES) >= 2


def record(name: str) -> None:
    """Run the script in user space, and keep its image and its events."""
    from tests.language import userspace
    from tests.language.userspace import HostedRuntime, Script

    def keep(folder: Path, number: int, status: int, manifest: Manifest) -> object:
        for kind in ("image", "events"):
            packed = gzip.compress((folder / f"{number}.{kind}").read_bytes(), mtime=0)
            (RECORDED / f"{name}.{kind}.gz").write_bytes(packed)
        return made(folder, number, status, manifest)

    made, userspace._outcome = userspace._outcome, keep  # type: ignore[assignment]
    with HostedRuntime.open() as hosted:
        print(hosted.run([Script("recorded", SCRIPT, rounds=4, lanes=2)]))


if __name__ == "__main__":
    record(sys.argv[1])
