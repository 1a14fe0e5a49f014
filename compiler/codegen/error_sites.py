# SPDX-License-Identifier: GPL-2.0-or-later
"""Where errors happen: each place of a script has a number, and so has each way that an error takes out of a
function.

    function f(n) { return 1 / n }               site 0: x.stp:1:24
    probe begin { f(0) }                         site 1: x.stp:1:24 (called from identifier 'f' at x.stp:2:15)

An error that leaves a function is renumbered at the call: the sites that the function may report are one
range, which the call has again with itself at the end. So a chain of calls costs nothing until an error
happens, needs no memory in the kernel, and the record of an error stays as it is.
"""

from __future__ import annotations

from compiler.ir.source import Span
from runtime.abi.manifest import ErrorSite
from runtime.support.record import field, record, replace

MOST = 2000  # sites with callers in one module; an error at a call beyond tells its own place only


@record
class Site:
    message: str
    location: str  # file:line:column
    callers: tuple[str, ...] = ()  # "identifier 'f' at file:line:column", the innermost first

    def told(self) -> ErrorSite:
        """As readers show it."""
        chain = ", ".join(f"called from {caller}" for caller in self.callers)
        return ErrorSite(self.message, f"{self.location} ({chain})" if chain else self.location)


@record
class Calls:
    """What a call makes of an error in the function: the `count` sites from `first` on become those from
    `here` on."""

    first: int
    count: int
    here: int


def location(span: Span) -> str:
    file, line, column = span.location
    return f"{file}:{line}:{column}"


@record(frozen=False)
class ErrorSites:
    """The sites of a module, by their numbers. Functions are emitted before their callers."""

    sites: list[Site] = field(default_factory=list)
    _functions: dict[str, range] = field(
        default_factory=dict
    )  # by symbol, of those that are emitted
    _known: dict[Site, int] = field(default_factory=dict)  # of this function, or of all handlers
    _calls: dict[tuple[str, str], Calls] = field(default_factory=dict)  # likewise; symbol, location
    _with_callers: int = 0

    def begin(self) -> int:
        """A function begins: it shares no site with others, so that its own are a range."""
        self._known.clear()
        self._calls.clear()
        return len(self.sites)

    def end(self, symbol: str, first: int) -> None:
        """The function whose begin() returned `first` ends."""
        self._functions[symbol] = range(first, len(self.sites))
        self._known.clear()
        self._calls.clear()

    def number(self, message: str, span: Span) -> int:
        site = Site(message, location(span))
        if site not in self._known:
            self._known[site] = len(self.sites)
            self.sites.append(site)
        return self._known[site]

    def calls(self, symbol: str, name: str, span: Span) -> Calls | None:
        """How a call renumbers errors; None if they keep their sites: the function is not emitted yet, since
        it calls itself through others, or the module has many sites already."""
        inner = self._functions.get(symbol, range(0))
        key = symbol, location(span)
        if key not in self._calls:
            if not inner or self._with_callers + len(inner) > MOST:
                return None
            self._calls[key] = Calls(inner.start, len(inner), len(self.sites))
            self._with_callers += len(inner)
            caller = f"identifier '{name}' at {key[1]}"
            self.sites += [
                replace(site, callers=(*site.callers, caller))
                for site in self.sites[inner.start : inner.stop]
            ]
        return self._calls[key]
