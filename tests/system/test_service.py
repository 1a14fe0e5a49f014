# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent as a service of systemd: it counts exactly, it reloads only what changed, it loses nothing when it
is killed, and nothing remains when it stops. The tests follow one another on one running service.
"""

from __future__ import annotations

import gzip
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.exposition.render import Format
from lab import Guest
from tests.agent import pages
from tests.agent.certificates import Certificates, Pair
from tests.agent.web.test_basic_auth import SECRET, header
from tests.system.service import Service, parsed, wait_for
from tests.system.setting import MAIN, Setting

CALLS = """\
global getppid
probe kernel.trace("sys_enter") {
	if ($id == 110 && execname() == "trigger") getppid[execname(), uid()]++
}
"""
SIZES = """\
global reads, asked, bounded
probe kernel.function("vfs_read") {
	if (execname() != "trigger") next
	reads++
	asked[execname()] <<< $count
	bounded <<< $count
}
"""
MORE_SIZES = SIZES.replace("reads++", "reads += 2")
OPENS = """\
probe syscall.openat {
	if (execname() == "trigger") printf("%s(%d) opened %s\\n", execname(), pid(), filename)
}
"""
WRITES = """\
global written
probe kernel.function("vfs_write").return {
	if (execname() == "trigger") written += $return
}
"""
BROKEN = 'global getppid\nprobe kernel.trace("sys_enter") { getppid[execname(), uid()]+ }\n'
CONFIG = f"""{MAIN}
scripts:
  sizes:
    metrics:
      bounded:
        name: vfs_read_size
        help: What programs ask vfs_read for.
        unit: bytes
        buckets: [10, 100, 1000]
        constant_labels: {{operation: read}}
