import math

import pytest

from partbook.config import parse_bytes
from partbook.errors import Cancelled, OptionError, nearest
from partbook.progress import Progress, Stopwatch


def test_events_count_units_and_estimate_what_is_left(monkeypatch):
    clock = iter([0.0, 10.0, 40.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    events = []
    progress = Progress("fit", 10, events.append)
    progress.step()
    progress.step("half", units=4)
    assert [(event.stage, event.done, event.total, event.message) for event in events] == [
        ("fit", 0, 10, ""), ("fit", 1, 10, ""), ("fit", 5, 10, "half")]  # fmt: skip
    assert math.isnan(events[0].eta_s) and [event.eta_s for event in events[1:]] == [90.0, 40.0]


def test_only_false_cancels():
    Progress("fit", 1, lambda event: None).step()
    Progress("fit", 1, lambda event: 0).step()
    with pytest.raises(Cancelled, match="fit"):
        Progress("fit", 1, lambda event: event.done == 0).step()


def test_a_stopwatch_gives_every_second_to_one_stage(monkeypatch):
    clock = iter([0.0, 1.0, 3.0, 10.0, 11.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    watch = Stopwatch(lambda event: event.stage != "write")
    event = type("Event", (), {})
    for stage, result in (("fit", True), ("fit", True), ("write", False)):
        event.stage = stage
        assert watch(event) is result
    assert watch.times() == {"seconds": {"fit": 3.0, "write": 7.0, "total": 11.0}}


def test_amounts_of_memory_are_read_as_people_write_them():
    assert [parse_bytes(text) for text in ("2GB", "2g", "1.5 GB", "500mb", "123", "7kB", "1T")] == [
        2 * 10**9, 2 * 10**9, 15 * 10**8, 5 * 10**8, 123, 7000, 10**12]  # fmt: skip
    for text in ("", "GB", "1GiB", "-1", "2 GBB", "two", "1e9"):
        with pytest.raises(OptionError):
            parse_bytes(text)


def test_the_nearest_name_is_offered():
    assert nearest("Violn1", ["Violin1", "Cello"]) == "Violin1"
    assert nearest("x", ["Violin1", "Cello"]) == "one of Violin1, Cello"
