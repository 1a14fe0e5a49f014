# SPDX-License-Identifier: GPL-2.0-or-later
"""Each fault is reported once with its position, and counted; everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Guest, Image
from tests.system.service import PORT, Service, error_count, wait_for
from tests.system.setting import MAIN, Setting

PROBES = "/etc/stapwatch/probes.d"
CALLS = """\
global getppid
probe kernel.trace("sys_enter") { if ($id == 110 && execname() == "trigger") getppid++ }
"""
COUNTER = "stapwatch_calls_getppid_total"
# the scripts of the first start, the position of their errors, and a part of the expected message
MISTAKES = {
    "mistake": ('probe begin {\n\tprintln("x"\n}\n', ":3:1", "expected"),
    "unknown": ("probe begin {\n\tprintln(exename())\n}\n", ":2:10", "did you mean 'execname'"),
    "missing": ('probe kernel.function("vfs_raed") {\n}\n', ":1:", "vfs_read"),
    "member": ('probe kernel.function("vfs_read") { println($file->f_pso) }', ":1:", "f_pos"),
}
FRESH = "global fresh\nprobe begin { fresh++ }\n"
OWN_ERRORS = ("SYSLOG_IDENTIFIER=stapwatch", "PRIORITY=3")  # systemd has some about the unit, too
REFUSED = {"foreign": "the running one has", "damaged": "damaged", "nonsense": "not a module"}
READS = 'probe kernel.function("vfs_read") { if (execname() != "trigger") next'
# every hit is an error
FAULTS = {
    "divide": (f"global n, zero\n{READS}\n\tn += 1 / zero }}\n", "division by 0", 3),
    "pointer": (f"global s\n{READS}\n\ts = kernel_string(8) }}\n", "fault at 0x8", 3),
    "wild": (f"global n\n{READS}\n\tn += kernel_long(0x1234567890abcdef) }}\n", "fault", 3),
    "endless": (f"global n\n{READS}\n\twhile (1) n++ }}\n", "MAXACTION exceeded", 3),
    "bottomless": (
        f"global n\nfunction f(x) {{ return f(x + 1) }}\n{READS}\n\tn += f(0) }}\n",
        "MAXNESTING exceeded",
        0,
    ),
}
# not an error in the agent, but counted
OVERRUN = f"""\
global text
{READS}
	s = execname()
	for (i = 0; i < 10; i++) s = s . s
	text = s
}}
"""
FAULT_CONFIG = f"{MAIN}scripts:\n  patient:\n    max_errors: 3\n"
PATIENT = f"global hits, zero\n{READS}\n\thits++\n\thits += 1 / zero }}\n"


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, image: Image, setting: Setting, service: Service) -> None:
    """One good script among bad ones, from the start."""
    setting.script("calls", CALLS)
    refused = {name: FRESH.replace("fresh", name) for name in REFUSED}
    for name, text in refused.items():
        setting.script(name, text)
    responses = setting.compile()
    build_id = bytes.fromhex(build_id_of(guest))
    change = {
        "foreign": lambda data: data.replace(build_id, bytes(reversed(build_id))),
        "damaged": lambda data: data[: len(data) // 2],
        "nonsense": lambda data: b"nothing that the kernel takes for a module\n" * 100,
    }
    for name in refused:
        setting.tamper(responses[name]["module"], change[name])
    for name, (text, _, _) in MISTAKES.items():
        setting.script(name, text)
    setting.install(guest)
    service.start()


@pytest.fixture(autouse=True)
def the_good_script_goes_on(service: Service, started: None) -> Iterator[None]:
    """Around each test: nothing counted is lost, and counting goes on."""
    before = service.count(COUNTER)
    module = service.status()["calls"]["module"]
    yield
    service.guest.run(["trigger", "getppid", "10"]).check()
    assert service.value(COUNTER) == before + 10
    assert service.status()["calls"]["module"] == module


def build_id_of(guest: Guest) -> str:
    """The running kernel's build-id: the last 20 bytes of the note GNU, type 3."""
    notes = guest.run(["od", "-An", "-v", "-tx1", "/sys/kernel/notes"]).check().stdout
    data = bytes.fromhex(notes.replace("\n", "").replace(" ", ""))
    start = data.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0") + 16
    return data[start : start + 20].hex()


