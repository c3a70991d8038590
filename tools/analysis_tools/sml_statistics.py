"""A door of ``mmroad scores sml``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['scores', 'sml'])
