"""A door of ``mmroad scores meta``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('scores', 'meta')
