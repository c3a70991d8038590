"""Files for servers: written, checked, and every kind of damage told."""

import json
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmroad.anomaly.io import load_map, save_map
from mmroad.commands import main

SIZE = (24, 32)


def run(capsys, *command):
    """Exit status and what was printed; a usage error is status 2."""
    try:
        main(['submit', *map(str, command)])
        status = 0
    except SystemExit as end:
        status = end.code
    return status, capsys.readouterr().out


def image(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*size, 3), np.uint8))


@pytest.fixture
def smiyc(tmp_path):
    """The obstacle track in small, with maps of every image."""
    rng = np.random.default_rng(0)
    for stem in ('validation_1', 'darkasphalt_dog_3'):
        image(tmp_path / f'my data/dataset_ObstacleTrack/images/{stem}.webp')
        save_map(tmp_path / 'maps' / stem, rng.normal(size=SIZE).astype(np.float32))
    return tmp_path


def written_smiyc(capsys, root):
    command = ['smiyc', root / 'maps', '--data', root / 'my data', '--method', 'Mine', '--out', root / 'out']
    status, said = run(capsys, *command)
    assert not status, said
    return root / 'out/anomaly_p/Mine/ObstacleTrack-all', said


def test_smiyc_is_float16_in_the_folders_of_the_official_code(smiyc, capsys):
    import h5py

    folder, said = written_smiyc(capsys, smiyc)
    assert '2 maps of Mine on ObstacleTrack-all: 0 problems' in said and 'no maps of AnomalyTrack-all' in said
    with h5py.File(folder / 'validation_1.hdf5') as file:
        assert file['value'].dtype == np.float16 and file['value'].shape == SIZE
        assert np.array_equal(file['value'][()], load_map(smiyc / 'maps/validation_1.npz').astype(np.float16))
    again, _ = run(capsys, 'smiyc', smiyc / 'out', '--check', '--data', smiyc / 'my data')
    assert again == 0


def test_smiyc_tells_names_types_values_and_sizes(smiyc, capsys):
    import h5py

    folder, _ = written_smiyc(capsys, smiyc)
    with h5py.File(folder / 'validation_1.hdf5', 'w') as file:
        file['value'] = np.full((3, 4), np.nan, np.float32)
    (folder / 'darkasphalt_dog_3.hdf5').rename(folder / 'other.hdf5')
    (folder / 'readme.txt').write_text('x')
    status, said = run(capsys, 'smiyc', smiyc / 'out', '--check', '--data', smiyc / 'my data')
    assert status == 1
    for text in (
        '1 of 2 maps of Mine on ObstacleTrack-all are missing: darkasphalt_dog_3',
        'are not expected: other',
        'values of float32, expected float16',
        '12 values are NaN or infinite',
        '(3, 4), its image is (24, 32)',
        'readme.txt: expected anomaly_p/METHOD/',
    ):
        assert text in said, text
    (folder / 'other.hdf5').write_bytes(b'no hdf5')
    assert 'no dataset "value" that can be read' in run(capsys, 'smiyc', smiyc / 'out', '--check')[1]


def test_nothing_is_written_where_a_map_is_missing(smiyc, capsys):
    (smiyc / 'maps/validation_1.npz').unlink()
    command = [
        'smiyc',
        smiyc / 'maps',
        '--data',
        smiyc / 'my data',
        '--method',
        'Mine',
        '--out',
        smiyc / 'out',
    ]
    status, _ = run(capsys, *command)
    assert 'no anomaly map' in status and not (smiyc / 'out').exists()
    command[5] = 'a,b'
    assert 'separates names by commas' in run(capsys, *command)[0]
    assert run(capsys, 'smiyc', smiyc / 'maps', '--out', smiyc / 'out')[0] == 2


def test_the_anomaly_track_has_110_images(smiyc, capsys):
    image(smiyc / 'my data/dataset_AnomalyTrack/images/validation0000.jpg')
    save_map(smiyc / 'maps/validation0000', np.zeros(SIZE, np.float32))
    command = [
        'smiyc',
        smiyc / 'maps',
        '--data',
        smiyc / 'my data',
        '--method',
        'Mine',
        '--out',
        smiyc / 'out',
    ]
    status, said = run(capsys, *command)
    assert status == 1 and 'has 1 images of AnomalyTrack-all, the published set 110' in said


