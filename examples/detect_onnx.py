"""Detect objects with an exported model and ONNX Runtime alone, without mmroad and PyTorch.

pip install onnxruntime pillow
python examples/detect_onnx.py faster.onnx street.jpg 0.3
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image


def main(path: str, picture: str, threshold: float = 0.3) -> None:
    session = onnxruntime.InferenceSession(path, providers=onnxruntime.get_available_providers())
    about = session.get_modelmeta().custom_metadata_map
    classes, size = json.loads(about['classes']), json.loads(about['size'])
    image = Image.open(picture).convert('RGB')
    scale = np.ones(4, np.float32)
    if size is not None:  # a file of one size: [height, width]
        scale = np.float32([image.width / size[1], image.height / size[0]] * 2)
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {'images': np.asarray(image)[None]})))
    for box, score, label in zip(found['boxes'][0] * scale, found['scores'][0], found['labels'][0]):
        if score >= threshold:
            print(f'{classes[label]} {score:.4f}', *(f'{x:.2f}' for x in box))


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:]))
