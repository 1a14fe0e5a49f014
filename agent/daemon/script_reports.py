# SPDX-License-Identifier: GPL-2.0-or-later
"""Logs what became of a script. Each function returns the texts, for those who wait for a reload.

compile_failed("vfs", error)  -> ("script vfs does not compile: vfs.stp:3:1: expected ')' ...",)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from agent.config import file_trust
from agent.config.settings import ScriptSettings
from agent.log_messages import Message
from agent.log_sinks import log
from compiler.protocol import Diagnostic


def unknown(script: str, scripts: Iterable[str]) -> str:
    return f"there is no script '{script}'; scripts: {', '.join(sorted(scripts)) or 'none'}"


def compile_failed(script: str, diagnostics: Sequence[Diagnostic]) -> tuple[str, ...]:
    """One line for each error, with its position in fields of their own."""
    texts = []
    for found in diagnostics:
        text = compile_text(script, found)
        fields = {"message_id": Message.SCRIPT_COMPILE_ERROR, **_fields(script, found)}
        log().error(text, hint=found.hint, **fields)
        texts.append(text)
    return tuple(texts)


def compile_text(script: str, found: Diagnostic) -> str:
    return f"script {script} does not compile: {described(found)}"


def compile_warnings(script: str, diagnostics: Sequence[Diagnostic]) -> None:
    for found in diagnostics:
        fields = {"message_id": Message.SCRIPT_COMPILE_WARNING, **_fields(script, found)}
        log().warning(described(found), **fields)


def described(found: Diagnostic) -> str:
    """The error in one line, and below it the source line with its caret."""
    _, _, rendered = found.text.partition("\n --> ")
    shown = [line for line in rendered.splitlines()[1:] if "|" in line.partition("\t")[0]]
    source = [line for line in shown if line.partition("|")[2]]
    return "\n".join([found.summary, *source])


def _fields(script: str, found: Diagnostic) -> dict[str, Any]:
    fields: dict[str, Any] = {"script": script, "slug": found.slug}
    if found.file and found.line:
        fields |= {"file": found.file, "line": found.line, "column": found.column}
    return fields


def unreadable(script: ScriptSettings, error: OSError) -> str:
    """Why a script's file cannot be read, and where the configuration names it."""
    elsewhere = str(script.file) != script.position.file
    place = f" ({script.position})" if elsewhere else ""
    file = error.filename or script.file  # it may be a variant's
    why = file_trust.unreadable(Path(str(file)), error)
    return f"cannot read {file}{place}: {why[:1].lower()}{why[1:]}"


def unreadable_text(script: ScriptSettings, error: OSError) -> str:
    return f"script {script.name} failed: {unreadable(script, error)}"


def failed(script: str, reason: str) -> str:
    text = f"script {script} failed: {reason}"
    log().error(text, message_id=Message.SCRIPT_FAILED, script=script)
    return text


def running(script: str, module: str, state: str = "running") -> None:
    """`state`: running or paused."""
    text = f"script {script} is {state}"
    log().info(text, message_id=Message.SCRIPT_RUNNING, script=script, module=module)


def adopted(script: str, module: str) -> None:
    text = f"module {module} adopted"
    log().info(text, message_id=Message.MODULE_ADOPTED, script=script, module=module)


def unsafe(script: str, why: str) -> None:
    """The module that runs must not go on."""
    text = f"script {script} is replaced: {why}"
    log().warning(text, message_id=Message.MODULE_UNSAFE, script=script)


def compiled_anew(script: str, why: str) -> None:
    """A module was in the cache, and could not serve."""
    text = f"script {script} was compiled anew: {why}"
    log().info(text, message_id=Message.SCRIPT_COMPILED_ANEW, script=script)


def looked_again(loaded: Sequence[str], left: Sequence[str]) -> tuple[bool, str]:
    """Whether no script is left that could not be compiled, and what to say."""
    if loaded:
        log().info(
            f"modules have become available, and run: {', '.join(loaded)}",
            message_id=Message.MODULES_AVAILABLE,
        )
    texts = [f"loaded now: {', '.join(loaded)}"] if loaded else []
    texts += [f"still without a module: {', '.join(left)}"] if left else []
    return not left, "; ".join(texts) or "no script waits for a module"


def reading_given_up(script: str) -> None:
    text = (
        f"script {script} changes faster than it is scraped: what an earlier version counted is not "
        "served any more"
    )
    log().warning(text, message_id=Message.VALUES_LOST, script=script)


def ended(script: str, state: str) -> None:
    text = f"script {script} ended"
    log().info(text, message_id=Message.SCRIPT_ENDED, script=script, state=state)


def removed(script: str) -> None:
    log().info(f"script {script} was removed", message_id=Message.SCRIPT_REMOVED, script=script)


def metric_problem(script: str, problem: str) -> str:
    text = problem_text(script, problem)
    log().warning(text, message_id=Message.METRIC_PROBLEM, script=script)
    return text


def problem_text(script: str, problem: str) -> str:
    """As `metric_problem` has logged it."""
    return f"script {script}: metric problem: {problem}"
