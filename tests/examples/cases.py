# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs do for an example, and what its series then have counted.

Case("signals", "trigger signals 25", {series("stapwatch_signals_total", sender="a", receiver="b"): 25})

The guest's shell runs the command. The series grow by exactly these numbers.
"""

from __future__ import annotations

from textwrap import dedent

from runtime.support.record import record

Name = tuple[str, frozenset[tuple[str, str]]]


@record
class Case:
    example: str
    command: str
    counts: dict[Name, float]


def series(name: str, **labels: str) -> Name:
    return name, frozenset(labels.items())


def unit(name: str, command: str, properties: str = "") -> str:
    """Run a command as a unit of systemd, whose control group lives on when the command has ended."""
    return dedent(f"""\
        systemd-run --quiet --unit={name} {properties} sh -c '{command}; touch /run/{name}; exec sleep 1000'
        until [ -e /run/{name} ]; do sleep 0.1; done""")


# Handshakes in memory, without certificates. Those of one side only are never finished.
TLS = """\
import ctypes, ssl
def half(server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    read, write = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(read, write, server_side=server), read, write
def goes_on(side):
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return True
    return False
def shake():
    client, server = half(False), half(True)
    waiting = [client, server]
    while waiting:
        waiting = [side for side in waiting if goes_on(side[0])]
        server[1].write(client[2].read())
        client[1].write(server[2].read())
name = ctypes.CDLL(None).prctl
name(15, b"exact-tls", 0, 0, 0)
for _ in range(4):
    shake()
for _ in range(3):
    goes_on(half(False)[0])
name(15, b"python3", 0, 0, 0)
"""
CONNECT6 = """\
import socket
server = socket.create_server(("::1", 17013), family=socket.AF_INET6)
for _ in range(5):
    socket.create_connection(("::1", 17013)).close()
    server.accept()[0].close()
"""
GC = """\
import ctypes, gc
gc.disable()
name = ctypes.CDLL(None).prctl
name(15, b"exact-gc", 0, 0, 0)
for _ in range(6):
    gc.collect(0)
for _ in range(3):
    gc.collect(2)
name(15, b"python3", 0, 0, 0)
"""
OOM = "--collect -p Type=oneshot -p MemoryMax=16M -p MemorySwapMax=0"  # returns when it has ended
RTT = series("stapwatch_tcp_rtt_seconds_count", network="127.0.0.0")

CASES = (
    Case(
        "tcp_latency",
        "trigger connect 17011 25",
        {
            series("stapwatch_tcp_connect_latency_seconds_count", port="17011"): 25,
            series("stapwatch_tcp_accept_latency_seconds_count", port="17011"): 25,
        },
    ),
    # both ends are here
    Case("tcp_rtt", "trigger connect 17012 15", {RTT: 30}),
    Case(
        "tcp_rtt6",
        f"python3 -c '{CONNECT6}'",
        {RTT: 0, series("stapwatch_tcp_rtt_seconds_count", network="ipv6"): 10},
    ),
    Case(
        "page_cache",
        "trigger cached /var/tmp/exact 50",
        {
            series("stapwatch_page_cache_used_pages_total", process="exact-cache"): 100,
            series("stapwatch_page_cache_added_pages_total", process="exact-cache"): 50,
        },
    ),
    Case(
        "slow_syscalls",
        unit("exact-slow", "trigger pipes 4 150"),
        {
            series(
                "stapwatch_slow_syscalls_seconds_count",
                systemd_unit="exact-slow.service",
                syscall="readv",
            ): 4
        },
    ),
    Case(
        "packet_drops",
        "trigger datagrams 17003 20",
        {series("stapwatch_packet_drops_total", function="__udp4_lib_rcv", reason="NO_SOCKET"): 20},
    ),
    Case(
        "dns_latency",
        "trigger dns 10 3",
        {
            series("stapwatch_dns_latency_seconds_count", process="exact-dns"): 10,
            series("stapwatch_dns_unanswered_total", process="exact-dns"): 3,
        },
    ),
    Case(
        "signals",
        "trigger signals 25",
        {
            series(
                "stapwatch_signals_total",
                sender="exact-sender",
                receiver="exact-target",
                signal="SIGRTMIN+8",
            ): 25
        },
    ),
    Case(
        "processes",
        "trigger start 12 7 5",
        {
            series("stapwatch_process_starts_total", process="exact-start", kind="process"): 12,
            series("stapwatch_process_starts_total", process="exact-start", kind="thread"): 7,
            series("stapwatch_process_starts_total", process="exact-program", kind="program"): 5,
        },
    ),
    Case(
        "lock_contention",
        "trigger locks /mnt/exact/lock 5",
        {
            series(
                "stapwatch_lock_wait_seconds_count", process="exact-lock", kind="rwsem, writing"
            ): 5
        },
    ),
    Case(
        "timer_lateness",
        "trigger timers 15",
        {series("stapwatch_timer_lateness_seconds_count", function="posix_timer_fn"): 15},
    ),
    Case(
        "memory_refused",
        "trigger refused 9",
        {series("stapwatch_memory_refused_total", process="exact-refused"): 9},
    ),
    Case(
        "tls_handshakes",
        f"python3 -c '{TLS}'",
        {
            # both ends are here
            series("stapwatch_tls_handshake_seconds_count", process="exact-tls"): 8,
            series("stapwatch_tls_handshake_failures_total", process="exact-tls"): 3,
        },
    ),
    Case(
        "python_gc",
        f"python3 -c '{GC}'",
        {
            series("stapwatch_python_gc_seconds_count", process="exact-gc", generation="0"): 6,
            series("stapwatch_python_gc_seconds_count", process="exact-gc", generation="2"): 3,
        },
    ),
    # the command fails: it is killed
    Case(
        "oom_kills",
        f"systemd-run --quiet {OOM} --unit=exact-oom trigger hog 64 || true",
        {
            series(
                "stapwatch_oom_kills_total", systemd_unit="exact-oom.service", process="exact-hog"
            ): 1
        },
    ),
)
