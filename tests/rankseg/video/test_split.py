"""Holding out videos of an annotation file: what the tool refuses, and what it never replaces."""

import json

import pytest

from mmroad.commands import main


def content(categories=(1, 1, 1, 2, 2), **changes):
    videos = [dict(id=i, file_names=[f'{i}.jpg']) for i in range(len(categories))]
    tracks = [dict(id=i + 1, video_id=i, category_id=c) for i, c in enumerate(categories)]
    return (
        dict(videos=videos, annotations=tracks, categories=[dict(id=1, name='a'), dict(id=2, name='b')])
        | changes
    )


@pytest.fixture
def split(tmp_path):
    def run(data, *options, name='train.json'):
        (tmp_path / name).write_text(data if isinstance(data, str) else json.dumps(data))
        main(['data', 'split-ytvis', str(tmp_path / name), *options])
        return [json.loads((tmp_path / f'{part}.json').read_text()) for part in ('train_split', 'holdout')]

    return run


def test_ids_in_text_are_matched(split):
    data = content()
    for track in data['annotations']:
        track['video_id'] = str(track['video_id'])
    train, held = split(data)
    assert (
        [len(part['videos']) for part in (train, held)]
        == [len(part['annotations']) for part in (train, held)]
        == [3, 2]
    )
    assert {track['video_id'] for track in held['annotations']} == {video['id'] for video in held['videos']}


@pytest.mark.parametrize('name', ['train_split.json', 'holdout.json'])
def test_the_source_stays(split, tmp_path, name):
    with pytest.raises(SystemExit, match=f'{name} would replace .*source'):
        split(content(), name=name)
    assert json.loads((tmp_path / name).read_text()) == content() and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    'data, options, message',
    [
        (content(annotations=[dict(id=1, video_id=9, category_id=1)]), [], 'annotation 1 .* video_id is 9'),
        (
            content(annotations=[dict(id=1, video_id=0, category_id=9)]),
            [],
            'annotation 1 .* category_id is 9',
        ),
        (content([1, 2]), [], 'no category has two videos'),
        (content(), ['--fraction', '1.5'], '--fraction is 1.5'),
        ('[', [], 'train.json: not JSON'),
    ],
)
def test_refused(split, tmp_path, data, options, message):
    with pytest.raises(SystemExit, match=message):
        split(data, *options)
    assert [path.name for path in tmp_path.iterdir()] == ['train.json']
