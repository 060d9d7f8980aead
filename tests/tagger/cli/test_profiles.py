"""`--profile`, from end to end."""

import mutagen
import pytest
from mutagen.id3 import ID3, TCON, TIT2

from tagger.genres.profiles import PROFILES
from tests.conftest import aged

ALL = ("--min-confidence", "0", "--jobs", "1", "--write-tags")


@pytest.mark.parametrize("name", PROFILES)
def test_a_scan_for_a_program(gtag, make_audio, name):
    new, old_3, old_4, flac = (make_audio(s) for s in (".mp3", ".mp3", ".mp3", ".flac"))
    for path, version in ((old_3, 3), (old_4, 4)):
        tags = ID3()
        tags.add(TIT2(encoding=1, text=["A title"]))
        if version == 4:
            tags.add(TCON(encoding=1, text=["Unknown"]))
        tags.save(path, v2_version=version, v1=0)
        aged(path)
    ran = gtag("scan", new, old_3, old_4, flac, "--profile", name, *ALL)
    assert ran.status == 0, ran.err
    versions = [path.read_bytes()[3] for path in (new, old_3, old_4)]
    assert versions == [PROFILES[name].id3_version, 3, 4]
    genres = [mutagen.File(path, easy=True)["genre"] for path in (new, old_3, old_4, flac)]
    assert all(len(genre) == 1 for genre in genres)
    several = gtag("scan", new, "--profile", name, "--genres", "3", *ALL)
    append = gtag("scan", new, "--profile", name, "--existing", "append", *ALL)
    wanted = 0 if PROFILES[name].several else 2
    assert several.status == append.status == wanted, several.err
    if wanted:
        assert "reads only one genre of a file" in several.err
    assert gtag("undo").status == 0
