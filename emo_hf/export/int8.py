"""An ONNX export with int8 weights: what stands beside a text, and in which order, changes nothing of its result.

Activations are rounded on scales that training texts decided once (Jacob et al. 2018), not on the largest value of the
batch that they happen to come in. Products of integers and their sums are exact.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoTokenizer

from emo_hf.data.text import clean
from emo_hf.inference.batches import TOKENS, Bins
from emo_hf.models.folders import ONNX_FILE

# Training texts that decide the scales, of all lengths: more of them change no label.
CALIBRATION = 512
# Weights of 7 bits: without VNNI, a processor adds two products of bytes in 16 bits, which those of 8 bits overflow.
_WEIGHT_STEPS, _ACTIVATION_STEPS, _ROW_STEPS = 63, 255, 127
_NARROW = 8  # columns of a table whose rows' scales would need as much room as is saved

_Range = tuple[float, float]


def quantize(source: Path, folder: Path, texts: Sequence[str], max_length: int) -> None:
    """The ONNX export in `source` with int8 weights, in `folder`.

    Args:
        source: folder of an ONNX export.
        folder: there already.
        texts: of the training set; some of them decide the scales of the activations.
        max_length: in tokens.
    """
    import onnx

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_bytes((source / "config.json").read_bytes())
    chosen = [clean(text) for text in texts[:: math.ceil(len(texts) / CALIBRATION)]]
    ids = tokenizer(chosen, truncation=True, max_length=max_length, return_token_type_ids=False)["input_ids"]
    ranges = _ranges(source / ONNX_FILE, ids)
    model = onnx.load(source / ONNX_FILE)
    _Rewritten(model.graph, ranges).replace()
    onnx.checker.check_model(model)
    onnx.save(model, folder / ONNX_FILE)


def _products(graph: Any) -> list[Any]:
    """The nodes that multiply activations by a matrix of weights."""
    stored = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 2}
    return [
        node
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm")
        and node.input[1] in stored
        and node.input[0] not in stored
        and all(_attributes(node).get(name, usual) == usual for name, usual in _PLAIN.items())
    ]


_PLAIN = {"transA": 0, "alpha": 1.0, "beta": 1.0}


def _attributes(node: Any) -> dict[str, Any]:
    import onnx

    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _ranges(path: Path, ids: Iterable[list[int]]) -> dict[str, _Range]:
    """The smallest and the largest value that each product's activations have with these texts."""
    import onnx
    import onnxruntime

    model = onnx.load(path, load_external_data=False)
    names = sorted({node.input[0] for node in _products(model.graph)})
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    watched = path.with_suffix(".watched.onnx")  # beside its weights, where they are a file of their own
    onnx.save(model, watched)
    found: dict[str, _Range] = dict.fromkeys(names, (0.0, 0.0))  # padding and dropped values are 0 everywhere
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(watched, options, providers=["CPUExecutionProvider"])
        bins = Bins(TOKENS)
        full = bins.add(list(ids))
        for _, batch in itertools.chain(full, bins.rest()):
            given = {"input_ids": batch, "attention_mask": np.ones_like(batch)}
            for name, values in zip(names, session.run(names, given), strict=True):
                low, high = found[name]
                found[name] = min(low, float(values.min())), max(high, float(values.max()))
    finally:
        watched.unlink()
    return found


