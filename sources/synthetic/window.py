"""A stretch of simulated time, and which rows of it are shown.

The world is simulated window after window; how long they are changes nothing but how much is in memory at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sources.synthetic.randomness import Flags, Ints


@dataclass(frozen=True)
class Window:
    """A stretch of time, in seconds since 1970-01-01.

    Args:
        since: Its first second, a midnight.
        until: The first second after it, a midnight.
        known: Shown is what is known before this moment; at least `until`.
        restates: Earlier rows are shown again if something of them became known in the window.
    """

    since: int
    until: int
    known: int
    restates: bool

    def born(self, at: Ints) -> Flags:
        """Whether (n,) moments lie in the window."""
        return (at >= self.since) & (at < self.until)

    def settled(self, lag: int) -> Window:
        """The stretch whose events have had all their consequences, if those come within `lag` seconds.

        In a row of windows these stretches follow each other without gaps, up to what is known in the last one.
        """
        since = self.since if self.restates else self.since - lag
        until = self.until if self.until == self.known else self.until - lag
        return replace(self, since=since, until=until)

    def shows(self, born: Ints, *filled: Ints) -> Flags:
        """Whether rows are shown.

        Args:
            born: (n,) moments at which the rows came to be.
            *filled: (n,) moments at which something of them becomes known.
        """
        shown = self.born(born)
        if self.restates:
            touched = np.zeros(len(born), dtype=bool)
            for at in filled:
                touched |= self.born(at)
            shown |= touched & (born < self.since)
        return shown
