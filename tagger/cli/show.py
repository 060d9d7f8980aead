"""`gtag show`: one track, heard closely. Writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tagger.cli.names import ModelName
from tagger.errors import ExitStatus, UnreadableError
from tagger.exhausted import check_memory

if TYPE_CHECKING:
    from rich.console import Console

    from tagger.decide import Decision
    from tagger.models.prediction import Prediction
    from tagger.tags.read import TagState

_BAR = 30


@click.command()
@click.argument("file", type=click.Path())
@click.option(
    "--model", type=ModelName(), metavar="NAME|DIR", help="A model of the zoo or a folder."
)
@click.option(
    "--plot",
    type=click.Path(),
    metavar="OUT.png",
    help="Draw waveform, spectrogram and timeline.",
)
def show(file: str, *, model: str | None, plot: str | None) -> ExitStatus:
    """Show what is heard in FILE and when, what its tags say, and what a scan would do."""
    check_memory()

    from tagger.classify import classifier
    from tagger.cli.console import console
    from tagger.cli.files import not_music
    from tagger.cli.policy import policy_of
    from tagger.decide import decide
    from tagger.errors import GtagError, NothingToHearError
    from tagger.files.at_rest import check_at_rest
    from tagger.files.cue_sheet import cue_sheet_of
    from tagger.files.formats import identify
    from tagger.files.whole import check_whole
    from tagger.models import zoo
    from tagger.models.track_features import TrackFeatures
    from tagger.screen import printable
    from tagger.sound.audio import read_excerpts
    from tagger.sound.native_messages import native_messages_hidden
    from tagger.tags.read import read_tags
    from tagger.tags.write import check_change

    if plot:
        not_music(plot, "--plot")
    format = identify(file)
    if format is None:
        raise UnreadableError("not a sound format that gtag supports", path=file)
    sound, prediction, silence = None, None, None
    with native_messages_hidden():
        asked = classifier(model or zoo.DEFAULT)
        try:
            sound = read_excerpts(file)
            features = TrackFeatures.from_sound(sound)
            prediction = asked.predict(features)
        except NothingToHearError as error:
            silence = error
    # What a scan would do: with the settings that a scan would have.
    policy = policy_of(_settings_of_scan(), asked.card)
    prediction = prediction and policy.genre_map.of(prediction, policy.detail)
    tags = read_tags(file, format)
    decision = decide(prediction, tags, policy)
    refusal = None
    if decision.change is not None:
        try:
            check_at_rest(file, min_age_s=0)
            check_whole(file, format)
            check_change(file, format)
        except GtagError as error:
            refusal = error

    screen = console()
    length = f", {_clock(sound.duration_s)}" if sound and sound.duration_s else ""
    screen.print(printable(file), style="bold", soft_wrap=True)
    screen.print(f"{format.name}{length}, heard by {asked.card.tag}\n")
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
        screen.print(f"\nA scan hears each of the {n} tracks that {name} names.", soft_wrap=True)
    else:
        screen.print(f"\nA scan {doing}: {printable(reason)}", soft_wrap=True)
    if plot and sound and prediction:
        from tagger.reports.plot import plot_track

        plot_track(sound, features.log_mel, prediction, printable(Path(file).name), plot)
        screen.print(f"Drawn: {printable(plot)}", soft_wrap=True)
    return ExitStatus.OK


def _settings_of_scan() -> dict[str, Any]:
    """What the options of gtag scan are where nobody gives them."""
    root = click.get_current_context().find_root()
    assert isinstance(root.command, click.Group)
    scan = root.command.get_command(root, "scan")
    assert scan is not None
    return scan.make_context("scan", ["."], parent=root).params


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _print_genres(screen: Console, prediction: Prediction) -> None:
    from tagger.cli.console import bar
    from tagger.screen import printable

    width = max(map(len, prediction.labels))
    for genre, probability in prediction.ranked():
        screen.print(
            f"  {printable(genre):{width}}  {probability:.2f}  {bar(screen, probability, _BAR)}"
        )


def _print_timeline(screen: Console, prediction: Prediction) -> None:
    from tagger.cli.console import bar
    from tagger.screen import printable

    if prediction.chunk_probabilities is None or prediction.chunk_starts_s is None:
        screen.print("\nThis model hears a track as a whole, not from second to second.")
        return
    width = max(map(len, prediction.labels))
    screen.print("\nFrom second to second", style="bold")
    for start, probabilities in zip(
        prediction.chunk_starts_s, prediction.chunk_probabilities, strict=True
    ):
        best = int(probabilities.argmax())
        share = float(probabilities[best])
        genre = printable(prediction.labels[best])
        screen.print(
            f"  {_clock(start):>6}  {genre:{width}}  {share:.2f}  {bar(screen, share, _BAR)}"
        )


def _print_tags(screen: Console, tags: TagState) -> None:
    from tagger.screen import printable

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
    from tagger.screen import printable

    if decision.change is not None:
        return f"would write {printable('; '.join(decision.change.genres))}"
    return {
        Status.KEPT: "would keep the genre",
        Status.UNCHANGED: "would change nothing",
        Status.UNSURE: "would leave it alone",
    }[decision.status]
