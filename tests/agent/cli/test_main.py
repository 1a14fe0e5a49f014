# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: its output and exit status, and the decisions of `run` with a stand-in kernel."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from agent.cli import main
from agent.config.settings import CompileSettings
from agent.config.trusted_settings import SWITCH
from agent.scripts.compile_client import Compiler
from agent.session.compile_request import check_request, run_request
from agent.session.options import DEFAULT_MAX_ERRORS, DEFAULT_MAX_SKIPPED, RunOptions
from agent.session.session import Session
from compiler.ir.options import Limits
from compiler.version import VERSION
from runtime.abi.structs import UNLIMITED_ERRORS, Budgets
from runtime.reader.device import Device
from runtime.support import python_module
from tests import PROJECT
from tests.agent import standin
from tests.agent.conftest import run
from tests.agent.standin import StandInDevice, StandInKernel


def run_options(*words: str) -> RunOptions:
    _, options = main.parse(["run", *words])
    assert isinstance(options, RunOptions)
    return options


def stapwatch(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*python_module.command("agent"), *args],
        input=stdin, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(PROJECT)}, cwd="/",
    )  # fmt: skip


def test_version() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        assert tomli.load(file)["project"]["version"] == VERSION
    assert stapwatch("--version").stdout == f"stapwatch {VERSION}\n"


@pytest.mark.parametrize(
    ("args", "status", "text"),
    [
        (["run"], 1, "error: no script: give a file, or its text with -e\n"),
        (["run", "/nonexistent.stp"], 1, "error: cannot read /nonexistent.stp: no such file or directory\n"),
        (["check", "/nonexistent.stp"], 1,
         "error: cannot read /nonexistent.stp: no such file or directory\n"),
        (["agent", "--listen", "::1:2"], 2,
         "error: --listen: '::1:2' is not an address: write IPv6 as [::1]:9436\n"),
        (["agent", "--check", "--config", "/nonexistent.yaml"], 2,
         "config error: /nonexistent.yaml: cannot be read: No such file or directory\n"),
        (["status", "--url", "ftp://x"], 2, "error: 'ftp://x' is no address; write http://127.0.0.1:9436\n"),
    ],
)  # fmt: skip
def test_wrong_use(args: list[str], status: int, text: str) -> None:
    done = stapwatch(*args)
    assert (done.returncode, done.stderr, done.stdout) == (status, text, "")


