"""A door of ``mmroad histogram``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('histogram')
