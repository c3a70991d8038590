"""A door of ``mmroad data tar-index``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('data', 'tar-index')
