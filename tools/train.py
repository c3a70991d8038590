"""A door of ``mmroad train``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('train')
