"""A door of ``mmroad data drawn-shapes``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['data', 'drawn-shapes'])
