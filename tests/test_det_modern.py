"""Detectors without a published result: they build with known numbers of parameters, and one finds words."""

import json

import numpy as np
import pytest
import torch
import yaml
from mmdet.models.layers.transformer.utils import coordinate_to_encoding
from mmengine.utils import import_modules_from_strings

from mmroad import inferencer
from mmroad.bdd100k.scalabel import DET_CLASSES
from mmroad.commands import main
from mmroad.detic.grounding_dino.model import _published_encoding
from mmroad.detic.vocabulary import Vocabulary, save_vocabulary
from mmroad.inference.words import WordsInferencer
from mmroad.zoo.configs import configs_folder, get_config
from mmroad.zoo.models import build_model, uninitialized

#: Millions of parameters of mmdet's own models with ten classes.
PARAMETERS = {
    'rtmdet-s_36e_bdd100k': 8.86,
    'rtmdet-m_36e_bdd100k': 24.67,
    'rtmdet-l_36e_bdd100k': 52.26,
    'dino_r50_12e_bdd100k': 47.69,
    'dino_swin-l_12e_bdd100k': 218.32,
    'ddq_r50_12e_bdd100k': 48.34,
}
WORDS = 'mm-grounding-dino_swin-t_zero_shot_bdd100k'


def test_every_config_has_its_entry_and_no_result():
    models = yaml.safe_load((configs_folder() / 'det_modern/metafile.yml').read_text())['Models']
    assert {m['Name'] for m in models} == {*PARAMETERS, WORDS}
    assert not any(m.get('Results') for m in models)


@pytest.mark.parametrize('name', PARAMETERS)
def test_parameters(name):
    cfg = get_config(name)
    import_modules_from_strings(**cfg.custom_imports)
    with uninitialized():
        model = build_model(cfg)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(PARAMETERS[name], abs=0.006)
    assert (
        cfg.model.test_cfg.max_per_img == 100
        and cfg.auto_scale_lr.base_batch_size == 8 * cfg.train_dataloader.batch_size
    )


@pytest.fixture
def encoder(tmp_path):
    """A small text encoder's files."""
    folder = tmp_path / 'bert'
    folder.mkdir()
    letters = 'abcdefghijklmnopqrstuvwxyz'
    tokens = [
        '[PAD]',
        '[UNK]',
        '[CLS]',
        '[SEP]',
        '[MASK]',
        '.',
        '?',
        'person',
        'car',
        *letters,
        *(f'##{c}' for c in letters),
    ]
    (folder / 'vocab.txt').write_text('\n'.join(tokens) + '\n')
    sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    (folder / 'config.json').write_text(
        json.dumps(dict(sizes, vocab_size=len(tokens), max_position_embeddings=256))
    )
    return folder


def options(encoder):
    return {
        'model.language_model.name': str(encoder),
        'model.encoder.num_layers': 1,
        'model.decoder.num_layers': 2,
        'model.num_queries': 12,
        'model.test_cfg.max_per_img': 10,
        'model.backbone.depths': (1, 1, 1, 1),
    }


def test_words_are_classes(encoder, tmp_path):
    pytest.importorskip('transformers')
    image = np.random.default_rng(0).integers(0, 255, (60, 100, 3), dtype=np.uint8)
    small = {'test_dataloader.dataset.pipeline.1.scale': (64, 96)}
    detect = inferencer(WORDS, device='cpu', cfg_options=options(encoder) | small)
    found = detect(image)
    assert detect.classes == DET_CLASSES and 0 < len(found) <= 100 and set(found.names) <= set(DET_CLASSES)
    assert (found.scores[:-1] >= found.scores[1:]).all() and found.scores.max() < 1
    two = WordsInferencer(detect.model, vocabulary={'thing': ['car', 'person'], 'x': 'x'})
    assert set(two(image).names) <= {'thing', 'x'}
    many = [f'{a}{b}' for a in 'abcdefg' for b in 'abcdefgh']  # of two captions
    found = WordsInferencer(detect.model, vocabulary=many)(image)
    assert detect.model.test_cfg.chunked_size == 40 and found.labels.max() > 40
    with pytest.raises(ValueError, match='a word for each class'):
        detect.model.set_words({'car': ''})


@pytest.mark.parametrize('num_feats', [128, 256])
def test_boxes_are_encoded_as_published_by_both_forms_of_mmdet(num_feats):
    head = torch.nn.Module()
    head.layers = [torch.nn.Linear(512, 256)]
    boxes = torch.rand(2, 5, 4)
    (got,) = _published_encoding(head, (coordinate_to_encoding(boxes, num_feats=num_feats),))
    assert torch.allclose(got, coordinate_to_encoding(boxes, num_feats=128), atol=1e-5)


def test_a_phrase_is_read_by_itself(encoder):
    pytest.importorskip('transformers')
    from mmroad.detic.grounding_dino.text import FolderBert

    torch.manual_seed(0)
    bert = FolderBert(str(encoder)).eval()
    with torch.no_grad():
        alone, beside = (bert([text])['embedded'][0] for text in ('car. ', 'person. car. '))
    assert torch.allclose(alone[1:3], beside[3:5], atol=1e-5)
    with pytest.raises(
        FileNotFoundError, match='no vocab.txt in this folder: place those of bert-base-uncased'
    ):
        (encoder / 'vocab.txt').unlink()
        FolderBert(str(encoder))


def test_words_from_the_command_line(encoder, tmp_path, monkeypatch):
    pytest.importorskip('transformers')
    import mmroad.inference.words as words
    from mmroad.files import write_image

    write_image(tmp_path / 'a street.png', np.full((40, 60, 3), 90, np.uint8))
    cfg = [f'{k}={v}' for k, v in options(encoder).items()] + [
        'test_dataloader.dataset.pipeline.1.scale=(64,96)'
    ]
    seen = []
    monkeypatch.setattr(
        words.WordsInferencer, 'run', lambda self, *a, **k: seen.append(self.model) or run(self, *a, **k)
    )
    run = words.DetInferencer.run
    save_vocabulary(Vocabulary(('car', 'tram'), torch.zeros(2, 512)), tmp_path / 'words.safetensors')
    for given, want in (
        (['--classes', 'car, cone = traffic cone'], (('car', 'cone'), ['car', 'traffic cone'])),
        (['--vocabulary', str(tmp_path / 'words.safetensors')], (('car', 'tram'), ['car', 'tram'])),
    ):
        out = tmp_path / given[0][2:]
        main(
            [
                'infer',
                WORDS,
                'none',
                str(tmp_path / 'a street.png'),
                '--out',
                str(out),
                '--device',
                'cpu',
                *given,
                '--cfg-options',
                *cfg,
            ]
        )
        assert (seen[-1].class_names, seen[-1]._prompts) == want
        labels = json.loads((out / 'det.json').read_text())['frames'][0]['labels']
        assert labels and {label['category'] for label in labels} <= set(want[0])
