"""The test files of two tag libraries, many broken on purpose: written whole or left alone."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tagger.containers.formats import APE
from tagger.containers.read import read_tags
from tagger.containers.recognise import identify
from tagger.containers.snapshot import restore, same_fields, snapshot
from tagger.containers.verify import check_kept, check_written
from tagger.containers.write import Change, apply_change
from tagger.system.errors import GtagError
from tests.conftest import SEED
from tests.tagger.containers.helpers import TWO, content_hash, packets, write, write_and_restore
from tests.tagger.readers import as_programs_see, lost

pytestmark = pytest.mark.shared_data

# Of which ffmpeg says that a tag at the end belongs to the last packet of sound.
TAG_IN_LAST_PACKET = {"id3v1v2-combined.mp3"}
# Free space that holds anything but zeros is not brought back.
OTHER_PADDING = {"empty.m4a", "empty.alac.m4a"}
# Of which ffmpeg shows the old names of fields that ID3v2.2 had.
OLD_NAMES = {"partial.mp3": ["ffmpeg: TPA: '4' became None"]}


def corpus(shared_data: Path) -> list[Path]:
    files = sorted(p for p in (shared_data / "corpora").rglob("*") if p.is_file())
    return [p for p in files if (f := identify(p)) is not None and f.is_tagged]


def packets_or_none(path: Path) -> list[str] | None:
    try:
        return packets(path)
    except Exception:  # ffmpeg cannot read it, or finds no sound
        return None


def test_every_file_is_written_as_planned_and_restored_or_left_alone(shared_data, tmp_path):
    outcomes: Counter[str] = Counter()
    for source in corpus(shared_data):
        path = tmp_path / source.name
        shutil.copyfile(source, path)
        found = identify(path)
        assert found is not None
        sound, seen = packets_or_none(path), as_programs_see(path)
        try:
            content = content_hash(path, found)
            write(path, TWO)
        except GtagError as error:
            outcomes[type(error).__name__] += 1
            assert path.read_bytes() == source.read_bytes()
            continue
        outcomes["written"] += 1
        assert lost(seen, as_programs_see(path)) == OLD_NAMES.get(source.name, []), source
        assert read_tags(path, found).genres == ("Polka", "Hip-Hop")
        assert content_hash(path, found) == content
        check_kept(source, path, found)
        # ffmpeg takes what follows the last frame of Monkey's Audio for a part of it.
        if found != APE and source.name not in TAG_IN_LAST_PACKET:
            assert packets_or_none(path) == sound, source
        shutil.copyfile(source, path)
        write_and_restore(path, TWO)
        assert as_programs_see(path) == seen, source
        if path.read_bytes() == source.read_bytes():
            outcomes["restored to the byte"] += 1
        else:
            assert source.name in OTHER_PADDING
    assert outcomes == {
        "written": 128,
        "restored to the byte": 126,
        "RefusedError": 1,  # a fragmented 3G2
        "UnreadableError": 5,  # FLAC metadata that leads nowhere
    }


def damaged(data: bytes, random_: random.Random) -> bytes:
    """Flip bits, cut, repeat, put in extreme lengths: mostly where tags stand."""
    result = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 5, 20))):
        if not result:
            break
        span = min(len(result), 4000) if random_.random() < 0.7 else len(result)
        place = random_.randrange(span)
        if random_.random() < 0.15:
            place = len(result) - 1 - random_.randrange(min(len(result), 400))
        kind = random_.random()
        if kind < 0.5:
            result[place] ^= 1 << random_.randrange(8)
        elif kind < 0.7:
            result[place] = random_.choice((0, 1, 127, 128, 255))
        elif kind < 0.8:
            del result[place:]
        elif kind < 0.9:
            extremes = (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\x80\0\0\0")
            result[place : place + 4] = random_.choice(extremes)
        else:
            start = random_.randrange(len(result))
            result[place:place] = result[start : start + random_.randrange(50)]
    return bytes(result)


@pytest.mark.parametrize("rounds", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damaged_files_give_only_errors_that_people_understand(shared_data, tmp_path, rounds):
    files = [p.read_bytes() for p in corpus(shared_data) if p.stat().st_size < 100_000]
    random_ = random.Random(rounds + 1_000_003 * SEED)
    change = Change(("Hip-Hop", "Großer Rock"), ("Hip-Hop",), 0.87, "cnn-1")
    original, copy = tmp_path / "original", tmp_path / "copy"
    outcomes: Counter[str] = Counter()
    for _ in range(rounds):
        original.write_bytes(damaged(random_.choice(files), random_))
        try:
            found = identify(original)
            if found is None:
                outcomes["not recognised"] += 1
                continue
            read_tags(original, found)
            old = snapshot(original, found)
            shutil.copyfile(original, copy)
            apply_change(copy, found, change)
            check_written(original, copy, found, change.fields())
        except GtagError as error:
            outcomes[type(error).__name__] += 1
            continue
        outcomes["written"] += 1
        restore(copy, found, old)
        check_kept(original, copy, found)
        assert same_fields(copy, found, old)
    assert outcomes["written"] > rounds / 2
    assert outcomes["UnreadableError"] > rounds / 50
