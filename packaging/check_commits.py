# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks commit messages: `area: what` in at most 72 characters, a blank line, then why.

    python packaging/check_commits.py           # what `make check` does
    python packaging/check_commits.py v0.1..    # the commits of a range

Without a range it checks the commits since FIRST, the first that had to follow the rule. A release tag
ends the search, and so does origin/main when HEAD is ahead of it: what is published cannot be changed any
more. Merges are exempt. Commits are not checked if a clone lacks them, or if the folder is not a repository.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

FIRST = "tree: rooms by stage and concern"
LONGEST = 72
_SUBJECT = re.compile(r"[\w./+-]+(, [\w./+-]+)*: \S")


class GitError(Exception):
    """Git could not answer; the text is its message."""


def main(arguments: Sequence[str], repository: Path = Path()) -> int:
    """Print each commit that breaks the rule, and return the exit status."""
    try:
        revisions = list(arguments) or default_revisions(repository)
        commits = list(messages(repository, revisions))
    except (GitError, FileNotFoundError) as error:
        print(f"commit messages are not checked: {error}", file=sys.stderr)
        return 2 if arguments else 0
    found = [(name, why) for name, text in commits if (why := problem(text))]
    for name, why in found:
        print(f"commit {name}: {why}")
    return 1 if found else 0


def problem(message: str) -> str | None:
    """The rule that a commit message breaks, as text; None if it breaks none.

    "agent: say why" -> None; "Say why" -> "'Say why' does not begin with an area: ..."
    """
    subject, _, rest = message.strip("\n").partition("\n")
    if not _SUBJECT.match(subject):
        return f"'{subject}' does not begin with an area: write 'area: what'"
    if len(subject) > LONGEST:
        return f"'{subject}' has {len(subject)} characters; {LONGEST} are allowed"
    if rest and not rest.startswith("\n"):
        return f"'{subject}' is not followed by a blank line"
    return None


def default_revisions(repository: Path) -> list[str]:
    """Arguments of git log for the commits that follow the rule and can still be changed."""
    limits = [*start(repository), *release_tag(repository), *upstream(repository)]
    return ["HEAD", *(f"^{limit}" for limit in limits)]


def start(repository: Path) -> Iterator[str]:
    """The parent of FIRST. Without FIRST: nothing in a shallow clone, which is cut off later, else HEAD."""
    found = git(repository, "log", "--format=%H%x09%s", "--fixed-strings", f"--grep={FIRST}")
    commits = [line.split("\t")[0] for line in found.splitlines() if line.split("\t")[1] == FIRST]
    if commits:
        yield from git(repository, "log", "-1", "--format=%P", commits[-1]).split()
    elif git(repository, "rev-parse", "--is-shallow-repository").strip() != "true":
        yield "HEAD"


def release_tag(repository: Path) -> Iterator[str]:
    try:
        yield git(repository, "describe", "--tags", "--abbrev=0", "HEAD").strip()
    except GitError:
        return  # there is no tag


def upstream(repository: Path) -> Iterator[str]:
    """origin/main, if HEAD has commits of its own."""
    try:
        ahead = git(repository, "rev-list", "--count", "origin/main..HEAD")
    except GitError:
        return  # there is no such branch
    if int(ahead):
        yield "origin/main"


def messages(repository: Path, revisions: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(short name, message) of each commit but merges, the newest first."""
    log = git(repository, "log", "-z", "--no-merges", "--format=%h%n%B", *revisions, "--")
    for entry in filter(None, log.split("\0")):
        name, _, text = entry.partition("\n")
        yield name, text


def git(repository: Path, *words: str) -> str:
    command = ["git", "-C", str(repository), *words]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise GitError(done.stderr.strip())
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
