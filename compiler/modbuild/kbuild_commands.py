# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that kbuild runs for one kernel's modules, learned from its build of a stub.

    kbuild leaves in .script.o.cmd:
      savedcmd_x/script.o := gcc-12 -nostdinc -I... -O2 ... -c -o x/script.o x/script.c
                             ; ./tools/objtool/objtool --orc ... x/script.o
    learn(folder, ...) -> Commands(script=("gcc-12", "-O2", ...), objtool=("./tools/...",), ...)

No flag of any kernel is known here, only the kinds of flag that a file without headers can drop.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath

from compiler.modbuild.fast_tier import HERE, Commands
from runtime.support.lazy_regex import pattern

_DROPPED_PAIRS = frozenset(("-include", "-imacros", "-isystem", "-iquote", "-idirafter"))
_DROPPED = pattern(r"-[IDUW](?!a,)|-nostdinc$|-g|-f(?:macro|file|debug)-prefix-map=|-MM?D$")
# the only warnings for generated code: the others would concern our own style
_CHECKS = ("-Werror=implicit-function-declaration", "-Werror=incompatible-pointer-types")
# bytes of one frame of generated C: its numbers take half (codegen/stack_use.py), then come saved
# registers and arguments. A handler may have interrupted anything, on stacks of 8 or 16 KB.
# template/Kbuild has the same number.
MOST_FRAME = 1024
FRAME_CHECK = f"-Werror=frame-larger-than={MOST_FRAME}"
_OBJTOOL = pattern(r"^\s*(\S*/objtool/objtool \S.*/script\.o)\s*$", re.MULTILINE)
_INFO = pattern(r"^stapwatch-(folder|tracing) ?(.*)$", re.MULTILINE)


class Unlearnable(Exception):
    """kbuild does something on this kernel that the fast tier cannot repeat; the text says what."""


def learn(left: Path, seen: str, module: str, output: str) -> Commands:
    """Read the files that kbuild `left` in a module's build folder, whose path for commands is `seen`.

    `output` is what kbuild printed, commands included. Raises Unlearnable.
    """
    info = dict(_INFO.findall(output))
    if set(info) != {"folder", "tracing"}:
        raise Unlearnable("kbuild did not print its flags")
    script = _commands(left / ".script.o.cmd", seen)
    objects = _commands(left / f".{module}.o.cmd", seen)
    final = _commands(left / f".{module}.ko.cmd", seen)
    folder = info["folder"].strip().replace(seen, HERE)
    for extra in (*script[1:], *objects[1:], *final[1:]):
        if not _is_objtool(extra) and extra != ["true"]:
            raise Unlearnable(f"kbuild runs '{extra[0]}', which is unknown")
    each, whole = (next(filter(_is_objtool, c), None) for c in (script, objects))
    if each and whole:
        raise Unlearnable("kbuild runs objtool twice")
    if not each and not whole and (printed := _OBJTOOL.search(output)):
        each = printed[1].replace(seen, HERE).split()  # before 5.18 no .cmd file has it
    tracing = frozenset(info["tracing"].split())
    compile_words = [word for word in _without_files(script[0]) if word not in tracing]
    linked = _without_files(final[0])
    own = (f"{module}.o", f"{module}.mod.o")
    return Commands(
        folder=folder,
        script=(
            *_header_free(compile_words, folder),
            *_CHECKS,
            FRAME_CHECK,
            "-nostdinc",
            f"-I{HERE}/include",
        ),
        embedded=tuple(w for w in compile_words if w not in ("-D__LINUX_COMPILER_TYPES_H", "-c")),
        objtool=tuple((each or whole or [""])[:-1]),
        objtool_sees_all=whole is not None,
        link_objects=tuple(w for w in _without_files(objects[0]) if not w.startswith("@")),
        link_module=tuple(word for word in linked if not word.endswith(".o")),
        common=tuple(
            word for word in linked if word.endswith(".o") and PurePath(word).name not in own
        ),
    )


def _commands(path: Path, seen: str) -> list[list[str]]:
    """The first line of a .cmd file as commands of words."""
    try:
        line = path.read_text().partition("\n")[0]
    except OSError as error:
        raise Unlearnable(f"kbuild left no {path.name}") from error
    text = line.partition(" := ")[2].replace("$(pound)", "#").replace("$$", "$")
    import shlex  # once a kernel

    lexer = shlex.shlex(text.replace(seen, HERE), posix=True, punctuation_chars=";")
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word == ";":
            commands.append([])
        else:
            commands[-1].append(word)
    return [command for command in commands if command]


def _is_objtool(command: list[str]) -> bool:
    return PurePath(command[0]).name == "objtool"


def _without_files(command: list[str]) -> list[str]:
    """Drop the C file, `-c`, `-o FILE` and the list of dependencies."""
    words = iter(command)
    remaining = []
    for word in words:
        if word == "-o":
            next(words, None)
        elif word != "-c" and not word.endswith(".c") and not word.startswith("-Wp,-M"):
            remaining.append(word)
    return remaining


def _header_free(words: list[str], folder: str) -> list[str]:
    remaining = []
    rest = iter(words)
    for word in rest:
        if word in _DROPPED_PAIRS:
            next(rest, None)
        elif not _DROPPED.match(word):
            remaining.append(word.replace("=./", f"={folder}/"))  # a compiler plugin
    return remaining
