"""Where a simulation stands, kept in a file, so that the next day can be simulated without those before.

Arrays as they are, nothing else: what they mean is said in `world`.
"""

from __future__ import annotations

import os
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile

from sources.synthetic.baskets import Lines, Orders
from sources.synthetic.orders import Progress, Trade
from sources.synthetic.rows import Rows
from sources.synthetic.tickets import Tickets
from sources.synthetic.world import Carried

_AnyRows = TypeVar("_AnyRows", bound=Rows)


class Memory:
    """What simulations that ended on certain days handed on, one file a day.

    Args:
        folder: Where the files lie; made when needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, day: date) -> Path:
        return self._folder / f"{day.isoformat()}.npz"

    def recall(self, day: date) -> Carried | None:
        """What the simulation that ended on a day handed on, or None if that is not kept, or not whole."""
        file = self._file(day)
        if not file.exists():
            return None
        try:
            with np.load(file, allow_pickle=False) as stored:
                progress = _rows(stored, "progress", Progress)
                pending = Trade(
                    _rows(stored, "orders", Orders), _rows(stored, "lines", Lines), _rows(stored, "tickets", Tickets)
                )
                return Carried(int(stored["until"]), progress, pending)
        except (BadZipFile, EOFError, KeyError, ValueError):
            # Damaged: the zip's own checksums tell. Everything is simulated again, and comes out alike.
            return None

    def keep(self, day: date, carried: Carried) -> None:
        """Keep what the simulation that ended on a day hands on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        pending = carried.pending
        parts: dict[str, Rows] = {
            "progress": carried.progress,
            "orders": pending.orders,
            "lines": pending.lines,
            "tickets": pending.tickets,
        }
        arrays = {
            f"{name}.{field.name}": getattr(part, field.name) for name, part in parts.items() for field in fields(part)
        }
        temporary = self._folder / ".writing.npz"
        with temporary.open("wb") as handle:
            np.savez(handle, until=np.array(carried.until), **arrays)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(self._file(day))

    def forget_all_but(self, *days: date) -> None:
        """Remove the files of other days."""
        kept = {self._file(day) for day in days}
        for file in self._folder.glob("*.npz"):
            if file not in kept:
                file.unlink()


def _rows(stored: NpzFile, name: str, kind: type[_AnyRows]) -> _AnyRows:
    return kind(*(stored[f"{name}.{field.name}"] for field in fields(kind)))
