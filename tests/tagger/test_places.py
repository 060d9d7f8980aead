"""Where gtag's own files lie, on platforms that these tests do not run on, too."""

from __future__ import annotations

import platformdirs
import pytest
from platformdirs.macos import MacOS
from platformdirs.windows import Windows

from tagger.journal.journal import default_journal_path
from tagger.models import zoo


@pytest.mark.parametrize("platform", [Windows, MacOS])
def test_models_and_journal_lie_in_one_folder_gtag(monkeypatch, platform):
    monkeypatch.setattr(platformdirs, "PlatformDirs", platform)
    # The one call that only Windows itself can answer.
    monkeypatch.setattr("platformdirs.windows.get_win_folder", lambda name: "/Users/ada/Local")
    models, journal = zoo.user_folder(), default_journal_path()
    assert models.name == "models" and models.parent.name == "gtag"
    assert models.parents[1].name != "gtag"
    assert journal.parent == models.parent
