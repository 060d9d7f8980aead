"""Whatever stood in the other fields still stands there after a write, and after undo."""

from __future__ import annotations

import tempfile
from pathlib import Path

import mutagen.id3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.apev2 import APEv2
from mutagen.asf import ASF
from mutagen.flac import FLAC
from mutagen.id3 import ID3
from mutagen.mp4 import MP4, MP4FreeForm
from mutagen.oggvorbis import OggVorbis

from tagger.containers.read import read_tags
from tagger.containers.write import Change
from tests.tagger.containers.helpers import content_hash, form, write, write_and_restore

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
filled = text.filter(str.strip)
key = st.text("ABCdef 012:/_-", min_size=2, max_size=20).filter(
    lambda k: k.strip() == k and not k.upper().startswith("GTAG") and k.upper() != "GENRE"
)
blob = st.binary(max_size=3000)
genre = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters=";"), min_size=1
).filter(lambda g: g.strip() and not g.strip().isdigit() and "(" not in g)
genres = st.lists(genre, min_size=1, max_size=4)

often = settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def check(make_audio):
    """Fill a fresh file, write genres to it, compare what `dump` says of the other fields."""
    sources: dict[str, Path] = {}

    def run(suffix, said, fill, dump):
        source = sources.setdefault(suffix, make_audio(suffix, duration_s=1.0))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("a" + suffix)
            path.write_bytes(source.read_bytes())
            fill(path)
            filled_bytes = path.read_bytes()
            before, content = dump(path), content_hash(path, form(path))
            change = Change(tuple(said), tuple(said[:1]), 0.25, "cnn-1")
            write(path, change)
            assert read_tags(path, form(path)).genres == change.fields()["genre"]
            assert dump(path) == before
            assert content_hash(path, form(path)) == content
            path.write_bytes(filled_bytes)
            write_and_restore(path, change)
            assert path.read_bytes() == filled_bytes

    return run


id3_frames = st.lists(
    st.one_of(
        st.builds(lambda e, t: mutagen.id3.TIT2(e, t), st.sampled_from([1, 3]), st.lists(filled)),
        st.builds(lambda t: mutagen.id3.TPE1(1, t), st.lists(filled, max_size=3)),
        st.builds(lambda d, t: mutagen.id3.TXXX(1, d, t), key, st.lists(text, max_size=3)),
        st.builds(lambda d, t: mutagen.id3.COMM(1, "eng", d, [t]), text, text),
        st.builds(lambda d: mutagen.id3.APIC(0, "image/png", 3, "x", d), blob),
        st.builds(lambda o, d: mutagen.id3.PRIV(o, d), key, blob),
        st.builds(lambda o, d: mutagen.id3.UFID(o, d), key, blob.map(lambda b: b[:64])),
        st.builds(lambda e, r: mutagen.id3.POPM(e, r, 7), key, st.integers(0, 255)),
        st.builds(lambda t: mutagen.id3.USLT(1, "eng", "", t), text),
    ),
    max_size=12,
)


@often
@given(frames=id3_frames, said=genres, padding=st.integers(0, 600))
@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".aiff", ".tta"])
def test_id3(check, suffix, version, frames, said, padding):
    def fill(path):
        file = form(path).open_with_mutagen(path)
        if file.tags is None:
            file.add_tags()
        for frame in frames:
            file.tags.add(frame)
        file.tags.save(path, v2_version=version, padding=lambda info: padding)

    def dump(path):
        tags = form(path).open_with_mutagen(path).tags
        mine = ("TCON", "TXXX:GTAG_")
        return tags.version, {k: repr(v) for k, v in tags.items() if not k.startswith(mine)}

    check(suffix, said, fill, dump)


fields = st.lists(st.tuples(key, st.lists(filled, min_size=1, max_size=3)), max_size=8)


@often
@given(fields=fields, said=genres, padding=st.integers(0, 600))
@pytest.mark.parametrize(("suffix", "kind"), [(".flac", FLAC), (".ogg", OggVorbis)])
def test_vorbis(check, suffix, kind, fields, said, padding):
    def fill(path):
        file = kind(path)
        for name, values in fields:
            file[name] = values
        file.save(padding=lambda info: padding)

    def dump(path):
        tags = kind(path).tags
        mine = ("genre", "gtag_genre", "gtag_confidence", "gtag_model")
        return tags.vendor, [(k, v) for k, v in list(tags) if k.lower() not in mine]

    check(suffix, said, fill, dump)


@often
@given(
    texts=st.dictionaries(st.sampled_from(["\xa9nam", "\xa9ART", "\xa9lyr", "desc"]), filled),
    freeforms=st.dictionaries(key.filter(lambda k: ":" not in k), st.lists(blob, min_size=1)),
    cover=blob,
    said=genres,
    padding=st.integers(0, 600),
)
def test_mp4(check, texts, freeforms, cover, said, padding):
    def fill(path):
        file = MP4(path)
        for name, value in texts.items():
            file[name] = [value]
        for name, values in freeforms.items():
            file[f"----:org.example:{name}"] = [MP4FreeForm(v, 0) for v in values]
        file["covr"] = [cover]
        file["trkn"] = [(1, 2)]
        file.save(padding=lambda info: padding)

    def dump(path):
        mine = ("\xa9gen", "----:com.apple.iTunes:GTAG_")
        return {k: repr(v) for k, v in MP4(path).tags.items() if not k.startswith(mine)}

    check(".m4a", said, fill, dump)


@often
@given(fields=fields, binary=blob, said=genres)
def test_ape(check, fields, binary, said):
    def fill(path):
        tags = APEv2()
        for name, values in fields:
            tags[name] = values
        tags["Cover"] = mutagen.apev2.APEValue(binary, mutagen.apev2.BINARY)
        tags.save(path)

    def dump(path):
        mine = ("genre", "gtag_genre", "gtag_confidence", "gtag_model")
        return {k: repr(v) for k, v in APEv2(path).items() if k.lower() not in mine}

    check(".wv", said, fill, dump)


@often
@given(fields=fields, binary=blob, number=st.integers(0, 2**32 - 1), said=genres)
def test_asf(check, fields, binary, number, said):
    def fill(path):
        file = ASF(path)
        for name, values in fields:
            file.tags["X/" + name] = values
        file.tags["WM/Picture"] = [binary]
        file.tags["X/Number"] = number
        file.save()

    def dump(path):
        mine = ("WM/Genre", "GTAG/GENRE", "GTAG/CONFIDENCE", "GTAG/MODEL")
        return [(k, repr(v)) for k, v in ASF(path).tags if k not in mine]

    check(".wma", said, fill, dump)


@often
@given(old=st.lists(genre, max_size=3), said=genres)
@pytest.mark.parametrize("version", [3, 4])
def test_a_person_s_genres_come_back(check, version, old, said):
    def fill(path):
        tags = ID3()
        if old:
            tags.add(mutagen.id3.TCON(3, old))
        tags.save(path, v2_version=version)

    check(".mp3", said, fill, lambda path: None)
