"""Albums: tracks that belong together, and the one genre that most of them have."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tagger.deciding.decide import NONE_BELOW, Policy, Verdict, is_doubted, named_genres
from tagger.models.prediction import mean_of

if TYPE_CHECKING:
    from tagger.containers.credits import Credits
    from tagger.models.prediction import Prediction

LEAST_TRACKS = 3  # of an album: two that disagree have no majority
# Of an album by its tags, and of a folder without such tags. More are not one album.
MOST_TRACKS, MOST_WITHOUT_TAGS = 200, 25
CLEAR_MAJORITY = 2 / 3  # of the tracks that the model is sure of
LEAST_OWN = 0.1  # probability of the album's genre for a track that gets it

_VARIOUS = {"various", "various artists", "va", "v.a.", "v/a", "verschiedene", "diverse", "divers"}
_VARIOUS |= {"verschiedene interpreten", "artistes variés", "varios artistas", "artisti vari"}
_GUESTS = re.compile(r"\s*(?:\b(?:feat|ft|featuring|with|vs|and|und|et|y)\b|[,;&/+(\[]).*", re.I)

Item = TypeVar("Item")


def in_albums(
    items: Iterable[Item], path: Callable[[Item], str], credits: Callable[[Item], Credits]
) -> Iterator[list[tuple[Item, Credits]]]:
    """Group consecutive items by album.

    Neighbours belong together where their tags have the same album and album artist (without the
    latter: the same folder or artist), or where one has no album and both are in one folder.
    """
    album: list[tuple[Item, Credits]] = []
    before: Place | None = None
    too_many = False  # to wait for the last of them
    for item in items:
        its_credits = credits(item)
        here = place(path(item), its_credits)
        if before is not None and not together(before, here):
            if album:
                yield album
            album, too_many = [], False
        album.append((item, its_credits))
        too_many = too_many or len(album) > _most(its_credits)
        if too_many:
            yield album
            album = []
        before = here
    if album:
        yield album


class Place(NamedTuple):
    """Where a track belongs: its folder, its album, and whose that is."""

    folder: str
    album: str
    album_artist: str
    artist: str


def place(path: str, credits: Credits) -> Place:
    """Return where a track belongs."""
    folder = os.path.dirname(path)  # noqa: PTH120 - may be bytes in disguise
    names = (credits.album, credits.album_artist, _without_guests(credits.artist))
    return Place(folder, *map(str.casefold, names))


def together(one: Place, other: Place) -> bool:
    """Tell whether neighbours belong together, by their `place`."""
    if not (one.album and other.album):
        return one.folder == other.folder
    if (one.album, one.album_artist) != (other.album, other.album_artist):
        return False
    # Many have an album of "Greatest Hits".
    same_artist = one.artist != "" and one.artist == other.artist
    return one.album_artist != "" or one.folder == other.folder or same_artist


def _without_guests(artist: str) -> str:
    return _GUESTS.sub("", artist).strip()


def _most(credits: Credits) -> int:
    return MOST_TRACKS if credits.album else MOST_WITHOUT_TAGS


def is_album(credits: Sequence[Credits]) -> bool:
    """Tell whether tracks are an album of one artist, ignoring guests, and not a compilation.

    >>> from tagger.containers.credits import Credits
    >>> is_album([Credits("Nas"), Credits("Nas feat. Lauryn Hill"), Credits("Nas")])
    True
    >>> is_album([Credits("Nas", album_artist="Various Artists")] * 3)
    False
    """
    if len(credits) < LEAST_TRACKS or len(credits) > min(map(_most, credits)):
        return False
    album_artists = {c.album_artist.casefold() for c in credits if c.album_artist}
    if any(c.compilation for c in credits) or album_artists & _VARIOUS:
        return False
    if album_artists:
        return len(album_artists) == 1
    artists = Counter(_without_guests(c.artist).casefold() for c in credits if c.artist)
    return not artists or 2 * max(artists.values()) > artists.total()


def album_verdicts(
    predictions: Sequence[Prediction | None], policy: Policy
) -> list[Verdict | None]:
    """Return the album's verdict for each of its tracks; None: its own prediction counts.

    With ``vote``, where two thirds of the confident tracks, and half of all, have one best genre,
    it goes to the unsure tracks, and to those of another genre that is less probable than this
    one's mean over the album; not to those where its probability is below `LEAST_OWN`, and to
    none where that mean is below `NONE_BELOW`. Where no genre has such a majority, a vote for
    Punk counts for Rock, as one for House does for Electronic; tracks of those keep them. With
    ``one`` all tracks get what the mean of their probabilities gives, or nothing where that is
    below its threshold. What is not music gets no genre from its album.

    Parameters
    ----------
    predictions : sequence of Prediction or None
        Of each track; None for silence.
    """
    music = [p for p in predictions if p is not None and not is_doubted(p, policy)]
    nothing: list[Verdict | None] = [None] * len(predictions)
    if policy.album == "off" or len(music) < LEAST_TRACKS:
        return nothing
    mean = mean_of(music)
    if policy.album == "one":
        named = named_genres(mean, replace(policy, genres=1))
        if named:
            reason = f"the highest mean of the album's {len(music)} tracks"
            verdict = Verdict(*named[0], reason)
        else:
            reason = f"the album's mean is {mean.genre} {mean.confidence:.2f}, below the threshold"
            verdict = Verdict(None, mean.confidence, reason)
        return [None if p is None else verdict for p in predictions]
    best = [None if p is None else named_genres(p, policy)[:1] for p in predictions]
    firsts = [
        name
        for p, named in zip(predictions, best, strict=True)
        for name, _ in (named or () if p is not None and not is_doubted(p, policy) else ())
    ]
    tops = [(*mean.above(name), name)[0] for name in firsts]
    majority = _majority(firsts, len(music)) or _majority(tops, len(music))
    if majority is None:
        return nothing
    genre, count = majority
    confidence = mean.probability_of(genre)
    if music[0].independent and confidence < NONE_BELOW:
        return nothing
    verdict = Verdict(genre, confidence, f"as {count} of the album's {len(music)} tracks")
    verdicts = list(nothing)
    for i, p in enumerate(predictions):
        if p is None or p.probability_of(genre) < LEAST_OWN:
            continue
        for name, own in best[i] or [("", -1.0)]:
            if own < confidence and genre not in (name, *p.above(name)):
                verdicts[i] = verdict
    return verdicts


def _majority(votes: Sequence[str], n_tracks: int) -> tuple[str, int] | None:
    """Return the genre of a clear majority with its votes, if there is one."""
    for genre, count in Counter(votes).most_common(1):
        if count >= CLEAR_MAJORITY * len(votes) and 2 * count >= n_tracks:
            return genre, count
    return None
