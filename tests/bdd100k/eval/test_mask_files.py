"""What the segmentation scores read: codes, folders, names and label maps as people have them."""

import json
import time
import warnings

import numpy as np
import pytest
from mask_cases import (
    EMPTY,
    SIZE,
    TASKS,
    G,
    L,
    edited,
    instances,
    made_codes,
    made_masks,
    official,
    ours,
    rle,
    same,
    save,
    scored,
    write_png,
)
from PIL import Image
from pycocotools import mask as coco_mask

from mmroad.bdd100k.scalabel import LabelFileError
from mmroad.commands.eval import main

pytestmark = pytest.mark.filterwarnings('ignore:__array__ implementation:DeprecationWarning')


BROKEN = dict(
    cut=dict(counts='j023000', size=[5, 10]),
    empty=dict(counts='', size=[5, 10]),
    other_size=dict(counts=rle(np.eye(*SIZE))['counts'], size=[SIZE[0], SIZE[1] + 1]),
    listed=dict(counts=[3, 4], size=SIZE),
    no_size=dict(counts='0', size=[]),
    negative=dict(counts=[-1, 51], size=[5, 10]),
    no_code=dict(counts='mask', size=[5, 10]),
)


@pytest.mark.parametrize('broken', BROKEN)
@pytest.mark.parametrize('side', ['gt', 'pred'])
@pytest.mark.parametrize('task', TASKS)
def test_codes_that_do_not_fill_their_size_are_named(tmp_path, task, side, broken):
    label = dict(L, category='direct') if task == 'drivable' else L
    frames = [
        dict(name='a.jpg', labels=[label]),
        dict(name='b.jpg', labels=[label, {**label, 'rle': BROKEN[broken]}]),
    ]
    good = [dict(name=name, labels=[label]) for name in ('a.jpg', 'b.jpg')]
    paths = save(tmp_path, *((frames, good) if side == 'gt' else (good, frames)))
    start = time.perf_counter()
    with pytest.raises(
        LabelFileError, match=rf"{side}.json: frame 'b.jpg': labels\[1\].rle: (size|counts|the runs)"
    ):
        ours(task, *paths)
    assert time.perf_counter() - start < 1


def test_codes_as_lists_of_runs_score_like_compressed_ones(tmp_path):
    whole = save(tmp_path, [G], [G])
    want = {task: ours(task, *whole) for task in ('sem_seg', 'ins_seg', 'pan_seg')}
    flat = np.asfortranarray(coco_mask.decode(L['rle'])).ravel(order='F')
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)
    runs = ([0] if flat[0] else []) + np.diff(ends, prepend=0).tolist()
    paths = save(tmp_path, [dict(name='a.jpg', labels=[{**L, 'rle': dict(counts=runs, size=SIZE)}])], [G])
    for task, scores in want.items():
        same(ours(task, *paths), scores)


def test_crowd_that_is_no_truth_value_is_named(tmp_path):
    for key, value in dict(crowd='maybe', ignored='nein').items():
        paths = save(tmp_path, [dict(name='a.jpg', labels=[{**L, 'attributes': {key: value}}])], [G])
        with pytest.raises(
            LabelFileError, match=rf"gt.json: frame 'a.jpg': labels\[0\].attributes.{key} is '{value}'"
        ):
            ours('pan_seg', *paths)


@pytest.mark.parametrize('task', TASKS)
def test_masks_of_one_name_belong_to_the_folder_they_lie_in(tmp_path, task):
    """Of the official tool the last of a name counts for all; what it says of names of their own is the measure."""
    gt, pred, scores = made_masks(tmp_path / 'own', task, 3)
    want = official(task, gt, pred, scores)
    frames = json.loads(scores.read_text())
    for i in range(4):
        for side in ('gt', 'pred'):
            path = tmp_path / f'same/{side}/drive{i}/0001.png'
            path.parent.mkdir(parents=True)
            path.write_bytes((tmp_path / f'own/{side}/{i}.png').read_bytes())
        if frames:
            frames[i]['name'] = f'drive{i}/0001.jpg'
    (tmp_path / 'same/scores.json').write_text(json.dumps(frames))
    same(ours(task, *(tmp_path / 'same' / x for x in ('gt', 'pred', 'scores.json'))), want)


@pytest.mark.parametrize('task', TASKS)
def test_a_name_that_several_masks_share_is_no_pairing(tmp_path, task):
    gt, pred, scores = made_masks(tmp_path, task, 3)
    want = ours(task, gt, pred, scores)
    (pred / 'old').mkdir()
    (pred / 'old/1.png').write_bytes((pred / '0.png').read_bytes())
    with pytest.warns(UserWarning, match="predicted masks are of no image of the ground truth: '1.png'"):
        same(ours(task, gt, pred, scores), want)  # pred/1.png is gt/1.png, whatever old/1.png is
    (gt / 'val').mkdir()
    (gt / '1.png').rename(gt / 'val/1.png')
    with pytest.raises(
        LabelFileError, match="pred: 1 and old/1 share the name '1'.* belongs to 'val/1' of .*gt"
    ):
        ours(task, gt, pred, scores)
    (pred / 'old/1.png').unlink()
    if task != 'ins_seg':  # whose equal scores come in the order of the files
        same(ours(task, gt, pred, scores), want)
    (gt / 'test').mkdir()
    (gt / 'test/1.png').write_bytes((gt / '0.png').read_bytes())
    with pytest.raises(LabelFileError, match="gt: test/1 and val/1 share the name '1'"):
        ours(task, gt, pred, scores)


