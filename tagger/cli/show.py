"""`gtag show`: one track, heard closely. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tagger.errors import ExitStatus, UnreadableError

if TYPE_CHECKING:
    from rich.console import Console

    from tagger.decide import Decision
    from tagger.listen import Listened
    from tagger.models.prediction import Prediction
    from tagger.tags.read import TagState

_BAR = 30


@click.command()
@click.argument("file", type=click.Path())
@click.option("--model", metavar="NAME|DIR", help="A model of the zoo or a folder.")
def show(file: str, *, model: str | None) -> ExitStatus:
    """Show what is heard in FILE and when, what its tags say, and what a scan would do."""
    from tagger.cli.console import console
    from tagger.decide import Policy, decide
    from tagger.errors import NothingToHearError
    from tagger.formats import identify
    from tagger.library import Track
    from tagger.listen import classifier, listen, native_messages_hidden
    from tagger.models import zoo
    from tagger.screen import printable
    from tagger.tags.read import read_tags

    track = Track(file, identify(file))
    model = model or zoo.DEFAULT
    with native_messages_hidden():
        card = classifier(model).card
        listened = listen(model, track)
    if track.format is None or not isinstance(listened.error, NothingToHearError | None):
        raise listened.error or UnreadableError("holds no sound that gtag knows", path=file)
    tags = read_tags(file, track.format)
    decision = decide(listened.prediction, tags, Policy(card.threshold))

    screen = console()
    screen.print(printable(file), style="bold", soft_wrap=True)
    screen.print(f"{track.format.name}{_length(listened)}, heard by {card.tag}\n")
    if listened.prediction is not None:
        _print_genres(screen, listened.prediction)
        _print_timeline(screen, listened.prediction)
    _print_tags(screen, tags)
    screen.print(f"\nA scan: {_in_words(decision, listened)}")
    return ExitStatus.OK


def _length(listened: Listened) -> str:
    return "" if listened.duration_s is None else f", {_clock(listened.duration_s)}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _bar(screen: Console, share: float) -> str:
    from tagger.cli.console import can_draw

    return ("█" if can_draw(screen) else "#") * round(_BAR * share)


def _print_genres(screen: Console, prediction: Prediction) -> None:
    from tagger.screen import printable

    width = max(map(len, prediction.labels))
    for genre, probability in prediction.ranked():
        screen.print(
            f"  {printable(genre):{width}}  {probability:.2f}  {_bar(screen, probability)}"
        )


def _print_timeline(screen: Console, prediction: Prediction) -> None:
    if prediction.chunk_probabilities is None or prediction.chunk_starts_s is None:
        return
    width = max(map(len, prediction.labels))
    screen.print("\nFrom second to second", style="bold")
    for start, probabilities in zip(
        prediction.chunk_starts_s, prediction.chunk_probabilities, strict=True
    ):
        best = int(probabilities.argmax())
        share = float(probabilities[best])
        genre = prediction.labels[best]
        screen.print(f"  {_clock(start):>6}  {genre:{width}}  {share:.2f}  {_bar(screen, share)}")


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


def _in_words(decision: Decision, listened: Listened) -> str:
    from tagger.decide import Status
    from tagger.screen import printable

    if decision.change is not None:
        doing = f"would write {'; '.join(decision.change.genres)}"
    else:
        doing = {
            Status.KEPT: "would keep the genre",
            Status.UNCHANGED: "would change nothing",
            Status.UNSURE: "would leave it alone",
        }[decision.status]
    reason = listened.error.message if listened.error else decision.reason
    return printable(f"{doing}: {reason}")
