"""Runs `make` as `python -m tagger.training.bundled`."""

from tagger.training.bundled.make import main

main()
