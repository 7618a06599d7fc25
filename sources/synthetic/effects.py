"""Which causes act in a world: all of them in the business that is delivered, fewer where a law is to be measured.

Only switches. What each cause does is decided where it acts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effects:
    """The causes that can be switched off; everything else about the world stays.

    Args:
        seasons: Days of the week, the year and holidays are busier or quieter.
        growth: Business grows from year to year.
        promotions: Black Friday week and the January sale bring more orders and discounts.
        spikes: Planted spikes and lulls.
        experiences: Bad experiences make customers leave.
        campaigns: Messages bring orders, or drive customers away.
    """

    seasons: bool = True
    growth: bool = True
    promotions: bool = True
    spikes: bool = True
    experiences: bool = True
    campaigns: bool = True


ALL = Effects()
"""The business as it is delivered."""

NONE = Effects(seasons=False, growth=False, promotions=False, spikes=False, experiences=False, campaigns=False)
"""An even business: nothing but the customers' own buying process."""
