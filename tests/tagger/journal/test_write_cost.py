"""What a careful write costs, beside mutagen's plain `save()`, which overwrites the file itself."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
from mutagen.id3 import TCON

from tagger.containers.recognise import identify
from tagger.containers.write import Change, write_change
from tagger.journal.journal import Journal
from tagger.sound import demo
from tagger.storage import at_rest

TURNS = 9


def median_ms(prepare: Callable[[], object], do: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock time and the time of the processor."""
    times = []
    for _ in range(TURNS):
        prepare()
        wall, processor = time.perf_counter(), time.process_time()
        do()
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    walls, processors = zip(*times, strict=True)
    return 1000 * statistics.median(walls), 1000 * statistics.median(processors)


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [5, 50])
@pytest.mark.parametrize(("suffix", "minute"), [(".mp3", 2.4), (".flac", 3.9)])
def test_cost_of_a_careful_write(suffix, minute, megabytes, tmp_path, capsys, monkeypatch):
    """`minute`: how many megabytes a minute of the test's sound takes."""
    monkeypatch.setattr(at_rest, "_SETTLED_S", 0.0)  # what is written here was copied just now
    source, path = tmp_path / f"source{suffix}", tmp_path / f"track{suffix}"
    piece = np.tile(demo.compose("disco", 0, 60.0), round(megabytes / minute))
    demo.encode(piece, source, bit_rate=320_000)
    format = identify(source)
    assert format is not None

    def plain() -> None:
        file = format.open_with_mutagen(str(path))
        if file.tags is None:
            file.add_tags()
        if suffix == ".mp3":
            file.tags.add(TCON(encoding=3, text="Jazz"))
        else:
            file["genre"] = "Jazz"
        file.save()

    def fresh() -> None:
        shutil.copyfile(source, path)

    change = Change(("Jazz",), ("Jazz",), 0.9, "cnn-1")
    with Journal(tmp_path / "journal.sqlite") as journal, journal.start_run("scan", ()) as run:
        careful = median_ms(fresh, lambda: write_change(path, format, change, journal=run))
    bare = median_ms(fresh, plain)
    with capsys.disabled():
        print(
            f"\n{suffix} of {source.stat().st_size / 1e6:.0f} MB: careful {careful[0]:.0f} ms "
            f"(processor {careful[1]:.0f}), plain {bare[0]:.1f} ms (processor {bare[1]:.1f})"
        )
    # Copy, three hashes at half a gigabyte a second, and a handful of waits for the disk.
    assert careful[1] < 40 + 10 * megabytes
