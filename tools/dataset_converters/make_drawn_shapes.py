"""A door of ``mmroad data drawn-shapes``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('data', 'drawn-shapes')
