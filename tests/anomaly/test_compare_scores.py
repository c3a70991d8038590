"""What `mmroad scores compare` refuses, by name, before it measures anything."""

import numpy as np
import pytest
from PIL import Image

from mmroad.anomaly.io import save_map
from mmroad.anomaly.map_folders import common_names, mask_paths, read_scores, score_folders
from mmroad.commands import main
from mmroad.commands.scores import compare


@pytest.fixture
def saved(tmp_path):
    """Two images with two scores each."""
    rng = np.random.default_rng(0)
    for folder in ('masks', 'images'):
        (tmp_path / folder).mkdir()
    mask = np.uint8([[0, 0, 1, 255]] * 3)
    for name in 'ab':
        Image.fromarray(mask).save(tmp_path / f'masks/{name}.png')
        Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / f'images/{name}.jpg')
        for score in ('msp', 'entropy'):
            save_map(tmp_path / f'scores/{score}/{name}', rng.random((3, 4)))
    return tmp_path, mask


def test_folders_of_maps_are_scores(saved):
    folder, mask = saved
    scores = folder / 'scores'
    (scores / 'classes').mkdir()
    Image.fromarray(mask).save(scores / 'classes/a.png')  # a label map, no anomaly map
    found = score_folders([str(scores), f'again={scores}', f'one={scores}/msp'])
    assert list(found) == ['entropy', 'msp', 'again entropy', 'again msp', 'one']
    assert common_names(found) == ['a', 'b']
    (name, labels, maps), _ = read_scores(found, mask_paths(folder / 'masks', ['a', 'b']))
    assert name == 'a' and (labels == mask).all() and (maps['msp'] == maps['one']).all()
    with pytest.raises(ValueError, match='msp are both called msp: tell them apart with NAME=FOLDER'):
        score_folders([str(scores), str(scores / 'msp')])
    for empty in (folder / 'images', folder / 'none'):
        with pytest.raises(FileNotFoundError, match='no anomaly map|no such folder'):
            score_folders([str(empty)])


def test_what_differs_between_images_is_named(saved):
    folder, _ = saved
    found = score_folders([str(folder / 'scores')])
    save_map(folder / 'scores/msp/c', np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r'entropy: no map of c, which other scores have \(1 of 3'):
        common_names(found)
    with pytest.raises(FileNotFoundError, match=r'c\.png: no mask of c \(1 of 2 images have none\)'):
        mask_paths(folder / 'masks', ['a', 'c'])
    save_map(folder / 'scores/msp/b', np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r'b\.npz: the map is \(5, 4\), its mask .*b\.png is \(3, 4\)'):
        list(read_scores(found, mask_paths(folder / 'masks', ['b'])))
    np.savez(folder / 'scores/msp/b.npz', score_msp=np.zeros((3, 4)))  # as older versions wrote it
    with pytest.raises(KeyError, match='no array "anomaly"; there are score_msp'):
        list(read_scores(found, mask_paths(folder / 'masks', ['b'])))


def test_pictures_that_are_missing_or_doubled_are_named(saved):
    folder, _ = saved
    images = folder / 'images'
    (images / '._a.jpg').write_bytes(b'macOS')
    assert compare.find_images(images, ['a', 'b']) == {name: images / f'{name}.jpg' for name in 'ab'}
    (images / 'a.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'a\.jpg and .*a\.png have one name'):
        compare.find_images(images, ['a', 'b'])
    (images / 'b.jpg').unlink()
    (images / 'a.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'no picture of b \(1 of 2 have none\)'):
        compare.find_images(images, ['a', 'b'])


@pytest.mark.parametrize('case', ['one kind', 'other size', 'no ending', 'not a number'])
def test_the_tool_ends_with_the_reason(case, saved, capsys):
    folder, mask = saved
    out = folder / 'new/f.png'
    message = 'is (5, 4), its mask (3, 4)'
    if case == 'one kind':
        message = 'no outlier pixels: nothing can be scored'
        for name in 'ab':
            Image.fromarray(np.where(mask == 255, 255, 0).astype(np.uint8)).save(folder / f'masks/{name}.png')
    elif case == 'other size':
        Image.fromarray(np.zeros((5, 4, 3), np.uint8)).save(folder / 'images/a.jpg')
    elif case == 'not a number':
        message = 'msp/b.npz: anomaly scores that are not numbers (NaN)'
        np.savez(folder / 'scores/msp/b.npz', anomaly=np.float64([[0, 0, np.nan, 0]] * 3))
    else:
        out, message = folder / 'f', 'the ending says the format'
    arguments = [
        str(folder / 'scores'),
        '--images',
        folder / 'images',
        '--masks',
        folder / 'masks',
        '--out',
        out,
    ]
    with pytest.raises(SystemExit) as told:
        main(['scores', 'compare', *map(str, arguments)])
    assert message in str(told.value)
    assert ('AUROC' in capsys.readouterr().out) == (case == 'other size')  # the table is printed all the same
