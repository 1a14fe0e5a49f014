# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's page in a real browser: what it shows is what /metrics has, and names of the host stay text.

The agent is the real one, over modules that a test fills in. A picture of each view is in build/page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from agent.exposition.render import Format
from agent.web import page_files
from runtime.abi import structs
from runtime.abi.manifest import Table
from tests import PROJECT
from tests.agent.conftest import Lines, run
from tests.agent.daemon.test_service import Agent, configure, serving
from tests.agent.pages import parsed
from tests.agent.standin import ELEMENTS, StandInDevice

pytestmark = pytest.mark.host

PICTURES = PROJECT / "build/page"
PATIENCE = 60.0  # seconds
HOSTILE = (
    '<img src=x onerror="document.title=1">',
    "\u202eright to left\u202c",
    "two\nlines",
    '"><script>document.title=2</script>',
)
SHOWN = (HOSTILE[0], r"\u202eright to left\u202c", r"two\x0alines", HOSTILE[3])
CONFIG = """\
scripts:
  vfs:
    metrics:
      sizes: {unit: bytes}
      title: {type: info}
      calls: {unit: seconds, scale: 1e-3}
"""
SCRIPT = "ok tables\n\tprobe begin { calls[execname()]++ }\n"
VIEWS = ("metrics", "hooks", "source", "log", "facts")


