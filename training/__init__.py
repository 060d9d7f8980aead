"""Builds and evaluates the models that `tagger` runs. Imports `tagger`; never the other way."""
