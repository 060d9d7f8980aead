"""Exports a trained network as ONNX, for other programs:

    python -m tagger.training.onnx_export MODEL FILE.onnx

MODEL is a model's name or folder; inputs and outputs are named as in its weights' signature.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tagger.models import zoo
from tagger.models.card import Card
from tagger.storage.durable_io import write_whole
from tagger.system.errors import ConfigurationError
from tagger.system.extras import need
from tagger.training.recipes.keras_start import start_keras
from tagger.training.reporter import Tool

OPERATORS = 17  # version of ONNX' set


def export(card: Card, file: Path) -> None:
    """Write the network of a model as ONNX.

    Raises
    ------
    ConfigurationError
        Where it is no network.
    """
    need("the export to ONNX", "tf2onnx", "tensorflow", "keras")
    weights = str(card.data.get("weights", {}).get("file", ""))
    if not weights.endswith(".tflite"):
        raise ConfigurationError(f"{card.tag} is no network: there is nothing to export as ONNX")
    start_keras()
    import tf2onnx
    from ai_edge_litert.interpreter import Interpreter

    content = card.weights()
    runner = Interpreter(model_content=content).get_signature_runner()
    named = {
        details["name"]: name
        for each in (runner.get_input_details(), runner.get_output_details())
        for name, details in each.items()
    }
    with TemporaryDirectory() as scratch:
        network = Path(scratch) / "network.tflite"
        network.write_bytes(content)
        model, _ = tf2onnx.convert.from_tflite(str(network), opset=OPERATORS)
    graph = model.graph
    for node in graph.node:
        node.input[:] = [named.get(name, name) for name in node.input]
        node.output[:] = [named.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = named.get(value.name, value.name)
    write_whole(file, model.SerializeToString())


@click.command(cls=Tool)
@click.argument("model")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def main(model: str, file: Path) -> None:
    """Write the network of MODEL, a name or a folder, to FILE as ONNX."""
    export(zoo.find(model), file)
    click.echo(f"{model} is in {file}")


if __name__ == "__main__":
    main()
