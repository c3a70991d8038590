"""Files in 8-bit integers: post-training quantization by ONNX Runtime, with calibration images."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ..files import replacing
from ..files.sources import open_source
from .packages import need
from .session import metadata_of

#: What is quantized: convolutions and the fully connected layers of box heads.
OPERATORS = ('Conv', 'Gemm')


def quantize(path: str | Path, out: str | Path, images: Iterable[np.ndarray]) -> None:
    """Write a float32 file in 8 bits: weights by channel, maps by the least and largest value that calibration images
    give (quantize-dequantize pairs, which other runtimes read too). Decoding and suppression stay in float32.

    Args:
        path: A file of `mmroad.export.write.export`.
        out: The new file; may not be the old.
        images: RGB uint8 (H, W, 3), such as the model will see; of the file's size where that is fixed. A hundred do.

    Raises:
        ImportError: onnx or onnxruntime is not installed.
        ValueError: No images.
    """
    need('onnx', 'onnxruntime')
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    if Path(out).exists() and os.path.samefile(path, out):
        raise ValueError(f'{out} would replace the file that is quantized: give another')

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.count, self._images = 0, iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._images, None)
            if image is None:
                return None
            self.count += 1
            return dict(images=np.ascontiguousarray(image)[None])

    about, reader = metadata_of(path), Reader()
    logging.disable(logging.WARNING)  # it advises a preprocessing that exported files have had
    try:
        with replacing(out) as part:
            quantize_static(
                str(path), str(part), reader, quant_format=QuantFormat.QDQ, op_types_to_quantize=list(OPERATORS),
                per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                extra_options=dict(CalibMovingAverage=False),
            )  # fmt: skip
            file = onnx.load(str(part))
            del file.metadata_props[:]
            for key, value in {**about, 'precision': 'int8', 'calibration': f'{reader.count} images'}.items():
                file.metadata_props.add(key=key, value=value)
            file.producer_name = 'mmroad'
            onnx.save(file, str(part))
    except ValueError as error:
        if reader.count == 0:
            raise ValueError(
                'no calibration image: give images like those that the model will see'
            ) from error
        raise
    finally:
        logging.disable(logging.NOTSET)


def images_of(source: str | Path, size: tuple[int, int] | None, most: int) -> Iterator[np.ndarray]:
    """At most ``most`` images of a file, folder, glob or video, RGB; brought to a size where one is given."""
    import cv2

    for number, (_, _, image) in enumerate(open_source(source).frames()):
        if number >= most:
            return
        if size is not None and image.shape[:2] != tuple(size):
            image = cv2.resize(image, tuple(size)[::-1])
        yield np.ascontiguousarray(image[..., ::-1])
