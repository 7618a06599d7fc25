"""A fault of each kind, of those that `make faults` strikes everywhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.matrix import FAULTS, SAMPLED, Fault, Workshop, strike


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("faults")
    made = Workshop(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def test_there_are_eight_kinds_and_five_places_of_each() -> None:
    places: dict[str, set[str]] = {}
    for fault in FAULTS:
        places.setdefault(fault.kind, set()).add(fault.place)
    assert len(places) >= 8
    assert min(map(len, places.values())) >= 5
    assert {name.partition(":")[0] for name in SAMPLED} == set(places)


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in SAMPLED], ids=lambda fault: fault.name)
def test_a_fault_is_mended_and_no_reader_notices(workshop: Workshop, fault: Fault, tmp_path: Path) -> None:
    if fault.kind == "disk full" and os.geteuid() != 0:
        pytest.skip("a small disk can only be mounted by root")
    strike(workshop, fault, tmp_path / "fault")
