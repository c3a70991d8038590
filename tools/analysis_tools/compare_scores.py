"""A door of ``mmroad scores compare``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('scores', 'compare')
