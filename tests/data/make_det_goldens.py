"""Makes det_state_dicts.json.gz: the state-dict keys and shapes of the 64 detectors.

They come from the published configs, built by mmdet 2.28.2's own modules (with mmcv 1.7.2 and, for
ConvNeXt, mmcls 0.25.0). None of mmroad's modules or configs is read, so that the golden file can disagree
with them. Those versions do not run beside this torch as they are: mmcv's compiled operators and
torchvision, which have no part in the keys, are replaced by empty modules. Four published configs are
mended as configs/det/README.md says: three name a base that does not exist, one (ConvNeXt-S) builds the
tiny model.

    python tests/data/make_det_goldens.py PUBLISHED PACKAGES

PUBLISHED is det/configs/det of the published model zoo, PACKAGES a folder of the three packages, unpacked.
"""

import argparse
import gzip
import importlib.machinery
import json
import pkgutil
import re
import sys
import tempfile
import types
from pathlib import Path

ABSENT = ('mmcv._ext', 'torchvision', 'torchvision.models', 'torchvision.ops', 'torchvision.transforms',
          'torchvision.transforms.functional')  # fmt: skip


class Empty(types.ModuleType):
    """Has every attribute."""

    __path__ = ()
    __version__ = '0.1.0'

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)
        return lambda *args, **kwargs: None


def mended(published: Path, folder: Path) -> list[Path]:
    """Copies of the published configs in a folder like theirs."""
    for path in published.parent.rglob('*.py'):
        copy = folder / path.relative_to(published.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = re.sub(r'(retinanet_pvt[\w-]+_fpn_3x)_bdd100k', r'\1_det_bdd100k', path.read_text())
        if path.stem.startswith('cascade_rcnn_convnext-s_'):
            text = text.replace('tiny', 'small')
        copy.write_text(text)
    return sorted((folder / published.name).glob('*.py'))


def without_pretrained(node) -> None:
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list)):
            without_pretrained(value)
    if isinstance(node, dict) and (node.get('init_cfg') or {}).get('checkpoint'):
        node['init_cfg'] = None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('published', type=Path)
    parser.add_argument('packages', type=Path)
    args = parser.parse_args()
    sys.path.insert(0, str(args.packages))
    for name in ABSENT:
        sys.modules[name] = Empty(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    pkgutil.find_loader = lambda name: name not in ABSENT  # newer Pythons lack it

    import mmcls.models  # noqa: F401 (registers ConvNeXt)
    from mmcv import Config
    from mmdet.models import build_detector

    golden = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in mended(args.published, Path(folder)):
            model = Config.fromfile(path).model
            without_pretrained(model)
            golden[path.stem] = {k: list(v.shape) for k, v in build_detector(model).state_dict().items()}
    out = Path(__file__).with_name('det_state_dicts.json.gz')
    out.write_bytes(gzip.compress(json.dumps(golden).encode(), mtime=0))
    print(f'{len(golden)} models: {out}')


if __name__ == '__main__':
    main()
