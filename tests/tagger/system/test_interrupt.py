import os
import signal

import pytest

from tagger.system.interrupt import Interrupts


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_interrupts_at_once_where_nothing_is_held():
    with pytest.raises(KeyboardInterrupt), Interrupts():
        ctrl_c()
        os._exit(9)


def test_the_first_waits_for_the_end_of_what_is_held():
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        with interrupts.held():
            ctrl_c()
            done.append("the file at hand")
        done.append("the next file")
    assert done == ["the file at hand"]


def test_the_second_does_not_wait():
    done = []
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts, interrupts.held():
        ctrl_c()
        ctrl_c()
        done.append("the file at hand")
    assert done == []


def test_leaves_the_handler_as_it_was():
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts, interrupts.held():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_other_signals_wait_too_and_are_told_apart():
    done = []
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), Interrupts(signal.SIGINT, signal.SIGTERM) as interrupts:
        with interrupts.held():
            signal.raise_signal(signal.SIGTERM)
            done.append("the file at hand")
        done.append("the next file")
    assert done == ["the file at hand"]
    assert interrupts.last == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == before
