"""A `.env` file as variables: names, values and the lines they stand in.

What the variables mean, and which of two files wins, is decided in `orchestration.settings`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class EnvFileError(Exception):
    """A line cannot be understood; the message names file, line and remedy."""


@dataclass(frozen=True)
class Variable:
    """One variable of a file.

    Args:
        name: Its name.
        value: Its value, without quotes.
        path: The file.
        line: The line, counted from 1.
    """

    name: str
    value: str
    path: Path
    line: int

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.path}, line {self.line}"


def read_env_file(path: Path) -> list[Variable]:
    """The variables of a file; none where there is no file.

    Understood are ``NAME=value``, with or without ``export``, quotes around the value, empty lines and comments.
    Nothing is expanded or executed.

    Args:
        path: The file.

    Raises:
        EnvFileError: The file or a line of it cannot be read, or a name stands there twice.
    """
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvFileError(f"{path} cannot be read ({error}). It has to be text in UTF-8.") from None
    found: dict[str, Variable] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, rest = text.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            # The line may hold a secret: only its number is told.
            raise EnvFileError(f"{path}, line {number}: expected NAME=value, or # before a comment.")
        if name in found:
            raise EnvFileError(f"{path}, line {number}: {name} stands in line {found[name].line} already; keep one.")
        found[name] = Variable(name, _value(rest.strip(), path, number), path, number)
    return list(found.values())


def _value(text: str, path: Path, number: int) -> str:
    if text[:1] in ('"', "'"):
        end = text.find(text[0], 1)
        after = text[end + 1 :].strip()
        if end < 0 or (after and not after.startswith("#")):
            raise EnvFileError(f"{path}, line {number}: the value has to end with the quote it begins with.")
        return text[1:end]
    # As shells have it, a # begins a comment only after a space.
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
