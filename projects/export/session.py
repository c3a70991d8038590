"""Running ONNX files with ONNX Runtime, or with OpenVINO where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .packages import need

#: Providers of ONNX Runtime, the first that is there is taken, by the kind of a device.
PROVIDERS = {
    'cuda': ('CUDAExecutionProvider',),
    'tensorrt': ('TensorrtExecutionProvider', 'CUDAExecutionProvider'),
    'cpu': ('CPUExecutionProvider',),
}


class Session(Protocol):
    """An opened file: images (B, H, W, 3) uint8 RGB to its outputs, in the order of ``names``."""

    names: list[str]
    metadata: dict[str, str]

    def __call__(self, images: np.ndarray) -> list[np.ndarray]: ...


class RuntimeSession:
    """A file in ONNX Runtime; see `open_session`."""

    def __init__(self, path: str | Path, device: str = 'cpu', threads: int | None = None) -> None:
        need('onnxruntime')
        import onnxruntime

        kind = device.partition(':')[0]
        wanted = PROVIDERS.get(kind)
        if wanted is None:
            raise ValueError(f'device {device!r}: ONNX Runtime here knows {", ".join(PROVIDERS)}')
        there = onnxruntime.get_available_providers()
        if wanted[0] not in there:
            raise ValueError(
                f'device {device!r}: this ONNX Runtime has no {wanted[0]} (it has {", ".join(there)}): '
                'install onnxruntime-gpu'
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        number = device.partition(':')[2]
        places = [(p, dict(device_id=number)) if number and kind != 'cpu' else p for p in wanted]
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=[*places, *(['CPUExecutionProvider'] if kind != 'cpu' else [])]
            )
        except Exception as error:  # its errors have no class of their own
            raise ValueError(f'{path}: ONNX Runtime cannot open it: {str(error).splitlines()[0]}') from error
        self.names = [output.name for output in self._session.get_outputs()]
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        return self._session.run(None, {'images': images})


class OpenVINOSession:
    """A file in OpenVINO; see `open_session`."""

    def __init__(self, path: str | Path, threads: int | None = None, precision: str | None = None) -> None:
        need('openvino')
        import openvino

        config: dict[str, Any] = {'INFERENCE_PRECISION_HINT': {'bfloat16': 'bf16'}.get(precision, 'f32')}
        if threads is not None:
            config['INFERENCE_NUM_THREADS'] = threads
        core = openvino.Core()
        try:
            self._model = core.compile_model(core.read_model(str(path)), 'CPU', config)
        except RuntimeError as error:
            raise ValueError(f'{path}: OpenVINO cannot open it: {str(error).splitlines()[-1]}') from error
        self.names = [next(iter(output.names)) for output in self._model.outputs]
        self.metadata = metadata_of(path)

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        found = self._model(images)
        return [found[output] for output in self._model.outputs]


def metadata_of(path: str | Path) -> dict[str, str]:
    """A file's metadata, by their names."""
    need('onnx')
    import onnx

    file = onnx.load(str(path), load_external_data=False)
    return {entry.key: entry.value for entry in file.metadata_props}


def open_session(
    path: str | Path,
    runtime: str = 'onnxruntime',
    device: str = 'cpu',
    threads: int | None = None,
    precision: str | None = None,
) -> Session:
    """Open an ONNX file.

    Args:
        path: The file.
        runtime: ``onnxruntime`` or ``openvino``.
        device: ``cpu``; for ONNX Runtime also ``cuda``, ``cuda:1`` and ``tensorrt``, where its package has them.
        threads: Of one run; None leaves it to the runtime.
        precision: ``bfloat16`` lets OpenVINO compute in it, several times faster on processors that can and less exact.

    Raises:
        FileNotFoundError: No such file.
        ImportError: The runtime is not installed.
        ValueError: It cannot open the file, or has not the device.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    if runtime == 'openvino':
        if device != 'cpu':
            raise ValueError(f'OpenVINO is used on the CPU here, not on {device!r}')
        return OpenVINOSession(path, threads, precision)
    if runtime != 'onnxruntime':
        raise ValueError(f'runtime {runtime!r}: onnxruntime or openvino')
    if precision is not None:
        raise ValueError(
            'a precision is chosen when a file is opened with OpenVINO; for ONNX Runtime export with --half'
        )
    return RuntimeSession(path, device, threads)
