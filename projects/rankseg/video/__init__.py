"""Mask2Former and RankSeg for video: instance tracks (YouTube-VIS) and semantic segmentation (VSPW).

Importing this registers everything that the video configs below configs/rankseg name.
"""

from ... import mask2former  # noqa: F401
from ...runtime import frameworks  # noqa: F401
from .head import RankSegVideoHead, VideoMask2FormerHead
from .metrics import VideoSemSegMetric, YTVISMetric
from .segmentor import VideoMask2Former
from .tracks import TrackStitcher
from .transforms import LabelsToInstances, LoadFrame, LoadVideoLabels, PackVideoInputs
from .vspw import RoadScenesVideoDataset, VSPWDataset
from .ytvis import YTVISDataset

__all__ = [
    'LabelsToInstances',
    'LoadFrame',
    'LoadVideoLabels',
    'PackVideoInputs',
    'RankSegVideoHead',
    'RoadScenesVideoDataset',
    'TrackStitcher',
    'VSPWDataset',
    'VideoMask2Former',
    'VideoMask2FormerHead',
    'VideoSemSegMetric',
    'YTVISDataset',
    'YTVISMetric',
]
