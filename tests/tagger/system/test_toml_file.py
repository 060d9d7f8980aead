"""Mistakes in TOML files are named with their line."""

from __future__ import annotations

import os
import shutil
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.models.card import read_card
from tagger.models.registry import bundled_folder
from tagger.system.errors import ConfigurationError, ModelError
from tagger.system.toml_file import TomlFile, key_lines


def test_every_key_and_value_has_its_line():
    text = """\
# [no.table]
top = '''
[not.one]
x = 1
'''
a.b = {c = 1, d = ["x"]}

[table]  # [other]
"a key" = [
  "one",  # "two"
  "two",
]
[[rows]]
n = 1
[[rows]]
n = 2
[rows.inner]
m = 3
"""
    lines = key_lines(text)
    assert lines[("top",)] == 2
    assert lines[("a", "b", "c")] == lines[("a", "b", "d", 0)] == 6
    assert lines[("table",)] == 8
    assert lines[("table", "a key")] == 9
    assert lines[("table", "a key", 0)] == 10
    assert lines[("rows", "n")] == 14
    assert lines[("rows", "inner", "m")] == 18


names = st.text("ab\"' \\é", min_size=1, max_size=4)


@given(st.dictionaries(names, st.dictionaries(names, st.lists(names, max_size=3), max_size=3)))
def test_it_finds_every_key_of_every_document(document):
    import tomli_w

    text = tomli_w.dumps(document, multiline_strings=True)
    assert tomllib.loads(text) == document
    lines = key_lines(text)
    for table, keys in document.items():
        assert ((table,) in lines) or not keys
        for key, values in keys.items():
            assert (table, key) in lines
            assert all((table, key, i) in lines for i in range(len(values)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = 1\nb = \n", "line 2: invalid TOML"),
        (b"a = 1\n[b\n", "line 2: invalid TOML"),
        (b"a = [\n1,\n", "line 2: invalid TOML"),
        (b"a = '\xff'", "UTF-8"),
        (b"a = 1\na = 2\n", "line 2: invalid TOML"),
    ],
)
def test_what_is_no_toml_is_named_with_its_line(tmp_path, content, said):
    file = tmp_path / "map.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as raised:
        TomlFile(file)
    assert str(raised.value).startswith(str(file))


def test_a_file_that_is_not_there_is_answered_with_what_is_near(tmp_path):
    (tmp_path / "genres.toml").write_text("")
    with pytest.raises(ConfigurationError, match="did you mean"):
        TomlFile(tmp_path / "genre.toml")


def test_strings_and_brackets_of_all_kinds_hide_line_ends():
    text = (
        'a = """\n[x]\n\\""" " # \n"""""\nb = \'\'\'\n]\n\\\'\'\'\'\'\n'
        'c = [ # ]\n 1, [2,\n3] ]\nd = \'#[\'\ne = "[\\"" # {\n[t]\nf = 1'
    )
    tomllib.loads(text)
    lines = key_lines(text)
    assert [lines[k,] for k in "abcdet"] == [1, 5, 8, 11, 12, 13]
    assert lines["t", "f"] == 14


def test_a_list_of_many_lines_is_parsed_once(monkeypatch):
    """Regression: it was parsed anew with each of its lines: 23 s for 4,000."""
    parsed, loads = [], tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: parsed.append(len(text)) or loads(text))
    text = "a = [\n" + "".join(f"  'name {i}',\n" for i in range(4000)) + "]\nb = 1\n"
    lines = key_lines(text)
    assert (lines["a", 3999], lines["b",]) == (4001, 4003)
    assert sum(parsed) <= len(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("x = " + "9" * 5000, "thousands of digits"), ("x = " + "[" * 5000, "too deep")],
)
def test_what_is_too_much_for_python_is_said_in_plain_words(tmp_path, text, said):
    """Regression: "this is a bug in gtag"."""
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        TomlFile(tmp_path / "a.toml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    """Regression: gtag hung on a config.toml, card or weights that nobody wrote into."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="is not a regular file"):
        TomlFile(tmp_path / "pipe")
    os.mkfifo(tmp_path / "card.toml")
    with pytest.raises(ModelError, match="no readable card"):
        read_card(tmp_path)
    (tmp_path / "card.toml").unlink()
    shutil.copyfile(bundled_folder() / "trees" / "card.toml", tmp_path / "card.toml")
    os.mkfifo(tmp_path / "trees.ubj")
    with pytest.raises(ModelError, match="is not a regular file"):
        read_card(tmp_path).weights()
