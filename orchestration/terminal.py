"""Text from the data on a terminal: control characters made visible, nothing read as markup.

A name may hold anything. An escape sequence would move the cursor or colour the screen, and an override of the
direction of writing would show another name than the one stored.
"""

from __future__ import annotations

import re
from typing import Any

from rich.text import Text

# Controls but for the line feed, line and paragraph separators, and what changes the direction of writing.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def plain(value: Any) -> str:
    """A value as one line of harmless characters: each unsafe one is shown by its code.

    Args:
        value: Anything; None becomes an empty text.
    """
    if value is None:
        return ""
    text = str(value).replace("\n", " ")
    # Half of a pair of surrogates cannot be written to any terminal.
    return _UNSAFE.sub(_code, text).encode("utf-8", "replace").decode("utf-8")


def shown(value: Any, style: str = "") -> Text:
    """A value as rich prints it, square brackets and all."""
    return Text(plain(value), style=style)


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
