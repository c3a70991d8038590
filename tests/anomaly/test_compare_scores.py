"""What compare_scores.py refuses, by name, before it measures anything."""

import numpy as np
import pytest
from PIL import Image

from mmroad.anomaly.saved_scores import save_scores
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
        scores = dict(msp=rng.random((3, 4)), entropy=rng.random((3, 4)))
        save_scores(tmp_path / f'scores/{name}.npz', scores, mask)
    return tmp_path, mask


def test_what_differs_between_images_is_named(saved):
    folder, mask = saved
    scores, masks = str(folder / 'scores'), folder / 'masks'
    images = compare.load([scores, f'again={scores}'], masks)
    assert list(images) == ['a', 'b']
    assert list(images['a'][1]) == ['msp', 'entropy', 'again msp', 'again entropy']
    with pytest.raises(
        ValueError, match=r'a\.npz: msp is in another folder too; tell them apart with NAME=FOLDER'
    ):
        compare.load([scores, scores], masks)
    save_scores(folder / 'scores/b.npz', dict(msp=np.zeros((3, 4))), mask)
    with pytest.raises(ValueError, match='b: no score entropy, which other images have'):
        compare.load([scores], masks)
    save_scores(folder / 'scores/b.npz', {}, mask)
    with pytest.raises(ValueError, match=r'b\.npz: no array score_NAME; there are classes'):
        compare.load([scores], masks)
    values = np.zeros((3, 4))
    values[0, 3] = np.nan  # left out
    save_scores(folder / 'scores/b.npz', dict(msp=values, entropy=values), mask)
    compare.load([scores], masks)
    values[0, 0] = np.nan
    save_scores(folder / 'scores/b.npz', dict(msp=values, entropy=values), mask)
    with pytest.raises(ValueError, match=r'b\.npz: score_msp holds values that are not numbers'):
        compare.load([scores], masks)


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


@pytest.mark.parametrize('case', ['one kind', 'other size', 'no ending'])
def test_the_tool_ends_with_the_reason(case, saved, capsys):
    folder, mask = saved
    out = folder / 'new/f.png'
    message = 'is (5, 4), its mask (3, 4)'
    if case == 'one kind':
        message = '0 of 18 pixels are outliers'
        for name in 'ab':
            Image.fromarray(np.where(mask == 255, 255, 0).astype(np.uint8)).save(folder / f'masks/{name}.png')
    elif case == 'other size':
        Image.fromarray(np.zeros((5, 4, 3), np.uint8)).save(folder / 'images/a.jpg')
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
