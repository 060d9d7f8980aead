"""`gtag train`: from folders of music to a model that scan takes."""

import pytest

from tagger.models import zoo
from tests.training.archives import write_archive

STYLES = {"metal": "metal", "jazz": "jazz"}


@pytest.fixture
def genre_folders(make_audio, tmp_path):
    """As GTZAN lies on people's disks, the broken file among them."""
    for style in STYLES:
        for i in range(5):
            make_audio(".wav", name=f"set/{style}/{style}.{i:05d}.wav", style=style, seed=i)
    (tmp_path / "set" / "jazz" / "jazz.00054.wav").write_bytes(
        b"RIFF\x24\x00\x00\x00WAVEfmt broken"
    )
    return tmp_path / "set"


def test_a_folder_with_a_broken_file_trains(gtag, genre_folders, make_audio, tmp_path):
    output, kept = tmp_path / "model", tmp_path / "kept"
    options = ["--recipe", "logistic", "--protocol", "track-random", "--output", output]
    ran = gtag("train", "--data", genre_folders, *options, "--cache", kept, "--name", "mine")
    assert ran.status == 1, ran.err  # finished, but something failed
    assert "left out: jazz/jazz.00054.wav: " in ran.err
    assert "track-random: " in ran.out and "of 10 tracks right, 95 % interval" in ran.out
    assert "mine-1 is in" in ran.out
    new = make_audio(".flac", style="jazz", seed=77)
    scanned = gtag("scan", "--json", "--min-confidence", "0", "--model", output, new)
    assert '"genre": "Jazz"' in scanned.out and '"model": "mine-1"' in scanned.out

    again = gtag("train", "--data", kept, *options, "--name", "mine")
    assert again.status == 0 and "left out" not in again.err
    assert again.out == ran.out


def test_what_was_not_measured_is_said_to_be_so(tmp_path, gtag):
    """Regression: such a model wrote freely, and nobody had been told."""
    archive = write_archive(tmp_path / "set")
    ran = gtag("train", "--recipe", "logistic", "--data", archive, "--output", tmp_path / "m")
    assert ran.status == 0 and "WARNING: confidence is not calibrated" in ran.err


@pytest.mark.parametrize("seed", ["-1", "4294967296", "x"])
def test_a_seed_is_what_numpy_takes(gtag, tmp_path, seed):
    """Regression: a traceback."""
    archive = write_archive(tmp_path / "set")
    options = ("--recipe", "logistic", "--output", tmp_path / "m", "--seed", seed)
    assert gtag("train", "--data", archive, *options).status == 2


def test_a_model_that_is_trained_again_has_the_next_version(gtag, make_audio, tmp_path):
    from mediafile import MediaFile

    for style in STYLES:
        for i in range(3):
            piece = make_audio(".wav", name=f"library/{style}{i}.wav", style=style, seed=i)
            media = MediaFile(piece)
            media.genre, media.artist = f"my {style}", f"{style} {i}"
            media.save()
    command = ["train", "--from-tags", tmp_path / "library", "--min-tracks", "3"]
    assert gtag(*command).status == 0
    first = (zoo.find("my-genres").folder / "own.npz").read_bytes()
    ran = gtag(*command)
    assert (zoo.find("my-genres").folder / "own.npz").read_bytes() == first
    assert "genres: my jazz, my metal" in ran.out and "my-genres-2 is in" in ran.out
    assert "gtag scan --model my-genres PATH" in ran.out
    assert zoo.load("my-genres").card.tag == "my-genres-2"


def test_a_library_with_one_artist_a_genre_is_measured_as_far_as_it_can_be(
    gtag, make_audio, tmp_path
):
    """Regression: after listening to all of it there was an error, and no model."""
    from mediafile import MediaFile

    for style in STYLES:
        for i in range(3):
            piece = make_audio(".wav", name=f"library/{style}{i}.wav", style=style, seed=i)
            media = MediaFile(piece)
            media.genre, media.artist = f"my {style}", style
            media.save()
    ran = gtag("train", "--from-tags", tmp_path / "library", "--min-tracks", "3")
    assert ran.status == 0 and "track-random: " in ran.out
    assert "measured under track-random instead" in ran.err
    shown = gtag("show", piece, "--model", "my-genres").out
    assert "From second to second" in shown
    asked = gtag(
        "train", "--from-tags", tmp_path / "library", "--min-tracks", "3", "--protocol", "artist"
    )
    assert asked.status == 2 and "more than one artist" in asked.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--data", "."], "give --output DIR"),
        (["--output", "m"], "nothing to learn from"),
        (["--from-tags", ".", "--name", "cnn"], "is a model of gtag's own"),
        (["--from-tags", "."], "fewer than two genres have 8 tracks"),
        (["--data", ".", "--output", "m", "--recipe", "svm"], "for benchmarks only"),
        (["--data", ".", "--output", "m", "--recipe", "polka"], "there is no recipe 'polka'"),
        (["--data", ".", "--output", "m", "--recipe", "head", "--tune", "3"], "not support --tune"),
        (["--data", "nowhere", "--output", "m"], "No such file or directory"),
        (["--data", ".", "--output", "cnn"], "is a model of gtag's own"),
        (["--data", ".", "--output", "My model"], "not a valid model name: 'My model'"),
        (
            ["--output", "m", "--recipe", "ensemble", "--member", "cnn", "--tune", "3"],
            "an ensemble is made of its members alone",
        ),
    ],
)
def test_what_cannot_be_done_is_said(gtag, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    ran = gtag("train", *arguments)
    assert ran.status == 2 and reason in ran.err and "Traceback" not in ran.err
    assert not (tmp_path / "m").exists()
