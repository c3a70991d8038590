"""A door of ``mmroad scores compare``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['scores', 'compare'])