def test_masks_in_other_folders_are_paired_by_their_names(tmp_path):
    gt, pred, scores = made_masks(tmp_path, 'sem_seg', 3)
    want = ours('sem_seg', gt, pred)
    (gt / 'val').mkdir()
    (gt / '1.png').rename(gt / 'val/1.png')
    same(ours('sem_seg', gt, pred), want)


@pytest.mark.parametrize('task', TASKS)
def test_hidden_files_are_no_masks(tmp_path, task):
    gt, pred, scores = made_masks(tmp_path, task, 3)
    want = ours(task, gt, pred, scores)
    for folder in (gt, pred):
        (folder / '.ipynb_checkpoints').mkdir()
        for name in ('.ipynb_checkpoints/1.png', '.ipynb_checkpoints/7.json', '._1.png', '.DS_Store'):
            (folder / name).write_bytes(b'no picture')
    same(ours(task, gt, pred, scores), want)


@pytest.mark.parametrize('task', TASKS)
def test_label_folders_are_read_as_the_official_tool_reads_them(tmp_path, task):
    paths = made_codes(tmp_path, task, 5)
    want = ours(task, *paths)
    for path in paths:
        folder = path.with_suffix('')
        for name in ('b.json', '.ipynb_checkpoints/b-checkpoint.json', 'old/a.json', '._b.json'):
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_bytes(
                b'junk' if name[0] == '.' else path.read_bytes() if name[0] == 'b' else b'[]'
            )
    folders = [path.with_suffix('') for path in paths]
    for name in ('gt', 'pred'):
        for hidden in (
            tmp_path / name / '._b.json',
            tmp_path / name / '.ipynb_checkpoints/b-checkpoint.json',
        ):
            assert hidden.exists()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        same(ours(task, *folders), want)


def test_what_is_left_out_or_repeated_is_told(tmp_path, capsys):
    frames = [G, {**G, 'name': 'b.jpg'}]
    save(tmp_path, frames, [G])
    for side, name, content in (
        ('g', 'one.json', frames),
        ('g', 'two.json', [G]),
        ('p', 'one.json', [G, {**G, 'name': 'z.jpg'}]),
        ('p', 'two.json', [EMPTY]),
    ):
        (tmp_path / side).mkdir(exist_ok=True)
        (tmp_path / side / name).write_text(json.dumps(content))
    main(['-t', 'pan_seg', '-g', str(tmp_path / 'g'), '-r', str(tmp_path / 'p')])
    err = capsys.readouterr().err
    both = f'a.jpg ({tmp_path}/g/one.json, {tmp_path}/g/two.json)'
    assert f'1 names are carried by several frames of the ground truth, each of which counts: {both!r}' in err
    assert "several predicted frames: the last of each counts: 'a.jpg (" in err
    assert "1 images have no predicted frame and count as missed: 'b.jpg'" in err
    assert "1 predicted frames are of no image of the ground truth: 'z.jpg'" in err
    gt, pred, _ = made_masks(tmp_path / 'png', 'sem_seg', 1)
    (pred / '2.png').rename(pred / 'other.png')
    main(['-t', 'sem_seg', '-g', str(gt), '-r', str(pred)])
    err = capsys.readouterr().err
    assert "have no predicted mask and count as missed: '2.png'" in err
    assert "predicted masks are of no image of the ground truth: 'other.png'" in err
    main(['-q', '-t', 'sem_seg', '-g', str(gt), '-r', str(pred)])
    assert capsys.readouterr().err == ''


