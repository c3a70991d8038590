"""List the models of the zoo as a table: mmroad list [convnext | 'faster*_3x_*']"""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('pattern', nargs='?', default='*', help='a part of the names, or a shell pattern')


def run(args: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    from ..zoo.configs import find_model, list_models

    plain = not set(args.pattern) & set('*?[')
    names = list_models(f'*{args.pattern}*' if plain else args.pattern)
    if not names:
        sys.exit(f'no model is called {args.pattern!r}: mmroad list names all')
    columns = 'data', 'results (published)', 'parameters'
    table = Table(Column('model', no_wrap=True, min_width=max(map(len, names))), *columns)
    for name in names:
        model = find_model(name)
        results = [r for r in model.get('Results') or [] if r.get('Source') == 'published']
        data = ', '.join(dict.fromkeys(r['Dataset'] for r in results))
        numbers = '; '.join(', '.join(f'{k} {v}' for k, v in r['Metrics'].items()) for r in results)
        parameters = (model.get('Metadata') or {}).get('Parameters', '')
        table.add_row(name, data, numbers, str(parameters))
    Console(width=None if Console().is_terminal else 160).print(table)
    print(f'{table.row_count} models')
