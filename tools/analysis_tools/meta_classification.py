"""A door of ``mmroad scores meta``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['scores', 'meta'])
