# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration: the agent with the example probes, its page, and a live table of their series.

    python -m lab.demo [--for 30] [--kernel 6.12]       # from the project's folder

The agent is a child of this process if this machine can load modules, else the service of a Debian guest.
Everything that was started ends with this process; `--for` ends it after some seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from lab.demo_target import PROJECT, DemoTarget, GuestTarget, LocalTarget, why_not_local
from lab.guest import Guest
from lab.host import LabError, say
from lab.image import KERNELS, Image
from lab.live_table import LiveTable
from lab.suites import DEFAULT_KERNEL

PATIENCE = 400.0  # seconds until the agent must be ready
STEP = 2.0  # seconds between scrapes
PLAIN = 10.0  # seconds between tables if the output is not a terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description="the agent with example probes")
    parser.add_argument("--for", dest="seconds", type=float, help="end after serving so long")
    known = ", ".join(KERNELS)
    parser.add_argument("--kernel", help=f"the lab's, even where this machine would do: {known}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    serving = False
    try:
        with contextlib.ExitStack() as stack:
            # all that was started ends with this process; a second Ctrl-C must not interrupt that
            stack.callback(signal.signal, signal.SIGTERM, signal.SIG_DFL)
            stack.callback(signal.signal, signal.SIGINT, signal.default_int_handler)
            target = choose(options.kernel, stack)
            stack.callback(signal.signal, signal.SIGTERM, signal.SIG_IGN)
            stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
            wait_until_ready(target)
            serving = True
            print(f"{target.url}/  the page, beside it /metrics  ({target.where})", flush=True)
            say(f"serving after {time.monotonic() - started:.0f} s; Ctrl-C ends it")
            target.keep_busy()
            watch(target, options.seconds)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if serving else 130
    except BrokenPipeError:
        # the reader of our output is gone: print nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def choose(kernel: str | None, stack: contextlib.ExitStack) -> DemoTarget:
    """Start the agent on this machine if it can run here, else in a guest."""
    why = f"kernel {kernel} is asked for" if kernel else why_not_local()
    if why is None:
        folder = tempfile.TemporaryDirectory(prefix="stapwatch-demo-")
        return LocalTarget(Path(stack.enter_context(folder)), stack)
    say(f"not on this machine: {why}; in the lab instead, a Debian guest")
    image = Image.ensure(kernel or DEFAULT_KERNEL)
    say("starting the guest")
    return GuestTarget(stack.enter_context(Guest.boot(image)))


def wait_until_ready(target: DemoTarget) -> None:
    """Return when all scripts have been compiled and loaded; print a line for each step."""
    deadline = time.monotonic() + PATIENCE
    said = ""
    while True:
        status, _ = get(f"{target.url}/-/ready")
        if status == 200:
            return
        if why := target.failure():
            raise LabError(why)
        if time.monotonic() > deadline:
            raise LabError(f"the agent is not ready after {PATIENCE:.0f} s")
        text = progress(target)
        if text != said:
            said = text
            say(text)
        time.sleep(STEP / 4)


def progress(target: DemoTarget) -> str:
    """The agent's current step, as a line for the user."""
    status, body = get(f"{target.url}/status")
    if status != 200:
        return "starting the agent"
    scripts: list[dict[str, Any]] = json.loads(body)["scripts"]
    done = sum(script["compile_seconds"] > 0 for script in scripts)
    if not scripts:
        return "reading the configuration"
    return f"compiling scripts: {done} of {len(scripts)} done"


def get(url: str) -> tuple[int, str]:
    """Status and text of a page; status 0 if the server does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except (OSError, http.client.HTTPException):
        return 0, ""


def watch(target: DemoTarget, seconds: float | None) -> None:
    """Show the series until the time is up. On a terminal each table replaces the one before."""
    table = LiveTable(family_names())
    in_place = sys.stdout.isatty()
    end = time.monotonic() + seconds if seconds is not None else None
    drawn = 0
    due = time.monotonic()
    while True:
        now = time.monotonic()
        if end is not None and now >= end:
            return
        if now >= due:
            due += STEP if in_place else PLAIN
            status, text = get(f"{target.url}/metrics")
            if status != 200:
                raise LabError(
                    target.failure() or f"{target.url}/metrics does not answer ({status})"
                )
            table.update(text, time.monotonic())
            drawn = draw(table, drawn if in_place else 0)
        time.sleep(min(max(due - now, 0.05), 0.25))


def draw(table: LiveTable, over: int) -> int:
    """Print the table over the last `over` lines; return how many lines it has."""
    size = shutil.get_terminal_size((100, 50))
    lines = table.lines(size.columns - 1)
    if sys.stdout.isatty():
        lines = lines[: size.lines - 1]  # lines that scroll away cannot be drawn over
    if over:
        print(f"\x1b[{over}F\x1b[J", end="")
    print("\n".join(lines), end="\n" if sys.stdout.isatty() else "\n\n", flush=True)
    return len(lines)


def family_names() -> set[str]:
    """The names of metrics that the packaged configuration declares."""
    names = set()
    for path in (PROJECT / "packaging" / "etc" / "conf.d").glob("*.yaml"):
        for script in yaml.safe_load(path.read_text()).get("scripts", {}).values():
            metrics = script.get("metrics", {}).values()
            names |= {metric["name"] for metric in metrics if "name" in metric}
    return names


if __name__ == "__main__":
    sys.exit(main())