def write(guest: Guest, name: str, text: str) -> None:
    guest.push_text(text, f"{PROBES}/{name}.stp")


def remove(guest: Guest, *names: str) -> None:
    guest.run(["rm", *(f"{PROBES}/{name}.stp" for name in names)]).check()


@contextmanager
def away(guest: Guest, path: str) -> Iterator[None]:
    """Move a file or folder of the guest away meanwhile."""
    guest.run(["mv", path, f"{path}.away"]).check()
    try:
        yield
    finally:
        guest.run(["mv", f"{path}.away", path]).check()


def failed(service: Service, name: str) -> str:
    """The reason why a script failed. Checks that the metrics report the failure."""
    assert service.value("stapwatch_script_state", script=name, state="failed") == 1
    assert service.value("stapwatch_script_state", script=name, state="running") == 0
    return str(service.status()[name]["reason"])


@pytest.mark.parametrize("name", MISTAKES)
def test_script_with_a_mistake(service: Service, name: str) -> None:
    _, place, hint = MISTAKES[name]
    reason = failed(service, name)
    assert f"{PROBES}/{name}.stp{place}" in reason
    assert hint in reason
    assert "\n" not in reason
    assert service.value("stapwatch_script_compile_failures_total", script=name) == 1
    told = [entry["MESSAGE"] for entry in service.journal(f"SCRIPT={name}", "PRIORITY=3")]
    assert len(told) == 1, told
    assert reason in told[0]


def test_check_of_scripts_with_mistakes(guest: Guest) -> None:
    files = [f"{PROBES}/{name}.stp" for name in MISTAKES]
    done = guest.run(["stapwatch", "check", *files], timeout=120)
    assert done.status == 1
    assert done.stderr.count("error[") == len(MISTAKES)
    assert "Traceback" not in done.stderr
    told = dict(
        zip(MISTAKES, ("error[" + part for part in done.stderr.split("error[")[1:]), strict=True)
    )
    for name, (_, place, hint) in MISTAKES.items():
        assert f"{PROBES}/{name}.stp{place}" in told[name]
        assert "^" in told[name]
        assert hint in told[name]


@pytest.mark.parametrize("name", REFUSED)
def test_module_that_the_kernel_refuses(service: Service, name: str) -> None:
    reason = failed(service, name)
    assert f"sw_{name}_" in reason
    assert "the kernel refused module" in reason
    assert REFUSED[name] in reason
    assert not any(module.startswith(f"sw_{name}_") for module in service.modules())
    assert service.value("stapwatch_script_compile_failures_total", script=name) == 0


def test_summary_for_systemd(service: Service) -> None:
    assert service.show("ActiveState") == "active"
    assert service.show("StatusText") == f"{len(MISTAKES) + len(REFUSED)} failed, 1 running"
    done = service.guest.run(["stapwatch", "status"], timeout=120)
    assert done.status == 1
    assert done.stdout.count(" failed ") == len(MISTAKES) + len(REFUSED)


def test_without_headers_and_without_a_compiler(service: Service, guest: Guest) -> None:
    release = guest.run(["uname", "-r"]).stdout.strip()
    remove(guest, *MISTAKES, *REFUSED)
    write(guest, "fresh", FRESH)
    headers = f"/usr/src/linux-headers-{release}"
    with away(guest, headers):
        service.reload_in_vain()
        reason = failed(service, "fresh")
        assert "headers" in reason
        assert f"apt install linux-headers-{release}" in reason
        command = guest.run(["stapwatch", "run", "-e", "probe begin { exit() }"], timeout=120)
        assert command.status == 1
        assert "headers" in command.stderr
    gcc = guest.run("readlink -f $(command -v gcc)").stdout.strip()
    with away(guest, gcc):
        service.reload_in_vain()
        reason = failed(service, "fresh")
        assert "gcc" in reason
        assert "apt install gcc" in reason
    assert service.value("stapwatch_script_compile_failures_total", script="fresh") == 2
    # the missing file is there again
    service.reload()
    assert service.states() == {"calls": "running", "fresh": "running"}
    assert service.value("stapwatch_fresh_fresh_total") == 1
    remove(guest, "fresh")
    service.reload()


