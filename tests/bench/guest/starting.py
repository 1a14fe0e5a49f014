# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: the start of the agent with a warm cache, and its memory.

    starting.py request.json scripts -> {"start": s, "rss": bytes, "rss_tls": bytes, "rss_more": bytes, "cached": s}

Only so many scripts are there at the start; those with higher numbers come before "rss_more" is measured.

Times are by the guest's clock, which counts one executed instruction as a nanosecond where it can.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from agent.scripts.compile_worker import COMMAND

PROBES, LATER = Path("/etc/stapwatch/probes.d"), Path("/etc/stapwatch/later")
STEADY = 10  # seconds and scrapes until memory is stable


def main() -> None:
    request, scripts = sys.argv[1], int(sys.argv[2])
    hold_back(scripts)
    # the modules were built outside and are cached; this fills the compiler's other caches
    timed("warming the cache", lambda: compile_once(request))
    cached = timed("a compile out of the cache", lambda: compile_cached(request))
    timed("warming the agent's cache", lambda: systemctl("start"))
    timed("its stop", lambda: systemctl("stop"))
    start = timed(f"the agent's start with {scripts} scripts", lambda: systemctl("start"))
    assert running() == scripts
    timed("scrapes until memory is steady", scrape)
    rss = resident()
    switch_tls_on()
    timed("scrapes over TLS until memory is steady", lambda: scrape("https"))
    rss_tls = resident()
    more = add_more()
    timed(f"a reload with {more} scripts more", lambda: systemctl("reload"))
    assert running("https") == scripts + more
    timed("scrapes until memory is steady", lambda: scrape("https"))
    rss_more = resident()
    timed("the agent's stop", lambda: systemctl("stop"))
    memory = {"rss": rss, "rss_tls": rss_tls, "rss_more": rss_more}
    print(json.dumps({"start": start, "cached": cached, "more": more, **memory}))


def hold_back(scripts: int) -> None:
    LATER.mkdir()
    for file in PROBES.glob("*.stp"):
        if int(file.stem.rpartition("_")[2]) >= scripts:
            file.rename(LATER / file.name)


def add_more() -> int:
    """How many."""
    files = list(LATER.glob("*.stp"))
    for file in files:
        file.rename(PROBES / file.name)
    return len(files)


def running(scheme: str = "http") -> int:
    """The number of scripts that run; raises AssertionError if another one does not."""
    scripts = json.loads(page("/status", scheme))["scripts"]
    assert all(script["state"] == "running" for script in scripts), scripts
    return len(scripts)


def timed(what: str, work: Callable[[], object]) -> float:
    """Seconds of the guest's clock; prints them."""
    begun = time.monotonic()
    work()
    took = time.monotonic() - begun
    print(f"{what}: {took:.3f} s", file=sys.stderr, flush=True)
    return took


def compile_once(request: str) -> bool:
    """Whether the module came from the cache."""
    data = Path(request).read_bytes()
    done = subprocess.run(COMMAND, input=data, capture_output=True, check=True)
    response = json.loads(done.stdout)
    assert response["ok"], response
    return bool(response["cached"])


def compile_cached(request: str) -> None:
    assert compile_once(request), "the guest's cache is cold"


def systemctl(verb: str) -> None:
    """Run a verb on the service; `start` returns after READY=1."""
    subprocess.run(["systemctl", verb, "stapwatch"], check=True)


def switch_tls_on() -> None:
    """By a reload. The web configuration file is there already."""
    Path("/etc/stapwatch/conf.d/tls.yaml").write_text("web_config_file: ../web.yaml\n")
    systemctl("reload")
    deadline = time.monotonic() + 60
    while True:
        try:
            page("/metrics", "https")
            return
        except OSError:
            assert time.monotonic() < deadline, "no TLS"
            time.sleep(0.2)


def scrape(scheme: str = "http") -> None:
    for _ in range(STEADY):
        page("/metrics", scheme)
        time.sleep(1)


def page(path: str, scheme: str = "http") -> bytes:
    context = None
    if scheme == "https":
        context = ssl.create_default_context(cafile="/etc/stapwatch/authority.pem")
    url = f"{scheme}://127.0.0.1:9436{path}"
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        text: bytes = answer.read()
    return text


def resident() -> dict[str, int]:
    """Resident bytes of the agent: total, anonymous, and of files (libraries, tables)."""
    show = ["systemctl", "show", "-P", "MainPID", "stapwatch"]
    pid = subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "RssAnon", "RssFile"):
            found[name] = int(value.split()[0]) << 10
    return found


if __name__ == "__main__":
    main()
