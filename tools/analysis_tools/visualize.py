"""A door of ``mmroad visualize``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('visualize')
