# SPDX-License-Identifier: GPL-2.0-or-later
"""Netfilter's hooks in a real kernel: packets are counted at each, distinguished, dropped and accepted."""

from __future__ import annotations

from typing import Any

import pytest

from lab import Guest
from tests.handlers.conftest import Case, check

SIZE = 77  # bytes of the trigger's datagrams
IPV4, IPV6 = 28 + SIZE, 48 + SIZE
LOCAL_IN = 'netfilter.hook("NF_INET_LOCAL_IN").pf("NFPROTO_IPV4")'
LOCAL_OUT = 'netfilter.pf("NFPROTO_IPV4").hook("NF_INET_LOCAL_OUT")'


def facts(name: str, point: str, trigger: str, mine: str, *facts: str) -> Case:
    """Expressions that are true for the first packet that is `mine`."""
    lines = "\n".join(f'if (!({fact})) println("not so: ", {i})' for i, fact in enumerate(facts))
    text = f'global seen; probe {point} {{ if (!({mine}) || seen++) next {lines} println("seen") }}'
    return Case(name, text, trigger, output="seen\n")


CASES = [
    Case(
        "every hook sees every packet",
        f"""global n, bytes
        probe netfilter.ipv4.* {{ if (length == {IPV4} && udphdr) {{ n[$hooknum]++; bytes += length }} }}
        probe netfilter.ipv6.* {{ if (length == {IPV6} && udphdr) {{ n[10 + $hooknum]++; bytes += length }} }}""",
        trigger="datagrams 9 9 datagrams6 8 8",
        values={
            "n": {**dict.fromkeys((0, 1, 3, 4), 9), **dict.fromkeys((10, 11, 13, 14), 8)},
            "bytes": 4 * (9 * IPV4 + 8 * IPV6),
        },
    ),
    facts(
        "a datagram that leaves",
        "netfilter.ip.local_out",
        "datagrams 3 3",
        f"length == {IPV4}",
        'pf == "ipv4" && family == 2 && $hooknum == 3',
        'saddr == "127.0.0.1" && daddr == "127.0.0.1"',
        "protocol == ipproto_udp && protocol != ipproto_tcp",
        "iphdr == $skb->data && udphdr == iphdr + 20 && tcphdr == 0",
        "sport > 0 && dport > 0 && sport != dport && !syn && !ack && !fin && !rst && !psh && !urg",
        'outdev == $out && outdev_name == "lo" && out_mac == "00:00:00:00:00:00" && outdev_mac_len == 6',
        'indev == 0 && indev_name == "" && in_mac == "" && indev_mac_len == 0',
        f'substr(data_hex, 0, 8) == "4500{IPV4:04x}" && strlen(data_hex) == 2 * length',
        'isinstr(data_str, "packet0") && strlen(data_str) == length && substr(data_str, 0, 2) == "E."',
        'execname() == "trigger" && pid() == target()',
        'pp() =~ "NF_INET_LOCAL_OUT"',
        "nf_drop == 0 && nf_accept == 1 && nf_stolen == 2 && nf_queue == 3 && nf_repeat == 4 && nf_stop == 5",
        '$$vars == sprintf("hooknum=0x3 skb=%p in=0x0 out=%p", $skb, $out)',
    ),
    facts(
        "a datagram of IPv6 that comes in",
        "netfilter.ip.local_in",
        "datagrams6 3 3",
        f"length == {IPV6}",
        'pf == "ipv6" && family == 10 && $hooknum == 1',
        'saddr == "::1" && daddr == "::1"',
        "protocol == ipproto_udp && udphdr == iphdr + 40 && sport > 0 && dport > 0",
        'indev_name == "lo" && outdev == 0',
        'isinstr(data_str, "packet0")',
    ),
    Case(
        "a connection's flags",
        """global n
        probe netfilter.ipv4.local_out { if (protocol != ipproto_tcp || saddr != "127.0.0.1") next
            if (syn) n["syn", ack]++
            if (fin) n["fin", ack]++
            if (psh) n["psh", ack]++
            if (rst || urg) n["other", ack]++ }""",
        trigger="tcp 1000",
        values={"n": {("syn", 0): 1, ("syn", 1): 1, ("fin", 1): 2, ("psh", 1): 1}},
    ),
    Case(
        "packets are dropped",
        f"""global dropped, passed
        probe netfilter.ipv4.local_in {{ if (length == {IPV4} && dropped < 3) {{ $verdict = nf_drop; dropped++ }} }}
        probe {LOCAL_IN}.priority("NF_IP_PRI_LAST") {{ if ($skb->len == {IPV4}) passed[$verdict]++ }}""",
        trigger="datagrams 9 6",
        values={"dropped": 3, "passed": {1: 6}},
        guru=True,
    ),
    Case(
        "a sender is refused",
        f"""global n
        probe {LOCAL_OUT} {{ if ($skb->len != {IPV4}) next; if (n++ < 4) $verdict = 0 }}""",
        trigger="datagrams 9 5",
        values={"n": 9},
        guru=True,
    ),
    Case(
        "priorities",
        f"""probe {LOCAL_OUT}.priority("NF_IP_PRI_LAST") {{ if ($skb->len == {IPV4}) print("4") }}
        probe {LOCAL_OUT} {{ if ($skb->len == {IPV4}) print("2") }}
        probe {LOCAL_OUT}.priority("-450") {{ if ($skb->len == {IPV4}) print("1") }}
        probe {LOCAL_OUT}.priority("300") {{ if ($skb->len == {IPV4}) print("3") }}""",
        trigger="datagrams 2 2",
        output="12341234",
    ),
    Case(
        "what is no verdict lets the packet pass",
        f"""global n
        probe {LOCAL_IN} {{ if ($skb->len != {IPV4}) next
            $verdict = 4 + n++; if (n == 4) $verdict = 0x7ffffff9; if (n == 5) $verdict = -6 }}""",
        trigger="datagrams 9 9",
        values={"n": 9},
        guru=True,
    ),
    Case(
        "what a script without C calls stolen is freed",
        f"""global n
        probe {LOCAL_IN} {{ if ($skb->len == {IPV4}) if (n++ < 1999) $verdict = 2 }}""",
        trigger="datagrams 2000 1",
        values={"n": 2000},  # a sender whose packets leak may have 300 of them
        guru=True,
    ),
    Case(
        "an error lets the packet pass",
        f"""probe {LOCAL_IN} {{ if ($skb->len == {IPV4}) println(1 / ($in == 0)) }}""",
        trigger="datagrams 2 2",
        errors=("division by 0",) * 2,
    ),
    Case(
        "a hit inside a handler is skipped and counted",
        f"""%{{
        #include <linux/netfilter.h>
        #include <net/net_namespace.h>
        static int nothing(struct net *net, struct sock *sock, struct sk_buff *packet)
        {{
            return 0;
        }}
        %}}
        function again:long(packet:long, device:long) %{{
            STAP_RETVALUE = nf_hook(NFPROTO_IPV4, NF_INET_LOCAL_IN, &init_net, NULL,
                                    (struct sk_buff *)STAP_ARG_packet, (struct net_device *)STAP_ARG_device,
                                    NULL, nothing);
        %}}
        global accepted, entered
        probe {LOCAL_OUT} {{ if ($skb->len == {IPV4}) accepted += again($skb, $out) }}
        probe {LOCAL_IN} {{ if ($skb->len == {IPV4}) entered++ }}""",
        guru=True,
        trigger="datagrams 5 5",
        values={"accepted": 5, "entered": 5},
    ),
    Case(
        "both families at once",
        f"""global n
        probe netfilter.hook("NF_INET_LOCAL_IN").pf("NFPROTO_INET") {{
            if ($skb->len == {IPV4} || $skb->len == {IPV6}) n++ }}
        probe netfilter.hook("1").pf("10").priority("5") {{ if ($skb->len == {IPV6}) n += 100 }}""",
        trigger="datagrams 3 3 datagrams6 2 2",
        values={"n": 205},
        guru=True,
    ),
    Case(
        "address resolution",
        """probe netfilter.arp.* { if (ar_tip != "10.77.0.9") next
            printf("%s %d %d %s %s %s %s %s%s %d\\n", pf, $hooknum, ar_op, ar_sip, ar_tip, ar_sha, ar_tha,
                indev_name, outdev_name, ar_hrd == 1 && ar_pro == 0x800 && ar_hln == 6 && ar_pln == 4)
            if ($hooknum == 0) exit() }""",
        trigger="udp_to 10.77.0.9",
        until_exit=True,
        output="arp 1 1 10.77.0.1 10.77.0.9 02:00:00:00:00:01 00:00:00:00:00:00 v0 1\n"
        "arp 0 1 10.77.0.1 10.77.0.9 02:00:00:00:00:01 00:00:00:00:00:00 v1 1\n",
    ),
    Case(
        "the spanning tree",
        """global n
        probe netfilter.bridge.local_out { if (protocol != llcproto_stp || outdev_name != "b0") next
            printf("%s %d %d %d %d %s %s %d %d %d %d %d\\n", pf, br_prid, br_vid, br_type, br_rid == br_bid && br_rid == 0x8000 && br_poid == 0x8001, br_rmac, br_mac,
                br_cost, br_msg, br_max / 256, br_htime / 256, br_fd / 256)
            if (++n == 2) exit() }""",
        until_exit=True,
        output="bridge 0 0 0 1 02:00:00:00:00:03 02:00:00:00:00:03 0 0 20 1 15\n" * 2,
    ),
]
NETWORK = """
ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02
ip addr add 10.77.0.1/24 dev v0
ip link set v0 up; ip link set v1 up
ip link add br0 address 02:00:00:00:00:03 type bridge stp_state 1 hello_time 100
ip link add b0 type veth peer name b1
ip link set b0 master br0
ip link set b0 up; ip link set b1 up; ip link set br0 up
"""


@pytest.fixture(scope="module")
def guest(guest: Guest) -> Guest:
    """The guest with interfaces and a bridge of its own."""
    guest.run(["sh", "-ec", NETWORK]).check()
    return guest


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])


def test_a_skipped_hit_is_counted(results: dict[str, Any]) -> None:
    outer, inner = results["a hit inside a handler is skipped and counted"]["probes"]
    assert outer[1] == 0 and inner[1] == 5
