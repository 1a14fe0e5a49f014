# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch explain SCRIPT`: how a script's probes are done, what is exported, and what it takes.

The script is compiled and not loaded. If the configuration has it, that says its options and metrics.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, UsageError, add_command, file_error
from agent.config.settings import MAIN_FILE
from agent.session import compile_options
from agent.session.compile_options import CompileOptions
from compiler.protocol import LAST_PASS, Request
from runtime.support.record import record, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.config.settings import ScriptSettings, Settings
    from agent.scripts.variants import Candidate

USAGE_STATUS = 2
_ABOUT = """\
Explain what a script would do on this kernel, without loading it. For each probe point:
the hook that was chosen, where its handler runs, where the types of its variables come
from, and the instructions that a hit is expected to take. Then: what is exported, with
type, labels and buckets; and the kernel memory, by array.

SCRIPT is a file, or the name of a script of the configuration. If the configuration has
the file, the script has the options and metrics that stand there, and -D, -G, -I and -g
are added to them.

exit status:
  0  the script compiles
  1  it does not, or there is no such script
  2  the command line or the configuration is wrong
"""
_EXAMPLES = (
    ("is this cheap enough for production?", "stapwatch explain vfs.stp"),
    (
        "a script of the configuration, with the metrics that are declared there",
        "stapwatch explain vfs",
    ),
    ("what if the arrays were smaller?", "stapwatch explain -D MAXMAPENTRIES=500 vfs.stp"),
    ("for programs", "stapwatch explain --json vfs.stp"),
)


@record
class ExplainOptions:
    """`script`: a file or a name. `config`: None for the default file, which need not exist."""

    compile: CompileOptions
    script: str
    config: Path | None
    json: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers, "explain", "explain a script's hooks, metrics and cost", _ABOUT, _EXAMPLES
    )
    compile_options.add_arguments(command, LAST_PASS)
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument("--json", action="store_true", help="print it as JSON")
    command.add_argument("script", metavar="SCRIPT", help="a file, or a name of the configuration")
    return command


def parse(given: argparse.Namespace) -> ExplainOptions:
    """Raises UsageError."""
    if given.last_pass != LAST_PASS:
        raise UsageError("-p: an explanation needs all passes")
    return ExplainOptions(compile_options.parse(given), given.script, given.config, given.json)


def run(options: ExplainOptions) -> int:
    """Explain one script. 1: it does not compile; 2: the configuration is wrong."""
    import asyncio

    from agent.config import load
    from agent.scripts.compile_client import CompileError

    try:
        settings = _settings(options.config)
        script = _configured(options.script, settings)
        if script is None:
            with Path(options.script).open("rb"):
                pass
        return asyncio.run(_explain(options, script, settings))
    except load.ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except CompileError as error:
        print(error.text, file=sys.stderr)
        return 1
    except OSError as error:
        print(file_error(error, failed="cannot read"), file=sys.stderr)
        if options.script in (error.filename, str(error.filename)):
            names = ", ".join(sorted(settings.scripts)) or "none"
            print(f"hint: scripts of the configuration: {names}", file=sys.stderr)
        return 1


def _settings(config: Path | None) -> Settings:
    """The configuration. The default one need not be right, or be there: a file does without it."""
    from agent.config import load
    from agent.config.settings import Settings

    try:
        return load.load(config, insecure_files=True)  # it only reads
    except load.ConfigError:
        if config is not None:
            raise
        return Settings()


def _configured(script: str, settings: Settings) -> ScriptSettings | None:
    """The script of the configuration that has this file or, if there is no such file, this name."""
    path = Path(script)
    if not path.exists():
        return settings.scripts.get(script)
    found = path.resolve()
    same = (
        s for s in settings.scripts.values() if s.file is not None and s.file.resolve() == found
    )
    return next(same, None)


async def _explain(
    options: ExplainOptions, script: ScriptSettings | None, settings: Settings
) -> int:
    import json
    import tempfile

    from agent.daemon.self_metrics import Health, SelfMetrics
    from agent.scripts import variants
    from agent.scripts.compile_client import Compiler
    from agent.session import explanation, explanation_text
    from runtime.reader import module_memory

    with tempfile.TemporaryDirectory(prefix="stapwatch-") as folder:
        found = _candidates(options, script, settings, Path(folder))
        compiled = await variants.compile_first(Compiler(settings.compile), found)
        manifest = module_memory.manifest_of(compiled.path)
    assert manifest is not None
    tree = explanation.explanation(
        manifest.name,
        found[0].request.source or str(script.position if script else options.script),
        compiled,
        manifest,
        script.metrics if script is not None else {},
        SelfMetrics(Health(), {}).names(),
        module_memory.possible_cpus(),
    )
    print(json.dumps(tree, indent=2) if options.json else explanation_text.text(tree))
    for warning in compiled.warnings:
        print(warning, file=sys.stderr)
    return 0


def _candidates(
    options: ExplainOptions, script: ScriptSettings | None, settings: Settings, folder: Path
) -> Sequence[Candidate]:
    """The requests to try in order: of a script with variants the first that compiles is explained."""
    from agent.scripts import variants
    from agent.session.compile_request import cache_folder, check_request

    if script is None:
        request = check_request(options.compile, options.script, folder)
        return [variants.Candidate("", replace(request, explain=True), "")]
    placed = {"output": str(folder), "cache": str(cache_folder()), "explain": True}
    return [
        replace(c, request=replace(_with_options(c.request, options.compile), **placed))
        for c in variants.candidates(script, settings)
    ]


def _with_options(request: Request, options: CompileOptions) -> Request:
    """The configuration's request, as the command line wants it changed."""
    return replace(
        request,
        defines={**request.defines, **options.defines},
        globals={**request.globals, **options.globals},
        library=(*request.library, *options.library),
        guru=request.guru or options.guru,
    )
