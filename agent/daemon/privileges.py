# SPDX-License-Identifier: GPL-2.0-or-later
"""How this agent gets its modules compiled and loaded: by the loader if it may not load them itself.

modules, make_compiler = kernel(None)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.config.file_trust import refusal
from agent.config.load import ConfigError
from agent.config.settings import Settings
from agent.config.yaml_tree import ConfigDiagnostic, Position
from agent.log_messages import Message
from agent.log_sinks import log
from agent.scripts import loader_client
from agent.scripts.compile_client import Compiler
from agent.scripts.kernel_modules import Keeper, Modules
from agent.signing.signer import Signer
from runtime.reader import module_loader

_HINT = "or let the service do it: systemctl start stapwatch"
MakeCompiler = Callable[[Settings], Compiler]


def kernel(config: Path | None = None) -> tuple[Modules, MakeCompiler]:
    """Without a loader, an agent that may load modules does it itself, and compiles in children. `config`:
    None for the default file; it may name a key that signs modules."""
    if not loader_client.is_needed():
        return Modules(keeper=Keeper.AGENT, signer=Signer(config)), _own_compiler
    compilers = loader_client.LoaderCompilers()
    return loader_client.LoaderModules(), lambda settings: Compiler(
        settings.compile, compilers=compilers
    )


def _own_compiler(settings: Settings) -> Compiler:
    """Children of this process, and what was fetched of stores, if the configuration has any."""
    if not settings.stores.all:
        return Compiler(settings.compile)
    from agent.scripts.compilers import Compilers
    from agent.store.serials import Serials
    from agent.store.spool import Spool
    from agent.store.stored_modules import StoredModules, Trust

    stored = StoredModules(Spool(), Serials(settings.state_folder), _refused)
    trust = Trust(settings.stores.here, settings.stores.keys)
    return Compiler(settings.compile, compilers=Compilers(stored=stored, trust=trust))


def _refused(text: str) -> None:
    log().error(text, message_id=Message.MODULE_REFUSED)


def check(settings: Settings) -> None:
    """Raises ConfigError if another user, the service's own included, could change the modules that this
    process is to load itself."""
    if settings.insecure_files or loader_client.is_needed():
        return
    if why := refusal(settings.work_folder, is_searched=True):
        raise ConfigError(
            [ConfigDiagnostic(Position(str(settings.work_folder)), why, _HINT)], settings
        )


def report() -> None:
    """Say once that this agent has the privileges that the service's does without."""
    if not loader_client.is_needed() and module_loader.may_load():
        log().info(
            "this agent loads modules and compiles by itself, as root and not in a sandbox; the service "
            "stapwatch does it with separate privileges",
            message_id=Message.PRIVILEGED,
        )