"""
WEB = f"""\
tls_server_config: {{cert_file: server.pem, key_file: server.key}}
basic_auth_users: {{bob: {SECRET}}}
rate_limit: {{interval: 10ms, burst: 100}}
"""
GETPPID = ("stapwatch_calls_getppid_total", {"execname": "trigger", "uid": "0"})
READS = "stapwatch_sizes_reads_total"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass
class Started:
    """The state right after the start."""

    watchdog: int
    modules: dict[str, str]


@pytest.fixture(scope="module")
def started(guest: Guest, setting: Setting, service: Service) -> Started:
    setting.write("stapwatch.yaml", CONFIG)
    # later tests reload to these, so they are compiled ahead
    for sizes in (MORE_SIZES, SIZES):
        for name, text in {"calls": CALLS, "sizes": sizes, "writes": WRITES}.items():
            setting.script(name, text)
        setting.compile()
    setting.remove("probes.d/writes.stp")
    setting.cold.add("opens")  # by the guest's own compiler, in the service's sandbox
    setting.script("opens", OPENS)
    setting.install(guest)
    service.start()
    modules = {name: script["module"] for name, script in service.status().items()}
    return Started(int(service.show("WatchdogTimestampMonotonic")), modules)


def write_script(guest: Guest, name: str, text: str) -> None:
    guest.push_text(text, f"/etc/stapwatch/probes.d/{name}.stp")


def trigger(guest: Guest, words: str) -> str:
    """Run the trigger to its end. Returns its process id."""
    return guest.run(f"echo $$; exec trigger {words}").check().stdout.strip()


def test_ready_means_that_all_scripts_run(service: Service, started: Started) -> None:
    assert service.show("ActiveState") == "active"
    assert service.show("StatusText") == "3 running"
    assert service.states() == {"calls": "running", "opens": "running", "sizes": "running"}
    assert service.modules() == service.devices() == set(started.modules.values())
    assert service.get("/-/ready").status == 200
    assert service.get("/-/healthy").status == 200
    modes = service.guest.run("stat -c '%a %U' /dev/stapwatch/*").stdout.split("\n")
    assert set(modes) - {""} == {"600 root"}


def test_page_in_all_its_forms(service: Service, started: Started) -> None:
    plain = service.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {name for name, _ in parsed(plain.body.decode())}
    assert READS in names
    om = service.get("/metrics", Accept=OPENMETRICS)
    assert om.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "stapwatch_sizes_reads" in pages.parsed(om.body, Format.OPENMETRICS)
    packed = service.get("/metrics", Accept_Encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert {name for name, _ in parsed(gzip.decompress(packed.body).decode())} == names
    assert b"/page/main.js" in service.get("/").body
    assert service.get("/page/main.js").status == 200
    assert set(started.modules) <= set(service.status())
    assert service.get("/nothing").status == 404


@pytest.mark.parametrize("times", [1, 1000])
def test_counter_grows_by_what_was_done(service: Service, started: Started, times: int) -> None:
    name, labels = GETPPID
    before = service.count(name, **labels)
    trigger(service.guest, f"getppid {times}")
    assert service.value(name, **labels) == before + times


def test_histograms_are_exact(service: Service, started: Started) -> None:
    """Twice each of 1, 2, 4, ... 32768."""
    before = service.series()
    trigger(service.guest, "sizes 32")
    after = service.series()

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after[key] - before.get(key, 0.0)

    name, key = "stapwatch_sizes_asked", {"execname": "trigger"}
    assert grown(READS) == 32
    assert grown(f"{name}_count", **key) == 32
    assert grown(f"{name}_sum", **key) == 2 * (2**16 - 1)
    assert grown(f"{name}_bucket", **key, le="+Inf") == 32
    # 2^k lies in the bucket up to 2^(k+1) - 1
    for power in range(16):
        le = str(float(2 ** (power + 1) - 1))
        assert grown(f"{name}_bucket", **key, le=le) == 2 * (power + 1), le
    name, key = "vfs_read_size_bytes", {"operation": "read"}
    buckets = {"10.0": 8, "100.0": 14, "1000.0": 20, "+Inf": 32}
    assert {le: grown(f"{name}_bucket", **key, le=le) for le in buckets} == buckets
    assert grown(f"{name}_count", **key) == 32
    assert grown(f"{name}_sum", **key) == 2 * (2**16 - 1)
    page = service.get("/metrics").body.decode()
    assert f"# HELP {name} What programs ask vfs_read for.\n# TYPE {name} histogram\n" in page


def test_all_processors_count(service: Service, started: Started) -> None:
    before = service.value(READS)
    trigger(service.guest, "crowd 8 500")
    assert service.value(READS) == before + 4000


def test_lines_reach_the_journal_with_fields(service: Service, started: Started) -> None:
    pid = trigger(service.guest, "open /etc/passwd 2 open /nowhere 1")

    def lines() -> list[dict[str, str]] | None:
        found = service.journal("SCRIPT=opens", f"PID={pid}")
        return found if len(found) >= 3 else None

    entries = wait_for(lines, "three lines of the script in the journal")
    assert [entry["FILENAME"] for entry in entries] == ['"/etc/passwd"'] * 2 + ['"/nowhere"']
    for entry in entries:
        assert entry["MESSAGE"] == f"trigger({pid}) opened {entry['FILENAME']}"
        assert entry["EXECNAME"] == "trigger"
        assert "openat" in entry["PROBE"]
        assert entry["SYSLOG_IDENTIFIER"] == "stapwatch"
        assert entry["PRIORITY"] == "6"
        assert entry["CPU"] in ("0", "1")
        assert entry["_SYSTEMD_UNIT"] == "stapwatch.service"
    assert len({entry["_PID"] for entry in entries}) == 1


def test_metrics_about_itself(service: Service, started: Started) -> None:
    found = service.series()

    def one(name: str, **labels: str) -> float:
        return found[(name, frozenset(labels.items()))]

    for script in started.modules:
        assert one("stapwatch_script_state", script=script, state="running") == 1
        assert one("stapwatch_script_state", script=script, state="failed") == 0
        assert one("stapwatch_script_compile_seconds", script=script) > 0
        assert one("stapwatch_script_load_seconds", script=script) > 0
        assert one("stapwatch_script_kernel_memory_bytes", script=script) > 4096
        assert one("stapwatch_script_events_lost_total", script=script) == 0
    hits = [
        value
        for (name, labels), value in found.items()
        if name == "stapwatch_probe_hits_total" and ("script", "calls") in labels
    ]
    assert len(hits) == 1
    assert hits[0] > service.count(GETPPID[0], **GETPPID[1])
    assert one("stapwatch_config_last_reload_successful") == 1
    build = [labels for name, labels in found if name == "stapwatch_build_info"]
    release = service.guest.run(["uname", "-r"]).stdout.strip()
    assert len(build) == 1
    assert ("kernel", release) in build[0]


def test_status_command(service: Service, started: Started) -> None:
    done = service.guest.run(["stapwatch", "status"], timeout=120)
    assert (done.status, done.stderr) == (0, "")
    head, *rows = [line.lstrip("* ").split() for line in done.stdout.splitlines()]
    assert head[:3] == ["SCRIPT", "STATE", "SINCE"]
    assert [row[:2] for row in rows] == [[n, "running"] for n in ("calls", "opens", "sizes")]
    assert "last error" not in done.stdout


def test_reload_touches_only_what_changed(service: Service, started: Started) -> None:
    guest = service.guest
    name, labels = GETPPID
    trigger(guest, "getppid 10")
    before = service.value(name, **labels)
    hits = service.status()["calls"]["hits"]
    write_script(guest, "sizes", MORE_SIZES)
    write_script(guest, "writes", WRITES)
    guest.run(["rm", "/etc/stapwatch/probes.d/opens.stp"]).check()
    service.reload()

    states = service.states()
    assert states == {"calls": "running", "sizes": "running", "writes": "running"}
    now = service.status()
    # unchanged: the same module, which went on counting
    assert now["calls"]["module"] == started.modules["calls"]
    assert now["calls"]["hits"] > hits
    trigger(guest, "getppid 90")
    assert service.value(name, **labels) == before + 90
    # changed: another module, which counts anew
    assert now["sizes"]["module"] != started.modules["sizes"]
    trigger(guest, "read 5")
    assert service.value(READS) == 10
    # new
    trigger(guest, "write 3")
    assert service.value("stapwatch_writes_written_total") == 15
    # removed and replaced: gone
    assert service.modules() == service.devices() == {s["module"] for s in now.values()}
    assert service.show("ActiveState") == "active"


def test_broken_configuration_leaves_the_old_one_running(
    service: Service, started: Started
) -> None:
    guest = service.guest
    modules = service.modules()
    name, labels = GETPPID
    before = service.value(name, **labels)
    bad = CONFIG.replace("buckets:", "bukkets:").replace("unit: bytes", "unit: [bytes]")
    guest.push_text(bad, "/etc/stapwatch/stapwatch.yaml")
    service.reload_in_vain()

    line = bad.splitlines().index(next(x for x in bad.splitlines() if "unit:" in x)) + 1
    place = f"/etc/stapwatch/stapwatch.yaml:{line}:"
    wait_for(lambda: place in service.show("StatusText"), "the reason in systemctl status")
    assert service.show("ActiveState") == "active"
    status = guest.run(["stapwatch", "status"], timeout=120)
    assert status.status == 1
    assert place in status.stderr
    assert "did you mean 'buckets'?" in status.stderr, "all mistakes at once"
    assert service.modules() == modules
    trigger(guest, "getppid 7")
    assert service.value(name, **labels) == before + 7
    assert place in service.journal_text()

    guest.push_text(CONFIG, "/etc/stapwatch/stapwatch.yaml")
    service.reload()
    assert service.value("stapwatch_config_last_reload_successful") == 1
    assert service.value(name, **labels) == before + 7
    assert service.modules() == modules


def test_broken_script_leaves_its_older_version_running(service: Service, started: Started) -> None:
    guest = service.guest
    modules = service.modules()
    name, labels = GETPPID
    before = service.value(name, **labels)
    write_script(guest, "calls", BROKEN)
    service.reload_in_vain()

    calls = service.status()["calls"]
    assert calls["state"] == "outdated"
    assert re.search(r"/etc/stapwatch/probes.d/calls.stp:2:\d+", calls["reason"])
    [entry] = service.journal("SCRIPT=calls", "PRIORITY=3")
    assert (entry["FILE"], entry["LINE"]) == ("/etc/stapwatch/probes.d/calls.stp", "2")
    assert entry["MESSAGE"].splitlines()[1].startswith(" 2 | probe kernel.trace")
    assert entry["MESSAGE"].splitlines()[2].index("^") == int(entry["COLUMN"]) + len(" 2 | ") - 1
    again = guest.run(["stapwatch", "reload"], timeout=120)
    assert (again.status, again.stdout) == (1, "")
    own = ("SYSLOG_IDENTIFIER=stapwatch", "PRIORITY=3")  # systemd has some about the unit, too
    told = [e["MESSAGE"] for e in service.journal(*own)][-2:]
    assert again.stderr.splitlines() == "\n".join(told).splitlines(), "the words of the log"
    assert told[1] == "not all is in force: 1 problem; unchanged: 2; not in force: calls"
    guest.run(["journalctl", "--update-catalog"]).check()
    shown = guest.run("journalctl -u stapwatch -x --no-pager -n 3", timeout=120).stdout
    assert "Subject: Not all of the configuration is in force" in shown
    assert service.value("stapwatch_script_compile_failures_total", script="calls") == 2
    assert service.modules() == modules
    trigger(guest, "getppid 5 read 1")
    assert service.value(name, **labels) == before + 5
    status = guest.run(["stapwatch", "status"], timeout=120)
    assert status.status == 1
    assert "outdated" in status.stdout

    write_script(guest, "calls", CALLS)
    service.reload()
    assert set(service.states().values()) == {"running"}
    assert service.modules() == modules
    assert service.value(name, **labels) == before + 5


def test_agent_that_was_killed_takes_its_modules_over(service: Service, started: Started) -> None:
    guest = service.guest
    modules = service.modules()
    name, labels = GETPPID
    before = service.value(name, **labels)
    pid, restarts = service.show("MainPID"), int(service.show("NRestarts"))
    guest.run(["kill", "-9", pid]).check()
    # no agent reads, and the kernel goes on counting
    trigger(guest, "getppid 123")
    assert service.modules() == modules

    def restarted() -> bool:
        return service.show("MainPID") not in (pid, "0") and service.show("SubState") == "running"

    wait_for(restarted, "another agent")
    assert service.modules() == modules
    assert set(service.states().values()) == {"running"}
    assert service.value(name, **labels) == before + 123
    trigger(guest, "getppid 77")
    assert service.value(name, **labels) == before + 200
    assert int(service.show("NRestarts")) == restarts + 1, service.journal_text()


def test_watchdog_is_fed(service: Service, started: Started) -> None:
    assert service.show("WatchdogUSec") not in ("0", "infinity")
    wait_for(
        lambda: int(service.show("WatchdogTimestampMonotonic")) > started.watchdog,
        "a sign of life after the start",
    )


def test_files_that_others_can_change_are_refused(service: Service, started: Started) -> None:
    guest = service.guest
    script = "/etc/stapwatch/probes.d/opens.stp"
    guest.push_text(OPENS, script, mode=0o666)
    service.reload_in_vain()
    found = service.status()["opens"]
    assert found["state"] == "failed"
    command = f"chmod g-w,o-w {script}"
    assert f"; {command};" in found["reason"]
    assert service.states()["calls"] == "running"
    guest.run(command).check()
    service.reload()
    assert service.states()["opens"] == "running"


def test_tls_and_users(service: Service, started: Started, tmp_path: Path) -> None:
    """By the web configuration file of Prometheus' exporters, with a certificate that is renewed."""
    guest, port = service.guest, service.port
    made = Certificates.make(tmp_path)

    def push(pair: Pair) -> None:
        for source, name in ((pair.cert, "server.pem"), (pair.key, "server.key")):
            file = f"/etc/stapwatch/{name}"
            guest.push_text(source.read_text(), file, mode=0o640)
            guest.run(["chgrp", "stapwatch", file]).check()

    def status(path: str, **headers: str) -> int:
        """0: nobody speaks TLS there."""
        try:
            url = f"https://127.0.0.1:{port}{path}"
            return pages.fetched(url, 60, made.client(), **headers).status
        except OSError:
            return 0

    def certificate() -> str:
        return ssl.get_server_certificate(("127.0.0.1", port), timeout=60)

    push(made.server)
    guest.push_text(WEB, "/etc/stapwatch/web.yaml")
    private = CONFIG.replace("public_status: true", "web_config_file: web.yaml")
    guest.push_text(private, "/etc/stapwatch/stapwatch.yaml")
    service.systemctl("reload", "stapwatch").check()
    wait_for(lambda: status("/metrics") == 401, "TLS, and no page without a user")
    login = {"Authorization": header("bob", "secret")}
    assert [status("/metrics", **login), status("/status", **login), status("/status")] == [
        200,
        200,
        401,
    ]
    before = certificate()
    assert "calls" in guest.run(["stapwatch", "status"], timeout=120).stdout

    push(made.signed("renewed", "IP:127.0.0.1"))
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
    for peer in stalled:
        peer.send(b"\x16\x03\x01")
    assert certificate() != before, "nobody had to reload"
    assert status("/metrics", **login) == 200
    for peer in stalled:
        peer.close()

    guest.push_text(CONFIG.replace("public_status: true\n", ""), "/etc/stapwatch/stapwatch.yaml")
    service.systemctl("reload", "stapwatch").check()
    wait_for(lambda: status("/metrics") == 0, "plain HTTP")
    assert service.get("/metrics").status == 200
    assert service.get("/status").status == 403
    assert service.get("/metrics", Host="evil.example").status == 421
    guest.push_text(CONFIG, "/etc/stapwatch/stapwatch.yaml")
    service.systemctl("reload", "stapwatch").check()
    wait_for(lambda: service.get("/status").status == 200, "the status for everybody")


def test_stop_leaves_nothing(service: Service, started: Started) -> None:
    assert service.modules()
    service.stop()
    assert service.modules() == set()
    assert service.devices() == set()
    assert service.show("ActiveState") == "inactive"
    assert service.show("Result") == "success"
    assert service.guest.run("ls /run/stapwatch 2>/dev/null").stdout == ""
