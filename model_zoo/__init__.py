"""The bundled models: one folder a model, `card.toml` and weights. Written only by
`training/publish.py`; read only by `tagger/models/zoo.py`."""
