"""A door of ``mmroad data outlier-masks``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['data', 'outlier-masks'])