class Page:
    """The page in a browser; `url` ends with a slash."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser, self.url = browser, url

    def open(self, where: str = "") -> None:
        # leave the page before, so that its history is not that of this one
        self.browser.get("about:blank")
        self.complaints()  # of that one
        self.browser.get(f"{self.url}{where}")

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """The first result that is true."""
        return WebDriverWait(self.browser, PATIENCE, 0.05).until(lambda _: condition(), what)

    def texts(self, selector: str) -> list[str]:
        """All at once, as elements may be replaced in between."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
        found: list[str] = self.browser.execute_script(script, selector)
        return found

    def rows(self, label: str) -> list[list[str]]:
        """The cells of a table; numbers are whole."""
        script = """
            const rows = [...document.querySelectorAll(`table[aria-label="${arguments[0]}"] tbody tr`)];
            const text = (cell) => cell.querySelector("data")?.value ?? cell.textContent;
            return rows.map((row) => [...row.children].map(text));
        """
        found: list[list[str]] = self.browser.execute_script(script, label)
        return found

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def hash(self) -> str:
        return str(self.browser.execute_script("return location.hash"))

    def picture(self, name: str) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.browser.save_screenshot(str(PICTURES / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser's console has: errors, and what the policy of the page forbids."""
        return [entry["message"] for entry in self.browser.get_log("browser")]  # type: ignore[no-untyped-call]


def started(*arguments: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    # root has no sandbox; a container has little shared memory
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", *arguments):
        options.add_argument(argument)
    options.add_argument("--window-size=1400,1200")
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    return webdriver.Chrome(options=options, service=service)


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    one = started()
    yield one
    one.quit()


class Filled:
    """A script with a table of each kind, and values in them."""

    def __init__(self, device: StandInDevice) -> None:
        self.device = device
        self.writer = device.writer
        self.tables: dict[str, Table] = {t.name: t for t in self.writer.manifest.tables}

    def names(self, *names: str) -> None:
        for slot, name in enumerate(names):
            self.writer.slot(self.tables["calls"], slot, 2, (name,))
            self.calls(slot, 1000 + slot)

    def calls(self, slot: int, count: int) -> None:
        self.writer.row(self.tables["calls"], 0, slot, count)

    def everything(self) -> None:
        self.names("sshd", "cron", *HOSTILE)
        for slot, device in enumerate(("vda", "nvme0n1")):
            self.writer.slot(self.tables["sizes"], slot, 2, (device,))
            counts = [0] * 65
            counts[10:16] = [slot + 1, 2, 40, 20, 5, 1]
            self.writer.row(self.tables["sizes"], 0, slot, 4711 * (slot + 1), *counts)
        self.writer.row(self.tables["depth"], 0, 0, 17)
        self.writer.slot(self.tables["title"], 0, 2, (7,))
        self.writer.text(self.tables["title"], 0, b"a text")
        self.hits(300, 100)

    def hits(self, *hits: int) -> None:
        """Of each probe; a hit takes a microsecond."""
        size = structs.PROBE_COUNTS.size
        for probe, count in enumerate(hits):
            self.writer.in_lane(0, probe * size, count)
            self.writer.in_lane(0, (probe + 1) * size - 8, count * 1000)


@asynccontextmanager
async def filled(folder: Path) -> AsyncIterator[tuple[Agent, Filled]]:
    async with serving(configure(folder, CONFIG, vfs=SCRIPT, other="ok 1")) as agent:
        [device] = [d for name, d in agent.kernel.devices.items() if "_vfs_" in name]
        yield agent, Filled(device)


def looking(
    folder: Path, browser: webdriver.Chrome, look: Callable[[Page, Filled, Agent], None]
) -> None:
    """Run `look` in a thread, beside the agent."""

    async def work() -> None:
        async with filled(folder) as (agent, script):
            page = Page(browser, f"http://{agent.service.addresses[0]}/")
            await asyncio.to_thread(look, page, script, agent)

    asyncio.run(work())  # each step has its own patience


async def scraped(agent: Agent) -> dict[str, dict[str, float]]:
    """Values by the name of the sample, and by the value of the only label."""
    _, _, body = await agent.get("/metrics")
    found: dict[str, dict[str, float]] = {}
    for family in parsed(body, Format.TEXT).values():
        for sample in family.samples:
            label = ",".join(v for k, v in sorted(sample.labels.items()) if k != "le")
            found.setdefault(sample.name, {})[label] = sample.value
    return found


def test_values_are_those_of_the_scrape(
    tmp_path: Path, lines: Lines, browser: webdriver.Chrome
) -> None:
    async def work() -> None:
        async with filled(tmp_path) as (agent, script):
            script.everything()
            page = Page(browser, f"http://{agent.service.addresses[0]}/")
            page_rows = await asyncio.to_thread(look, page)
            served = await scraped(agent)
            calls = {
                name: float(value) for name, value, *_ in page_rows["stapwatch_vfs_calls_seconds"]
            }
            expected = served["stapwatch_vfs_calls_seconds_total"]
            assert calls["sshd"] == expected["sshd"] == 1.0
            assert sorted(calls.values()) == sorted(expected.values())
            sizes = {
                row[0]: int(row[1].replace(",", ""))
                for row in page_rows["stapwatch_vfs_sizes_bytes"]
            }
            assert sizes == served["stapwatch_vfs_sizes_bytes_count"] == {"vda": 69, "nvme0n1": 70}
            assert page_rows["depth"] == [[str(int(served["stapwatch_vfs_depth"][""]))]] == [["17"]]
            assert page_rows["stapwatch_vfs_title"] == [["7", "a text"]]

    def look(page: Page) -> dict[str, list[list[str]]]:
        page.open("#/script/vfs")
        page.until(lambda: page.rows("stapwatch_vfs_title"), "the metrics")
        page.until(lambda: page.texts("#metric-calls .legend li"), "a second reading")
        assert page.complaints() == []
        page.picture("metrics")
        names = ("calls_seconds", "sizes_bytes", "title")
        found = {f"stapwatch_vfs_{n}": page.rows(f"stapwatch_vfs_{n}") for n in names}
        found["depth"] = [[page.texts("#metric-depth .number data")[0]]]
        return found

    run(work())


def test_hostile_names_stay_text(tmp_path: Path, lines: Lines, browser: webdriver.Chrome) -> None:
    def look(page: Page, script: Filled, agent: Agent) -> None:
        script.everything()
        page.open("#/script/vfs")
        page.until(
            lambda: page.texts("#metric-calls .legend li"), "the chart, which has the names as well"
        )
        names = {row[0] for row in page.rows("stapwatch_vfs_calls_seconds")}
        assert set(SHOWN) <= names
        assert page.texts("main img") == page.texts("main script") == []
        assert page.browser.title == "vfs – stapwatch"
        assert page.complaints() == []

    looking(tmp_path, browser, look)


def test_each_view(tmp_path: Path, lines: Lines, browser: webdriver.Chrome) -> None:
    def look(page: Page, script: Filled, agent: Agent) -> None:
        script.everything()
        script.device.say()
        agent.service._health.compiler = "0.2.0"
        page.open()
        page.until(lambda: len(page.rows("scripts")) == 2, "the scripts")
        page.until(lambda: page.texts("main .legend li"), "a chart")
        names = {row[0]: row for row in page.rows("scripts")}
        assert "running" in names["vfs"][1] and names["vfs"][4] == "1 µs"
        older = "its module is of compiler 0.1.0; to replace it: stapwatch reload --recompile"
        assert names["vfs"][-1] == older, names["vfs"]
        page.picture("scripts")
        for number, view in enumerate(VIEWS, 1):
            if number == 1:
                page.open("#/script/vfs")
            page.press(str(number))
            page.until(partial(lambda name: page.texts("[aria-current]") == [name], view), view)
            checks[view](page)
            page.picture(view)
        assert page.complaints() == []

    def hooks(page: Page) -> None:
        rows = page.until(lambda: page.rows("hooks"), "the hooks")
        assert [row[4] for row in rows] == ["300", "100"], "the one with most hits comes first"

    def source(page: Page) -> None:
        page.until(lambda: page.rows("the script's text"), "the text")
        first, second = page.rows("the script's text")
        assert first == ["100", "25 %", "1", "ok tables"], "the second handler begins in line 1"
        assert second == ["", "", "2", "\tprobe begin { calls[execname()]++ }"]

    def log(page: Page) -> None:
        page.until(lambda: page.rows("log"), "a line")
        [[_, probe, text]] = page.rows("log")
        assert probe == 'kernel.function("f0")' and text == "hello"

    def facts(page: Page) -> None:
        page.until(lambda: page.rows("globals"), "the globals")
        assert ["calls", "stapwatch_vfs_calls_seconds"] in [row[:2] for row in page.rows("globals")]

    def metrics(page: Page) -> None:
        page.until(lambda: page.rows("stapwatch_vfs_sizes_bytes"), "the metrics")

    checks = {"metrics": metrics, "hooks": hooks, "source": source, "log": log, "facts": facts}
    looking(tmp_path, browser, look)


def test_ten_thousand_series(tmp_path: Path, lines: Lines, browser: webdriver.Chrome) -> None:
    """All of them are found, few are laid out, and their values go on changing."""

    def look(page: Page, script: Filled, agent: Agent) -> None:
        script.names(*(f"process-{n}" for n in range(ELEMENTS)))
        page.open("#/script/vfs")
        page.until(lambda: page.rows("stapwatch_vfs_calls_seconds"), "the metrics")
        assert len(page.rows("stapwatch_vfs_calls_seconds")) < 200
        page.press("/", "process=process-4711")
        [[name, value, *_]] = page.until(
            lambda: len(found := page.rows("stapwatch_vfs_calls_seconds")) == 1 and found, "the one"
        )
        assert (name, float(value)) == ("process-4711", 5.711)
        script.calls(4711, 9_000_000)
        page.until(
            lambda: page.rows("stapwatch_vfs_calls_seconds")[0][1] == "9000", "its new value"
        )
        page.press(Keys.ESCAPE)
        page.until(lambda: len(page.rows("stapwatch_vfs_calls_seconds")) > 1, "all again")
        page.browser.find_element(By.XPATH, "//th[contains(., 'total')]/button").click()
        page.until(
            lambda: page.rows("stapwatch_vfs_calls_seconds")[0][0] == "process-4711",
            "the largest first",
        )
        page.picture("storm")
        assert page.complaints() == []

    looking(tmp_path, browser, look)


def test_more_than_is_sent(
    tmp_path: Path, lines: Lines, browser: webdriver.Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.daemon.script_values.MOST", 100)

    def look(page: Page, script: Filled, agent: Agent) -> None:
        script.names(*(f"process-{n}" for n in range(150)))
        page.open("#/script/vfs")
        text = "the largest 100 of 150 elements; all are in /metrics"
        page.until(lambda: text in page.texts("#metric-calls > p"), "it says so")
        page.press("/", "process-0")
        page.until(
            lambda: page.rows("stapwatch_vfs_calls_seconds") == [], "the smallest are not there"
        )

    looking(tmp_path, browser, look)


def test_the_keyboard_is_enough(tmp_path: Path, lines: Lines, browser: webdriver.Chrome) -> None:
    def look(page: Page, script: Filled, agent: Agent) -> None:
        script.everything()
        page.open()
        page.until(lambda: len(page.rows("scripts")) == 2, "the scripts")
        page.press("/", "vfs")
        page.until(lambda: [row[0] for row in page.rows("scripts")] == ["vfs"], "the filter")
        page.press(Keys.TAB, "j", Keys.ENTER)
        page.until(lambda: page.hash() == "#/script/vfs", "the script")
        page.press("3")
        page.until(lambda: page.hash() == "#/script/vfs/source", "the third tab")
        page.press("?")
        page.until(lambda: page.texts("dialog[open] h2"), "the help")
        page.press(Keys.ESCAPE, "p")
        page.until(lambda: page.texts("#pause") == ["go on"], "the pause")
        page.press("p", "o")
        page.until(lambda: page.hash() == "#/" and page.rows("scripts"), "all scripts")

    looking(tmp_path, browser, look)


def test_without_the_library(
    tmp_path: Path, lines: Lines, browser: webdriver.Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables work, and the page says what is missing."""
    monkeypatch.setattr(page_files, "_LIBRARY", tmp_path)
    page_files.files.cache_clear()

    def look(page: Page, script: Filled, agent: Agent) -> None:
        script.everything()
        page.open("#/script/vfs")
        page.until(lambda: len(page.rows("stapwatch_vfs_calls_seconds")) == 6, "the metrics")
        assert any("libjs-dygraphs is not installed" in text for text in page.texts("figure p"))
        missing = page.complaints()
        assert missing and all("/page/library/" in text for text in missing)

    try:
        looking(tmp_path, browser, look)
    finally:
        page_files.files.cache_clear()


def test_an_agent_that_ends_is_told(
    tmp_path: Path, lines: Lines, browser: webdriver.Chrome
) -> None:
    def look(page: Page, script: Filled, agent: Agent) -> None:
        page.open()
        page.until(lambda: len(page.rows("scripts")) == 2, "the scripts")

    looking(tmp_path, browser, look)
    page = Page(browser, "")
    page.until(
        lambda: any("no answer from the agent" in text for text in page.texts("#notices p")),
        "it says so",
    )
    assert len(page.rows("scripts")) == 2, "what was known stays"


def test_dark_and_light(tmp_path: Path, lines: Lines, browser: webdriver.Chrome) -> None:
    def look(page: Page, script: Filled, agent: Agent) -> None:
        script.everything()
        grounds = {}
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            page.open("#/script/vfs")
            page.until(lambda: page.texts("#metric-calls .legend li"), "the chart")
            script_ = "return getComputedStyle(document.body).backgroundColor"
            grounds[scheme] = page.browser.execute_script(script_)
            page.picture(f"metrics-{scheme}")
        assert grounds["light"] != grounds["dark"]

    looking(tmp_path, browser, look)


def test_files(tmp_path: Path, lines: Lines) -> None:
    """Browsers ask again for each file, and get it only if it has changed; there are no others."""

    async def work() -> None:
        async with serving(configure(tmp_path, a="ok 1")) as agent:
            for path in page_files.files():
                status, headers, body = await agent.get(path)
                assert status == 200 and body, path
                assert "'unsafe" not in headers["content-security-policy"]
                status, _, body = await agent.get(path, **{"If-None-Match": headers["etag"]})
                assert (status, body) == (304, b""), path
            for path in ("/page/", "/page/../page_files.py", "/page/nothing.js", "/page/library/x"):
                assert (await agent.get(path))[0] == 404, path

    run(work())