def test_fishyscapes_writes_two_arrays_an_image(tmp_path, capsys):
    for number in range(2):
        stem = f'{number:04d}_04_Maurener_Weg_8_000000_000030_rgb'
        image(tmp_path / f'in/{stem}.png')
        save_map(tmp_path / 'maps' / stem, np.full(SIZE, number, np.float32))
        (tmp_path / 'classes').mkdir(exist_ok=True)
        Image.fromarray(np.full(SIZE, 18, np.uint8)).save(tmp_path / f'classes/{stem}.png')
    command = ['fishyscapes', tmp_path / 'maps', '--data', tmp_path / 'in', '--classes', tmp_path / 'classes']
    status, said = run(capsys, *command, '--out', tmp_path / 'out')
    assert not status and '2 anomaly arrays, 2 segmentation arrays: 0 problems' in said
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        f'000{i}_{what}.npy' for i in range(2) for what in ('anomaly', 'segmentation')
    ]
    assert np.load(tmp_path / 'out/0001_anomaly.npy').max() == 1
    np.save(tmp_path / 'out/0000_segmentation.npy', np.full(SIZE, 20))
    np.save(tmp_path / 'out/0001_segmentation.npy', np.zeros(SIZE))
    np.save(tmp_path / 'out/0001_anomaly.npy', np.zeros((2, 2)))
    (tmp_path / 'out/0000_anomaly.npy').unlink()
    status, said = run(capsys, 'fishyscapes', tmp_path / 'out', '--check', '--data', tmp_path / 'in')
    assert status == 1 and 'classes from 20 to 20' in said and 'classes of float64' in said
    assert '(2, 2), its image is (24, 32)' in said and 'are missing: 0000_anomaly.npy' in said


def frames(*names, **changes):
    label = dict(id='0', category='car', score=0.5, box2d=dict(x1=1, y1=2, x2=9, y2=8)) | changes
    return json.dumps(dict(frames=[dict(name=name, labels=[label]) for name in names]))


@pytest.mark.parametrize('end', ['json', 'zip'])
def test_bdd100k_detection(tmp_path, capsys, end):
    image(tmp_path / 'test/a.jpg')
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/det.json').write_text(frames('a.jpg'))
    target = tmp_path / f'up/det.{end}'
    status, said = run(capsys, 'bdd100k-det', tmp_path / 'out', '--data', tmp_path / 'test', '--out', target)
    assert not status and '1 frames, 1 boxes: 0 problems' in said and target.is_file()


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (dict(category='dog'), "category 'dog'"),
        (dict(score=None), 'score None'),
        (dict(id=None), 'no id'),
        (dict(box2d=None), 'no box2d'),
        (dict(box2d=dict(x1=9, y1=2, x2=1, y2=8)), 'the far corner'),
    ],
)
def test_bdd100k_detection_tells_what_is_wrong(tmp_path, capsys, changes, said):
    (tmp_path / 'det.json').write_text(frames('a.jpg', **changes))
    status, printed = run(capsys, 'bdd100k-det', tmp_path / 'det.json', '--check')
    assert status == 1 and said in printed
    (tmp_path / 'det.json').write_text(frames('a.jpg', 'a.jpg'))
    assert (
        'carried by several frames: a.jpg' in run(capsys, 'bdd100k-det', tmp_path / 'det.json', '--check')[1]
    )


@pytest.mark.parametrize(('task', 'largest'), [('sem_seg', 18), ('drivable', 2)])
def test_bdd100k_masks(tmp_path, capsys, task, largest):
    for stem in 'ab':
        image(tmp_path / f'test/{stem}.jpg')
        (tmp_path / 'out/masks').mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full(SIZE, largest, np.uint8)).save(tmp_path / f'out/masks/{stem}.png')
    command = [f'bdd100k-{task}', tmp_path / 'out', '--data', tmp_path / 'test', '--out', tmp_path / 'o.zip']
    status, said = run(capsys, *command)
    assert not status and '2 masks: 0 problems' in said
    assert sorted(zipfile.ZipFile(tmp_path / 'o.zip').namelist()) == ['a.png', 'b.png']
    Image.fromarray(np.full((5, 5), largest + 1, np.uint8)).save(tmp_path / 'out/masks/a.png')
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / 'out/masks/b.png')
    status, said = run(capsys, *command)
    assert status == 1 and f'values {largest + 1}; classes are 0 to {largest}' in said
    assert '(5, 5), its image is (24, 32)' in said and 'PNG of mode RGB' in said


def test_bdd100k_instances(tmp_path, capsys):
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[:4, :4] = 3, 0, 0, 7
    (tmp_path / 'out/bitmasks').mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / 'out/bitmasks/a.png')
    scores = [dict(name='a.jpg', labels=[dict(id='1', index=7, score=0.5)])]
    (tmp_path / 'out/score.json').write_text(json.dumps(scores))
    command = ['bdd100k-ins_seg', tmp_path / 'out', '--out', tmp_path / 'o.zip']
    assert run(capsys, *command)[0] == 0
    (tmp_path / 'out/score.json').write_text(json.dumps([dict(name='a.jpg', labels=[])]))
    status, said = run(capsys, *command)
    assert status == 1 and 'instances 7 have no score' in said


