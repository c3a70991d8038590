"""RbA (Rejected by All, https://arxiv.org/abs/2211.14293): anomaly segmentation on Mask2Former."""

import mmroad.bdd100k.sem_seg  # noqa: F401 (registers the dataset and metric the bridge configs use)
import mmroad.mask2former  # noqa: F401 (registers the model's parts)
