"""Labels of boxes in the formats that people have, over one form in memory (`form`).

A format is a module with ``read`` and ``write``; `formats` lists them, `recognise` says which one a path holds.
"""

#: The formats: BDD100K's Scalabel, any Scalabel, COCO, YOLO, Pascal VOC, labelme, CVAT and Label Studio.
FORMATS = ('bdd', 'scalabel', 'coco', 'yolo', 'voc', 'labelme', 'cvat', 'labelstudio')
