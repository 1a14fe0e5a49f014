# SPDX-License-Identifier: GPL-2.0-or-later
"""The content store: entries are complete, verified, limited in number and private."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from compiler.support.content_store import Cache, UnsafeCache, key_of

KEY = key_of("a key")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def work_folders(cache: Cache) -> list[Path]:
    return list((cache.root / "work").iterdir())


def test_an_entry_comes_back_as_it_was_put(cache: Cache, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"from a file")
    cache.put(KEY, {"a.ko": b"\x00module\xff", "include/x/b.h": source})
    entry = Cache(cache.root).get(KEY)
    assert entry is not None
    assert sorted(entry.files) == ["a.ko", "include/x/b.h"]
    assert entry.read("a.ko") == b"\x00module\xff"
    assert entry.read("include/x/b.h") == b"from a file"
    assert work_folders(cache) == []


def test_keys_separate_their_parts() -> None:
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("ab", "c", "")}) == 4
    assert key_of("ab", b"c") == key_of("ab", "c")


def test_a_missing_entry_is_none(cache: Cache) -> None:
    assert cache.get(KEY) is None


@pytest.mark.parametrize("harm", ["cut", "change", "remove", "index", "no index"])
def test_a_damaged_entry_is_thrown_away_and_can_be_made_again(cache: Cache, harm: str) -> None:
    folder = cache.put(KEY, {"a.ko": b"module", "b": b"other"}).folder
    match harm:
        case "cut":
            os.truncate(folder / "a.ko", 3)
        case "change":
            (folder / "a.ko").write_bytes(b"moDule")
        case "remove":
            (folder / "a.ko").unlink()
        case "index":
            (folder / "index.json").write_text("[1, 2")
        case "no index":
            (folder / "index.json").unlink()
    assert cache.get(KEY) is None
    assert not folder.exists()
    cache.put(KEY, {"a.ko": b"module", "b": b"other"})
    again = cache.get(KEY)
    assert again is not None and again.read("a.ko") == b"module"


def test_put_replaces_a_damaged_entry_and_keeps_a_healthy_one(cache: Cache) -> None:
    cache.put(KEY, {"a": b"first"})
    assert cache.put(KEY, {"a": b"second"}).read("a") == b"first"
    (cache.put(KEY, {"a": b""}).folder / "a").write_bytes(b"damaged")
    assert cache.put(KEY, {"a": b"third"}).read("a") == b"third"
    assert work_folders(cache) == []


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=10_000)
    keys = [key_of(str(number)) for number in range(4)]
    for age, key in enumerate(keys):
        folder = cache.put(key, {"data": b"x" * 2_000}).folder
        os.utime(folder, (1_000 + age, 1_000 + age))
    assert cache.get(keys[0]) is not None  # just used: the youngest
    newest = key_of("new")
    cache.put(newest, {"data": b"x" * 5_000})
    kept = [key for key in (*keys, newest) if cache.get(key) is not None]
    assert kept == [keys[0], keys[3], newest]
    total = sum(path.stat().st_size for path in cache.root.rglob("*") if path.is_file())
    assert total <= 10_000


def test_what_is_larger_than_the_limit_still_comes_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", limit=100)
    assert cache.put(KEY, {"data": b"x" * 1000}).read("data") == b"x" * 1000


def test_old_work_folders_are_cleared_and_young_ones_stay(cache: Cache) -> None:
    old, young = cache.root / "work/old", cache.root / "work/young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (1, 1))
    cache.sweep()
    assert work_folders(cache) == [young]


def _write_often(root: Path, seed: int, failures: multiprocessing.Queue[str]) -> None:
    cache = Cache(root)
    try:
        for round_ in range(60):
            key = key_of(str(round_ % 5))
            content = (f"{round_ % 5}" * 5000).encode()
            entry = cache.get(key)
            if entry is None:
                entry = cache.put(key, {"a": content, "b": content[:100]})
            if entry.read("a") != content:
                failures.put(f"wrong contents in round {round_}")
            if (round_ + seed) % 7 == 0:
                (entry.folder / "a").write_bytes(b"damage")
                cache.get(key)
    except FileNotFoundError:
        pass  # the other process removed the entry between two of our steps, which is allowed
    except BaseException as error:
        failures.put(repr(error))


def test_many_processes_write_and_damage_the_same_keys(cache: Cache) -> None:
    context = multiprocessing.get_context("spawn")
    failures: multiprocessing.Queue[str] = context.Queue()
    writers = [
        context.Process(target=_write_often, args=(cache.root, seed, failures)) for seed in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    found = []
    while not failures.empty():
        found.append(failures.get())
    # a reader may read damage by another before the hash is checked again, but never a mix of two entries
    assert [text for text in found if "Error" in text] == []
    assert work_folders(cache) == []


@pytest.mark.parametrize("folder", ["", "entries", "work"])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, folder: str) -> None:
    root = tmp_path / "cache"
    Cache(root)
    (root / folder).chmod(0o777)
    with pytest.raises(UnsafeCache, match="others may write") as caught:
        Cache(root)
    assert caught.value.slug == "unsafe-cache"
    assert "chmod go-w" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    os.chown(root, 65534, 65534)
    with pytest.raises(UnsafeCache, match="belongs to user 65534"):
        Cache(root)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "real")
    with pytest.raises(UnsafeCache, match="is not a folder"):
        Cache(tmp_path / "cache")


def test_the_folder_is_made_private(cache: Cache) -> None:
    assert cache.root.stat().st_mode & 0o777 == 0o700
