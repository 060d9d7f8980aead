"""`gtag show`: all that gtag knows about one track. Writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagger.cli.files import not_music, opening
from tagger.cli.scan import options_of_scan
from tagger.errors import ExitStatus
from tagger.exhausted import check_memory
from tagger.extras import need
from tagger.screen import printable

if TYPE_CHECKING:
    from rich.console import Console

    from tagger.decide import Decision
    from tagger.models.prediction import Prediction
    from tagger.tags.read import TagState

_BAR = 30


@click.command(params=options_of_scan("model"))
@click.argument("file", type=click.Path())
@click.option(
    "--plot",
    type=click.Path(),
    metavar="OUT.png",
    help="Draw waveform, spectrogram and timeline; needs the extra [plot].",
)
def show(file: str, *, model: str | None, plot: str | None) -> ExitStatus:
    """Show one track in detail.

    Its probable genres, also over time, its tags, and what a scan would do. Changes nothing.
    """
    check_memory()

    from tagger.classify import classifier
    from tagger.cli.console import clock, console
    from tagger.cli.settings import scan_defaults
    from tagger.decide import decide
    from tagger.errors import GtagError, NothingToHearError
    from tagger.files.at_rest import check_at_rest
    from tagger.files.cue_sheet import cue_sheet_of
    from tagger.files.formats import supported_format
    from tagger.files.whole import check_whole
    from tagger.models import zoo
    from tagger.models.track_features import TrackFeatures
    from tagger.options import ScanOptions
    from tagger.scanning import policy_of
    from tagger.sound.audio import read_excerpts
    from tagger.sound.native_messages import native_messages_hidden
    from tagger.tags.read import read_tags
    from tagger.tags.write import check_change

    if plot:
        need("--plot", "matplotlib")
        not_music(plot, "--plot")
    format = supported_format(file)
    sound, prediction, silence = None, None, None
    with native_messages_hidden():
        asked = classifier(model or zoo.DEFAULT)
        try:
            sound = read_excerpts(file)
            features = TrackFeatures.from_sound(sound)
            prediction = asked.predict(features)
        except NothingToHearError as error:
            silence = error
    policy = policy_of(ScanOptions.of(scan_defaults()), asked.card)
    prediction = prediction and policy.read(prediction)
    tags = read_tags(file, format)
    decision = decide(prediction, tags, policy)
    refusal = None
    if decision.change is not None:
        try:
            check_at_rest(file, min_age_s=0)
            check_whole(file, format)
            check_change(file, format, decision.change)
        except GtagError as error:
            refusal = error

    screen = console()
    length = f", {clock(sound.duration_s)}" if sound and sound.duration_s else ""
    screen.print(printable(file), style="bold", soft_wrap=True)
    screen.print(f"{format.name}{length}, classified by {asked.card.tag}\n")
    if prediction is not None:
        _print_genres(screen, prediction)
        _print_timeline(screen, prediction)
    _print_tags(screen, tags)
    if refusal:
        hint = f" ({refusal.hint})" if refusal.hint else ""
        doing, reason = "would not write it", refusal.message + hint
    else:
        doing, reason = _doing(decision), silence.message if silence else decision.reason
    sheet = cue_sheet_of(file)
    if sheet is not None:
        name, n = printable(Path(sheet.path).name), len(sheet.tracks)
        screen.print(f"\nA scan classifies each of the {n} tracks in {name}.", soft_wrap=True)
    else:
        screen.print(f"\nA scan {doing}: {printable(reason)}", soft_wrap=True)
    if plot and sound and prediction:
        from tagger.reports.plot import plot_track

        with opening(plot):
            plot_track(sound, features.log_mel, prediction, printable(Path(file).name), plot)
        screen.print(f"Drawn: {printable(plot)}", soft_wrap=True)
    return ExitStatus.OK


def _print_genres(screen: Console, prediction: Prediction) -> None:
    width = max(map(len, prediction.labels))
    for genre, probability in prediction.ranked():
        screen.print(f"  {_bar_of(screen, genre, width, probability)}")


def _print_timeline(screen: Console, prediction: Prediction) -> None:
    from tagger.cli.console import clock

    if prediction.chunk_probabilities is None or prediction.chunk_starts_s is None:
        screen.print("\nThis model predicts for a track as a whole, not from second to second.")
        return
    width = max(map(len, prediction.labels))
    screen.print("\nFrom second to second", style="bold")
    for start_s, row in zip(prediction.chunk_starts_s, prediction.chunk_probabilities, strict=True):
        best = int(row.argmax())
        shown = _bar_of(screen, prediction.labels[best], width, float(row[best]))
        screen.print(f"  {clock(start_s):>6}  {shown}")


def _bar_of(screen: Console, genre: str, width: int, probability: float) -> str:
    from tagger.cli.console import bar

    return f"{printable(genre):{width}}  {probability:.2f}  {bar(screen, probability, _BAR)}"


def _print_tags(screen: Console, tags: TagState) -> None:
    screen.print("\nTags", style="bold")
    rows = [("genre", "; ".join(tags.genres) or "none")]
    rows += [(f"genre in {place}", "; ".join(genres)) for place, genres in tags.hidden]
    if tags.gtag_genre:
        rows.append(("GTAG_GENRE", "; ".join(tags.gtag_genre)))
    if tags.gtag_confidence is not None:
        rows.append(("GTAG_CONFIDENCE", f"{tags.gtag_confidence:.4f}"))
    if tags.gtag_model:
        rows.append(("GTAG_MODEL", tags.gtag_model))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        screen.print(f"  {printable(name):{width}}  {printable(value)}")


def _doing(decision: Decision) -> str:
    from tagger.decide import Status

    if decision.change is not None:
        return f"would write {printable('; '.join(decision.change.genres))}"
    return {
        Status.KEPT: "would keep the genre",
        Status.UNCHANGED: "would change nothing",
        Status.UNSURE: "would leave it alone",
    }[decision.status]
