"""Brings the spellings of genres together: by the vocabulary, its aliases and a genre map.

`classical` becomes Classical, `Hip Hop` Hip-Hop, `(17)` Rock, `Rock/Pop` Rock and Pop. Words that
neither knows stay as they are, and so do placeholders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tagger.containers.blocks import distinct
from tagger.containers.id3v1 import referenced_genres
from tagger.containers.write import Change
from tagger.deciding.decide import Decision, Status
from tagger.genres.vocabulary import canonical, names_in

if TYPE_CHECKING:
    from tagger.containers.read import TagState
    from tagger.deciding.genre_map import GenreMap

_NUMBER = re.compile(r"(\(\d{1,3}\))+|\d{1,3}")


def tidied(genres: Iterable[str], genre_map: GenreMap) -> tuple[str, ...]:
    """Return genres in one spelling each.

    >>> from tagger.deciding.genre_map import GenreMap
    >>> tidied(("classical", "(17)", "Hip Hop / Jazz", "sea shanties"), GenreMap())
    ('Classical', 'Rock', 'Hip-Hop', 'Jazz', 'sea shanties')
    """
    texts = (each for g in genres for each in (referenced_genres(g) if _NUMBER.match(g) else (g,)))
    names = (canonical(name) or name for text in texts for name in names_in(text))
    # What a map drops is not written by gtag; that a person has it is another matter.
    return distinct(genre_map(name) or name for name in names)


def decide_tidy(tags: TagState, genre_map: GenreMap, id3_version: int = 4) -> Decision:
    """Decide what becomes of a file's genres; whose they are stays as it is."""
    old = tags.genres
    new = tidied(old, genre_map)
    if new == old:
        reason = "is spelled so already" if old else "has no genre"
        return Decision(Status.UNCHANGED, reason, old_genres=old)
    hidden = {name for _, genres in tags.hidden for name in tidied(genres, genre_map)}
    if not hidden <= set(new):
        reason = f"another tag of the file says {'; '.join(sorted(hidden - set(new)))}"
        return Decision(Status.KEPT, reason, old_genres=old)
    ours = tidied((genre for genre in old if genre in tags.gtag_genre), genre_map)
    if ours:
        change = Change(new, ours, tags.gtag_confidence, tags.gtag_model, id3_version)
    else:
        change = Change(new, id3_version=id3_version)
    return Decision(Status.WOULD_WRITE, "spelled otherwise", change, old_genres=old)
