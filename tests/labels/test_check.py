"""What the check finds, and the page that it writes."""

import json
import re

import cv2
import numpy as np
import pytest

from mmroad.commands import main
from mmroad.labels.check import KINDS, check, summary
from mmroad.labels.form import Box, Image, LabelSet
from mmroad.labels.stats import statistics, table


@pytest.fixture
def data(tmp_path):
    """A COCO data set in which everything is wrong once."""
    rng = np.random.default_rng(0)
    for name in 'abcd':
        cv2.imwrite(str(tmp_path / f'{name}.png'), rng.integers(0, 255, (40, 60, 3), np.uint8))
    (tmp_path / 'copy.png').write_bytes((tmp_path / 'a.png').read_bytes())
    (tmp_path / 'broken.png').write_bytes(b'no image')
    names = ['a.png', 'b.png', 'broken.png', 'gone.png', 'b.png']
    boxes = [
        (0, 'x', [1, 1, 9, 9]),
        (0, 'x', [1, 1, 9, 9]),
        (0, 'x', [70, 1, 9, 9]),
        (1, 'x', [50, 1, 30, 9]),
    ]
    boxes += [
        (1, 'x', [0, 0, 60, 39]),
        (1, 'x', [3, 3, 1, 9]),
        *[(2, 'x', [1, 1, 5, 5])] * 220,
        (1, 'y', [1, 1, 5, 5]),
    ]
    sets = dict(train=(names, boxes), val=(['copy.png', 'd.png'], [(0, 'z', [1, 1, 9, 9])]))
    ids = dict(x=1, y=2, z=3)
    for split, (names, boxes) in sets.items():
        content = dict(
            images=[
                dict(id=i, file_name=name, width=60, height=41 if name == 'b.png' else 40)
                for i, name in enumerate(names)
            ],
            annotations=[
                dict(id=i, image_id=k, category_id=ids[n], bbox=b) for i, (k, n, b) in enumerate(boxes)
            ],
            categories=[dict(id=i, name=name) for name, i in ids.items()],
        )
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    return tmp_path


def test_everything_is_found_and_shown(data, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(['labels', 'check', str(data), '--out', str(tmp_path / 'out')])
    assert ended.value.code == 1
    said = capsys.readouterr().out
    found = {f['kind']: f for f in json.loads((tmp_path / 'out/check.json').read_text())['findings']}
    counts = {kind: f['count'] for kind, f in found.items()}
    assert counts == dict(
        missing=1, unreadable=1, size=2, leak=2, same_name=1, outside=1, duplicate=2, beyond=1, tiny=1, huge=1,
        twice=220, empty=3, few=1, imbalance=2, unseen=1,
    )  # fmt: skip
    assert [f['wrong'] for f in found.values()] == sorted((f['wrong'] for f in found.values()), reverse=True)
    assert {(p['split'], p['image']) for p in found['leak']['places']} == {
        ('train', 'a.png'),
        ('val', 'copy.png'),
    }
    assert found['outside']['places'] == [dict(split='train', image='a.png', box=[70, 1, 79, 10])]
    assert re.search(r'^WRONG 1 images are not there: train: gone\.png$', said, re.MULTILINE)
    page = (tmp_path / 'out/check.html').read_text()
    assert page.count('<h2>') == len(counts) and page.count('data:image/jpeg;base64,') > 8


def test_a_clean_set_has_nothing_to_say(folder, capsys):
    boxes = [Box('a', i, 1, i + 9, 9) for i in range(20)]
    labels = {'train': LabelSet([Image('four.jpg', boxes, 32, 27)], ('a',), 'made', folder)}
    assert check(labels) == [] and summary([]) == 'nothing wrong was found\n'
    assert set(KINDS) > {'leak'}


def test_statistics_count(sets):
    numbers = {split: statistics(labels) for split, labels in sets.items()}
    assert numbers['train']['classes']['person'] == dict(boxes=2, images=1)
    assert (numbers['train']['boxes'], numbers['train']['crowds'], numbers['train']['ignored']) == (5, 1, 1)
    assert numbers['val']['empty'] == 1 and numbers['val']['areas'] == dict(small=1, medium=0, large=0)
    text = table(numbers)
    assert (
        re.search(r'forklift +2 in 1 images +1 in 1 images', text)
        and 'image sizes of val: 1 of 32x26' in text
    )


def test_the_command_converts_and_tells_what_is_not_kept(sets, tmp_path, folder, capsys):
    from mmroad.labels.formats import write

    write(sets, 'coco', tmp_path / 'coco')
    with pytest.raises(SystemExit) as ended:
        main(
            [
                'labels',
                'convert',
                str(tmp_path / 'coco'),
                str(tmp_path / 'y'),
                '--to',
                'yolo',
                '--images',
                str(folder),
            ]
        )
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert '4 images, 6 boxes of 3 classes' in said and '4 images are linked' in said
    assert 'not kept: 2 crowds and ignored regions are left out (first in hall/one.png)' in said
    main(['labels', 'stats', str(tmp_path / 'y'), '--out', str(tmp_path / 'stats.json')])
    assert json.loads((tmp_path / 'stats.json').read_text())['val']['images'] == 2
    with pytest.raises(SystemExit) as ended:
        main(['labels', 'convert', str(tmp_path / 'coco'), str(tmp_path / 'z'), '--to', 'yol'])
    assert ended.value.code == 2
