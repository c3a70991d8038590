"""Exported models: what is in the file, what it gives, and that the commands take it as they take the model."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmroad.bdd100k.scalabel import load_frames
from mmroad.commands import main
from mmroad.export.check import TOLERANCES, pair
from mmroad.export.inferencer import inferencer
from mmroad.export.model import OnnxModel, for_file
from mmroad.export.session import metadata_of, open_session
from mmroad.export.write import ExportError, export
from mmroad.files.images import ImageError

ROOT = Path(__file__).parents[2]


def test_the_file_says_what_it_is(detector):
    import onnx

    file = onnx.load(str(detector.file))
    onnx.checker.check_model(file)
    assert [(o.domain, o.version) for o in file.opset_import] == [('', 17)]
    assert {node.domain for node in file.graph.node} == {''}
    about = metadata_of(detector.file)
    assert json.loads(about['classes'])[:2] == ['pedestrian', 'rider'] and about['kind'] == 'detection'
    assert json.loads(about['size']) == [96, 160] and about['checkpoint'].startswith('sha256:')
    assert json.loads(about['thresholds'])['max_per_img'] == 100
    numbers = json.loads(about['difference'])
    assert numbers == detector.difference.numbers and numbers['detections'] > 50
    assert numbers['boxes'] <= TOLERANCES['boxes'] and numbers['scores'] <= TOLERANCES['scores']


def test_what_differs_is_no_file(detector, tmp_path, monkeypatch):
    from mmroad.export import check

    def wrong(model):
        predict = own(model)
        return lambda image: {k: v + 0.5 * (k == 'boxes') for k, v in predict(image).items()}

    own = check.torch_predictions
    monkeypatch.setattr(check, 'torch_predictions', wrong)
    monkeypatch.setattr('mmroad.export.write.trace', lambda graph, image, out: _copy(detector, graph, out))
    (tmp_path / 'm.onnx').write_text('of yesterday')
    with pytest.raises(ExportError, match='boxes by 0.5'):
        export(detector.model, tmp_path / 'm.onnx', (96, 160), images=detector.images)
    assert [p.name for p in tmp_path.iterdir()] == ['m.onnx'] and (
        tmp_path / 'm.onnx'
    ).read_text() == 'of yesterday'


def _copy(detector, graph, out):
    graph.names = ('boxes', 'scores', 'labels')
    out.write_bytes(detector.file.read_bytes())


def test_infer_writes_what_the_model_writes(detector, tmp_path, capsys):
    args = ['--out', str(tmp_path / 'torch')]
    main(['infer', str(detector.config), str(detector.checkpoint), str(detector.folder / 'images'), *args])
    main(['infer', str(detector.file), str(detector.folder / 'images'), '--out', str(tmp_path / 'onnx')])
    assert '2 images written' in capsys.readouterr().out
    ours, theirs = (load_frames(tmp_path / k / 'det.json') for k in ('onnx', 'torch'))
    assert [f.name for f in ours] == [f.name for f in theirs] == ['0.png', '1.png']
    for a, b in zip(ours, theirs):
        assert len(a.labels) == len(b.labels) > 20
        a, b = (
            dict(
                boxes=np.array([[x.box2d.x1, x.box2d.y1, x.box2d.x2, x.box2d.y2] for x in f.labels]),
                scores=np.array([x.score for x in f.labels]),
                labels=np.array([x.category for x in f.labels]),
            )
            for f in (a, b)
        )
        assert len(pair(a, b, 0.02)) >= len(b['scores']) - 1
    assert (tmp_path / 'onnx/pictures/1.png').is_file() and (tmp_path / 'onnx/det.coco.json').is_file()


def test_the_inferencer_names_what_it_cannot_do(detector, segmentor, tmp_path):
    detect = inferencer(detector.file)
    with pytest.raises(ImageError, match='96 rows and 160 columns, this one has 50 and 70'):
        detect(np.zeros((50, 70, 3), np.uint8))
    with pytest.raises(ValueError, match='has no scale'):
        inferencer(detector.file, scale=(0, 1))
    with pytest.raises(ValueError, match='the anomaly score is part of the file'):
        inferencer(segmentor.file, score='entropy')
    with pytest.raises(FileNotFoundError, match='there is no such file'):
        OnnxModel(tmp_path / 'none.onnx')
    (tmp_path / 'text.onnx').write_text('no model')
    with pytest.raises(ValueError, match='ONNX Runtime cannot open it'):
        OnnxModel(tmp_path / 'text.onnx')
    with pytest.raises(ValueError, match='has no CUDAExecutionProvider|no CUDA'):
        open_session(detector.file, device='cuda')


def test_a_foreign_file_is_refused(tmp_path):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    value = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in ('images', 'y')]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('Neg', ['images'], ['y'])], 'g', value[:1], value[1:]
    )
    opset = [onnx.helper.make_opsetid('', 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), str(tmp_path / 'm.onnx'))
    with pytest.raises(ValueError, match='no export of mmroad'):
        OnnxModel(tmp_path / 'm.onnx')


def test_any_size_and_the_maps(segmentor):
    assert (
        segmentor.difference.numbers['anomaly'] < TOLERANCES['anomaly']
        and segmentor.difference.numbers['classes'] == 0
    )
    from mmroad.export.check import torch_predictions

    predict, session = torch_predictions(segmentor.model), open_session(segmentor.file)
    images = np.stack([cv2.resize(image, (101, 83)) for image in segmentor.images])
    found = dict(zip(session.names, session(images)))
    assert found['classes'].shape == (2, 83, 101) and found['classes'].dtype == np.uint8
    for i, image in enumerate(images):
        want = predict(image)
        assert np.allclose(found['anomaly'][i], want['anomaly'], rtol=1e-4, atol=1e-4)
        assert (found['classes'][i] != want['classes']).mean() < 1e-3


def test_scores_of_a_file_are_those_of_the_model(segmentor, tmp_path):
    """Through the metric: AP and FPR95 of a data set."""
    from mmroad.road_scenes.write import write_dataset

    write_dataset(tmp_path / 'scenes', train=1, val=1, ood=2, size=(160, 96))
    scores = {}
    for kind, weights in (('torch', segmentor.checkpoint), ('onnx', segmentor.file)):
        dump = tmp_path / kind
        main(['test', str(segmentor.config), str(weights), '--work-dir', str(dump), '--cfg-options',
              f'data_root={tmp_path / "scenes"}/', 'test_dataloader.num_workers=0'])  # fmt: skip
        (log,) = dump.glob('*/*.json')
        scores[kind] = json.loads(log.read_text().splitlines()[-1])
    numbers = {k: v for k, v in scores['torch'].items() if 'AP' in k or 'FPR' in k}
    assert len(numbers) >= 2
    for key, value in numbers.items():
        assert scores['onnx'][key] == pytest.approx(value, abs=1e-2), key  # in percent


def test_a_config_for_a_file(detector):
    cfg = detector.cfg.copy()
    for_file(cfg, detector.file)
    kinds = [step['type'] for step in cfg.test_dataloader.dataset.pipeline]
    assert kinds == ['LoadImageFromFile', 'FastPackDetInputs'] and cfg.model.type == 'mmengine.OnnxModel'


def test_eight_bits(detector, tmp_path):
    from mmroad.export.quantize import images_of, quantize

    out = tmp_path / 'small.int8.onnx'
    quantize(detector.file, out, images_of(detector.folder / 'images', (96, 160), 1))
    about = metadata_of(out)
    assert about['precision'] == 'int8' and about['calibration'] == '1 images'
    assert out.stat().st_size < 0.4 * detector.file.stat().st_size
    result = inferencer(out)(detector.images[0][..., ::-1].copy())
    assert len(result) > 10 and np.isfinite(result.boxes).all()
    with pytest.raises(ValueError, match='no calibration image'):
        quantize(detector.file, tmp_path / 'none.onnx', [])
    with pytest.raises(ValueError, match='would replace'):
        quantize(detector.file, detector.file, detector.images)


def test_without_mmroad(detector, tmp_path):
    picture = detector.folder / 'images/0.png'
    example = [sys.executable, str(ROOT / 'examples/detect_onnx.py'), str(detector.file), str(picture), '0.3']
    lines = subprocess.run(example, check=True, capture_output=True, text=True).stdout.splitlines()
    result = inferencer(detector.file)(picture)
    kept = result.scores >= 0.3
    assert len(lines) == kept.sum() > 3
    name, score, *box = lines[0].rsplit(' ', 5)
    assert name == result.names[0] and float(score) == pytest.approx(result.scores[0], abs=1e-4)
    assert np.allclose(np.array(box, float), result.boxes[0], atol=0.01)


def test_in_cpp(detector, tmp_path):
    """Compiled where ONNX Runtime's headers and library are: below ORT_HOME, or the system's."""
    import os
    import shutil

    homes = [Path(home) for home in (os.environ.get('ORT_HOME'), '/usr', '/usr/local') if home]
    found = [h for h in homes for f in h.glob('include/**/onnxruntime_cxx_api.h')]
    if not found or shutil.which('g++') is None:
        pytest.skip("neither ORT_HOME nor the system has ONNX Runtime's C++ headers")
    home = found[0]
    include = next(home.glob('include/**/onnxruntime_cxx_api.h')).parent
    library = next(home.glob('lib/**/libonnxruntime.so')).parent
    subprocess.run(
        ['g++', '-std=c++17', f'-I{include}', str(ROOT / 'examples/detect_onnx.cpp'), f'-L{library}', '-lonnxruntime',
         f'-Wl,-rpath,{library}', '-o', str(tmp_path / 'detect')], check=True)  # fmt: skip
    cv2.imwrite(str(tmp_path / 'a.ppm'), detector.images[0][..., ::-1])
    run = subprocess.run(
        [str(tmp_path / 'detect'), str(detector.file), str(tmp_path / 'a.ppm'), '0.3'],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    result = inferencer(detector.file)(detector.images[0][..., ::-1].copy())
    rows = np.array([line.split() for line in run.stdout.splitlines()], float)
    assert len(rows) == (result.scores >= 0.3).sum() > 3
    assert np.allclose(rows[:, 1], result.scores[: len(rows)], atol=1e-3)


def test_openvino_gives_the_same(detector):
    pytest.importorskip('openvino')
    ours, theirs = (open_session(detector.file, runtime) for runtime in ('openvino', 'onnxruntime'))
    image = detector.images[0][None]
    a, b = (dict(zip(s.names, s(image))) for s in (ours, theirs))
    assert ours.metadata == theirs.metadata
    a, b = ({k: v[0] for k, v in x.items()} for x in (a, b))
    assert len(pair(a, b, 0.05)) >= 0.98 * len(b['scores'])


def test_models_that_are_not_exported_are_named():
    from mmroad.export.graph import Graph

    with pytest.raises(ValueError, match='Module cannot be exported: models of images can'):
        Graph._find(torch.nn.Module(), True)
    own = ['export', 'faster_rcnn_r18_fpn_quickstart', 'none', '--out']
    for further, said in (
        (['m.pth'], 2),
        (['m.onnx', '--half', '--int8', 'images'], 2),
        (['m.onnx', '--score', 'rba', '--size', '96', '160'], 'computes no anomaly score'),
        (['m.onnx', '--vocabulary', 'w.safetensors', '--size', '96', '160'], 'no vocabulary that can be set'),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([*own, *further])
        assert stopped.value.code == said if isinstance(said, int) else said in str(stopped.value.code)
