# SPDX-License-Identifier: GPL-2.0-or-later
"""Types as C writes them: printing and parsing.

type_name(btf, 1105)                       -> "struct file *"
declaration(btf, 77, "handler")            -> "int (*handler)(struct pt_regs *)"
spelled(btf, "const char __user *")        -> Spelled(type_id=<char>, pointers=1)
"""

from __future__ import annotations

from typing import Final

from compiler.kernel import btf_types as k
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import VOID, TypeId
from compiler.kernel.errors import NoSuchType
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

_DEPTH: Final = 64  # the longest chain of types that is followed
_NESTING: Final = 4  # functions in the parameters of functions; damaged types may be endless
_TAGS: Final[dict[str, type[k.Struct | k.Union | k.Enum]]] = {
    "struct": k.Struct,
    "union": k.Union,
    "enum": k.Enum,
}
_IGNORED: Final = frozenset(
    ["const", "volatile", "restrict", "__user", "__kernel", "__iomem", "__percpu", "__rcu"]
)
_WORDS: Final = frozenset(["char", "short", "int", "long", "signed", "unsigned", "_Bool", "bool"])
_TOKEN: Final = pattern(r"\s*(?:(\w+)|(\*)|(\S))")


@record
class Spelled:
    """A type with `pointers` levels of pointer on top; the BTF may lack the pointer types themselves."""

    type_id: TypeId
    pointers: int


def type_name(btf: Btf, type_id: TypeId) -> str:
    """A type in C; an anonymous struct is `struct {...}`."""
    return declaration(btf, type_id, "")


def declaration(btf: Btf, type_id: TypeId, name: str) -> str:
    """A declaration in C: the brackets of arrays and functions go around the name."""
    return _declaration(btf, type_id, name, _NESTING)


def _declaration(btf: Btf, type_id: TypeId, name: str, nesting: int) -> str:
    prefix, inner = "", name
    for _ in range(_DEPTH):
        match found := btf[type_id]:
            case k.Void():
                return _join(prefix + "void", inner)
            case k.Int() | k.Float() | k.Typedef():
                return _join(prefix + found.name, inner)
            case k.Struct() | k.Union() | k.Enum():
                word = type(found).__name__.lower()
                return _join(f"{prefix}{word} {found.name or '{...}'}", inner)
            case k.Forward():
                word = "union" if found.is_union else "struct"
                return _join(f"{prefix}{word} {found.name}", inner)
            case k.Pointer():
                is_wrapped = isinstance(btf[found.target], k.Array | k.FunctionType)
                inner = f"(*{inner})" if is_wrapped else f"*{inner}"
                type_id = found.target
            case k.Qualified():
                if _is_pointer(btf, found.target):
                    inner = f"{found.qualifier.value} {inner}".rstrip()
                else:
                    prefix += f"{found.qualifier.value} "
                type_id = found.target
            case k.TypeTag():
                inner = f"__{found.name} {inner}".rstrip()
                type_id = found.target
            case k.Array():
                inner = f"{inner}[{found.count or ''}]"
                type_id = found.element
            case k.FunctionType():
                inner = f"{inner}({_parameters(btf, found, nesting)})"
                type_id = found.ret
            case k.Function() | k.Variable():
                inner = inner or found.name
                type_id = found.type_id
            case k.Section() | k.DeclTag():
                return _join(prefix + found.name, inner)
    return _join(prefix + "...", inner)


def spelled(btf: Btf, text: str) -> Spelled:
    """The type that C text names: `u64`, `struct file *`, `const char __user *`, `long`.

    A bare word is a typedef, else a struct, union or enum of that name. Address space marks and
    qualifiers are ignored. Raises NoSuchType.
    """
    words: list[str] = []
    pointers = 0
    for word, star, other in _TOKEN.findall(text):
        if star:
            pointers += 1
        elif other or (word not in _IGNORED and pointers):
            raise NoSuchType(f"cannot read the type '{text.strip()}'", "write it as in C")
        elif word not in _IGNORED:
            words.append(word)
    return Spelled(_base(btf, words, text), pointers)


def _base(btf: Btf, words: list[str], text: str) -> TypeId:
    match words:
        case ["void"]:
            return VOID
        case [("struct" | "union" | "enum") as tag, name]:
            return btf.find(_TAGS[tag], name).id
        case [name] if name not in _WORDS:
            for kind in (k.Typedef, *_TAGS.values()):
                found = btf.find_all(kind, name)
                if found:
                    return found[0].id
            return btf.find(k.Typedef, name).id
        case [_, *_] if all(word in _WORDS for word in words):
            return btf.find(k.Int, _integer_name(words)).id
        case _:
            raise NoSuchType(f"cannot read the type '{text.strip()}'", "write it as in C")


def _integer_name(words: list[str]) -> str:
    """The compiler's own name of an integer type: `unsigned long` is `long unsigned int`."""
    longs, unsigned = words.count("long"), "unsigned" in words
    if "_Bool" in words or "bool" in words:
        return "_Bool"
    if "char" in words:
        sign = "unsigned " if unsigned else "signed " if "signed" in words else ""
        return f"{sign}char"
    size = ["short"] if "short" in words else ["long"] * longs
    return " ".join([*size, *(["unsigned"] if unsigned else []), "int"])


def _is_pointer(btf: Btf, type_id: TypeId) -> bool:
    for _ in range(_DEPTH):
        match found := btf[type_id]:
            case k.Qualified() | k.TypeTag():
                type_id = found.target
            case _:
                return isinstance(found, k.Pointer)
    return False


def _parameters(btf: Btf, shape: k.FunctionType, nesting: int) -> str:
    if nesting == 0:
        return "..."
    parts = [_declaration(btf, p.type_id, p.name, nesting - 1) for p in shape.params]
    if shape.variadic:
        parts.append("...")
    return ", ".join(parts) if parts else "void"


def _join(head: str, inner: str) -> str:
    return f"{head} {inner}" if inner else head
