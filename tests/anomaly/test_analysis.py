"""sml's statistics, saved scores, the comparison figure and meta classification."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from sklearn.metrics import average_precision_score

from mmroad.abet.scores import build_scores
from mmroad.anomaly.class_statistics import ClassStatistics
from mmroad.anomaly.figure import excess, overlay
from mmroad.anomaly.io import load_map, load_probabilities, save_map, save_probabilities
from mmroad.anomaly.meta_classification import dispersion, leave_one_out, segments


def run(tool, *args):
    done = subprocess.run(
        [sys.executable, '-m', 'mmroad', *tool.split(), *map(str, args)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_statistics_are_those_of_all_pixels_at_once(tmp_path):
    torch.manual_seed(0)
    logits = torch.randn(6, 5, 8, 9) * 3 + 1000
    logits[:, 4] = 0  # never the largest
    logits[:, 3] = 0  # of one pixel in the first part
    logits[0, 3, 0, 0] = 1100
    statistics = ClassStatistics(5)
    for part in logits.split(2):
        statistics.update(part)
    result = statistics.result()
    value, label = logits.double().max(1)
    for c in range(4):
        assert result['mean'][c] == pytest.approx(value[label == c].mean().item(), rel=1e-9)
        assert result['var'][c] == pytest.approx(value[label == c].var(unbiased=False).item(), rel=1e-6)
    assert result['count'][4] == 0
    assert result['mean'][4] == pytest.approx(value.mean().item())
    assert result['var'][4] == pytest.approx(value.var(unbiased=False).item(), rel=1e-6)
    path = tmp_path / 'sml.json'
    path.write_text(json.dumps(result))
    score = build_scores([dict(type='sml', stats=str(path))])['sml'](logits, None)
    # standardized scores of a class have mean .3 and standard deviation .1
    assert score[label == 1].mean() == pytest.approx(0.3, abs=1e-3)
    assert score[label == 1].std(unbiased=False) == pytest.approx(0.1, abs=1e-3)
    with pytest.raises(ValueError, match='no logits'):
        ClassStatistics(2).result()
    with pytest.raises(ValueError, match='logits of 5 classes, but the statistics are of 2'):
        ClassStatistics(2).update(logits)
    logits[0, 2, 3, 3] = torch.nan
    with pytest.raises(ValueError, match='not finite'):
        statistics.update(logits)


@pytest.mark.parametrize(
    'content, message',
    [
        ('', 'the file is empty'),
        ('[' * 100_000, 'recursion'),
        ('[1, 2]', 'TypeError'),
        ('{"mean": [1]}', "KeyError: 'var'"),
        ('{"mean": [1, 2], "var": [1]}', 'one finite number a class'),
        ('{"mean": [1], "var": [0]}', 'var above 0'),
        ('{"mean": [NaN], "var": [1]}', 'not JSON'),
    ],
)
def test_statistics_that_cannot_be_used_are_named(tmp_path, content, message):
    path = tmp_path / 'sml.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=f'sml.json: not a file of .*{message}'):
        build_scores([dict(type='sml', stats=str(path))])
    path.write_text('{"mean": [1, 2], "var": [1, 1]}')
    score = build_scores([dict(type='sml', stats=str(path))])['sml']
    with pytest.raises(ValueError, match='statistics are of 2 classes, the logits of 3'):
        score(torch.zeros(1, 3, 2, 2), None)


def test_pictures():
    image = np.full((2, 3, 3), 100, np.uint8)
    mask = np.array([[0, 1, 255], [0, 0, 0]])
    tinted = overlay(image, mask)
    assert tinted[0].tolist() == [[100] * 3, [177, 114, 50], [0] * 3]
    red = excess(image, np.array([[0.0, 1, 2]] * 2), threshold=1, highest=2)
    assert (red[0, 0] == red[0, 0, 0]).all()
    assert red[0, 2].tolist() == [255, 0, 0] and red[0, 1, 0] > red[0, 1, 1]


def softmax(x):
    e = np.exp(x - x.max(0))
    return e / e.sum(0)


def scene(rng, classes=19, size=(40, 60)):
    """Sure probabilities but for two unsure squares: one on an unknown object, one not."""
    logits = rng.normal(0, 0.3, (classes, *size))
    logits[0] += 12
    mask = np.zeros(size, np.uint8)
    for unknown in (True, False):
        y, x = rng.integers(2, 25), rng.integers(2, 20) + 28 * (not unknown)
        logits[0, y : y + 9, x : x + 9] -= 12
        if unknown:
            mask[y : y + 9, x : x + 9] = 1
        else:
            logits[1:3, y : y + 9, x : x + 9] += 1.2  # between two classes
    return softmax(logits), mask


def test_segments_and_their_features():
    probs = np.zeros((3, 6, 7))
    probs[0] = 1
    probs[:, 1:4, 1:4] = 1 / 3
    probs[:, 4, 4] = 1 / 3  # touches the square at a corner: the same segment
    probs[:, 5, 0] = [0.4, 0.3, 0.3]
    mask = np.zeros((6, 7), int)
    mask[4, 4] = 1
    found = segments(probs, 0.7, mask)
    assert found.features.shape == (2, 43) and found.true.tolist() == [True, False]
    big = found.features[0]
    assert big[:5].tolist() == [10, 1, 9, pytest.approx(10 / 9), pytest.approx(1 / 9)]
    assert big[5] == pytest.approx(1) and big[6] == pytest.approx(1)  # entropy of all and of the interior
    assert big[10:15] == pytest.approx(0)  # its variances
    center = big[35:37]
    assert center == pytest.approx([22 / 10 / 6, 22 / 10 / 7])
    assert big[37:40] == pytest.approx([1 / 3] * 3)
    assert big[40:43] == pytest.approx([1, 0, 0])
    assert dispersion(probs)[:, 0, 0] == pytest.approx(0, abs=1e-9)
    none = segments(probs, 1.1)
    assert none.features.shape == (0, 43) and none.true is None
    # a pixel at the threshold is in
    at = float(dispersion(probs)[0, 5, 0])
    assert [len(segments(probs, t).features) for t in (at, np.nextafter(at, 2))] == [2, 1]
    with pytest.raises(ValueError, match='3 class probabilities are not finite'):
        segments(np.where(np.arange(7) == 3, np.nan, probs[:, :1]))


def test_features_are_those_of_the_definition():
    probs, mask = scene(np.random.default_rng(1), classes=4)
    probs[:, 0, :2] = probs[:, 39, 59:] = 0.25  # at two corners of the image
    found = segments(probs, 0.6, mask)
    assert len(found.features) > 3
    heat, classes, eight = dispersion(probs), probs.argmax(0), np.ones((3, 3), bool)
    assert dispersion(np.float64([0.4, 0.35, 0.25]).reshape(3, 1, 1))[1:].ravel() == pytest.approx(
        [0.95, 0.6]
    )
    for number, row in enumerate(found.features, 1):
        own = found.label == number
        inside = ndimage.binary_erosion(own, eight)
        ring = ndimage.binary_dilation(own, eight) & ~own
        parts = own, inside, own & ~inside
        n, n_in, n_bd = (part.sum() for part in parts)
        want = [n, n_in, n_bd, n / n_bd, n_in / n_bd]
        for values in heat:
            for moment in (np.mean, np.var):
                whole, inner, border = (moment(values[part]) if part.any() else 0 for part in parts)
                want += [whole, inner, border, whole * n / n_bd, inner * n_in / n_bd]
        want += [place.mean() / side for place, side in zip(np.nonzero(own), own.shape)]
        want += [p[own].mean() for p in probs] + [(classes[ring] == c).mean() for c in range(4)]
        assert row == pytest.approx(want, abs=1e-9)
        assert found.true[number - 1] == mask[own].any()


def test_meta_classification_removes_false_positives(tmp_path):
    rng = np.random.default_rng(0)
    images = [segments(*(lambda s: (s[0], 0.6, s[1]))(scene(rng))) for _ in range(8)]
    assert images[0].features.shape[1] == 75
    probability = leave_one_out(images)
    true = np.concatenate([image.true for image in images])
    assert ((np.concatenate(probability) > 0.5) == true).mean() > 0.9
    with pytest.raises(ValueError, match='nothing to learn'):
        leave_one_out([i._replace(true=np.ones_like(i.true)) for i in images])


def test_what_meta_classification_cannot_judge():
    rng = np.random.default_rng(0)
    images = [segments(*(lambda s: (s[0], 0.6, s[1]))(scene(rng))) for _ in range(3)]
    empty = segments(scene(rng)[0], 1.1, np.zeros((40, 60)))
    with pytest.raises(ValueError, match='a.png: .* at least two images'):
        leave_one_out(images[:1], ['a.png'])
    with pytest.raises(ValueError, match='no image: .* at least two images'):
        leave_one_out([])
    with pytest.raises(ValueError, match='no segment in any of 2 images: lower the threshold'):
        leave_one_out([empty, empty])
    with pytest.raises(ValueError, match='a.png cannot be judged: of 0 segments in the other 1 images'):
        leave_one_out([images[0], empty], ['a.png', 'b.png'])
    judged = leave_one_out([images[0], empty, images[1]])
    assert [len(p) for p in judged] == [2, 0, 2]


def test_tools_on_a_folder(tmp_path):
    rng = np.random.default_rng(1)
    for folder in ('masks', 'images'):
        (tmp_path / folder).mkdir()
    for i in range(6):
        probs, mask = scene(rng)
        Image.fromarray(mask).save(tmp_path / f'masks/{i}.png')
        Image.fromarray(np.repeat(mask[..., None] * 90, 3, 2)).save(tmp_path / f'images/{i}.jpg')
        save_map(tmp_path / f'scores/msp/{i}', 1 - probs.max(0))
        save_map(tmp_path / f'scores/entropy/{i}', dispersion(probs)[0])
        save_probabilities(tmp_path / f'scores/probs/{i}.npz', probs)
    out = run(
        'scores compare', tmp_path / 'scores', '--images', tmp_path / 'images', '--masks',
        tmp_path / 'masks', '--out', tmp_path / 'f.png', '--rows', 2, '--json', tmp_path / 'f.json',
    )  # fmt: skip
    measures = json.loads((tmp_path / 'f.json').read_text())
    truth = np.concatenate([np.asarray(Image.open(tmp_path / f'masks/{i}.png')).ravel() for i in range(6)])
    values = np.concatenate([load_map(tmp_path / f'scores/msp/{i}.npz').ravel() for i in range(6)])
    assert measures['msp']['ap'] == pytest.approx(average_precision_score(truth == 1, values))
    assert 'msp' in out and Image.open(tmp_path / 'f.png').size[0] > 500
    out = run(
        'scores meta', tmp_path / 'scores', '--masks', tmp_path / 'masks', '--threshold', 0.6,
        '--out', tmp_path / 'kept',
    )  # fmt: skip
    assert '75 features' in out and len(list((tmp_path / 'kept').glob('*.png'))) == 6
    before = (tmp_path / 'masks/0.png').read_bytes()
    command = [
        sys.executable,
        *('-m', 'mmroad', 'scores', 'meta'),
        tmp_path / 'scores',
        '--masks',
        tmp_path / 'masks',
    ]
    command += ['--threshold', '0.6', '--out', tmp_path / 'masks']
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 1 and 'would replace' in done.stderr
    assert (tmp_path / 'masks/0.png').read_bytes() == before
    (tmp_path / 'masks/0.png').unlink()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert '0.png: no mask of 0 (1 of 6 images have none)' in done.stderr
    (tmp_path / 'scores/probs').rename(tmp_path / 'scores/other')
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert 'no class probabilities; `mmroad scores save --probs` writes them' in done.stderr


PROBS = np.zeros((3, 4, 6), np.float16)


@pytest.mark.parametrize(
    'content, kind, message',
    [
        (b'', ValueError, 'not a file of class probabilities that can be read'),
        (b'PK\x03\x04 cut', ValueError, 'not a file of class probabilities that can be read'),
        (b'<html>404</html>', ValueError, 'not a file of class probabilities that can be read'),
        (
            np.zeros(3),
            ValueError,
            'not a file of class probabilities that can be read',
        ),  # .npy under this name
        (dict(probs=np.array([None])), ValueError, 'not a file of class probabilities that can be read'),
        ({}, KeyError, 'no array "probs"; there are none'),
        (dict(value=PROBS, meta=PROBS), KeyError, 'no array "probs"; there are value, meta'),
        (dict(probs=PROBS[0]), ValueError, r'an array \(4, 6\) of float16, expected class probabilities'),
        (dict(probs=PROBS.astype(int)), ValueError, r'an array \(3, 4, 6\) of int64, expected'),
    ],
)
def test_files_that_hold_no_probabilities_are_named(tmp_path, content, kind, message):
    file = tmp_path / 'x.npz'
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        with file.open('wb') as out:
            np.save(out, content) if isinstance(content, np.ndarray) else np.savez(out, **content)
    with pytest.raises(kind, match=f'x.npz: {message}'):
        load_probabilities(file)
    save_probabilities(file, PROBS + 0.5)
    assert load_probabilities(file).dtype == np.float16 and (load_probabilities(file) == 0.5).all()
    whole = file.read_bytes()
    for cut in (len(whole) // 3, len(whole) - 30):
        file.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match='x.npz: not a file of class probabilities'):
            load_probabilities(file)


def test_arrays_are_written_whole_or_not(tmp_path, monkeypatch):
    save_probabilities(tmp_path / 'x.npz', PROBS)
    before = (tmp_path / 'x.npz').read_bytes()
    monkeypatch.setattr(np, 'savez', lambda file, **_: file.write(b'half') and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_probabilities(tmp_path / 'x.npz', PROBS)
    assert (tmp_path / 'x.npz').read_bytes() == before and len(list(tmp_path.iterdir())) == 1
