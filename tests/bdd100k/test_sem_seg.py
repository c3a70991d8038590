import json
import subprocess
import sys

import mmengine
import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from PIL import Image

from mmroad.bdd100k.eval.seg import seg_scores
from mmroad.bdd100k.sem_seg import BDD100KSemSegDataset, BDD100KSemSegMetric, confusion, to_frame
from mmroad.files.images import ImageError


@pytest.fixture
def folder(tmp_path):
    """Three 72x128 images with masks of nine classes and some void."""
    rng = np.random.default_rng(0)
    for split in ('images/10k/val', 'labels/sem_seg/masks/val'):
        (tmp_path / split).mkdir(parents=True)
    for i in range(3):
        mask = np.kron(rng.integers(0, 9, (9, 16)), np.ones((8, 8))).astype('uint8')
        mask[:5] = 255
        Image.fromarray(mask).save(tmp_path / f'labels/sem_seg/masks/val/im{i}.png')
        Image.fromarray(rng.integers(0, 255, (72, 128, 3), 'uint8')).save(
            tmp_path / f'images/10k/val/im{i}.jpg'
        )
    return tmp_path


def dataset(root, **kwargs):
    prefix = dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val')
    return BDD100KSemSegDataset(data_root=str(root), data_prefix=prefix, **{'pipeline': [], **kwargs})


def predictions(folder):
    """Per image: the masks with a tenth of the pixels wrong, some of them of classes without ground truth."""
    rng = np.random.default_rng(1)
    for item in dataset(folder):
        gt = np.array(Image.open(item['seg_map_path']))
        pred = np.where(rng.random(gt.shape) < 0.1, rng.integers(0, 19, gt.shape), np.minimum(gt, 18))
        yield dict(
            img_path=item['img_path'],
            gt_sem_seg=dict(data=torch.from_numpy(gt.astype('int64'))[None]),
            pred_sem_seg=dict(data=torch.from_numpy(pred.astype('int64'))[None]),
        )


def test_dataset_pairs_images_with_masks(folder):
    items = list(dataset(folder))
    assert [item['img_path'][-7:] for item in items] == ['im0.jpg', 'im1.jpg', 'im2.jpg']
    assert items[1]['seg_map_path'].endswith('labels/sem_seg/masks/val/im1.png')


def test_dataset_says_what_is_missing(folder):
    (folder / 'labels/sem_seg/masks/val/im1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'im1.png: no such mask \(1 of 3'):
        dataset(folder)
    with pytest.raises(FileNotFoundError, match='images/10k/val: no such folder.*bdd-data'):
        dataset(folder / 'nowhere')


def test_confusion_by_hand():
    counts = confusion(np.array([0, 0, 1, 255]), np.array([0, 1, 7, 0]), 2)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 1]]
    values = seg_scores(counts, ('road', 'sky'))
    assert values['IoU'] == [dict(road=50, sky=0), dict(AVERAGE=25)]
    assert values['pAcc'] == pytest.approx(100 / 3)
    metric = BDD100KSemSegMetric()
    metric.dataset_meta = dict(classes=('road', 'sky'))
    with pytest.raises(ValueError, match='nothing to score'):
        metric.compute_metrics([dict(counts=counts * 0, frame=None, path='a.jpg', index=0)])


