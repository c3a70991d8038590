"""Time the streaming pixel metrics beside scikit-learn on concatenated pixels, each in its own process.

python benchmarks/anomaly.py --images 20
"""

import argparse
import json
import subprocess
import sys
from statistics import median

KEYS = 'wall', 'cpu', 'mib'
COMMON = """
import json, resource, sys, time
import numpy as np
number, h, w = map(int, sys.argv[1:4])
def image(i):
    rng = np.random.default_rng(i)
    label = np.zeros((h, w), np.uint8)
    label[h // 2 : h // 2 + h // 8, w // 3 : w // 3 + w // 8] = 1
    label[: h // 16] = 255
    return rng.standard_normal((h, w), np.float32) + label.clip(0, 1), label
spent = np.zeros(2)
def now():
    return np.array([time.process_time(), time.perf_counter()])
"""
OURS = """
from mmroad.anomaly.pixel import PixelMetrics
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
image(0)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
metrics = PixelMetrics()
for i in range(number):
    score, label = image(i)
    start = now()
    metrics.add(score, label)
    spent += now() - start
start = now()
got = metrics.compute()
spent += now() - start
result = [got.ap, got.auroc, got.fpr95_rba]
"""
THEIRS = """
from sklearn.metrics import auc, average_precision_score, roc_curve
image(0)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scores, labels = [], []
for i in range(number):
    score, label = image(i)
    start = now()
    keep = label <= 1
    scores.append(score[keep])
    labels.append(label[keep])
    spent += now() - start
start = now()
scores, labels = np.concatenate(scores), np.concatenate(labels)
fpr, tpr, _ = roc_curve(labels, scores)
result = [average_precision_score(labels, scores), auc(fpr, tpr), fpr[tpr > 0.95][0]]
spent += now() - start
"""
PRINT = """
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(dict(cpu=spent[0], wall=spent[1], mib=(peak - base) / 1024, result=[float(r) for r in result])))
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--images', type=int, default=20, help='images (default: %(default)s)')
    parser.add_argument('--shape', type=int, nargs=2, default=(1024, 2048), metavar=('H', 'W'))
    parser.add_argument('--repeat', type=int, default=1, help='runs of each, in turn (default: %(default)s)')
    parser.add_argument('--only-ours', action='store_true', help='leave scikit-learn out')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    codes = {'mmroad': OURS, 'scikit-learn': THEIRS}
    if args.only_ours:
        del codes['scikit-learn']
    rows = {name: [] for name in codes}
    for name, code in list(codes.items()) * args.repeat:
        command = [sys.executable, '-c', COMMON + code + PRINT, *map(str, (args.images, *args.shape))]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows[name].append(row)
        print(
            f'{name:14}{row["wall"]:9.2f} s {row["cpu"]:9.2f} CPU s {row["mib"]:8.0f} MiB of its own',
            flush=True,
        )
    if len(rows) == 2:
        ours, theirs = ({key: median(row[key] for row in own) for key in KEYS} for own in rows.values())
        ratios = [theirs[key] / ours[key] for key in KEYS]
        print('ratio of medians {:.1f} in time, {:.1f} in CPU seconds, {:.1f} in memory'.format(*ratios))
        results = [own[0]['result'] for own in rows.values()]
        print(f'largest difference {max(abs(a - b) for a, b in zip(*results)):.1e}')


if __name__ == '__main__':
    main()
