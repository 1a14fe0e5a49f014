# SPDX-License-Identifier: GPL-2.0-or-later
"""The settings: plain records of checked values, with safe and useful defaults.

Settings() -> serve 127.0.0.1:9436, every script in /etc/stapwatch/probes.d
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from agent.config.budgets import BURST_SECONDS, Budgets, TotalBudgets
from agent.config.label_settings import CPU, LabelSettings
from agent.config.rollout_settings import RolloutSettings
from agent.config.web_settings import WebSettings
from agent.config.yaml_tree import ConfigDiagnostic, Position
from runtime.abi.manifest import WhenFull
from runtime.support.record import field, record, replace
from runtime.support.str_enum import StrEnum

MAIN_FILE = Path("/etc/stapwatch/stapwatch.yaml")
PROBES_FOLDER = Path("/etc/stapwatch/probes.d")
DEFAULT_PORT = 9436


class MetricType(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    INFO = "info"


class Histograms(StrEnum):
    """The form of a histogram in protobuf. The text formats have classic buckets only."""

    CLASSIC = "classic"
    NATIVE = "native"
    BOTH = "both"


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    TEXT = "text"
    JOURNALD = "journald"


@record
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@record
class UnixAddress:
    """A socket in the file system. Its folder limits who may connect."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@record
class VsockAddress:
    """A port towards the hypervisor or its guests; `cid` is None for any of the machine's own."""

    cid: int | None
    port: int

    def __str__(self) -> str:
        return f"vsock:{'any' if self.cid is None else self.cid}:{self.port}"


ListenAddress = Address | UnixAddress | VsockAddress


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


@record
class Exponential:
    """The buckets of native histograms: 2^schema for each power of two of the exported unit."""

    schema: int


Buckets = Linear | Log2 | Bounds | Exponential


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@record
class MetricAlert:
    """A threshold for a metric, in its unit: `above` or `below` is set. `of`: see alert_schema.py; "": by
    the metric's type. `wait`: seconds for which it must hold before the alert fires."""

    above: Decimal | None = None
    below: Decimal | None = None
    of: str = ""
    wait: float = 300.0
    severity: Severity = Severity.WARNING
    summary: str = ""
    name: str = ""
    runbook: str = ""


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
    labels: tuple[str, ...] | None = None  # of the keys that are in none of `made_labels`
    made_labels: tuple[LabelSettings, ...] = ()
    constant_labels: Mapping[str, str] = field(default_factory=dict)
    buckets: Buckets | None = None
    histograms: Histograms = Histograms.CLASSIC
    export: bool = True
    ttl: float | None = None  # seconds after which an element without a change is not served
    when_full: WhenFull | None = None
    keep: bool = False  # its values go on when the script changes
    alerts: tuple[MetricAlert, ...] = ()  # the running agent does nothing with them


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
    budgets: Budgets = Budgets()
    rollout: RolloutSettings = RolloutSettings()
    # decided by agent/rollout; never in a file
    paused: bool = False  # loaded, and not armed
    held: bool = False  # the same, because a person has disarmed it
    revision: str = ""  # a digest of the text, of all variants

    @property
    def by_cpu(self) -> tuple[str, ...]:
        """The globals of which a label may be the CPU."""
        return tuple(
            name
            for name, metric in self.metrics.items()
            if any(made.source == CPU for made in metric.made_labels)
        )


@record
class LogSettings:
    level: str = "info"
    format: LogFormat = LogFormat.AUTO
    # of one script, by its budget
    rate_limit: float = 200.0  # lines per second; 0: no limit
    burst: int = 2000  # lines that a script may log at once
    # the same of one print statement
    place_rate_limit: float = 0.0
    place_burst: int = 1

    def limited(self, budgets: Budgets) -> LogSettings:
        """With the limits of a script."""
        lines, one = budgets.log_lines, budgets.log_lines_per_statement
        return replace(
            self,
            rate_limit=float(lines or 0),
            burst=(lines or 1) * BURST_SECONDS,
            place_rate_limit=float(one or 0),
            place_burst=(one or 1) * BURST_SECONDS,
        )


@record
class CompileSettings:
    timeout: float = 180.0  # seconds per script
    jobs: int = 0  # concurrent children; 0: one per CPU
    memory: int = 2048  # MiB of address space per child


@record
class StoreSettings:
    """Stores of modules that another machine has compiled, in the order in which they are asked.

    `keys`: public SSH keys, of which one must have signed what a store has. `plain_http`: http:// is allowed.
    `packaged`: stores of one kernel each, by its release.
    """

    urls: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    plain_http: bool = False
    packaged: Mapping[str, str] = field(default_factory=dict)

    def of(self, release: str) -> tuple[str, ...]:
        """The stores that may have modules for this kernel."""
        own = self.packaged.get(release)
        return tuple(dict.fromkeys([*([own] if own else []), *self.urls]))

    @property
    def here(self) -> tuple[str, ...]:
        """The stores that may have modules for the running kernel."""
        return self.of(os.uname().release)

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.packaged.values(), *self.urls]))


@record
class SigningSettings:
    """The key that signs modules for this host's kernel, with its certificate: both are set, or none."""

    key: Path | None = None
    certificate: Path | None = None


@record
class Refused:
    """A part of the configuration that is left out, because it is wrong; the other parts hold.

    `script`: the errors belong to this script, of which an older version may run on. `folder`: a
    script folder that cannot be read; its scripts run on.
    """

    diagnostics: tuple[ConfigDiagnostic, ...]
    script: str = ""
    folder: Path | None = None
    then: str = ""  # what follows from it

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple("; ".join(filter(None, [str(d), self.then])) for d in self.diagnostics)

    @property
    def reason(self) -> str:
        return "; ".join(map(str, self.diagnostics))


@record
class Settings:
    listen: tuple[ListenAddress, ...] = (Address("127.0.0.1", DEFAULT_PORT),)
    web: WebSettings = WebSettings()
    public_status: bool = False  # /status without authentication, beyond loopback too
    created_samples: bool = False  # in OpenMetrics, `_created` of each series
    allowed_hosts: tuple[str, ...] = ()  # names in Host headers, besides this host's own
    insecure_files: bool = False  # files that other users can change are read, too
    script_folders: tuple[Path, ...] = (PROBES_FOLDER,)
    library: tuple[Path, ...] = ()
    scripts: Mapping[str, ScriptSettings] = field(default_factory=dict)
    log: LogSettings = LogSettings()
    compile: CompileSettings = CompileSettings()
    stores: StoreSettings = StoreSettings()
    signing: SigningSettings = SigningSettings()
    budgets: Budgets = Budgets()  # of scripts that have none of their own
    total: TotalBudgets = TotalBudgets()
    cache_folder: Path = Path("/var/cache/stapwatch")
    work_folder: Path = Path("/run/stapwatch")
    state_folder: Path = Path("/var/lib/stapwatch")
    control_socket: Path = Path("/run/stapwatch/control.sock")
    host_labels: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()
