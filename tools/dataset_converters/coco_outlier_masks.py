"""A door of ``mmroad data outlier-masks``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('data', 'outlier-masks')
