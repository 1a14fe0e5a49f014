# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings: plain records of checked values, with safe and useful defaults.

Settings() -> serve 127.0.0.1:9436, every script in /etc/stapwatch/probes.d
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from agent.config.yaml_tree import Position
from runtime.support.record import field, record

MAIN_FILE = Path("/etc/stapwatch/stapwatch.yaml")
PROBES_FOLDER = Path("/etc/stapwatch/probes.d")
DEFAULT_PORT = 9436


class MetricType(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    INFO = "info"


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    JOURNALD = "journald"


@record
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@record
class Linear:
    """Buckets of equal width, in the exported unit."""

    low: Decimal
    high: Decimal
    interval: Decimal


@record
class Log2:
    """A bucket for each power of two: the default."""


@record
class Bounds:
    """Upper bounds, in the exported unit, rising."""

    bounds: tuple[Decimal, ...]


Buckets = Linear | Log2 | Bounds


@record
class MetricSettings:
    """How one global is exported. None: derived by agent/config/metric_names.py."""

    variable: str
    position: Position
    name: str | None = None
    help: str | None = None
    type: MetricType | None = None
    unit: str | None = None
    scale: Decimal | None = None
    labels: tuple[str, ...] | None = None
    constant_labels: Mapping[str, str] = field(default_factory=dict)
    buckets: Buckets | None = None
    export: bool = True


@record
class ScriptSettings:
    """One script. Exactly one of `file` and `text` is set."""

    name: str
    position: Position
    file: Path | None = None
    text: str | None = None
    args: tuple[str, ...] = ()
    globals: Mapping[str, int | str] = field(default_factory=dict)
    defines: Mapping[str, str] = field(default_factory=dict)
    capacities: Mapping[str, int] = field(default_factory=dict)
    enabled: bool = True
    guru: bool = False
    max_errors: int | None = None  # tolerated errors; None: no limit
    metrics: Mapping[str, MetricSettings] = field(default_factory=dict)


@record
class LogSettings:
    level: str = "info"
    format: LogFormat = LogFormat.AUTO
    rate_limit: float = 200.0  # lines per second and script; 0: no limit
    burst: int = 2000  # lines that a script may log at once


@record
class CompileSettings:
    timeout: float = 180.0  # seconds per script
    jobs: int = 0  # concurrent children; 0: one per CPU
    memory: int = 2048  # MiB of address space per child


@record
class Settings:
    listen: tuple[Address, ...] = (Address("127.0.0.1", DEFAULT_PORT),)
    script_folders: tuple[Path, ...] = (PROBES_FOLDER,)
    library: tuple[Path, ...] = ()
    scripts: Mapping[str, ScriptSettings] = field(default_factory=dict)
    log: LogSettings = LogSettings()
    compile: CompileSettings = CompileSettings()
    cache_folder: Path = Path("/var/cache/stapwatch")
    work_folder: Path = Path("/run/stapwatch")
    control_socket: Path = Path("/run/stapwatch/control.sock")
    warnings: tuple[str, ...] = ()