class _Rewritten:
    """A graph whose products are made of integers, and whose tables hold bytes.

    Args:
        graph: changed by `replace`.
        ranges: of the activations of each product.
    """

    def __init__(self, graph: Any, ranges: Mapping[str, _Range]):
        import onnx

        self._onnx, self._graph, self._ranges = onnx, graph, ranges
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._nodes: list[Any] = []
        self._done: dict[str, tuple[str, ...]] = {}

    def replace(self) -> None:
        """Do it, and leave out what nothing uses any more."""
        products = {node.output[0] for node in _products(self._graph)}
        for node in self._graph.node:
            if node.op_type in ("MatMul", "Gemm") and node.output[0] in products:
                (self._layer if node.op_type == "MatMul" else self._head)(node)
            elif not (node.op_type == "Gather" and self._look_up(node)):
                self._nodes.append(node)
        used = {name for node in self._nodes for name in node.input}
        kept = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.node[:], self._graph.initializer[:]
        self._graph.node.extend(self._nodes)
        self._graph.initializer.extend(kept)

    def _layer(self, node: Any) -> None:
        """A product over every token: in the form that onnxruntime makes one step of."""
        activations, scale, zero = self._activations(node.input[0])
        weights, scales, zeros = self._weights(node.input[1], turned=False)
        inputs = []
        for name, given, settings in (
            (activations, [activations, scale, zero], {}),
            (weights, [weights, scales, zeros], {"axis": 1}),
        ):
            inputs.append(f"{name}_{node.output[0]}")
            self._add("DequantizeLinear", given, inputs[-1], **settings)
        self._add("MatMul", inputs, node.output[0])

    def _head(self, node: Any) -> None:
        """A product over texts, as a product of integers: onnxruntime would turn the other form into one of floats."""
        activations, scale, zero = self._activations(node.input[0])
        weights, scales, _ = self._weights(node.input[1], turned=bool(_attributes(node).get("transB")))
        name = node.output[0]
        both = self._store(f"{name}_both_scales", self._value(scale) * self._value(scales))
        self._add("MatMulInteger", [activations, weights, zero], f"{name}_whole")
        self._add("Cast", [f"{name}_whole"], f"{name}_float", to=self._onnx.TensorProto.FLOAT)
        with_bias = len(node.input) > 2
        self._add("Mul", [f"{name}_float", both], f"{name}_product" if with_bias else name)
        if with_bias:
            self._add("Add", [f"{name}_product", node.input[2]], name)

    def _look_up(self, node: Any) -> bool:
        """The rows of a table of floats, each with a scale of its own; False where it is none."""
        tensor = self._stored.get(node.input[0])
        if tensor is None or tensor.data_type != self._onnx.TensorProto.FLOAT or len(tensor.dims) != 2:
            return False
        if tensor.dims[1] < _NARROW or _attributes(node).get("axis", 0) != 0:
            return False
        table, out = node.input[0], node.output[0]
        if table not in self._done:
            values = self._value(table)
            steps = _scales(np.abs(values).max(1, keepdims=True), _ROW_STEPS)
            whole = np.rint(values / steps).astype(np.int8)
            self._done[table] = self._store(f"{table}_table_bytes", whole), self._store(f"{table}_table_scales", steps)
        rows, scales = self._done[table]
        self._add("Gather", [rows, node.input[1]], f"{out}_row_bytes")
        self._add("Gather", [scales, node.input[1]], f"{out}_row_scales")
        self._add("Cast", [f"{out}_row_bytes"], f"{out}_row_float", to=self._onnx.TensorProto.FLOAT)
        self._add("Mul", [f"{out}_row_float", f"{out}_row_scales"], out)
        return True

    def _activations(self, name: str) -> tuple[str, ...]:
        """A tensor in bytes, its scale and its zero; once for all products of it."""
        if name not in self._done:
            low, high = self._ranges[name]
            step = np.float32((high - low) / _ACTIVATION_STEPS or 1)
            scale = self._store(f"{name}_step", np.array(step))
            zero = self._store(f"{name}_zero", np.array(np.rint(-low / step), dtype=np.uint8))
            self._add("QuantizeLinear", [name, scale, zero], f"{name}_in_steps")
            self._done[name] = f"{name}_in_steps", scale, zero
        return self._done[name]

    def _weights(self, name: str, *, turned: bool) -> tuple[str, ...]:
        """A matrix (in, out) in bytes, a scale a column, and their zeros; `turned`: it is stored as (out, in)."""
        key = f"{name}_turned" if turned else name
        if key not in self._done:
            values = self._value(name).T if turned else self._value(name)
            scales = _scales(np.abs(values).max(0), _WEIGHT_STEPS)
            self._done[key] = (
                self._store(f"{key}_weight_bytes", np.rint(values / scales).astype(np.int8)),
                self._store(f"{key}_weight_scales", scales),
                self._store(f"{key}_weight_zeros", np.zeros(len(scales), dtype=np.int8)),
            )
        return self._done[key]

    def _value(self, name: str) -> np.ndarray:
        found: np.ndarray = self._onnx.numpy_helper.to_array(self._stored[name])
        return found

    def _store(self, name: str, values: np.ndarray) -> str:
        tensor = self._onnx.numpy_helper.from_array(np.ascontiguousarray(values).reshape(values.shape), name)
        self._stored[name] = tensor
        self._graph.initializer.append(tensor)
        return name

    def _add(self, kind: str, inputs: Sequence[str], output: str, **settings: Any) -> None:
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [output], **settings))


def _scales(largest: np.ndarray, steps: int) -> np.ndarray:
    """What a step is worth; 1 where all values are 0."""
    found: np.ndarray = np.where(largest > 0, largest / steps, 1).astype(np.float32)
    return found
