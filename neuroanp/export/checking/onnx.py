"""Run model.onnx in onnxruntime; inputs are (T, B, I), any T and B."""

# pyright: reportMissingImports=false

import numpy as np


def run(stimulus):
    """Return every output of the graph by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])
    kind = np.float64 if session.get_inputs()[0].type == "tensor(double)" else np.float32
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {name: array.astype(kind) for name, array in stimulus.items()})
    return {name: np.asarray(array, np.float64) for name, array in zip(names, found, strict=True)}


READERS = {"onnxruntime": (("onnxruntime",), "pip install onnxruntime", run)}
