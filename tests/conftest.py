"""What all tests share: sound that gtag composes itself, and the shared data, if there is some.

Every run tries the same things. With GTAG_TEST_SEED=N the random ones are others, and so are those
of Hypothesis with --hypothesis-seed=N: `.ci/slow` does both.
"""

from __future__ import annotations

import hashlib
import os

# librosa, to which sound is compared, compiles itself by numba for the processor that it finds; on
# some, what it makes crashes. Before anything imports numba:
os.environ["NUMBA_CPU_NAME"] = "generic"
# The tests run on all cores as it is: a library's second thread would only wait for its turn.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tagger.containers import bounds
from tagger.sound import demo

SEED = int(os.environ.get("GTAG_TEST_SEED", "0"))
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes depends on how busy the machine is.
    same = config.getoption("--hypothesis-seed", None) is None
    hypothesis.settings.register_profile("ours", derandomize=same, deadline=None)
    hypothesis.settings.load_profile("ours")


def aged(path: Path, *, by_s: float = 3600.0) -> Path:
    """The same file, last changed a while ago: one that nobody writes any more."""
    then = time.time() - by_s
    os.utime(path, (then, then))
    return path


def open_to_others(folder: Path) -> None:
    """Let other users into a temporary folder: those of tests are closed to them."""
    temporary = Path(tempfile.gettempdir()).resolve()
    for above in (folder.resolve(), *folder.resolve().parents):
        if above.is_relative_to(temporary) and (mode := above.stat().st_mode) | 0o055 != mode:
            above.chmod(mode | 0o055)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test heard, no other one remembers; nor does it go by a person's settings."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path_factory.mktemp("home")))


@pytest.fixture(autouse=True)
def _time_for_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may hold a test up for longer than a disk ever does."""
    monkeypatch.setattr(bounds, "DEADLINE_S", 3600.0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data that is no part of the project (mark such tests `shared_data`)."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def _encoded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Encode each thing once a session."""
    folder = tmp_path_factory.mktemp("encoded")

    def encoded(suffix: str, duration_s: float, style: str, seed: int, **encoding: Any) -> Path:
        key = repr((suffix, duration_s, style, seed, sorted(encoding.items())))
        file = folder / (hashlib.sha256(key.encode()).hexdigest()[:16] + suffix)
        if not file.exists():
            rate = encoding.get("rate", demo.RATE)  # other rates play it faster or slower
            samples = demo.compose(style, seed, duration_s * rate / demo.RATE)
            demo.encode(samples, file, **encoding)
        return file

    return encoded


@pytest.fixture
def make_audio(tmp_path: Path, _encoded: Callable[..., Path]) -> Callable[..., Path]:
    """A fresh copy of a synthetic piece, without tags.

    `make_audio(".mp3")` → a path in `tmp_path`; `make_audio(".m4a", codec="alac", name="a.m4a")`.
    It is an hour old, since gtag leaves alone what changed just now.
    Other keywords (`rate`, `channels`, `container`, `codec`, `bit_rate`, `options`) go to
    `tagger.sound.demo.encode`.
    """

    def make(
        suffix: str = ".flac",
        *,
        duration_s: float = 3.0,
        style: str = "disco",
        seed: int = 0,
        name: str | Path | None = None,
        **encoding: Any,
    ) -> Path:
        source = _encoded(suffix, duration_s, style, seed, **encoding)
        if name is None:
            number = sum(1 for _ in tmp_path.iterdir())
            name = f"piece{number}{suffix}"
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return aged(Path(shutil.copyfile(source, target)))

    return make