def test_label_maps_of_every_kind_or_their_name(tmp_path):
    gt, pred, _ = made_masks(tmp_path, 'drivable', 1)
    want = ours('drivable', gt, pred)
    values = np.array(Image.open(gt / '1.png'))
    palette = Image.fromarray(values, 'P')
    palette.putpalette(list(range(256)) * 3)
    palette.save(gt / '1.png')
    same(ours('drivable', gt, pred), want)
    Image.fromarray(values.astype(np.uint16)).save(gt / '1.png')
    same(ours('drivable', gt, pred), want)
    Image.fromarray(values.astype(np.uint16) * 256).save(gt / '1.png')
    with pytest.raises(LabelFileError, match='gt/1.png: pixel values up to'):
        ours('drivable', gt, pred)
    colors = np.stack([values, values // 2, values], -1)
    Image.fromarray(colors).save(gt / '1.png')
    with pytest.raises(LabelFileError, match='gt/1.png: a color image'):
        ours('drivable', gt, pred)
    (gt / '1.png').write_bytes((gt / '2.png').read_bytes()[:40])
    with pytest.raises(LabelFileError, match='gt/1.png'):
        ours('drivable', gt, pred)


def test_values_and_categories_that_are_no_class_are_told(tmp_path):
    gt, pred, _ = made_masks(tmp_path / 'sem', 'sem_seg', 1)
    edited(pred / '1.png', lambda x: np.where(np.arange(SIZE[1]) < 9, 33, x))
    with pytest.warns(UserWarning, match='2 predicted pixel values are no class and count as wrong: 33, 200'):
        same(ours('sem_seg', gt, pred), official('sem_seg', gt, pred))
    for task, number in (('ins_seg', 8), ('pan_seg', 40)):
        folder = tmp_path / task
        instances(folder, 'gt/0.png', [(0, 0, 20, 40), (30, 0, 40, 10)], category=number)
        instances(folder, 'pred/0.png', [(0, 0, 20, 40), (30, 0, 40, 10)], category=number + 1)
        paths = scored(folder, 2)
        with pytest.warns(UserWarning, match=f'none of 1 to {number} and are left out: {str(number + 1)!r}'):
            same(ours(task, *paths), official(task, *paths))


@pytest.mark.parametrize('kind', ['masks', 'codes'])
def test_the_folder_that_the_metric_wrote_is_a_result(tmp_path, kind):
    gt, pred, _ = made_masks(tmp_path / 'png', 'sem_seg', 1)
    (tmp_path / 'json').mkdir()
    codes = made_codes(tmp_path / 'json', 'sem_seg', 2)
    out = tmp_path / 'out'
    out.mkdir()
    pred.rename(out / 'masks')
    codes[1].rename(out / 'sem_seg.json')
    truth, result = (gt, out / 'masks') if kind == 'masks' else (codes[0], out / 'sem_seg.json')
    same(ours('sem_seg', truth, out), official('sem_seg', truth, result))


@pytest.mark.parametrize(('task', 'classes'), [('sem_seg', 19), ('drivable', 2)])
@pytest.mark.parametrize('more', [0, 1, 2])
def test_the_value_after_the_last_class_is_none(tmp_path, task, classes, more):
    gt, pred, _ = made_masks(tmp_path, task, 1)
    want = ours(task, gt, pred)
    edited(gt / '1.png', lambda x: np.where(x == 255, classes - 1 + more, x))
    if more == 2:
        with pytest.raises(
            LabelFileError,
            match=rf'1\.png: pixel value {classes + 1}; expected class ids 0 to {classes - 1}, {classes} or 255 for',
        ):
            ours(task, gt, pred)
    elif more == 1:
        same(ours(task, gt, pred), want)
    else:  # pixels of a class now
        assert ours(task, gt, pred)['pAcc'] != want['pAcc']


def test_predicted_values_are_told_from_the_first_after_none(tmp_path):
    write_png(tmp_path / 'gt/0.png', [[0, 1, 1, 255]])
    write_png(tmp_path / 'pred/0.png', [[0, 2, 255, 254]])  # none, unlabeled, where nothing is labeled
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        ours('drivable', tmp_path / 'gt', tmp_path / 'pred')
    write_png(tmp_path / 'pred/0.png', [[254, 3, 1, 0]])
    with pytest.warns(UserWarning, match='2 predicted pixel values are no class and count as wrong: 3, 254'):
        ours('drivable', tmp_path / 'gt', tmp_path / 'pred')


def test_frames_of_a_score_file_that_no_image_has_are_told(tmp_path):
    for side in ('gt', 'pred'):
        instances(tmp_path, f'{side}/0.png', [(0, 0, 20, 40)])
    gt, pred, scores = scored(tmp_path, 1)
    frames = json.loads(scores.read_text())
    scores.write_text(json.dumps([*frames, dict(name='b.jpg'), dict(name='a.jpg')]))
    with pytest.warns(UserWarning, match="2 frames of the score file are of no image: 'b', 'a'"):
        assert ours('ins_seg', gt, pred, scores)['AP'][1]['OVERALL'] == pytest.approx(100)
    scores.write_text(json.dumps(frames * 2))
    with pytest.raises(LabelFileError, match=r"scores\.json: two frames are called '0'"):
        ours('ins_seg', gt, pred, scores)
    scores.write_text('[]')
    with pytest.raises(LabelFileError, match=r"scores\.json: no frame '0\.png' \(1 images have none\)"):
        ours('ins_seg', gt, pred, scores)
    frames[0]['labels'] *= 2
    scores.write_text(json.dumps(frames))
    with pytest.raises(LabelFileError, match="frame '0.jpg': two labels have the same index"):
        ours('ins_seg', gt, pred, scores)


@pytest.mark.parametrize('task', TASKS)
def test_masks_of_another_size_are_told_with_both_sizes(tmp_path, task):
    gt, pred, scores = made_masks(tmp_path, task, 1)
    edited(pred / '1.png', lambda x: x[:-1])
    with pytest.raises(
        LabelFileError, match=r'1\.png: \(47, 80\) \(height, width\); its ground truth has \(48, 80\)'
    ):
        ours(task, gt, pred, scores)
