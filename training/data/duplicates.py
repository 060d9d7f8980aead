"""Recordings that are in a library twice, also as excerpts or in other encodings.

On both sides of a split they would flatter; in two genres they would teach both.
"""

from __future__ import annotations

from collections.abc import Sequence

from tagger.training.data.datasets import Example
from tagger.training.data.fingerprints import parts, same_recordings
from tagger.training.data.own_library import joined
from tagger.training.reporter import SILENT, Reporter


def without_duplicates(examples: Sequence[Example], reporter: Reporter = SILENT) -> list[Example]:
    """Return one of each recording, the longest; none where its genres differ. Tell of the others.

    Parameters
    ----------
    examples : sequence of Example
        Of one set, with spectrograms.
    """
    pairs = same_recordings([parts(e.log_mel().excerpts) for e in examples])
    names = [e.track for e in examples]
    groups: dict[str, list[Example]] = {}
    first = joined((names[a], names[b]) for a, b in pairs)
    for example in examples:
        groups.setdefault(first.get(example.track, example.track), []).append(example)
    left_out: dict[str, str] = {}
    for group in groups.values():
        best = max(group, key=lambda e: e.spectrogram().shape[1])
        differ = len({frozenset((e.genre, *e.others)) for e in group}) > 1
        for example in group:
            if differ:
                genres = ", ".join(f"{e.track}: {'; '.join((e.genre, *e.others))}" for e in group)
                left_out[example.track] = f"the same recording has different genres ({genres})"
            elif example is not best:
                left_out[example.track] = f"the same recording as {best.track}"
    for track, why in left_out.items():
        reporter.tell(f"left out: {track}: {why}")
    return [e for e in examples if e.track not in left_out]
