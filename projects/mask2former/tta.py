"""Multi-scale and flip testing as Mask2Former and RankSeg publish it."""

from __future__ import annotations

from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample


@MODELS.register_module()
class SemSegMeanTTAModel(BaseTTAModel):
    """The plain mean of the views' semantic maps. mmseg's ``SegTTAModel`` applies a softmax to each first,
    though Mask2Former's maps are no logits. Two maps are held at a time, however many views there are.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.module.test_cfg['keep_logits'] = True

    def test_step(self, data: dict) -> list[SegDataSample]:
        """Predict one image from its views.

        Args:
            data: ``inputs`` and ``data_samples``, for each view the batch of one.
        """
        total, views = None, len(data['inputs'])
        for view in range(views):
            (sample,) = self.module.test_step({key: value[view] for key, value in data.items()})
            total = sample.seg_logits.data if total is None else total.add_(sample.seg_logits.data)
        merged = SegDataSample(metainfo=sample.metainfo)
        if 'gt_sem_seg' in sample:
            merged.gt_sem_seg = sample.gt_sem_seg
        merged.seg_logits = PixelData(data=total.div_(views))
        merged.pred_sem_seg = PixelData(data=total.argmax(0, keepdim=True))
        return [merged]

    def merge_preds(self, data_samples_list: list[list[SegDataSample]]) -> list[SegDataSample]:
        """Merge views that are all at hand: of each image, one sample per view."""
        out = []
        for views in data_samples_list:
            mean = sum(view.seg_logits.data for view in views) / len(views)
            views[0].seg_logits = PixelData(data=mean)
            views[0].pred_sem_seg = PixelData(data=mean.argmax(0, keepdim=True))
            out.append(views[0])
        return out
