# SPDX-License-Identifier: GPL-2.0-or-later
"""Conditions on facts, and the position of a host: stable, monotone and uniform."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.rollout_settings import Patterns
from agent.rollout.decide import Wanted, decide
from agent.rollout.host_facts import HostFacts
from agent.rollout.matching import kernel_mismatch, matches, mismatch, position
from runtime.support.record import replace
from tests.agent.rollout.hosts import NOW, WEB, scripts

MACHINES = [hashlib.md5(str(number).encode()).hexdigest() for number in range(10_000)]


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ("", ""),
        ("host: web-*", ""),
        ("host: WEB-1", ""),  # without its domain, and names of hosts have no case
        ("host: [db-*, '*.example.net']", ""),
        ("host: db-*", "host is 'web-1.example.net', and must be 'db-*'"),
        ("host: ['web-*', '!web-1']", "host is 'web-1.example.net', and must be 'web-*' or '!web-1'"),
        ("host: ['!db-*', '!web-2']", ""),
        ("kernel: '>=5.10 <7'", ""),
        ("kernel: 6.1", ""),
        ("kernel: '>6.1'", "kernel is '6.1.0-13-amd64', and must be '>6.1'"),
        ("kernel: '<=6.1'", ""),
        ("kernel: '>=6.1.1'", "kernel is '6.1.0-13-amd64', and must be '>=6.1.1'"),
        ("kernel: '>=6, <6.1'", "kernel is '6.1.0-13-amd64', and must be '>=6, <6.1'"),
        ("kernel: '>=5.9'", ""),  # numbers, not text
        ("cpus: '>2'", ""),
        ("cpus: '>=10'", "cpus is '4', and must be '>=10'"),
        ("arch: aarch64", "arch is 'x86_64', and must be 'aarch64'"),
        ("virtualization: vm", ""),
        ("virtualization: [none, container]", "virtualization is 'kvm', and must be 'none' or 'container'"),
        ("os: debian", ""),
        ("os: 'debian 1?'", ""),
        ("os: debian 13", "os is 'debian 12', and must be 'debian 13'"),
        ("cgroup: v2", ""),
        ("labels: {tier: canary, site: [fra*, ams*]}", ""),
        ("labels: {tier: prod}", "label 'tier' is 'canary', and must be 'prod'"),
        ("labels: {rack: a1}", "label 'rack' is not set, and must be 'a1'"),
        ("labels: {rack: '!a1'}", ""),
        ("host: web-*, labels: {tier: prod}", "label 'tier' is 'canary', and must be 'prod'"),
    ],
)  # fmt: skip
def test_conditions(when: str, why: str) -> None:
    found = mismatch(scripts(f"a: {{when: {{{when}}}}}").scripts["a"].rollout.when, WEB)
    assert (found.text if found else "") == why


@pytest.mark.parametrize(
    ("when", "key"),
    [
        ("kernel: '>=5.10'", ""),
        ("kernel: '<6'", "kernel"),
        ("arch: aarch64", "arch"),
        ("host: db-*, os: fedora, cpus: '>900', labels: {tier: none}", ""),  # some host may be it
        ("host: db-*, kernel: '<6'", "kernel"),
    ],
)
def test_conditions_that_a_kernel_alone_decides(when: str, key: str) -> None:
    wanted = scripts(f"a: {{when: {{{when}}}}}").scripts["a"].rollout.when
    found = kernel_mismatch(wanted, WEB.kernel, WEB.arch)
    assert (found.key if found else "") == key


@pytest.mark.parametrize(
    ("virtualization", "kind"),
    [("docker", "container"), ("kvm", "vm"), ("vm-other", "vm"), ("none", "none")],
)
def test_a_kind_of_virtualization(virtualization: str, kind: str) -> None:
    host = replace(WEB, virtualization=virtualization)
    for word in ("container", "vm", "none"):
        wanted = scripts(f"a: {{when: {{virtualization: {word}}}}}").scripts["a"].rollout.when
        assert (mismatch(wanted, host) is None) == (word == kind)


def test_a_kernel_without_a_number_is_in_no_range() -> None:
    wanted = scripts("a: {when: {kernel: '<7'}}").scripts["a"].rollout.when
    assert mismatch(wanted, replace(WEB, kernel="")) is not None


@given(st.text(), st.text())
def test_what_is_left_out_never_matches(pattern: str, value: str) -> None:
    assert not matches(Patterns(("*", f"!{value.replace('[', '[[]')}")), (value,)) or any(
        char in value for char in "*?"
    )


def host(machine_id: str) -> HostFacts:
    return HostFacts("h", machine_id)


def test_a_position_stays_for_ever() -> None:
    """These numbers are what rollouts in progress rely on: another hash would move every host."""
    assert position(host(MACHINES[0]), "vfs") == Decimal("47.910948")
    assert position(host(MACHINES[0]), "opens") == Decimal("10.451574")
    assert position(host(MACHINES[1]), "vfs") == Decimal("69.02746")


def test_positions_are_uniform() -> None:
    """Chi-square over 100 percents with 99 degrees of freedom: above 149 once in a thousand."""
    for script in ("vfs", "opens"):
        counts = [0] * 100
        for machine in MACHINES:
            counts[int(position(host(machine), script))] += 1
        assert sum((count - 100) ** 2 / 100 for count in counts) < 149


def test_scripts_have_independent_positions() -> None:
    """Of the first tenth for one script a tenth is in that of another: four deviations are 38."""
    both = [
        m for m in MACHINES if all(position(host(m), script) < 10 for script in ("vfs", "opens"))
    ]
    assert abs(len(both) - 100) < 40


@given(st.text(min_size=1), st.decimals(0, 100, places=3), st.decimals(0, 100, places=3))
def test_a_host_stays_in_when_the_percentage_grows(
    machine: str, one: Decimal, other: Decimal
) -> None:
    low, high = sorted((one, other))
    settings = scripts(f"a: {{percent: {low}}}"), scripts(f"a: {{percent: {high}}}")
    less, more = (decide(s, host(machine), NOW)["a"].wanted for s in settings)
    assert less is Wanted.OFF or more is Wanted.RUN


@given(st.text())
def test_all_and_none(machine: str) -> None:
    found = decide(scripts("a: {percent: 100}\nb: {percent: 0}"), host(machine), NOW)
    assert (found["a"].wanted, found["b"].wanted) == (Wanted.RUN, Wanted.OFF)


def test_a_host_without_a_machine_id_is_known_by_its_name() -> None:
    assert position(HostFacts("a"), "vfs") != position(HostFacts("b"), "vfs")
