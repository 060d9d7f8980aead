import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.system.screen import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Motörhead – Ace of Spades.mp3", "Motörhead – Ace of Spades.mp3"),
        ("音楽　ロック.flac", "音楽　ロック.flac"),
        ("red\x1b[31m.mp3", "red\\x1b[31m.mp3"),
        ("title\x1b]0;owned\x07.mp3", "title\\x1b]0;owned\\x07.mp3"),
        ("over\rwrite\nline", "over\\x0dwrite\\x0aline"),
        ("evil\u202e3pm.exe", "evil\\u202e3pm.exe"),
        ("c1\x9b31m", "c1\\x9b31m"),
        ("tag\U000e0041", "tag\\U000e0041"),
    ],
)
def test_shows_what_would_act_on_the_terminal(text, shown):
    assert printable(text) == shown


def test_shows_bytes_that_are_no_text():
    assert printable(os.fsdecode(b"caf\xe9.mp3")) == "caf\\xe9.mp3"


@given(st.text(st.characters(codec=None)))
def test_whatever_goes_in_can_be_printed_and_stays_on_its_line(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
