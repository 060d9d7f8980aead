"""The evaluation report: complete, self-contained, and safe whatever the tracks are called."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from tagger.models.card import Card
from tagger.system.errors import ConfigurationError
from tagger.training.measure.evaluate import Evaluation, warning, worst_mistakes
from tagger.training.measure.metrics import Measured, Measurement, share
from tagger.training.measure.training_history import (
    TrainingHistory,
    correlation,
    correlation_table,
    history_table,
    importance,
    importance_table,
    read_history,
)
from tagger.training.report import plots
from tagger.training.report.page import Page
from tagger.training.report.report import (
    METRICS,
    PAGE,
    check_report,
    learning_pictures,
    write_report,
)
from tests.browser import FITS, seen_in_browser

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=http://evil.example/x.png onerror=alert(1)>',
    "&lt;b&gt; & co",
    "$\\frac{1}{0$",
    "\x1b[31mred\x07",
    "caf\udce9.mp3",
    "\u202egpj.exe",
    "曲" * 40,
    "-rf --",
    "a\nb",
)
# HTML 4 and 5 attributes that make a browser fetch or run something, beside `on…`.
FETCHING = {
    *("action", "background", "cite", "data", "formaction", "href", "manifest", "poster"),
    *("ping", "src", "srcdoc", "srcset", "xlink:href"),
}


ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "b", "span"),
    *("table", "tr", "th", "td", "figure", "img", "figcaption"),
}


class Strict(HTMLParser):
    """Collects the words of a page and objects to whatever fetches or runs."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.images = 0
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        assert tag in ALLOWED
        for name, value in attrs:
            assert not name.startswith("on") and name != "style"
            if name in FETCHING:
                assert (tag, name) == ("img", "src")
                assert value.startswith("data:image/png;base64,")
                self.images += 1
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            assert "url(" not in data and "@import" not in data
        else:
            self.words.append(data)


