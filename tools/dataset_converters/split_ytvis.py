"""A door of ``mmroad data split-ytvis``."""

from mmroad.commands import main

if __name__ == '__main__':
    main(['data', 'split-ytvis'])
