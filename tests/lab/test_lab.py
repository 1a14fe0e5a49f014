# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself, which every other test in a guest relies on."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import socketserver
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import CommandTimeout, Guest, GuestDied, Image, LabError, Share
from lab.qemu import try_accel
from tests import kernel_module

PACKAGING = Path(__file__).parents[2] / "packaging"


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for an external condition that sends no event."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def process_is_gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


class TestCommands:
    def test_status_and_both_streams(self, guest: Guest) -> None:
        done = guest.run("echo to stdout; echo to stderr >&2; exit 7")
        assert (done.status, done.stdout, done.stderr) == (7, "to stdout\n", "to stderr\n")
        with pytest.raises(LabError, match="ended with 7"):
            done.check()

    def test_signal_is_a_negative_status(self, guest: Guest) -> None:
        assert guest.run("kill -TERM $$").status == -signal.SIGTERM

    def test_argument_list_reaches_the_program_untouched(self, guest: Guest) -> None:
        words = ["a b", "$HOME", "'", "", "*", "ü"]
        assert guest.run(["printf", "%s|", *words]).stdout == "".join(f"{w}|" for w in words)

    def test_missing_program_is_127(self, guest: Guest) -> None:
        done = guest.run(["/no/such/program"])
        assert done.status == 127
        assert "/no/such/program" in done.stderr

    def test_environment_and_folder(self, guest: Guest) -> None:
        done = guest.run('echo "$WORD in $PWD"', env={"WORD": "word"}, cwd="/usr")
        assert done.stdout == "word in /usr\n"

    def test_large_output(self, guest: Guest) -> None:
        done = guest.run("yes 0123456789 | head -c 5000000; yes e | head -c 1000000 >&2")
        assert done.stdout_bytes == (b"0123456789\n" * 500_000)[:5_000_000]
        assert done.stderr_bytes == b"e\n" * 500_000

    def test_input_and_its_end(self, guest: Guest) -> None:
        data = os.urandom(3_000_000)
        done = guest.run("sha256sum", input=data)
        assert done.stdout.split()[0] == hashlib.sha256(data).hexdigest()

    def test_input_that_nobody_reads(self, guest: Guest) -> None:
        assert guest.run("exec <&-; echo done", input=b"x" * 3_000_000).stdout == "done\n"

    def test_output_streams_while_the_command_runs(self, guest: Guest) -> None:
        running = guest.start("echo ready; read word; echo got $word", stdin=True, timeout=60)
        running.wait(until=b"ready")
        running.write(b"it\n")
        assert running.wait().stdout == "ready\ngot it\n"

    def test_several_at_the_same_time(self, guest: Guest) -> None:
        first = guest.start("read x; echo first $x", stdin=True, timeout=60)
        second = guest.start("read x; echo second $x", stdin=True, timeout=60)
        second.write(b"2\n")
        assert second.wait().stdout == "second 2\n"
        first.write(b"1\n")
        assert first.wait().stdout == "first 1\n"

    def test_timeout_kills_the_whole_session(self, guest: Guest) -> None:
        # one sleeper in the command's group, one in a group of its own
        script = "echo started; sleep 4001 & setsid -w true; set -m; sleep 4002 & set +m; wait"
        with pytest.raises(CommandTimeout) as caught:
            guest.run(script, timeout=3)
        assert caught.value.completed.stdout == "started\n"
        assert guest.run("pgrep -a sleep").stdout == ""

    def test_terminal(self, guest: Guest) -> None:
        done = guest.start("stty size; test -t 0 && echo tty", terminal=(33, 99)).wait()
        assert done.stdout == "33 99\r\ntty\r\n"