def strictly_parsed(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def make_card(folder: Path) -> Card:
    return Card(folder, "trees", 1, "boosted-trees", ("A", "B"), 1.0, 0.5, (), (), {}, (), {})


def make_evaluation(n: int = 60, labels=("Blues", "Jazz", "Rock"), seed=0, **more):
    rng = np.random.default_rng(seed)
    k = len(labels)
    truth = rng.integers(0, k, n)
    logits = rng.standard_normal((n, k)) + 1.5 * np.eye(k)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    tracks = tuple(f"track {i}" for i in range(n))
    measured = Measured(labels, truth, probabilities, tracks)
    return Evaluation(measured, (), "trees-1", "set", 0.5, **more)


def is_picture(png: bytes) -> bool:
    pixels = imread(io.BytesIO(png))
    return pixels.shape[0] > 200 and pixels.shape[1] > 300 and np.ptp(pixels) > 0.9


def test_a_report_is_figures_pictures_and_a_page(tmp_path):
    evaluation = make_evaluation(left_out={"x.wav": "is silent"})
    write_report(evaluation, tmp_path / "report")
    told = json.loads((tmp_path / "report" / METRICS).read_text())
    assert told == json.loads(json.dumps(evaluation.metrics()))
    assert told["model"] == "trees-1" and told["left_out"] == {"x.wav": "is silent"}
    pictures = sorted((tmp_path / "report").glob("*.png"))
    assert [p.stem for p in pictures] == [
        *("confusion", "coverage", "genres", "precision_recall", "reliability", "roc")
    ]
    assert all(is_picture(picture.read_bytes()) for picture in pictures)
    page = strictly_parsed((tmp_path / "report" / PAGE).read_text(encoding="utf-8"))
    assert page.images == 6
    text = " ".join(page.words)
    assert f"{told['accuracy']:.1%}" in text and "x.wav" in text and "is silent" in text
    assert "SEEN IN TRAINING" not in text


def test_the_named_share_is_what_stands_above_the_threshold(tmp_path):
    evaluation = make_evaluation(n=200)
    told = evaluation.metrics()
    named = evaluation.measured.confidences >= 0.5
    assert told["named"] == pytest.approx(named.mean())
    assert told["accuracy_of_named"] == pytest.approx(evaluation.measured.right[named].mean())
    silent = replace(evaluation, threshold=1.0)
    assert silent.metrics()["named"] == 0 and silent.metrics()["accuracy_of_named"] is None
    write_report(silent, tmp_path / "silent")


def test_tracks_seen_in_training_are_told_before_anything_else(tmp_path):
    evaluation = replace(make_evaluation(), warning=warning("trees-1", 2, 60))
    write_report(evaluation, tmp_path / "report")
    page = strictly_parsed((tmp_path / "report" / PAGE).read_text(encoding="utf-8"))
    text = [word for word in page.words if word.strip()]
    position = next(i for i, word in enumerate(text) if "SEEN IN TRAINING" in word)
    assert position <= text.index("accuracy")
    assert "2 of these 60 tracks" in text[position]


def test_the_surest_mistakes_are_the_worst(tmp_path):
    measured = make_evaluation(n=300).measured
    worst = worst_mistakes(measured, 10)
    confidences = [mistake["confidence"] for mistake in worst]
    assert confidences == sorted(confidences, reverse=True)
    wrong = {measured.tracks[i] for i in np.flatnonzero(~measured.right)}
    assert {mistake["track"] for mistake in worst} <= wrong
    assert confidences[0] == measured.confidences[~measured.right].max()
    assert all(m["genre"] != m["guess"] for m in worst)


def test_hostile_names_do_nothing(tmp_path):
    n = len(HOSTILE)
    probabilities = np.roll(np.eye(n), 1, axis=1) * 0.9 + 0.1 / n  # every guess is wrong
    measured = Measured(HOSTILE, np.arange(n), probabilities, HOSTILE)
    evaluation = Evaluation(
        measured,
        HOSTILE[:2],
        HOSTILE[0],
        HOSTILE[1],
        0.5,
        left_out=dict.fromkeys(HOSTILE, HOSTILE[1]),
        learning=TrainingHistory(
            correlation=correlation(HOSTILE, np.random.default_rng(0).standard_normal((n, n)))
        ),
    )
    write_report(evaluation, tmp_path / "report")
    page = strictly_parsed((tmp_path / "report" / PAGE).read_text(encoding="utf-8"))
    text = " ".join(page.words)
    for name in HOSTILE[:4]:
        assert name in text  # as words, not as markup
    assert "\x1b" not in text and "\\x1b[31mred" in text
    assert "\u202e" not in text and "caf\\xe9.mp3" in text
    told = json.loads((tmp_path / "report" / METRICS).read_text())
    assert tuple(told["left_out"]) == HOSTILE  # the very names, bytes that are no text included


@pytest.mark.parametrize(
    ("n", "n_labels", "curves"),
    [(1, 2, 20), (40, 37, 4), pytest.param(40, 37, 20, marks=pytest.mark.slow)],
)
def test_any_number_of_tracks_and_genres_can_be_drawn(tmp_path, monkeypatch, n, n_labels, curves):
    monkeypatch.setattr(plots, "GENRES_WITH_CURVES", curves)
    labels = tuple(f"Genre {i} with quite a long name" for i in range(n_labels))
    write_report(make_evaluation(n=n, labels=labels), tmp_path / "report")
    for picture in (tmp_path / "report").glob("*.png"):
        assert is_picture(picture.read_bytes())


def test_history_importance_and_correlation_where_there_are_some(tmp_path):
    history = [{"loss": 2.0, "val_loss": 2.1}, {"loss": 1.0, "val_loss": 1.5, "accuracy": 0.6}]
    (tmp_path / "history.csv").write_bytes(history_table(history))
    (tmp_path / "importance.csv").write_text(
        "feature,gain,permutation\n" + "".join(f"f{i},{0.1 * i},{0.01 * i}\n" for i in range(5))
    )
    values = np.random.default_rng(0).standard_normal((60, 5))
    values[:, 2] = 7.0  # the same for all tracks: correlates with nothing
    learning = read_history(make_card(tmp_path))
    assert learning.history == history
    assert learning.importance[4] == ("f4", 0.4, 0.04)
    together = correlation([f"f{i}" for i in range(5)], values, learning.importance)
    assert together.names == ("f4", "f3", "f1", "f0")
    (tmp_path / "correlation.csv").write_bytes(correlation_table(together))
    learning = read_history(make_card(tmp_path))
    np.testing.assert_allclose(learning.correlation.matrix, together.matrix, atol=1e-3)
    write_report(make_evaluation(learning=learning), tmp_path / "report")
    names = {p.stem for p in (tmp_path / "report").glob("*.png")}
    assert {"training", "importance", "correlation"} <= names
    page = strictly_parsed((tmp_path / "report" / PAGE).read_text(encoding="utf-8"))
    assert page.images == 9
    # A later report of another model does not keep them.
    write_report(make_evaluation(), tmp_path / "report")
    assert not (tmp_path / "report" / "training.png").exists()


def test_a_folder_of_something_else_holds_no_report(tmp_path):
    """Regression: a person's own training.png was deleted, and metrics.json overwritten."""
    (tmp_path / "training.png").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="is neither empty nor a report"):
        check_report(tmp_path)
    with pytest.raises(ConfigurationError, match="is a file"):
        check_report(tmp_path / "training.png")
    check_report(tmp_path / "new")
    write_report(make_evaluation(), tmp_path / "new")
    check_report(tmp_path / "new")


