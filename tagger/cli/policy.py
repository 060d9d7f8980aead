"""What the options of `gtag scan` say of how far gtag may go, for every command that has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagger.decide import Policy
    from tagger.models.card import Card


def policy_of(options: Mapping[str, Any], card: Card) -> Policy:
    """The policy for a model.

    Raises
    ------
    ConfigurationError
        The genre map cannot be used, or options contradict each other.
    """
    from tagger.decide import Policy
    from tagger.genre_map import GenreMap, genre_map_for
    from tagger.placeholders import DEFAULT_PLACEHOLDERS, Placeholders
    from tagger.profiles import PROFILES, Profile

    ignored = () if options["no_default_placeholders"] else DEFAULT_PLACEHOLDERS
    file, detail = options["genre_map"], options["detail"]
    return Policy(
        options["min_confidence"],
        options["existing"],
        Placeholders((*ignored, *options["placeholders"])),
        genres=options["genres"],
        detail=detail,
        album=options["album"],
        profile=PROFILES[options["profile"]] if options["profile"] else Profile(),
        genre_map=genre_map_for(file, card, detail) if file else GenreMap(),
    )
