"""Writes a model's folder: card and weights, complete or not at all."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import tomli_w

from tagger.models.card import CARD, Card, read_card
from tagger.storage.durable_io import write_whole
from tagger.system.errors import ConfigurationError
from tagger.training.data.datasets import Example, as_in_card
from tagger.training.data.fingerprints import PARTS, fingerprint, packed, packed_parts, parts
from tagger.training.data.track_views import Item

TERMS = {
    "gtzan": "Tzanetakis & Cook 2002; recordings never cleared: research and training only",
    "panda": "Panda et al. 2018; commercial recordings: research and training only",
    "mirex": "MIREX mood research set; commercial recordings: research and training only",
    "emotify": "Magnatune recordings, CC BY-NC-SA",
    "ishkur": "a guide to electronic music; excerpts never cleared: research only",
    "no_music": "ESC-10 (CC), Asterisk and KLettres prompts, free spoken digits",
}


def learned_from(
    examples: Iterable[Example | Item], fingerprints: Iterable[np.ndarray | None]
) -> list[dict[str, Any]]:
    """Return the card's list of sets, their terms and the tracks that were learned from.

    A set has the fingerprints of its tracks, in their order, where each track has one that is not
    all zeros.
    """
    sets: dict[str, dict[str, np.ndarray | None]] = {}
    for example, mark in zip(examples, fingerprints, strict=True):
        sets.setdefault(example.source, {})[as_in_card(example.track)] = mark
    entries = []
    for source, tracks in sets.items():
        ids = sorted(tracks)
        entry = {"set": source, "terms": TERMS.get(source, "not stated"), "tracks": ids}
        known = [row for id_ in ids if (row := tracks[id_]) is not None and row.any()]
        if len(known) == len(ids):
            entry["fingerprints"] = packed(known)
        entries.append(entry)
    return entries


def learned_from_examples(examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Return the same of examples, with their fingerprints."""
    marks = (None if e.mel is None else fingerprint(e.log_mel().excerpts) for e in examples)
    return learned_from(examples, marks)


def known_again(examples: Sequence[Example]) -> dict[str, bytes]:
    """Return the file by which excerpts of these tracks are known, where they have spectrograms."""
    heard = [parts(e.log_mel().excerpts) for e in examples if e.mel is not None]
    return {PARTS: packed_parts(heard)} if heard else {}


def with_cost(card: Card, milliseconds: float) -> Card:
    """Add to a card the time of a prediction for a track whose spectrogram is there."""
    data = {**card.data, "cost": {"milliseconds_a_track": round(milliseconds, 1), "threads": 1}}
    write_whole(card.folder / CARD, tomli_w.dumps(data).encode())
    return read_card(card.folder)


def write_model(
    folder: Path,
    card: Mapping[str, Any],
    weights: Mapping[str, bytes],
    extras: Mapping[str, bytes] | None = None,
) -> Card:
    """Write a model's folder.

    Parameters
    ----------
    folder : Path
        A model that stands there is replaced; anything else is refused.
    card : mapping
        As in `card.toml`, without the weights' checksum.
    weights : mapping of str to bytes
        File name to content; the first one is the card's `weights`. Empty for an ensemble.
    extras : mapping of str to bytes, optional
        Further files, which scanning does not need.

    Returns
    -------
    Card
        As read back.
    """
    check_output(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fresh.chmod(0o755)
        for name, content in {**weights, **(extras or {})}.items():
            file = fresh / name  # in a folder of its own, where a model brings along what it uses
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        data = dict(card)
        for name in list(weights)[:1]:
            digest = hashlib.sha256(weights[name]).hexdigest()
            data["weights"] = {"file": name, "sha256": digest}
        (fresh / CARD).write_text(tomli_w.dumps(data), encoding="utf-8")
        read_card(fresh)
        _take_the_place(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return read_card(folder)


def check_folder(folder: Path, what: str, signs: Set[str]) -> None:
    """See that a folder may be written, best before anything takes long.

    Parameters
    ----------
    what : str
        What it is to hold, in a word.
    signs : set of str
        Files by which a folder that holds one already, to be replaced, is known.

    Raises
    ------
    ConfigurationError
        Where something else stands there.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"is a file, and a {what} is a folder", path=folder)
    there = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    if there and not signs <= there:
        raise ConfigurationError(
            f"is neither empty nor a {what}",
            path=folder,
            hint=f"choose another folder for the {what}",
        )


def check_output(folder: Path) -> None:
    """See that a model may be written there, best before it is trained."""
    check_folder(folder, "model", {CARD})


def _take_the_place(fresh: Path, folder: Path) -> None:
    """Rename a folder; the old one is put back if that fails."""
    old = fresh.with_name(fresh.name + "-old")
    if folder.exists():
        folder.rename(old)
    try:
        fresh.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