def test_what_is_not_known_of_features_is_not_drawn(tmp_path):
    rises = {"a": 0.1, "b": 0.3, "c": -0.01}
    worth = importance(("a", "b", "c", "d"), rises, {})
    assert [name for name, _, _ in worth] == ["b", "a", "c"]  # nothing is known of d
    (tmp_path / "importance.csv").write_bytes(importance_table(worth))
    learning = read_history(make_card(tmp_path))
    assert learning.importance[0][2] == 0.3 and np.isnan(learning.importance[0][1])
    one_panel = learning_pictures(learning)["importance.png"]
    two_panels = learning_pictures(TrainingHistory(importance=importance(("a", "b"), rises, rises)))
    assert width(one_panel) < width(two_panels["importance.png"])
    assert (
        importance(("a",), {}, {}) == [] and importance_table([]) == b"feature,gain,permutation\n"
    )
    nothing = [("a", float("nan"), float("nan"))]
    assert "importance.png" not in learning_pictures(TrainingHistory(importance=nothing))


def width(png: bytes) -> int:
    return int.from_bytes(png[16:20], "big")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\xff\xfe", b"feature,gain\na,b\n", b"epoch,loss\n1,high\n", b"a\n\x00\n"),
        # Regression: what cannot be drawn ended in a traceback.
        *(b"epoch\n1\n", b"loss,feature,gain,permutation\n1e308,a,-1e308,inf\n"),
        b"feature,a,b\na,1,1e300\nb,1e300,1\n",
    ],
)
def test_a_damaged_table_in_a_models_folder_is_done_without(tmp_path, content):
    for name in ("history.csv", "importance.csv", "correlation.csv"):
        (tmp_path / name).write_bytes(content)
    assert read_history(make_card(tmp_path)) == TrainingHistory([], [])


def test_a_table_that_links_to_itself_is_done_without(tmp_path):
    (tmp_path / "history.csv").symlink_to("history.csv")
    assert read_history(make_card(tmp_path)) == TrainingHistory([], [])


def test_a_table_outside_of_the_models_folder_is_not_read(tmp_path):
    (tmp_path / "secret.csv").write_text("epoch,loss\n1,2\n")
    model = tmp_path / "model"
    model.mkdir()
    (model / "history.csv").symlink_to(tmp_path / "secret.csv")
    assert read_history(make_card(model)).history == []


def test_a_page_escapes_whatever_it_is_given():
    for hostile in HOSTILE:
        page = Page(hostile)
        page.heading(hostile)
        page.paragraph(hostile, kind=hostile)
        page.tiles([(hostile, hostile, hostile)])
        page.table([hostile], [[hostile]])
        page.picture(b"png", alt=hostile, caption=hostile)
        assert strictly_parsed(page.html()).images == 1


def test_models_side_by_side_are_drawn():
    rows = [
        Measurement(name, protocol, share("accuracy", 10 + i, 20))
        for i, name in enumerate(HOSTILE[:4])
        for protocol in ("artist", "track-random")
    ]
    assert is_picture(plots.comparison(rows, "Recipes under several protocols"))
    assert is_picture(plots.comparison(rows[:1], "One"))


def a_page() -> str:
    page = Page("Models on a set with a long name")
    head = ["track", "it is", "the model says", "confidence", "in what it is", "average precision"]
    page.tiles([("accuracy", "25.0 %", "95 % interval 8.9 % to 53.2 %")])
    page.table(head, [["a long path/" * 9 + "a song.flac", "Classical", "Hip-Hop", 0.71, 0.02, 1]])
    return page.html()


def test_on_a_narrow_screen_each_cell_names_its_column() -> None:
    told = re.findall(r'<td[^>]* data-label="([^"]*)"', a_page())
    assert told[:3] == ["track", "it is", "the model says"] and len(told) == 6


@pytest.mark.parametrize("columns", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_fits_the_screen_and_is_dark_where_that_is_wished(
    tmp_path: Path, columns: int, dark: bool
) -> None:
    seen = seen_in_browser(a_page(), FITS, tmp_path, columns=columns, dark=dark)
    ground = "rgb(22, 22, 22)" if dark else "rgb(255, 255, 255)"
    assert seen == [columns, ground, []]
