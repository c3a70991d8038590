"""What values on the command line mean."""

import math

import pytest
from mmengine.config import Config, DictAction

from mmroad.zoo.options import add_import, merge_options, parse_value


@pytest.mark.parametrize(
    'text, value',
    [
        ('1', 1), ('-1', -1), ('1e-3', 0.001), ('0.5', 0.5), ('inf', math.inf),
        ('True', True), ('true', True), ('FALSE', False), ('None', None), ('none', None),
        ("'x'", 'x'), ('"a, b"', 'a, b'), ("'12'", '12'), ('', ''), (' ', ' '),
        ('[1,2]', [1, 2]), ('[1, 2]', [1, 2]), ('1,2', [1, 2]), ('(1,2)', (1, 2)), ('1,', [1]), ('[]', []),
        ('a,b', ['a', 'b']), ('[a,b]', ['a', 'b']), ('(a,b)', ('a', 'b')), ('[(a,b),(c,1)]', [('a', 'b'), ('c', 1)]),
        ("('traffic light','car')", ('traffic light', 'car')),
        ('[traffic light, car]', ['traffic light', 'car']),
        ("['a, b', 'c']", ['a, b', 'c']),
        ("{'type': 'SGD', 'lr': 0.1}", dict(type='SGD', lr=0.1)),
        ('/media/My Passport/bdd100k/', '/media/My Passport/bdd100k/'),
        ('city street', 'city street'),
        ('/data/a,b/', '/data/a,b/'), ('rain, night', 'rain, night'), ('/data/1,2/x.json', '/data/1,2/x.json'),
        ("it's", "it's"), ('(1) images/', '(1) images/'), ('a(1,2', 'a(1,2'), ('x=y', 'x=y'), ('007', '007'),
        ('[a', '[a'), ('a b,c', 'a b,c'), ('日本, 東京', '日本, 東京'), ('1 + x', '1 + x'), ('--x', '--x'),
    ],
)  # fmt: skip
def test_values(text, value):
    got = parse_value(text)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    'text', ['1,2', 'a,b', '[1,2]', '[a,b]', '[(a,b),(c,d)]', '(1,2)', '3', '1.5', 'true', 'x']
)
def test_what_mmengine_documents_goes_on(text):
    assert parse_value(text) == DictAction._parse_iterable(text)


@pytest.mark.parametrize('text', ['2024', '20240131', '1.5', '0x10'])
def test_a_path_may_be_a_number(text):
    assert parse_value(text, 'data/bdd100k/') == text
    assert parse_value(text, 'dynamic') == parse_value(text) != text
    assert parse_value('none', 'data/bdd100k/') is None


def config():
    return Config(
        dict(
            data=dict(root='data/', classes=None, scenes=['x']),
            list=[dict(a=1), dict(a=2)],
            loss_scale='dynamic',
        )
    )


def test_options_are_merged():
    cfg = config()
    options = [
        'data.root=/a b,c/',
        'data.classes=car,traffic light',
        'list.1.a=[3, 4]',
        'new.key=a=b',
        'loss_scale=512.',
    ]
    merge_options(cfg, options)
    assert cfg.data.root == '/a b,c/' and cfg.data.classes == 'car,traffic light'
    assert cfg.list == [dict(a=1), dict(a=[3, 4])] and cfg.new.key == 'a=b' and cfg.loss_scale == 512.0
    merge_options(cfg, ["data.classes='car','traffic light'"])
    assert cfg.data.classes == ['car', 'traffic light']


def test_a_path_stays_a_text_where_words_would_be_a_list():
    cfg = config()
    merge_options(cfg, ['data.root=a,b', 'data.classes=a,b'])
    assert cfg.data.root == 'a,b' and cfg.data.classes == ['a', 'b']


def test_imports_are_added_once():
    cfg = Config(dict(custom_imports=dict(imports='a', allow_failed_imports=True)))
    for _ in range(2):
        add_import(cfg, 'b')
    assert cfg.custom_imports == dict(imports=['a', 'b'], allow_failed_imports=True)
    cfg = Config({})
    add_import(cfg, 'b')
    assert cfg.custom_imports == dict(imports=['b'], allow_failed_imports=False)
