# SPDX-License-Identifier: GPL-2.0-or-later
"""The families about stores: their states, and what is refused since this agent began."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import status_table
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.daemon.store_metrics import StoreReports, running_build_id
from agent.exposition.render import Format
from agent.store.looks import Look, Looks, StoreState
from agent.store.refusals import Refusal, RefusalCounts
from compiler.kernel.image import running_build_id as here
from tests.agent.pages import samples
from tests.agent.store.fleet import Fleet

KERNEL, OTHER = "ab" * 20, "cd" * 20
URL = "https://a.example.org/store"
READY = Look(URL, KERNEL, StoreState.READY, modules=3)
REFUSED = Look(URL, KERNEL, StoreState.REFUSED, "it was changed", refusal="digest")


class Page:
    """The agent's page and its status, for what is in a spool folder."""

    def __init__(self, folder: Path) -> None:
        self.looks, self.counts = Looks(folder), RefusalCounts()
        self.reports = StoreReports(Looks(folder), self.counts, lambda: KERNEL)

    def values(self, *urls: str) -> dict[str, float]:
        """By name, and the labels besides the store."""
        metrics = SelfMetrics(Health(), {})
        metrics.stores = lambda: self.reports.families(urls or (URL,))
        found = samples(metrics.render(Format.TEXT), Format.TEXT)
        return {
            " ".join(
                [name.removeprefix("stapwatch_store_"), *(v for k, v in labels if k != "store")]
            ): value
            for (name, labels), value in found.items()
            if name.startswith("stapwatch_store_")
        }

    def status(self) -> str:
        tree = {"scripts": [], "stores": self.reports.trees([URL])}
        return status_table.table(tree, 1000.0)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


def test_states(page: Page) -> None:
    assert page.values()["state never"] == 1 and page.values()["modules"] == 0
    assert "! store https://a.example.org/store: never\n    nobody has asked it" in page.status()
    page.looks.note([READY, Look(URL, OTHER, StoreState.NO_KERNEL)], 100.0)
    found = page.values()
    assert [found[f"state {state.value}"] for state in StoreState] == [0, 1, 0, 0, 0]
    assert (found["last_success_timestamp_seconds"], found["modules"]) == (100, 3)
    assert page.status() == "no scripts"
    page.looks.note([REFUSED], 400.0)
    found = page.values()
    assert (found["state refused"], found["last_success_timestamp_seconds"]) == (1, 100)
    assert page.status() == (
        "no scripts\n\n! store https://a.example.org/store: refused; all was well 15 min ago\n"
        "    it was changed"
    )


def test_refusals_since_the_agent_began(page: Page, tmp_path: Path) -> None:
    page.looks.note([REFUSED], 1.0)
    page = Page(tmp_path)
    assert page.values()["refused_total digest"] == 0, "an older agent has counted it"
    page.looks.note([REFUSED], 2.0)
    page.counts.add(URL, Refusal.MODULE)  # the loader's
    found = page.values()
    assert (found["refused_total digest"], found["refused_total module"]) == (1, 1)
    assert {name for name in found if name.startswith("refused")} == {
        f"refused_total {reason.value}" for reason in Refusal
    }
    (tmp_path / "looks.json").unlink()
    assert page.values()["refused_total digest"] == 1
    page.looks.note([REFUSED], 3.0)
    assert page.values()["refused_total digest"] == 2


def test_only_stores_of_the_configuration(page: Page) -> None:
    page.looks.note([READY], 1.0)
    assert page.values("file:///srv/other")["state never"] == 1
    assert next(iter(page.reports.families())).samples == []


def test_of_this_kernel() -> None:
    assert running_build_id() == here().hex()


@pytest.mark.host
def test_what_sync_and_the_loader_find(tmp_path: Path) -> None:
    """The whole way: a store whose catalogue nobody signed, and then a module that was changed after its fetch."""
    fleet, counts = Fleet(tmp_path), RefusalCounts()
    reports = StoreReports(Looks(fleet.spool.folder), counts)
    fleet.publish()
    fleet.sync_and_note()
    [look] = reports.looks([fleet.url])
    assert (look.state, look.modules, look.problem) == (StoreState.READY, 2, "")
    list(reports.families([fleet.url]))
    fleet.publish(made=b"")
    fleet.sync_and_note()
    [look] = reports.looks([fleet.url])
    assert (look.state, look.refusal, look.modules) == (StoreState.REFUSED, "signature", 2)
    blob = fleet.spool.folder / fleet.stored("vfs").descriptor.path
    blob.write_bytes(blob.read_bytes()[:-1])
    fleet.restart_loader(counts)
    assert fleet.find("vfs") is None
    done, _ = fleet.operations.do({"do": "refusals"}, None)  # type: ignore[arg-type]
    assert done == [[fleet.url, "digest", 1]]
    for url, reason, count in done:
        counts.add(url, reason, count)
    refused = list(reports.families([fleet.url]))[3].samples
    assert {s.labels["reason"]: s.value for s in refused if s.value} == {
        "signature": 1,
        "digest": 1,
    }
    fleet.configure((tmp_path / "none").as_uri())
    fleet.sync_and_note()
    [look] = reports.looks([(tmp_path / "none").as_uri()])
    assert (look.state, look.succeeded) == (StoreState.UNAVAILABLE, 0)
