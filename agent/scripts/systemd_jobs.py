# SPDX-License-Identifier: GPL-2.0-or-later
"""The jobs that systemd has for units, asked by the agent, or by the loader for it.

    unit(Path("/proc/self/cgroup"))   -> "stapwatch.service"
    job("stapwatch.service")          -> "restart"

systemctl may take seconds at a shutdown: use a thread.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

_PATIENCE = 5.0  # seconds for systemd's answer, which takes milliseconds
_JOBS = ("list-jobs", "--no-legend", "--no-pager", "--plain", "--full")


class SystemdError(Exception):
    """systemd does not answer, or refuses."""


def unit(cgroup: Path) -> str | None:
    """The service that this process belongs to; None outside of one of the system's services."""
    with contextlib.suppress(OSError):
        for line in cgroup.read_text(errors="replace").splitlines():
            controllers, _, path = line.partition(":")[2].partition(":")
            name = path.rpartition("/")[2]
            if controllers in ("", "name=systemd") and name.endswith(".service"):
                return None if "/user@" in path else name
    return None


def job_type(jobs: str, name: str) -> str | None:
    """The type of a unit's job in the output of list-jobs: `1234 stapwatch.service restart running`."""
    for line in jobs.splitlines():
        words = line.split()
        if len(words) >= 3 and words[1] == name:
            return words[2]
    return None


def job(name: str) -> str:
    """The type of a unit's job; "" if it has none. Raises SystemdError."""
    return job_type(_systemctl(*_JOBS), name) or ""


def close_port(name: str) -> None:
    """Stop the socket of a service. The job waits for the end of the service, but systemd heeds it at once.
    Raises SystemdError."""
    _systemctl("--no-block", "stop", f"{name.removesuffix('.service')}.socket")


def _systemctl(*words: str) -> str:
    try:
        done = subprocess.run(
            ["systemctl", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            timeout=_PATIENCE,
        )
    except OSError as error:
        raise SystemdError(f"cannot ask systemd for its jobs: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise SystemdError("systemd does not say whether this is a stop") from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise SystemdError(f"systemctl {words[0]} failed: {reason}")
    return done.stdout.decode(errors="replace")
