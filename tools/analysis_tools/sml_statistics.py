"""A door of ``mmroad scores sml``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('scores', 'sml')
