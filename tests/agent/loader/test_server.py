# SPDX-License-Identifier: GPL-2.0-or-later
"""An agent's calls reach the loader, and what is none of the agent's business is refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from agent.config import drop_ins, load
from agent.config.settings import CompileSettings
from agent.loader import sandbox
from agent.loader.operations import Operations
from agent.loader.server import serve
from agent.loader.wanted_requests import WantedRequests
from agent.scripts import loader_client, variants
from agent.scripts.compile_client import CompileError, Compiler
from agent.scripts.compile_worker import WorkerError
from agent.scripts.kernel_modules import Keeper, ModuleError, Modules
from agent.scripts.loader_client import LoaderCompilers, LoaderError, LoaderModules
from compiler.protocol import Request, Response, encode
from compiler.support.content_store import Cache, key_of
from runtime.reader.device import Device
from runtime.support.line_socket import LineSocket
from runtime.support.record import replace
from tests import PROJECT
from tests.agent.conftest import run

SCRIPT = "probe begin { exit() }"
NEXT = {"root": "/", "release": "6.1.0-57-amd64"}
OTHER_ROOT = {**NEXT, "root": "/srv/mine"}
WITH_SYMBOLS = {**NEXT, "symbols": "/tmp/mine"}
NO_RELEASE = {**NEXT, "release": "../../srv/mine"}


class Kernel(Modules):
    """Modules whose devices are files; `done` lists the operations."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Keeper.AGENT)
        self.done: list[tuple[object, ...]] = []

    def refusal(self) -> str | None:
        return "the kernel is locked down"

    def load(self, path: Path, name: str) -> Device:
        self.done.append(("load", path.name, name))
        (self._folder / name).write_text("the device of vfs")
        return self.open(name)

    def open(self, name: str) -> Device:
        return FileDevice(os.open(self._folder / name, os.O_RDONLY), name)

    def keep(self, name: str, keeper: Keeper) -> None:
        self.done.append(("keep", name, keeper))

    def keeper(self, name: str) -> Keeper | None:
        return Keeper.USER if name == "sw_vfs_1" else None

    def unload(self, name: str) -> None:
        self.done.append(("unload", name))
        raise ModuleError(f"cannot unload module {name}: still in use")


class FileDevice(Device):
    def __init__(self, fd: int, name: str) -> None:
        self.name, self._fd = name, fd

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/sw_vfs_1").write_text("the device of vfs")
    return Kernel(tmp_path / "dev")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "etc/probes.d").mkdir(parents=True)
    (tmp_path / "etc/probes.d/vfs.stp").write_text(SCRIPT)
    file = tmp_path / "etc/stapwatch.yaml"
    # folders of this machine's that others may write are no matter here
    file.write_text(
        "insecure_files: true\nscript_folders: [probes.d]\nscripts: {tcp: {text: 'probe end {}', guru: true}}\n"
    )
    return file


@pytest.fixture
def loader(tmp_path: Path, kernel: Kernel, config: Path) -> Iterator[Path]:
    """The path of a loader's socket. The loader ends when nobody has asked for a moment."""
    path = tmp_path / "loader.socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        operations = Operations(kernel, tmp_path / "modules", config)
        heard, told = os.pipe()
        thread = threading.Thread(target=serve, args=(listening, operations, 0.2, heard))
        thread.start()
        yield path
        thread.join(30)
        assert not thread.is_alive()
        os.close(heard)
        os.close(told)