def test_script_that_cannot_be_read(service: Service, guest: Guest) -> None:
    write(guest, "secret", FRESH)
    guest.run(["chmod", "0", f"{PROBES}/secret.stp"]).check()
    guest.run(f"cd {PROBES} && mkfifo fifo.stp && ln -s /dev/zero zero.stp").check()
    guest.run(["touch", f"{PROBES}/odd name.stp"]).check()
    service.reload_in_vain()
    reason = failed(service, "secret")
    assert f"{PROBES}/secret.stp" in reason
    assert "permission denied" in reason
    assert "is a FIFO, not a file" in failed(service, "fifo")
    assert "is a device, not a file: it is a link to /dev/zero" in failed(service, "zero")
    told = [entry["MESSAGE"] for entry in service.journal(*OWN_ERRORS)][-5:]
    assert "odd name.stp: 'odd name' is not a script name" in told[0]
    assert told[4].endswith("; unchanged: 1; not in force: fifo, secret, zero")
    remove(guest, "secret", "fifo", "zero", "odd name")
    service.reload()


def test_address_and_socket_that_move(service: Service, guest: Guest) -> None:
    """0.0.0.0 is in the way of 127.0.0.1 and the other way round; ExecReload finds the moved socket."""
    main = "/etc/stapwatch/stapwatch.yaml"
    local = MAIN.replace("0.0.0.0:9436", "127.0.0.1:9436")
    assert local != MAIN
    guest.push_text(f"{local}control_socket: /run/stapwatch/other.sock\n", main)
    done = service.systemctl("reload", "stapwatch")
    assert done.status == 0, service.journal_text()
    listening = guest.run(["grep", "-c", "0100007F:24DC 00000000:0000 0A", "/proc/net/tcp"])
    assert listening.stdout == "1\n"
    assert guest.run("ls /run/stapwatch/*.sock").stdout == "/run/stapwatch/other.sock\n"
    assert guest.run(["stapwatch", "status"], timeout=120).status == 0
    guest.push_text(MAIN, main)
    service.systemctl("reload", "stapwatch").check()
    assert guest.run(["stapwatch", "reload"], timeout=120).stdout == "ready: 1 running\n"


def test_configuration_that_cannot_be_read(service: Service, guest: Guest) -> None:
    """Also for root, because the service has dropped the capability to read every file."""
    main = "/etc/stapwatch/stapwatch.yaml"
    guest.run(["chmod", "0", main]).check()
    service.reload_in_vain()
    status = guest.run(["stapwatch", "status"], timeout=120)
    assert status.status == 1
    assert f"{main}: " in status.stderr
    assert "permission denied" in status.stderr.lower()
    guest.run(["chmod", "644", main]).check()
    service.reload()
    assert service.value("stapwatch_config_last_reload_successful") == 1


def test_port_that_is_taken_by_a_reload(service: Service, guest: Guest) -> None:
    listening = "until grep -q ':22C3 0*:0000 0A' /proc/net/tcp; do sleep 0.1; done"  # 8899
    other = guest.start(["python3", "-m", "http.server", "8899"])
    guest.run(listening, timeout=60).check()
    both = MAIN.replace('"0.0.0.0:9436"', '"0.0.0.0:9436", "0.0.0.0:8899"')
    assert both != MAIN
    guest.push_text(both, "/etc/stapwatch/stapwatch.yaml")
    service.reload_in_vain()
    status = guest.run(["stapwatch", "status"], timeout=120)
    assert "0.0.0.0:8899" in status.stderr
    assert "in use" in status.stderr
    other.kill()
    other.wait()
    service.reload()
    guest.push_text(MAIN, "/etc/stapwatch/stapwatch.yaml")
    service.reload()


