"""Where gtag's own files lie, on platforms that these tests do not run on, too."""

from __future__ import annotations

import os
import subprocess
import sys

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


WITHOUT_PASSWD = """
import pwd, sys

def unknown(uid):
    raise KeyError(uid)

pwd.getpwuid = unknown
from tagger.cli import main
sys.argv[0] = "gtag"
main()
"""


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the system knows every home there")
def test_without_a_home_it_says_so_and_goes_on_with_what_it_is_given(make_audio, tmp_path):
    """Regression: "this is a bug in gtag"."""
    piece = make_audio(".flac")
    known = {n: v for n, v in os.environ.items() if n != "HOME" and not n.startswith("XDG_")}

    def gtag(*arguments, **more):
        ran = subprocess.run(
            [sys.executable, "-c", WITHOUT_PASSWD, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=known | more,
            cwd=tmp_path,
            check=False,
        )
        assert "bug" not in ran.stderr and "Traceback" not in ran.stderr, ran.stderr
        assert not (tmp_path / "~").exists()
        return ran

    scan = ("scan", piece, "--jobs", "1", "--min-confidence", "0")
    assert gtag(*scan).returncode == 0
    refused = gtag(*scan, "--write-tags")
    assert refused.returncode == 2
    assert "no home folder" in refused.stderr and "XDG_STATE_HOME" in refused.stderr
    for command in (("undo",), ("config", "path"), ("cache", "info"), ("config", "init")):
        assert gtag(*command).returncode == 2, command
    assert gtag("models").returncode == 0
    assert gtag("doctor").returncode == 1
    journal = ("--journal", tmp_path / "journal")
    assert "written" in gtag(*scan, "--write-tags", *journal).stdout
    assert gtag("undo", *journal).returncode == 0
    again = gtag(*scan, "--write-tags", "--min-age", "0", XDG_STATE_HOME=str(tmp_path / "state"))
    assert "written" in again.stdout, again.stderr