def test_a_device_comes_open(
    loader: Path, kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_client, "_Device", lambda fd, name, loader: FileDevice(fd, name))
    modules = LoaderModules(loader)
    for device in (
        modules.open("sw_vfs_1"),
        modules.load(tmp_path / "modules/sw_vfs_1.ko", "sw_vfs_1"),  # it is loaded already
        modules.load(tmp_path / "modules/sw_tcp_1.ko", "sw_tcp_1"),
    ):
        assert os.pread(device.fileno(), 99, 0) == b"the device of vfs"
        device.close()
    assert (
        modules.names() == ["sw_tcp_1", "sw_vfs_1"]
        and modules.refusal() == "the kernel is locked down"
    )
    modules.keep("sw_vfs_1", Keeper.AGENT)
    assert modules.keeper("sw_vfs_1") is Keeper.USER and modules.keeper("x") is None
    with pytest.raises(ModuleError, match="still in use"):
        modules.unload("sw_vfs_1")
    assert kernel.done == [
        ("load", "sw_tcp_1.ko", "sw_tcp_1"),
        ("keep", "sw_vfs_1", Keeper.AGENT),
        ("unload", "sw_vfs_1"),
    ]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"do": "unload", "name": "nf_tables"}, "not one of stapwatch's"),
        ({"do": "unload", "name": "sw_other_1"}, "not one of stapwatch's"),
        ({"do": "open", "name": "../mem"}, "not one of stapwatch's"),
        ({"do": "load", "path": "/tmp/sw_x_1.ko", "name": "sw_x_1"}, "no module that the loader"),
        ({"do": "load", "path": "MODULES/../sw_x_1.ko", "name": "sw_x_1"}, "no module that the"),
        ({"do": "load", "path": "MODULES/nf.ko", "name": "nf"}, "no module that the loader"),
        ({"do": "load", "path": "MODULES/sw_x_1.ko", "name": "sw_vfs_1"}, "not the file of"),
        ({"do": "forget", "path": "/etc/passwd"}, "no module that the loader"),
        ({"do": "start", "name": "sw_vfs_1", "max_errors": "1"}, "knows no call"),
        ({"do": "find", "request": {"name": "x", "text": "", "kernel": {"root": "/"}}}, "only"),
        ({"do": "find", "request": {"name": "x", "text": "", "kernel": OTHER_ROOT}}, "installed"),
        ({"do": "find", "request": {"name": "x", "text": "", "kernel": WITH_SYMBOLS}}, "installed"),
        ({"do": "find", "request": {"name": "x", "text": "", "kernel": NO_RELEASE}}, "a release"),
        ({"do": "find", "request": {"name": "x", "text": "", "listing": "points"}}, "only"),
        ({"do": "find", "request": {"name": "x", "text": "", "novelty": 1}}, "unknown"),
        ({"do": "exec"}, "knows no call"),
        ({"do": "job"}, "is no service of stapwatch's"),
    ],
)
def test_refused(
    loader: Path, kernel: Kernel, tmp_path: Path, call: dict[str, Any], words: str
) -> None:
    if "path" in call:
        call = {**call, "path": call["path"].replace("MODULES", str(tmp_path / "modules"))}
    with pytest.raises(LoaderError, match=words):
        loader_client.ask(loader, call)
    assert kernel.done == []


def wanted_of(config: Path, script: str) -> Request:
    """The agent's request for a script."""
    settings = load.load(config)
    [found] = variants.candidates(settings.scripts[script], settings)
    return found.request


def test_what_the_configuration_asks_for(config: Path) -> None:
    """The agent's word is not enough: neither for another text, nor for an option."""
    wanted = WantedRequests(config)
    vfs = wanted_of(config, "vfs")
    tcp = wanted_of(config, "tcp")
    assert wanted.includes(vfs) and wanted.includes(tcp)
    assert wanted.includes(replace(vfs, cache="/elsewhere", output=None, recompile=True))
    assert wanted.includes(replace(vfs, kernel=NEXT)), "any of the machine's kernels"
    assert not wanted.includes(replace(vfs, guru=True))
    assert not wanted.includes(replace(vfs, text="probe end {}"))
    assert not wanted.includes(replace(tcp, text="probe end { /* mine */ }"))
    assert not wanted.includes(replace(vfs, source="/tmp/vfs.stp"))
    (config.parent / "probes.d/new.stp").write_text(SCRIPT)
    new = replace(vfs, name="new", source=str(config.parent / "probes.d/new.stp"))
    assert wanted.includes(new)  # the files are read again
    (config.parent / "probes.d/new.stp").unlink()
    assert not WantedRequests(config).includes(new)


def compiled(loader: Path, request: Request) -> str:
    compiler = Compiler(CompileSettings(), compilers=LoaderCompilers(loader))
    with pytest.raises(CompileError) as caught:
        run(compiler.build(request))
    return caught.value.diagnostics[0].summary


