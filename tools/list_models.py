"""A door of ``mmroad list``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['list'])