def test_status_without_an_agent(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("script_folders: []\nwork_folder: run\n")
    done = stapwatch("status", "--config", str(config))
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: no agent answers at {tmp_path}/run/control.sock: ")


def test_check_says_every_mistake_of_every_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.stp", tmp_path / "bad.stp"
    good.write_text("probe begin { exit() }\n")
    bad.write_text("probe begin { nosuch(1) }\nprobe end { x = neither() }\n")
    done = stapwatch("check", "-p2", str(good), str(bad))
    assert done.returncode == 1
    assert f"{bad}:1:15" in done.stderr and f"{bad}:2:17" in done.stderr
    assert "good.stp" not in done.stderr
    assert "Traceback" not in done.stderr
    assert stapwatch("check", "-p2", str(good)).returncode == 0


def test_check_of_a_configuration_compiles_its_scripts(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("script_folders: [p]\nwork_folder: run\ncache_folder: cache\n")
    (tmp_path / "p").mkdir()
    (tmp_path / "p/bad.stp").write_text('probe begin {\n\tprintln("x"\n}\n')
    (tmp_path / "p/disabled.stp").write_text("nonsense")
    (tmp_path / "p/fifo.stp").symlink_to("/dev/zero")
    config.write_text(f"{config.read_text()}scripts: {{disabled: {{enabled: false}}}}\n")
    check = ("agent", "--check", "--config", str(config))
    done = stapwatch(*check)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        f"script bad does not compile: {tmp_path}/p/bad.stp:3:1: expected ')' or ',', found '}}'",
        " 3 | }",
        "   | ^",
        ' 2 | \tprintln("x"',
        "   | \t       - opened here",
        f"script fifo failed: cannot read {tmp_path}/p/fifo.stp: is a device, not a file: "
        "it is a link to /dev/zero",
    ]
    done = stapwatch(*check, "--no-compile")
    assert (done.returncode, done.stdout) == (0, "the configuration is good: 3 scripts\n")
    (tmp_path / "p/no name.stp").write_text("")
    done = stapwatch(*check, "--no-compile")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'no name' is not a script name" in done.stderr
    assert stapwatch("agent", "--no-compile").returncode == 2


def test_run_p1_prints_the_tree_and_takes_arguments(tmp_path: Path) -> None:
    script = tmp_path / "x.stp"
    script.write_text("#!/usr/bin/env -S stapwatch run\nprobe begin { println(@1, $2) }\n")
    done = stapwatch("run", "-v", "-p1", "--", str(script), "-v", "7")
    assert done.returncode == 0, done.stderr
    assert 'println("-v", 7)' in done.stdout
    assert done.stderr.startswith("Pass 1: parsed user script and ")
    assert done.stderr.count("Pass ") == 1
    done = stapwatch("run", "-p1", "-", stdin="probe begin { exit() }")
    assert "exit()" in done.stdout


def test_options_reach_the_compiler() -> None:
    options = run_options(
        "-ve", "probe x {}", "-G", "n=0x10", "-G", 's="a"', "-D", "MAXACTION=5", "-DTHIS", "-g",
        "-I/l", "-m", "mine", "one", "--", "-two",
    )  # fmt: skip
    assert (options.verbose, options.text, options.file) == (1, "probe x {}", None)
    wanted = run_request(options, Path("/out"), 4)
    assert wanted.globals == {"n": "0x10", "s": "a"}
    assert wanted.defines == {"MAXACTION": "5", "THIS": "1"}
    assert (wanted.guru, wanted.library, wanted.module) == (True, ("/l",), "mine")
    assert (wanted.text, wanted.args, wanted.run_mode) == ("probe x {}", ("one", "-two"), True)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("x.stp -DFOO=3 a -v -- -b", "x.stp a -b"),
        ("-- x.stp -v", "x.stp -v"),
        ("x.stp a -- -v -- c", "x.stp a -v -- c"),
        ("-wWve T q -p 1", "T: q"),
        ("- a -w", "- a"),
        ("-e T -x -5 -- -e", "T: -e"),
        ("x.stp --monitor a", "x.stp a"),
        ("x.stp --compatible 1.2 --vp 001", "x.stp"),
        ("-i", "-"),
        ("-i x.stp -tb -P -B CONFIG_X=y -dkernel --ldd --all-modules --skip-badvars", "x.stp"),
    ],
)
def test_options_may_stand_behind_the_script(words: str, wanted: str) -> None:
    """As in stap: up to '--'."""
    found = run_options(*words.split())
    what = f"{found.text}:" if found.file is None else found.file
    assert " ".join([what, *found.arguments]) == wanted


def test_options_that_need_nothing_are_told_with_v(capfd: pytest.CaptureFixture[str]) -> None:
    session("exit", "-b", "--ldd")
    assert capfd.readouterr().err == ""
    session("exit", "-b", "--ldd", "-v")
    notes = [n for n in capfd.readouterr().err.splitlines() if n.startswith("note: ")]
    assert [note.split(": ")[1] for note in notes] == ["-b needs nothing", "--ldd needs nothing"]


def test_pass_5_is_told_in_stap_s_words(capfd: pytest.CaptureFixture[str]) -> None:
    for how, last in (("exit", ""), ("fail", "Pass 5: run failed.\n")):
        session(how, "-v")
        err = capfd.readouterr().err
        told = re.search(r"^Pass 5: starting run\.\n(?s:.*)", err, re.MULTILINE)
        assert told, err
        shape = r"Pass 5: run completed in \d+usr/\d+sys/\d+real ms\.\n"
        assert re.search(shape + re.escape(last) + r"\Z", told[0]), err


def test_a_link_named_stap_is_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/share/stapwatch/bin/stap", "-V"])
    with pytest.raises(SystemExit):
        main.main()
    assert capsys.readouterr().out == f"stapwatch {VERSION}\n"
    assert sys.argv[1] == "run", "a daemon's command line is made of it"


def test_hits_and_times_of_probes_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    session("exit", "-t")
    assert capfd.readouterr().out.startswith("hello\n----- probe hit report:\n")


def test_objects_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    """Each line is one; values and prints are those of the text."""
    session("exit", "-f", "json", "-t", text="ok 1 tables")
    found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    printed, *rest = found
    assert (printed["type"], printed["text"], printed["fields"]) == ("print", "hello\n", {})
    assert {"time_ns", "cpu", "probe", "at"} < printed.keys()
    globals_ = {f["name"]: f for f in rest if f["type"] == "global"}
    assert globals_["hits"]["elements"] == [{"key": [], "value": 0}]
    assert globals_["calls"]["keys"] == ["process"]
    assert {f["probe"] for f in rest if f["type"] == "probe"}
    lost = {"errors": 0, "skipped": 0, "prints_lost": 0, "updates_lost": 0}
    assert rest[-1] == {"type": "end", **lost}


