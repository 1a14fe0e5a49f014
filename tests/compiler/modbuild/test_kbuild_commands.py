# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading kbuild's commands from the .cmd files that it writes, in the formats of several kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.modbuild.fast_tier import HERE
from compiler.modbuild.kbuild_commands import FRAME_CHECK, Unlearnable, learn
from tests import PROJECT

GCC = (
    "gcc-12 -Wp,-MMD,{w}/.script.o.d -nostdinc -I./include -include ./include/linux/kconfig.h "
    "-D__KERNEL__ -DNAME='\"a b\"' -Wall -Werror=return-type -Wa,-mx86-used-note=no -std=gnu11 "
    "-mno-sse -O2 -pg -mfentry -g -gdwarf-5 -fmacro-prefix-map=x/= -D__LINUX_COMPILER_TYPES_H "
    "-I{w}/include -c -o {w}/script.o {w}/script.c"
)
OBJTOOL = "./tools/objtool/objtool --orc --module"
LINK = "ld -m elf_x86_64 -r -o {w}/stub.o @{w}/stub.mod"
FINAL = "ld -r -m elf_x86_64 --build-id=sha1 -T a/module.lds -o {w}/stub.ko"
OUTPUT = "make: x\nstapwatch-folder /headers\nstapwatch-tracing -pg -mfentry\n"


def leave(work: Path, script: str, objects: str, final: str, saved: str = "cmd") -> None:
    lines = {".script.o": script, ".stub.o": objects, ".stub.ko": final}
    for name, text in lines.items():
        line = f"{saved}_{work}/x := {text.format(w=work)}\n\nsource_x := y\n"
        (work / f"{name}.cmd").write_text(line)


def test_objtool_over_each_object(tmp_path: Path) -> None:
    script = f" {GCC}   ; {OBJTOOL} {{w}}/script.o "
    leave(tmp_path, script, LINK, f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o;  true")
    learned = learn(tmp_path, str(tmp_path), "stub", OUTPUT)
    assert learned.folder == "/headers"
    assert learned.compiler == "gcc-12"
    assert learned.objtool == ("./tools/objtool/objtool", "--orc", "--module")
    assert not learned.objtool_sees_all
    assert learned.link_objects == ("ld", "-m", "elf_x86_64", "-r")
    assert learned.link_module[-2:] == ("-T", "a/module.lds")
    assert learned.common == ()


def test_flags_of_header_free_c(tmp_path: Path) -> None:
    leave(tmp_path, GCC, LINK, f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o")
    learned = learn(tmp_path, str(tmp_path), "stub", OUTPUT)
    kept = ("gcc-12", "-Wa,-mx86-used-note=no", "-std=gnu11", "-mno-sse", "-O2")
    assert learned.script[: len(kept)] == kept
    assert learned.script[-1] == f"-I{HERE}/include"
    assert learned.objtool == ()


def test_large_frames_are_errors_in_both_tiers(tmp_path: Path) -> None:
    """The last such flag counts."""
    kbuild = (PROJECT / "compiler/modbuild/template/Kbuild").read_text()
    assert f"CFLAGS_script.o += {FRAME_CHECK}\n" in kbuild
    script = GCC.replace("-O2", "-O2 -Wframe-larger-than=2048")
    leave(tmp_path, script, LINK, f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o")
    flags = learn(tmp_path, str(tmp_path), "stub", OUTPUT).script
    assert [flag for flag in flags if "frame-larger" in flag] == [FRAME_CHECK]


def test_flags_with_kernel_headers(tmp_path: Path) -> None:
    leave(tmp_path, GCC, LINK, f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o")
    learned = learn(tmp_path, str(tmp_path), "stub", OUTPUT)
    assert {"-nostdinc", "-include", "-D__KERNEL__", '-DNAME="a b"'} <= set(learned.embedded)
    gone = {"-pg", "-mfentry", "-D__LINUX_COMPILER_TYPES_H", "-c", "-o"}
    assert not gone & set(learned.embedded)
    assert not any(word.startswith("-Wp,-M") for word in learned.embedded)


def test_objtool_over_everything_and_common_objects(tmp_path: Path) -> None:
    objects = f"{LINK} ; {OBJTOOL} --link {{w}}/stub.o"
    final = f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o {{w}}/.module-common.o"
    leave(tmp_path, GCC, objects, final, saved="savedcmd")
    learned = learn(tmp_path, str(tmp_path), "stub", OUTPUT)
    assert learned.objtool_sees_all
    assert learned.objtool == ("./tools/objtool/objtool", "--orc", "--module", "--link")
    assert learned.common == (f"{HERE}/.module-common.o",)


def test_objtool_only_in_the_output(tmp_path: Path) -> None:
    leave(tmp_path, GCC, LINK, f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o")
    output = f"{OUTPUT}   {OBJTOOL} {tmp_path}/whole.o\n   {OBJTOOL} -x {tmp_path}/script.o\n"
    learned = learn(tmp_path, str(tmp_path), "stub", output)
    assert learned.objtool == ("./tools/objtool/objtool", "--orc", "--module", "-x")
    assert not learned.objtool_sees_all


def test_a_compiler_plugin_is_found_from_anywhere(tmp_path: Path) -> None:
    script = GCC.replace("-O2", "-O2 -fplugin=./scripts/x.so")
    leave(tmp_path, script, LINK, f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o")
    learned = learn(tmp_path, str(tmp_path), "stub", OUTPUT)
    assert "-fplugin=/headers/scripts/x.so" in learned.script
    assert "-fplugin=./scripts/x.so" in learned.embedded


def test_commands_in_the_module_folder(tmp_path: Path) -> None:
    leave(tmp_path, GCC, LINK, f"{FINAL} stub.o stub.mod.o")
    output = OUTPUT.replace("/headers", str(tmp_path))
    assert learn(tmp_path, str(tmp_path), "stub", output).folder == HERE


def test_make_escapes(tmp_path: Path) -> None:
    script = GCC.replace("-O2", "-O2 -fx=$$y -fz=$(pound)1")
    leave(tmp_path, script, LINK, f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o")
    learned = learn(tmp_path, str(tmp_path), "stub", OUTPUT)
    assert {"-fx=$y", "-fz=#1"} <= set(learned.script)


@pytest.mark.parametrize("where", ["script", "objects", "final"])
def test_an_unknown_step_is_not_passed_over(tmp_path: Path, where: str) -> None:
    lines = {"script": GCC, "objects": LINK, "final": f"{FINAL} {{w}}/stub.o {{w}}/stub.mod.o"}
    lines[where] += "; strange-tool {w}/stub.ko"
    leave(tmp_path, **lines)
    with pytest.raises(Unlearnable, match="strange-tool"):
        learn(tmp_path, str(tmp_path), "stub", OUTPUT)


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(Unlearnable, match=r"\.script\.o\.cmd"):
        learn(tmp_path, str(tmp_path), "stub", OUTPUT)
    with pytest.raises(Unlearnable, match="did not print"):
        learn(tmp_path, str(tmp_path), "stub", "make: x\n")
