from __future__ import annotations

from tagger.library import Library
from tagger.listen import listen


def test_a_file_that_is_not_recognised_says_why(tmp_path):
    (tmp_path / "a broken link.mp3").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("no music")
    heard = [listen("any model", track) for track in Library([str(tmp_path)])]
    assert [one.error.message for one in heard] == [
        "No such file or directory",
        "empty file",
        "holds no sound format that gtag knows",
    ]
    assert all(one.prediction is None for one in heard)
