"""A door of ``mmroad convert``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['convert'])