def test_second_agent_on_a_taken_port(service: Service, guest: Guest) -> None:
    guest.push_text('listen: ["0.0.0.0:9436"]\nwork_folder: /run/other\n', "/tmp/other.yaml")
    done = guest.run(["stapwatch", "agent", "--config", "/tmp/other.yaml"], timeout=120)
    assert done.status == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"0.0.0.0:{PORT}" in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("listen: [1\n", ":2:1"),
        ("lissten: 9436\n", ":1:1: unknown key 'lissten'; did you mean 'listen'?"),
        ("log:\n  level: 1\n", ":2:"),
        ("listen: \xff\n", "not utf-8 at byte 8"),
    ],
    ids=["missing", "no yaml", "unknown key", "nested", "no text"],
)
def test_agent_with_a_wrong_configuration(guest: Guest, text: str | None, said: str) -> None:
    guest.run(["rm", "-f", "/tmp/wrong.yaml"]).check()
    if text is not None:
        argv = ["sh", "-c", "cat >/tmp/wrong.yaml"]
        guest.run(argv, input=text.encode("latin-1")).check()
    done = guest.run(["stapwatch", "agent", "--config", "/tmp/wrong.yaml"], timeout=120)
    assert (done.status, done.stdout) == (2, "")
    assert "/tmp/wrong.yaml" in done.stderr
    assert said in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_handlers_that_go_wrong(service: Service, guest: Guest, setting: Setting) -> None:
    for name in (*MISTAKES, *REFUSED):
        setting.remove(f"probes.d/{name}.stp")
    for name, (text, _, _) in FAULTS.items():
        setting.script(name, text)
    setting.script("overrun", OVERRUN)
    setting.script("patient", PATIENT)
    setting.write("stapwatch.yaml", FAULT_CONFIG)
    setting.compile()
    setting.install(guest)
    service.reload()
    everyone = ["calls", "overrun", "patient", *FAULTS]
    assert service.states() == dict.fromkeys(everyone, "running")

    guest.run(["trigger", "crowd", "2", "25"]).check()
    series = service.series()

    def probes(metric: str, script: str) -> float:
        found = [v for (n, ls), v in series.items() if n == metric and ("script", script) in ls]
        assert len(found) == 1
        return found[0]

    for name in FAULTS:
        assert probes("stapwatch_probe_errors_total", name) == 50, name
        assert probes("stapwatch_probe_hits_total", name) >= 50
    assert probes("stapwatch_probe_errors_total", "overrun") == 0
    key = ("stapwatch_script_strings_cut_total", frozenset({("script", "overrun")}))
    assert series[key] >= 50
    assert probes("stapwatch_probe_errors_total", "calls") == 0
    # each error is reported with its kind and its position: the first one, then a sum
    for name, (_, text, line) in FAULTS.items():
        wait_for(lambda: sum(map(error_count, service.errors(name))) == 50, "all errors are told")  # noqa: B023
        told = service.errors(name)
        assert 2 <= len(told) < 10
        place = f"{PROBES}/{name}.stp:{line}:" if line else f"{PROBES}/{name}.stp:"
        assert all(text in each and place in each for each in told), told[0]


def test_patience_that_ends(service: Service) -> None:
    """Three errors are tolerated, the fourth ends the script; its counts stay."""
    wait_for(lambda: service.states()["patient"] == "failed", "the end of the script")
    assert "max_errors" in failed(service, "patient")
    series = service.series()
    [errors] = [
        value
        for (name, labels), value in series.items()
        if name == "stapwatch_probe_errors_total" and ("script", "patient") in labels
    ]
    # on two processors, two handlers may be running when the budget ends
    assert 4 <= errors <= 5
    assert service.value("stapwatch_patient_hits_total") == errors
    others = {state for name, state in service.states().items() if name != "patient"}
    assert others == {"running"}


def test_damaged_cache_is_made_again(service: Service, guest: Guest) -> None:
    """A module that was corrupted on the disk is never loaded: the cache stores digests."""
    flip = "for f in $(find /var/cache/stapwatch/entries -name 'sw_divide_*.ko'); do"
    guest.run(f"{flip} printf x | dd of=$f bs=1 seek=100 conv=notrunc status=none; done").check()
    remove(guest, "divide", "patient")
    guest.push_text(MAIN, "/etc/stapwatch/stapwatch.yaml")
    service.reload()
    assert "divide" not in service.states()
    write(guest, "divide", FAULTS["divide"][0])
    service.reload()
    assert service.states()["divide"] == "running"