class TestFiles:
    def test_push_and_pull_a_file(self, guest: Guest, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(os.urandom(300_000))
        source.chmod(0o751)
        guest.push(source, "/var/tmp/new folder/copy")
        assert guest.run("stat -c '%a %U' '/var/tmp/new folder/copy'").stdout == "751 root\n"
        guest.pull("/var/tmp/new folder/copy", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == source.read_bytes()

    def test_push_and_pull_a_folder(self, guest: Guest, tmp_path: Path) -> None:
        (tmp_path / "tree/below").mkdir(parents=True)
        (tmp_path / "tree/below/file").write_text("text")
        (tmp_path / "tree/link").symlink_to("below/file")
        guest.push(tmp_path / "tree", "/var/tmp/tree")
        guest.pull("/var/tmp/tree", tmp_path / "back")
        assert (tmp_path / "back/below/file").read_text() == "text"
        assert (tmp_path / "back/link").readlink() == Path("below/file")

    def test_shares(self, image: Image, tmp_path: Path) -> None:
        (tmp_path / "ro").mkdir()
        (tmp_path / "rw").mkdir()
        (tmp_path / "ro/file").write_text("from the host\n")
        shares = [Share(tmp_path / "rw", "/mnt/rw", writable=True)]
        with Guest.boot(image, share=tmp_path / "ro", shares=shares) as other:
            assert other.run("cat /share/file").check().stdout == "from the host\n"
            refused = other.run("touch /share/new")
            assert refused.status != 0
            assert "Read-only file system" in refused.stderr
            # not even root can write after a remount: the host refuses
            assert other.run("mount -o remount,rw /share; touch /share/new").status != 0
            other.run("echo from the guest > /mnt/rw/new").check()
        assert [p.name for p in (tmp_path / "ro").iterdir()] == ["file"]
        assert (tmp_path / "rw/new").read_text() == "from the guest\n"


class TestGuest:
    def test_is_systemd_on_the_image_s_kernel(self, guest: Guest, image: Image) -> None:
        assert guest.run("uname -r").stdout.strip() == image.release
        assert guest.run("cat /proc/1/comm").stdout == "systemd\n"
        assert guest.run("systemctl is-system-running").stdout == "running\n"

    def test_clock(self, guest: Guest) -> None:
        guest.run("true").check()
        before = time.time()
        inside = float(guest.run("date +%s.%N").check().stdout)
        assert before - 2 < inside < time.time() + 2

    def test_forwarded_port(self, guest: Guest, tmp_path: Path) -> None:
        guest.run("mkdir -p /srv/page && echo hello from the guest > /srv/page/index.html").check()
        port = guest.forward(8000)
        serve = "exec python3 -u -m http.server -d /srv/page 8000"
        server = guest.start(serve, timeout=120)
        server.wait(until=b"Serving HTTP")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert page.read() == b"hello from the guest\n"
        server.kill()
        assert server.wait().status == -signal.SIGTERM

    def test_taken_port_is_refused(self, guest: Guest) -> None:
        port = guest.forward(8001)
        with pytest.raises(LabError, match=f"cannot forward port {port}"):
            guest.forward(8002, port)

    def test_guest_reaches_nothing_outside(self, guest: Guest) -> None:
        script = """
            import socket
            try:
                socket.create_connection(("10.0.2.2", 22), timeout=5)
            except OSError as error:
                print("refused", type(error).__name__)
        """
        done = guest.run(["python3", "-c", textwrap.dedent(script)])
        assert done.stdout.startswith("refused"), done

    def test_guest_reaches_a_service_of_this_machine(self, image: Image) -> None:
        """That one only, by several connections at once, in both directions."""
        script = """
            import socket
            peers = [socket.create_connection(("10.0.2.100", 5000), timeout=30) for _ in range(3)]
            for number, peer in enumerate(peers):
                peer.sendall(b"%d" % number * 100000)
                peer.shutdown(socket.SHUT_WR)
            for peer in peers:
                print(peer.makefile("rb").read().decode())
            try:
                socket.create_connection(("10.0.2.100", 5001), timeout=5)
            except OSError as error:
                print("refused")
        """

        class Counter(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                data = self.rfile.read()
                self.wfile.write(b"%d of %s" % (len(data), data[:1]))

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Counter) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            with Guest.boot(image, reach={5000: ("127.0.0.1", server.server_address[1])}) as guest:
                done = guest.run(["python3", "-c", textwrap.dedent(script)], timeout=120).check()
            server.shutdown()
            thread.join()
        answers = [f"100000 of {number}" for number in range(3)]
        assert done.stdout.splitlines() == [*answers, "refused"]

    def test_kernel_has_nothing_to_complain_of(self, guest: Guest) -> None:
        assert guest.complaints() == []

    def test_complaints_are_found(self, guest: Guest) -> None:
        guest.run("echo '<4>WARNING: CPU: 0 PID: 1 at nowhere' > /dev/kmsg").check()
        assert any("nowhere" in line for line in guest.complaints())

    def test_module_built_natively_loads_and_unloads(
        self, guest: Guest, image: Image, tmp_path: Path
    ) -> None:
        source = tmp_path / "lab_hello.c"
        source.write_text(
            textwrap.dedent(
                """\
                #include <linux/module.h>
                static int __init hello_init(void) { pr_info("lab_hello: in\\n"); return 0; }
                static void __exit hello_exit(void) { pr_info("lab_hello: out\\n"); }
                module_init(hello_init);
                module_exit(hello_exit);
                MODULE_LICENSE("GPL");
                """
            )
        )
        built = kernel_module.build([source], image, tmp_path / "build")
        guest.push(built["lab_hello"], "/root/lab_hello.ko")
        guest.run("insmod /root/lab_hello.ko").check()
        assert guest.run("ls -d /sys/module/lab_hello").status == 0
        guest.run("rmmod lab_hello").check()
        assert guest.run("ls -d /sys/module/lab_hello").status != 0
        log = guest.dmesg()
        assert log.index("lab_hello: in") < log.index("lab_hello: out")

    def test_chroot_does_not_change_the_root(self, image: Image) -> None:
        done = image.chroot_run(["touch", "/etc/new"], check=False)
        assert done.returncode != 0
        assert b"Read-only" in done.stderr
        assert not (image.rootfs / "etc/new").exists()


class TestLife:
    def test_closing_leaves_nothing(self, image: Image) -> None:
        guest = Guest.boot(image)
        pid, folder = guest.vm.process.pid, guest.vm.folder
        assert (folder / "overlay.qcow2").exists()
        guest.run("echo change > /etc/hostname").check()
        guest.close()
        assert process_is_gone(pid)
        assert not folder.exists()
        with Guest.boot(image) as another:
            assert another.run("cat /etc/hostname").stdout == "lab\n"

    def test_guest_ends_with_a_killed_user(self, image: Image) -> None:
        script = """
            import signal
            from lab import Guest, Image
            guest = Guest.boot(Image.ensure("{kernel}"))
            print(guest.vm.process.pid, guest.vm.folder, flush=True)
            signal.pause()
        """
        user = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script).format(kernel=image.suite.kernel)],
            env={**os.environ, "PYTHONPATH": str(PACKAGING)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert user.stdout is not None
        with user:
            pid, folder = user.stdout.readline().split()
            assert not process_is_gone(int(pid))
            user.kill()
        wait_for(lambda: process_is_gone(int(pid)), f"qemu {pid} ends")
        wait_for(lambda: not Path(folder).exists(), f"{folder} is removed")

    def test_panic_is_told_at_once_with_the_console(self, image: Image) -> None:
        guest = Guest.boot(image)
        with pytest.raises(GuestDied, match="sysrq triggered crash"):
            guest.run("echo c > /proc/sysrq-trigger", timeout=600)
        with pytest.raises(GuestDied):
            guest.run("true")

    def test_trial_boot_says_yes_where_the_accelerator_works(self, image: Image) -> None:
        assert try_accel(image, "tcg", timeout=120)

    def test_command_line_passes_streams_and_status_through(
        self, image: Image, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("shared\n")
        command = "cat /share/file; cat; echo problem >&2; uname -r; exit 7"
        argv = [sys.executable, "-m", "lab", "run", "--kernel", image.suite.kernel]
        done = subprocess.run(
            [*argv, "--share", str(tmp_path), "--cmd", command],
            env={**os.environ, "PYTHONPATH": str(PACKAGING)},
            input="from stdin\n",
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 7, done.stderr
        assert done.stdout == f"shared\nfrom stdin\n{image.release}\n"
        assert "problem\n" in done.stderr

    def test_interrupt_reaches_the_command(self, image: Image) -> None:
        command = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.1; done"
        user = subprocess.Popen(
            [sys.executable, "-m", "lab", "run", "--kernel", image.suite.kernel, "--cmd", command],
            env={**os.environ, "PYTHONPATH": str(PACKAGING)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert user.stdout is not None
        with user:
            assert user.stdout.readline() == "ready\n"
            user.send_signal(signal.SIGINT)
            assert user.stdout.read() == "interrupted\n"
        assert user.returncode == 5

    def test_shell_on_a_terminal(self, image: Image) -> None:
        ours, theirs = os.openpty()
        user = subprocess.Popen(
            [sys.executable, "-m", "lab", "run", "--kernel", image.suite.kernel],
            env={**os.environ, "PYTHONPATH": str(PACKAGING)},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        seen = b""

        def expect(wanted: bytes) -> None:
            nonlocal seen
            while wanted not in seen:
                ready, _, _ = select.select([ours], [], [], 120)
                assert ready, f"{wanted!r} did not come; seen: {seen!r}"
                seen += os.read(ours, 4096)

        try:
            expect(b"lab:~# ")
            # the inner one prints this itself: when it is interrupted after that, the outer one goes on
            inner = 'sh -c "echo armed; exec sleep 4003"'
            os.write(ours, f"""sh -c 'trap "echo caught" INT; {inner}'\n""".encode())
            expect(b"armed\r\n")
            os.write(ours, b"\x03")  # the signal is for the guest's processes, not for ours
            expect(b"caught\r\n")
            os.write(ours, b"exit 9\n")
            with pytest.raises(OSError, match="Input/output error"):  # the terminal is closed
                expect(b"nothing more")
            assert user.wait(timeout=60) == 9
        finally:
            user.kill()
            user.wait()
            os.close(ours)


class TestInstalledProject:
    def test_imports_what_it_depends_on_from_its_own_folder(self, installed: Guest) -> None:
        names = "lark, prometheus_client, sdnotify, structlog, yaml"
        script = f"import agent, compiler, runtime, {names}; print(agent.__file__, lark.__file__)"
        path = "/usr/lib/stapwatch:/usr/lib/stapwatch/vendor"
        done = installed.run(["python3", "-sPc", script], env={"PYTHONPATH": path}).check()
        folder = "/usr/lib/stapwatch"
        agent, lark = f"{folder}/agent/__init__.py", f"{folder}/vendor/lark/__init__.py"
        assert done.stdout.split() == [agent, lark]

    def test_was_compiled_for_the_guest_s_python(self, installed: Guest) -> None:
        script = (
            "find /usr/lib/stapwatch -name '*.py' | wc -l; "
            'find /usr/lib/stapwatch -name "*.$(python3 -c '
            "'import sys; print(sys.implementation.cache_tag)').pyc\" | wc -l"
        )
        sources, compiled = map(int, installed.run(script).check().stdout.split())
        # sources of a package that the guest's Python cannot read (templates) may stay uncompiled
        assert sources > 100
        assert compiled >= sources * 0.97
