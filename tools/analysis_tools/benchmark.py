"""A door of ``mmroad speed``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['speed'])
