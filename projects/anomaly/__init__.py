"""Out-of-distribution segmentation: metrics, data sets and files that RbA and AbeT share."""
