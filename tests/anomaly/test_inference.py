import cv2
import numpy as np
import pytest
import torch

import mmroad
from mmroad.abet import scores as abet
from mmroad.anomaly.pictures import BAR, anomaly_picture, color_bar, heat_map
from mmroad.anomaly.visualizer import AnomalyVisualizer
from mmroad.files.sources import LeftOut
from mmroad.inference.anomaly import AnomalyInferencer
from mmroad.rba import scores as rba


@pytest.fixture(
    scope='module',
    params=[
        'rba_small_1dl_road_scenes',
        'rba_small_1dl_ood_road_scenes',
        'abet_deepv3plus_r18_road_scenes',
        'abet_deepv3plus_r18_road_scenes_ood',
    ],
)
def inferencer(request):
    torch.manual_seed(0)
    inferencer = mmroad.inferencer(request.param)
    assert isinstance(inferencer, AnomalyInferencer)
    return inferencer


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f'im{i}.png'), rng.integers(0, 255, (50 + 10 * i, 70, 3), 'uint8'))
    (tmp_path / 'notes.txt').write_text('no image')
    return tmp_path


def test_one_image(inferencer, folder):
    result = inferencer(folder / 'im1.png')
    assert result.name == 'im1.png'
    assert result.classes.shape == result.anomaly.shape == (60, 70)
    assert result.picture.shape[0] > 60 and result.picture.shape[1:] == (3 * 70 + BAR, 3)
    assert len(result) == 0 and result.objects() == []  # without a threshold
    again = inferencer(cv2.imread(str(folder / 'im1.png')))
    assert (again.anomaly == result.anomaly).all()
    with pytest.raises(FileNotFoundError, match='im9.png: no such image'):
        inferencer(folder / 'im9.png')


@pytest.mark.parametrize('source', ['', '*.png', 'video.avi'])
def test_folder_glob_and_video(inferencer, folder, source):
    if source == 'video.avi':
        writer = cv2.VideoWriter(str(folder / source), cv2.VideoWriter_fourcc(*'MJPG'), 5, (64, 48))
        for i in range(3):
            writer.write(np.full((48, 64, 3), 60 * i, 'uint8'))
        writer.release()
    results = list(inferencer.run(folder / source, folder / 'out', progress=False))
    names = (
        ['video_000000', 'video_000001', 'video_000002'] if source == 'video.avi' else ['im0', 'im1', 'im2']
    )
    assert [r.name.split('.')[0] for r in results] == names
    if source == 'video.avi':
        assert cv2.VideoCapture(str(folder / 'out/video.mp4')).get(cv2.CAP_PROP_FRAME_COUNT) == 3
    else:
        assert {p.name for p in (folder / 'out/pictures').iterdir()} == {f'{n}.jpg' for n in names}
    assert (cv2.imread(str(folder / f'out/classes/{names[2]}.png'), 0) == results[2].classes).all()
    stored = np.load(folder / f'out/anomaly/{names[2]}.npz')['anomaly']
    np.testing.assert_allclose(stored, results[2].anomaly, rtol=1e-3, atol=1e-6)


def test_images_that_cannot_be_used(folder, tmp_path):
    from PIL import Image

    inferencer = mmroad.inferencer('rba_small_1dl_road_scenes')
    (folder / 'im1.png').write_bytes(b'')
    cv2.imwrite(str(folder / 'thin.png'), np.zeros((1, 3000, 3), np.uint8))
    cv2.imwrite(str(folder / 'wide.png'), np.zeros((1, 30_000, 3), np.uint8))
    run = inferencer.run(folder, folder / 'out', progress=False)
    with pytest.warns(LeftOut, match='im1.png is left out'):
        assert [result.name for result in run] == ['im0.png', 'im2.png', 'thin.png', 'wide.png']
    # .jpg does not hold a picture of 90,000 pixels; the map and the classes are there
    assert sorted(run.left_out) == ['im1.png', 'wide.png'] and 'wide.jpg' in run.left_out['wide.png']
    assert np.load(folder / 'out/anomaly/wide.npz')['anomaly'].shape == (1, 30_000)
    gray = cv2.imread(str(folder / 'im0.png'), 0)
    want = inferencer(cv2.merge([gray] * 3)).anomaly
    assert np.array_equal(inferencer(gray).anomaly, want)
    assert np.array_equal(inferencer(Image.fromarray(gray)).anomaly, want)
    with pytest.raises(ValueError, match='of uint16'):
        inferencer(gray.astype(np.uint16))
    cv2.imwrite(str(folder / 'im0.jpg'), np.zeros((50, 70, 3), np.uint8))
    with pytest.raises(ValueError, match=r'im0\.(jpg|png) and im0\.(jpg|png) would both be written'):
        inferencer.run(folder, folder / 'again')
    assert not (folder / 'again').exists()


