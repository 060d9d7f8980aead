"""Reads and validates XGBoost's `.ubj` files: a model may come from a stranger."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_COUNTS = {
    ord(marker): struct.Struct(f">{code}")
    for marker, code in {"i": "b", "U": "B", "I": "h", "l": "i", "L": "q"}.items()
}
_NUMBERS = {**_COUNTS, ord("d"): struct.Struct(">f"), ord("D"): struct.Struct(">d")}
_DEEPEST = 12  # levels; XGBoost's own files have seven
_PER_NODE = (
    *("base_weights", "default_left", "left_children", "loss_changes", "parents"),
    *("right_children", "split_conditions", "split_indices", "split_type", "sum_hessian"),
)


def read_trees(content: bytes, n_features: int) -> dict[str, Any]:
    """XGBoost's description of a learner, checked so that its trees can safely be evaluated.

    Parameters
    ----------
    content : bytes
        A `.ubj` file: a tree, or a forest of them, a class and round; objective `multi:softprob`.
    n_features : int
        Number of inputs of the trees.

    Raises
    ------
    ValueError
        Where the file is damaged, or uses what gtag does not support.
    """
    try:
        learner: dict[str, Any] = parse(content)["learner"]
        _check(learner, n_features)
        return learner
    except (
        KeyError,
        TypeError,
        IndexError,
        UnicodeDecodeError,
        struct.error,
        OverflowError,
    ) as error:
        raise ValueError("damaged, or not trees") from error


def parse(content: bytes) -> Any:
    """Return the value that a UBJSON document stands for; arrays of one type of number as
    np.ndarray.

    Raises
    ------
    ValueError, IndexError, struct.error
        Where it is not well-formed, or goes on after its end.
    """
    reader = _Reader(content)
    value = reader.value(reader.marker(), 0)
    if reader.position != len(content):
        raise ValueError("data after the end")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def marker(self) -> int:
        """Return the next byte, as a number."""
        self.position += 1
        return self._content[self.position - 1]

    def _number(self, kind: struct.Struct) -> Any:
        (number,) = kind.unpack_from(self._content, self.position)
        self.position += kind.size
        return number

    def _take(self, n: int) -> bytes:
        if n < 0 or n > len(self._content) - self.position:
            raise ValueError("cut short")
        self.position += n
        return self._content[self.position - n : self.position]

    def value(self, marker: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if marker in _NUMBERS:
            return self._number(_NUMBERS[marker])
        match chr(marker):
            case "S":
                return self._text()
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case "T" | "F":
                return marker == ord("T")
            case "Z":
                return None
        raise ValueError("not valid UBJSON")

    def _text(self) -> str:
        return self._take(self._count()).decode()

    def _count(self) -> int:
        kind = _COUNTS.get(self.marker())
        if kind is None:
            raise ValueError("not valid UBJSON")
        count: int = self._number(kind)
        return count

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while self._content[self.position] != ord("}"):
            key = self._text()
            if key in members:  # which of them would XGBoost believe?
                raise ValueError(f"{key!r} is there twice")
            members[key] = self.value(self.marker(), depth + 1)
        self.position += 1
        return members

    def _array(self, depth: int) -> Any:
        if self._content[self.position] == ord("$"):
            _, marker, sign = self.marker(), self.marker(), self.marker()
            if sign != ord("#") or marker not in _NUMBERS:
                raise ValueError("not valid UBJSON")
            kind = np.dtype(_NUMBERS[marker].format)
            return np.frombuffer(self._take(self._count() * kind.itemsize), kind)
        if self._content[self.position] == ord("#"):  # XGBoost's own counted arrays
            self.position += 1
            return [self.value(self.marker(), depth + 1) for _ in range(self._count())]
        items = []
        while self._content[self.position] != ord("]"):
            items.append(self.value(self.marker(), depth + 1))
        self.position += 1
        return items


def _check(learner: dict[str, Any], n_features: int) -> None:
    """Refuse a learner whose parts do not fit together."""

    def need(condition: object, what: str) -> None:
        if not condition:
            raise ValueError(what)

    def numbers(array: Any, length: int, kinds: str = "iu") -> np.ndarray:
        array = np.array(array)
        need(array.shape == (length,), "arrays of other lengths")
        need(array.dtype.kind in kinds, "arrays of other types")
        return array

    objective, booster = learner["objective"], learner["gradient_booster"]
    need(objective["name"] == "multi:softprob", f"the objective is {objective['name']!r}")
    need(booster["name"] == "gbtree", f"the booster is {booster['name']!r}")
    n_classes = int(learner["learner_model_param"]["num_class"])
    need(2 <= n_classes <= 1000, f"there are {n_classes} classes")
    need(int(objective["softmax_multiclass_param"]["num_class"]) == n_classes, "numbers of classes")
    inputs = int(learner["learner_model_param"]["num_feature"])
    need(inputs == n_features, f"{inputs} inputs for {n_features} features")
    need(learner["learner_model_param"]["num_target"] == "1", "more targets than one")
    base_score = str(learner["learner_model_param"]["base_score"]).strip("[]").split(",")
    need(len(base_score) in (1, n_classes), "base scores for other classes")
    need(np.isfinite([float(score) for score in base_score]).all(), "base scores")

    model = booster["model"]
    trees, parameters = model["trees"], model["gbtree_model_param"]
    together = int(parameters["num_parallel_tree"])  # trees a class and round: 1, or a forest
    need(1 <= together <= 10_000, f"forests of {together} trees")
    need(int(parameters["num_trees"]) == len(trees), "another number of trees")
    need(not any(len(v) for v in model.get("cats", {}).values()), "categories")
    classes = numbers(model["tree_info"], len(trees))
    a_round = n_classes * together
    rounds = numbers(model["iteration_indptr"], len(trees) // a_round + 1)
    in_order = np.arange(len(trees)) // together % n_classes
    need((classes == in_order).all(), "trees in another order")
    need((rounds == a_round * np.arange(len(rounds))).all(), "rounds of other sizes")
    need(rounds[-1] == len(trees), "trees outside of rounds")
    for number, tree in enumerate(trees):
        parameters = tree["tree_param"]
        n = int(parameters["num_nodes"])
        need(n >= 1 and int(tree["id"]) == number, "a tree without nodes, or out of place")
        need(parameters["size_leaf_vector"] in ("0", "1"), "leaves with vectors")
        need(parameters["num_deleted"] == "0", "deleted nodes")
        need(int(parameters["num_feature"]) == n_features, "a tree for other features")
        nodes = {key: numbers(tree[key], n, "iuf") for key in _PER_NODE}
        need(not any(len(tree[k]) for k in tree if k.startswith("categories")), "categories")
        need((nodes["split_type"] == 0).all(), "categories")
        need(np.isfinite(nodes["split_conditions"]).all(), "values that are no numbers")
        left, right = nodes["left_children"], nodes["right_children"]
        need(left.dtype.kind == right.dtype.kind == "i", "arrays of other types")
        inner = left != -1
        need((inner == (right != -1)).all(), "a node with one child")
        # Children stand after their parents: every way down ends.
        place = np.arange(n)
        for child in (left, right):
            need((child[inner] > place[inner]).all() and (child < n).all(), "a child out of place")
        split = nodes["split_indices"]
        need(split.dtype.kind in "iu" and (split >= 0).all(), "a negative feature")
        need((split < n_features).all(), "a feature that is not there")
        parents = nodes["parents"]
        need(parents.dtype.kind == "i", "arrays of other types")
        need(((parents < n) | (parents == 2**31 - 1)).all() and (parents >= -1).all(), "parents")