def test_limits_that_the_session_enforces() -> None:
    limits = Limits()
    assert (DEFAULT_MAX_ERRORS, DEFAULT_MAX_SKIPPED) == (limits.MAXERRORS, limits.MAXSKIPPED)
    options = run_options("-DMAXERRORS=3", "-DMAXSKIPPED=5", "x.stp")
    assert (options.max_errors, options.max_skipped) == (3, 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.stp", "--sysenv=A"], "--sysenv is not supported: set the variable itself"),
        (["--remote", "host", "x.stp"], "--remote is not supported: run stapwatch on the other"),
        (
            ["--use-server", "x.stp"],
            "--use-server is not supported: scripts are compiled on this host;"
            " modules cannot be built elsewhere yet.",
        ),
        (["--runtime=bpf", "x.stp"], "argument --runtime: invalid choice: 'bpf'"),
        (["-c", "ls", "-x", "3", "x.stp"], "-c and -x exclude each other"),
        (["--suppress-time-limits", "x.stp"], "--suppress-time-limits needs guru mode: -g"),
        (["-s", "0", "x.stp"], "a buffer has 1 to 4095 megabytes"),
        (["-T", "0", "x.stp"], "a time is a positive number of seconds"),
        (["-p", "6", "x.stp"], "argument -p: invalid choice: "),
        (["-m", "a b", "x.stp"], "-m a b: a module's name is"),
        (["-m", "A", "x.stp"], "-m A: a module's name is"),
        (["-D", "a b", "x.stp"], "-D a b: write NAME or NAME=VALUE"),
        (["-D", "STP_OVERLOAD_INTERVAL=x", "x.stp"], "=x: it is a number of cycles"),
        (["-D", f"STP_OVERLOAD_THRESHOLD={'9' * 19}", "x.stp"], "it is a number of cycles"),
        (["-G", "n", "x.stp"], "-G n: write NAME=VALUE"),
        (["-x", "me", "x.stp"], "invalid int value: 'me'"),
    ],
)
def test_options_that_cannot_be(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main.main(["run", *words])
    except SystemExit as end:
        status = int(str(end.code))
    told = capsys.readouterr().err
    assert status == 1  # as stap's
    assert message in told
    assert len(told.splitlines()) <= 2


def test_messages_name_only_subcommands_that_exist() -> None:
    """A hint at a subcommand that is only planned would mislead users."""
    for path in (PROJECT / "agent").rglob("*.py"):
        for name in re.findall(r"'stapwatch (\w+)[^']*'", path.read_text()):
            assert name in main.COMMANDS, f"{path.name}: stapwatch {name}"


def test_every_option_has_its_line_of_help() -> None:
    text = stapwatch("run", "--help").stdout
    options = (
        "-e -E -p -v --vp -k -g -u -w -W -D -G -I -m -o -c -x -T -s -F -A -l -L -r --dump-functions"
        " --dump-probe-types --dump-probe-aliases --suppress-time-limits --suppress-handler-errors"
        " --monitor --no-global-var-display --compatible --disable-cache --sysroot -t -i -V"
        " --skip-badvars -d"
    )
    for option in options.split():
        lines = [line for line in text.splitlines() if line.startswith(f"  {option}")]
        assert lines, option
    assert "not supported" not in text


def test_what_options_mean_for_the_compiler() -> None:
    words = ["-u", "-E", "probe a {}", "-E", "probe b {}", "--compatible", "4.0", "-s", "2", "-g"]
    words += ["--suppress-time-limits", "-r", "6.1.0-x", "--sysroot", "/there", "-e", "x"]
    options = run_options(*words)
    wanted = run_request(options, Path("/out"), 4)
    assert (wanted.optimise, wanted.extra) == (False, ("probe a {}", "probe b {}"))
    assert wanted.compatible == "4.0"
    assert wanted.kernel == {"root": "/there", "release": "6.1.0-x"}
    assert wanted.defines["RINGSIZE"] == str(2 << 20)
    assert wanted.defines["MAXACTION"] == wanted.defines["MAXTRYLOCK"] == "2147483647"
    assert wanted.defines["MAXTIME"] == "0"
    assert wanted.end_of_run_globals is True
    named = run_options("-d", "sh", "-d/x/y", "-d", "kernel", "-d", "./here", "-e", "x")
    found = run_request(named, Path("/out"), 4).unwind
    assert [Path(path).name for path in found] == ["sh", "y", "kernel", "here"]
    assert [path.startswith("/") for path in found] == [True, True, False, True]
    plain = check_request(options.compile, "x.stp", Path("/out"))
    assert plain.end_of_run_globals is False, "the service serves metrics instead"


class Ending(StandInKernel):
    """A kernel whose modules print a line when started, and then end as `how` says."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.budgets: Budgets | None = None

    def load(self, path: Path, name: str) -> StandInDevice:
        device = super().load(path, name)
        assert isinstance(device, StandInDevice)
        start = device.start

        def started(
            max_errors: int = 0,
            target: int = 0,
            budgets: Budgets | None = None,
            instead_of: Device | None = None,
        ) -> None:
            start(max_errors, target, budgets)
            self.done.append(f"errors {max_errors}")
            self.budgets = budgets
            device.say()
            if self.how == "exit":
                device.exit()
            elif self.how == "fail":
                device.writer.header[13] = 1
                device.exit()
            elif self.how == "overload":
                device.overload()

        device.start = started  # type: ignore[method-assign]
        return device


def session(how: str, *args: str, text: str = "ok 1") -> tuple[int, Ending]:
    kernel = Ending(how)
    options = run_options("-e", text, *args)

    async def work() -> int:
        compiler = Compiler(CompileSettings(), standin.COMMAND)
        return await Session(options, kernel, compiler).run()

    return run(work()), kernel


def test_a_run_from_begin_to_end(capfd: pytest.CaptureFixture[str]) -> None:
    status, kernel = session("exit")
    out, err = capfd.readouterr()
    assert (status, out, err) == (0, "hello\n", "")
    assert [word.split()[0] for word in kernel.done] == [
        "load",
        "start",
        "errors",
        "stop",
        "unload",
    ]
    assert kernel.done[2] == "errors 0", "as stap: the first error ends the script"
    assert kernel.loaded == {}


def test_a_run_that_used_up_its_errors(capfd: pytest.CaptureFixture[str]) -> None:
    status, kernel = session("fail", "-DMAXERRORS=3")
    assert status == 1 and "errors 3" in kernel.done


def test_a_run_that_takes_too_much(capfd: pytest.CaptureFixture[str]) -> None:
    """As with any other end, what was counted is shown."""
    status, kernel = session("overload")
    out, err = capfd.readouterr()
    assert (status, out) == (1, "hello\n")
    first, second = err.splitlines()
    assert first == (
        "ERROR: overload: 61.25% of a CPU's time within a second, most of it in probe "
        'kernel.function("f1"); the limit is 50%'
    )
    assert "-DSTP_NO_OVERLOAD" in second
    assert [word.split()[0] for word in kernel.done[-2:]] == ["stop", "unload"]


@pytest.mark.parametrize(
    ("words", "ppm"),
    [
        ([], 500_000),
        (["-DSTP_OVERLOAD_THRESHOLD=100000000"], 100_000),
        (["-DSTP_OVERLOAD_THRESHOLD=100000000LL"], 100_000),
        (["-DSTP_OVERLOAD_INTERVAL=4000000000", "-DSTP_OVERLOAD_THRESHOLD=1000000000"], 250_000),
        (["-DSTP_NO_OVERLOAD"], 0),
    ],
)
def test_how_much_a_run_may_take(words: list[str], ppm: int) -> None:
    """SystemTap's options, and its default. They make no difference to the module."""
    _, kernel = session("exit", *words)
    assert kernel.budgets == Budgets(one_cpu_ppm=ppm)
    assert run_options(*words, "-e", "x").compile.defines == {}


def test_a_run_of_a_script_that_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    status, kernel = session("exit", text="bad")
    assert (status, kernel.done) == (1, [])
    assert capfd.readouterr().err == "x.stp:3:5: error[syntax]: no\n" * 2


def test_a_command_ends_the_run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The command starts after the probes, and the run ends with it."""
    mark = tmp_path / "mark"
    status, kernel = session("stay", "-c", f"touch {mark}", "-o", str(tmp_path / "out"))
    assert status == 0 and mark.exists()
    assert (tmp_path / "out").read_text() == "hello\n"
    assert kernel.loaded == {}
    status, _ = session("stay", "-c", "exit 3; true")
    assert status == 1
    assert "WARNING: Child process exited with status 3\n" in capfd.readouterr().err
    status, _ = session("stay", "-c", "kill -9 $$")
    assert status == 1
    assert "WARNING: Child process exited with signal 9 (Killed)\n" in capfd.readouterr().err


def test_a_command_that_cannot_be_executed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = tmp_path / "command"
    command.write_text("#!/no/such/interpreter\n")
    command.chmod(0o755)
    status, _ = session("stay", "-c", str(command))
    assert status == 1
    told = f"ERROR: cannot execute '{command}': No such file or directory\n"
    assert told in capfd.readouterr().err


def test_a_run_ends_after_its_time() -> None:
    status, kernel = session("stay", "-T", "0.05")
    assert (status, kernel.loaded) == (0, {})


def test_a_run_that_tolerates_errors() -> None:
    status, kernel = session("exit", "--suppress-handler-errors")
    assert status == 0 and f"errors {UNLIMITED_ERRORS}" in kernel.done


def test_a_script_left_running(capfd: pytest.CaptureFixture[str]) -> None:
    """-F leaves a module loaded; -A attaches to it, reads it, and unloads it."""
    status, kernel = session("stay", "-F")
    out, err = capfd.readouterr()
    [module] = kernel.loaded
    assert (status, out) == (0, f"hello\n{module}\n")
    assert f"stapwatch run -A {module}" in err
    assert kernel.held == set()
    options = run_options("-A", module, "-T", "0.05")

    async def work() -> int:
        return await Session(options, kernel).run()

    assert run(work()) == 0
    assert kernel.loaded == {}
    starts = [word for word in kernel.done if word.startswith("start")]
    assert len(starts) == 1, "it is not started again"


def test_a_run_that_is_watched(capfd: pytest.CaptureFixture[str]) -> None:
    status, _ = session("stay", "--monitor=0.02", "-T", "0.2")
    lines = capfd.readouterr().err.splitlines()
    assert status == 0
    assert re.match(
        r"\[0 s\] sw_script_\w+: running, [\d,]+ KiB; 0 hits \(\+0\), 0 errors", lines[0]
    )


def test_time_in_the_name_of_the_output(tmp_path: Path) -> None:
    session("exit", "-o", str(tmp_path / "out-%Y"))
    [made] = tmp_path.iterdir()
    assert re.fullmatch(r"out-\d{4}", made.name)
    assert made.read_text() == "hello\n"


def test_the_module_stays_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    session("exit", "-m", "mine.ko")
    assert [path.suffix for path in tmp_path.iterdir()] == [".ko"]


def test_exit_ends_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    status, kernel = session("exit", "-c", "sleep 600")
    assert status == 0 and kernel.loaded == {}
    assert "Child process" not in capfd.readouterr().err


def test_a_closed_pipe_ends_the_run() -> None:
    kernel = Ending("stay")
    options = run_options("-e", "ok 1")

    async def work() -> int:
        read, write = os.pipe()
        os.close(read)
        made = Session(options, kernel, Compiler(CompileSettings(), standin.COMMAND))
        made._output._fd = write
        try:
            return await made.run()
        finally:
            os.close(write)

    assert run(work()) == 0
    assert kernel.loaded == {}


def test_interrupting_a_compilation(capfd: pytest.CaptureFixture[str]) -> None:
    kernel = Ending("exit")
    options = run_options("-e", "hang")

    async def work() -> int:
        made = Session(options, kernel, Compiler(CompileSettings(), standin.COMMAND))
        task = asyncio.create_task(made.run())
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        while not children.read_text():
            await asyncio.sleep(0.005)
        made._interrupt()
        return await task

    assert run(work()) == 130
    assert kernel.done == []


def test_check_tells_which_files_others_can_change(tmp_path: Path) -> None:
    script = tmp_path / "probes.d/a.stp"
    script.parent.mkdir()
    script.write_text("probe begin { exit() }")
    script.chmod(0o646)
    config = tmp_path / "c.yaml"
    config.write_text(
        "script_folders: probes.d\nwork_folder: r\ncache_folder: c\nstate_folder: s\n"
    )
    words = ("agent", "--check", "--no-compile", "--config", str(config))
    done = stapwatch(*words)
    assert (done.returncode, done.stderr) == (
        2,
        f"config error: {script}: its file is refused: {script} may be written by everybody; "
        f"chmod o-w {script}; {SWITCH}\n",
    )
    assert stapwatch(*words, "--insecure-files").returncode == 0
    config.chmod(0o666)
    done = stapwatch(*words)
    assert done.returncode == 2 and f"; chmod g-w,o-w {config}" in done.stderr
    config.chmod(0o600)
    web = tmp_path / "web.yaml"
    web.write_text("basic_auth_user: {}")
    done = stapwatch(*words, "--web.config.file", str(web))
    assert done.returncode == 2 and f"{web}:1:1: unknown key 'basic_auth_user'" in done.stderr