def test_bdd100k_tracks(tmp_path, capsys):
    box = dict(category='car', score=0.5, box2d=dict(x1=1, y1=2, x2=9, y2=8))
    frames = [
        dict(name=f'v-{i}.jpg', videoName='v', frameIndex=i, labels=[box | dict(id='1')]) for i in range(2)
    ]
    for frame in frames:
        image(tmp_path / 'test/v' / frame['name'])
    (tmp_path / 'out').mkdir()
    path, command = tmp_path / 'out/box_track.json', ['bdd100k-box_track', tmp_path / 'out']
    path.write_text(json.dumps(dict(frames=frames)))
    command += ['--data', tmp_path / 'test', '--out', tmp_path / 'o.zip']
    status, said = run(capsys, *command)
    assert not status and '1 videos, 2 frames, 2 boxes: 0 problems' in said
    frames[0]['labels'] *= 2
    frames[1] = dict(name='w.jpg', labels=[box])
    path.write_text(json.dumps(dict(frames=frames)))
    status, said = run(capsys, *command)
    for text in (
        'are missing: v-1.jpg',
        'not expected: w.jpg',
        'no videoName: w.jpg',
        'no frameIndex: w.jpg',
        'no id: w.jpg',
        '1 ids are twice in a frame: v-0.jpg',
    ):
        assert text in said, text


def rle(size=SIZE):
    from pycocotools.mask import encode

    code = encode(np.asfortranarray(np.ones(size, np.uint8)))
    return dict(size=list(size), counts=code['counts'].decode())


def test_lvis(tmp_path, capsys):
    known = dict(images=[dict(id=5, height=SIZE[0], width=SIZE[1])], categories=[dict(id=3, name='x')])
    (tmp_path / 'info.json').write_text(json.dumps(known))
    good = dict(image_id=5, category_id=3, bbox=[1, 2, 3, 4], segmentation=rle())
    (tmp_path / 'r.json').write_text(json.dumps([good | dict(score=i / 400) for i in range(310)]))
    command = ['lvis', tmp_path / 'r.json', '--annotations', tmp_path / 'info.json']
    status, said = run(capsys, *command, '--out', tmp_path / 'up.json')
    assert not status and '300 detections: 0 problems' in said
    kept = json.loads((tmp_path / 'up.json').read_text())
    assert len(kept) == 300 and min(d['score'] for d in kept) == 10 / 400
    assert 'more than 300 detections' in run(capsys, *command, '--check')[1]
    bad = [dict(image_id=6), dict(category_id=4), dict(bbox=[1, 2]), dict(segmentation=rle((2, 2)))]
    (tmp_path / 'r.json').write_text(json.dumps([good | dict(score=1) | change for change in bad]))
    status, said = run(capsys, *command, '--check')
    assert status == 1 and '4 problems' in said


def test_ytvis(tmp_path, capsys):
    known = dict(
        videos=[dict(id=1, length=2, height=SIZE[0], width=SIZE[1])], categories=[dict(id=3, name='x')]
    )
    (tmp_path / 'info.json').write_text(json.dumps(known))
    track = dict(video_id=1, category_id=3, score=0.5, segmentations=[rle(), None])
    (tmp_path / 'results.json').write_text(json.dumps([track]))
    command = ['ytvis', tmp_path, '--annotations', tmp_path / 'info.json']
    status, said = run(capsys, *command, '--out', tmp_path / 'up')
    assert not status and '1 tracks: 0 problems' in said
    assert zipfile.ZipFile(tmp_path / 'up/results.zip').namelist() == ['results.json']
    for change, text in (
        (dict(segmentations=[rle()]), '1 masks, the video has 2 frames'),
        (dict(video_id=2), 'no video of this id'),
        (dict(segmentations=[None, rle((2, 2))]), 'frame 1: a mask of [2, 2]'),
    ):
        with zipfile.ZipFile(tmp_path / 'bad.zip', 'w') as archive:
            archive.writestr('results.json', json.dumps([track | change]))
        status, said = run(capsys, 'ytvis', tmp_path / 'bad.zip', '--check', *command[2:])
        assert status == 1 and text in said
    with zipfile.ZipFile(tmp_path / 'bad.zip', 'w') as archive:
        archive.writestr('out/results.json', '[]')
    assert 'no results.json at its top' in run(capsys, 'ytvis', tmp_path / 'bad.zip', '--check')[0]


def test_what_is_no_archive_is_told(tmp_path, capsys):
    path = tmp_path / 'cut.zip'
    path.write_bytes(b'PK\x03\x04cut')
    assert 'neither a folder nor a zip archive' in run(capsys, 'bdd100k-sem_seg', path, '--check')[0]
    shutil.rmtree(tmp_path)
    assert 'no such file or folder' in run(capsys, 'bdd100k-sem_seg', path, '--check')[0]
    assert Path(path).exists() is False
    assert run(capsys, 'lvis', 'x.json', '--check', '--method', 'x')[0] == 2
