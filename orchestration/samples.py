"""Samples that are the same in every refresh, on every machine and on every engine: by a hash of the identifier.

How many rows a model is trained on is a setting; what it does with them is its own business.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A part of the customers, or of the visits, that takes about as many rows as may be read.

    Args:
        rows: Rows there are.
        most: Rows that may be read.
    """

    rows: int
    most: int

    @property
    def share(self) -> float:
        """Share of the identifiers that are in it."""
        return min(1.0, self.most / max(self.rows, 1))

    @property
    def is_all(self) -> bool:
        """Whether nobody is left out."""
        return self.rows <= self.most

    def condition(self, column: str) -> str:
        """SQL that is true of a row whose identifier is in the sample; one inside another's is a part of it."""
        return "true" if self.is_all else f"substr(md5({column}), 1, 8) < '{int(self.share * 16**8):08x}'"
