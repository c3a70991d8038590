"""A door of ``mmroad data detic``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['data', 'detic'])
