"""A door of ``mmroad data road-scenes``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['data', 'road-scenes'])
