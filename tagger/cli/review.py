"""`gtag review`: asks about the tracks that a scan was unsure of, and writes the answers."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tagger.cli.click_options import Number, Whole
from tagger.cli.files import log_to, not_music, opening
from tagger.cli.results import complain, each, run_then
from tagger.cli.scan import WALKING, options_of_scan
from tagger.deciding.options import ScanOptions
from tagger.system.errors import ConfigurationError, ExitStatus, GtagError
from tagger.system.exhausted import check_memory
from tagger.system.extras import need
from tagger.system.screen import printable

if TYPE_CHECKING:
    from tagger.cli.progress import Progress
    from tagger.library.walk import Library
    from tagger.pipeline.road import TrackResult
    from tagger.pipeline.scanning import Scanning
    from tagger.reviewing.guesses import Guesses
    from tagger.reviewing.review import Question, Review
    from tagger.system.interrupt import Interrupts

Step = Literal["next", "back", "quit"]

_BAR = 30
_KEYS = (
    ("Enter", "{enter}"),
    ("1-{n}", "choose that one"),
    ("t", "type a genre"),
    ("s", "{skip}"),
    ("a", "for the whole album"),
    ("p", "play"),
    ("b", "back"),
    ("q", "quit"),
)


@click.command(
    params=options_of_scan(
        *("model", "jobs", *WALKING, "preserve_mtime", "in_place", "min_age", "write_incomplete"),
        *("journal", "trust", "then", "log_file"),
    )
)
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[REPORT.csv|PATHS]...")
@click.option("--web", is_flag=True, help="Ask on a page in the browser; needs the extra [web].")
@click.option(
    "--port",
    type=Whole(1, 65535),
    metavar="N",
    help="With --web: the port of the page, for a forwarded one. Default: any that is free.",
)
@click.option(
    "--min-confidence",
    type=Number(0, 1),
    metavar="P",
    help="With PATHS: ask about what is less sure. Default: the model's own thresholds.",
)
@click.option(
    "--aim",
    type=Number(0.5, 0.99),
    metavar="P",
    help="With PATHS: ask about what is not named where a share P of the names has to be right.",
)
@click.option(
    "--disagree",
    is_flag=True,
    help="Ask about genres of your own that the music does not sound like, as gtag audit lists.",
)
def review(
    paths: tuple[str, ...],
    *,
    web: bool,
    port: int | None,
    disagree: bool,
    then: str | None,
    log_file: str | None,
    **options: Any,
) -> ExitStatus:
    """Name the genres of the tracks that a scan was unsure of.

    Asks about the unsure tracks in a REPORT.csv of gtag scan, or scans PATHS first; with neither it
    continues with the last PATHS. Answers are written at once, as your own genres; gtag undo takes
    back those of one review.
    """
    if port and not web:
        raise click.UsageError("--port needs --web.")
    if web:
        need("gtag review --web", "starlette", "uvicorn")
    elif not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError(
            "gtag review asks questions, so it needs a terminal", hint="or --web, for a browser"
        )
    check_memory()

    from tagger.cli.progress import Progress
    from tagger.cli.settings import scan_defaults
    from tagger.pipeline.scanning import Scanning
    from tagger.pipeline.writing import writer
    from tagger.reviewing.review import Review, default_report
    from tagger.system.interrupt import Interrupts

    log_to(log_file)
    journal = options["journal"]
    if journal:
        not_music(journal, "--journal")
    report = default_report(disagree=disagree)
    if len(paths) == 1 and paths[0].lower().endswith(".csv"):
        report, paths = Path(paths[0]), ()
    elif not paths and not report.exists():
        raise click.UsageError("Name a report of gtag scan, or files and folders.")
    settings = scan_defaults() | ({"existing": "keep"} if disagree else {})
    said = ScanOptions.of(settings | options)
    scanning = Scanning(said, writes=False, command=sys.argv[1:])
    # Absolute: the review may go on in another folder.
    paths = tuple(os.path.abspath(path) for path in paths)  # noqa: PTH100
    library = scanning.library(paths)
    with ExitStack() as stack:
        progress = Progress(shown=True, before="loading the model")
        stack.callback(progress.close)
        scanning.load(stack)
        if paths:
            progress.expect(lambda: scanning.library(paths))
            _look_for_questions(scanning, library, report, progress, disagree=disagree)
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        begun = writer(journal, scanning.care, command=sys.argv[1:], model=None, lazily=True)
        write = stack.enter_context(begun)
        asked = Review(report, write, scanning.policy.placeholders, disagree=disagree)
        interrupted, n_failed, went_on, any_asked = True, 0, False, True
        if web and len(asked):
            from tagger.reviewing.desk import Desk
            from tagger.reviewing.web import serve

            with suppress(KeyboardInterrupt):
                serve(Desk(asked, scanning, interrupts), _address_told, port or 0)
                interrupted = False
            went_on = not asked.is_open()
            if went_on:
                asked.finish()
        else:
            dialogue = _Dialogue(asked, interrupts, scanning)
            stack.callback(dialogue.player.stop)
            try:
                went_on, interrupted = dialogue.run(), False
            except (KeyboardInterrupt, click.Abort):
                dialogue.say("")
            n_failed, any_asked = dialogue.problems, dialogue.asked
        _sum_up(asked, went_on=went_on, asked=any_asked)
    for problem in library.problems:
        complain(problem)
    if interrupted:
        return ExitStatus.INTERRUPTED
    went_well = run_then(then, len(asked.answered_now)) and not (n_failed or library.problems)
    return ExitStatus.OK if went_well else ExitStatus.PROBLEMS


def _look_for_questions(
    scanning: Scanning, library: Library, report: Path, progress: Progress, *, disagree: bool
) -> None:
    """Scan, and write the report of the tracks to ask about for this review and later ones."""
    from tagger.deciding.decide import Status
    from tagger.reports.csv_report import CsvReport, open_report
    from tagger.system.interrupt import Interrupts

    with opening(str(report)):
        report.parent.mkdir(parents=True, exist_ok=True)
        file = open_report(str(report))
    with file, Interrupts() as interrupts:
        csv_report = CsvReport(file)

        def note(result: TrackResult) -> None:
            doubted = result.own_confidence is not None
            if doubted if disagree else result.status is Status.UNSURE:
                csv_report.add(result)

        results = scanning.results(library, interrupts=interrupts, rehearses=False)
        if not each(results, note, progress.step):
            raise KeyboardInterrupt


class _Dialogue:
    """The questions on the terminal, and the keys that answer them."""

    def __init__(self, review: Review, interrupts: Interrupts, scanning: Scanning) -> None:
        from tagger.cli.console import console
        from tagger.reviewing.player import Player

        self.player = Player()
        self.problems = 0
        self._review = review
        self._interrupts = interrupts
        self._scanning = scanning
        self._screen = console()
        self._typed: dict[str, None] = {}
        self.asked = False
        self._again: int | None = None  # a track that was gone back to, answered or not
        self._guesses: dict[int, Guesses] = {}

    def run(self) -> bool:
        """Ask about one track after the other; False where the person quits."""
        shown: list[int] = []
        number = 0
        while number < len(self._review):
            question = self._next(number)
            if question is None:
                number += 1
                continue
            self.asked = True
            step = self._ask(question, may_go_back=bool(shown))
            if step == "quit":
                return False
            if step == "back":
                number = shown.pop()
                self._review.ask_again(number)
                self._again = number
            else:
                shown.append(number)
                number += 1
        self._review.finish()
        return True

    def _next(self, number: int) -> Question | None:
        again, self._again = self._again == number, None
        if number in self._review.skipped:
            return None
        try:
            question = self._review.question(number)
        except GtagError as error:
            self.problems += 1
            complain(error)
            return None
        return question if again or not question.answered else None

    def _ask(self, question: Question, *, may_go_back: bool) -> Step:
        from tagger.reviewing.guesses import guesses as guesses_about

        if question.number not in self._guesses:  # only of the track at hand
            self._guesses = {question.number: guesses_about(question, self._scanning)}
        guesses = self._guesses[question.number]
        named = [genre for genre, _ in guesses.named]
        self._show(question, guesses)
        _forget_early_keys()
        whole_album = False
        while True:
            self._show_keys(guesses, may_go_back=may_go_back)
            key = _key()
            self.player.stop()
            chosen: tuple[str, ...] = ()
            enter = key in ("\r", "\n")
            if enter and guesses.accepted:
                chosen = (guesses.accepted,)
            elif key.isdecimal() and 1 <= int(key) <= len(named):
                chosen = (named[int(key) - 1],)
            elif key == "t":
                chosen = self._ask_for_genres()
            elif key == "s" or enter:
                self._review.skip(question.number)
                self.say("kept" if self._review.disagree else "skipped")
                return "next"
            elif key == "b" and may_go_back:
                return "back"
            elif key == "q":
                return "quit"
            elif key == "a":
                whole_album = not whole_album
                self.say(self._what_for(question, whole_album=whole_album))
            elif key == "p":
                playing = self.player.play(question.track.path, question.result.duration_s)
                nothing = "No player was found: install mpv or ffmpeg (ffplay)."
                self.say("playing; any key stops it" if playing else nothing)
            if chosen and self._answer(question, chosen, whole_album=whole_album):
                return "next"

    def _what_for(self, question: Question, *, whole_album: bool) -> str:
        if not whole_album:
            return "The answer is for this track alone."
        n = len(self._review.album(question))
        if n == 1:
            return "No other track of this album is open."
        return f"The answer is for the {n} open tracks of this album."

    def _show(self, question: Question, guesses: Guesses) -> None:
        from tagger.cli.console import bar, clock

        credits, tags = question.credits, question.tags
        title = " - ".join(filter(None, (credits.artist, credits.title)))
        album = f" ({credits.album})" if credits.album else ""
        length_s = question.result.duration_s
        length = "" if length_s is None else f"{clock(length_s)}, "
        self.say("")
        self.say(f"{question.number + 1} of {len(self._review)}", "dim")
        self.say(question.track.path, "bold")
        if title or album:
            self.say(f"{title}{album}".strip())
        genre = "; ".join(tags.genres or tags.user_genres) or "none"
        why = question.result.message
        self.say(f"{length}genre: {genre}{'; ' if why else ''}{why}", "dim")
        width = max((len(printable(genre)) for genre, _ in guesses.named), default=0)
        for i, (genre, probability) in enumerate(guesses.named, 1):
            shown = bar(self._screen, probability, _BAR)
            self.say(f"  {i}  {printable(genre):{width}}  {probability:.2f}  {shown}")

    def _show_keys(self, guesses: Guesses, *, may_go_back: bool) -> None:
        from rich.text import Text

        skip = "keep yours" if self._review.disagree else "skip"
        enter = f"accept {printable(guesses.accepted)}" if guesses.accepted else skip
        n = len(guesses.named)
        line = Text()
        for key, meaning in _KEYS:
            if key == "b" and not may_go_back:
                continue
            if key == "1-{n}" and n <= bool(guesses.accepted):
                continue
            cell = Text().append(key.format(n=n), "bold cyan")
            cell.append(f" {meaning.format(enter=enter, skip=skip)}")
            if line and line.cell_len + 3 + cell.cell_len > self._screen.width:
                self._screen.print(line)
                line = Text()
            line = line + Text("   ") + cell if line else cell
        self._screen.print(line, soft_wrap=True)

    def _ask_for_genres(self) -> tuple[str, ...]:
        from tagger.reviewing.guesses import names_of_model
        from tagger.reviewing.review import as_genres, known_genres, meant_instead

        own = [*names_of_model(self._scanning), *self._typed]
        known = list(dict.fromkeys((*known_genres(), *own)))
        meant = []
        for genre in as_genres(_line("genre (Tab completes, empty goes back): ", known), own):
            if near := meant_instead(genre, own):
                click.echo(printable(f'Did you mean {near}?  y (Enter)   n "{genre}" as typed'))
                key = _key().casefold()
                if key not in ("y", "n", "\r", "\n"):
                    return ()  # no word is written by a key that says neither
                genre = genre if key == "n" else near
            meant.append(genre)
        self._typed |= dict.fromkeys(meant)
        return tuple(dict.fromkeys(meant))

    def _answer(self, question: Question, genres: tuple[str, ...], *, whole_album: bool) -> bool:
        """Write; False where nothing could be written."""
        questions = self._review.album(question) if whole_album else [question]
        written = 0
        for one in questions:
            try:
                with self._interrupts.held():
                    remark = self._review.answer(one, genres)
                    written += 1
                if remark:
                    click.echo(f"gtag: {printable(one.track.path)}: {printable(remark)}", err=True)
            except GtagError as error:
                complain(error)
        many = f" into {written} tracks" if len(questions) > 1 else ""
        if written:
            self.say(f"written{many}: {printable('; '.join(genres))}", "green")
        return written > 0

    def say(self, text: str, style: str = "") -> None:
        self._screen.print(printable(text), style=style, soft_wrap=True)


def _sum_up(review: Review, *, went_on: bool, asked: bool) -> None:
    """Print what was done, how to continue, and how to take it back."""
    skipped, before = len(review.skipped_now), len(review.skipped - review.skipped_now)
    if not (asked or before):
        click.echo("There is no track left to ask about.")
        return
    passed = "kept" if review.disagree else "skipped"
    earlier = f"; {before} {passed} before" if before else ""
    click.echo(f"\n{len(review.answered_now)} answered, {skipped} {passed}{earlier}")
    if not went_on:
        click.echo("The same command continues from here; after PATHS, gtag review alone.")
    elif (skipped or before) and not review.disagree:
        click.echo("The next review asks for the skipped ones again.")
    if review.answered_now:
        click.echo("To take the answers back: gtag undo")


def _address_told(address: str, address_for_once: str) -> None:
    """Print the address of the page, and open it where there is a screen."""
    import webbrowser

    click.echo(f"Review in the browser: {address}")
    click.echo("Ctrl-C ends it.")
    sys.stdout.flush()
    desktops = ("DISPLAY", "WAYLAND_DISPLAY")  # elsewhere a browser would take the terminal
    if sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in desktops):
        webbrowser.open(address_for_once)


def _forget_early_keys() -> None:
    """Drop the keys that were pressed before the question was shown."""
    try:
        import termios
    except ImportError:  # Windows
        return
    termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _key() -> str:
    """Read one key; what a paste or an arrow sends beyond it is dropped."""
    try:
        pressed: str = click.getchar()
    except EOFError:
        return "q"
    return pressed if len(pressed) == 1 else ""


def _line(prompt: str, known: list[str]) -> str:
    """Read a line, with completion by Tab where the system supports it."""
    try:
        import readline
    except ImportError:  # Windows
        readline = None  # type: ignore[assignment]

    def complete(typed: str, i: int) -> str | None:
        fitting = [name for name in known if name.casefold().startswith(typed.casefold())]
        return fitting[i] if i < len(fitting) else None

    if readline:
        readline.set_completer(complete)
        readline.set_completer_delims(";")
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        click.echo()
        return ""
