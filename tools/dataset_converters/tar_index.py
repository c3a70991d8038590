"""A door of ``mmroad data tar-index``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['data', 'tar-index'])
