"""A fault of each kind, of those that `make faults` strikes everywhere."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults.matrix import FAULTS, SAMPLED, Workshop, strike


def test_there_are_eight_kinds_and_five_places_of_each() -> None:
    places: dict[str, set[str]] = {}
    for fault in FAULTS:
        places.setdefault(fault.kind, set()).add(fault.place)
    assert len(places) >= 8
    assert min(map(len, places.values())) >= 5
    assert {name.partition(":")[0] for name in SAMPLED} == set(places)


def test_one_refresh_mends_a_fault_of_each_kind_and_no_reader_notices(tmp_path: Path) -> None:
    by_name = {fault.name: fault for fault in FAULTS}
    # A small disk can only be mounted by root.
    faults = [by_name[name] for name in SAMPLED if os.geteuid() == 0 or by_name[name].kind != "disk full"]
    workshop = Workshop(tmp_path)
    try:
        strike(workshop, faults, tmp_path / "struck")
    finally:
        workshop.close()
