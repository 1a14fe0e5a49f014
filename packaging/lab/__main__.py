# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab by hand.

    python -m lab build [--kernel 6.12]
    python -m lab run [--kernel K] [--share DIR] [--cmd 'stapwatch run -e ...']

`run` gives a fresh guest with the project installed, passes the command's output and exit status
through and throws the guest away; without --cmd it gives a shell.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from pathlib import Path
from types import FrameType

from lab import install_app
from lab.channel import ChannelClosed
from lab.guest import Guest, Running
from lab.host import LabError, say
from lab.image import KERNELS, Image
from lab.suites import DEFAULT_KERNEL

PROJECT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab", description="a QEMU guest with a real kernel")
    commands = parser.add_subparsers(dest="what", required=True)
    for name, text in (("build", "build the image"), ("run", "run a command in a fresh guest")):
        command = commands.add_parser(name, help=text)
        known = ", ".join(KERNELS)
        command.add_argument("--kernel", default=DEFAULT_KERNEL, help=f"one of {known}, or a suite")
        if name == "run":
            command.add_argument("--share", type=Path, help="shown read-only at /share")
            command.add_argument("--cmd", help="for sh; without it, an interactive shell")
            command.add_argument("--memory", type=int, default=1024, metavar="MB")
            command.add_argument("--fresh", action="store_true", help="boot, restore no snapshot")
    options = parser.parse_args()
    try:
        image = Image.ensure(options.kernel or DEFAULT_KERNEL)
        if options.what == "build":
            print(image.folder)
            return 0
        with Guest.boot(
            image, memory_mb=options.memory, share=options.share, fresh=options.fresh
        ) as guest:
            if install_app.runs_in(image):
                install_app.install(guest, PROJECT)
            else:
                say(f"the project is not installed: it cannot run on Python {image.python}")
            if options.cmd is None:
                return give_shell(guest)
            return run_command(guest, options.cmd)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 125


def run_command(guest: Guest, command: str) -> int:
    """Pass a command's input, output and status through. Ctrl-C goes to it; the second one ends
    the guest."""
    pipes_in = not sys.stdin.isatty()
    running = guest.start(command, stdin=pipes_in)
    interrupts = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupts
        interrupts += 1
        if interrupts > 1:
            raise KeyboardInterrupt
        # from a thread: this may have interrupted the channel while it holds its lock
        threading.Thread(target=_quietly_kill, args=(running, number), daemon=True).start()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    if pipes_in:
        threading.Thread(target=_copy_input, args=(running,), daemon=True).start()
    try:
        done = running.wait(stream=_pass_on)
    except KeyboardInterrupt:
        return 130
    return done.status if done.status >= 0 else 128 - done.status


def give_shell(guest: Guest) -> int:
    """Give a shell on a terminal of the guest; it ends with the shell."""
    if not sys.stdin.isatty():
        raise LabError("a shell needs a terminal; give a command with --cmd")
    size = shutil.get_terminal_size()
    environment = {"TERM": os.environ.get("TERM", "vt100"), "PS1": r"lab:\w\$ "}
    shell = ["/bin/bash", "--norc", "-i"]
    running = guest.start(shell, terminal=(size.lines, size.columns), env=environment)
    say("a shell in the guest; everything there is thrown away when it ends")

    def follow_size(number: int, frame: FrameType | None) -> None:
        now = shutil.get_terminal_size()
        arguments = (now.lines, now.columns)
        threading.Thread(target=running.resize, args=arguments, daemon=True).start()

    signal.signal(signal.SIGWINCH, follow_size)
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        threading.Thread(target=_copy_input, args=(running,), daemon=True).start()
        done = running.wait(stream=_pass_on)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
    return done.status if done.status >= 0 else 128 - done.status


def _pass_on(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _copy_input(running: Running) -> None:
    with contextlib.suppress(ChannelClosed, OSError):
        while True:
            select.select([0], [], [])
            data = os.read(0, 1 << 15)
            if not data:
                running.end_input()
                return
            running.write(data)


def _quietly_kill(running: Running, number: int) -> None:
    with contextlib.suppress(ChannelClosed):
        running.kill(number)


if __name__ == "__main__":
    sys.exit(main())
