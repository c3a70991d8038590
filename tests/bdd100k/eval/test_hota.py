"""HOTA and TETA: cases worked out by hand, and what TrackEval and TETA's own package give."""

import pytest
from test_track import label, video
from track_cases import made_set, save

from mmroad.bdd100k.eval.hota import hota_scores, hota_sums
from mmroad.bdd100k.eval.teta import teta_scores, teta_sums
from mmroad.bdd100k.eval.track import pair_frames
from mmroad.bdd100k.track_columns import read_track_columns


def scored(folder, gt, pred):
    pairing = pair_frames(*map(read_track_columns, save(folder, gt, pred)))
    videos = list(pairing.data())
    present = sorted({int(c) for v in videos for c in v.gt.category})
    hota = hota_scores(hota_sums(v) for v in videos)
    teta = teta_scores(teta_sums(v, present) for v in videos)
    return {key: {**rows[0], **rows[2]} for key, rows in (hota | teta).items()}


FOUR = video(*[[label('1', 0)]] * 4)
HALF = video(*[[label('1', 0)]] * 2, *[[label('2', 0)]] * 2)
LOST = video(*[[label('1', 0)]] * 2, [], [])
TRUCK = video(*[[label('1', 0, 'truck')]] * 4)
FAR = video(*[[label('1', 0), label('2', 500)]] * 4)


@pytest.mark.parametrize(
    'pred, car',
    [
        (FOUR, dict(HOTA=100, DetA=100, AssA=100, TETA=100, LocA=100, AssocA=100, ClsA=100)),
        (HALF, dict(HOTA=50**0.5 * 10, DetA=100, AssA=50, LocA=100, AssocA=50, ClsA=100)),
        (LOST, dict(HOTA=50, DetA=50, AssA=50, LocA=50, AssocA=50, ClsA=100)),
        (TRUCK, dict(HOTA=0, DetA=0, AssA=0, LocA=100, AssocA=100, ClsA=0, TETA=200 / 3)),
        # A false car far away is in no cluster: no wrong place, but a box wrongly called a car.
        (FAR, dict(HOTA=50**0.5 * 10, DetA=50, AssA=100, LocA=100, AssocA=100, ClsA=50)),
    ],
    ids=['perfect', 'two ids', 'lost', 'another class', 'one too many'],
)
def test_by_hand(tmp_path, pred, car):
    scores = scored(tmp_path, FOUR, pred)
    assert {key: scores[key]['car'] for key in car} == pytest.approx(car)


#: OVERALL and AVERAGE HOTA, and AVERAGE TETA, LocA, AssocA, ClsA of sets with ids once a frame, computed with TrackEval
#: 12c8791 (class by class) and SysCV/tet a62a9c0 (exhaustive).
GOLDENS = {
    0: (
        22.415500233105128,
        9.395280749957834,
        40.68014504216,
        30.771290615643,
        21.483430225125,
        69.785714285714,
    ),
    1: (
        22.826752111394864,
        3.1239218243606,
        37.873201469139,
        29.826932326932,
        22.76236905018,
        61.030303030303,
    ),
    2: (
        19.65796600951621,
        2.6658910182264,
        17.104391006781,
        18.283829423968,
        26.148008982457,
        6.8813346139193,
    ),
    3: (
        18.383370425940438,
        4.673875866478,
        19.245782946251,
        28.154422197196,
        18.545740281859,
        11.037186359699,
    ),
    4: (30.316801380468032, 7.945357856071, 37.476069069819, 41.792790542790, 46.885416666666, 23.75),
    6: (
        25.55903244804241,
        9.427397710216,
        14.732804232804,
        10.888888888888,
        30.833333333333,
        2.4761904761904,
    ),
}


@pytest.mark.parametrize('seed', GOLDENS)
def test_as_the_published_packages(tmp_path, seed):
    gt, pred = made_set(seed)
    for frame in gt + pred:
        first = {}
        for found in frame['labels'] or []:
            first.setdefault(found['id'], found)
        frame['labels'] = list(first.values())
    scores = scored(tmp_path, gt, pred)
    found = [scores['HOTA']['OVERALL'], scores['HOTA']['AVERAGE']]
    found += [scores[key]['AVERAGE'] for key in ('TETA', 'LocA', 'AssocA', 'ClsA')]
    assert found == pytest.approx(GOLDENS[seed], rel=1e-9)
