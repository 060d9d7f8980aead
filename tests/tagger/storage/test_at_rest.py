"""What is known about other programs that write a file."""

from __future__ import annotations

import os
import sys

import pytest

from tagger.storage import at_rest
from tagger.storage.at_rest import check_at_rest
from tagger.system.errors import RefusedError
from tests.conftest import aged

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a b.mp3"
    made.write_bytes(b"sound")
    return aged(made)


def test_whoever_reads_is_in_nobodys_way(file):
    with open(file, "rb"):
        check_at_rest(file)
    check_at_rest(file)


def test_whoever_writes_is_noticed_by_any_name(file):
    link, other_name = file.with_name("link"), file.with_name("other")
    link.symlink_to(file)
    os.link(file, other_name)
    with open(other_name, "r+b"):
        for name in (file, link, other_name):
            with pytest.raises(RefusedError, match="open for writing"):
                check_at_rest(name)
    check_at_rest(file)


def test_a_network_is_not_asked_since_it_says_no_for_other_reasons(file, monkeypatch):
    monkeypatch.setattr(at_rest, "_file_system", lambda path: "nfs4")
    with open(file, "r+b"):
        check_at_rest(file)


def test_asking_hinders_nobody(file):
    for _ in range(200):
        check_at_rest(file)
        with open(file, "ab") as other:  # would wait for a lease that was kept
            other.write(b".")
        aged(file)


def test_the_age_counts_either_way_and_not_for_gtags_own(file):
    for by_s in (0.0, 50.0, -50.0):
        aged(file, by_s=by_s)
        with pytest.raises(RefusedError, match="changed"):
            check_at_rest(file)
        check_at_rest(file, is_own=lambda path: path == str(file))
        check_at_rest(file, min_age_s=0)
    aged(file, by_s=-3600.0)  # a clock that was wrong for good
    check_at_rest(file)
