"""A door of ``mmroad export``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('export')