def test_another_score(inferencer, folder):
    first = inferencer(folder / 'im1.png').anomaly
    inferencer.model.set_score('entropy')
    assert not np.allclose(inferencer(folder / 'im1.png').anomaly, first)
    with pytest.raises(KeyError, match='nonsense'):
        inferencer.model.set_score('nonsense')


def test_a_model_without_a_score_is_told():
    model = mmroad.init_model('deepv3plus_r18_road_scenes', cfg_options={'model.test_cfg.scores': []})
    with pytest.raises(ValueError, match='no anomaly score: name one'):
        AnomalyInferencer(model)(np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(KeyError, match='sml needs'):
        model.set_score('sml')


def test_every_score_has_a_scale():
    assert set(rba.SCALES) == set(rba.SCORES)
    assert set(abet.SCALES) == {*abet.SCORES, 'sml'}


def test_heat_map_is_on_a_fixed_scale():
    colors = heat_map(np.array([[-2.0, -1.0, -0.5, 0.0, 3.0]]), (-1.0, 0.0))[0]
    assert (colors[0] == colors[1]).all() and (colors[3] == colors[4]).all()
    assert len({tuple(c) for c in colors}) == 3
    with pytest.raises(ValueError, match='lower'):
        heat_map(np.zeros((1, 1)), (1.0, 0.0))


def test_picture_outlines_and_shows_the_truth():
    anomaly = np.full((40, 60), -1.0)
    anomaly[10:20, 10:20] = -0.1
    gt = (anomaly > -0.5).astype('uint8')
    gt[0] = 255
    image, classes = np.zeros((40, 60, 3), 'uint8'), np.zeros((40, 60), int)
    picture = anomaly_picture(image, anomaly, (-1.0, 0.0), -0.5, classes, [[0, 0, 255]], gt)
    assert picture.shape == (40, 4 * 60 + BAR, 3)
    heat, truth = picture[:, 120:180], picture[:, 180 + BAR :, 0]
    assert (heat[10, 10:20] == 255).all() and not (heat[15, 12:18] == 255).all()
    assert truth[15, 15] == 255 and truth[30, 30] == 0 and (truth[0] == 128).all()
    with pytest.raises(ValueError, match='differ in size'):
        anomaly_picture(image, anomaly[:10], (-1.0, 0.0))


def test_color_bar_runs_from_the_highest_score_down_and_marks_the_threshold():
    bar = color_bar(101, (0.0, 1.0))
    ends = heat_map(np.array([[1.0, 0.0]]), (0.0, 1.0))[0]
    assert (bar[0, 0] == ends[0]).all() and (bar[-1, 0] == ends[1]).all()
    marked = color_bar(101, (0.0, 1.0), 0.75)
    assert np.flatnonzero((marked[:, :15] == 255).all((1, 2))).tolist() == [25]
    for outside in (-0.5, 0.0, 1.0, 2.0):
        assert np.array_equal(color_bar(101, (0.0, 1.0), outside), bar)


def test_a_prediction_without_a_score_is_not_drawn_as_if_it_had_one(tmp_path):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    visualizer = AnomalyVisualizer()
    visualizer.dataset_meta = dict(classes=('road',), palette=[[0, 200, 0]])
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 20, 30, dtype=torch.long)))
    image = np.full((20, 30, 3), 100, np.uint8)
    with pytest.raises(ValueError, match='no anomaly score to draw'):
        visualizer.add_datasample('a', image, sample)
    visualizer.add_datasample('a', image, sample, draw_pred=False, out_file=str(tmp_path / 'a.png'))
    assert visualizer.get_image()[0, 0].tolist() == [40, 160, 40]
    assert cv2.imread(str(tmp_path / 'a.png'))[0, 0].tolist() == [40, 160, 40]
    visualizer.add_datasample('a', image, sample, draw_gt=False, draw_pred=False)
    assert np.array_equal(visualizer.get_image(), image)