def test_a_key_of_a_packages_drop_in_is_trusted_as_long_as_it_is_there(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "packaged/stores.yaml"
    packaged.parent.mkdir()
    packaged.write_text("modules: [file:///srv/store]\nmodule_keys: [ssh-ed25519 AAAA]\n")
    monkeypatch.setattr(drop_ins, "MAIN_FILE", config)
    monkeypatch.setattr(drop_ins, "PACKAGED", packaged.parent)
    wanted, vfs = WantedRequests(config), wanted_of(config, "vfs")
    assert wanted.stores(vfs).keys == ("ssh-ed25519 AAAA",)
    packaged.unlink()
    assert wanted.stores(vfs).keys == ()


def test_a_compile_of_something_else_is_refused(loader: Path) -> None:
    assert "does not ask for this script" in compiled(loader, Request("x", text=SCRIPT, guru=True))


def test_a_kernel_that_is_not_here(
    loader: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be asked for, and is looked for in this machine's own folders."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    vfs = replace(wanted_of(config, "vfs"), kernel={**NEXT, "release": "0.0.0-none"})
    assert "no kernel '0.0.0-none' under /" in compiled(loader, vfs)


def test_a_module_is_dropped_from_the_loaders_cache(
    loader: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    cache = Cache(tmp_path / "cache")
    for identity in ("ab12", "cd34"):
        module, entry = key_of("module", identity), key_of("compiled", identity)
        cache.put(module, {"sw_x_1.ko": b"a module"})
        cache.put(entry, {"result.json": json.dumps({"key": module}).encode()})
    compilers = LoaderCompilers(loader)
    for identity in ("ab12", "none"):
        compilers.drop(identity, tmp_path / "elsewhere")
    left = {path.name for path in (tmp_path / "cache/entries").glob("*/*")}
    assert left == {key_of("module", "cd34"), key_of("compiled", "cd34")}


def test_without_a_sandbox(
    loader: Path, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to start."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.setattr(sandbox, "SOCKET", tmp_path / "none")
    vfs = wanted_of(config, "vfs")
    assert "systemctl start stapwatch-compile.socket" in compiled(loader, vfs)


def test_a_loader_that_is_killed_is_asked_again(tmp_path: Path) -> None:
    """But not for a start, which may have begun."""
    path = tmp_path / "loader.socket"
    calls: list[bytes] = []

    def be_killed_twice() -> None:
        for number in range(3):
            with contextlib.closing(LineSocket(listening.accept()[0])) as peer:
                calls.append(peer.line())
                if number == 1:
                    peer.send(b'{"done": ["sw_vfs_1"]}\n')

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        killed = threading.Thread(target=be_killed_twice)
        killed.start()
        assert LoaderModules(path).names() == ["sw_vfs_1"]
        with pytest.raises(LoaderError, match="has ended"):
            loader_client.ask(path, {"do": "start", "name": "sw_vfs_1"})
        killed.join(30)
    assert calls == [b'{"do": "names"}\n'] * 2 + [b'{"do": "start", "name": "sw_vfs_1"}\n']


CALLER = """
import json, socket, sys
for _ in sys.stdin:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(sys.argv[1])
        sock.sendall(b'{"do": "refusal"}\\n')
        print(sock.recv(1000).decode(), end="", flush=True)
"""


def test_who_has_called_is_served_until_its_end(
    tmp_path: Path, kernel: Kernel, config: Path
) -> None:
    """systemd stops the loader with the agent, which then unloads its modules."""
    path, told, (heard, stop) = tmp_path / "loader.socket", "the kernel is locked down", os.pipe()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        operations = Operations(kernel, tmp_path / "modules", config)
        thread = threading.Thread(target=serve, args=(listening, operations, 60.0, heard))
        thread.start()
        argv = [sys.executable, "-c", CALLER, str(path)]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, bufsize=1) as caller:
            assert caller.stdin and caller.stdout
            for _ in range(2):
                caller.stdin.write("call\n")
                assert told in caller.stdout.readline()
                os.write(stop, b"\x0f")
            assert thread.is_alive()
            caller.stdin.close()
        thread.join(30)
        assert not thread.is_alive()
    os.close(heard)
    os.close(stop)


def test_without_a_loader(tmp_path: Path) -> None:
    gone = tmp_path / "none"
    assert not loader_client.is_needed(gone)
    assert LoaderModules(gone).names() == []
    assert LoaderCompilers(gone).find(Request("x", text="")) is None
    with pytest.raises(ModuleError, match="does not answer"):
        LoaderModules(gone).open("sw_vfs_1")
    assert "cannot start the compiler" in compiled(gone, Request("x", text=SCRIPT))


def test_a_defect_is_an_answer(
    loader: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> NoReturn:
        raise LookupError("a defect")

    monkeypatch.setattr(Operations, "_ours", broken)
    monkeypatch.setattr(Operations, "build", broken)
    with pytest.raises(ModuleError, match=r"a defect of the loader .*LookupError"):
        LoaderModules(loader).open("sw_vfs_1")
    assert "a defect of the loader" in compiled(loader, Request("x", text=SCRIPT))
    assert capsys.readouterr().err.count("Traceback") == 2


def test_an_agent_that_is_gone_is_no_defect(
    loader: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = threading.Event()

    def gone(*_: object) -> NoReturn:
        asked.set()
        raise BrokenPipeError

    monkeypatch.setattr(Operations, "build", gone)
    assert "has ended without an answer" in compiled(loader, Request("x", text=SCRIPT))
    assert asked.is_set() and "Traceback" not in capsys.readouterr().err


def test_a_worker_that_is_killed_leaves_no_connection(loader: Path) -> None:
    async def main() -> None:
        worker = await LoaderCompilers(loader).start(CompileSettings())
        await worker.kill()

    asyncio.run(main())


@pytest.fixture
def compilers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where the loader asks for compilers; the test is systemd."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.setattr(sandbox, "SOCKET", tmp_path / "compile.socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "compile.socket"))
        listening.listen()
        listening.settimeout(30)
        yield listening


def test_an_error_comes_back_from_the_sandbox(
    loader: Path, config: Path, compilers: socket.socket, tmp_path: Path
) -> None:
    """From the agent to a real compiler, which reads the script through its descriptor."""
    script = config.parent / "probes.d/vfs.stp"
    script.write_text("probe begin { print(1 }\n")
    vfs = wanted_of(config, "vfs")
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(compiled(loader, vfs)))
    asking.start()
    accepted, _ = compilers.accept()
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "CACHE_DIRECTORY": str(tmp_path / "own")}
    serve = (
        "import socket; from compiler.__main__ import serve_socket as s; s(socket.socket(fileno=0))"
    )
    with subprocess.Popen([sys.executable, "-c", serve], stdin=accepted.fileno(), env=env) as child:
        accepted.close()
        asking.join(60)
        assert child.wait(60) == 0
    assert found == [f"{script}:1:23: expected ')' or ',', found '}}'"]


def test_a_compile_that_nobody_waits_for_is_ended(
    loader: Path, config: Path, compilers: socket.socket
) -> None:
    vfs = wanted_of(config, "vfs")

    async def main() -> None:
        worker = await LoaderCompilers(loader).start(CompileSettings())
        asking = asyncio.create_task(worker.ask(encode(vfs), print))
        accepted, _ = await asyncio.to_thread(compilers.accept)
        peer = LineSocket(accepted)
        assert b"kallsyms" in await asyncio.to_thread(peer.line)
        assert await asyncio.to_thread(peer.line) == encode(replace(vfs, cache=None, output=None))
        await worker.kill()
        assert await asyncio.to_thread(peer.line) == b""
        with pytest.raises(WorkerError):
            await asking
        peer.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\n",
        b'{"ok": true, "size": 99}\nfew bytes',
        b'{"ok": true, "size": -1}\n',
        b'{"ok": true, "size": 99999999999}\n',
    ],
)
def test_a_compiler_that_is_killed_or_lies(
    loader: Path, config: Path, compilers: socket.socket, answer: bytes
) -> None:
    """It is tried again, and nothing is stored."""
    vfs = wanted_of(config, "vfs")
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(compiled(loader, vfs)))
    asking.start()
    for _ in range(2):
        accepted, _ = compilers.accept()
        peer = LineSocket(accepted)
        assert peer.line() and peer.line()
        peer.send(answer)
        peer.close()
    asking.join(60)
    assert "the compiler has ended without an answer" in found[0]


def test_a_module_of_another_script_is_not_taken(
    loader: Path, config: Path, compilers: socket.socket
) -> None:
    vfs = wanted_of(config, "vfs")
    found: list[str] = []
    asking = threading.Thread(target=lambda: found.append(compiled(loader, vfs)))
    asking.start()
    accepted, _ = compilers.accept()
    peer = LineSocket(accepted)
    assert peer.line() and peer.line()
    peer.send(encode(Response(True, "sw_vfs_1", identity="another", size=4)) + b"code")
    asking.join(60)
    peer.close()
    assert "does not see the files that the loader sees" in found[0]
