"""The table of the containers that gtag tags or decodes.

An extension is a claim, the content is a fact: `recognise` looks at that.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from os import PathLike
from typing import Any


@dataclass(frozen=True)
class Format:
    """A container: its name for people, its tag family, and the mutagen class that reads its tags.

    Attributes
    ----------
    name : str
    family : str
        How its main tag is written: "id3", "vorbis", "mp4", "asf" or "ape"; empty where gtag
        decodes the container, but writes no tags into it.
    mutagen_class : str
        Dotted name of a `mutagen.FileType` that reads the tags; where there is a choice, one that
        leaves the stream alone: mutagen can loop for ever over a damaged Musepack header.
        mutagen is imported only where a file is opened with it.
    """

    name: str
    family: str = ""
    mutagen_class: str = ""

    @property
    def is_tagged(self) -> bool:
        """Whether gtag reads and writes its tags."""
        return bool(self.family)

    def open_with_mutagen(self, file: Any) -> Any:
        """Return a `mutagen.FileType` of the path or file object; raises `mutagen.MutagenError`."""
        module, _, name = self.mutagen_class.rpartition(".")
        return getattr(importlib.import_module(module), name)(file)


MP3 = Format("MP3", "id3", "mutagen.id3.ID3FileType")
FLAC = Format("FLAC", "vorbis", "mutagen.flac.FLAC")
OGG_VORBIS = Format("Ogg Vorbis", "vorbis", "mutagen.oggvorbis.OggVorbis")
OPUS = Format("Opus", "vorbis", "mutagen.oggopus.OggOpus")
OGG_FLAC = Format("Ogg FLAC", "vorbis", "mutagen.oggflac.OggFLAC")
SPEEX = Format("Speex", "vorbis", "mutagen.oggspeex.OggSpeex")
MP4 = Format("MP4", "mp4", "mutagen.mp4.MP4")
ASF = Format("ASF", "asf", "mutagen.asf.ASF")
WAV = Format("WAV", "id3", "mutagen.wave.WAVE")
AIFF = Format("AIFF", "id3", "mutagen.aiff.AIFF")
APE = Format("Monkey's Audio", "ape", "mutagen.apev2.APEv2File")
WAVPACK = Format("WavPack", "ape", "mutagen.apev2.APEv2File")
MUSEPACK = Format("Musepack", "ape", "mutagen.apev2.APEv2File")
TTA = Format("TTA", "id3", "mutagen.id3.ID3FileType")
DSF = Format("DSF", "id3", "mutagen.dsf.DSF")

FORMATS = (
    MP3, FLAC, OGG_VORBIS, OPUS, OGG_FLAC, SPEEX, MP4, ASF,
    WAV, AIFF, APE, WAVPACK, MUSEPACK, TTA, DSF,
)  # fmt: skip

# Decoded, but not tagged: the container holds no tags, or no maintained library writes them.
AAC = Format("AAC without a container")
AC3 = Format("AC-3")
AMR = Format("AMR")
AU = Format("AU")
CAF = Format("CAF")
DFF = Format("DSDIFF")
DTS = Format("DTS")
MATROSKA = Format("Matroska")
OMA = Format("OpenMG")
REAL = Format("RealAudio")
RF64 = Format("RF64")
SHORTEN = Format("Shorten")
TAK = Format("TAK")
W64 = Format("Wave64")
WEBM = Format("WebM")

# Extensions that promise sound and nothing else: a file with such a name that `identify` does not
# know is reported, any other is only counted. `.mp4`, `.asf`, `.mov`, `.mkv`, `.webm`, `.rm` are as
# often films.
AUDIO_EXTENSIONS = frozenset(
    {".mp3", ".flac", ".fla", ".ogg", ".oga", ".opus", ".spx", ".m4a", ".m4b", ".m4p", ".m4r"}
    | {".wma", ".wav", ".wave", ".aif", ".aiff", ".aifc", ".ape", ".wv", ".mpc", ".mp+", ".mpp"}
    | {".tta", ".dsf", ".mp2", ".m2a", ".mpa", ".mpga", ".aac", ".mka", ".ac3", ".eac3", ".dts"}
    | {".dtshd", ".caf", ".au", ".snd", ".w64", ".rf64", ".ra", ".amr", ".awb", ".dff", ".oma"}
    | {".aa3", ".shn", ".tak", ".ofr", ".ofs"}
)


def has_audio_extension(path: str | PathLike[str]) -> bool:
    """Tell whether the name promises a container of the table."""
    return os.path.splitext(os.fspath(path))[1].lower() in AUDIO_EXTENSIONS  # noqa: PTH122
