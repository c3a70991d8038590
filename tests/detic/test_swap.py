"""Vocabularies that are named in a config, and data sets whose classes are compared with them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import BaseLoop

from mmroad.detic.check_vocabulary import VocabularyCheckHook
from mmroad.detic.make_vocabulary import make_vocabulary
from mmroad.detic.swap import VocabularySwap
from mmroad.detic.vocabulary import Vocabulary, own_columns, parse_names, save_vocabulary


def vocabulary(names):
    return Vocabulary(tuple(names), torch.randn(len(names), 512))


def test_a_list_is_a_list(tmp_path):
    """Names with commas stay whole, one name is one class."""
    own = ('car', 'flip, flop', 'bus')
    (tmp_path / 'own.txt').write_text('\n'.join(own))
    swap = VocabularySwap()
    for asked, want in (
        (['car'], ('car',)),
        (('flip, flop',), ('flip, flop',)),
        (['bus', 'flip, flop'], ('bus', 'flip, flop')),
        ('bus, car', ('bus', 'car')),
        ('car', ('car',)),
        (dict(walker='#car'), ('walker',)),
        (str(tmp_path / 'own.txt'), own),
    ):
        swap.init_vocabularies(dict(bus=['car']), asked, str(tmp_path / 'own.txt'))
        assert swap.class_names_of(swap.vocabulary) == want
        assert own_columns(swap.places_of(swap.vocabulary), 3, own) == [
            own.index(n.replace('walker', 'car')) for n in want
        ]
    swap.init_vocabularies(dict(bus=['car']), 'bus', own)  # the name of a vocabulary comes first
    assert swap.class_names_of('bus') == ('car',)
    swap.init_vocabularies(dict(bus=['car']), ['bus'], own)
    assert swap.class_names_of(swap.vocabulary) == ('bus',)
    with pytest.raises(ValueError, match='class names are text, not 3'):
        swap.init_vocabularies(None, ['car', 3], own)
    assert parse_names(['flip, flop', ' car ']) == ('flip, flop', 'car')
    made, _ = make_vocabulary('*', [saved(tmp_path, own)])
    assert made.names == own
    (tmp_path / 'some.txt').write_text('flip, flop\nwalker=car\n')
    assert make_vocabulary(f'@{tmp_path}/some.txt', [saved(tmp_path, own)])[0].names == (
        'flip, flop',
        'walker',
    )


def saved(tmp_path, names):
    save_vocabulary(vocabulary(names), tmp_path / 'saved.safetensors')
    return str(tmp_path / 'saved.safetensors')


class Swap(VocabularySwap):
    _num_classes = 3


def test_a_data_set_has_the_classes_of_the_vocabulary(tmp_path):
    swap = Swap()
    spec = dict(
        street=dict(car='#2', bus='#0'),
        file=saved(tmp_path, ['car', 'bus', 'dog']),
        bare=str(tmp_path / 'b.npy'),
    )
    np.save(tmp_path / 'b.npy', np.ones((2, 512)))
    swap.init_vocabularies(spec, None, ['traffic light', 'ant', 'car'])
    swap.check_classes(['Traffic_Light', 'ant', 'car'], 'a.json')
    swap.check_classes(['car', 'bus', 'dog'], 'a.json', 'file')
    swap.check_classes(['anything', 'else'], 'a.json', 'bare')  # a file without names
    swap.check_classes(['traffic light', 'ant'], 'a.json', first=True)  # boxes of the first classes
    for classes, name, words in (
        (
            ['traffic light', 'ant'],
            None,
            r"2 classes \(traffic light, ant\), the model's own 3 \(traffic light, ant, car\)",
        ),
        (
            ['ant', 'traffic light', 'car'],
            None,
            "other classes than the model's own: row 0: 'ant' and 'traffic light', row 1",
        ),
        (['bus', 'car', 'dog'], 'file', "other classes than the vocabulary 'file': row 0: 'bus' and 'car'"),
        (['car', 'bus', 'cat'], 'file', "row 2: 'cat' and 'dog'"),
        (['car', 'bus'], 'file', "the vocabulary 'file' 3 .car, bus, dog"),
        (['car'], 'bare', "the vocabulary 'bare' 2: labels are rows"),
        (['car', 'bus', 'dog'], 'street', "the vocabulary 'street' 2"),
    ):
        with pytest.raises(ValueError, match=words):
            swap.check_classes(classes, 'a.json', name)
    for classes in (['ant'], ['traffic light', 'ant', 'car', 'cow']):
        with pytest.raises(ValueError, match='a.json has'):
            swap.check_classes(classes[::-1], 'a.json', first=True)
    # class by class, as a written config has it: with its keys sorted
    swap.check_classes(['bus', 'car'], 'a.json', 'street')
    assert list(swap.vocabularies['street'].items()) == [('bus', '#0'), ('car', '#2')]


def test_a_run_with_other_classes_ends_before_it_begins():
    model = Swap()
    model.init_vocabularies(dict(two=dict(a='#0', b='#1')), None, ['a', 'b', 'c'])

    class Loop(BaseLoop):
        def __init__(self, *sets):
            self.dataloader = SimpleNamespace(dataset=SimpleNamespace(datasets=list(sets)))

        def run(self):
            pass

    def data(classes, **more):
        return SimpleNamespace(metainfo=dict(classes=classes), ann_file='x.json', **more)

    def run(train=(), test=()):
        loops = dict(_train_loop=Loop(*train), _val_loop=dict(), _test_loop=Loop(*test))
        VocabularyCheckHook().before_run(SimpleNamespace(model=model, **loops))

    run([data('abc')], [data('abc', vocabulary=None), SimpleNamespace(dataset=data('ab', vocabulary='two'))])
    with pytest.raises(ValueError, match='x.json has 2 classes'):
        run([data('abc'), data('ab')])
    with pytest.raises(ValueError, match='x.json has 3 classes .*vocabulary .two. 2'):
        run([data('abc')], [data('abc', vocabulary='two')])
    model.dynamic_classifier = 50
    run([data('ab')])
    model.vocabulary = 'two'  # training learns the model's own, whatever it is tested on
    run([data('abc')], [data('ab')])


def test_a_checkpoint_names_the_classes_where_nobody_else_did(tmp_path):
    """And a data set of another order is then refused before the run."""
    import mmroad
    from mmroad.zoo.configs import get_config
    from mmroad.zoo.models import build_model, load_weights, uninitialized

    cfg = get_config('BoxSup-C2_R18_drawn_shapes')
    with uninitialized():
        model = build_model(cfg)
    names = [f'class {i}' for i in range(12)]
    assert model.own_names() is None
    for given, want in ((names[:5], None), (names, tuple(names)), (names[::-1], tuple(names))):
        torch.save(
            dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=given))),
            tmp_path / 'a.pth',
        )
        load_weights(model, cfg, tmp_path / 'a.pth')
        assert model.own_names() == want
    model.check_classes(names, 'shapes.json', None)
    with pytest.raises(ValueError, match='shapes.json'):
        model.check_classes(names[::-1], 'shapes.json', None)
    assert mmroad.init_model('BoxSup-C2_R18_drawn_shapes', tmp_path / 'a.pth').own_names() == tuple(
        names[::-1]
    )
