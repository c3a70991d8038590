"""A door of ``mmroad list``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('list')