@pytest.mark.parametrize('form', ['masks', 'json'])
def test_official_evaluator_gives_our_scores(folder, tmp_path, form):
    metric = BDD100KSemSegMetric(format_dir=tmp_path / 'out')
    metric.dataset_meta = BDD100KSemSegDataset.METAINFO
    metric.process({}, list(predictions(folder)))
    ours = metric.evaluate(3)
    assert 50 < ours['mIoU'] < 95
    gt, result = folder / 'labels/sem_seg/masks/val', tmp_path / 'out/masks'
    if form == 'json':
        frames = json.loads((tmp_path / 'out/sem_seg.json').read_text())
        assert [frame['name'] for frame in frames] == ['im0.jpg', 'im1.jpg', 'im2.jpg']
        from pycocotools.mask import decode

        for frame in frames:
            mask = np.full((72, 128), 255)
            for label in frame['labels']:
                index = BDD100KSemSegDataset.METAINFO['classes'].index(label['category'])
                mask[decode(label['rle']) == 1] = index
            assert (mask == np.array(Image.open(result / frame['name'].replace('jpg', 'png')))).all()
        return
    command = [
        sys.executable,
        '-m',
        'bdd100k.eval.run',
        '-t',
        'sem_seg',
        '-g',
        gt,
        '-r',
        result,
        '--nproc',
        '1',
    ]
    done = subprocess.run(
        [*map(str, command), '--out-file', str(tmp_path / 'scores.json')], capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    official = json.loads((tmp_path / 'scores.json').read_text())
    means = dict(mIoU=official['IoU'][-1]['AVERAGE'], mAcc=official['Acc'][-1]['AVERAGE'])
    means |= {key: official[key] for key in ('fIoU', 'pAcc')}
    assert ours == pytest.approx(means, abs=1e-9)


def test_format_only_needs_no_ground_truth(folder, tmp_path):
    with pytest.raises(ValueError, match='needs a folder: format_dir'):
        BDD100KSemSegMetric(format_only=True)
    metric = BDD100KSemSegMetric(format_only=True, format_dir=tmp_path / 'out')
    metric.dataset_meta = BDD100KSemSegDataset.METAINFO
    sample = next(predictions(folder))
    del sample['gt_sem_seg']
    metric.process({}, [sample])
    assert metric.evaluate(1) == {}
    assert (tmp_path / 'out/masks/im0.png').exists() and (tmp_path / 'out/sem_seg.json').exists()


@pytest.fixture
def metric(tmp_path):
    metric = BDD100KSemSegMetric(format_dir=tmp_path / 'out')
    metric.dataset_meta = BDD100KSemSegDataset.METAINFO
    return metric


@pytest.mark.parametrize('value', [19, 20, 33, 100, 254])
def test_ids_that_are_no_class_are_named(folder, metric, value):
    sample = next(predictions(folder))
    sample['seg_map_path'] = 'masks/im0.png'
    sample['gt_sem_seg']['data'][0, 40, 7:9] = value
    with pytest.raises(ValueError, match=rf'masks/im0.png: values {value} \(2 of 9216 pixels\)'):
        metric.process({}, [sample])


def test_a_label_map_of_another_size_or_none_is_named(folder, metric):
    first, second, _ = predictions(folder)
    first['gt_sem_seg']['data'] = first['gt_sem_seg']['data'][:, :-1]
    with pytest.raises(
        ValueError, match=r'im0.jpg: the label map is \(71, 128\), its prediction \(72, 128\)'
    ):
        metric.process({}, [first])
    del second['gt_sem_seg']
    with pytest.raises(ValueError, match='im1.jpg: no label map was loaded .*--format-only'):
        metric.process({}, [second])


def test_images_that_share_a_name_are_named(folder, metric):
    first, second, third = predictions(folder)
    second['img_path'] = '/drives/2/im0.png'
    metric.process({}, [first])
    with pytest.raises(
        ValueError, match='im0.jpg and /drives/2/im0.png would both be written to .*masks/im0.png'
    ):
        metric.process({}, [second])
    other = BDD100KSemSegMetric(format_only=True, format_dir=metric.format_dir)  # another rank's
    other.dataset_meta = metric.dataset_meta
    other.process({}, [second])
    with pytest.raises(ValueError, match='would both be written'):
        metric.compute_metrics([*metric.results, *other.results])
    metric.process({}, [first])  # the same image once more, as samplers do
    assert 'IoU' in str(metric.compute_metrics(metric.results))


def test_files_appear_whole(folder, metric):
    metric.process({}, list(predictions(folder)))
    metric.evaluate(3)
    found = {str(p.relative_to(metric.format_dir)) for p in metric.format_dir.rglob('*') if p.is_file()}
    assert found == {'sem_seg.json', *(f'masks/im{i}.png' for i in range(3))}


def test_a_data_set_without_masks_and_one_without_images(folder):
    plain = BDD100KSemSegDataset(
        data_root=str(folder), data_prefix=dict(img_path='images/10k/val'), pipeline=[]
    )
    assert len(plain) == 3
    (folder / 'images/10k/empty').mkdir()
    with pytest.raises(FileNotFoundError, match=r'images/10k/empty: no \.jpg file in this folder'):
        BDD100KSemSegDataset(
            data_root=str(folder), data_prefix=dict(img_path='images/10k/empty'), pipeline=[]
        )


def test_a_frame_has_a_code_for_each_class_that_is_there():
    mask = np.uint8([[0, 2, 255], [2, 2, 3]])
    frame = to_frame('a.jpg', mask, ('road', 'sidewalk', 'building'))
    assert frame['name'] == 'a.jpg'
    assert [(x['id'], x['category'], x['rle']['size']) for x in frame['labels']] == [
        ('0', 'road', [2, 3]), ('1', 'building', [2, 3])
    ]  # fmt: skip
    from pycocotools.mask import decode

    assert decode(frame['labels'][1]['rle']).tolist() == [[0, 1, 0], [1, 1, 0]]


def test_confusion_keeps_the_bounds_of_the_classes():
    gt, pred = np.uint8([0, 18, 18, 19, 255, 18]), np.uint8([0, 18, 19, 18, 0, 255])
    counts = confusion(gt, pred)
    assert counts.shape == (19, 20) and counts.dtype == np.int64
    assert counts[18, 18] == 1 and counts[18, 19] == 2 and counts[0, 0] == 1 and counts.sum() == 4
    with pytest.raises(ValueError, match=r'the prediction is \(2,\), its ground truth \(3,\)'):
        confusion(gt[:3], pred[:2])


def test_written_only_where_asked(folder, tmp_path):
    metric = BDD100KSemSegMetric()
    metric.dataset_meta = BDD100KSemSegDataset.METAINFO
    samples = list(predictions(folder))
    metric.process({}, samples)
    assert [result['frame'] for result in metric.results] == [None] * 3
    assert set(metric.evaluate(3)) == {'mIoU', 'mAcc', 'fIoU', 'pAcc'}
    samples[0]['pred_sem_seg']['data'][0, -1, -1] = 18
    writer = BDD100KSemSegMetric(format_only=True, format_dir=str(tmp_path / 'only'))
    writer.dataset_meta = BDD100KSemSegDataset.METAINFO
    writer.process({}, samples[:1])
    assert writer.results[0]['counts'] is None
    saved = np.array(Image.open(tmp_path / 'only/masks/im0.png'))
    assert saved.dtype == np.uint8 and (saved == samples[0]['pred_sem_seg']['data'][0].numpy()).all()


class Moved(BaseModel):
    """Predicts the ground truth, moved by three pixels."""

    def forward(self, inputs, data_samples, mode):
        for sample in data_samples:
            assert sample.gt_sem_seg.shape == inputs[0].shape[1:]
            moved = sample.gt_sem_seg.data.roll(3, -1)
            sample.pred_sem_seg = PixelData(data=moved.where(moved < 3, 2))
        return data_samples


def run(folder, task, metrics):
    """A run's scores and metrics."""
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadLabelMap'), dict(type='PackSegInputs')]
    data = dict(
        type='BDD100KSemSegDataset' if task == 'sem_seg' else 'BDD100KDrivableDataset',
        data_root=str(folder),
        data_prefix=dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val'),
        pipeline=pipeline,
        test_mode=True,
    )
    sampler = dict(type='DefaultSampler', shuffle=False)
    runner = Runner(
        model=Moved(), work_dir=str(folder / 'work'), test_cfg=dict(), test_evaluator=metrics,
        test_dataloader=dict(batch_size=1, num_workers=0, dataset=data, sampler=sampler),
        default_scope='mmseg', default_hooks=dict(label_check=dict(type='LabelCheckHook')),
    )  # fmt: skip
    return runner.test(), runner.test_evaluator.metrics


@pytest.mark.parametrize(
    ('task', 'kind'), [('sem_seg', 'BDD100KSemSegMetric'), ('drivable', 'BDD100KDrivableMetric')]
)
def test_an_image_that_cannot_be_read_is_left_out_and_named(folder, task, kind):
    masks, broken = folder / 'labels/sem_seg/masks/val', folder / 'images/10k/val/im1.jpg'
    for path in masks.iterdir():
        mask = np.array(Image.open(path))
        Image.fromarray(np.where(mask == 255, mask, mask % 3)).save(path)
    broken.write_bytes(broken.read_bytes()[:200])
    out = folder / 'out'
    scores, metrics = run(
        folder,
        task,
        [dict(type=kind, format_dir=str(out)), dict(type='DumpResults', out_file_path=f'{out}.pkl')],
    )
    assert list(metrics[0].left_out) == [str(broken)] and str(broken) in metrics[0].left_out[str(broken)]
    assert sorted(p.name for p in (out / 'masks').iterdir()) == ['im0.png', 'im2.png']
    frames = json.loads((out / f'{task}.json').read_text())
    assert [frame['name'] for frame in frames] == ['im0.jpg', 'im2.jpg']
    dumped = mmengine.load(f'{out}.pkl')
    assert ['left_out' in sample for sample in dumped] == [False, True, False]  # marked there
    assert run(folder, task, dict(type=kind, format_only=True, format_dir=f'{out}2'))[1][0].left_out
    assert sorted(p.name for p in (folder / 'out2/masks').iterdir()) == ['im0.png', 'im2.png']
    for metric in (
        [dict(type='IoUMetric')],
        [dict(type=kind), dict(type='IoUMetric')],
    ):  # knows nothing of it
        with pytest.raises(ImageError, match='im1.jpg'):
            run(folder, task, metric)
    broken.unlink()
    (masks / 'im1.png').unlink()
    assert 50 < scores['mIoU'] < 100 and run(folder, task, dict(type=kind))[0] == scores
