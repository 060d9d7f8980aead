"""`gtag show`: all that gtag knows about one track. Writes nothing."""

from __future__ import annotations

from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tagger.cli.files import not_music, opening
from tagger.cli.scan import options_of_scan
from tagger.system.errors import ExitStatus
from tagger.system.exhausted import check_memory
from tagger.system.extras import need
from tagger.system.screen import printable

if TYPE_CHECKING:
    from rich.console import Console

    from tagger.containers.read import TagState
    from tagger.models.prediction import Prediction
    from tagger.pipeline.road import TrackResult

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

    from tagger.cli.console import clock, console
    from tagger.cli.settings import scan_defaults
    from tagger.containers.read import read_tags
    from tagger.containers.recognise import supported_format
    from tagger.deciding.options import ScanOptions
    from tagger.library.walk import Library, Track
    from tagger.pipeline.classify import classifier, classify_track
    from tagger.pipeline.road import read
    from tagger.pipeline.scanning import Scanning
    from tagger.sound.native_messages import native_messages_hidden
    from tagger.system.errors import NothingToHearError

    if plot:
        need("--plot", "matplotlib")
        not_music(plot, "--plot")
    options = ScanOptions.of(scan_defaults() | {"model": model})
    scanning = Scanning(options, writes=False, command=())
    with ExitStack() as stack:
        scanning.load(stack)
        tag = classifier(scanning.model).card.tag
        library = scanning.library([file])
        named = None if Path(file).is_dir() else library.track(file)  # also folders called a.mp3
        track = named or Track(file, supported_format(file))
        with native_messages_hidden():
            classified = classify_track(scanning.model, track, over_time=True)
        if classified.error and not isinstance(classified.error, NothingToHearError):
            raise classified.error
        assert track.format is not None, "an unrecognised file has an error"
        prediction = read(classified, scanning.policy).prediction
        tags = read_tags(file, track.format)
        why_left_out = library.why_left_out(file)
        album = [track] if why_left_out else scanning.album_of(track)
        known = {file: classified}
        results = stack.enter_context(closing(scanning.results(Library([]), album, known=known)))
        result = next(result for result in results if result.path == file)
        cue_tracks = list(islice(results, len(classified.parts)))

    screen = console()
    length = f", {clock(classified.duration_s)}" if classified.duration_s else ""
    screen.print(printable(file), style="bold", soft_wrap=True)
    screen.print(f"{track.format.name}{length}, classified by {tag}\n")
    if cue_tracks:
        _print_cue_tracks(screen, cue_tracks)
    elif prediction is not None:
        _print_genres(screen, prediction)
        if prediction.mood:
            mood = prediction.mood
            sure = f"{mood.name} {mood.confidence:.2f}, written from {mood.threshold:.2f} on"
            screen.print(f"\nMood: {sure} (--mood)")
        _print_timeline(screen, prediction)
    _print_tags(screen, tags)
    scan = "A scan" if len(album) == 1 else "A scan of its folder"
    doing = "leaves it out" if why_left_out else f"would {_doing(result)}"
    reason = why_left_out or result.message
    screen.print(f"\n{scan} {doing}: {printable(reason)}", soft_wrap=True)
    if plot and prediction and not cue_tracks:
        from tagger.models.track_features import TrackFeatures
        from tagger.reports.plot import plot_track
        from tagger.sound.audio import read_excerpts

        with native_messages_hidden():
            sound = read_excerpts(file)
        log_mel = TrackFeatures.from_sound(sound).log_mel
        with opening(plot):
            plot_track(sound, log_mel, prediction, printable(Path(file).name), plot)
        screen.print(f"Drawn: {printable(plot)}", soft_wrap=True)
    return ExitStatus.OK


def _print_cue_tracks(screen: Console, results: list[TrackResult]) -> None:
    width = max(len(printable(result.genre)) for result in results)
    for number, result in enumerate(results, 1):
        sure = "    " if result.confidence is None else f"{result.confidence:.2f}"
        shown = f"{printable(result.genre):{width}}  {sure}  {printable(result.message)}"
        screen.print(f"  {number:3}  {shown}", soft_wrap=True)


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
    if tags.moods:
        rows.append(("mood", "; ".join(tags.moods)))
    if tags.gtag_mood:
        rows.append(("GTAG_MOOD", "; ".join(tags.gtag_mood)))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        screen.print(f"  {printable(name):{width}}  {printable(value)}")


def _doing(result: TrackResult) -> str:
    from tagger.deciding.decide import Status

    return {
        Status.WOULD_WRITE: f"write {printable(result.new_genre)}",
        Status.KEPT: "keep the genre",
        Status.UNCHANGED: "change nothing",
        Status.UNSURE: "leave it alone",
    }.get(result.status, "not write it")
