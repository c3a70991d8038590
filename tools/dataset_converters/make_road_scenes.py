"""A door of ``mmroad data road-scenes``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('data', 'road-scenes')
