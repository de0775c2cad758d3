#!/usr/bin/env bash
# The label that a dynamically quantized ONNX model gives a text changes with the texts that stand beside it in the batch.
#
# Libraries: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, on a CPU.
# Input: one linear layer of 64 × 3 with random weights, quantized by quantize_dynamic to 8 bits, one scale for the weights
#   or one a column; 1,000 random rows of different size, asked for one at a time, all in one batch, each beside one row of
#   large values.
# Guess: "dynamic" has a scale for each row, as other libraries of 8-bit products do, so that a row's answer is its own; at
#   least per_channel=True does so.
# Seen: DynamicQuantizeLinear takes one scale from the whole tensor, all rows and all columns. Asked for twice alone, a row
#   gives the same bits; in a batch dozens of 1,000 labels change, beside a row of large values more than in their plain
#   company. per_channel is about the weights and changes nothing of that. A score measured in batches is not that of a
#   service that gets one text at a time.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"

cat > see.py <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

rng = np.random.default_rng(0)
weight = rng.standard_normal((64, 3)).astype(np.float32)
texts = rng.standard_normal((1000, 64)).astype(np.float32)
texts *= rng.uniform(0.05, 1.0, (1000, 1)).astype(np.float32)

rows = onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, ["batch", 64])
logits = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 3])
node = onnx.helper.make_node("MatMul", ["rows", "weight"], ["logits"])
graph = onnx.helper.make_graph([node], "head", [rows], [logits], [onnx.numpy_helper.from_array(weight, "weight")])
onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), "fp32.onnx")
for per_channel in (False, True):
    quantize_dynamic("fp32.onnx", "int8.onnx", weight_type=QuantType.QInt8, per_channel=per_channel)
    session = onnxruntime.InferenceSession("int8.onnx", providers=["CPUExecutionProvider"])

    def answers(batch: np.ndarray) -> np.ndarray:
        return session.run(None, {"rows": batch})[0]

    alone = np.concatenate([answers(row[None]) for row in texts])
    again = np.concatenate([answers(row[None]) for row in texts])
    company = answers(texts)
    loud = np.concatenate([answers(np.stack([row, np.full(64, 20, np.float32)]))[:1] for row in texts])
    changed = [int((got.argmax(1) != alone.argmax(1)).sum()) for got in (again, company, loud)]
    print(f"per_channel={per_channel}: alone again {'same bits' if np.array_equal(alone, again) else 'other bits'};",
          f"labels changed in company: {changed[1] > 5}, more of them beside a loud row: {changed[2] > changed[1]}")
PYTHON

expected="per_channel=False: alone again same bits; labels changed in company: True, more of them beside a loud row: True
per_channel=True: alone again same bits; labels changed in company: True, more of them beside a loud row: True"
seen="$(venv/bin/python see.py 2> errors.txt)" || { cat errors.txt >&2; exit 1; }
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; before it was:"; echo "$expected"; exit 1; }
