"""gtag listens to music files and writes genre and confidence into their tags.

`tagger.training` and `tagger.model_zoo` lie inside an installed gtag. In a checkout they lie beside
`tagger`; two symbolic links show them to type checkers, and where git makes no links (Windows),
`__path__` leads there.
"""

import os.path

if not os.path.isdir(os.path.join(__path__[0], "training")):  # noqa: PTH112, PTH118
    __path__.append(os.path.dirname(__path__[0]))  # noqa: PTH120
