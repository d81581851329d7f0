"""What Ctrl-C and SIGTERM do: at once, or noted for later, and at once when asked twice."""

import os
import signal
import threading
from typing import Any

import pytest

from mutoscope.runtime import interrupts
from mutoscope.runtime.interrupts import Interrupts, ignore_interrupts


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Statuses with which the process would have ended at once."""
    statuses: list[int] = []
    monkeypatch.setattr(interrupts.os, "_exit", statuses.append)
    monkeypatch.setattr(interrupts, "_BOUNCE", 0.0)
    return statuses


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_interrupts_and_handlers_come_back(number: signal.Signals) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    own = Interrupts()
    with pytest.raises(KeyboardInterrupt), own, own:
        send(number)
    assert own.broken_off
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_deferred_signal_is_noted(number: signal.Signals, left: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    own = Interrupts()
    with own:
        own.defer()
        assert not own.requested
        send(number)
        assert own.requested
        assert not own.broken_off
        with pytest.raises(KeyboardInterrupt), own.at_once():
            pass
        assert own.broken_off
        send(signal.SIGTERM)
        assert left == []
        send(signal.SIGINT)
        assert left == [130]
    assert "stopping after this iteration" in capfd.readouterr().err
    with own:
        assert not own.requested
        assert not own.broken_off


def test_the_same_ctrl_c_twice_is_one(left: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "_BOUNCE", 60.0)
    own = Interrupts()
    with own:
        own.defer()
        send(signal.SIGINT)
        send(signal.SIGINT)
    assert left == []


def test_handlers_of_libraries_are_replaced(left: list[int]) -> None:
    own = Interrupts()
    seen: list[int] = []
    with own:
        signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
        own.defer()
        send(signal.SIGTERM)
        assert own.requested
    assert seen == []


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as own:
            send(signal.SIGINT)
            assert not own.requested
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_cannot_catch_signals_and_need_not() -> None:
    outcome: list[Any] = []

    def work() -> None:
        with Interrupts() as own:
            own.defer()
            outcome.append(own.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert outcome == [False]


def test_workers_leave_signals_to_whoever_started_them() -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        ignore_interrupts(0)
        send(signal.SIGINT)
        send(signal.SIGTERM)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
