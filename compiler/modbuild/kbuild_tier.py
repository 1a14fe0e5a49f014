# SPDX-License-Identifier: GPL-2.0-or-later
"""The kbuild tier: the kernel's own build system makes the whole module, in seconds.

    folder: Kbuild, include/, the runtime's *.c, script.c, manifest.json, manifest.S
    make(...) -> folder/NAME.ko

The fast tier is prepared from one such build, and its first module is compared with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from compiler.modbuild.errors import BuildError
from compiler.modbuild.request import BuildInput
from compiler.modbuild.runtime_sources import Sources
from compiler.modbuild.toolchain import Headers, Ran, Toolchain, first_complaint
from runtime.support.lazy_regex import pattern

# -g0: debug information is fifty times the size of the code, and nothing reads it. Without it there is
# no type information (BTF) either; kernels load modules that have none.
MAKE_FLAGS = ("KCFLAGS=-g0", "KAFLAGS=-g0", "CONFIG_DEBUG_INFO_BTF_MODULES=")
_TIMEOUT = 600.0
_NO_COMMAND = pattern(
    r"(?:^|[ :/])([\w.+-]*(?:gcc|clang|ld|objtool|pahole)[\w.+-]*): "
    r"(?:\d+: )?(?:command )?(?:not found|No such file or directory)",
    re.MULTILINE,
)
_WHOLE_FAILED = pattern(r"\*\*\* \[.*whole\.o\]")
_CONFIGURED = pattern(r'^CONFIG_CC_VERSION_TEXT="(.*)"$', re.MULTILINE)


def lay_out(folder: Path, sources: Sources, target: str, request: BuildInput) -> None:
    """Fill a module's build folder. `target` is the text of target.h. Raises BuildError."""
    if f"{request.module}.c" in {*sources.files, "script.c", "manifest.c", "whole.c"}:
        message = f"a module cannot be named '{request.module}': a file of the runtime is"
        raise BuildError("bad-module-name", message)
    sources.write(folder)
    header = folder / "include/stapwatch/target.h"
    header.parent.mkdir(exist_ok=True)
    header.write_text(target)
    (folder / "Kbuild").write_bytes(sources.files["template/Kbuild"])
    (folder / "manifest.S").write_bytes(sources.files["template/manifest.S"])
    (folder / "manifest.json").write_text(request.manifest)
    (folder / "script.c").write_text(request.c_text)


def make(
    folder: Path,
    headers: Headers,
    toolchain: Toolchain,
    request: BuildInput,
    verbose: bool = False,
) -> Ran:
    """Run kbuild in a folder of `lay_out`, which makes folder/MODULE.ko. Raises BuildError.

    The runtime's files are compiled as one. If a name in one of them clashes with a name in the kernel
    headers that another includes, they are compiled one by one, which takes longer. `verbose`: the
    output shows the commands.
    """
    more = [f"V={int(verbose)}"]
    ran = _make(folder, headers, toolchain, request, more)
    if ran.status != 0 and _WHOLE_FAILED.search(ran.output):
        ran = _make(folder, headers, toolchain, request, [*more, "SW_APART=y"])
    if ran.status != 0 or not (folder / f"{request.module}.ko").is_file():
        raise _explain(ran, headers)
    return ran


def _make(
    folder: Path,
    headers: Headers,
    toolchain: Toolchain,
    request: BuildInput,
    more: Sequence[str],
) -> Ran:
    seen = toolchain.path(folder)
    argv = ["make", "-C", headers.seen, f"M={seen}", f"-j{os.cpu_count() or 1}", "modules"]
    argv += [f"SW_MODULE={request.module}", f"SW_INCLUDE={seen}/include"]
    argv += [f"SW_EMBEDDED={'y' if request.embedded else 'n'}"]
    argv += [f"SW_CFLAGS={' '.join(request.cflags)}", *MAKE_FLAGS, *more]
    return toolchain.run(argv, folder="/", env={"TMPDIR": seen}, timeout=_TIMEOUT)


def _explain(ran: Ran, headers: Headers) -> BuildError:
    if ran.status == 127:
        return BuildError("no-tool", "'make' is not installed", "apt install make")
    found = _NO_COMMAND.search(ran.output)
    if found:
        tool = found[1]
        if "gcc" not in tool and "clang" not in tool:
            return BuildError("no-tool", f"'{tool}' is not installed", "apt install binutils")
        wanted = headers.option("CONFIG_CC_VERSION_TEXT")
        message = f"these kernel headers want the compiler '{tool}' ({wanted}), which is missing"
        return BuildError("no-compiler", message, f"apt install {tool}", output=ran.output)
    return BuildError("compile-failed", first_complaint(ran.output), output=ran.output)
