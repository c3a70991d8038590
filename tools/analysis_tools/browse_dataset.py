"""A door of ``mmroad browse``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['browse'])
