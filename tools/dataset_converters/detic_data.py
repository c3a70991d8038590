"""A door of ``mmroad data detic``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('data', 'detic')
