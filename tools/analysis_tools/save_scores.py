"""A door of ``mmroad scores save``."""

from mmroad.commands import door

if __name__ == '__main__':
    door('scores', 'save')
